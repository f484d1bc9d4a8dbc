"""Writes what runs left behind as one HTML file, which needs no network.

  python -m memobert_jax.report RUN... --output=report.html [--compare]

A RUN is an output folder of `evaluate`, the work directory of a pre-training run, or the folder of
a built dataset. With --compare the evaluations are also put beside each other: differences to the
first one, on the same clips, with intervals. Evaluations of another protocol are refused.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def report(paths: Sequence[str], output: str | Path, *, compare: bool = False) -> None:
    """Writes the report.

    Args:
      paths: RUNs.
      output: the HTML file.
      compare: also put the evaluations beside each other.

    Raises:
      FileNotFoundError, ValueError: for a folder that cannot be shown, or evaluations that do not
        compare.
      OSError: if `output` cannot be written.
    """
    from memobert_jax.datasets import write_atomically
    from memobert_jax.report import page, runs

    labels = runs.labels(paths)
    found = [runs.read(path, label) for path, label in zip(paths, labels, strict=True)]
    command = ["python", "-m", "memobert_jax.report", *paths]
    command += ["--compare"] * compare + [f"--output={output}"]
    html = page.render(found, compare=compare, command=shlex.join(map(str, command)))
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, lambda path: Path(path).write_text(html, "utf-8"))


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m memobert_jax.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="+", metavar="RUN", help="a folder to show")
    parser.add_argument("--output", required=True, help="the HTML file to write")
    parser.add_argument(
        "--compare", action="store_true", help="put the evaluations beside each other"
    )
    args = parser.parse_args(argv)
    try:
        report(args.run, args.output, compare=args.compare)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{args.output}: {Path(args.output).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
