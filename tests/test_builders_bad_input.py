"""Real files of every bad kind through video_corpus: each costs itself, under its reason."""

import builders_kit as kit
import pytest

CUES = (
    ("00:00:00,200", "00:00:01,900", "i am so happy"),
    ("00:00:02,100", "00:00:03,600", "and now for something else"),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with two good videos without faces and a bad one of each kind."""
    folder = tmp_path_factory.mktemp("bad") / "in"
    folder.mkdir()
    for number, name in enumerate(("good", "silent", "unseen", "mute", "nocue", "utf16")):
        kit.make_media(
            folder / f"{name}.mp4",
            seconds=4.0 + number / 10,
            video=name != "unseen",
            sound=name != "silent",
        )
        if name not in ("mute", "nocue"):
            kit.write_srt(folder / f"{name}.srt", *CUES)
    (folder / "nocue.srt").write_text("this is no subtitle file")
    text = (folder / "utf16.srt").read_text().replace("happy", "happy é")
    (folder / "utf16.srt").write_bytes(text.encode("utf-16"))
    whole = (folder / "good.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    kit.write_srt(folder / "cut.srt", *CUES)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is not a video\n" * 100)
    (folder / "link.mp4").symlink_to(folder / "nowhere.mp4")
    return folder


def build(corpus, data_dir, config, **changes):
    """(records by video, ledgers by video)."""
    kit.run_build("video_corpus", corpus, data_dir, config=config, **changes)
    (folder,) = (data_dir / "video_corpus").glob(f"{config}*/1.0.0")
    data = kit.read_dataset(folder)
    by_video = {}
    for clip in (clip for part in data.values() for clip in part):
        by_video.setdefault(clip["video_id"], []).append(clip)
    return by_video, {line["video_id"]: line for line in kit.read_ledgers(folder)}


def reasons(line):
    return set(line["dropped"]) - {"outside_cues"}


def test_each_bad_file_costs_itself_under_its_reason(corpus, tmp_path):
    kept, lines = build(corpus, tmp_path, "without_faces", workers=2)
    assert set(kept) == {"good.mp4", "unseen.mp4", "utf16.mp4"}
    assert {name: reasons(line) for name, line in lines.items() if name not in kept} == {
        "cut.mp4": {"not_media"},
        "empty.mp4": {"empty_file"},
        "text.mp4": {"not_media"},
        "link.mp4": {"missing_file"},
        "silent.mp4": {"no_audio"},
        "mute.mp4": {"no_subtitles"},
        "nocue.mp4": {"subtitle_no_cues"},
    }
    for line in lines.values():
        dropped = sum(entry["seconds"] for entry in line["dropped"].values())
        assert line["kept_s"] + dropped == pytest.approx(line["duration_s"], abs=0.1)
    assert [clip["text"] for clip in kept["good.mp4"]] == [text for _, _, text in CUES]
    assert kept["utf16.mp4"][0]["text"] == "i am so happy é"
    for clip in kept["good.mp4"]:
        assert clip["speech"].startswith(b"fLaC")
        assert clip["faces"] == []


def test_what_is_missing_is_kept_empty_where_nothing_is_required(corpus, tmp_path):
    kept, lines = build(corpus, tmp_path, "anything")
    assert {"silent.mp4", "unseen.mp4", "mute.mp4"} <= set(kept)
    assert {clip["speech"] for clip in kept["silent.mp4"]} == {b""}
    assert {clip["text"] for clip in kept["mute.mp4"]} == {""}
    assert lines["silent.mp4"]["notes"]["modality_missing:speech"] == 2
    assert lines["unseen.mp4"]["notes"]["modality_missing:face"] == 2


def test_a_corpus_without_faces_is_refused_where_faces_are_required(corpus, tmp_path):
    with pytest.raises(ValueError, match=r"(?s)none of 10 videos gave a clip.*no_face"):
        kit.run_build("video_corpus", corpus, tmp_path)


@pytest.mark.real_data
def test_a_real_talking_face_becomes_a_clip_with_faces_and_speech(real_data_root, tmp_path):
    corpus = tmp_path / "in"
    corpus.mkdir()
    for name in ("bbaf2n", "bbaf4p"):
        (corpus / f"{name}.mp4").symlink_to(real_data_root / "grid_s1" / "mp4" / f"{name}.mp4")
        (corpus / f"{name}.srt").symlink_to(real_data_root / "grid_s1" / "srt" / f"{name}.srt")
    kept, lines = build(corpus, tmp_path / "data", "default")
    (clip,) = kept["bbaf2n.mp4"]
    assert clip["text"] == "bin blue at f two now"
    assert len(clip["faces"]) == len(clip["face_time_s"]) >= 8
    assert all(crop.startswith(b"\xff\xd8") for crop in clip["faces"])
    assert lines["bbaf4p.mp4"]["clips"] == 1
