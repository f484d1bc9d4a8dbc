"""What the templates show of the pre-training and of the data behind an evaluation."""

from typing import Any

from memobert_jax import metrics
from memobert_jax.media import ledger
from memobert_jax.report import curves
from memobert_jax.report.runs import Dataset, Training


def training(t: Training, name: str) -> dict[str, Any]:
    """Curves of every objective, and a row for each: held-out loss first and last, trivial ones."""
    objectives = [n for n in metrics.LOSS_NAMES if n in t.train or n in t.heldout]
    figures, rows = [], []
    for objective in objectives:
        title = metrics.LOSS_NAMES[objective]
        trivial, heldout = t.trivial.get(objective, {}), t.heldout.get(objective)
        figures.append(
            curves.losses(
                f"{name}-{objective}", f"Loss against the step: {title}", title,
                t.train.get(objective), heldout, trivial,
            )
        )  # fmt: skip
        if heldout:
            ends = {"first": heldout[1][0], "last": heldout[1][-1]}
            rows.append({"title": title, **ends, "trivial": trivial})
    return {"id": name, "t": t, "figures": figures, "rows": rows}


def dataset(d: Dataset, name: str) -> dict[str, Any]:
    """The yield ledger as rows of name, seconds, share, count and explanation."""
    totals, seconds = d.totals, d.totals.get("duration_s", 0.0)

    def row(what: str, spent: float, count: int, why: str) -> dict[str, Any]:
        share = spent / seconds if seconds else 0.0
        return {"name": what, "seconds": spent, "share": share, "count": count, "why": why}

    rows = []
    if totals:
        rows = [
            row("input", seconds, totals["videos"], "videos"),
            row("kept", totals["kept_s"], totals["clips"], "clips"),
        ]
    dropped = totals.get("dropped", {})
    for reason, entry in sorted(dropped.items(), key=lambda item: -item[1]["seconds"]):
        rows.append(row(reason, entry["seconds"], entry["count"], _explained(reason)))
    notes = [(reason, n, _explained(reason)) for reason, n in totals.get("notes", {}).items()]
    return {
        "id": name,
        "d": d,
        "rows": rows,
        "notes": notes,
        "listing": d.metadata.get("listing") or {},
    }


def _explained(reason: str) -> str:
    known = reason in set(ledger.Reason)
    return ledger.EXPLANATIONS.get(ledger.Reason(reason), "") if known else ""
