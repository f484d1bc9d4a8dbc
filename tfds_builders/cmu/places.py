"""Where the files of a corpus lie in `manual_dir`, and what a configuration reads of them."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfds_builders import manual
from tfds_builders.cmu import aligned, beside, labels, mmsa, mult, processed, seq20
from tfds_builders.records_builder import RecordsConfig
from tfds_builders.streaming import Records

_FOLDERS = (
    "", "language", "acoustic", "visual", "labels", "seq_length_50", "seq_length_20", "Processed",
)  # fmt: skip
"""Folders in which the files lie on the servers of CMU and of MMSA; they may be kept."""


@dataclasses.dataclass(eq=False)
class FeaturesConfig(RecordsConfig):
    """A configuration of published features.

    Attributes:
      kind: what is read: `words` and `frames` (computational sequences), `pickle`, `mmsa`, `h5`.
      file: the processed file; for `words` and `frames` which sequence the face is from.
      aligned: whether a row is a word in all modalities, for processed files.
      emotion_scores: whether the ten emotion scores of FACET 4.2 are kept.
    """

    kind: str = ""
    file: str = ""
    aligned: bool = True
    emotion_scores: bool = False


@dataclasses.dataclass(frozen=True)
class Places:
    """Names under which the files of a corpus are known.

    Attributes:
      labels: of the label file.
      folds: of the lists of videos.
      sequences: `text_features`, `speech`, `words`, and faces as FeaturesConfig.file -> names.
      instructions: what belongs into `manual_dir`, for errors.
      emotions: whether the label file has emotions, which the pickles of 50 steps lack.
    """

    labels: Sequence[str]
    folds: Sequence[str]
    sequences: Mapping[str, Sequence[str]]
    instructions: str
    emotions: bool = False

    def find(self, manual_dir: Path, names: Sequence[str]) -> Path | None:
        """The first of `names` that is there, in `manual_dir` or in one of _FOLDERS."""
        places = (manual_dir / folder / name for name in names for folder in _FOLDERS)
        return next((path for path in places if path.is_file()), None)

    def need(self, manual_dir: Path, names: Sequence[str]) -> Path:
        """`find`; FileNotFoundError with what to do if there is none."""
        return self.find(manual_dir, names) or manual.need(manual_dir, names[0], self.instructions)

    def files(self, manual_dir: Path, face: str) -> aligned.Files:
        """The computational sequences, labels and folds."""
        folds_file = self.need(manual_dir, self.folds)
        names = {
            "text_features": "text_features",
            "face": face,
            "speech": "speech",
            "words": "words",
        }
        return aligned.Files(
            labels=self.need(manual_dir, self.labels),
            sequences={n: self.need(manual_dir, self.sequences[key]) for n, key in names.items()},
            folds=labels.read_folds(folds_file),
            folds_file=folds_file,
        )


def records(places: Places, manual_dir: Path, cfg: FeaturesConfig) -> Records:
    """What there is to read for a configuration.

    Raises:
      FileNotFoundError, ValueError: if a file is missing or is not of its kind, with what to do.
    """
    if cfg.kind in ("words", "frames"):
        rows = aligned.Rows(cfg.kind, cfg.emotion_scores)
        return aligned.records(places.files(manual_dir, cfg.file), rows)
    if cfg.kind == "h5":
        inputs = seq20.mosei_files(places.need(manual_dir, (cfg.file,)).parent)
        return processed.records(_source(inputs, seq20.read_mosei(inputs[0].parent), cfg))
    path = places.need(manual_dir, (cfg.file,))
    if cfg.kind == "mmsa":
        return processed.records(_source([path], mmsa.read(path), cfg))
    if not places.emotions:
        return processed.records(_source([path], mult.read(path), cfg))
    labels_file = places.need(manual_dir, places.labels)
    words_file = places.find(manual_dir, places.sequences["words"])
    inputs = [file for file in (path, labels_file, words_file) if file]
    look_up = functools.partial(beside.opened, labels_file, words_file)
    return processed.records(_source(inputs, mult.read(path), cfg, look_up))


def _source(inputs, tables, cfg: FeaturesConfig, *look_up) -> processed.Source:
    return processed.Source(inputs, tables, cfg.aligned, cfg.emotion_scores, *look_up)


def both(*configs: FeaturesConfig) -> list[FeaturesConfig]:
    """Each configuration without the emotion scores of FACET 4.2, and as NAME_scores with them."""
    return [
        one
        for cfg in configs
        for one in (
            cfg,
            dataclasses.replace(
                cfg,
                name=f"{cfg.name}_scores",
                description=f"{cfg.description} With the ten emotion scores of FACET 4.2.",
                emotion_scores=True,
            ),
        )
    ]
