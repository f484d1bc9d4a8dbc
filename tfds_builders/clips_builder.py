"""What the builders share: sources -> extraction store -> splits of a TFDS dataset of clips."""

import abc
import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from memobert_jax import config, record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import clips, ledger, subtitles
from tfds_builders import assemble, runs
from tfds_builders.extraction import Outcome, Source

LEDGER_FILE = "ledger.jsonl"
"""In the dataset's folder: the yield ledger of every video, one JSON object a line."""


@dataclasses.dataclass(eq=False)
class ClipsConfig(tfds.core.BuilderConfig):
    """A TFDS configuration with the extraction settings."""

    extract: ExtractConfig = dataclasses.field(default_factory=ExtractConfig)


class ClipsBuilder(FileReaderBuilder, skip_registration=True):
    """Base of the builders of clips datasets. A builder lists its sources; the rest is here.

    Each source is extracted into `<data_dir>/extracted` (`extraction`), then the dataset is
    assembled from there. The dataset's `metadata.json` holds `extract`, `extraction_version`,
    `sources`, `splits` and the totals of the `ledger`; the ledger of each video is a line of
    `ledger.jsonl` beside it.
    """

    url_infos: ClassVar[dict] = {}  # nothing is downloaded, so TFDS need not look for checksums

    def __init__(self, **kwargs: Any):
        super().__init__(**{"file_format": "array_record", **kwargs})
        self._listed: dict[str, list[Source]] = {}

    @abc.abstractmethod
    def list_sources(self, manual_dir: Path) -> list[Source]:
        """All videos of the corpus in `manual_dir`, in a stable order.

        Raises:
          ValueError, FileNotFoundError: if there is nothing to build, with what to do.
        """

    def assign_splits(
        self, sources: Sequence[Source], outcomes: Sequence[Outcome]
    ) -> dict[str, list[Outcome]]:
        """Outcomes of each split, by default as the sources say.

        Raises:
          ValueError: for a split without a single clip.
        """
        splits = defaultdict(list)
        for source, outcome in zip(sources, outcomes, strict=True):
            splits[source.split].append(outcome)
        empty = [name for name, part in splits.items() if not sum(o.clips for o in part)]
        if empty:
            totals = ledger.merge(o.ledger for name in empty for o in splits[name])
            raise ValueError(
                f"no clip of split {', '.join(map(repr, empty))} is left. Why:\n"
                f"{ledger.table(totals)}\nMend the input or relax the extraction settings."
            )
        return dict(splits)

    def sources(self, manual_dir: str | Path) -> list[Source]:
        """`list_sources`, once."""
        known = str(manual_dir)
        if known not in self._listed:
            self._listed[known] = self.list_sources(Path(manual_dir))
        return self._listed[known]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=record.tfds_features("clips"), metadata=tfds.core.MetadataDict()
        )

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        if self.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            raise ValueError(f"file_format is {self.info.file_format}; expected array_record")
        settings = runs.Settings.of(download_config)
        sources = self.sources(download_config.manual_dir or dl_manager.manual_dir)
        store = Path(self.data_dir_root) / "extracted"
        extract = self.builder_config.extract
        folder = Path(self.data_dir)  # unfinished: TFDS renames it at the end
        outcomes = runs.extract_all(sources, extract, store, settings, folder)
        check_any_clip(outcomes)
        splits = self.assign_splits(sources, outcomes)
        check_duplicates(splits)
        shards, infos = assemble.plan_all(
            splits, self._get_filename_template, download_config.get_shard_config()
        )
        assemble.write(shards, settings, folder)
        self.info.set_splits(tfds.core.SplitDict(infos))
        _write_ledger(folder / LEDGER_FILE, splits)
        self.info.metadata.clear()
        self.info.metadata.update(
            extract=config.as_dict(extract),
            extraction_version=clips.VERSION,
            sources={"videos": len(sources), "fingerprint": fingerprint(sources)},
            splits={name: _counts(part) for name, part in splits.items()},
            ledger=ledger.merge(o.ledger for part in splits.values() for o in part),
        )


def _counts(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    totals = ledger.merge(outcome.ledger for outcome in outcomes)
    return {name: totals[name] for name in ("videos", "clips", "kept_s")}


def _write_ledger(path: Path, splits: Mapping[str, Sequence[Outcome]]) -> None:
    with path.open("w") as file:
        for name, outcomes in splits.items():
            for outcome in outcomes:
                file.write(json.dumps({"split": name, **outcome.ledger}) + "\n")


def check_any_clip(outcomes: Sequence[Outcome]) -> None:
    """Raises ValueError, with the ledger, if not a single clip is left."""
    totals = ledger.merge(outcome.ledger for outcome in outcomes)
    if not totals["clips"]:
        raise ValueError(
            f"none of {len(outcomes)} videos gave a clip. Why:\n{ledger.table(totals)}\n"
            "Mend the input or relax the extraction settings (--help lists them)."
        )


def check_duplicates(splits: Mapping[str, Sequence[Outcome]]) -> None:
    """Raises ValueError if two splits hold the same file under two names."""
    seen: dict[str, tuple[str, str]] = {}
    for name, outcomes in splits.items():
        for outcome in outcomes:
            content = outcome.ledger["sha256"]
            if not content or not outcome.clips:
                continue
            other, video_id = seen.setdefault(content, (name, outcome.video_id))
            if other != name:
                raise ValueError(
                    f"{video_id!r} of split {other!r} and {outcome.video_id!r} of split {name!r} "
                    "are the same file: what is tested on must not be trained on. Remove one."
                )


def fingerprint(sources: Sequence[Source]) -> str:
    """16 hex digits of names, sizes, subtitles, utterances and labels of all sources.

    It tells whether a dataset was built from these files without reading the media.
    """
    digest = hashlib.sha256()
    for source in sources:
        digest.update(repr((source.video_id, source.split, sorted(source.labels.items()))).encode())
        for utterance in source.utterances or ():
            digest.update(repr(utterance).encode())
        path = Path(source.path)
        if not source.path or not path.is_file():
            continue
        digest.update(str(path.stat().st_size).encode())
        sidecar = subtitles.find_sidecar(path) if source.utterances is None else None
        if sidecar is not None:
            digest.update(Path(sidecar).read_bytes())
    return digest.hexdigest()[:16]
