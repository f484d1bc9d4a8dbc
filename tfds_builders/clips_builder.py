"""What the builders share: listing -> extraction store -> splits of a TFDS dataset of clips."""

import abc
import dataclasses
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from memobert_jax import config, record
from memobert_jax.config import ExtractConfig
from memobert_jax.media import clips, ledger, subtitles
from tfds_builders import assemble, listing, manual, runs
from tfds_builders.extraction import Outcome, Source
from tfds_builders.labels import Published
from tfds_builders.listing import Listing

LEDGER_FILE = "ledger.jsonl"
"""In the dataset's folder: the yield ledger of every video, one JSON object a line."""


LABELLED = ExtractConfig(require=(), min_utterance_s=0.2, max_utterance_s=60.0)
"""A labelled clip is kept also where it is short, long, or lacks a modality."""


@dataclasses.dataclass(eq=False)
class ClipsConfig(tfds.core.BuilderConfig):
    """A TFDS configuration with the extraction settings, and the counts that are published."""

    extract: ExtractConfig = dataclasses.field(default_factory=ExtractConfig)
    published: Published | None = None


class ClipsBuilder(FileReaderBuilder, skip_registration=True):
    """Base of the builders of clips datasets. A builder lists its sources; the rest is here.

    Each source is extracted into `<data_dir>/extracted` (`extraction`), then the dataset is
    assembled from there. The dataset's `metadata.json` holds what it was `made_of`, the totals of
    the `listing` and of the yield `ledger`, `splits`, and the `labels` that were built beside the
    `published` ones; each item that was left out is a line of `omitted.jsonl`, and the ledger of
    each video one of `ledger.jsonl`.

    A builder names in OPTIONS the flags of its own (fields of `build.Request`) that its constructor
    takes.
    """

    OPTIONS: ClassVar[tuple[str, ...]] = ()
    url_infos: ClassVar[dict] = {}  # nothing is downloaded, so TFDS need not look for checksums

    def __init__(self, **kwargs: Any):
        super().__init__(**{"file_format": "array_record", **kwargs})
        self._listed: dict[str, Listing] = {}

    @abc.abstractmethod
    def list_sources(self, manual_dir: Path) -> Listing:
        """The corpus in `manual_dir`, a folder that is not empty; sources in a stable order.

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
        check_no_empty_split(splits)
        return dict(splits)

    def listing(self, manual_dir: str | Path) -> Listing:
        """`list_sources`, once.

        Raises:
          ValueError: if no source is left, with why.
          OSError: if `manual_dir` holds no corpus, with what to do.
        """
        known = str(manual_dir)
        if known not in self._listed:
            manual.check(Path(manual_dir), self.MANUAL_DOWNLOAD_INSTRUCTIONS)
            found = self.list_sources(Path(manual_dir))
            if not found.sources:
                raise ValueError(
                    f"nothing of {manual_dir} is left. Why:\n{listing.table(found.totals())}"
                )
            check_ids(found.sources)
            self._listed[known] = found
        return self._listed[known]

    @property
    def files(self) -> tuple[str, ...]:
        """What a whole dataset of this configuration has besides the files of TFDS."""
        return (LEDGER_FILE,)

    def made_of(self, manual_dir: str | Path) -> dict[str, Any]:
        """What decides the dataset's content, JSON-able: a part of its metadata."""
        sources = self.listing(manual_dir).sources
        return {
            "extract": json.loads(json.dumps(config.as_dict(self.builder_config.extract))),
            "extraction_version": clips.VERSION,
            "record": record.fingerprint("clips"),
            "settings": settings_of(self.builder_config),
            "sources": {"videos": len(sources), "fingerprint": fingerprint(sources)},
        }

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=record.tfds_features("clips"), metadata=tfds.core.MetadataDict()
        )

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        if self.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            raise ValueError(f"file_format is {self.info.file_format}; expected array_record")
        settings = runs.Settings.of(download_config)
        manual_dir = download_config.manual_dir or dl_manager.manual_dir
        listed, made_of = self.listing(manual_dir), self.made_of(manual_dir)
        totals, sources = listed.totals(), listed.sources
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
        counts = assemble.write(shards, settings, folder)
        self.info.set_splits(tfds.core.SplitDict(infos))
        _write_ledger(folder / LEDGER_FILE, splits)
        listed.tally.write(folder)
        self.info.metadata.clear()
        self.info.metadata.update(
            **made_of,
            listing=totals,
            labels=counts,
            published=published_of(self.builder_config),
            splits={name: _counts(part) for name, part in splits.items()},
            ledger=ledger.merge(o.ledger for part in splits.values() for o in part),
        )


def settings_of(builder_config: tfds.core.BuilderConfig) -> dict[str, Any]:
    """The fields of a configuration that a builder has added, JSON-able.

    Without those that do not decide the content (`published`) or stand elsewhere (`extract`).
    """
    usual = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
    names = {field.name for field in dataclasses.fields(builder_config)}
    names -= usual | {"extract", "published"}
    return json.loads(json.dumps({name: getattr(builder_config, name) for name in sorted(names)}))


def published_of(builder_config: tfds.core.BuilderConfig) -> dict[str, Any] | None:
    """The published counts of a configuration, JSON-able; None where none are known."""
    return builder_config.published and dataclasses.asdict(builder_config.published)


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


def check_ids(sources: Sequence[Source]) -> None:
    """Raises ValueError if two sources have one name, or two utterances one id."""
    names = [source.video_id for source in sources]
    ids = [u.fields["id"] for s in sources for u in s.utterances or () if "id" in u.fields]
    for what, given in (("sources", names), ("utterances", ids)):
        if len(set(given)) < len(given):
            twice = [name for name, count in Counter(given).items() if count > 1]
            raise ValueError(f"{len(twice)} names of {what} are there twice, such as {twice[0]!r}")


def check_no_empty_split(splits: Mapping[str, Sequence[Outcome]]) -> None:
    """Raises ValueError, with the ledger, for splits without a single clip."""
    empty = [name for name, part in splits.items() if not sum(o.clips for o in part)]
    if empty:
        totals = ledger.merge(o.ledger for name in empty for o in splits[name])
        raise ValueError(
            f"no clip of split {', '.join(map(repr, empty))} is left. Why:\n"
            f"{ledger.table(totals)}\nMend the input or relax the extraction settings."
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
