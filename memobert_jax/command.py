"""What every command line shares: a refusal ends in one sentence, a bug in its traceback."""

import argparse
import functools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app, logging

_HERE = Path(__file__).parent
_HELP = frozenset({"--help", "-help", "-h", "-?", "--helpshort", "--helpfull"})
_OURS = [_HERE.parent / name for name in (_HERE.name, "configs", "tfds_builders")]


def run(main: Callable[[list[str]], int | None]) -> None:
    """Parses the flags and runs `main` with what is no flag; ends the process with its status."""
    app.run(reported(main), flags_parser=parse_flags)


def reported(main: Callable[..., int | None]) -> Callable[..., int]:
    """`main` with an exit status, in which an error that says what to do stands for itself.

    That is an OSError, or a ValueError or FloatingPointError that this project raised itself: it is
    printed as `error: ...`, and the status is 1; with --verbosity=1 its traceback is shown. Any
    other exception is a bug of this program and keeps its traceback.
    """

    @functools.wraps(main)
    def told(*args: Any) -> int:
        try:
            return main(*args) or 0
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        except (OSError, ValueError, FloatingPointError) as error:
            if logging.get_verbosity() >= logging.DEBUG or not _refusal(error):
                raise
            print(f"error: {error}", file=sys.stderr)
            return 1

    return told


def _refusal(error: Exception) -> bool:
    where = _raised_in(error)
    return isinstance(error, OSError) or any(where.is_relative_to(folder) for folder in _OURS)


def _raised_in(error: Exception) -> Path:
    """The file of the function that raised it."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return Path(frame.f_code.co_filename)


def parse_flags(argv: list[str]) -> list[str]:
    """What is no flag of a command line, for `app.run`; who asks for help gets it with status 0."""
    try:
        return app.parse_flags_with_usage(argv)
    except SystemExit:  # absl ends with 1 where help was asked for, too
        if _HELP.isdisjoint(argv):
            raise
        sys.exit(0)
    except (AttributeError, KeyError) as error:  # so ml_collections calls an unknown field
        if "ml_collections" not in _raised_in(error).parts:
            raise
        message: Any = error
        while isinstance(message, Exception):
            message = message.args[0]
        sys.exit(f"error: unknown config field {' '.join(str(message).split())}")


def parser(doc: str) -> argparse.ArgumentParser:
    """A parser for a command with positional arguments, described by `doc`; has --verbosity."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--verbosity", type=int, default=0, action=_Verbosity, help="1: more, and tracebacks"
    )
    return made


class _Verbosity(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        logging.set_verbosity(values)
        setattr(namespace, self.dest, values)
