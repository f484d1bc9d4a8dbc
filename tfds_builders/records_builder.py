"""The base of builders with configurations whose records are read, not extracted."""

import abc
import dataclasses
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from memobert_jax import features, featurizer, record
from tfds_builders import manual, streaming
from tfds_builders.clips_builder import ClipsBuilder, published_of, settings_of
from tfds_builders.labels import Published
from tfds_builders.listing import Listing
from tfds_builders.streaming import Records


def written(name: str, text: str, **fields: Any) -> dict[str, Any]:
    """The clips-record of a text that nobody spoke: it has no times, and is a video by itself."""
    words, starts, ends = record.even_words(text, 0.0)
    return record.make(
        "clips",
        id=name,
        video_id=name,
        text=text,
        words_text=words,
        words_start_s=starts,
        words_end_s=ends,
        **fields,
    )


@dataclasses.dataclass(eq=False)
class RecordsConfig(tfds.core.BuilderConfig):
    """A TFDS configuration whose records are read.

    Attributes:
      stage: of the dataset: 'clips', which `featurize` takes, or 'features', which `train` takes.
      normalise_on: split on which the mean and standard deviation are fitted that are removed from
        features; '': the features stay as the corpus has them.
      published: the counts that are published.
    """

    stage: str = "features"
    normalise_on: str = ""
    published: Published | None = None


class RecordsBuilder(ClipsBuilder, skip_registration=True):
    """Base of the builders of which some configurations are RecordsConfigs.

    For these `open_records` says what there is to read, and the dataset is written as it is read
    (`streaming`), a features dataset in the form that `featurize` gives it. Its `metadata.json` has
    the `listing`, `labels` and `published` of a ClipsBuilder. ClipsConfigs work as there.
    """

    def __init__(self, **kwargs: Any):
        self._found: tfds.core.DatasetInfo | None = None
        self._opened: dict[str, Records] = {}
        super().__init__(**kwargs)

    @abc.abstractmethod
    def open_records(self, manual_dir: Path) -> Records:
        """What is to be read of the corpus in `manual_dir`, a folder that is not empty.

        It looks which files there are and how wide their rows are, and reads no more than that.

        Raises:
          ValueError, OSError: if there is nothing to build, with what to do.
        """

    def list_sources(self, manual_dir: Path) -> Listing:
        """For a builder that also has ClipsConfigs."""
        raise NotImplementedError(f"{self.name} has no configuration that is extracted")

    def records(self, manual_dir: str | Path) -> Records:
        """`open_records`, once.

        Raises:
          ValueError, OSError: if `manual_dir` holds no corpus, with what to do.
        """
        known = str(manual_dir)
        if known not in self._opened:
            manual.check(Path(manual_dir), self.MANUAL_DOWNLOAD_INSTRUCTIONS)
            self._opened[known] = self.open_records(Path(manual_dir))
        return self._opened[known]

    @property
    def read_whole(self) -> bool:
        """Whether this configuration's records are read, not extracted."""
        return isinstance(self.builder_config, RecordsConfig)

    @property
    def files(self) -> tuple[str, ...]:
        if not self.read_whole:
            return super().files
        return ()

    def made_of(self, manual_dir: str | Path) -> dict[str, Any]:
        if not self.read_whole:
            return super().made_of(manual_dir)
        return {
            "record": record.fingerprint(self.builder_config.stage),
            "settings": settings_of(self.builder_config),
            "sources": self.records(manual_dir).identity,
        }

    @property
    def info(self) -> tfds.core.DatasetInfo:
        """With the widths of the features once these are known: once the dataset is made."""
        return self._found or super().info

    def _info(self) -> tfds.core.DatasetInfo:
        return self._info_of(None) if self.read_whole else super()._info()

    def _info_of(self, widths: dict[str, int] | None) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=record.tfds_features(self.builder_config.stage, widths),
            metadata=tfds.core.MetadataDict(),
        )

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        if not self.read_whole:
            return super()._download_and_prepare(dl_manager, download_config)
        manual_dir = download_config.manual_dir or dl_manager.manual_dir
        found, cfg, folder = self.records(manual_dir), self.builder_config, Path(self.data_dir)
        normalisation = found.normalisation
        if cfg.normalise_on and not normalisation:
            normalisation = streaming.fit(found, cfg.normalise_on)
        written, totals = streaming.write(
            found,
            cfg.stage,
            normalisation,
            folder,
            self._get_filename_template,
            download_config.get_shard_config(),
        )
        if cfg.stage == "features":
            self._found = self._info_of(dict(found.widths))
            self._found.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
        self.info.set_splits(tfds.core.SplitDict([part.info for part in written.values()]))
        self.info.metadata.clear()
        self.info.metadata.update(
            **self.made_of(manual_dir),
            listing=totals,
            labels={split: dict(part.counts) for split, part in written.items()},
            published=published_of(cfg),
            splits={split: part.counts["clips"] for split, part in written.items()},
            seconds={split: part.seconds for split, part in written.items()},
            extract={},
            extraction_version=0,
            ledger={},
        )
        if cfg.stage == "features":
            self.info.metadata.update(_features_metadata(found, normalisation, written, folder))


def _features_metadata(found: Records, normalisation, written, folder: Path) -> dict[str, Any]:
    """Writes the index of each split; what `featurize` says of a features dataset."""
    for split, part in written.items():
        features.write_index(folder, split, part.rows)
    return {
        "encoders": featurizer.NONE | {m: dict(one) for m, one in found.encoders.items()},
        "normalisation": normalisation,
        "storage": "float16",
        "weights": {},
        "clips_fingerprint": "",
        **({"normalised_on": dict(found.normalised_on)} if found.normalised_on else {}),
        "digests": {split: features.split_digest(part.rows) for split, part in written.items()},
        "dropped": {},
        "speech_cut": {"clips": 0, "seconds": 0.0},
    }
