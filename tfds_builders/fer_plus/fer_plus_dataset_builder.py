"""TFDS builder of FER+: each picture is a clip of one face crop, without text and sound."""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from memobert_jax import codec, config, datasets, record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import clips, ledger
from memobert_jax.media.ledger import Reason
from tfds_builders.clips_builder import LEDGER_FILE, ClipsBuilder, ClipsConfig, fingerprint
from tfds_builders.extraction import Source
from tfds_builders.fer_plus import votes


@dataclasses.dataclass(eq=False)
class VotesConfig(ClipsConfig):
    """A configuration that says whether pictures without a majority are kept."""

    unlabelled: bool = False


class Builder(ClipsBuilder):
    """Pictures of FER+.

    They are written by this process, in seconds to minutes: there is no media to extract, so
    neither the extraction store nor Beam has anything to do.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list[ClipsConfig]] = [
        VotesConfig(name="majority", description="Pictures with a majority for one emotion."),
        VotesConfig(
            name="votes", description="Also pictures without one, unlabelled.", unlabelled=True
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is a folder with {votes.PIXELS_FILE} (FER2013) and {votes.VOTES_FILE} (FER+)."
    )

    def list_sources(self, manual_dir: Path) -> list[Source]:
        """One source a picture, in order of the files.

        The labels also have what only the fingerprint needs: the pictures, and what is kept.
        """
        if self.builder_config.extract != ExtractConfig():
            raise ValueError("--extract.* has no effect on fer_plus: leave it out")
        made_of = {
            "pictures": votes.digest(manual_dir),
            "unlabelled": self.builder_config.unlabelled,
        }
        return [
            Source(name, split=split, labels={"label": label} | made_of)
            for name, split, label in votes.read_votes(manual_dir)
        ]

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        manual_dir = Path(download_config.manual_dir or dl_manager.manual_dir)
        sources, folder = self.sources(manual_dir), Path(self.data_dir)
        timelines = {split: ledger.Timeline(split, "", "", 0.0) for split in votes.SPLITS.values()}
        records: dict[str, list[bytes]] = {split: [] for split in timelines}
        for split, item, reason in self._pictures(sources, manual_dir):
            if item is None:
                timelines[split].drop(reason, 0.0, 0.0)
                continue
            timelines[split].keep(0.0, 0.0)
            records[split].append(codec.serialize(item, "clips"))
        ledgers = {split: timeline.ledger() for split, timeline in timelines.items()}
        empty = [split for split, found in records.items() if not found]
        if empty:
            raise ValueError(
                f"no picture of split {', '.join(empty)} is left. Why:\n"
                f"{ledger.table(ledger.merge(ledgers.values()))}"
            )
        shard_config = download_config.get_shard_config()
        infos = [self._write(split, found, shard_config) for split, found in records.items()]
        self.info.set_splits(tfds.core.SplitDict(infos))
        lines = [json.dumps({"split": split, **entry}) for split, entry in ledgers.items()]
        (folder / LEDGER_FILE).write_text("\n".join(lines) + "\n")
        counts = {split: sum(source.split == split for source in sources) for split in ledgers}
        self.info.metadata.clear()
        self.info.metadata.update(
            extract=config.as_dict(self.builder_config.extract),
            extraction_version=clips.VERSION,
            sources={"videos": len(sources), "fingerprint": fingerprint(sources)},
            splits={
                split: {"videos": counts[split], "clips": len(found), "kept_s": 0.0}
                for split, found in records.items()
            },
            ledger=ledger.merge(ledgers.values()) | {"videos": len(sources)},
        )

    def _pictures(
        self, sources: Sequence[Source], folder: Path
    ) -> Iterator[tuple[str, dict[str, Any] | None, Reason | None]]:
        """(split, clips-record or None, why it is None) of each picture."""
        rows = itertools.zip_longest(sources, votes.read_pixels(folder))
        for number, (source, drawn) in enumerate(rows):
            if source is None or drawn is None or source.split != drawn[0]:
                raise ValueError(
                    f"row {number + 1} of {votes.PIXELS_FILE} and of {votes.VOTES_FILE} in "
                    f"{folder} are not of the same picture; the files must be of the same release, "
                    "in their original order"
                )
            label = source.labels["label"]
            if label.reason is None or (label.emotions and self.builder_config.unlabelled):
                yield source.split, _clip(source.video_id, label, drawn[1]), None
            else:
                yield source.split, None, label.reason

    def _write(self, split: str, records: list[bytes], shard_config) -> tfds.core.SplitInfo:
        template, size = self._get_filename_template(split), sum(map(len, records))
        count = shard_config.get_number_shards(size, len(records))
        edges = [len(records) * i // count for i in range(count + 1)]
        for number, (start, end) in enumerate(itertools.pairwise(edges)):
            path = template.sharded_filepath(shard_index=number, num_shards=count)
            datasets.write_shard(str(path), records[start:end])
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=np.diff(edges).tolist(),
            num_bytes=size,
            filename_template=template,
        )


def _clip(name: str, label: votes.Label, picture: np.ndarray) -> dict[str, Any]:
    size = (record.FACE_SIZE, record.FACE_SIZE)
    crop = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
    colour = cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR)
    _, jpeg = cv2.imencode(".jpg", colour, [cv2.IMWRITE_JPEG_QUALITY, record.JPEG_QUALITY])
    return record.make(
        "clips",
        id=name,
        video_id=name,
        faces=[jpeg.tobytes()],
        face_time_s=np.zeros(1, np.float32),
        face_score=np.ones(1, np.float32),
        emotion=label.emotion,
        emotions=np.array(label.emotions, np.float32),
    )
