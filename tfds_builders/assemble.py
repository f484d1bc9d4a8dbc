"""From the extraction store to the shards of a dataset: each shard is copied by one Beam task.

TFDS's own Beam writer groups the clips of a split by key, which on one machine holds 2.7 times the
dataset in memory. Here the clips lie serialized in the store, so a shard is just a list of
store files; nothing is grouped, decoded or encoded again.
"""

import dataclasses
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from memobert_jax import codec, datasets
from tfds_builders import extraction, labels, progress, runs
from tfds_builders.extraction import Outcome


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of the dataset and the store files that it is made of."""

    path: str
    split: str
    files: tuple[str, ...]
    clips: int


def plan(
    outcomes: Sequence[Outcome], template: tfds.core.ShardedFileTemplate, shard_config
) -> tuple[list[Shard], tfds.core.SplitInfo]:
    """The shards of one split, and what TFDS notes about it.

    Videos are ordered by a hash of split and video id, their clips by time; a video lies in one
    shard, so there are at most as many shards as videos with clips.

    Args:
      outcomes: of the split; at least one has clips.
      template: names of the shards, with the split.
      shard_config: TFDS's ShardConfig.
    """

    def place(outcome: Outcome) -> bytes:
        return hashlib.sha256(f"{template.split}\0{outcome.video_id}".encode()).digest()

    kept = sorted((outcome for outcome in outcomes if outcome.clips), key=place)
    clips, size = sum(o.clips for o in kept), sum(o.size for o in kept)
    count = min(shard_config.get_number_shards(size, clips), len(kept))
    parts = [[kept[i] for i in part] for part in np.array_split(np.arange(len(kept)), count)]
    shards = [
        Shard(
            path=str(template.sharded_filepath(shard_index=index, num_shards=count)),
            split=template.split,
            files=tuple(outcome.file for outcome in part),
            clips=sum(outcome.clips for outcome in part),
        )
        for index, part in enumerate(parts)
    ]
    info = tfds.core.SplitInfo(
        name=template.split,
        shard_lengths=[shard.clips for shard in shards],
        num_bytes=size,
        filename_template=template,
    )
    return shards, info


_COUNTED = ".labels"
"""Folder, in that of a run, of the label counts of each shard; the progress bar does not see it."""


def write(
    shards: Sequence[Shard], settings: runs.Settings, parent: Path
) -> dict[str, dict[str, int]]:
    """Writes all shards in one Beam run, and returns the label counts of what was written, a split.

    A folder in `parent` serves the communication with the workers meanwhile.

    Raises:
      OSError, RuntimeError: if a shard cannot be written or a worker died.
    """
    videos = sum(len(shard.files) for shard in shards)
    with progress.run_folder(parent) as folder, progress.bar(folder, videos, "assembling"):
        (folder / _COUNTED).mkdir()
        runs.for_each(shards, settings, _write_shard, str(folder))
        missing = [shard.path for shard in shards if not Path(shard.path).is_file()]
        if missing:
            raise RuntimeError(f"{len(missing)} shards were not written, such as {missing[0]}")
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for shard in shards:
            counted = folder / _COUNTED / Path(shard.path).name
            counts[shard.split].update(json.loads(counted.read_text()))
    return {split: dict(found) for split, found in counts.items()}


def _write_shard(shard: Shard, folder: str) -> None:
    counts: Counter[str] = Counter()
    try:
        datasets.write_shard(shard.path, _records(shard, folder, counts))
    except OSError as error:
        raise OSError(f"{error} Videos that are extracted are not repeated.") from error
    progress.mark(Path(folder) / _COUNTED, Path(shard.path).name, json.dumps(counts))


def _records(shard: Shard, folder: str, counts: Counter[str]) -> Iterator[bytes]:
    count = 0
    for file in shard.files:
        _, records = extraction.read(file)
        count += len(records)
        for example in records:
            counts.update(labels.count(codec.parse(example, "clips", names=labels.FIELDS)))
            yield example
        progress.mark(folder, Path(file).stem)
    if count != shard.clips:
        raise RuntimeError(f"the store gave {count} clips, {shard.clips} were expected")


def plan_all(
    splits: Mapping[str, Sequence[Outcome]], template_of, shard_config
) -> tuple[list[Shard], list[tfds.core.SplitInfo]]:
    """`plan` of every split; `template_of(split)` names its shards."""
    plans = [plan(part, template_of(name), shard_config) for name, part in splits.items()]
    return [shard for shards, _ in plans for shard in shards], [info for _, info in plans]
