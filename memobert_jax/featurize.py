"""Clips to features: `python -m memobert_jax.featurize --input=CLIPS_DIR --output=DIR`.

Shard i of the features is made of shard i of the clips. Run it again after a kill and only the
shards that are not whole are made; started on several hosts that share the output folder, each
takes every n-th shard.
"""

import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tqdm
from absl import app, flags

from memobert_jax import assembly, command, config, featurizer, reader, record
from memobert_jax.assembly import Assembly, Shard
from memobert_jax.config import EncodersConfig, FeaturesConfig
from memobert_jax.datasets import identity
from memobert_jax.features import normalised_on
from memobert_jax.featurizer import Featurizer

_CLIPS_AT_ONCE, _ACCELERATED = 32, 256
"""Clips that a device is given in one call: a CPU, and an accelerator."""
_FROM_CLIPS = ("extract", "extraction_version", "ledger")
"""Metadata of the clips dataset that the features dataset hands on."""


def request(
    source: str | Path,
    encoders: EncodersConfig | Mapping[str, str] | None = None,
    like: str | Path | None = None,
    normalise_on: str | None = None,
    weights: Mapping[str, str] | None = None,
    storage: FeaturesConfig | None = None,
    without: Sequence[str] = (),
) -> dict[str, Any]:
    """What is made of what, JSON-able; `weights`, where they lie, is no part of what it is.

    Args:
      source: folder of a clips dataset.
      encoders: the front ends, by default those of EncodersConfig(). With `like` modality -> name,
        which must be that of `like`.
      like: features dataset whose encoders and normalisation are used again.
      normalise_on: split on which the normalisation is fitted; 'train' if None. Not with `like`.
      weights: modality -> path where the weights of `like` lie now, if they were moved.
      storage: how features are stored; that of `like` need not be the same.
      without: modalities that are left out, face or speech: the features have none of them.

    Raises:
      FileNotFoundError, ValueError: if there is no such dataset, split or weights, or `like`
        disagrees with the other arguments.
    """
    builder = reader.open_builder(source, "clips")
    made_of = {"clips_fingerprint": reader.fingerprint(builder)}
    if without:
        made_of |= {"without": sorted(set(without))}
    if storage and storage != FeaturesConfig():  # folders made before there was a choice go on
        made_of |= {"storage": storage.storage}
    if like is not None:
        return made_of | _reused(like, encoders or {}, normalise_on, weights or {}, without)
    normalise_on = normalise_on or "train"
    if normalise_on not in builder.info.splits:
        raise ValueError(
            f"{source} has no split {normalise_on!r} to fit the normalisation on: set "
            f"--normalise_on to one of {sorted(builder.info.splits)}"
        )
    encoders = encoders or EncodersConfig()
    return made_of | {
        "encoders": _less(featurizer.identities(encoders), without),
        "normalise_on": normalise_on,
        "fitted_clips": featurizer.FITTED_CLIPS,
        "weights": featurizer.weights_paths(encoders),
    }


def _reused(
    like: str | Path,
    named: Mapping[str, str],
    normalise_on: str | None,
    weights: Mapping[str, str],
    without: Sequence[str],
) -> dict[str, Any]:
    metadata = dict(reader.open_builder(like, "features").info.metadata)
    metadata |= {key: _less(metadata[key], without) for key in ("encoders", "normalisation")}
    found = {modality: given["name"] for modality, given in metadata["encoders"].items()}
    if any(found.get(modality) != name for modality, name in named.items()):
        raise ValueError(
            f"--like={like} has the encoders {found}, but {dict(named)} were named too: leave out "
            "--like or the encoders"
        )
    if normalise_on is not None:
        raise ValueError(
            f"--like={like} brings its own normalisation, so --normalise_on={normalise_on} would "
            "have no effect: leave out one of them"
        )
    known = dict(metadata.get("weights", {}))
    known |= {modality: str(Path(path).resolve()) for modality, path in weights.items()}
    Featurizer(metadata["encoders"], metadata["normalisation"], known)  # refuses what it cannot
    return {
        **{key: metadata[key] for key in ("encoders", "normalisation")},
        "normalised_on": normalised_on(metadata),
        "weights": known,
    }


def _less(by_modality: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in by_modality.items() if name not in without}


def featurize(
    source: str | Path,
    output: str | Path,
    made_of: Mapping[str, Any],
    process: int = 0,
    processes: int = 1,
) -> str:
    """Makes a features dataset, or this host's part of it; returns lines that sum it up.

    Args:
      source: folder of a clips dataset.
      output: folder to write, shared by all hosts; may hold an interrupted run of the same request.
      made_of: the `request`.
      process, processes: this host's number and how many there are.

    Raises:
      ValueError: if `output` holds something else, or no clip of a split has finite features.
      OSError: if `output` cannot be written.
    """
    builder = reader.open_builder(source, "clips")
    clips = {split: reader.Split(source, split, "clips") for split in builder.info.splits}
    shards = assembly.shards_of(clips)
    weights = made_of["weights"]
    what = {key: value for key, value in made_of.items() if key != "weights"}
    storage = what.get("storage", FeaturesConfig().storage)
    folder = assembly.Assembly(output, builder.name, shards, what, storage)
    if process == 0 and not folder.finished():
        reused = made_of.get("normalisation")
        folder.start(lambda: _fit(clips, made_of) if reused is None else reused)
    normalisation = folder.plan()
    if normalisation is None:
        return f"{output} is whole already"
    run = Featurizer(made_of["encoders"], normalisation, weights)
    mine = shards[process::processes]
    todo = [shard for shard in mine if not folder.whole(shard)]
    hears_s = run.front_ends["speech"][0].longest_s if "speech" in run.front_ends else math.inf
    started = time.monotonic()
    with tqdm.tqdm(total=sum(shard.clips for shard in todo), unit="clip", desc="featurize") as bar:
        for shard in todo:
            numbers = range(shard.start, shard.start + shard.clips)
            made = _made(clips[shard.split], numbers, run, bar)
            folder.write(shard, made, hears_s)
    seconds = max(time.monotonic() - started, 1e-3)
    folder.wait(lambda: all(map(folder.whole, shards)))
    if process == 0 and not folder.finished():
        metadata = {name: builder.info.metadata.get(name, {}) for name in _FROM_CLIPS}
        metadata |= {"encoders": featurizer.NONE | run.encoders}
        metadata |= {"normalisation": run.normalisation}
        metadata |= {"weights": weights, "clips_fingerprint": made_of["clips_fingerprint"]}
        metadata |= {"dataset": identity(builder.info), "normalised_on": _normalised_on(made_of)}
        folder.finish(run.widths, metadata)
    folder.wait(lambda: False)
    return _summary(Path(output), folder, todo, seconds, len(mine) - len(todo))


def _normalised_on(made_of: Mapping[str, Any]) -> dict[str, str]:
    if "normalised_on" in made_of:
        return made_of["normalised_on"]
    return {"clips": made_of["clips_fingerprint"], "split": made_of["normalise_on"]}


def _summary(output: Path, folder: Assembly, todo: Sequence[Shard], seconds: float, whole: int):
    """What this host did and how fast, and what the dataset lacks."""
    import jax

    metadata = json.loads((output / "metadata.json").read_text("utf-8"))
    clips, devices = sum(shard.clips for shard in todo), jax.local_device_count()
    hours = folder.speech_rows * record.SPEECH_ROW_S / 3600
    lines = [
        f"{clips} clips in {seconds:.1f} s: {clips / seconds:.0f} clips/s, "
        f"{hours / seconds / devices:.6f} hours of speech per second and device on {devices} "
        f"devices; {whole} shards were whole before; features dataset: {output}"
    ]
    if without := folder.request.get("without"):
        lines.append(f"left out of every clip: {', '.join(without)}")
    for reason, ids in metadata["dropped"].items():
        shown = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        lines.append(f"dropped, {reason}: {len(ids)} clips ({shown}; all in metadata.json)")
    cut = metadata["speech_cut"]
    if cut["clips"]:
        lines.append(
            f"speech cut: {cut['seconds']:.1f} s at the end of {cut['clips']} clips are beyond "
            "what the speech encoder hears"
        )
    return "\n".join(lines)


def _made(
    clips: reader.Split, numbers: Sequence[int], run: Featurizer, bar: tqdm.tqdm
) -> Iterator[dict[str, Any]]:
    """The features-records of the clips `numbers`, in order."""
    for made in featurizer.in_order(lambda batch: run(clips.read_many(batch)), _batches(numbers)):
        yield from made
        bar.update(len(made))


def _batches(numbers: Sequence[int]) -> list[Sequence[int]]:
    import jax

    device = jax.local_devices()[0]
    size = _CLIPS_AT_ONCE if device.platform == "cpu" else _ACCELERATED
    size *= jax.local_device_count()
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _fit(clips: dict[str, reader.Split], made_of: Mapping[str, Any]) -> dict[str, Any]:
    """The normalisation, fitted on clips that are spread evenly over the split."""
    split = clips[made_of["normalise_on"]]
    count = min(len(split), made_of["fitted_clips"])
    numbers = [i * len(split) // count for i in range(count)]
    with tqdm.tqdm(total=count, unit="clip", desc="fit normalisation") as bar:

        def read(batch: Sequence[int]) -> list[dict[str, Any]]:
            bar.update(len(batch))
            return split.read_many(batch)

        return featurizer.fit_normalisation(
            made_of["encoders"], read, _batches(numbers), made_of["weights"]
        )


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments {argv[1:]}")
    import signal

    import jax

    from memobert_jax import runtime

    given = flags.FLAGS
    names = {"face": given.face_encoder, "speech": given.speech_encoder}
    paths = {"face_weights": given.face_weights, "speech_weights": given.speech_weights}
    names, paths = ({k: v for k, v in d.items() if v is not None} for d in (names, paths))
    runtime.quiet_libraries()
    moved = {key.removesuffix("_weights"): path for key, path in paths.items()}
    encoders = names if given.like else config.from_mapping(EncodersConfig, names | paths)
    storage = config.from_mapping(FeaturesConfig, {"storage": given.storage})
    made_of = request(
        given.input, encoders, given.like, given.normalise_on, moved, storage, given.without
    )
    runtime.cache_compilations()
    runtime.start()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing to save: whole shards are on the disk
    print(featurize(given.input, given.output, made_of, jax.process_index(), jax.process_count()))


def run() -> None:
    """Defines the flags and starts `main`."""
    flags.DEFINE_string("input", None, "folder of a clips dataset")
    flags.DEFINE_string("output", None, "folder of the features dataset to write")
    flags.DEFINE_string(
        "like", None, "features dataset whose encoders and normalisation are used again"
    )
    flags.DEFINE_string(
        "normalise_on", None, "split on which the normalisation is fitted; default: train"
    )
    flags.DEFINE_multi_enum(
        "without", [], ["face", "speech"], "a modality that all clips are left without"
    )
    for item in dataclasses.fields(EncodersConfig):
        doc, check = item.metadata["doc"], item.metadata["check"]
        name = item.name if item.name.endswith("_weights") else f"{item.name}_encoder"
        known = f"; {check.expected}; default: {item.default}" if check else ""
        flags.DEFINE_string(name, None, doc + known)
    (storage,) = dataclasses.fields(FeaturesConfig)
    doc, check = storage.metadata["doc"], storage.metadata["check"]
    flags.DEFINE_string(storage.name, storage.default, f"{doc}; {check.expected}")
    flags.mark_flags_as_required(["input", "output"])
    command.run(main)


if __name__ == "__main__":
    run()
