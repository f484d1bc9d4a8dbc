"""grid: videos with their alignments; word times are measured, not spread."""

import builders_kit as kit
import numpy as np
import pytest

from memobert_jax.media import clips
from tfds_builders.grid import alignments
from tfds_builders.grid.grid_dataset_builder import Builder, speaker_of

ALIGN = (
    "0 23750 sil\n23750 29500 bin\n29500 34000 blue\n34000 35500 sp\n"
    "35500 53000 now\n53000 74500 sil\n"
)


@pytest.fixture
def _stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_alignment_gives_the_words_and_their_times_from_the_first_word(tmp_path):
    found = alignments.read(write(tmp_path / "a.align", ALIGN))
    assert (found.start_s, found.end_s, found.text) == (0.95, 2.12, "bin blue now")
    assert found.fields["words_text"] == ["bin", "blue", "now"]
    np.testing.assert_allclose(found.fields["words_start_s"], [0, 0.23, 0.47], atol=1e-6)
    np.testing.assert_allclose(found.fields["words_end_s"], [0.23, 0.41, 1.17], atol=1e-6)
    assert found.fields["words_aligned"] == 1


def test_lines_that_are_not_in_order_of_time_are_put_in_order(tmp_path):
    lines = ALIGN.splitlines()
    found = alignments.read(write(tmp_path / "a.align", "\n".join(lines[::-1])))
    assert found.text == "bin blue now"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no word"),
        ("0 74500 sil\n", "has no word"),
        ("0 100\n", r"line 1: '0 100'; expected start, end, word"),
        ("-5 100 bin\n", "line 1: '-5 100 bin'"),
        ("100 100 bin\n", "'bin' from 100 to 100; expected start < end"),
        ("0 100 bin\n50 200 blue\n", "'bin' from 0 to 100; expected start < end <= 50"),
    ],
)
def test_an_alignment_that_cannot_be_meant_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        alignments.read(write(tmp_path / "a.align", text))


@pytest.mark.parametrize(
    ("path", "speaker"),
    [
        ("grid/s1/bbaf2n.mpg", "s1"),
        ("grid/align/S34/bbaf2n.align", "s34"),
        ("grid/video/s2.mpg_vcd/s2/bbaf2n.mpg", "s2"),
        ("grid_s3/mp4/bbaf2n.mp4", "s3"),
        ("grid_s3/s4/bbaf2n.mp4", "s4"),
        ("grid/mp4/bbaf2n.mp4", ""),
        ("videos2/bbaf2n.mp4", ""),
    ],
)
def test_the_speaker_is_the_innermost_folder_of_that_form(tmp_path, path, speaker):
    root = tmp_path / path.split("/")[0]
    assert speaker_of(tmp_path / path, root) == speaker


@pytest.mark.usefixtures("_stand_in")
def test_every_video_and_alignment_is_counted_and_names_repeat_from_speaker_to_speaker(tmp_path):
    root = tmp_path / "in"
    for speaker in ("s1", "s2"):
        write(root / speaker / "bbaf2n.mpg", f"video of {speaker}")
    write(root / "align" / "s1" / "bbaf2n.align", ALIGN)
    write(root / "align" / "s2" / "bbaf2n.align", ALIGN.replace("blue", "red"))
    write(root / "align" / "s2" / "gone.align", ALIGN)
    write(root / "s1" / "silent.mpg", "no words")
    write(root / "s1" / "damaged.mpg", "words that overlap")
    write(root / "align" / "s1" / "damaged.align", "0 100 bin\n50 200 blue\n")
    write(root / "s1" / "subtitled.mpg", "subtitles")
    write(root / "s1" / "subtitled.srt", "1\n00:00:00,000 --> 00:00:02,000\nplace red\n")
    kit.run_build("grid", root, tmp_path / "data")
    folder = tmp_path / "data" / "grid" / "default" / "1.0.0"
    data = [clip for part in kit.read_dataset(folder).values() for clip in part]
    by_video = {clip["video_id"]: clip for clip in data}
    assert set(by_video) == {"s1/bbaf2n.mpg", "s2/bbaf2n.mpg", "s1/subtitled.mpg"}
    second = by_video["s2/bbaf2n.mpg"]
    assert (second["text"], second["speaker"]) == ("bin red now", "s2")
    assert second["words/text"] == ["bin", "red", "now"]
    assert second["words_aligned"] == 1
    assert by_video["s1/subtitled.mpg"]["words_aligned"] == 0
    metadata = kit.read_metadata(folder)
    assert metadata["published"]["counts"] == {"all": {"clips": 34_000}}
    listing = metadata["listing"]
    assert (listing["listed"], listing["kept"]) == (6, 3)
    assert {r: e["examples"] for r, e in listing["omitted"].items()} == {
        "no_annotation": ["s1/silent.mpg"],
        "no_media": ["align/s2/gone.align"],
        "unreadable": ["s1/damaged.mpg"],
    }


def test_second_files_of_one_speaker_and_name_are_counted_as_such(tmp_path):
    root = tmp_path / "in"
    for quality in ("high", "normal"):
        write(root / quality / "s1" / "bbaf2n.mpg", quality)
    for copy in ("align", "more"):
        write(root / copy / "s1" / "bbaf2n.align", ALIGN)
    found = Builder(data_dir=tmp_path / "data").listing(root)
    assert [source.video_id for source in found.sources] == ["high/s1/bbaf2n.mpg"]
    assert kit.omitted(found) == {"duplicate_id": ["more/s1/bbaf2n.align", "normal/s1/bbaf2n.mpg"]}
    assert found.totals()["listed"] == 3


def test_a_folder_without_videos_says_what_belongs_there(tmp_path):
    write(tmp_path / "in" / "align" / "a.align", ALIGN)
    with pytest.raises(FileNotFoundError, match=r"no video in .*holds align\..*\.align files"):
        kit.run_build("grid", tmp_path / "in", tmp_path / "data")


@pytest.mark.real_data
def test_a_real_clip_has_its_words_where_the_alignment_says(real_data_root, tmp_path):
    root = tmp_path / "grid_s1"
    for folder, suffix in (("mp4", "mp4"), ("align", "align")):
        (root / folder).mkdir(parents=True)
        for name in ("bbaf2n", "bbaf4p"):
            file = f"{folder}/{name}.{suffix}"
            (root / file).symlink_to(real_data_root / "grid_s1" / file)
    kit.run_build("grid", root, tmp_path / "data")
    data = kit.read_dataset(tmp_path / "data" / "grid" / "default" / "1.0.0")
    clips = {clip["video_id"]: clip for part in data.values() for clip in part}
    clip = clips["mp4/bbaf2n.mp4"]
    assert (clip["text"], clip["speaker"]) == ("bin blue at f two now", "s1")
    assert (clip["start_s"], clip["end_s"]) == (np.float32(0.95), np.float32(2.12))
    np.testing.assert_allclose(clip["words/start_s"], [0, 0.23, 0.41, 0.47, 0.69, 0.94], atol=1e-6)
    assert clip["words_aligned"] == 1
    assert len(clip["faces"]) >= 8
    assert clip["speech"].startswith(b"fLaC")
