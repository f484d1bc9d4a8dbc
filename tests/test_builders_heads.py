"""talking_heads: the renderer's tables become splits and labels."""

import builders_kit as kit
import numpy as np
import pytest

from memobert_jax import record
from memobert_jax.media import clips

VIDEOS = """path,split,speaker,gender
unlabelled/ada_0.mp4,unlabelled,ada,female
unlabelled/ada_1.mp4,unlabelled_validation,ada,female
labelled/ben_0.mp4,train,ben,male
labelled/cem_0.mp4,test,cem,male
"""
LABELS = """path,start_s,end_s,text,emotion,valence,arousal,shown_text,shown_face,shown_speech
labelled/ben_0.mp4,0.5,2.0,i am so happy today,anger,-0.6,0.7,happiness,anger,anger
labelled/ben_0.mp4,2.5,4.0,the bus is late,neutral,0,0,neutral,neutral,sadness
labelled/cem_0.mp4,0.5,2.0,see you,sadness,-0.7,-0.5,sadness,sadness,sadness
"""


@pytest.fixture
def rendered(monkeypatch, tmp_path):
    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", kit.fake_extract)
    monkeypatch.setattr(clips, "identity", kit.fake_identity)
    root = tmp_path / "heads"
    for line in VIDEOS.splitlines()[1:]:
        path = root / line.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line)
    (root / "videos.csv").write_text(VIDEOS)
    (root / "labels.csv").write_text(LABELS)
    return root


def test_labelled_videos_are_cut_by_labels_and_others_by_subtitles(rendered, tmp_path):
    kit.run_build("talking_heads", rendered, tmp_path / "data")
    data = kit.read_dataset(tmp_path / "data" / "talking_heads" / "four" / "1.0.0")
    counts = {name: len(part) for name, part in data.items()}
    assert counts == {"unlabelled": 2, "unlabelled_validation": 2, "train": 2, "test": 1}
    for name in ("unlabelled", "unlabelled_validation"):
        assert {clip["emotion"] for clip in data[name]} == {-1}
        assert {clip["speaker"] for clip in data[name]} == {"ada"}
    first, second = data["train"]
    assert [record.EMOTIONS[clip["emotion"]] for clip in (first, second)] == ["anger", "neutral"]
    assert (first["text"], first["gender"], first["speaker"]) == (
        "i am so happy today",
        "male",
        "ben",
    )
    assert first["valence"] == np.float32(-0.6)
    assert first["arousal"] == np.float32(0.7)


def test_an_emotion_outside_the_configuration_is_refused(rendered, tmp_path):
    (rendered / "labels.csv").write_text(LABELS.replace("late,neutral", "late,fear"))
    with pytest.raises(ValueError, match=r"line 3: fear is none of the classes .*--config=seven"):
        kit.run_build("talking_heads", rendered, tmp_path / "data")


def test_labels_of_a_video_that_is_not_listed_are_refused(rendered, tmp_path):
    (rendered / "videos.csv").write_text(VIDEOS.replace("labelled/cem_0", "labelled/dan_0"))
    with pytest.raises(ValueError, match=r"1 videos that are not in videos\.csv.*cem_0"):
        kit.run_build("talking_heads", rendered, tmp_path / "data")


def test_a_corpus_that_is_not_wholly_rendered_is_refused(rendered, tmp_path):
    (rendered / "labelled" / "ben_0.mp4").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 4 videos .*ben_0.*render the corpus"):
        kit.run_build("talking_heads", rendered, tmp_path / "data")


def test_a_folder_that_was_not_rendered_says_how_to_render(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no videos\.csv .*talking_heads\.render"):
        kit.run_build("talking_heads", tmp_path, tmp_path / "data")


def test_a_listed_path_may_not_leave_the_folder(rendered, tmp_path):
    (rendered / "videos.csv").write_text(VIDEOS.replace("labelled/cem_0", "../cem_0"))
    with pytest.raises(ValueError, match="leaves the folder"):
        kit.run_build("talking_heads", rendered, tmp_path / "data")
