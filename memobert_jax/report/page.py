"""The page: templates filled with the sections, one file that needs no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memobert_jax.report import backdrop, comparison, sections, wording
from memobert_jax.report.evaluation import Evaluation
from memobert_jax.report.runs import Dataset, Training

TEMPLATES = Path(__file__).parent / "templates"


def render(
    found: Sequence[Evaluation | Training | Dataset], *, compare: bool = False, command: str = ""
) -> str:
    """The HTML of what `runs.read` gave.

    Args:
      found: in the order in which they shall stand.
      compare: also put the evaluations beside each other.
      command: that makes this page.

    Raises:
      ValueError: if evaluations are to be compared and do not compare.
    """
    import jinja2

    kinds: dict[type, list[Any]] = {kind: [] for kind in (Evaluation, Training, Dataset)}
    for one in found:
        kinds[type(one)].append(one)
    evaluations = kinds[Evaluation]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "points", "probability", "number", "plain", "arm", "short", "size"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["modalities"] = wording.modalities
    environment.globals |= {"span": wording.span, "count": wording.count}
    return environment.get_template("page.html").render(
        title=title(found),
        comparison=comparison.compared(evaluations) if compare else None,
        evaluations=_each(sections.evaluation, evaluations, "e"),
        trainings=_each(backdrop.training, kinds[Training], "t"),
        datasets=_each(backdrop.dataset, kinds[Dataset], "d"),
        stamps=[(e.label, e.stamp) for e in evaluations if e.stamp],
        command=command,
    )


def _each(make: Any, found: Sequence[Any], letter: str) -> list[dict[str, Any]]:
    return [make(one, f"{letter}{i}") for i, one in enumerate(found, 1)]


def title(found: Sequence[Evaluation | Training | Dataset]) -> str:
    """What the page is about, after the first thing that it shows."""
    evaluations = [one for one in found if isinstance(one, Evaluation)]
    if evaluations:
        names = dict.fromkeys(e.protocol["name"] for e in evaluations)
        return "Emotion recognition, " + " and ".join(names)
    what = "Pre-training" if isinstance(found[0], Training) else "Dataset"
    return f"{what}: " + ", ".join(one.label for one in found)
