"""iemocap: the release as it is on disk becomes labelled clips, and nothing is lost unseen."""

import json
import math
import os
import tarfile

import builders_kit as kit
import cv2
import iemocap_samples as corpus
import media_samples as samples
import numpy as np
import pytest
import soundfile

from memobert_jax import record
from memobert_jax.media import audio
from tfds_builders.iemocap import annotations
from tfds_builders.iemocap.iemocap_dataset_builder import Builder

TWO = {
    "Ses01F_impro01": corpus.TURNS,
    "Ses05M_script01_1b": [
        ("M000", 0.5, 2.0, "hap", (4.5, 4.0, 4.0), "Great."),
        ("F000", 1.0, 3.0, "oth", (3.0, 3.0, 3.0), "Well."),
        ("F001", 4.0, 5.0, "sad", (2.0, 1.5, 2.0), ""),
    ],
}


@pytest.fixture
def listed(tmp_path):
    """The listing of a release under a configuration."""

    def read(root, config="4class"):
        return Builder(data_dir=tmp_path / "data", config=config).listing(root)

    return read


def emotions(found):
    """Id -> name of its emotion, '' without."""
    return {
        turn.fields["id"]: (*record.EMOTIONS, "")[turn.fields["emotion"]]
        for source in found.sources
        for turn in source.utterances
    }


def build(root, tmp_path, config="4class", **changes):
    """(report, records by id, metadata) of a build."""
    report = kit.run_build("iemocap", root, tmp_path / "data", config=config, **changes)
    (folder,) = (tmp_path / "data" / "iemocap").glob("*/1.0.0")
    (part,) = kit.read_dataset(folder).values()
    metadata = json.loads((folder / "metadata.json").read_text())
    return report, {clip["id"]: clip for clip in part}, metadata


def test_a_turn_has_its_labels_groups_times_text_and_half(tmp_path, listed):
    root = corpus.write_release(tmp_path, TWO)
    first, second = listed(root, "all").sources
    assert first.video_id == "Session1/dialog/avi/DivX/Ses01F_impro01.avi"
    assert first.path == str(root / first.video_id)
    turns = {turn.fields["id"]: turn for turn in (*first.utterances, *second.utterances)}
    excited = turns["Ses01F_impro01_F001"]
    assert (excited.start_s, excited.end_s) == (2.5, 4.2)
    assert excited.text == "I won\u2019t [LAUGHTER] believe it."
    assert excited.fields == {
        "id": "Ses01F_impro01_F001",
        "speaker": "Ses01F",
        "session": "Ses01",
        "dialogue": "Ses01F_impro01",
        "gender": "female",
        "emotion": record.EMOTIONS.index("excitement"),
        "labels": "exc,improvised",
        "valence": 4.0,
        "arousal": 3.5,
        "dominance": 3.0,
    }
    male = turns["Ses05M_script01_1b_M000"].fields
    assert (male["speaker"], male["session"], male["gender"]) == ("Ses05M", "Ses05", "male")
    assert (male["dialogue"], male["labels"]) == ("Ses05M_script01_1b", "hap,scripted")
    assert {name: turn.region for name, turn in turns.items() if name.endswith("000")} == {
        "Ses01F_impro01_F000": "left",  # the actress has the markers
        "Ses01F_impro01_M000": "right",
        "Ses05M_script01_1b_M000": "left",
        "Ses05M_script01_1b_F000": "right",
    }


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ("4class", {"F000": "neutral", "F001": "happiness", "M000": "anger"}),
        (
            "6class",
            {"F000": "neutral", "F001": "excitement", "M000": "anger", "M001": "frustration"},
        ),
        (
            "all",
            {
                "F000": "neutral",
                "F001": "excitement",
                "F002": "",
                "M000": "anger",
                "M001": "frustration",
            },
        ),
    ],
)
@pytest.mark.parametrize("media", ["", "_speech"])
def test_each_configuration_has_its_labels(tmp_path, listed, config, labels, media):
    root = corpus.write_release(tmp_path, {"Ses01F_impro01": corpus.TURNS})
    found = listed(root, config + media)
    assert emotions(found) == {f"Ses01F_impro01_{name}": label for name, label in labels.items()}


def test_every_code_of_the_release_has_a_canonical_label_or_none():
    assert set(annotations.CODES.values()) - {""} <= set(record.EMOTIONS)
    published = {config.name: config.published.counts for config in Builder.BUILDER_CONFIGS}
    assert published["4class"] == published["4class_speech"]
    assert published["4class"]["everything"] == {
        "clips": 5531,
        "emotion/anger": 1103,
        "emotion/happiness": 1636,
        "emotion/neutral": 1708,
        "emotion/sadness": 1084,
    }
    assert published["6class"]["everything"]["clips"] == 7380
    assert published["all"]["everything"]["clips"] == 10039


def test_what_is_left_out_is_counted_under_its_reason(tmp_path, listed):
    found = listed(corpus.write_release(tmp_path, TWO))
    assert kit.omitted(found) == {
        "no_majority": ["Ses01F_impro01_F002"],
        "label_not_in_set": ["Ses01F_impro01_M001", "Ses05M_script01_1b_F000"],
        "no_label": ["Ses01F_impro01_FXX0", "Ses05M_script01_1b_FXX0"],
    }
    totals = found.totals()
    assert (totals["listed"], totals["kept"]) == (10, 5)
    assert totals["notes"] == {"lines of transcripts that name no turn": 4}


def test_the_folder_may_be_the_release_or_hold_it(tmp_path, listed):
    root = corpus.write_release(tmp_path, TWO)
    assert listed(tmp_path).sources == listed(root).sources


def test_the_sound_files_alone_are_a_corpus(tmp_path, listed):
    root = corpus.write_release(tmp_path, TWO, films=False)
    found = listed(root, "4class_speech")
    source = next(s for s in found.sources if s.video_id.endswith("Ses01F_impro01_M000.wav"))
    assert source.video_id == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    (turn,) = source.utterances
    assert (turn.start_s, turn.end_s, turn.region) == (0.0, math.inf, "")
    assert turn.text == "Do you have your forms?"
    with pytest.raises(FileNotFoundError, match=r"no film in .*name ends in _speech"):
        listed(root)


def test_files_without_annotation_and_turns_without_file_are_counted(tmp_path, listed):
    root = corpus.write_release(tmp_path, TWO)
    evaluations = root / "Session5" / "dialog" / "EmoEvaluation"
    (evaluations / "Ses05M_script01_1b.txt").unlink()
    (root / "Session1" / "dialog" / "avi" / "DivX" / "Ses01F_impro01.avi").unlink()
    corpus.put(evaluations / "Ses05F_impro01.txt", corpus.evaluation("Ses05F_impro01"))
    corpus.put(root / "Session5/dialog/avi/DivX/Ses05F_impro01.avi", "film")
    corpus.put(evaluations / "notes.txt", "[1.0 - 2.0]\tof no dialogue\n")
    found = listed(root)
    assert [source.video_id[-18:] for source in found.sources] == ["Ses05F_impro01.avi"]
    assert {turn.text for turn in found.sources[0].utterances} == {""}
    reasons = kit.omitted(found)
    assert "unreadable" not in reasons
    assert reasons["no_media"] == [f"Ses01F_impro01_{turn}" for turn in ("F000", "F001", "M000")]
    turns = [f"Ses05M_script01_1b_{turn}" for turn in ("F000", "F001", "FXX0", "M000")]
    assert reasons["no_label"][-4:] == turns  # said, and not evaluated
    notes = found.totals()["notes"]
    assert notes["dialogues without an evaluation, whose turns are left out"] == 1
    assert found.totals()["notes"]["dialogues without a transcript, whose turns have no text"] == 1
    sounds = root / "Session1" / "sentences" / "wav" / "Ses01F_impro01"
    (sounds / "Ses01F_impro01_F000.wav").unlink()
    (sounds / "Ses01F_impro01_F999.wav").touch()
    (sounds / "Ses01F_impro01_FXX0.wav").touch()  # transcribed: counted there
    reasons = kit.omitted(listed(root, "4class_speech"))
    assert "Ses01F_impro01_F000" in reasons["no_media"]
    assert reasons["no_annotation"] == [
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F999.wav"
    ]
    (root / "Session5" / "dialog" / "transcriptions" / "Ses05M_script01_1b.txt").unlink()
    sounds = "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b"
    names = [f"{sounds}_{turn}.wav" for turn in ("F000", "F001", "M000")]
    assert kit.omitted(listed(root, "6class_speech"))["no_annotation"][1:] == names
    films = kit.omitted(listed(root, "6class"))["no_annotation"]
    assert films == ["Session5/dialog/avi/DivX/Ses05M_script01_1b.avi"]


def test_turns_that_cannot_be_are_left_out_one_by_one(tmp_path, listed):
    turns = [
        *corpus.TURNS,
        corpus.TURNS[0],
        ("F003", 5.0, 4.0, "neu", (3.0, 3.0, 3.0), "back"),
        ("F004", -1.0, 4.0, "neu", (3.0, 3.0, 3.0), "early"),
        ("F005", 5.0, 5.5, "neu", (math.nan, 3.0, math.inf), "felt"),
    ]
    root = corpus.write_release(tmp_path, {"Ses01F_impro01": turns})
    path = root / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    more = (
        "[1.0 - 2.0]\tSes01F_impro02_F000\tneu\t[3.0, 3.0, 3.0]\n"
        "[1.0 - 2.0]\tSes01F_impro01_F000/../../x\tneu\t[3.0, 3.0, 3.0]\n"
        "[one - 2.0]\tSes01F_impro01_F006\tneu\t[3.0, 3.0, 3.0]\n"
        "[1.0 - 2.0]\tSes01F_impro01_F007\n"
        "[1.0 - 2.0]\tSes01F_impro01_F008\tneu\t[3.0, 3.0]\n"
        "[1.0 - 2.0]\tSes01F_impro01_F009\tneu\n"
    )
    path.write_bytes(path.read_bytes() + more.encode())
    count = path.read_bytes().count(b"\n")
    found = listed(root)
    reasons = kit.omitted(found)
    assert reasons["duplicate_id"] == ["Ses01F_impro01_F000"]
    assert reasons["bad_times"] == ["Ses01F_impro01_F003", "Ses01F_impro01_F004"]
    assert reasons["unreadable"] == [
        f"Ses01F_impro01.txt line {number}" for number in range(count - 5, count - 1)
    ]
    fields = {u.fields["id"][-4:]: u.fields for u in found.sources[0].utterances}
    felt = ("valence", "arousal", "dominance")
    known = {name: [key for key in felt if not math.isnan(fields[name][key])] for name in fields}
    assert known["F005"] == ["arousal"]
    assert known["F008"] == known["F009"] == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_transcripts_in_other_encodings_and_line_ends_are_read(tmp_path, encoding):
    path = tmp_path / "Ses01F_impro01.txt"
    text = "Ses01F_impro01_F000 [006.2901-008.2357]: It\u2019s  me: yes.\r\nM: no\r\n"
    path.write_bytes(text.encode(encoding))
    said, left = annotations.read_transcript(path)
    assert said == {"Ses01F_impro01_F000": "It\u2019s me: yes."}
    assert left == 1


def test_a_label_that_the_release_does_not_have_is_refused_with_its_line(tmp_path, listed):
    turns = [("F000", 0.5, 2.0, "glad", (3.0, 3.0, 3.0), "me")]
    root = corpus.write_release(tmp_path, {"Ses01F_impro01": turns})
    with pytest.raises(ValueError, match=r"Ses01F_impro01\.txt line 3: label 'glad'; .*ang, dis"):
        listed(root)


def test_missing_annotations_an_empty_folder_and_an_archive_are_refused(tmp_path, listed):
    root = corpus.write_release(tmp_path / "a", TWO)
    os.rename(root / "Session5" / "dialog" / "EmoEvaluation", root / "away")
    with pytest.raises(FileNotFoundError, match="no Session5/dialog/EmoEvaluation in"):
        listed(root)
    (tmp_path / "b" / "other").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"no Session1 in .*IEMOCAP_full_release"):
        listed(tmp_path / "b")
    archive = tmp_path / "c" / "IEMOCAP_full_release.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as file:
        file.add(root, "IEMOCAP_full_release")
    for given in (archive, archive.parent):
        with pytest.raises(OSError, match="extract"):
            listed(given)


def test_a_build_says_loudly_how_it_differs_from_the_published_counts(fake, tmp_path):
    root = corpus.write_release(tmp_path, TWO)
    report, data, metadata = build(root, tmp_path)
    assert {name: record.EMOTIONS[clip["emotion"]] for name, clip in data.items()} == {
        "Ses01F_impro01_F000": "neutral",
        "Ses01F_impro01_F001": "happiness",
        "Ses01F_impro01_M000": "anger",
        "Ses05M_script01_1b_M000": "happiness",
        "Ses05M_script01_1b_F001": "sadness",
    }
    assert "COUNTS DIFFER" in report
    assert "emotion/happiness: built 2, published 1636 (-1634)" in report
    assert "no_majority" in report
    assert "Ses01F_impro01_F002" in report
    assert metadata["listing"]["kept"] == 5
    assert "already whole" in kit.run_build("iemocap", root, tmp_path / "data")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release with one real film."""
    folder = tmp_path_factory.mktemp("iemocap")
    film = corpus.film(folder / "film.avi")
    name = "Ses01F_impro01"
    return corpus.write_release(folder / "in", {name: corpus.TURNS}, {name: film})


def colour(clip):
    """Mean colour of the cheeks in all crops."""
    crops = [
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in clip["faces"]
    ]
    return np.mean([crop[66:74, 36:44, ::-1] for crop in crops], axis=(0, 1, 2))


def test_of_a_film_each_speaker_gives_the_face_of_the_own_half_also_at_once(release, tmp_path):
    report, data, metadata = build(release, tmp_path, "all")
    assert len(data) == 5
    for name, clip in data.items():
        skin = corpus.LEFT_SKIN if name[15] == "F" else corpus.RIGHT_SKIN
        assert np.abs(colour(clip) - skin).max() < 30, name
        assert clip["speech"].startswith(b"fLaC")
        assert len(clip["faces"]) == pytest.approx(10 * (clip["end_s"] - clip["start_s"]), abs=1)
    totals = metadata["ledger"]
    dropped = sum(entry["seconds"] for entry in totals["dropped"].values())
    assert totals["clips"] == 5
    assert totals["kept_s"] == pytest.approx(5.0, abs=0.1)  # 0.5 to 4.2 and 4.3 to 5.6, once each
    assert totals["kept_s"] + dropped == pytest.approx(totals["duration_s"])
    assert "speaks_elsewhere" in report


def test_of_a_sound_file_the_turn_is_all_of_it(release, tmp_path):
    name = "Ses01F_impro01_M000"
    path = release / "Session1" / "sentences" / "wav" / name[:14] / f"{name}.wav"
    soundfile.write(path, samples.babble(1.8), samples.RATE)
    report, data, _ = build(release, tmp_path, "4class_speech")
    assert list(data) == [name]  # the others hold no sound
    clip = data[name]
    assert (clip["start_s"], clip["end_s"]) == (0.0, pytest.approx(1.8))
    assert clip["text"] == "Do you have your forms?"
    assert len(audio.decode_flac(clip["speech"])) == pytest.approx(1.8 * samples.RATE, abs=1)
    assert "not_media" in report
