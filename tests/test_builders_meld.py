"""meld: the unpacked archive becomes clips in its splits; odd rows and files are counted."""

import math

import acted_samples
import builders_kit as kit
import meld_samples
import pytest
from meld_samples import FOLDERS, TABLES

from memobert_jax import record
from memobert_jax.media import clips
from tfds_builders.meld import meld_dataset_builder as meld
from tfds_builders.meld import rows

APOSTROPHE = "\u2019"


def touch(path, seed):
    """In place of a clip, where nothing is extracted or `kit.fake_extract` does."""
    path.write_text(f"video {seed}")


@pytest.fixture
def corpus(tmp_path):
    return meld_samples.write_meld(tmp_path / "in", media=touch)


def edit(path, old, new, encoding="cp1252"):
    text = path.read_bytes().decode(encoding)
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode(encoding))


def dataset(root, config="default"):
    return root / "data" / "meld" / config / "1.0.0"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(report, records by id and split, metadata, ledgers by file) of real clips and odd ones."""
    root = tmp_path_factory.mktemp("meld")
    folder = meld_samples.write_meld(root / "in")
    train = folder / FOLDERS["train"]
    (train / "dia0_utt1.mp4").write_bytes(b"no video" * 500)
    (train / "dia2_utt1.mp4").write_bytes((train / "dia2_utt0.mp4").read_bytes())
    (train / "._dia0_utt0.mp4").write_bytes(b"resource fork")
    meld_samples.write_clip(folder / FOLDERS["test"] / "dia0_utt1.mp4", 44, seconds=11.5)
    meld_samples.write_clip(folder / FOLDERS["test"] / "dia1_utt0.mp4", 45, layout="5.1")
    report = kit.run_build("meld", folder, root / "data")
    splits = {
        split: {clip["id"]: clip for clip in found}
        for split, found in kit.read_dataset(dataset(root)).items()
    }
    ledgers = {line["video_id"]: line for line in kit.read_ledgers(dataset(root))}
    return report, splits, kit.read_metadata(dataset(root)), ledgers


def test_a_row_and_its_file_become_a_clip_of_its_split(built):
    _, splits, _, _ = built
    assert {split: set(found) for split, found in splits.items()} == {
        "train": {"train_dia0_utt0", "train_dia2_utt0", "train_dia2_utt1"},
        "validation": {"dev_dia0_utt0", "dev_dia0_utt1"},
        "test": {"test_dia0_utt0", "test_dia1_utt0"},
    }
    clip = splits["train"]["train_dia2_utt0"]
    assert clip["text"] == f"No, no, don{APOSTROPHE}t!"
    assert (clip["speaker"], clip["gender"]) == ("Bob", "")
    assert (clip["session"], clip["dialogue"]) == ("s09e01", "train_dia2")
    assert (record.EMOTIONS[clip["emotion"]], clip["sentiment"]) == ("fear", -1)
    assert clip["video_id"] == "train/train_splits/dia2_utt0.mp4"
    assert len(clip["faces"]) >= 8
    assert clip["speech"].startswith(b"fLaC")
    assert clip["end_s"] == pytest.approx(1.0, abs=0.05)


def test_every_emotion_and_sentiment_of_the_tables_has_its_canonical_value(corpus):
    found = {
        utterance.fields["id"]: utterance.fields
        for source in acted_samples.listed("meld", corpus).sources
        for utterance in source.utterances
    }
    values = {
        name: (record.EMOTIONS[fields["emotion"]], fields["sentiment"])
        for name, fields in found.items()
    }
    assert values == {
        "train_dia0_utt0": ("neutral", 0),
        "train_dia0_utt1": ("surprise", 1),
        "train_dia2_utt0": ("fear", -1),
        "train_dia2_utt1": ("anger", -1),
        "dev_dia0_utt0": ("disgust", -1),
        "dev_dia0_utt1": ("neutral", 0),
        "test_dia0_utt0": ("happiness", 1),
        "test_dia0_utt1": ("sadness", -1),
        "test_dia1_utt0": ("neutral", 0),
    }


def test_no_dialogue_is_in_two_splits_though_its_numbers_are(built):
    _, splits, _, _ = built
    dialogues = [{clip["dialogue"] for clip in found.values()} for found in splits.values()]
    assert sum(map(len, dialogues)) == len(set.union(*dialogues)) == 5


def test_surround_sound_is_heard(built):
    _, splits, _, _ = built
    assert splits["test"]["test_dia1_utt0"]["speech"].startswith(b"fLaC")


def test_a_file_that_cannot_be_read_or_outlasts_its_row_costs_itself(built):
    _, _, metadata, ledgers = built
    lost = {name: set(line["dropped"]) for name, line in ledgers.items() if not line["clips"]}
    assert lost == {
        "train/train_splits/dia0_utt1.mp4": {"not_media"},
        "test/output_repeated_splits_test/dia0_utt1.mp4": {"longer_than_listed"},
    }
    assert metadata["ledger"]["dropped"]["longer_than_listed"]["seconds"] == pytest.approx(
        11.5, 0.01
    )
    assert metadata["listing"]["listed"] == metadata["listing"]["kept"] == 9


def test_one_file_for_two_utterances_is_kept_and_noted(built):
    report, _, metadata, ledgers = built
    assert ledgers["train/train_splits/dia2_utt1.mp4"]["notes"]["copy"] == 1
    assert metadata["ledger"]["notes"]["copy"] == 1
    assert "note: copy" in report


def test_a_build_that_lacks_clips_of_the_published_corpus_says_so_loudly(built):
    report = built[0]
    assert "*** split train, clips: built 3, published 9989 (-9986)" in report
    assert "*** split test, emotion/sadness: built 0, published 208 (-208)" in report


def test_the_published_classes_of_each_split_are_all_of_its_utterances():
    counts = meld._PUBLISHED.counts
    assert {split: part["clips"] for split, part in counts.items()} == {
        "train": 9989,
        "validation": 1109,
        "test": 2610,
    }
    assert counts["train"]["emotion/happiness"] == 1743
    assert counts["validation"]["emotion/disgust"] == 22
    assert counts["test"]["emotion/neutral"] == 1256


def test_rows_without_files_files_without_rows_and_rows_said_twice_are_left_out(corpus):
    (corpus / FOLDERS["dev"] / "dia0_utt1.mp4").unlink()
    touch(corpus / FOLDERS["dev"] / "dia66_utt9.mp4", 50)
    touch(corpus / FOLDERS["test"] / "final_videos_testdia101_utt0.mp4", 51)
    touch(corpus / FOLDERS["test"] / "._dia0_utt0.mp4", 52)
    with (corpus / TABLES["test"]).open("a") as table:
        table.write('20,Well?,All,joy,positive,1,0,1,23,"0:10:44,769","0:10:45,769"\n')
    found = acted_samples.listed("meld", corpus)
    assert acted_samples.omitted(found) == {
        "dev_dia0_utt1": "no_media",
        "dev/dev_splits_complete/dia66_utt9.mp4": "no_annotation",
        "test_dia1_utt0": "duplicate_id",
        "test/output_repeated_splits_test/final_videos_testdia101_utt0.mp4": "no_annotation",
    }
    assert found.totals()["listed"] == 12


@pytest.mark.parametrize(
    ("config", "taken", "left"),
    [
        ("default", "dia0_utt0.mp4", "final_videos_testdia0_utt0.mp4"),
        ("final_cuts", "final_videos_testdia0_utt0.mp4", "dia0_utt0.mp4"),
    ],
)
def test_of_two_cuts_of_a_test_clip_the_configuration_takes_one(corpus, config, taken, left):
    folder = corpus / FOLDERS["test"]
    touch(folder / "final_videos_testdia0_utt0.mp4", 60)
    (folder / "dia1_utt0.mp4").rename(folder / "final_videos_testdia1_utt0.mp4")
    found = acted_samples.listed("meld", corpus, config)
    names = {s.utterances[0].fields["id"]: s.path.rsplit("/", 1)[1] for s in found.sources}
    assert names["test_dia0_utt0"] == taken
    assert names["test_dia0_utt1"] == "dia0_utt1.mp4"
    assert names["test_dia1_utt0"] == "final_videos_testdia1_utt0.mp4"
    assert acted_samples.omitted(found) == {f"output_repeated_splits_test/{left}": "other_setting"}


def test_tables_and_folders_are_found_without_the_folders_of_the_archives(corpus):
    for place in (*FOLDERS.values(), *TABLES.values()):
        if "/" in place:
            (corpus / place).rename(corpus / place.split("/")[1])
    found = acted_samples.listed("meld", corpus)
    assert {source.video_id.split("/")[0] for source in found.sources} == {
        "train_splits",
        "dev_splits_complete",
        "output_repeated_splits_test",
    }


def test_an_archive_that_was_not_extracted_is_named(corpus):
    (corpus / FOLDERS["dev"]).rename(corpus / "elsewhere")
    (corpus / "dev.tar.gz").touch()
    with pytest.raises(FileNotFoundError, match=r"no dev_splits_complete .*Extract .*dev\.tar\.gz"):
        acted_samples.listed("meld", corpus)
    (corpus / TABLES["test"]).unlink()
    (corpus / FOLDERS["dev"]).mkdir()
    with pytest.raises(FileNotFoundError, match=r"no test_sent_emo\.csv in"):
        acted_samples.listed("meld", corpus)


@pytest.mark.parametrize(
    ("apostrophe", "encoding"),
    [
        ("\x92", "utf-8"),  # Windows-1252, read as Latin-1, written as UTF-8: the release
        (APOSTROPHE, "cp1252"),
        (APOSTROPHE, "utf-8"),
        (APOSTROPHE, "utf-8-sig"),
        (APOSTROPHE, "utf-16"),
    ],
)
def test_every_encoding_of_an_apostrophe_is_read_as_one(tmp_path, apostrophe, encoding):
    path = tmp_path / "train_sent_emo.csv"
    row = meld_samples.ROWS["train"][0].replace("\x92", apostrophe)
    path.write_bytes(f"{meld_samples.HEADER}\n{row}\n".encode(encoding))
    (found,) = rows.read(path, "train")
    assert found.utterance.text == f"I told him, it{APOSTROPHE}s over."


def test_a_dash_of_windows_is_a_dash():
    assert rows.repaired("Oh \x97 really \x85 caf\xe9") == "Oh — really … café"


def test_times_are_read_in_both_spellings_and_others_are_none():
    assert rows.seconds("00:14:38,127") == pytest.approx(878.127)
    assert rows.seconds("0:10:44,769") == pytest.approx(644.769)
    assert rows.seconds("1:00:00.5") is math.nan
    assert rows.seconds("") is math.nan


def test_times_that_make_no_length_are_noted_and_drop_nothing(corpus, monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)  # whose files last ten seconds
    monkeypatch.setattr(clips, "identity", kit.fake_identity)
    edit(corpus / TABLES["test"], '"0:10:45,769"', '"0:10:33,769"')
    edit(corpus / TABLES["test"], '"00:14:39,127"', "soon")
    report = kit.run_build("meld", corpus, tmp_path / "data")
    assert "rows whose times make no length, so that their clips are not checked: 2" in report
    assert len(kit.read_dataset(dataset(tmp_path))["test"]) == 3


def test_other_times_are_other_input(corpus, monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)
    kit.run_build("meld", corpus, tmp_path / "data")
    assert "already whole" in kit.run_build("meld", corpus, tmp_path / "data")
    edit(corpus / TABLES["dev"], '"00:20:58,256"', '"00:21:58,256"')
    with pytest.raises(ValueError, match="other input or settings: listed_lengths was"):
        kit.run_build("meld", corpus, tmp_path / "data")


def test_one_file_in_two_splits_is_refused(corpus, monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)
    text = (corpus / FOLDERS["train"] / "dia0_utt0.mp4").read_text()
    (corpus / FOLDERS["test"] / "dia0_utt0.mp4").write_text(text)
    with pytest.raises(ValueError, match="are the same file: what is tested on must not"):
        kit.run_build("meld", corpus, tmp_path / "data")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",joy,", ",bliss,", r"line 2: emotion 'bliss'; expected one of neutral, surprise, fear"),
        (",joy,", ",,", "line 2: emotion ''; expected"),
        (",positive,", ",good,", "line 2: sentiment 'good'; expected one of negative"),
        ("positive,0,0", "positive,../../x,0", r"line 2: dialogue_id '\.\./\.\./x'; expected a"),
        ("positive,0,0", "positive,0,-1", "line 2: utterance_id '-1'; expected a whole number"),
        ("0,0,3,19", "0,0,three,19", "line 2: season 'three'; expected a whole number"),
        ("Sr No.", "No.", r"missing \['sr no\.'\], unknown \['no\.'\]"),
        ("We won!", "We, won!", "line 2: expected 11 columns"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_the_line(corpus, old, new, message):
    edit(corpus / TABLES["test"], old, new)
    with pytest.raises(ValueError, match=message):
        acted_samples.listed("meld", corpus)


def test_rows_in_another_order_are_the_same_clips(corpus):
    before = acted_samples.listed("meld", corpus)
    path = corpus / TABLES["train"]
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]) + "\n")
    after = acted_samples.listed("meld", corpus)
    assert after.sources != before.sources
    assert sorted(after.sources, key=lambda s: s.video_id) == sorted(
        before.sources, key=lambda s: s.video_id
    )
