"""A run on two hosts: what must agree between them does, and each tells of its own rows."""

import json

import pytest
import runs
import samples

from memobert_jax import checkpoint, config, skips
from memobert_jax.config import PretrainConfig
from memobert_jax.data import TrainData

RUN = """
import json, sys
import jax, numpy as np
from memobert_jax import config, train
from memobert_jax.data import TrainData
host, address, workdir, values = int(sys.argv[1]), *sys.argv[2:]
jax.distributed.initialize(address, 2, host)
whole = TrainData.batch
def batch(self, step, process, processes):
    made = whole(self, step, process, processes)
    if process == 1 and step + 1 >= 3:
        made["speech"] = np.full_like(made["speech"], np.inf)
    return made
TrainData.batch = batch
try:
    train.train(config.from_mapping(config.PretrainConfig, json.loads(values)), workdir)
except FloatingPointError as error:
    print("ended:", error)
"""


@pytest.fixture(scope="module")
def cfg(tmp_path_factory) -> PretrainConfig:
    folder = tmp_path_factory.mktemp("hosts")
    corpus = samples.dataset(folder / "corpus", widths=runs.WITH_EMOTION)
    return runs.config(
        corpus,
        tokenizer=runs.saved_tokens(folder),
        steps=40,
        max_skipped=2,
        log_every=40,
        eval_every=40,
        checkpoint_every=40,
    )


@pytest.mark.slow
def test_two_hosts_stop_at_the_same_step_when_the_rows_of_one_are_broken(cfg, tmp_path):
    """Else one would wait for ever in a step that the other never begins."""
    workdir = tmp_path / "run"
    settings = runs.quick_settings(tmp_path / "xla")
    found = runs.on_two_hosts(
        RUN,
        str(workdir),
        json.dumps(config.as_dict(cfg)),
        **{name.upper(): str(value) for name, value in settings.items()},
    )
    data, end = TrainData(cfg, runs.tokens()), 5 + skips.LAG
    for host, (status, output) in enumerate(found):
        assert status == 0, output
        assert "ended: loss or gradient was not finite in steps 3 to 5" in output, output
        assert f"Step {end} is saved with the parameters as they were after step 2" in output
        (mine,) = data.clip_ids(3 - 1, host, 2).values()
        assert f"clips of host {host} (all in skipped.jsonl): {', '.join(mine[:8])}" in output
        assert f"clips of host {1 - host}" not in output
    assert checkpoint.steps(workdir / checkpoint.FOLDER) == [end]
    named = [json.loads(line) for line in (workdir / skips.FILE).read_text().splitlines()]
    assert named == [
        line | {"clips": data.clip_ids(step - 1)} for step, line in enumerate(named, 3)
    ]
    assert [line["step"] for line in named] == list(range(3, end + 1))
