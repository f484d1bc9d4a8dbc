"""Builds a dataset of utterance clips.

  python -m tfds_builders.build NAME --manual_dir=FOLDER --data_dir=FOLDER [flags]

NAME is video_corpus (any folder of videos), folder_corpus (a labelled folder with a CSV file) or
talking_heads (the rendered corpus). `NAME --help` also tells what belongs into the folder.

The dataset appears at DATA_DIR/NAME/CONFIG/VERSION when it is whole. The clips of every video are
kept in DATA_DIR/extracted, so the same command after an interruption goes on where it was, and a
change that leaves the extraction alone costs little. A video that cannot be used is counted under
its reason; the table at the end adds up to the input.

Flags `--extract.*` change the extraction settings of the configuration; the dataset then gets a
configuration name of its own (`--config_name`, or one made from the settings).
"""

import contextlib
import dataclasses
import difflib
import importlib
import io
import os
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from memobert_jax.config import ExtractConfig, as_dict, fingerprint, from_mapping

_HERE = Path(__file__).parent

_CONFIG = flags.DEFINE_string("config", "", "configuration; '': the first one of the builder")
_CONFIG_NAME = flags.DEFINE_string(
    "config_name", "", "name of the configuration with changed settings: a folder of the dataset"
)
_MANUAL_DIR = flags.DEFINE_string("manual_dir", "", "folder of the input")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "folder of datasets, where the output goes")
_CSV = flags.DEFINE_string("csv", "", "folder_corpus: the CSV file; '': clips.csv in manual_dir")
_ALIASES = flags.DEFINE_list(
    "aliases", [], "folder_corpus: more spellings of labels, as joy:happiness"
)
_RUNNER = flags.DEFINE_string(
    "runner",
    "local",
    "Apache Beam runner: local (processes of this machine) or one of Beam's, such as "
    "BundleBasedDirectRunner, DataflowRunner, FlinkRunner, SparkRunner; on several machines all "
    "folders must lie on a file system that they mount",
)
_BEAM_OPTIONS = flags.DEFINE_list("beam_options", [], "options of the runner, as name=value")
_WORKERS = flags.DEFINE_integer("workers", 0, "processes of runner local; 0: one a core")
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards", 0, "files of a split; 0: by size, at least 64 MiB each"
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "assemble the dataset again if it is there")


def _define_extract_flags() -> None:
    hints = typing.get_type_hints(ExtractConfig)
    for field in dataclasses.fields(ExtractConfig):
        define = {float: flags.DEFINE_float, int: flags.DEFINE_integer, bool: flags.DEFINE_bool}
        unit = f", {field.metadata['unit']}" if field.metadata["unit"] else ""
        define.get(hints[field.name], flags.DEFINE_list)(
            f"extract.{field.name}", None, field.metadata["doc"] + unit
        )


_define_extract_flags()


def names() -> list[str]:
    """The builders: the folders that hold a `<name>_dataset_builder.py`."""
    return sorted(p.name.removesuffix("_dataset_builder.py") for p in _HERE.glob("*/*_builder.py"))


def make_builder(name: str):
    """The builder `name` as the flags say.

    Raises:
      ValueError: for an unknown builder, configuration, setting, or a flag of another builder.
    """
    module = importlib.import_module(f"tfds_builders.{name}.{name}_dataset_builder")
    builder = module.Builder
    known = {config.name: config for config in builder.BUILDER_CONFIGS}
    _check_choice("configuration", _CONFIG.value or next(iter(known)), list(known))
    config = known[_CONFIG.value or next(iter(known))]
    extra: dict[str, Any] = {}
    if name == "folder_corpus":
        extra = {"csv": _CSV.value, "aliases": _aliases(_ALIASES.value)}
    elif _CSV.value or _ALIASES.value:
        raise ValueError(f"--csv and --aliases belong to folder_corpus, not to {name}")
    return builder(data_dir=_data_dir(), config=_changed(config), **extra)


def _data_dir() -> str:
    if not _DATA_DIR.value:
        raise ValueError("--data_dir is missing: give a folder for the datasets, such as data")
    folder = Path(_DATA_DIR.value).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--data_dir={folder} cannot be made ({error}); give another") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"--data_dir={folder} is not writable; give another or change its rights")
    return str(folder)


def _changed(config):
    """The configuration with the `--extract.*` flags and `--config_name` applied."""
    values = {
        field.name: flags.FLAGS[f"extract.{field.name}"].value
        for field in dataclasses.fields(ExtractConfig)
    }
    changes = {name: value for name, value in values.items() if value is not None}
    if not changes and not _CONFIG_NAME.value:
        return config
    extract = from_mapping(ExtractConfig, {**as_dict(config.extract), **changes}, "extract.")
    name = _CONFIG_NAME.value or f"{config.name}_{fingerprint(extract)[:8]}"
    return dataclasses.replace(config, name=name, extract=extract)


def _aliases(pairs: Sequence[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if pair.count(":") != 1]:
        raise ValueError(
            f"--aliases has {wrong[0]!r}; expected SPELLING:LABEL, such as joy:happiness"
        )
    return {
        spelling.strip().lower(): label.strip()
        for spelling, _, label in (p.partition(":") for p in pairs)
    }


def _check_choice(kind: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        near = difflib.get_close_matches(given, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no {kind} {given!r}; {hint}Choose from: {', '.join(known)}")


def build(name: str, manual_dir: str, overwrite: bool) -> str:
    """Builds the dataset unless it is there; returns what to print.

    Raises:
      ValueError, OSError, RuntimeError: with what to do.
    """
    from tfds_builders import folders

    _check_choice("dataset", name, names())
    builder = make_builder(name)
    if not manual_dir:
        raise ValueError(f"--manual_dir is missing. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    manual_dir = str(Path(manual_dir).expanduser().absolute())
    folder = Path(builder.data_dir)
    sources = builder.sources(manual_dir)
    if not overwrite and folders.is_built(builder, sources):
        return f"{folders.report(folder)}\nIt was already whole; --overwrite builds it again."
    with contextlib.ExitStack() as stack:
        stack.enter_context(folders.alone(folder))
        if folder.exists():
            stack.enter_context(folders.set_aside(folder))
            builder = make_builder(name)
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # TFDS speaks of downloads
        builder.download_and_prepare(download_config=_download_config(manual_dir))
    return folders.report(folder)


def _download_config(manual_dir: str):
    import tensorflow_datasets as tfds

    from tfds_builders import runs

    tfds.disable_progress_bar()  # ours count videos
    return tfds.download.DownloadConfig(
        manual_dir=manual_dir,
        beam_runner=None if _RUNNER.value == "local" else _RUNNER.value,
        beam_options=runs.beam_options(_BEAM_OPTIONS.value, _WORKERS.value),
        num_shards=_NUM_SHARDS.value or None,
        try_download_gcs=False,
    )


def main(argv: Sequence[str]) -> int:
    if len(argv) != 2:
        given = " ".join(argv[1:]) or "nothing"
        print(f"error: give one dataset of {', '.join(names())}; got {given}", file=sys.stderr)
        return 1
    if logging.get_verbosity() < logging.DEBUG:
        logging.set_verbosity(logging.ERROR)  # Beam and TFDS talk a lot; --verbosity=1 lets them
    try:
        print(build(argv[1], _MANUAL_DIR.value, _OVERWRITE.value))
    except (ValueError, OSError, RuntimeError) as error:
        logging.debug("refused", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _describe(argv: Sequence[str]) -> None:
    """Adds the README of the dataset in `argv` to the text of --help."""
    for name in set(argv) & set(names()):
        readme = (_HERE / name / "README.md").read_text()
        sys.modules["__main__"].__doc__ += f"\n{readme}"


if __name__ == "__main__":
    _describe(sys.argv)
    app.run(main)
