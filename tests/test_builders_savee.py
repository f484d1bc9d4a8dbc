"""savee: the files of the speakers' folders become clips, seen or only heard."""

import acted_samples
import builders_kit as kit
import pytest

from memobert_jax import record
from tfds_builders import labels
from tfds_builders.listing import Omission
from tfds_builders.savee import names
from tfds_builders.savee import savee_dataset_builder as savee


def build(root, config):
    """(report, records by id, metadata) of a build of root/in."""
    report = kit.run_build("savee", root / "in", root / "data", config=config)
    folder = root / "data" / "savee" / config / "1.0.0"
    clips = {clip["id"]: clip for clip in kit.read_dataset(folder)["everything"]}
    return report, clips, kit.read_metadata(folder)


def test_sound_files_become_clips_without_a_face(tmp_path):
    root = acted_samples.write_savee(tmp_path / "in") / "AudioData"
    (root / "KL" / "sa1.wav").write_bytes((root / "KL" / "a01.wav").read_bytes())
    (root / "KL" / "Thumbs.wav").touch()
    (root / "DC" / "._a01.wav").touch()
    report, clips, metadata = build(tmp_path, "audio")
    assert len(clips) == 2 * len(acted_samples.SAVEE)
    clip = clips["KL_su01"]
    assert (clip["speaker"], clip["gender"], clip["text"]) == ("KL", "male", "")
    assert record.EMOTIONS[clip["emotion"]] == "surprise"
    assert clip["video_id"] == "AudioData/KL/su01.wav"
    assert clip["end_s"] == pytest.approx(acted_samples.SECONDS, abs=0.01)
    assert clip["speech"].startswith(b"fLaC")
    assert clip["faces"] == []
    assert metadata["listing"]["listed"] == 16
    omitted = {
        reason: entry["examples"] for reason, entry in metadata["listing"]["omitted"].items()
    }
    assert omitted == {
        "duplicate_id": ["AudioData/KL/sa1.wav"],
        "no_annotation": ["AudioData/KL/Thumbs.wav"],
    }
    assert "*** split everything, emotion/neutral: built 2, published 120 (-118)" in report


def test_video_files_become_clips_with_face_and_speech(tmp_path):
    for seed, (speaker, stem) in enumerate((("DC", "a1"), ("JE", "n30"), ("JK", "sa12"))):
        acted_samples.write_savee_video(tmp_path / "in", speaker, stem, seed)
    broken = tmp_path / "in" / "AudioVisualClip" / "JE" / "h2.avi"
    broken.write_bytes(b"RIFF" + bytes(2000))
    _, clips, metadata = build(tmp_path, "audio_visual")
    assert set(clips) == {"DC_a01", "JE_n30", "JK_sa12"}
    clip = clips["JK_sa12"]
    assert record.EMOTIONS[clip["emotion"]] == "sadness"
    assert len(clip["faces"]) == len(clip["face_time_s"]) >= 9
    assert clip["speech"].startswith(b"fLaC")
    assert metadata["ledger"]["dropped"] == {"not_media": {"seconds": 0.0, "count": 1}}


@pytest.mark.parametrize("config", savee.Builder.BUILDER_CONFIGS, ids=lambda config: config.name)
def test_a_corpus_of_the_published_size_meets_the_published_counts(tmp_path, config):
    for speaker in names.SPEAKERS:
        folder = tmp_path / "in" / config.folder / speaker
        folder.mkdir(parents=True)
        for letters in names.EMOTIONS:
            for number in range(1, 31 if letters == "n" else 16):
                (folder / f"{letters}{number:02}{config.suffix}").touch()
    found = acted_samples.listed("savee", tmp_path / "in", config.name)
    assert labels.differences(acted_samples.counts(found), config.published) == []


@pytest.mark.parametrize(
    ("stem", "name", "emotion"),
    [
        ("a01", "DC_a01", "anger"),
        ("d1", "DC_d01", "disgust"),
        ("f15", "DC_f15", "fear"),
        ("h02", "DC_h02", "happiness"),
        ("n30", "DC_n30", "neutral"),
        ("sa09", "DC_sa09", "sadness"),
        ("su10", "DC_su10", "surprise"),
    ],
)
def test_a_name_says_emotion_and_sentence(stem, name, emotion):
    fields = names.read("DC", stem).fields
    assert (fields["id"], record.EMOTIONS[fields["emotion"]]) == (name, emotion)


@pytest.mark.parametrize("stem", ["info", "a", "a001", "A01", "01a", "DC_a01"])
def test_another_name_is_no_utterance(stem):
    assert names.read("DC", stem) is Omission.NO_ANNOTATION


def test_letters_outside_the_emotions_of_the_corpus_are_refused(tmp_path):
    acted_samples.write_savee(tmp_path / "in", ["a01", "s02"])
    with pytest.raises(ValueError, match=r"'DC/s02': emotion 's'; expected one of a, d, f, h"):
        acted_samples.listed("savee", tmp_path / "in", "audio")


def test_files_outside_the_folders_of_the_speakers_are_counted(tmp_path):
    acted_samples.write_savee(tmp_path / "in", speakers=("DC",))
    folder = tmp_path / "in" / "AudioData"
    (folder / "dc").mkdir()
    for name in ("dc/a01.wav", "a01.wav"):
        (folder / name).write_bytes((folder / "DC" / "a01.wav").read_bytes())
    found = acted_samples.listed("savee", tmp_path / "in", "audio")
    assert acted_samples.omitted(found) == {
        "AudioData/a01.wav": "no_annotation",
        "AudioData/dc/a01.wav": "no_annotation",
    }
    assert len(found.sources) == len(acted_samples.SAVEE)


def test_the_wrong_release_or_an_archive_is_refused_with_what_to_extract(tmp_path):
    acted_samples.write_savee(tmp_path / "in")
    with pytest.raises(FileNotFoundError, match=r"no AudioVisualClip in .*holds AudioData\. man"):
        acted_samples.listed("savee", tmp_path / "in", "audio_visual")
    (tmp_path / "in" / "AudioVisualClip.zip").touch()
    with pytest.raises(FileNotFoundError, match=r"Extract the archives .*AudioVisualClip\.zip"):
        acted_samples.listed("savee", tmp_path / "in", "audio_visual")
    (tmp_path / "in" / "AudioVisualClip" / "MX").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"no \.avi file in the folders DC, JE, JK, KL"):
        acted_samples.listed("savee", tmp_path / "in", "audio_visual")
