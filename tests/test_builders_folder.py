"""folder_corpus: the CSV file as people write it, and the dataset that comes of it."""

import math

import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders import tables
from tfds_builders.folder_corpus import rows

HEADER = "path,start,end,text,label,speaker,split"


@pytest.fixture
def listed(tmp_path):
    """Sources of a CSV text, by name."""

    def read(text, aliases=tables.ALIASES, encoding="utf-8"):
        file = tmp_path / "clips.csv"
        file.write_bytes(text.encode(encoding))
        return {s.video_id: s for s in rows.sources(file, tmp_path, aliases)}

    return read


def test_a_row_becomes_an_utterance_with_its_fields(listed, tmp_path):
    header = f"{HEADER},id,gender,session,dialogue,valence,sentiment"
    (source,) = listed(
        f'{header}\na/x.mp4,1.5,4,"oh, no",Sad,anna,train,mine,F,s1,d1,-0.5,2\n'
    ).values()
    assert (source.video_id, source.split) == ("a/x.mp4", "train")
    assert source.path == str(tmp_path / "a" / "x.mp4")
    (utterance,) = source.utterances
    assert (utterance.start_s, utterance.end_s, utterance.text) == (1.5, 4.0, "oh, no")
    fields = dict(utterance.fields)
    assert fields.pop("emotion") == record.EMOTIONS.index("sadness")
    assert math.isnan(fields.pop("arousal"))
    assert math.isnan(fields.pop("dominance"))
    assert fields == {
        "id": "mine",
        "gender": "female",
        "speaker": "anna",
        "session": "s1",
        "dialogue": "d1",
        "valence": -0.5,
        "sentiment": 2.0,
    }


def test_rows_of_one_file_are_one_source_and_a_row_without_a_path_is_its_own(listed):
    sources = listed(
        f"{HEADER}\nx.mp4,0,1,one,,,train\n,,,only words,,,test\nx.mp4,2,3,two,,,train\n"
        ",,,more words,,,test\n"
    )
    assert [u.text for u in sources["x.mp4"].utterances] == ["one", "two"]
    assert sources["line_3"].path == ""
    assert [u.text for u in sources["line_3"].utterances] == ["only words"]
    assert sources["line_5"].split == "test"


def test_no_times_mean_the_whole_file(listed):
    (utterance,) = listed(f"{HEADER}\nx.mp4,,,one,,,train\n")["x.mp4"].utterances
    assert (utterance.start_s, utterance.end_s) == (0.0, math.inf)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_of_office_programs_are_read(listed, encoding, separator):
    text = f"{HEADER}\r\nx.mp4,,,café … «né»,joy,zoë,train\r\n".replace(",", separator)
    (utterance,) = listed(text, encoding=encoding)["x.mp4"].utterances
    assert utterance.text == "café … «né»"
    assert utterance.fields["speaker"] == "zoë"


def test_lines_that_end_as_on_an_old_mac_are_read(listed):
    (utterance,) = listed(f"{HEADER}\rx.mp4,,,one,joy,,train\r")["x.mp4"].utterances
    assert utterance.text == "one"


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("angry", "anger"),
        ("HAPPY", "happiness"),
        ("fearful", "fear"),
        ("disgust", "disgust"),
        ("disgusted", "disgust"),
        ("surprised", "surprise"),
        ("calm", "calm"),
        ("neutral", "neutral"),
        ("sad", "sadness"),
        ("exc", "excitement"),
    ],
)
def test_spellings_of_the_corpora_map_to_canonical_labels(label, name):
    assert tables.emotion_id(label, "here") == record.EMOTIONS.index(name)


def test_every_alias_is_a_canonical_label():
    assert set(tables.ALIASES.values()) <= set(record.EMOTIONS)
    assert not set(tables.ALIASES) & set(record.EMOTIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns \(none\)"),
        (f"{HEADER}\n", "has a header but no rows"),
        ("path,start,end,text,speaker,split\nx,,,t,,train", r"missing \['label'\]"),
        (f"{HEADER},valance\nx,,,t,,,train,1", "did you mean 'valence' by 'valance'"),
        (f"{HEADER}\nx.mp4,0,1,one, two,,,train\n", "line 2: expected 7 columns.*double quotes"),
        (f"{HEADER}\nx.mp4,0,1,one\n", "line 2: expected 7 columns"),
        (f"{HEADER}\n/etc/x.mp4,,,t,,,train\n", "line 2: path '/etc/x.mp4' leaves the folder"),
        (f"{HEADER}\na/../../x.mp4,,,t,,,train\n", "leaves the folder"),
        (f"{HEADER}\n..\\x.mp4,,,t,,,train\n", "leaves the folder"),
        (f"{HEADER}\nx.mp4,3,3,t,,,train\n", "line 2: start '3', end '3'; expected .* start < end"),
        (f"{HEADER}\nx.mp4,4,3,t,,,train\n", "expected .* start < end"),
        (f"{HEADER}\nx.mp4,-1,3,t,,,train\n", "expected seconds with 0 <= start"),
        (f"{HEADER}\nx.mp4,nan,3,t,,,train\n", "'nan' is not a number"),
        (f'{HEADER}\nx.mp4,"1,5",3,t,,,train\n', "write a point, not a comma"),
        (
            f"{HEADER}\nx.mp4,,,t,hapiness,,train\n",
            "'hapiness'; did you mean 'happiness'.*--aliases",
        ),
        (f"{HEADER}\nx.mp4,,,t,xyz,,train\n", "unknown label 'xyz'.*anger, disgust"),
        (f"{HEADER}\nx.mp4,,,t,,,\n", "split ''; expected a name"),
        (f"{HEADER}\nx.mp4,,,t,,,all\n", "split 'all'; expected a name"),
        (f"{HEADER}\n,,,,happy,,train\n", "line 2: neither path nor text"),
        (f"{HEADER},gender\nx.mp4,,,t,,,train,x\n", "gender 'x'; expected one of"),
        (f"{HEADER},id\nx,,,t,,,a,1\ny,,,t,,,a,1\n", "ids must be unique; these are not: 1"),
        (f"{HEADER},id\nx,,,t,,,a,1\ny,,,t,,,a,\n", "1 of 2 rows have no id"),
        (
            f"{HEADER}\nx.mp4,0,1,t,,,train\nx.mp4,1,2,t,,,test\n",
            r"'x\.mp4' is in the splits \['test', 'train'\]",
        ),
        (f"{HEADER}\n./x.mp4,0,1,t,,,train\nx.mp4,1,2,t,,,test\n", "is in the splits"),
        (f'{HEADER}\nx.mp4,,,"t' + "\n" * 200_000, "after line 1: field larger .* never closed"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_the_line(listed, text, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        listed(text)


def test_a_missing_table_says_which_columns_it_needs(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*clips\.csv; .*path,start,end"):
        kit.run_build("folder_corpus", tmp_path, tmp_path / "data")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--manual_dir=.*nowhere is not there"):
        kit.run_build("folder_corpus", tmp_path / "nowhere", tmp_path / "data")


def test_the_dataset_has_the_splits_and_labels_of_the_table(fake, tmp_path):
    corpus = kit.make_corpus(tmp_path / "in", 3)
    table = tmp_path / "table.csv"
    table.write_text(
        f"{HEADER},arousal\n"
        "v0.mp4,1,2,the [MASK] fell,angry,anna,train,0.25\n"
        "v0.mp4,3,5,two,blissful,anna,train,\n"
        "v1.mp4,,,three,sad,ben,test,\n"
        ",,,four,,cem,test,\n"
        "gone.mp4,,,five,sad,ben,test,\n"
    )
    said = kit.run_build(
        "folder_corpus",
        corpus,
        tmp_path / "data",
        csv=str(table),
        aliases=("blissful:happiness",),
    )
    folder = tmp_path / "data" / "folder_corpus" / "default" / "1.0.0"
    data = kit.read_dataset(folder)
    by_id = {clip["id"]: clip for part in data.values() for clip in part}
    assert {name: len(part) for name, part in data.items()} == {"train": 2, "test": 2}
    labels = {name: record.EMOTIONS[c["emotion"]] for name, c in by_id.items() if c["emotion"] >= 0}
    assert labels == {"v0.mp4_0": "anger", "v0.mp4_1": "happiness", "v1.mp4_0": "sadness"}
    assert by_id["line_5_00000"]["text"] == "four"
    assert by_id["line_5_00000"]["emotion"] == -1
    assert by_id["v0.mp4_0"]["text"] == "the [MASK] fell"
    assert by_id["v0.mp4_0"]["arousal"] == np.float32(0.25)
    assert np.isnan(by_id["v0.mp4_1"]["arousal"])
    assert "missing_file" in said
    assert {line["video_id"]: line["split"] for line in kit.read_ledgers(folder)}[
        "gone.mp4"
    ] == "test"


def test_a_split_without_a_clip_stops_the_build_with_the_reasons(fake, tmp_path):
    corpus = kit.make_corpus(tmp_path / "in", 1)
    (corpus / "clips.csv").write_text(f"{HEADER}\nv0.mp4,,,a,,,train\ngone.mp4,,,b,,,test\n")
    with pytest.raises(ValueError, match=r"(?s)no clip of split 'test' is left.*missing_file"):
        kit.run_build("folder_corpus", corpus, tmp_path / "data")


def test_one_file_under_two_names_may_not_be_in_two_splits(fake, tmp_path):
    corpus = kit.make_corpus(tmp_path / "in", 1)
    (corpus / "twin.mp4").write_bytes((corpus / "v0.mp4").read_bytes())
    (corpus / "clips.csv").write_text(f"{HEADER}\nv0.mp4,,,a,,,train\ntwin.mp4,,,b,,,test\n")
    with pytest.raises(ValueError, match="are the same file: what is tested on must not"):
        kit.run_build("folder_corpus", corpus, tmp_path / "data")


def test_another_label_in_the_table_is_another_dataset(fake, tmp_path):
    corpus = kit.make_corpus(tmp_path / "in", 1)
    (corpus / "clips.csv").write_text(f"{HEADER}\nv0.mp4,,,a,sad,,train\n")
    kit.run_build("folder_corpus", corpus, tmp_path / "data")
    (corpus / "clips.csv").write_text(f"{HEADER}\nv0.mp4,,,a,mad,,train\n")
    with pytest.raises(ValueError, match="other input"):
        kit.run_build("folder_corpus", corpus, tmp_path / "data")


@pytest.mark.real_data
def test_real_video_sound_and_text_meet_in_one_dataset(real_data_root, tmp_path):
    root = real_data_root / "ravdess"
    sound = "speech/03-01-03-01-01-01-02.opus"
    seen = "actor01_mp4/01-01-08-01-01-02-01.mp4"
    said = "Kids are talking by the door."
    table = tmp_path / "table.csv"
    table.write_text(
        f"{HEADER}\n{seen},,,{said},surprised,actor01,test\n{sound},,,{said},happy,actor02,test\n"
        f",,,{said},neutral,actor03,test\n"
    )
    kit.run_build("folder_corpus", root, tmp_path / "data", csv=str(table))
    data = kit.read_dataset(tmp_path / "data" / "folder_corpus" / "default" / "1.0.0")
    by_speaker = {clip["speaker"]: clip for clip in data["test"]}
    has = {name: (len(c["faces"]) > 20, len(c["speech"]) > 9000) for name, c in by_speaker.items()}
    assert has == {"actor01": (True, True), "actor02": (False, True), "actor03": (False, False)}
    assert {clip["text"] for clip in data["test"]} == {said}
