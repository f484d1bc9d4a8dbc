"""Finished fits: found again by all that decided them, and by nothing else."""

import numpy as np
import pytest

from memobert_jax.fits import Fit, Fits, key_of

KEY = key_of({"seed": 1, "lr": 1e-3})


def fit(value=1.0):
    log_probs = np.full((2, 3, 4), value, np.float32)
    log_probs[0, 0] = np.nan
    return Fit({"selected": {"validation": {"uar": 0.5, "loss": 1.25}}}, log_probs)


def test_a_fit_comes_back_as_it_was(tmp_path):
    Fits(tmp_path).save(KEY, fit())
    found = Fits(tmp_path).load([KEY, key_of({"seed": 2})])
    assert set(found) == {KEY}
    assert found[KEY].result == fit().result
    np.testing.assert_array_equal(found[KEY].outputs, fit().outputs)
    assert found[KEY].outputs.dtype == np.float32


def test_a_key_depends_on_values_and_not_on_their_order():
    assert key_of({"lr": 1e-3, "seed": 1}) == KEY
    assert key_of({"lr": 1e-3, "seed": 2}) != KEY
    assert len(KEY) == 24


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"nonsense"])
def test_a_damaged_fit_is_done_again(tmp_path, content):
    store = Fits(tmp_path)
    store.save(KEY, fit())
    (tmp_path / "fits" / f"{KEY}.npz").write_bytes(content)
    assert store.load([KEY]) == {}
    store.save(KEY, fit(2.0))
    assert store.load([KEY])[KEY].outputs[1, 1, 1] == 2.0


def test_a_fit_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    store = Fits(tmp_path)
    store.save(KEY, fit())

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space left"):
        store.save(KEY, fit(2.0))
    monkeypatch.undo()
    assert store.load([KEY])[KEY].outputs[1, 1, 1] == 1.0
    assert [path.name for path in (tmp_path / "fits").iterdir()] == [f"{KEY}.npz"]


def test_without_a_checkpoint_nothing_is_kept(tmp_path):
    assert Fits(tmp_path).kept("prompt") == ""
    (tmp_path / "prompt").mkdir()
    assert Fits(tmp_path).kept("prompt") == ""
