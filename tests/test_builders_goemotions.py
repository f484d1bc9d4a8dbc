"""goemotions: tab-separated comments in the form of the source; one label or several."""

import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders.goemotions import taxonomy
from tfds_builders.goemotions.goemotions_dataset_builder import check_labels, read, row
from tfds_builders.listing import Tally

TRAIN = (
    "WHY THE FUCK IS [NAME] ISOING\t2\teezlygj",
    " We need more boards 😝\t8,20\ted7f7dn",
    "\"No, that's a quote\t17,2\teda6yn6",  # a quotation mark that never closes
    "so glad, thanks\t15,17\teda9999",
    "line\u2028separator inside\t27\tedaaaaa",
)
DEV = ("I miss them\t25\tedbbbbb",)
TEST = ("ew\t11\tedccccc", "fine\t27,4\tedddddd")


def write_source(folder, train=TRAIN, dev=DEV, test=TEST, encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    for name, lines in {"train": train, "dev": dev, "test": test}.items():
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{name}.tsv").write_bytes(text.encode(encoding))
    return folder


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "source")


def dataset(source, data_dir, config="original"):
    kit.run_build("goemotions", source, data_dir, config=config)
    return kit.read_dataset(data_dir / "goemotions" / config / "1.0.0")


def test_comments_are_clips_of_words_in_their_official_splits(source, tmp_path):
    data = dataset(source, tmp_path / "data")
    assert {split: [clip["id"] for clip in clips] for split, clips in data.items()} == {
        "train": ["eezlygj", "ed7f7dn", "eda6yn6", "eda9999", "edaaaaa"],
        "validation": ["edbbbbb"],
        "test": ["edccccc", "edddddd"],
    }
    second = data["train"][1]
    assert second["text"] == "We need more boards 😝"
    assert second["words/text"] == ["We", "need", "more", "boards", "😝"]
    assert data["train"][2]["text"] == "\"No, that's a quote"
    assert second["speech"] == b""
    assert len(second["faces"]) == 0


def test_all_labels_are_kept_and_one_that_is_alone_is_the_emotion(source, tmp_path):
    train = dataset(source, tmp_path / "data")["train"]
    assert [clip["labels"] for clip in train] == [
        "anger", "desire,optimism", "anger,joy", "gratitude,joy", "neutral",
    ]  # fmt: skip
    names = [record.EMOTIONS[clip["emotion"]] if clip["emotion"] >= 0 else "" for clip in train]
    assert names == ["anger", "", "", "", "neutral"]
    shown = dict(zip(record.EMOTIONS, train[2]["emotions"].tolist(), strict=True))
    assert {name for name, value in shown.items() if value == 1} == {"anger", "happiness"}
    assert {name for name, value in shown.items() if np.isnan(value)} == {
        "frustration", "calm", "contempt", "other",
    }  # fmt: skip
    notes = kit.read_metadata(tmp_path / "data" / "goemotions" / "original" / "1.0.0")["listing"]
    assert notes["notes"] == {"comments with several labels, so without `emotion`": 4}


def test_coarser_sets_are_made_by_the_mapping_of_the_authors(source, tmp_path):
    ekman = dataset(source, tmp_path / "data", "ekman")
    assert [clip["labels"] for clip in ekman["train"]] == [
        "anger", "joy", "anger,joy", "joy", "neutral",
    ]  # fmt: skip
    assert [record.EMOTIONS[clip["emotion"]] for clip in ekman["train"][:2]] == [
        "anger", "happiness",
    ]  # fmt: skip
    group = dataset(source, tmp_path / "data", "group")
    assert [clip["labels"] for clip in group["test"]] == ["negative", "neutral,positive"]


def test_each_coarse_label_stands_for_some_and_each_label_has_one_coarse_one():
    assert len(taxonomy.ORIGINAL) == 28
    for name in ("ekman", "group"):
        parts = [label for labels in taxonomy.SETS[name].values() for label in labels]
        assert sorted(parts) == sorted(taxonomy.ORIGINAL)


def test_a_comment_that_is_there_twice_or_without_words_is_left_out_and_counted(tmp_path):
    source = write_source(tmp_path / "source", train=(*TRAIN, TRAIN[0], "  \t3\tedempty"))
    kit.run_build("goemotions", source, tmp_path / "data")
    listing = kit.read_metadata(tmp_path / "data" / "goemotions" / "original" / "1.0.0")["listing"]
    assert (listing["listed"], listing["kept"]) == (10, 8)
    assert listing["omitted"] == {
        "duplicate_id": {"count": 1, "examples": ["eezlygj"]},
        "no_text": {"count": 1, "examples": ["edempty"]},
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("text\t28\tedxxxxx", r"train\.tsv line 6: labels '28'; expected numbers from 0 to 27"),
        ("text\tjoy\tedxxxxx", "labels 'joy'"),
        ("text\t-1\tedxxxxx", "labels '-1'"),
        ("text\t\tedxxxxx", "labels ''"),
        ("a\ttab\t3\tedxxxxx", r"line 6: 4 cells; expected text, label numbers and id"),
        ("text,3,edxxxxx", "1 cells"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_its_line(tmp_path, line, message):
    source = write_source(tmp_path / "source", train=(*TRAIN, line))
    with pytest.raises(ValueError, match=message):
        kit.run_build("goemotions", source, tmp_path / "data")
    assert not list((tmp_path / "data" / "goemotions" / "original").glob("1.0.0"))


def test_other_encodings_and_line_ends_are_read(tmp_path):
    rows = ("déjà vu\t27\tedaaaaa\r",)
    for encoding in ("utf-8-sig", "cp1252", "utf-16"):
        source = write_source(tmp_path / encoding, rows, (), (), encoding)
        ((_, clip),) = read({"train": source / "train.tsv"}, "original", Tally())
        assert (clip["text"], clip["id"]) == ("déjà vu", "edaaaaa")


def test_files_that_number_other_labels_are_refused(source):
    (source / "emotions.txt").write_text("\n".join(taxonomy.ORIGINAL))
    check_labels(source)
    (source / "labels.txt").write_text("anger\ndisgust\nfear\njoy\nneutral\nsadness\nsurprise")
    with pytest.raises(ValueError, match=r"labels\.txt has 7 labels .* expected the 28"):
        check_labels(source)


def test_a_missing_file_is_named_and_a_folder_original_is_looked_into(source, tmp_path):
    (tmp_path / "all").mkdir()
    source.rename(tmp_path / "all" / "original")
    assert len(dataset(tmp_path / "all", tmp_path / "data")["test"]) == 2
    (tmp_path / "all" / "original" / "dev.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"no dev\.tsv in .*original.*train\.tsv, dev\.tsv"):
        kit.run_build("goemotions", tmp_path / "all", tmp_path / "data", overwrite=True)


@pytest.mark.real_data
def test_the_mapping_gives_the_published_coarser_sets_comment_by_comment(real_data_root):
    root = real_data_root / "text" / "goemotions"
    check_labels(root / "original")
    for split, size in {"train": 43410, "dev": 5426, "test": 5427}.items():
        lines = (root / "original" / f"{split}.tsv").read_text("utf-8").split("\n")[:-1]
        fine = [row(line, "") for line in lines]
        assert len({name for _, _, name in fine}) == size
        for label_set in ("ekman", "group"):
            names = (root / label_set / "labels.txt").read_text().split()
            coarse = (root / label_set / f"{split}.tsv").read_text("utf-8").split("\n")[:-1]
            for (_, numbers, name), line in zip(fine, coarse, strict=True):
                _, expected, comment = line.split("\t")
                assert name == comment
                expected = {names[int(number)] for number in expected.split(",")}
                assert set(taxonomy.mapped(numbers, label_set)) == expected
