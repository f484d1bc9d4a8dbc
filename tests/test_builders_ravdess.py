"""ravdess: names are the annotation, songs stay out, one vector of the face beside the speech."""

import csv
import json
import os

import builders_kit as kit
import numpy as np
import pytest
import samples
import soundfile

from memobert_jax import features, featurize, record
from memobert_jax.media import clips
from tfds_builders import build
from tfds_builders.listing import Tally
from tfds_builders.ravdess import action_units, names

TREE = "Audio_Speech_Actors_01-24/Actor_{actor}/{id}.wav"


def write_wav(path, seed, seconds=0.3):
    """As the source: 48 kHz, 16 bit, mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    time = np.arange(int(48000 * seconds)) / 48000
    tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 4000) * time)
    noise = rng.uniform(0.001, 0.05) * rng.standard_normal(len(time))
    soundfile.write(path, tone + noise, 48000, subtype="PCM_16")


def write_units(path, ids, units=None):
    if units is None:
        units = np.arange(len(ids) * 35, dtype=np.float32).reshape(-1, 35) % 11
    np.savez(path, ids=np.array(ids), action_units=units)


@pytest.fixture
def two_actors(monkeypatch):
    monkeypatch.setattr(names, "ACTORS", ("01", "02"))
    monkeypatch.setattr(names, "REPETITIONS", ("01",))


@pytest.fixture
def corpus(tmp_path, two_actors):
    """The 60 sounds of two actors, in the form of the source, and their action units."""
    folder = tmp_path / "in"
    sounds = names.expected(names.AUDIO)
    for number, clip in enumerate(sounds):
        write_wav(folder / TREE.format(actor=clip.actor, id=clip.id), seed=number)
    write_units(folder / action_units.FILE, [f"01{clip.id[2:]}" for clip in sounds])
    return folder


@pytest.fixture
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)


def folder_of(data_dir, config):
    return data_dir / "ravdess" / config / "1.0.0"


def test_the_corpus_has_1440_clips_of_speech():
    clips = names.expected(names.AUDIO)
    assert len(clips) == len({clip.id for clip in clips}) == 1440
    assert sum(clip.emotion == "01" for clip in clips) == 96
    assert clips[0].id == "03-01-01-01-01-01-01"


def test_a_name_says_emotion_intensity_sentence_actor_and_gender():
    fear = names.Clip("03", "01", "06", "02", "02", "01", "12")
    assert fear.text == "Dogs are sitting by the door."
    assert fear.fields() == {
        "id": "03-01-06-02-02-01-12",
        "speaker": "12",
        "gender": "female",
        "emotion": record.EMOTIONS.index("fear"),
        "labels": "fearful,strong",
    }
    labels = [names.Clip("03", "01", f"0{n}", "01", "01", "01", "01").fields() for n in range(1, 9)]
    assert [record.EMOTIONS[one["emotion"]] for one in labels] == [
        "neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise",
    ]  # fmt: skip
    assert labels[0]["gender"] == "male"


def test_every_file_is_kept_or_left_out_under_its_reason(tmp_path, two_actors):
    wanted = names.expected(names.AUDIO)
    for clip in wanted[1:]:
        (tmp_path / f"Actor_{clip.actor}").mkdir(exist_ok=True)
        (tmp_path / f"Actor_{clip.actor}" / f"{clip.id}.wav").touch()
    others = {
        "Actor_01/03-02-01-01-01-01-01.wav": "other_setting",  # a song
        "Actor_01/01-01-01-01-01-01-01.mp4": "other_modality",
        "Actor_01/02-01-01-01-01-01-01.mp4": "other_modality",
        "copy/Actor_01/03-01-02-01-01-01-01.wav": "duplicate_id",
        "Actor_01/03-01-09-01-01-01-01.wav": "label_not_in_set",
        "Actor_01/03-01-01-02-01-01-01.wav": "no_annotation",  # neutral has one intensity
        "Actor_01/03-01-03-01-01-01-25.wav": "no_annotation",  # there are 24 actors
        "Actor_01/take2.wav": "no_annotation",
    }
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for ignored in ("Actor_01/._03-01-01-01-01-01-01.wav", "Actor_01/readme.txt"):
        (tmp_path / ignored).touch()
    tally = Tally()
    found = names.find(tmp_path, names.AUDIO, {".wav"}, tally)
    assert [clip.id for clip, _ in found] == sorted(clip.id for clip in wanted[1:])
    assert dict(tally.omitted) == others | {wanted[0].id: "no_media"}
    assert tally.totals(len(found))["listed"] == 60 + len(others)


@pytest.mark.usefixtures("_stand_in")
def test_the_audio_visual_files_are_read_by_their_configuration_alone(tmp_path, two_actors):
    (tmp_path / "in" / "Actor_01").mkdir(parents=True)
    for name in ("01-01-05-01-01-01-01.mp4", "02-01-05-01-01-01-01.mp4"):
        (tmp_path / "in" / "Actor_01" / name).write_text(name)
    said = kit.run_build("ravdess", tmp_path / "in", tmp_path / "data", config_name="mine")
    (clip,) = kit.read_dataset(folder_of(tmp_path / "data", "mine"))["everything"]
    assert (clip["id"], clip["video_id"]) == ("01-01-05-01-01-01-01",) * 2
    assert (clip["text"], clip["speaker"], clip["gender"], clip["labels"]) == (
        "Kids are talking by the door.", "01", "male", "angry,normal",
    )  # fmt: skip
    assert record.EMOTIONS[clip["emotion"]] == "anger"
    assert "*** split everything, clips: built 1, published 1440 (-1439)" in said
    with pytest.raises(FileNotFoundError, match=r"no speech clip such as 03-01-01-01-01-01-01"):
        kit.run_build("ravdess", tmp_path / "in", tmp_path / "data", config="speech")


def test_action_units_stand_beside_the_speech_that_featurize_would_give(corpus, tmp_path):
    kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units")
    kit.run_build("ravdess", corpus, tmp_path / "data", config="speech")
    clips_dir = folder_of(tmp_path / "data", "speech")
    featurize.featurize(
        clips_dir, tmp_path / "made", featurize.request(clips_dir, normalise_on="everything")
    )
    made = features.FeaturesDataset(tmp_path / "made", "everything")
    by_id = {made.read(i)["id"]: made.read(i) for i in range(len(made))}
    here = features.FeaturesDataset(folder_of(tmp_path / "data", "action_units"), "everything")
    assert len(here) == len(by_id) == 60
    raw = action_units.read(corpus / action_units.FILE)
    mean, std = (np.array(here.metadata["normalisation"]["face"][k]) for k in ("mean", "std"))
    for number in range(len(here)):
        clip = here.read(number)
        other = by_id[clip["id"]]
        assert len(clip["speech"]) == 5
        np.testing.assert_allclose(clip["speech"], other["speech"], atol=1e-3)
        for name in ("text", "speaker", "gender", "emotion", "labels", "start_s", "end_s"):
            assert clip[name] == other[name]
        units = raw[f"01{clip['id'][2:]}"]
        np.testing.assert_allclose(clip["face"], [(units - mean) / std], atol=5e-3)
        assert clip["face_time_s"] == pytest.approx(clip["end_s"] / 2)
    assert here.metadata["encoders"]["speech"] == made.metadata["encoders"]["speech"]
    for key in ("mean", "std"):
        theirs = made.metadata["normalisation"]["speech"][key]
        np.testing.assert_allclose(here.metadata["normalisation"]["speech"][key], theirs, rtol=1e-5)


def test_with_like_nothing_is_fitted_on_the_actors(corpus, tmp_path):
    kit.run_build("ravdess", corpus, tmp_path / "data", config="speech")
    clips_dir, like = folder_of(tmp_path / "data", "speech"), str(tmp_path / "like")
    featurize.featurize(clips_dir, like, featurize.request(clips_dir, normalise_on="everything"))
    with pytest.raises(ValueError, match="is RAVDESS itself"):
        kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units", like=like)
    path = tmp_path / "like/metadata.json"
    known = json.loads(path.read_text())
    other = known["dataset"] | {"name": "grid"}
    path.write_text(json.dumps(known | {"dataset": other}))
    kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units", like=like)
    folder = folder_of(tmp_path / "data", "action_units")
    here = features.FeaturesDataset(folder, "everything")
    theirs = features.FeaturesDataset(like, "everything")
    speech = {"speech": theirs.metadata["normalisation"]["speech"]}
    assert here.metadata["normalisation"] == speech
    assert features.normalised_on(here.metadata) == features.normalised_on(theirs.metadata)
    clip, raw = here.read(0), action_units.read(corpus / action_units.FILE)
    np.testing.assert_allclose(clip["face"], [raw[f"01{clip['id'][2:]}"]], rtol=1e-3)
    said = kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units", like=like)
    assert "already whole" in said
    with pytest.raises(
        ValueError, match=r"was built from other input or settings: .*normalisation"
    ):
        kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units")
    with pytest.raises(ValueError, match="--like has no effect on configuration 'speech'"):
        kit.run_build("ravdess", corpus, tmp_path / "data", config="speech", like=like)


def test_like_with_other_speech_is_refused(corpus, tmp_path):
    like = samples.dataset(tmp_path / "like")
    with pytest.raises(ValueError, match=r"has speech of the encoder .* --speech_encoder=logmel"):
        kit.run_build("ravdess", corpus, tmp_path, config="action_units", like=str(like))


def test_a_clip_without_action_units_and_units_without_a_clip_are_counted(corpus, tmp_path):
    wanted = names.expected(names.AUDIO)
    (corpus / TREE.format(actor="01", id=wanted[0].id)).unlink()
    (corpus / TREE.format(actor=wanted[1].actor, id=wanted[1].id)).write_bytes(b"no sound")
    write_units(
        corpus / action_units.FILE, [f"01{clip.id[2:]}" for clip in wanted if clip is not wanted[2]]
    )
    kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units")
    folder = folder_of(tmp_path / "data", "action_units")
    listing = kit.read_metadata(folder)["listing"]
    unheard = f"01{wanted[0].id[2:]} of {action_units.FILE}"
    assert listing["omitted"] == {
        "no_media": {"count": 2, "examples": [wanted[0].id, unheard]},
        "unreadable": {"count": 1, "examples": [wanted[1].id]},
    }
    assert listing["notes"] == {"clips without action units, kept without a face": 1}
    here = features.FeaturesDataset(folder, "everything")
    lengths = dict(zip(here.column("id"), here.lengths["face"].tolist(), strict=True))
    assert lengths.pop(wanted[2].id) == 0
    assert set(lengths.values()) == {1}


class Bomb:
    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def test_an_archive_of_numpy_that_would_run_code_is_refused(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("BOMB", str(tmp_path / "ran"))
    write_units(corpus / action_units.FILE, [Bomb()], np.zeros((1, 35), np.float32))
    with pytest.raises(ValueError, match=r"face_action_units\.npz .* nothing in it is unpickled"):
        kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("ids", "units", "message"),
    [
        (["a", "a"], np.zeros((2, 35)), "1 ids are there twice"),
        (["a", "b"], np.zeros((3, 35)), r"expected text \[clips\]"),
        (["a"], np.zeros(35), r"expected text \[clips\]"),
        (["a"], np.array([["x"]]), r"action_units <U1 \(1, 1\)"),
    ],
)
def test_action_units_that_do_not_fit_their_ids_are_refused(tmp_path, ids, units, message):
    write_units(tmp_path / "units.npz", ids, units)
    with pytest.raises(ValueError, match=message):
        action_units.read(tmp_path / "units.npz")


def test_a_file_that_is_no_archive_of_numpy_is_refused(tmp_path):
    (tmp_path / "units.npz").write_text("id,AU01\n")
    with pytest.raises(ValueError, match="needs the arrays ids and action_units"):
        action_units.read(tmp_path / "units.npz")
    np.savez(tmp_path / "units.npz", ids=np.array(["a"]))
    with pytest.raises(ValueError, match="needs the arrays ids and action_units"):
        action_units.read(tmp_path / "units.npz")


def test_missing_action_units_are_named(corpus, tmp_path):
    (corpus / action_units.FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"no face_action_units\.npz in .*Actor_01 to"):
        kit.run_build("ravdess", corpus, tmp_path / "data", config="action_units")


def test_the_archives_of_the_source_are_refused_unextracted(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Video_Speech_Actor_01.zip").touch()
    with pytest.raises(FileNotFoundError, match=r"nothing but archives .*extract them there"):
        kit.run_build("ravdess", tmp_path / "in", tmp_path / "data")
    (tmp_path / "in" / "readme.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no speech clip .*Extract the archives"):
        kit.run_build("ravdess", tmp_path / "in", tmp_path / "data")


@pytest.mark.real_data
def test_the_names_of_the_real_files_agree_with_their_manifest(real_data_root):
    root = real_data_root / "ravdess"
    found = dict(names.find(root, names.AUDIO, {".opus"}, Tally()))
    assert len(found) == 1440
    with (root / "manifest.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for clip in found:
        row = rows.pop(clip.id)
        assert clip.text == row["text"]
        assert clip.fields()["labels"] == f"{row['emotion']},{row['intensity']}"
        assert clip.fields()["gender"][0].upper() == row["sex"]
        assert int(clip.actor) == int(row["actor"])
    assert not rows
    units = action_units.read(root / action_units.FILE)
    assert {f"01{clip.id[2:]}" for clip in found} == set(units)


@pytest.mark.slow
@pytest.mark.real_data
def test_the_real_corpus_meets_the_published_counts(real_data_root, tmp_path):
    said = kit.run_build("ravdess", real_data_root / "ravdess", tmp_path, config="action_units")
    assert "clips                             1440 (1440)" in said
    assert "all counts that are published are met" in said
    request = build.Request(data_dir=str(tmp_path), config="action_units")
    folder = build.make_builder("ravdess", request, {}).data_dir
    assert len(features.FeaturesDataset(folder, "everything")) == 1440
