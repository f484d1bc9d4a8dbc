"""A features dataset in the making: shards written one by one, by one host or many.

While it is made, `<directory>/.featurize` holds the plan (what is made of what, with the
normalisation) and the index of each whole shard. A shard counts as whole when its index is there,
which is written last; the folder counts as a dataset when all shards are whole and the lead host
has finished it. Hosts meet in the shared folder only.
"""

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from memobert_jax import codec, datasets, features, featurizer, reader, record
from memobert_jax.media.ledger import Reason, less

_POLL_S = 0.5


@dataclasses.dataclass(frozen=True)
class Shard:
    """Shard `number` of `count` of a split, with `clips` clips from number `start`."""

    split: str
    number: int
    count: int
    start: int
    clips: int


def shards_of(splits: Mapping[str, reader.Split]) -> list[Shard]:
    """The shards of a dataset: that of the features has the same as that of the clips."""
    shards = []
    for split, records in splits.items():
        start = 0
        for number, (_, clips) in enumerate(records.shards):
            shards.append(Shard(split, number, len(records.shards), start, clips))
            start += clips
    return shards


class Assembly:
    """The folder in which features dataset `name` is made.

    Args:
      directory: the folder, shared by all hosts.
      name: dataset name, the first part of each shard's file name.
      shards: all shards of the dataset.
      request: what is made of what, JSON-able; a folder is continued only for an equal one.

      storage: of FeaturesConfig.

    Attributes:
      speech_rows: rows of speech that this process has written.
    """

    def __init__(
        self,
        directory: str | Path,
        name: str,
        shards: Sequence[Shard],
        request: Mapping[str, Any],
        storage: str = "float16",
    ):
        self.directory, self.name, self.storage = Path(directory), name, storage
        self.shards, self.request = list(shards), dict(request)
        self.speech_rows = 0
        self._work = self.directory / ".featurize"
        self._plan = self._work / "plan.json"

    def finished(self) -> bool:
        """Whether the dataset is there.

        Raises:
          ValueError: if another dataset is there.
        """
        if not (self.directory / datasets.INFO).exists():
            return False
        path = self.directory / "metadata.json"
        self._agree(json.loads(path.read_text("utf-8")).get("request") if path.exists() else None)
        return True

    def _agree(self, found: Mapping[str, Any] | None) -> None:
        found = found or {}
        keys = sorted(set(found) | set(self.request))
        differing = [key for key in keys if found.get(key) != self.request.get(key)]
        if differing:
            raise ValueError(
                f"{self.directory} holds another dataset, or a run with other settings; what "
                f"differs: {', '.join(differing)}. Give another output folder, or delete that one."
            )

    def start(self, normalisation: Callable[[], Mapping[str, Any]]) -> None:
        """Makes the folder and its plan; the lead host calls it first.

        Raises:
          ValueError: if the folder holds a run with another request, or other files.
        """
        if self._plan.exists():
            self._agree(json.loads(self._plan.read_text("utf-8"))["request"])
            return
        others = sorted(path.name for path in self.directory.glob("*") if path != self._work)
        if others:
            raise ValueError(
                f"{self.directory} holds {others[:5]}, which featurize did not write; give a new "
                "or an empty folder"
            )
        self._work.mkdir(parents=True, exist_ok=True)
        _write_json(self._plan, {"request": self.request, "normalisation": normalisation()})

    def plan(self) -> dict[str, Any] | None:
        """The normalisation, once the lead host has planned; None if all is finished."""
        self.wait(self._plan.exists)
        if self.finished():
            return None
        plan = json.loads(self._plan.read_text("utf-8"))
        self._agree(plan["request"])
        return plan["normalisation"]

    def wait(self, ready: Callable[[], bool]) -> None:
        """Returns when `ready()`, or when the dataset is finished."""
        while not (ready() or self.finished()):
            time.sleep(_POLL_S)

    def whole(self, shard: Shard) -> bool:
        """Whether a shard and its index have been written."""
        return self._index(shard).exists()

    def _index(self, shard: Shard) -> Path:
        return self._work / f"{shard.split}-{shard.number:05d}-of-{shard.count:05d}.json"

    def write(
        self, shard: Shard, items: Iterable[Mapping[str, Any]], longest_s: float = math.inf
    ) -> None:
        """Writes one shard of flat features-records, without those that are not finite.

        Sound of a clip beyond `longest_s`, which its features do not know of, is counted; less than
        a row is not.
        """
        rows, dropped, cut = [], [], []

        def examples():
            for item in items:
                if not featurizer.finite(item):
                    dropped.append([item["id"], float(item["end_s"]) - float(item["start_s"])])
                    continue
                example = codec.serialize(item, "features", record.quantised(self.storage))
                rows.append(features.index_row(item, example))
                beyond = featurizer.unheard(item, longest_s)
                if beyond:
                    cut.append(beyond)
                yield example

        place = (self.name, shard.split, shard.number, shard.count)
        datasets.write_shard(datasets.shard_path(self.directory, *place), examples())
        _write_json(self._index(shard), {"rows": rows, "not_finite": dropped, "speech_cut": cut})
        self.speech_rows += sum(row["lengths"]["speech"] for row in rows)

    def finish(self, widths: Mapping[str, int], metadata: Mapping[str, Any]) -> None:
        """Writes the index of each split and, last, what makes the folder a dataset.

        Clips that were dropped are counted in the `ledger` of the metadata, and named under
        `dropped`; `speech_cut` has the clips and seconds of sound that was too long.

        Raises:
          ValueError: if no clip of a split is left.
        """
        rows, lengths, dropped, cut = {}, {}, [], []
        for split in dict.fromkeys(shard.split for shard in self.shards):
            shards = [shard for shard in self.shards if shard.split == split]
            parts = [json.loads(self._index(shard).read_text("utf-8")) for shard in shards]
            rows[split] = [row for part in parts for row in part["rows"]]
            lengths[split] = [len(part["rows"]) for part in parts]
            dropped += [entry for part in parts for entry in part["not_finite"]]
            cut += [seconds for part in parts for seconds in part["speech_cut"]]
            if not rows[split] and any(part["not_finite"] for part in parts):
                raise ValueError(
                    f"no clip of split {split!r} has finite features: the weights of an encoder "
                    f"or the normalisation are damaged. Mend them and delete {self.directory}."
                )
            features.write_index(self.directory, split, rows[split])
        metadata = {
            **metadata,
            "ledger": _less(metadata["ledger"], dropped),
            "dropped": {str(Reason.NOT_FINITE): [name for name, _ in dropped]} if dropped else {},
            "speech_cut": {"clips": len(cut), "seconds": sum(cut)},
            "splits": {split: len(found) for split, found in rows.items()},
            "digests": {split: features.split_digest(found) for split, found in rows.items()},
            "request": self.request,
            "storage": self.storage,
        }
        tfds_features = record.tfds_features("features", widths, record.quantised(self.storage))
        datasets.write_info(self.directory, self.name, tfds_features, lengths, metadata)
        for leftover in self.directory.glob(".*.tmp"):
            leftover.unlink()
        shutil.rmtree(self._work)


def _less(ledger: Mapping[str, Any], dropped: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """The totals of a yield ledger, with some kept clips (id, seconds) dropped after all."""
    if not dropped or not ledger:
        return dict(ledger)
    reason = str(Reason.NOT_FINITE)
    return less(ledger, [{reason: {"seconds": seconds, "count": 1}} for _, seconds in dropped])


def _write_json(path: Path, value: Any) -> None:
    datasets.write_atomically(path, lambda name: Path(name).write_text(json.dumps(value), "utf-8"))
