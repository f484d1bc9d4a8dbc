"""Records that are read, not extracted -> the shards of a dataset, one at a time.

A corpus may ship features or vectors, or nothing that has to be cut and watched (words, pictures).
Its reader yields flat records; here they are normalised, checked, counted and written, in the order
in which they come, without more than one of them in memory.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from tqdm import tqdm

from memobert_jax import codec, datasets, features, featurizer, record
from memobert_jax.media import clips
from tfds_builders import labels, listing, normalise
from tfds_builders.listing import Omission, Tally

_AT_ONCE = 256


@dataclasses.dataclass(frozen=True)
class Records:
    """What a corpus holds, before it is read.

    Attributes:
      inputs: the files that the records are made of; their content decides whether a dataset is
        the one that is wanted.
      splits: names of the splits.
      read: tally -> (split, flat record) of each item that is kept, in a stable order; items that
        are left out go into the tally, and each item is listed there. It is called twice where the
        configuration fits a normalisation. The `frames` fields of features-records may have any
        float dtype and hold what is not finite.
      encoders: features only: modality (face, speech) -> what made its rows (`encoder`).
      widths: features only: columns of each `frames` field that the corpus has.
      bands: columns over which the statistics of a field repeat, where these are not its width.
      normalisation: field -> statistics from elsewhere; where there are any, none is fitted.
      normalised_on: what these were fitted on, as `features.normalised_on` gives it.
    """

    inputs: Sequence[Path]
    splits: Sequence[str]
    read: Callable[[Tally], Iterator[tuple[str, dict[str, Any]]]]
    encoders: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    widths: Mapping[str, int] = dataclasses.field(default_factory=dict)
    bands: Mapping[str, int] = dataclasses.field(default_factory=dict)
    normalisation: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    normalised_on: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """Number of the input files, and 16 hex digits of their names and content, and of the
        statistics from elsewhere, '' where there are none.

        Raises:
          OSError: if one of them cannot be read.
        """
        digest = hashlib.sha256()
        for path in self.inputs:
            digest.update(f"{path.name} {clips.sha256(path)}\n".encode())
        text = json.dumps(self.normalisation, sort_keys=True).encode()
        statistics = hashlib.sha256(text).hexdigest()[:16] if self.normalisation else ""
        return {
            "files": len(self.inputs),
            "fingerprint": digest.hexdigest()[:16],
            "normalisation": statistics,
        }


def encoder(name: str, width: int, rate_hz: float) -> dict[str, Any]:
    """The identity of an encoder whose rows a corpus ships, in the form of `featurize`.

    Args:
      name: what made the rows, such as covarep; no encoder of this package may have it.
      width: columns of a row.
      rate_hz: rows per second; 0 where they have no constant rate.
    """
    return {"name": name, "version": 1, "weights_sha256": "", "width": width, "rate_hz": rate_hz}


def fit(records: Records, split: str) -> dict[str, dict[str, Any]]:
    """The statistics of a split (`normalise.fit`).

    Raises:
      ValueError: if there is no such split.
    """
    if split not in records.splits:
        raise ValueError(
            f"there is no split {split!r} to fit the normalisation on: {list(records.splits)}"
        )
    items = (item for part, item in records.read(Tally()) if part == split)
    return normalise.fit(items, records.bands)


@dataclasses.dataclass
class Written:
    """What was written of one split.

    Attributes:
      info: what TFDS notes.
      counts: of its labels.
      seconds: sum of the durations of its clips.
      rows: `features.index_row` of each record, features only.
    """

    info: tfds.core.SplitInfo | None = None
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    seconds: float = 0.0
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def write(
    records: Records,
    stage: str,
    normalisation: Mapping[str, Mapping[str, Any]],
    folder: Path,
    template_of: Callable[[str], tfds.core.ShardedFileTemplate],
    shard_config: Any,
) -> tuple[dict[str, Written], dict[str, Any]]:
    """Writes all splits; (what was written of each, totals of the listing).

    Args:
      records: what to write.
      stage: 'clips' or 'features'.
      normalisation: field -> statistics that are removed.
      folder: of the dataset, unfinished.
      template_of: split -> names of its shards.
      shard_config: TFDS's ShardConfig.

    Raises:
      ValueError: if a split is left without a record, a record is not one of its stage, is of a
        split that was not announced, or an id occurs twice.
      OSError: if the folder cannot be written.
    """
    tally = Tally()
    splits = {split: Written() for split in records.splits}
    spools = {split: folder / f"spool-{split}" for split in splits}
    seen: set[str] = set()
    with contextlib.ExitStack() as stack:
        writers = {s: stack.enter_context(datasets.open_shard(path)) for s, path in spools.items()}
        for split, item in tqdm(records.read(tally), unit=" clips", dynamic_ncols=True):
            if stage == "features":
                item = normalise.finished(item, records.widths, normalisation, tally)
                if not featurizer.finite(item):
                    tally.omit(Omission.NOT_FINITE, item["id"])
                    continue
            record.check(item, stage)
            if item["id"] in seen or split not in splits:
                what = "an id occurs twice" if split in splits else f"no split {split!r}"
                raise ValueError(f"record {item['id']!r}: {what}; splits: {', '.join(splits)}")
            seen.add(item["id"])
            example = codec.serialize(item, stage)
            writers[split](example)
            _count(splits[split], item, example, stage)
    totals = tally.totals(len(seen))
    _check_any(splits, totals)
    for split, written in splits.items():
        written.info = _shards(spools[split], template_of(split), shard_config)
    tally.write(folder)
    return splits, totals


def _count(written: Written, item: Mapping[str, Any], example: bytes, stage: str) -> None:
    stored = codec.parse(example, stage, names=labels.FIELDS)
    written.counts.update(labels.count(stored))
    written.seconds += float(item["end_s"]) - float(item["start_s"])
    if stage == "features":
        written.rows.append(features.index_row(item, example))


def _check_any(splits: Mapping[str, Written], totals: Mapping[str, Any]) -> None:
    if empty := [split for split, written in splits.items() if not written.counts]:
        raise ValueError(
            f"nothing of split {', '.join(empty)} is left. Why:\n{listing.table(totals)}"
        )


def _shards(spool: Path, template, shard_config) -> tfds.core.SplitInfo:
    """The records of a spool in as many shards as TFDS wants; the spool is gone then."""
    reader = array_record_module.ArrayRecordReader(str(spool))
    total, size = reader.num_records(), spool.stat().st_size
    count = min(shard_config.get_number_shards(size, total), total)
    edges = [total * i // count for i in range(count + 1)]
    for number in range(count):
        path = str(template.sharded_filepath(shard_index=number, num_shards=count))
        if count == 1:
            os.replace(spool, path)
            break
        with datasets.open_shard(path) as write_one:
            for start in range(edges[number], edges[number + 1], _AT_ONCE):
                for example in reader.read(start, min(start + _AT_ONCE, edges[number + 1])):
                    write_one(example)
    reader.close()
    spool.unlink(missing_ok=True)
    return tfds.core.SplitInfo(
        name=template.split,
        shard_lengths=np.diff(edges).tolist(),
        num_bytes=size,
        filename_template=template,
    )
