"""Renders the talking-heads corpus: `python -m tfds_builders.talking_heads.render --out=DIR`.

Writes videos with subtitles, videos.csv, labels.csv, unlabelled_truth.csv and corpus.json (see the
README of this folder). The same configuration gives the same files. A run that was stopped goes on
where it was: each video takes its name when it is whole.
"""

import csv
import dataclasses
import json
import multiprocessing
import os
import sys
import typing
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from absl import app, flags

from memobert_jax import command
from memobert_jax.config import as_dict, fingerprint, from_mapping
from tfds_builders.talking_heads import ceilings, corpus

RENDERER = "1.1.0"
"""Changes when the same configuration gives other files."""

VIDEO_COLUMNS = ("path", "split", "speaker", "gender")
LABEL_COLUMNS = (
    "path", "start_s", "end_s", "text", "emotion", "valence", "arousal",
    "shown_text", "shown_face", "shown_speech",
)  # fmt: skip


def render(cfg: corpus.CorpusConfig, out: Path, workers: int) -> dict:
    """Renders what is missing of a corpus, and returns its description (corpus.json).

    Raises:
      ValueError: if `out` holds a corpus of another configuration.
      FileExistsError: if `out` holds other files.
      ModuleNotFoundError, RuntimeError: if there is no speech synthesis (see `voice`).
      OSError: if a file cannot be written.
    """
    from tqdm import tqdm

    description = describe(cfg)
    claim(out, description)
    videos = corpus.plan(cfg)
    missing = [video for video in videos if not (out / video.path).exists()]
    done = len(videos) - len(missing)
    spawn = multiprocessing.get_context("spawn")
    with (
        tqdm(total=len(videos), initial=done, unit="video", desc="render") as bar,
        ProcessPoolExecutor(workers, spawn, initializer=_worker_starts) as pool,
    ):
        try:
            for future in as_completed(
                [pool.submit(render_video, video, out, cfg.size, cfg.fps) for video in missing]
            ):
                future.result()
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    write_tables(videos, out)
    return description


def describe(cfg: corpus.CorpusConfig) -> dict:
    """What corpus.json says: the configuration, the emotions, the best possible accuracies."""
    emotions = corpus.classes(cfg)
    best = ceilings.best_accuracies(len(emotions), cfg.p_text, cfg.p_face, cfg.p_speech)
    return {
        "renderer": RENDERER,
        "fingerprint": fingerprint(cfg),
        "configuration": as_dict(cfg),
        "emotions": list(emotions),
        "chance": 1 / len(emotions),
        "best_possible_accuracy": best,
    }


def claim(out: Path, description: dict) -> None:
    """Makes `out` the folder of this corpus, or checks that it is.

    Raises:
      ValueError, FileExistsError: as in `render`.
    """
    path = out / "corpus.json"
    if path.exists():
        _check_same(path, json.loads(path.read_text("utf-8")), description)
        return
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f"{out} is not empty and has no corpus.json: give --out a new or empty folder"
        )
    for folder in ("unlabelled", "labelled"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    _replace(path, json.dumps(description, indent=2) + "\n")


def _check_same(path: Path, found: dict, wanted: dict) -> None:
    old = {"renderer": found.get("renderer"), **found.get("configuration", {})}
    new = {"renderer": wanted["renderer"], **wanted["configuration"]}
    differing = [
        f"{name} = {old.get(name)!r} there, {new.get(name)!r} here"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise ValueError(
            f"{path} is of a corpus of another configuration ({'; '.join(differing)}): "
            "give another --out, or delete that folder"
        )


def render_video(video: corpus.Video, out: Path, size: int, fps: int) -> None:
    """Renders one video with its subtitles; the .mp4 appears last, and whole."""
    from tfds_builders.talking_heads import espeak, face, film, scene

    play = scene.compose(video, fps)
    head = face.Head(play.person, size)
    path = out / video.path
    part = path.with_suffix(".mp4.part")
    frames = (head.draw(pose) for pose in play.poses)
    film.write(part, frames, size, fps, play.samples, espeak.RATE_HZ)
    _replace(path.with_suffix(".srt"), _subtitles(play.cues))
    os.replace(part, path)


def _subtitles(cues: Iterable) -> str:
    import pysubs2

    events = [pysubs2.SSAEvent(c.start_ms, c.end_ms, c.utterance.text) for c in cues]
    subtitles = pysubs2.SSAFile()
    subtitles.events = events
    return subtitles.to_string("srt")


def write_tables(videos: list[corpus.Video], out: Path) -> None:
    """Writes labels.csv, unlabelled_truth.csv and, last, videos.csv."""
    labels: dict[bool, list] = {True: [], False: []}
    for video in videos:
        labels[corpus.labelled(video.split)] += _label_rows(video, out)
    _write_csv(out / "labels.csv", LABEL_COLUMNS, labels[True])
    _write_csv(out / "unlabelled_truth.csv", LABEL_COLUMNS, labels[False])
    rows = [(v.path, v.split, v.speaker.name, v.speaker.gender) for v in videos]
    _write_csv(out / "videos.csv", VIDEO_COLUMNS, rows)


def _label_rows(video: corpus.Video, out: Path) -> Iterable[tuple]:
    """One row an utterance; the times are those of the subtitles."""
    import pysubs2

    events = pysubs2.load(str((out / video.path).with_suffix(".srt")), encoding="utf-8")
    for event, u in zip(events, video.utterances, strict=True):
        times = (f"{event.start / 1000:.3f}", f"{event.end / 1000:.3f}")
        shown = (u.shown[modality] for modality in ("text", "face", "speech"))
        yield (video.path, *times, u.text, u.emotion, *corpus.AFFECT[u.emotion], *shown)


def _write_csv(path: Path, columns: tuple[str, ...], rows: Iterable[tuple]) -> None:
    part = path.with_suffix(".csv.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    os.replace(part, path)


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.write_text(text, "utf-8")
    os.replace(part, path)


def _worker_starts() -> None:
    """One thread for each process; and a process goes when the run that started it is killed."""
    import threading

    import cv2

    cv2.setNumThreads(1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def table(description: dict) -> str:
    """The best possible accuracies as a table for the console."""
    best = description["best_possible_accuracy"]
    lines = ["best possible accuracy (= UAR), by modality subset"]
    lines += [f"  {subset:<4}{value:.3f}" for subset, value in best.items()]
    return "\n".join([*lines, f"  chance {description['chance']:.3f}"])


_DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}


def define_flags() -> None:
    """A flag for each field of the configuration, and those of this program."""
    flags.DEFINE_string("out", None, "folder of the corpus", required=True)
    flags.DEFINE_integer("workers", 2, "processes", lower_bound=1)
    hints = typing.get_type_hints(corpus.CorpusConfig)
    for field in dataclasses.fields(corpus.CorpusConfig):
        _DEFINE[hints[field.name]](field.name, field.default, field.metadata["doc"])


def main(_) -> None:
    names = [field.name for field in dataclasses.fields(corpus.CorpusConfig)]
    try:
        cfg = from_mapping(corpus.CorpusConfig, {name: flags.FLAGS[name].value for name in names})
        description = render(cfg, Path(flags.FLAGS.out), flags.FLAGS.workers)
    except BrokenProcessPool as error:
        sys.exit(f"error: {error} Run the same command again: it goes on where it was.")
    except (ValueError, OSError, ModuleNotFoundError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    print(table(description))


if __name__ == "__main__":
    define_flags()
    app.run(main, flags_parser=command.parse_flags)
