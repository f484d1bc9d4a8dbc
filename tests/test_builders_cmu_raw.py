"""The videos of cmu_mosei and cmu_mosi: which segment is in which file, and what nobody lists."""

import builders_kit as kit
import cmu_files
import numpy as np
import pytest

from memobert_jax import record
from tfds_builders.cmu import raw
from tfds_builders.cmu.labels import Labels
from tfds_builders.cmu_mosei.cmu_mosei_dataset_builder import Builder as Mosei


@pytest.fixture(scope="module")
def sequences():
    return cmu_files.sequences()


def write_raw(folder, sequences, segmented=False):
    """Raw/Videos and Raw/Transcript of CMU-MOSEI with files that no player opens."""
    transcripts = folder / "Raw" / "Transcript" / "Segmented" / "Combined"
    videos = folder / "Raw" / "Videos" / ("Segmented" if segmented else "Full") / "Combined"
    for place in (transcripts, videos):
        place.mkdir(parents=True)
    cmu_files.write_csd(folder / "CMU_MOSEI_Labels.csd", "All Labels", sequences["labels"])
    cmu_files.write_folds(folder)
    for video, (_, times) in sequences["labels"].items():
        ordered = times[np.argsort(times[:, 0])]
        lines = [
            f"{video}___{10 + n}___{start}___{end}___line {n}, caf\u00e9\n"
            for n, (start, end) in enumerate(ordered)
        ]
        lines.insert(1, f"{video}___20___300.0___301.5___nobody labelled this\n")
        (transcripts / f"{video}.txt").write_text("".join(lines), "cp1252")
        (transcripts / f"._{video}.txt").write_bytes(b"\0\5\x16\7 of a Mac")
        names = [f"{video}_{10 + n}" for n in range(4)] if segmented else [video]
        for name in names:
            (videos / f"{name}.mp4").write_text(name)
    return folder


def listing_of(folder):
    return Mosei(data_dir=str(folder / "data"), config="raw").listing(folder)


def test_whole_videos_are_cut_at_the_times_of_their_labels(tmp_path, sequences):
    found = listing_of(write_raw(tmp_path / "in", sequences))
    source = found.sources[0]
    assert source.video_id == "Raw/Videos/Full/Combined/vidA.mp4"
    assert (source.split, dict(source.labels)) == ("train", {"video_id": "vidA"})
    times = sequences["labels"]["vidA"][1]
    assert [u.fields["id"] for u in source.utterances] == ["vidA[0]", "vidA[1]", "vidA[2]"]
    assert source.utterances[0].start_s == times[0, 0]
    assert source.utterances[1].start_s == 0  # the label starts before zero
    assert source.utterances[1].text == "line 0, café"
    assert source.utterances[2].text == "line 1, café"
    notes = found.tally.notes
    assert notes["lines of transcripts without a label"] == 4
    assert notes["segments that start before zero, cut from 0"] == 4
    assert found.totals()["kept"] == 12


def test_clips_are_found_by_the_numbers_in_the_transcripts(tmp_path, sequences):
    folder = write_raw(tmp_path / "in", sequences, segmented=True)
    media = folder / "Raw" / "Videos" / "Segmented" / "Combined"
    (media / "vidC_11.mp4").unlink()
    found = listing_of(folder)
    (source,) = (s for s in found.sources if s.video_id.endswith("vidB_11.mp4"))
    (utterance,) = source.utterances
    assert (utterance.start_s, utterance.end_s) == (0, np.inf)
    assert utterance.fields["id"] == "vidB[2]"  # row 2 of the labels, not the number of the clip
    omitted = found.totals()["omitted"]
    assert omitted["no_media"] == {"count": 1, "examples": ["vidC[2]"]}
    assert omitted["no_annotation"]["count"] == 4
    assert "Raw/Videos/Segmented/Combined/vidA_13.mp4" in omitted["no_annotation"]["examples"]
    cmu_files.write_folds(folder, train=["vidA"])
    omitted = listing_of(folder).totals()["omitted"]
    assert omitted["other_setting"]["count"] == 3
    assert omitted["no_annotation"]["count"] == 4  # a clip of those three is none of these


def test_videos_that_only_one_side_lists_are_counted(tmp_path, sequences):
    folder = write_raw(tmp_path / "in", sequences)
    media = folder / "Raw" / "Videos" / "Full" / "Combined"
    (media / "vidB.mp4").rename(media / "other.mp4")
    cmu_files.write_folds(folder, train=["vidA"])
    omitted = listing_of(folder).totals()["omitted"]
    assert omitted["no_media"]["count"] == 3
    assert omitted["no_annotation"]["examples"] == ["Raw/Videos/Full/Combined/other.mp4"]
    assert omitted["other_setting"]["count"] == 3


def test_a_line_or_a_file_that_cannot_be_meant_is_named(tmp_path, sequences):
    folder = write_raw(tmp_path / "in", sequences)
    media = folder / "Raw" / "Videos" / "Full" / "Combined"
    (media / "vidB.mkv").touch()
    with pytest.raises(ValueError, match=r"vidB\.mkv and .*vidB\.mp4 are of one video"):
        listing_of(folder)
    (media / "vidB.mkv").unlink()
    path = folder / "Raw" / "Transcript" / "Segmented" / "Combined" / "vidB.txt"
    path.write_text("vidB___1___0.0___1.0\n")
    with pytest.raises(ValueError, match=r"vidB\.txt line 1: .*expected ID___N___START"):
        listing_of(folder)
    path.write_text("vidB___1___zero___1.0___text\n")
    with pytest.raises(ValueError, match=r"vidB\.txt line 1: 'zero' is not a number"):
        listing_of(folder)


def test_archives_in_place_of_the_folders_are_to_be_extracted(tmp_path, sequences):
    folder = tmp_path / "in"
    cmu_files.write_csd(folder / "CMU_MOSEI_Labels.csd", "All Labels", sequences["labels"])
    cmu_files.write_folds(folder)
    (folder / "CMU_MOSEI.zip").touch()
    with pytest.raises(FileNotFoundError, match=r"Extract the archives .*CMU_MOSEI\.zip"):
        listing_of(folder)


def test_texts_of_mosi_come_from_the_file_of_words(tmp_path, sequences):
    videos = tmp_path / "Raw" / "Video" / "Full"
    videos.mkdir(parents=True)
    (videos / "vidB.mp4").touch()
    labels = {v: (f[:, :1], i) for v, (f, i) in sequences["labels"].items() if v == "vidB"}
    cmu_files.write_csd(tmp_path / "labels.csd", "Opinion Segment Labels", labels)
    cmu_files.write_csd(tmp_path / "words.csd", "words", sequences["words"])
    found = raw.listing(
        raw.Corpus(
            root=tmp_path,
            labels=Labels(tmp_path / "labels.csd"),
            folds={"vidB": "test"},
            media=raw.media_in(raw.folder_of(tmp_path, ("Video/Full",), "")),
            whole=True,
            words_file=tmp_path / "words.csd",
        )
    )
    first = next(u for u in found.sources[0].utterances if u.fields["id"] == "vidB[1]")
    assert first.text.split()[:3] == ["word0", "word1", "word2"]
    assert "sp" not in first.text.split()
    assert not found.tally.omitted


def test_a_raw_corpus_becomes_clips_of_its_videos(tmp_path, sequences):
    folder = tmp_path / "in"
    videos = folder / "Raw" / "Videos" / "Full"
    transcripts = folder / "Raw" / "Transcript" / "Segmented"
    for place in (videos, transcripts):
        place.mkdir(parents=True)
    labels = {}
    for video in ("one", "two", "three"):
        kit.make_media(videos / f"{video}.mp4", 3.0 + len(labels))
        labels[video] = (np.array([[1, 2, 0, 0, 0, 0, 0]], "f4"), np.array([[0.5, 2.0]]))
        (transcripts / f"{video}.txt").write_text(f"{video}___4___0.5___2.004___hello there")
    cmu_files.write_csd(folder / "CMU_MOSEI_Labels.csd", "All Labels", labels)
    cmu_files.write_folds(folder, train=["one"], valid=["two"], test=["three"])
    kit.run_build("cmu_mosei", folder, tmp_path / "data", config="raw")
    found = kit.read_dataset(tmp_path / "data" / "cmu_mosei" / "raw" / "1.0.0")
    (item,) = found["test"]
    assert (item["id"], item["video_id"], item["text"]) == ("three[0]", "three", "hello there")
    assert item["emotions"][record.EMOTIONS.index("happiness")] == 2
    assert (item["start_s"], item["end_s"]) == (0.5, 2.0)
    assert item["speech"]
