"""Builders of records that are read: features datasets as featurize writes them, in one pass."""

from pathlib import Path

import builders_kit as kit
import numpy as np
import pytest
import runs
import tensorflow_datasets as tfds

from memobert_jax import data, features, record
from memobert_jax.corpus import Corpus
from tfds_builders import build, fer_plus, folders, streaming
from tfds_builders.labels import Published
from tfds_builders.listing import Omission
from tfds_builders.records_builder import RecordsBuilder, RecordsConfig
from tfds_builders.streaming import Records

WIDTHS = {"face": 3, "speech": 2}


class Vectors(RecordsBuilder):
    """Features of a file of numbers: each line a clip, `bad` and `twin` its quirks."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (
        RecordsConfig(name="plain"),
        RecordsConfig(
            name="normalised",
            normalise_on="train",
            published=Published("the paper", {"train": {"clips": 3, "emotion/anger": 3}}),
        ),
    )
    pkg_dir_path = Path(fer_plus.__file__).parent  # whose README and citation it borrows
    MANUAL_DOWNLOAD_INSTRUCTIONS = "manual_dir holds numbers.txt"
    SPLITS = ("train", "test")

    def open_records(self, manual_dir):
        path = manual_dir / "numbers.txt"

        def read(tally):
            for line in path.read_text().splitlines():
                tally.listed += 1
                name, split, start, *quirk = line.split()
                if quirk == ["unlabelled"]:
                    tally.omit(Omission.NO_LABEL, name)
                    continue
                face = float(start) + np.arange(12.0).reshape(4, 3)
                if quirk == ["nan"]:
                    face[0, 1], face[1, 2] = np.nan, -np.inf
                speech = np.full((5, 2), 1e9 if quirk == ["huge"] else float(start), np.float32)
                yield (
                    split,
                    record.make(
                        "features",
                        WIDTHS,
                        id=name,
                        video_id=name,
                        end_s=np.float32(0.5),
                        text=f"clip {name}",
                        face=face[:, : 2 if quirk == ["narrow"] else 3],
                        face_time_s=np.arange(4, dtype=np.float32) / 10,
                        face_score=np.ones(4, np.float32),
                        speech=speech,
                        emotion=0,
                    ),
                )

        encoders = {"face": streaming.encoder("numbers", 3, 10.0)}
        encoders["speech"] = streaming.encoder("levels", 2, 1 / 0.06)
        return Records([path], self.SPLITS, read, encoders, WIDTHS)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Writes lines into numbers.txt; `build` finds the builder under the name vectors."""
    monkeypatch.setattr(build, "names", lambda: ["vectors"])
    monkeypatch.setattr(build, "module_of", lambda name: type("M", (), {"Builder": Vectors}))
    (tmp_path / "in").mkdir()

    def write(*lines):
        (tmp_path / "in" / "numbers.txt").write_text("\n".join(lines))
        return tmp_path / "in"

    return write


LINES = ("a train 0", "b train 4", "c test 8", "d train 2 unlabelled", "e train 5")


def folder_of(data_dir, name="plain"):
    return data_dir / "vectors" / name / "1.0.0"


def test_it_is_a_features_dataset_with_index_widths_and_encoders(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data")
    found = features.FeaturesDataset(folder_of(tmp_path / "data"), "train")
    assert [found.read(i)["id"] for i in range(len(found))] == ["a", "b", "e"]
    assert found.texts() == ["clip a", "clip b", "clip e"]
    assert found.lengths["face"].tolist() == [4, 4, 4]
    assert found.lengths["speech"].tolist() == [5, 5, 5]
    assert found.widths == WIDTHS | {"face_emotion": 1, "text_features": 1}
    assert found.metadata["encoders"]["face"]["name"] == "numbers"
    assert found.metadata["normalisation"] == {}
    np.testing.assert_array_equal(found.read(1)["face"], 4 + np.arange(12.0).reshape(4, 3))
    assert len(found.fingerprint) == 12
    made = {path.name for path in folder_of(tmp_path / "data").iterdir()}
    assert not [name for name in made if name.startswith(("spool", ".", "run-"))]


def test_its_metadata_has_what_featurize_leaves(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data")
    made = kit.read_metadata(folder_of(tmp_path / "data"))
    features.write(tmp_path / "other", {"train": [record.blank("features")]})
    assert set(kit.read_metadata(tmp_path / "other")) <= set(made)
    assert made["splits"] == {"train": 3, "test": 1}


def test_training_takes_it(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data", config="normalised")
    cfg = runs.config(folder_of(tmp_path / "data", "normalised"))
    train = data.TrainData(cfg, runs.tokens())
    assert "all used" in train.describe()
    batch = train.batch(0)
    assert batch["face"].shape[-1] == 3
    assert np.abs(batch["speech"]).sum() > 0


def test_evaluation_takes_it(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data")
    both = Corpus(folder_of(tmp_path / "data"), ("train", "test"))
    assert len(both) == 4
    assert both.column("emotion").tolist() == [record.EMOTIONS.index("anger")] * 4
    assert both.column("video_id").tolist() == ["a", "b", "e", "c"]
    np.testing.assert_array_equal(both.read(3, ["speech"])["speech"], np.full((5, 2), 8))


def test_what_is_left_out_and_the_labels_stand_in_the_report(corpus, tmp_path):
    said = kit.run_build("vectors", corpus(*LINES), tmp_path / "data", config="normalised")
    listed = kit.read_metadata(folder_of(tmp_path / "data", "normalised"))["listing"]
    assert (listed["listed"], listed["kept"]) == (5, 4)
    assert listed["omitted"] == {"no_label": {"count": 1, "examples": ["d"]}}
    assert "annotated, but without a label (d)" in said
    assert "all counts that are published are met (the paper)" in said
    again = kit.run_build("vectors", corpus(*LINES), tmp_path / "data", config="normalised")
    assert again.startswith(said)
    more = kit.run_build(
        "vectors", corpus(*LINES, "f train 1"), tmp_path / "data", config="normalised",
        overwrite=True,
    )  # fmt: skip
    assert "*** split train, clips: built 4, published 3 (+1)" in more


def test_mean_and_deviation_of_the_training_split_are_removed_and_stated(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data", config="normalised")
    found = features.FeaturesDataset(folder_of(tmp_path / "data", "normalised"), "train")
    rows = np.concatenate([found.read(i)["face"] for i in range(len(found))]).astype(float)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-2)
    np.testing.assert_allclose(rows.std(0), 1, atol=1e-2)
    stated = found.metadata["normalisation"]["face"]
    assert (stated["clips"], stated["frames"]) == (3, 12)
    raw = np.concatenate([s + np.arange(12.0).reshape(4, 3) for s in (0, 4, 5)])
    np.testing.assert_allclose(stated["mean"], raw.mean(0))
    np.testing.assert_allclose(stated["std"], raw.std(0))


def test_a_split_that_is_not_there_cannot_be_fitted_on():
    records = Records([], ["all"], lambda tally: iter(()))
    with pytest.raises(
        ValueError, match=r"no split 'train' to fit the normalisation on: \['all'\]"
    ):
        streaming.fit(records, "train")


def test_values_that_are_not_finite_become_the_mean_and_are_counted(corpus, tmp_path):
    lines = ("a train 0 nan", "b train 4", "c test 1")
    kit.run_build("vectors", corpus(*lines), tmp_path / "data", config="normalised")
    found = features.FeaturesDataset(folder_of(tmp_path / "data", "normalised"), "train")
    assert found.read(0)["face"][0, 1] == found.read(0)["face"][1, 2] == 0
    notes = found.metadata["listing"]["notes"]
    assert notes == {"face: values that are not finite, set to the mean of their column": 2}
    second = np.array([4, 7, 10, 5, 8, 11, 14])  # without the one that is not finite
    np.testing.assert_allclose(found.metadata["normalisation"]["face"]["mean"][1], second.mean())


def test_features_too_large_for_half_precision_are_left_out_and_named(corpus, tmp_path):
    kit.run_build("vectors", corpus("a train 0", "b train 0 huge", "c test 0"), tmp_path / "data")
    made = kit.read_metadata(folder_of(tmp_path / "data"))
    assert made["listing"]["omitted"] == {"not_finite": {"count": 1, "examples": ["b"]}}
    assert made["splits"] == {"train": 1, "test": 1}


def test_the_number_of_shards_does_not_change_what_is_read(corpus, tmp_path):
    lines = [f"c{i} {'test' if i % 3 else 'train'} {i}" for i in range(12)]
    kit.run_build("vectors", corpus(*lines), tmp_path / "one")
    kit.run_build("vectors", corpus(*lines), tmp_path / "three", num_shards=3)
    one, three = (
        features.FeaturesDataset(folder_of(tmp_path / name), "test") for name in ("one", "three")
    )
    assert len(list(folder_of(tmp_path / "three").glob("*test*of-00003"))) == 3
    assert [one.read(i)["id"] for i in range(8)] == [three.read(i)["id"] for i in range(8)]
    assert one.fingerprint == three.fingerprint


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("a train 0", "a test 1"), "record 'a': an id occurs twice"),
        (("a train 0", "b dev 1"), "record 'b': no split 'dev'; splits: train, test"),
        (("a train 0", "b test 0 unlabelled"), "(?s)nothing of split test is left.*no_label"),
        (("a train 0 narrow", "b test 0"), r"'a': face has the shape \(4, 2\); .*\[rows, 3\]"),
    ],
)
def test_records_that_cannot_be_meant_leave_no_dataset(corpus, tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        kit.run_build("vectors", corpus(*lines), tmp_path / "data")
    assert not folder_of(tmp_path / "data").exists()
    assert not [p for p in folder_of(tmp_path / "data").parent.iterdir() if p.is_dir()]


def test_other_input_and_other_settings_are_noticed(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data")
    assert "already whole" in kit.run_build("vectors", corpus(*LINES), tmp_path / "data")
    with pytest.raises(ValueError, match="other input or settings: fingerprint was"):
        kit.run_build("vectors", corpus("z train 0", *LINES[1:]), tmp_path / "data")
    kit.run_build("vectors", corpus("z train 0", *LINES[1:]), tmp_path / "data", overwrite=True)
    found = features.FeaturesDataset(folder_of(tmp_path / "data"), "train")
    assert found.read(0)["id"] == "z"


def test_extraction_settings_are_refused_where_nothing_is_extracted(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"--extract\.\* has no effect on .*'plain'"):
        kit.run_build("vectors", corpus(*LINES), tmp_path / "data", {"max_faces": 2})


def test_a_failed_overwrite_leaves_the_old_dataset(corpus, tmp_path):
    kit.run_build("vectors", corpus(*LINES), tmp_path / "data")
    with pytest.raises(ValueError, match="occurs twice"):
        kit.run_build("vectors", corpus("a train 0", "a test 1"), tmp_path / "data", overwrite=True)
    assert len(features.FeaturesDataset(folder_of(tmp_path / "data"), "train")) == 3
    assert folders.report(folder_of(tmp_path / "data"))
