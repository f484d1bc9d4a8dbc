"""emodb: files as download.zip holds them become clips with German text and the seven labels."""

import acted_samples
import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders import labels
from tfds_builders.emodb import emodb_dataset_builder as emodb
from tfds_builders.emodb import names
from tfds_builders.listing import Omission


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(report, records by id, metadata, ledgers by file) of a corpus with odd files in it."""
    root = tmp_path_factory.mktemp("emodb")
    wav = acted_samples.write_emodb(root / "in") / "wav"
    acted_samples.write_wav(wav / "12b03Fa.wav", np.zeros(20_000, np.int16))
    (wav / "13b09Na.wav").write_bytes(b"RIFF and then nothing of use" * 50)
    (wav / "03a01Fa.WAV").write_bytes((wav / "03a01Wa.wav").read_bytes())
    (wav / "14 copy of a file.wav").write_bytes(b"")
    (wav / "._03a01Fa.wav").write_bytes(b"resource fork")
    report = kit.run_build("emodb", root / "in", root / "data")
    folder = root / "data" / "emodb" / "default" / "1.0.0"
    clips = {clip["id"]: clip for clip in kit.read_dataset(folder)["everything"]}
    ledgers = {line["video_id"]: line for line in kit.read_ledgers(folder)}
    return report, clips, kit.read_metadata(folder), ledgers


def test_a_file_becomes_a_clip_with_its_sentence_its_speaker_and_its_sound(built):
    _, clips, _, _ = built
    assert set(clips) == set(acted_samples.EMODB)
    clip = clips["09a05Ea"]
    assert clip["text"].startswith("Das schwarze Stück Papier befindet sich")
    assert (clip["speaker"], clip["gender"]) == ("09", "female")
    assert record.EMOTIONS[clip["emotion"]] == clip["labels"] == "disgust"
    assert clip["video_id"] == "wav/09a05Ea.wav"
    assert clip["end_s"] == pytest.approx(acted_samples.SECONDS)
    assert clip["speech"].startswith(b"fLaC")
    assert clip["faces"] == []


def test_boredom_has_its_name_in_labels_and_is_other_among_the_emotions(built):
    _, clips, metadata, _ = built
    assert record.EMOTIONS[clips["08b02La"]["emotion"]] == "other"
    assert clips["08b02La"]["labels"] == "boredom"
    assert metadata["labels"]["everything"]["labels/boredom"] == 1
    assert metadata["labels"]["everything"]["emotion/other"] == 1


def test_odd_files_cost_themselves_under_a_reason(built):
    _, _, metadata, ledgers = built
    listing = metadata["listing"]
    assert (listing["listed"], listing["kept"]) == (11, 9)
    assert listing["omitted"] == {
        "duplicate_id": {"count": 1, "examples": ["wav/03a01Fa.wav"]},
        "no_annotation": {"count": 1, "examples": ["wav/14 copy of a file.wav"]},
    }
    assert set(ledgers["wav/12b03Fa.wav"]["dropped"]) == {"no_speech"}
    assert set(ledgers["wav/13b09Na.wav"]["dropped"]) == {"not_media"}


def test_a_build_that_lacks_clips_of_the_published_corpus_says_so_loudly(built):
    report = built[0]
    assert "*** split everything, clips: built 7, published 535 (-528)" in report
    assert "*** split everything, labels/boredom: built 1, published 81 (-80)" in report


def test_a_corpus_of_the_published_size_meets_the_published_counts(tmp_path):
    (tmp_path / "in" / "wav").mkdir(parents=True)
    letters = {label: letter for letter, label in names.LABELS.items()}
    for label, count in emodb.COUNTS.items():
        for number in range(count):
            speaker = list(names.GENDERS)[number % 10]
            text = list(names.TEXTS)[number // 10 % 10]
            version = "abc"[number // 100]
            name = f"{speaker}{text}{letters[label]}{version}.wav"
            (tmp_path / "in" / "wav" / name).touch()
    found = acted_samples.listed("emodb", tmp_path / "in")
    (config,) = emodb.Builder.BUILDER_CONFIGS
    assert labels.differences(acted_samples.counts(found), config.published) == []
    assert len(found.sources) == 535


@pytest.mark.parametrize(
    ("stem", "speaker", "gender", "label"),
    [
        ("03a01Wa", "03", "male", "anger"),
        ("08a02Lb", "08", "female", "boredom"),
        ("10a04Ea", "10", "male", "disgust"),
        ("13a07Ac", "13", "female", "fear"),
        ("14b01Fb", "14", "female", "happiness"),
        ("15b03Td", "15", "male", "sadness"),
        ("16b10Nf", "16", "female", "neutral"),
        ("16b10N", "16", "female", "neutral"),
    ],
)
def test_a_name_says_speaker_and_emotion(stem, speaker, gender, label):
    fields = names.read(stem).fields
    assert (fields["id"], fields["speaker"], fields["gender"]) == (stem, speaker, gender)
    assert fields["labels"] == label


@pytest.mark.parametrize("stem", ["readme", "03a01", "03a01fa", "3a01Fa", "03c01Fa", "03a01Fab"])
def test_another_name_is_no_utterance(stem):
    assert names.read(stem) is Omission.NO_ANNOTATION


@pytest.mark.parametrize(
    ("stem", "message"),
    [
        ("03a01Xa", r"'03a01Xa': emotion 'X'; expected one of W, L, E, A, F, T, N"),
        ("01a01Fa", r"speaker '01'; expected one of 03, 08"),
        ("03a03Fa", r"text 'a03'; expected one of a01, a02, a04"),
    ],
)
def test_a_code_outside_the_sets_of_the_corpus_is_refused(tmp_path, stem, message):
    folder = acted_samples.write_emodb(tmp_path / "in", [*acted_samples.EMODB, stem])
    with pytest.raises(ValueError, match=message):
        acted_samples.listed("emodb", folder)


def test_a_folder_without_wav_says_what_is_there_and_what_to_extract(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "download.zip").touch()
    with pytest.raises(FileNotFoundError, match=r"nothing but archives \(download\.zip\): extract"):
        acted_samples.listed("emodb", tmp_path / "in")
    (tmp_path / "in" / "erkennung.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no wav in .*Extract .*\(download\.zip\)"):
        acted_samples.listed("emodb", tmp_path / "in")
    with pytest.raises(NotADirectoryError, match="an archive: extract it"):
        acted_samples.listed("emodb", tmp_path / "in" / "download.zip")
