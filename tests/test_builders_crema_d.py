"""crema_d: a clone of the repository becomes clips, labelled as acted or as perceived."""

import acted_samples
import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders import labels
from tfds_builders.crema_d import crema_d_dataset_builder as crema_d
from tfds_builders.crema_d import names, tables


def emotions(listing):
    return {
        utterance.fields["id"]: record.EMOTIONS[utterance.fields["emotion"]]
        for source in listing.sources
        for utterance in source.utterances
    }


@pytest.fixture
def corpus(tmp_path):
    return acted_samples.write_crema_d(tmp_path / "in")


def build(root, config):
    """(records by id, metadata, ledgers by file) of a build of root/in."""
    kit.run_build("crema_d", root / "in", root / "data", config=config)
    folder = root / "data" / "crema_d" / config / "1.0.0"
    clips = {clip["id"]: clip for clip in kit.read_dataset(folder)["everything"]}
    ledgers = {line["video_id"]: line for line in kit.read_ledgers(folder)}
    return clips, kit.read_metadata(folder), ledgers


def test_sound_files_become_clips_and_files_that_are_not_their_clip_cost_themselves(corpus):
    wav = corpus / "AudioWAV"
    acted_samples.write_wav(wav / "1001_MTI_SAD_XX.wav", np.zeros(30_000, np.int16))
    acted_samples.write_wav(wav / "1002_MTI_NEU_XX.wav", acted_samples.sound(70, seconds=0.1))
    acted_samples.write_wav(wav / "1002_IEO_DIS_MD.wav", acted_samples.sound(71, seconds=11))
    acted_samples.write_wav(wav / "1002_ITH_SAD_X.wav", acted_samples.sound(72))
    (wav / "1001_ITH_SAD_XX.wav").symlink_to(wav / "nowhere.wav")
    (wav / "1001_WSI_SAD_XX.wav").mkdir()
    clips, metadata, ledgers = build(corpus.parent, "acted_audio")
    assert set(clips) == {*acted_samples.CREMA_D, "1002_ITH_SAD_XX"}
    clip = clips["1002_DFA_SAD_XX"]
    assert (clip["text"], clip["speaker"]) == ("Don't forget a jacket.", "1002")
    assert clip["gender"] == "female"
    assert clips["1001_IOM_ANG_XX"]["gender"] == "male"
    assert record.EMOTIONS[clip["emotion"]] == "sadness"
    assert clip["speech"].startswith(b"fLaC")
    lost = {name: set(line["dropped"]) for name, line in ledgers.items() if not line["clips"]}
    assert lost == {
        "AudioWAV/1001_MTI_SAD_XX.wav": {"no_speech"},
        "AudioWAV/1002_MTI_NEU_XX.wav": {"too_short"},
        "AudioWAV/1002_IEO_DIS_MD.wav": {"too_long"},
        "AudioWAV/1001_ITH_SAD_XX.wav": {"missing_file"},
    }
    assert metadata["published"]["counts"]["everything"]["clips"] == 7442


def test_flash_video_becomes_clips_with_face_and_speech(corpus):
    for seed, stem in enumerate(acted_samples.CREMA_D):
        if stem != "1002_TSI_DIS_XX":
            acted_samples.write_crema_d_video(corpus, stem, seed)
    clips, metadata, _ = build(corpus.parent, "perceived")
    assert {name: record.EMOTIONS[clip["emotion"]] for name, clip in clips.items()} == {
        "1001_IEO_NEU_XX": "neutral",
        "1001_IEO_HAP_LO": "happiness",
        "1002_DFA_SAD_XX": "sadness",
    }
    assert all(len(clip["faces"]) >= 9 for clip in clips.values())
    assert all(clip["speech"].startswith(b"fLaC") for clip in clips.values())
    omitted = {
        reason: entry["examples"] for reason, entry in metadata["listing"]["omitted"].items()
    }
    assert omitted == {
        "no_majority": ["VideoFlash/1001_IOM_ANG_XX.flv", "VideoFlash/1002_WSI_FEA_XX.flv"],
        "no_media": ["1002_TSI_DIS_XX"],
    }
    assert metadata["published"] is None


def test_what_was_heard_is_the_label_where_it_is_asked_for(corpus):
    acted_samples.write_wav(corpus / "AudioWAV" / "1001_TIE_FEA_XX.wav", acted_samples.sound(8))
    found = acted_samples.listed("crema_d", corpus, "perceived_voice")
    assert emotions(found) == {
        "1001_IEO_NEU_XX": "neutral",
        "1001_IEO_HAP_LO": "neutral",
        "1001_IOM_ANG_XX": "neutral",
        "1002_DFA_SAD_XX": "neutral",
        "1002_TSI_DIS_XX": "disgust",
    }
    assert acted_samples.omitted(found) == {
        "AudioWAV/1002_WSI_FEA_XX.wav": "no_majority",
        "AudioWAV/1001_TIE_FEA_XX.wav": "no_annotation",
    }


def test_a_level_of_one_letter_in_file_and_table_is_that_of_two(corpus):
    short = corpus / "AudioWAV" / "1001_IEO_NEU_X.wav"
    short.with_name("1001_IEO_NEU_XX.wav").rename(short)
    table = corpus / tables.VOTES_FILE
    for text in (table.read_text(), table.read_text().replace("1001_IEO_NEU_XX", short.stem)):
        table.write_text(text)
        found = acted_samples.listed("crema_d", corpus, "perceived_voice")
        assert emotions(found)["1001_IEO_NEU_XX"] == "neutral"
        assert acted_samples.omitted(found) == {"AudioWAV/1002_WSI_FEA_XX.wav": "no_majority"}


def test_what_was_seen_is_read_from_its_own_column(corpus):
    assert tables.votes(corpus / tables.VOTES_FILE, "FaceVote") == {
        "1001_IEO_NEU_XX": ("neutral",),
        "1001_IEO_HAP_LO": ("happiness",),
        "1001_IOM_ANG_XX": ("neutral",),
        "1002_DFA_SAD_XX": ("neutral", "sadness"),
        "1002_WSI_FEA_XX": ("fear",),
        "1002_TSI_DIS_XX": ("anger", "disgust"),
    }
    columns = {config.vote for config in crema_d.Builder.BUILDER_CONFIGS}
    assert columns == {"", "VoiceVote", "FaceVote", "MultiModalVote"}


def test_a_corpus_of_the_published_size_meets_the_published_counts(tmp_path):
    corpus = acted_samples.write_crema_d(tmp_path / "in", {})
    actors = [str(1001 + number) for number in range(91)]
    rows = "".join(f'{actor},30,"Male"\n' for actor in actors)
    (corpus / tables.DEMOGRAPHICS_FILE).write_text(f'"ActorID","Age","Sex"\n{rows}')
    stems = [
        f"{actor}_{text}_{emotion}_{level}"
        for actor in actors
        for text in names.TEXTS
        for emotion in names.EMOTIONS
        for level in (("LO", "MD", "HI") if text == "IEO" and emotion != "NEU" else ("XX",))
    ]
    # The corpus lacks 20 of these: three sentences of some actor, and two neutral clips.
    lacking = ("1008_WSI", "1009_MTI", "1010_DFA", "1002_TIE_NEU", "1003_TIE_NEU")
    stems = [stem for stem in stems if not stem.startswith(lacking)]
    for stem in stems:
        (corpus / "AudioWAV" / f"{stem}.wav").touch()
    found = acted_samples.listed("crema_d", corpus, "acted_audio")
    published = crema_d.Builder.BUILDER_CONFIGS[1].published
    assert labels.differences(acted_samples.counts(found), published) == []
    assert len({source.utterances[0].fields["speaker"] for source in found.sources}) == 91


@pytest.mark.parametrize("level", names.LEVELS)
def test_a_name_says_actor_sentence_and_emotion(level):
    found = names.read(f"1091_WSI_FEA_{level}")
    assert found.text == "We'll stop in a couple of minutes."
    assert (found.id, found.actor, found.emotion) == (f"1091_WSI_FEA_{level}", "1091", "fear")


def test_files_whose_names_say_nothing_or_the_same_are_left_out(corpus):
    for name in ("1001_DFA_ANG.wav", "README.wav", "1001_IEO_NEU_X.wav", ".1001_IEO_NEU_XX.wav"):
        (corpus / "AudioWAV" / name).touch()
    assert acted_samples.omitted(acted_samples.listed("crema_d", corpus, "acted_audio")) == {
        "AudioWAV/1001_DFA_ANG.wav": "no_annotation",
        "AudioWAV/README.wav": "no_annotation",
        "AudioWAV/1001_IEO_NEU_XX.wav": "duplicate_id",
    }


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("1001_DFA_JOY_XX", "emotion 'JOY'; expected one of ANG, DIS"),
        ("1001_ABC_ANG_XX", "sentence 'ABC'; expected one of IEO"),
        ("1001_DFA_ANG_VH", "level 'VH'; expected one of LO, MD, HI, XX"),
        ("1003_DFA_ANG_XX", "actor 1003 is not in VideoDemographics.csv, which has 2 actors"),
    ],
)
def test_a_code_outside_the_sets_of_the_corpus_is_refused(corpus, stem, message):
    (corpus / "AudioWAV" / f"{stem}.wav").touch()
    with pytest.raises(ValueError, match=f"'{stem}': {message}"):
        acted_samples.listed("crema_d", corpus, "acted_audio")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (tables.VOTES_FILE, '"F:N"', '"F:X"', r"line 4: MultiModalVote 'F:X' has \['X'\]"),
        (tables.VOTES_FILE, '"F:N"', '""', r"line 4: MultiModalVote '' has \[''\]"),
        (tables.VOTES_FILE, '"MultiModalVote"', '"Vote"', r"missing \['MultiModalVote'\]"),
        (tables.VOTES_FILE, "1002_DFA_SAD_XX", "1001_IEO_NEU_XX", "line 5: .*in an earlier line"),
        (tables.VOTES_FILE, ',"F:N","50.5:50.5"', "", "line 4: expected 8 columns"),
        (tables.DEMOGRAPHICS_FILE, '"Female"', '"?"', r"line 3: Sex '\?'; expected Female or"),
        (tables.DEMOGRAPHICS_FILE, '"Sex"', '"Age2"', r"missing \['Sex'\]"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_the_line(corpus, file, old, new, message):
    acted_samples.write_crema_d_video(corpus, "1001_IEO_NEU_XX")
    path = corpus / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        acted_samples.listed("crema_d", corpus, "perceived")


def test_tables_that_an_office_program_wrote_are_read(corpus):
    for name in (tables.VOTES_FILE, tables.DEMOGRAPHICS_FILE):
        text = (corpus / name).read_text().replace('"', "").replace("\n", "\r\n")
        (corpus / name).write_bytes(text.encode("utf-16"))
    assert len(acted_samples.listed("crema_d", corpus, "perceived_voice").sources) == 5


@pytest.mark.parametrize("name", [tables.VOTES_FILE, tables.DEMOGRAPHICS_FILE, "AudioWAV"])
def test_a_missing_part_is_named(corpus, name):
    (corpus / name).rename(corpus / "elsewhere")
    with pytest.raises(FileNotFoundError, match=f"no {name} in .*made with git-lfs"):
        acted_samples.listed("crema_d", corpus, "perceived_voice")


def test_pointers_of_git_lfs_are_not_taken_for_media(corpus):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (corpus / "AudioWAV" / "1001_ITS_NEU_XX.wav").write_text(pointer)
    with pytest.raises(ValueError, match=r"1 of 7 files, such as .*1001_ITS_NEU_XX.*git lfs pull"):
        acted_samples.listed("crema_d", corpus, "acted_audio")
