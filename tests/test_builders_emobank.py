"""emobank: one CSV file of sentences with three values each becomes clips of words."""

import builders_kit as kit
import numpy as np
import pytest

HEADER = "id,split,V,A,D,text"
ROWS = (
    '110CYL068_1036_1079,train,3.0,3.0,3.2,"Remember what she said in my last letter? """',
    'A_1,train,1.2,4.4,1.78,"First,\nthen second."',
    "A_2,dev,4.6,1.8,4.2,déjà vu",
    "A_3,test,2.8,3.1,2.8,If I wasn't working here.",
)


def write_source(folder, rows=ROWS, encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    (folder / "emobank.csv").write_bytes("\n".join([HEADER, *rows, ""]).encode(encoding))
    return folder


def build(tmp_path, rows=ROWS, encoding="utf-8"):
    """(split -> clips, metadata) of a build of such a file."""
    kit.run_build("emobank", write_source(tmp_path / "in", rows, encoding), tmp_path / "data")
    folder = tmp_path / "data/emobank/default/1.0.0"
    return kit.read_dataset(folder), kit.read_metadata(folder)


def test_sentences_are_clips_with_three_values_in_their_official_splits(tmp_path):
    data, metadata = build(tmp_path)
    assert {split: [clip["id"] for clip in clips] for split, clips in data.items()} == {
        "train": ["110CYL068_1036_1079", "A_1"],
        "validation": ["A_2"],
        "test": ["A_3"],
    }
    first, second = data["train"]
    assert first["text"] == 'Remember what she said in my last letter? "'
    assert second["words/text"] == ["First,", "then", "second."]
    values = [second[name] for name in ("valence", "arousal", "dominance")]
    np.testing.assert_allclose(values, [1.2, 4.4, 1.78], rtol=1e-6)
    assert second["emotion"] == -1
    assert np.isnan(second["sentiment"])
    assert metadata["published"]["counts"]["train"]["clips"] == 8062


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
def test_other_encodings_are_read(tmp_path, encoding):
    data, _ = build(tmp_path, encoding=encoding)
    assert data["validation"][0]["text"] == "déjà vu"


def test_a_sentence_that_is_there_twice_or_without_words_is_left_out_and_counted(tmp_path):
    _, metadata = build(tmp_path, (*ROWS, ROWS[2], 'A_4,test,3,3,3," "'))
    listing = metadata["listing"]
    assert (listing["listed"], listing["kept"]) == (6, 4)
    assert listing["omitted"] == {
        "duplicate_id": {"count": 1, "examples": ["A_2"]},
        "no_text": {"count": 1, "examples": ["A_4"]},
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("A_9,valid,3,3,3,x", r"line 7: id 'A_9' and split 'valid'; expected .*train, dev, test"),
        (",test,3,3,3,x", "id '' and split 'test'"),
        ("A_9,test,3,5.1,3,x", r"line 7, A: '5\.1'; expected a number from 1 to 5"),
        ("A_9,test,,3,3,x", r"V: ''; expected a number from 1 to 5"),
        ("A_9,test,3,3,high,x", "D: 'high' is not a number"),
        ("A_9,test,3,3", "expected 6 columns"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_its_line(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        build(tmp_path, (*ROWS, row))


def test_another_file_is_refused(tmp_path):
    source = write_source(tmp_path / "in")
    (source / "emobank.csv").rename(source / "reader.csv")
    with pytest.raises(FileNotFoundError, match=r"no emobank\.csv in .*reader\.csv"):
        kit.run_build("emobank", source, tmp_path / "data")


@pytest.mark.real_data
def test_the_real_file_has_the_published_counts(real_data_root, tmp_path):
    kit.run_build("emobank", real_data_root / "text/emobank", tmp_path / "data")
    data = kit.read_dataset(tmp_path / "data/emobank/default/1.0.0")
    assert {split: len(clips) for split, clips in data.items()} == {
        "train": 8062, "validation": 1000, "test": 1000,
    }  # fmt: skip
