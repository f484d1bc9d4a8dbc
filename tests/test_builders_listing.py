"""The listing ledger, the label counts beside the published ones, and refused manual_dirs."""

import dataclasses
from collections import Counter

import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import record
from memobert_jax.media import clips
from memobert_jax.media.subtitles import Utterance
from tfds_builders import labels, listing, manual
from tfds_builders.clips_builder import check_ids
from tfds_builders.extraction import Source
from tfds_builders.labels import Published
from tfds_builders.listing import Listing, Omission, Tally


def test_an_item_that_a_reader_loses_is_an_error():
    tally = Tally()
    tally.listed = 3
    tally.omit(Omission.NO_MEDIA, "gone")
    sources = [Source("a", utterances=(Utterance(0.0, 1.0),))]
    with pytest.raises(RuntimeError, match="3 items were listed, but 1 are kept and 1 left out"):
        Listing(sources, tally).totals()
    tally.omit(Omission.NO_LABEL, "other")
    assert Listing(sources, tally).totals()["listed"] == 3


def test_utterances_and_files_cut_by_subtitles_are_the_items_that_are_kept():
    utterances = (Utterance(0.0, 1.0), Utterance(1.0, 2.0))
    found = Listing.of([Source("a", utterances=utterances), Source("b"), Source("c")]).totals()
    assert (found["listed"], found["kept"], found["omitted"]) == (4, 4, {})


def test_every_reason_stands_with_its_count_and_a_few_ids_and_all_ids_in_a_file(tmp_path):
    tally = Tally()
    tally.listed = 8
    for number in range(7):
        tally.omit(Omission.NO_MAJORITY, f"clip{number}")
    tally.note("start before zero, set to zero", 2)
    totals = tally.totals(kept=1)
    shown = totals["omitted"]["no_majority"]
    assert shown == {"count": 7, "examples": [f"clip{i}" for i in range(listing.EXAMPLES)]}
    text = listing.table(totals)
    assert "no label has a majority" in text
    assert "(clip0, clip1, clip2, clip3, clip4, …)" in text
    assert "note: start before zero, set to zero: 2" in text
    tally.write(tmp_path)
    lines = (tmp_path / listing.OMITTED_FILE).read_text().splitlines()
    assert lines[-1] == '{"id": "clip6", "reason": "no_majority"}'
    assert len(lines) == 7


def test_every_reason_is_explained():
    assert set(listing.EXPLANATIONS) == set(Omission)


def test_labels_are_counted_where_they_are_there():
    intensities = np.zeros(len(record.EMOTIONS), np.float32)
    intensities[[0, 3]] = 0.5, 1.0
    item = record.make("clips", emotion=3, emotions=intensities, labels="joy,rage")
    item["valence"] = np.float32(0.2)
    assert labels.count(item) == {
        "clips": 1,
        "emotion": 1,
        "emotion/happiness": 1,
        "emotions": 1,
        "emotions/anger": 1,
        "emotions/happiness": 1,
        "labels": 1,
        "labels/joy": 1,
        "labels/rage": 1,
        "valence": 1,
    }
    assert labels.count(record.blank("clips")) == {"clips": 1}
    assert {key for key in labels.count(item) if "labels/" not in key} <= labels.KEYS


BUILT = {"train": {"clips": 5, "emotion/anger": 3, "emotion/fear": 2}, "test": {"clips": 4}}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"train": {"clips": 5}}, []),
        ({"train": {"clips": 6}}, [("train", "clips", 5, 6)]),
        ({"all": {"clips": 9}}, []),
        ({"all": {"clips": 8}}, [("all", "clips", 9, 8)]),
        ({"train": {"emotion/anger": 3}}, [("train", "emotion/fear", 2, 0)]),
        ({"train": {"emotion/anger": 3, "emotion/fear": 2}}, []),
        ({"train": {"emotion/sadness": 1, "emotion/anger": 3, "emotion/fear": 2}},
         [("train", "emotion/sadness", 0, 1)]),
        ({"validation": {"clips": 1}}, [("validation", "clips", 0, 1)]),
        ({"test": {"labels/joy": 1}}, [("test", "labels/joy", 0, 1)]),
    ],
)  # fmt: skip
def test_a_count_that_differs_from_the_published_one_is_shown_loudly(given, found):
    published = Published("the paper, table 1", given)
    assert labels.differences(BUILT, published) == found
    text = labels.describe(BUILT, published)
    assert ("COUNTS DIFFER FROM THE PUBLISHED ONES (the paper, table 1)" in text) == bool(found)
    assert ("are met (the paper, table 1)" in text) != bool(found)
    for split, key, here, there in found:
        assert f"*** split {split}, {key}: built {here}, published {there}" in text


def test_a_misspelt_published_count_is_refused():
    with pytest.raises(ValueError, match=r"published counts of \['emotion/angry'\]"):
        Published("the paper", {"train": {"emotion/angry": 3}})


def test_unknown_published_counts_are_said_to_be_unknown_and_unlabelled_sets_say_nothing():
    assert "no published counts are known" in labels.describe(BUILT, None)
    assert labels.describe({"train": {"clips": 4}}, None) == ""


@pytest.fixture
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)


@pytest.mark.usefixtures("_stand_in")
def test_the_labels_of_a_dataset_are_counted_from_all_its_shards(tmp_path):
    rows = ["path,start,end,text,label,speaker,split,valence"]
    for number in range(9):
        split, label = "train" if number < 6 else "test", ("happy", "sad", "")[number % 3]
        rows.append(f"v{number}.mp4,,,text,{label},,{split},{number if number % 2 else ''}")
    kit.make_corpus(tmp_path / "in", 9)
    (tmp_path / "in" / "v1.mp4").write_text("bad")  # listed with a label, but not in the shards
    (tmp_path / "in" / "clips.csv").write_text("\n".join(rows))
    said = kit.run_build("folder_corpus", tmp_path / "in", tmp_path / "data", num_shards=2)
    folder = tmp_path / "data" / "folder_corpus" / "default" / "1.0.0"
    assert len(list(folder.glob("*train*of-00002"))) == 2
    counts = kit.read_metadata(folder)["labels"]
    assert counts["train"] == {
        "clips": 5, "emotion": 3, "emotion/happiness": 2, "emotion/sadness": 1, "valence": 2,
    }  # fmt: skip
    recounted = {
        split: dict(sum((labels.count(clip) for clip in part), Counter()))
        for split, part in kit.read_dataset(folder).items()
    }
    assert counts == recounted
    assert "no published counts are known" in said


def test_a_name_that_is_there_twice_is_refused():
    one = Source("a", utterances=(Utterance(0.0, 1.0, fields={"id": "x"}),))
    check_ids([one, Source("b")])
    with pytest.raises(ValueError, match="1 names of sources are there twice, such as 'a'"):
        check_ids([one, Source("a")])
    with pytest.raises(ValueError, match="1 names of utterances are there twice, such as 'x'"):
        check_ids([one, dataclasses.replace(one, video_id="b")])


def test_a_manual_dir_that_cannot_be_a_corpus_is_refused_with_what_to_do(tmp_path):
    def refused(error, message, path):
        with pytest.raises(error, match=f"(?s){message}.*put it there"):
            manual.check(path, "put it there")

    refused(FileNotFoundError, "nowhere is not there", tmp_path / "nowhere")
    (tmp_path / "corpus.tar.gz").touch()
    refused(NotADirectoryError, "an archive: extract it", tmp_path / "corpus.tar.gz")
    (tmp_path / "notes.txt").touch()
    refused(NotADirectoryError, "is a file, not a folder", tmp_path / "notes.txt")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / ".hidden").touch()
    refused(FileNotFoundError, "is empty", tmp_path / "in")
    (tmp_path / "in" / "Actor_01.ZIP").touch()
    (tmp_path / "in" / "Actor_02.zip").touch()
    refused(
        FileNotFoundError, r"nothing but archives \(Actor_01.ZIP, Act.*extract", tmp_path / "in"
    )
    (tmp_path / "in" / "Actor_01").mkdir()
    manual.check(tmp_path / "in", "put it there")


def test_a_missing_part_is_named_with_what_is_there_instead(tmp_path):
    (tmp_path / "labels.csv").touch()
    assert manual.need(tmp_path, "labels.csv", "") == tmp_path / "labels.csv"
    with pytest.raises(
        FileNotFoundError, match=r"no a/b.csv in .*, which holds labels\.csv\. put it"
    ):
        manual.need(tmp_path, "a/b.csv", "put it there")
    (tmp_path / "a.tgz").touch()
    with pytest.raises(FileNotFoundError, match=r"Extract the archives .*\(a\.tgz\)"):
        manual.need(tmp_path, "a/b.csv", "put it there")


def test_a_corpus_of_archives_is_refused_by_every_builder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "videos.zip").touch()
    with pytest.raises(FileNotFoundError, match="extract them there"):
        kit.run_build("video_corpus", tmp_path / "in", tmp_path / "data")
