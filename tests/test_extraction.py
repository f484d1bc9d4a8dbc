"""The extraction store: atomic, keyed by content and configuration, aware of damage."""

import resource

import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import codec, datasets, record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import clips
from memobert_jax.media.subtitles import Utterance
from tfds_builders import extraction
from tfds_builders.extraction import DamagedStoreFile, Source

CONFIG = ExtractConfig()


@pytest.fixture(autouse=True)
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "v.mp4").write_text("video")
    return Source("v.mp4", str(tmp_path / "v.mp4"))


@pytest.fixture
def stored(source, tmp_path):
    """(outcome, bytes) of a store file."""
    outcome = extraction.ensure(source, CONFIG, tmp_path / "store")
    with open(outcome.file, "rb") as file:
        return outcome, file.read()


def test_ledger_and_records_come_back_as_written(stored, source):
    outcome, _ = stored
    entry, records = extraction.read(outcome.file)
    read = [codec.parse(item, "clips") for item in records]
    expected = kit.fake_extract(source.path, CONFIG, video_id="v.mp4").clips
    assert entry["clips"] == outcome.clips == len(expected) == 2
    assert outcome.size == sum(map(len, records))
    for one, other in zip(read, expected, strict=True):
        np.testing.assert_equal(one, other)


def test_a_video_in_the_store_is_not_extracted_again(stored, source, tmp_path):
    again = extraction.ensure(source, CONFIG, tmp_path / "store")
    assert again == stored[0]
    assert kit.extracted() == ["v.mp4"]


@pytest.mark.parametrize("length", [0, 1, 100, 20_000, 32_768, 65_536, -1])
def test_a_cut_store_file_is_noticed_and_made_again(stored, source, tmp_path, length):
    outcome, whole = stored
    with open(outcome.file, "wb") as file:
        file.write(whole[:length])
    with pytest.raises(DamagedStoreFile, match="run the build again"):
        extraction.read(outcome.file)
    assert extraction.ensure(source, CONFIG, tmp_path / "store") == outcome
    assert kit.extracted() == ["v.mp4", "v.mp4"]
    assert extraction.read(outcome.file)[0]["clips"] == 2


def test_a_flipped_bit_never_changes_a_record_in_silence(stored, tmp_path):
    outcome, whole = stored
    expected = extraction.read(outcome.file)
    damaged = tmp_path / "damaged"
    noticed = 0
    used = len(whole.rstrip(b"\0"))
    for place in range(0, used, used // 40):
        data = bytearray(whole)
        data[place] ^= 0x10
        damaged.write_bytes(data)
        try:
            assert extraction.read(damaged) == expected
        except DamagedStoreFile:
            noticed += 1
    assert noticed > 0


def test_a_store_file_that_lost_records_is_noticed(stored, tmp_path):
    outcome, _ = stored
    entry, records = extraction.read(outcome.file)
    short = tmp_path / "short.array_record"
    extraction.write(short, entry, records)
    other = tmp_path / "other.array_record"
    datasets.write_shard(other, [b'{"ledger": {}, "records": 3}', *records])
    assert extraction.read(short)[1] == records
    with pytest.raises(DamagedStoreFile, match="2 of 3 clips"):
        extraction.read(other)


def test_the_key_follows_content_name_utterances_and_labels(tmp_path, source):
    (tmp_path / "same.mp4").write_text("video")
    (tmp_path / "other.mp4").write_text("other video")
    spoken = (Utterance(0.0, 2.0, "hi", {"emotion": 3}),)
    felt = (Utterance(0.0, 2.0, "hi", {"emotion": 4}),)
    keys = [
        extraction.key(source),
        extraction.key(Source("renamed.mp4", source.path)),
        extraction.key(Source("v.mp4", str(tmp_path / "other.mp4"))),
        extraction.key(Source("v.mp4", source.path, utterances=spoken)),
        extraction.key(Source("v.mp4", source.path, utterances=felt)),
        extraction.key(Source("v.mp4", source.path, labels={"speaker": "a"})),
        extraction.key(Source("v.mp4", utterances=spoken)),
        extraction.key(Source("v.mp4", utterances=felt)),
    ]
    assert len(set(keys)) == len(keys)
    moved = Source("v.mp4", str(tmp_path / "same.mp4"), split="test")
    assert extraction.key(moved) == keys[0]


def test_another_configuration_has_another_fingerprint():
    assert extraction.fingerprint(CONFIG) == extraction.fingerprint(ExtractConfig())
    assert extraction.fingerprint(CONFIG) != extraction.fingerprint(ExtractConfig(min_presence=0.3))


def test_another_record_has_another_fingerprint(monkeypatch):
    before = extraction.fingerprint(CONFIG)
    monkeypatch.setattr(record, "FIELDS", record.FIELDS[:-1])
    assert extraction.fingerprint(CONFIG) != before


def test_a_full_disk_leaves_nothing_that_looks_whole(source, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*'v\.mp4'.*Free the disk"):
            extraction.ensure(source, CONFIG, tmp_path / "store")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert extraction.ensure(source, CONFIG, tmp_path / "store").clips == 2


def test_a_store_that_cannot_be_written_says_so(source, tmp_path):
    (tmp_path / "store").write_text("a file in the way")
    with pytest.raises(OSError, match=r"cannot write the extracted clips of 'v\.mp4'"):
        extraction.ensure(source, CONFIG, tmp_path / "store")


def test_what_a_killed_writer_left_is_no_store_file_and_goes_away(source, tmp_path):
    folder = tmp_path / "store" / extraction.fingerprint(CONFIG)
    folder.mkdir(parents=True)
    left = folder / f".{extraction.key(source)}.array_record.123.tmp"
    left.write_bytes(b"half")
    outcome = extraction.ensure(source, CONFIG, tmp_path / "store")
    assert [str(path) for path in folder.iterdir()] == [outcome.file]


def test_a_missing_file_is_a_reason_and_is_not_stored(tmp_path):
    gone = Source("gone.mp4", str(tmp_path / "gone.mp4"))
    outcome = extraction.ensure(gone, CONFIG, tmp_path / "store")
    assert (outcome.file, outcome.clips) == ("", 0)
    assert outcome.ledger["dropped"] == {"missing_file": {"seconds": 0.0, "count": 1}}
    assert not (tmp_path / "store").exists()


def test_a_file_that_may_not_be_read_is_a_reason_not_the_end(source, tmp_path, monkeypatch):
    def refuse(*args):
        raise PermissionError("not yours")

    monkeypatch.setattr(clips, "identity", refuse)
    outcome = extraction.ensure(source, CONFIG, tmp_path / "store")
    assert outcome.ledger["dropped"] == {"unreadable": {"seconds": 0.0, "count": 1}}


def test_the_ledger_does_not_tell_where_the_build_ran(stored, tmp_path):
    assert stored[0].ledger["path"] == "v.mp4"
    assert str(tmp_path) not in str(stored[0].ledger)


def test_rows_without_media_become_clips_of_text(tmp_path):
    rows = (
        Utterance(0.0, float("inf"), "what now", {"emotion": 5, "speaker": "ben"}),
        Utterance(1.0, 3.0, "i see", {"id": "mine"}),
        Utterance(0.0, float("inf"), " "),
    )
    config = ExtractConfig(require=())
    outcome = extraction.ensure(Source("talk", utterances=rows), config, tmp_path)
    read = [codec.parse(item, "clips") for item in extraction.read(outcome.file)[1]]
    assert [clip["id"] for clip in read] == ["talk_00000", "mine"]
    assert [(clip["emotion"], clip["speaker"]) for clip in read] == [(5, "ben"), (-1, "")]
    assert [(clip["start_s"], clip["end_s"]) for clip in read] == [(0.0, 0.0), (1.0, 3.0)]
    assert read[1]["words/text"] == ["i", "see"]
    np.testing.assert_allclose(read[1]["words/end_s"], [1.0, 2.0])
    assert all(clip["faces"] == [] and clip["speech"] == b"" for clip in read)
    assert outcome.ledger["dropped"] == {"no_text": {"seconds": 0.0, "count": 1}}
    assert outcome.ledger["notes"] == {"modality_missing:face": 2, "modality_missing:speech": 2}


def test_rows_without_media_are_dropped_where_speech_is_required(tmp_path):
    rows = (Utterance(0.0, 1.0, "what now"),)
    config = ExtractConfig(require=("speech",))
    outcome = extraction.ensure(Source("talk", utterances=rows), config, tmp_path)
    assert outcome.clips == 0
    assert outcome.ledger["dropped"] == {"no_speech": {"seconds": 0.0, "count": 1}}
