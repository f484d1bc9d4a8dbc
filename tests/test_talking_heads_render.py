"""Rendering a small corpus: the files, their agreement, and what happens when it is run again."""

import csv
import dataclasses
import filecmp
import itertools
import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pysubs2
import pytest

from tfds_builders.talking_heads import corpus, render, scene
from tfds_builders.talking_heads.espeak import RATE_HZ

SMALL = corpus.CorpusConfig(
    seed=3, unlabelled=4, unlabelled_validation=1, train=1, validation=1, test=1, clips_per_video=3
)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("heads") / "corpus"
    render.render(SMALL, out, workers=2)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_the_folder_holds_what_its_tables_say_and_nothing_else(small):
    videos = [row["path"] for row in rows(small / "videos.csv")]
    tables = {"videos.csv", "labels.csv", "unlabelled_truth.csv", "corpus.json"}
    subtitles = {str(Path(path).with_suffix(".srt")) for path in videos}
    assert files(small) == tables | set(videos) | subtitles
    assert {row["split"] for row in rows(small / "videos.csv")} == set(corpus.SPLITS)


def test_tables_subtitles_and_plan_agree(small):
    labels = rows(small / "labels.csv") + rows(small / "unlabelled_truth.csv")
    for video in corpus.plan(SMALL):
        own = [row for row in labels if row["path"] == video.path]
        cues = pysubs2.load(str((small / video.path).with_suffix(".srt")))
        assert [row["text"] for row in own] == [u.text for u in video.utterances]
        assert [row["text"] for row in own] == [cue.plaintext for cue in cues]
        assert [row["shown_face"] for row in own] == [u.shown["face"] for u in video.utterances]
        times = [(round(1000 * float(r["start_s"])), round(1000 * float(r["end_s"]))) for r in own]
        assert times == [(cue.start, cue.end) for cue in cues]
        for row in own:
            affect = float(row["valence"]), float(row["arousal"])
            assert affect == corpus.AFFECT[row["emotion"]]


def test_only_labelled_videos_are_in_the_labels(small):
    labelled = {row["path"] for row in rows(small / "labels.csv")}
    assert labelled == {v.path for v in corpus.plan(SMALL) if corpus.labelled(v.split)}


def test_videos_are_h264_and_aac_of_the_promised_shape(small):
    for row in rows(small / "videos.csv"):
        with av.open(str(small / row["path"])) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
            assert (video.width, video.height, video.average_rate) == (256, 256, SMALL.fps)
            assert (audio.rate, audio.layout.name) == (RATE_HZ, "mono")
            shown = sum(1 for _ in container.decode(video=0)) / SMALL.fps
        with av.open(str(small / row["path"])) as container:
            heard = sum(frame.samples for frame in container.decode(audio=0)) / RATE_HZ
        last = pysubs2.load(str((small / row["path"]).with_suffix(".srt")))[-1].end / 1000
        assert last < shown <= heard + 0.06
        assert heard - shown < 0.2


def test_speech_is_loud_within_the_cues_and_silent_between(small):
    path = small / rows(small / "labels.csv")[0]["path"]
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    cues = pysubs2.load(str(path.with_suffix(".srt")))

    def level(start_ms, end_ms):
        part = sound[round(start_ms / 1000 * RATE_HZ) : round(end_ms / 1000 * RATE_HZ)]
        return float(np.sqrt(np.mean(part**2)))

    for cue, following in itertools.pairwise(cues):
        assert level(cue.start, cue.end) > 5 * level(cue.end + 50, following.start - 20)


def test_utterances_last_long_enough_and_pauses_separate_them():
    play = scene.compose(corpus.plan(SMALL)[0], SMALL.fps)
    for cue in play.cues:
        assert 1.1 <= (cue.end_ms - cue.start_ms) / 1000 <= 4
    for cue, following in itertools.pairwise(play.cues):
        assert 0.2 <= (following.start_ms - cue.end_ms) / 1000 <= 0.5


def test_the_mouth_is_open_in_speech_and_shut_in_pauses():
    play = scene.compose(corpus.plan(SMALL)[0], SMALL.fps)
    opening = np.array([pose.opening for pose in play.poses])
    times = 1000 * np.arange(len(opening)) / SMALL.fps
    spoken = np.zeros(len(times), bool)
    for cue in play.cues:
        inside = (times >= cue.start_ms) & (times < cue.end_ms)
        assert opening[inside].max() > 0.5
        spoken |= inside
    assert np.all(opening[~spoken] == 0)


def test_each_cue_shows_its_own_expression():
    video = corpus.plan(dataclasses.replace(SMALL, p_face=1.0))[0]
    play = scene.compose(video, SMALL.fps)
    smiles = {}
    for cue in play.cues:
        frame = round((cue.start_ms + cue.end_ms) / 2000 * SMALL.fps)
        smiles[cue.utterance.shown["face"]] = play.poses[frame].expression.smile
    for emotion, smile in smiles.items():
        assert smile == pytest.approx(8.5 * corpus.AFFECT[emotion][0], rel=0.2, abs=1e-6)


def test_rendering_again_gives_the_same_bytes(small, tmp_path):
    video = corpus.plan(SMALL)[0]
    (tmp_path / video.path).parent.mkdir()
    render.render_video(video, tmp_path, SMALL.size, SMALL.fps)
    assert files(tmp_path) == {video.path, str(Path(video.path).with_suffix(".srt"))}
    for name in files(tmp_path):
        assert filecmp.cmp(tmp_path / name, small / name, shallow=False), name


def test_a_stopped_run_goes_on_with_what_is_missing(small):
    lost, *kept = (small / row["path"] for row in rows(small / "videos.csv"))
    before = {path: path.stat().st_mtime_ns for path in kept}
    content, table = lost.read_bytes(), (small / "labels.csv").read_bytes()
    lost.rename(lost.with_suffix(".mp4.part"))
    (small / "videos.csv").unlink()
    render.render(SMALL, small, workers=1)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert lost.read_bytes() == content
    assert (small / "labels.csv").read_bytes() == table
    assert not any(name.endswith(".part") for name in files(small))


def test_a_folder_of_another_configuration_is_refused(small):
    other = dataclasses.replace(SMALL, p_face=0.5)
    with pytest.raises(ValueError, match=r"p_face = 0\.8 there, 0\.5 here.*another --out"):
        render.render(other, small, workers=1)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="new or empty folder"):
        render.render(SMALL, tmp_path, workers=1)


def test_the_description_gives_configuration_and_best_scores(small):
    found = json.loads((small / "corpus.json").read_text())
    assert found["configuration"]["seed"] == SMALL.seed
    assert found["best_possible_accuracy"]["TFS"] == pytest.approx(0.896)
    assert "TFS 0.896" in render.table(found)


def test_the_command_line_starts_without_heavy_imports():
    code = (
        "import sys, tfds_builders.talking_heads.render;"
        "heavy = {'cv2', 'av', 'jax', 'tensorflow', 'pysubs2', 'tqdm'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wrong_flag_value_is_explained(tmp_path):
    command = [sys.executable, "-m", "tfds_builders.talking_heads.render", f"--out={tmp_path}"]
    done = subprocess.run([*command, "--p_face=1.5"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: p_face = 1.5; expected a number from 0 to 1")
