"""Builds a dataset of utterance clips.

  python -m tfds_builders.build NAME --manual_dir=FOLDER --data_dir=FOLDER [flags]

NAME is one of the folders beside this file, such as video_corpus (any folder of videos) or
folder_corpus (a labelled folder with a CSV file); without one, all names are listed. `NAME --help`
also tells what belongs into the folder.

The dataset appears at DATA_DIR/NAME/CONFIG/VERSION when it is whole. The clips of every video are
kept in DATA_DIR/extracted, so the same command after an interruption goes on where it was, and a
change that leaves the extraction alone costs little. What cannot be used is counted under its
reason; the tables at the end add up to the input. Label counts stand beside the published ones.

Flags `--extract.*` change the extraction settings of the configuration; the dataset then gets a
configuration name of its own (`--config_name`, or one made from the settings).
"""

import contextlib
import dataclasses
import difflib
import importlib
import io
import sys
import tempfile
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from memobert_jax import command
from memobert_jax.config import ExtractConfig, as_dict, field, fingerprint, from_mapping

_HERE = Path(__file__).parent
BUILDERS_OWN = ("csv", "aliases", "like")
"""Fields of Request that only builders with them in OPTIONS take."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What to build. Every field is a flag."""

    manual_dir: str = field("", "folder of the input; '': download it, where that is free")
    data_dir: str = field("", "folder of datasets, where the output goes")
    config: str = field("", "configuration; '': the first one of the builder")
    config_name: str = field("", "name of the configuration, if settings of it are changed")
    csv: str = field("", "folder_corpus: the CSV file; '': clips.csv in manual_dir")
    like: str = field(
        "",
        "ravdess, action_units: features dataset with the same speech encoder, whose normalisation "
        "of speech is taken",
    )
    aliases: tuple[str, ...] = field((), "folder_corpus: spellings of labels, as joyous:happiness")
    runner: str = field(
        "local",
        "local (processes of this machine), or a runner of Apache Beam, such as DataflowRunner, "
        "FlinkRunner, SparkRunner, BundleBasedDirectRunner; on several machines all folders must "
        "lie on a file system that they all mount",
    )
    beam_options: tuple[str, ...] = field((), "options of the runner, as name=value")
    workers: int = field(0, "processes of runner local; 0: one a core")
    num_shards: int = field(0, "files of a split; 0: by size, at least 64 MiB each")
    overwrite: bool = field(False, "build the dataset again if it is there")


def names() -> list[str]:
    """The builders: the folders that hold a `<name>_dataset_builder.py`."""
    return sorted(p.name.removesuffix("_dataset_builder.py") for p in _HERE.glob("*/*_builder.py"))


def module_of(name: str):
    """The module of a builder, with its class `Builder`."""
    return importlib.import_module(f"tfds_builders.{name}.{name}_dataset_builder")


def first_config(name: str) -> str:
    """The configuration that is built where none is named."""
    return module_of(name).Builder.BUILDER_CONFIGS[0].name


def make_builder(name: str, request: Request, extract: Mapping[str, Any]):
    """The builder `name` as requested.

    Raises:
      ValueError: for an unknown builder, configuration or setting, or one of another builder.
      OSError: if `data_dir` cannot be made.
    """
    _check_choice("dataset", name, names())
    module = module_of(name)
    known = {config.name: config for config in module.Builder.BUILDER_CONFIGS}
    chosen = request.config or next(iter(known))
    _check_choice("configuration", chosen, list(known))
    own = {field: value for field in BUILDERS_OWN if (value := getattr(request, field))}
    if foreign := sorted(set(own) - set(module.Builder.OPTIONS)):
        raise ValueError(f"--{foreign[0]} has no effect on {name}: leave it out")
    config = _changed(known[chosen], request.config_name, extract)
    return module.Builder(data_dir=_data_dir(request.data_dir), config=config, **own)


def _data_dir(given: str) -> str:
    if not given:
        raise ValueError("--data_dir is missing: give a folder for the datasets, such as data")
    folder = Path(given).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"--data_dir={folder} cannot be written ({error}); give another") from error
    return str(folder)


def _changed(config, name: str, extract: Mapping[str, Any]):
    """The configuration with some extraction settings replaced, under a name of its own."""
    if extract and not hasattr(config, "extract"):
        raise ValueError(
            f"--extract.* has no effect on configuration {config.name!r}, of which nothing is "
            "extracted: leave it out"
        )
    if not extract:
        return dataclasses.replace(config, name=name) if name else config
    settings = from_mapping(ExtractConfig, {**as_dict(config.extract), **extract}, "extract.")
    name = name or f"{config.name}_{fingerprint(settings)[:8]}"
    return dataclasses.replace(config, name=name, extract=settings)


def _check_choice(kind: str, given: str, known: Sequence[str]) -> None:
    if given not in known:
        near = difflib.get_close_matches(given, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no {kind} {given!r}; {hint}Choose from: {', '.join(known)}")


def build(name: str, request: Request, extract: Mapping[str, Any] | None = None) -> str:
    """Builds a dataset unless it is there; returns what to print.

    Args:
      name: the builder.
      request: what to build.
      extract: fields of ExtractConfig that differ from the configuration.

    Raises:
      ValueError, OSError, RuntimeError: with what to do.
    """
    builder = make_builder(name, request, extract or {})
    from tfds_builders import downloads, folders

    if request.manual_dir:
        manual_dir = str(Path(request.manual_dir).expanduser().absolute())
    elif downloads.known(name, chosen := request.config or first_config(name)):
        manual_dir = str(downloads.fetch(name, chosen, Path(builder.data_dir_root) / "downloads"))
    else:
        raise ValueError(f"--manual_dir is missing. {builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    folder = Path(builder.data_dir)
    made_of = builder.made_of(manual_dir)
    if not request.overwrite and folders.is_built(folder, builder.files, made_of):
        return f"{folders.report(folder)}\nIt was already whole; --overwrite builds it again."
    with contextlib.ExitStack() as stack:
        stack.enter_context(folders.alone(folder))
        if folder.exists():
            stack.enter_context(folders.set_aside(folder))
            builder = make_builder(name, request, extract or {})
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # TFDS speaks of downloads
        builder.download_and_prepare(download_config=_download_config(request, manual_dir))
    return folders.report(folder)


def _download_config(request: Request, manual_dir: str):
    import tensorflow_datasets as tfds

    from tfds_builders import runs

    return tfds.download.DownloadConfig(
        manual_dir=manual_dir,
        beam_runner=None if request.runner == "local" else request.runner,
        beam_options=runs.beam_options(request.beam_options, request.workers),
        num_shards=request.num_shards or None,
        try_download_gcs=False,
    )


def main(argv: Sequence[str]) -> int:
    if logging.get_verbosity() < logging.DEBUG:
        logging.set_verbosity(logging.ERROR)  # Beam and TFDS talk a lot; --verbosity=1 lets them
    try:
        if len(argv) != 2:
            given = " ".join(argv[1:]) or "nothing"
            raise ValueError(f"give one dataset of {', '.join(names())}; got {given}")
        print(build(argv[1], Request(**_given(Request)), _given(ExtractConfig, "extract.")))
    except (ValueError, OSError, RuntimeError) as error:
        logging.debug("refused", exc_info=True)
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


def _given(cls: type, prefix: str = "") -> dict[str, Any]:
    """Values of the flags of a dataclass that stand on the command line."""
    values = {f.name: flags.FLAGS[prefix + f.name].value for f in dataclasses.fields(cls)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if value is not None
    }


def _define_flags(cls: type, prefix: str = "") -> None:
    kinds = {
        float: flags.DEFINE_float,
        int: flags.DEFINE_integer,
        bool: flags.DEFINE_bool,
        str: flags.DEFINE_string,
    }
    hints = typing.get_type_hints(cls)
    for item in dataclasses.fields(cls):
        unit = f", {item.metadata['unit']}" if item.metadata["unit"] else ""
        shown = ",".join(item.default) if isinstance(item.default, tuple) else item.default
        usual = f" ({'usually' if prefix else 'default:'} {shown})" if shown != "" else ""
        define = kinds.get(hints[item.name], flags.DEFINE_list)
        define(prefix + item.name, None, item.metadata["doc"] + unit + usual)


def run() -> None:
    """Defines the flags and starts `main`; --help shows the README of the dataset that is named."""
    for name in set(sys.argv) & set(names()):
        readme = (_HERE / name / "README.md").read_text()
        sys.modules["__main__"].__doc__ = f"{__doc__}\n{readme}"
    _define_flags(Request)
    _define_flags(ExtractConfig, "extract.")
    app.run(main, flags_parser=command.parse_flags)


if __name__ == "__main__":
    run()
