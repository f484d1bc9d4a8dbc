"""video_corpus: what is listed, how it is split, what stands in the dataset."""

import os
import sys

import builders_kit as kit
import pytest

from memobert_jax.media import ledger
from tfds_builders import runs, unlabelled
from tfds_builders.extraction import Outcome
from tfds_builders.video_corpus import video_corpus_dataset_builder as video_corpus


def builder(tmp_path, config="default"):
    return video_corpus.Builder(data_dir=tmp_path / "data", config=config)


def outcome(name, count=1, content=""):
    timeline = ledger.Timeline(name, name, content or name, 10.0)
    for _ in range(count):
        timeline.keep(0.0, 10.0)
    return Outcome(name, f"store/{name}", 1, timeline.ledger())


def test_videos_are_found_in_order_and_hidden_ones_and_others_are_not(tmp_path):
    for name in ("b/z.MKV", "b/a.mp4", "a.webm", ".b/x.mp4", "b/._a.mp4", "notes.txt", "a.wav"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    listed = builder(tmp_path).list_sources(tmp_path / "in").sources
    assert [source.video_id for source in listed] == ["a.webm", "b/a.mp4", "b/z.MKV"]
    listed = builder(tmp_path, "without_faces").list_sources(tmp_path / "in").sources
    assert [source.video_id for source in listed] == ["a.wav", "a.webm", "b/a.mp4", "b/z.MKV"]


def test_links_are_followed_once_and_a_loop_ends(tmp_path):
    kit.make_corpus(tmp_path / "elsewhere", 2)
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "in" / "linked")
    os.symlink(tmp_path / "in", tmp_path / "elsewhere" / "back")
    listed = builder(tmp_path).list_sources(tmp_path / "in").sources
    assert [source.video_id for source in listed] == ["linked/v0.mp4", "linked/v1.mp4"]


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--manual_dir=.*nowhere is not there.*videos"):
        builder(tmp_path).listing(tmp_path / "nowhere")


def test_a_folder_without_videos_says_what_is_expected(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"no video in .*1 files .*\.mkv .*\.mp4.*Give"):
        builder(tmp_path).list_sources(tmp_path / "in")


@pytest.mark.parametrize("count", [2, 3, 10, 500])
def test_no_video_is_in_two_splits_and_none_is_empty(count):
    outcomes = [outcome(f"video {number}") for number in range(count)]
    splits = unlabelled.split_by_hash(outcomes, 0.05)
    names = {split: {o.video_id for o in part} for split, part in splits.items()}
    assert set(names) == {"train", "validation"}
    assert names["train"]
    assert names["validation"]
    assert names["train"] | names["validation"] == {o.video_id for o in outcomes}
    assert not names["train"] & names["validation"]
    if count == 500:
        assert 10 <= len(names["validation"]) <= 45


def test_both_splits_have_clips_whichever_two_videos_have_some():
    for good in range(12):
        outcomes = [outcome(f"v{n}", n in (good, (good * 5 + 1) % 12)) for n in range(12)]
        if sum(o.clips for o in outcomes) < 2:
            continue
        splits = unlabelled.split_by_hash(outcomes, 0.05)
        assert all(any(o.clips for o in part) for part in splits.values())
        assert len(splits) == 2


def test_videos_of_one_speaker_stay_together():
    outcomes = [outcome(f"id{n % 8}/{n}") for n in range(80)]
    splits = unlabelled.split_by_hash(outcomes, 0.05, unit_of=lambda name: name.split("/")[0])
    speakers = {s: {o.video_id.split("/")[0] for o in part} for s, part in splits.items()}
    assert speakers["train"]
    assert speakers["validation"]
    assert not speakers["train"] & speakers["validation"]


def test_a_video_keeps_its_split_when_the_corpus_grows():
    small = unlabelled.split_by_hash([outcome(f"v{n}") for n in range(300)], 0.05)
    large = unlabelled.split_by_hash([outcome(f"v{n}") for n in range(600)], 0.05)
    before = {o.video_id for o in small["validation"]}
    assert before <= {o.video_id for o in large["validation"]}


def test_one_video_is_all_for_training():
    assert list(unlabelled.split_by_hash([outcome("only"), outcome("none", 0)], 0.05)) == ["train"]


def test_the_copy_of_a_file_is_dropped_under_its_reason():
    kept = unlabelled.drop_copies([outcome("a"), outcome("b"), outcome("z", content="a")])
    assert [o.clips for o in kept] == [1, 1, 0]
    assert kept[2].ledger["dropped"] == {"copy": {"seconds": 10.0, "count": 1}}


def test_the_copy_of_a_file_that_gave_nothing_is_kept():
    kept = unlabelled.drop_copies([outcome("a", count=0), outcome("b", content="a")])
    assert [o.clips for o in kept] == [0, 1]


def test_the_dataset_holds_every_clip_once_and_its_ledger_adds_up(fake, tmp_path):
    kit.make_corpus(tmp_path / "in", 6)
    (tmp_path / "in" / "broken.mp4").write_text("bad")
    (tmp_path / "in" / "twin.mp4").write_text("video 0")
    said = kit.run_build("video_corpus", tmp_path / "in", tmp_path / "data", num_shards=2)
    folder = tmp_path / "data" / "video_corpus" / "default" / "1.0.0"
    data, lines = kit.read_dataset(folder), kit.read_ledgers(folder)

    ids = [clip["id"] for part in data.values() for clip in part]
    expected = [
        f"{v}_{n}" for v in ["twin.mp4", *(f"v{i}.mp4" for i in range(1, 6))] for n in (0, 1)
    ]
    assert sorted(ids) in (sorted(expected), sorted(i.replace("twin", "v0") for i in expected))
    videos = {split: {clip["video_id"] for clip in part} for split, part in data.items()}
    assert videos["train"].isdisjoint(videos["validation"])

    assert len(lines) == 8
    for line in lines:
        dropped = sum(entry["seconds"] for entry in line["dropped"].values())
        assert line["kept_s"] + dropped == pytest.approx(line["duration_s"])
        assert line["clips"] == ids.count(f"{line['video_id']}_0") * 2
    totals = ledger.merge(lines)
    metadata = kit.tfds.builder_from_directory(folder).info.metadata
    assert metadata["ledger"] == totals
    assert metadata["extract"]["require"] == ["text", "face", "speech"]
    assert totals["clips"] == 12
    assert set(totals["dropped"]) == {"not_media", "copy", "outside_cues"}
    assert ledger.table(totals) in said
    assert f"dataset: {folder}" in said
    assert len(list(folder.glob("*-train.array_record-*-of-00002"))) == 2
    assert "tensorflow" not in sys.modules


def test_clips_of_a_video_stay_together_in_order_of_time(fake, tmp_path):
    kit.make_corpus(tmp_path / "in", 8)
    kit.run_build("video_corpus", tmp_path / "in", tmp_path / "data")
    data = kit.read_dataset(tmp_path / "data" / "video_corpus" / "default" / "1.0.0")
    ids = [clip["id"] for clip in data["train"]]
    assert ids[1::2] == [name.replace("_0", "_1") for name in ids[::2]]
    assert ids != sorted(ids)


def test_a_corpus_without_a_single_clip_is_refused_with_the_reasons(fake, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.mp4").write_text("bad")
    with pytest.raises(ValueError, match=r"(?s)none of 1 videos gave a clip.*not_media.*Mend"):
        kit.run_build("video_corpus", tmp_path / "in", tmp_path / "data")
    assert not (tmp_path / "data" / "video_corpus" / "default" / "1.0.0").exists()


def test_tfds_itself_builds_it_from_the_class(fake, tmp_path):
    kit.make_corpus(tmp_path / "in", 3)
    made = builder(tmp_path)
    made.download_and_prepare(
        download_config=kit.tfds.download.DownloadConfig(
            manual_dir=tmp_path / "in", beam_options=runs.beam_options(workers=1)
        )
    )
    assert {name: len(made.as_data_source(split=name)) for name in made.info.splits} in (
        {"train": 4, "validation": 2},
        {"train": 2, "validation": 4},
    )
    assert "MEmoBERT" in made.info.citation
    assert "folder of videos" in made.info.description
