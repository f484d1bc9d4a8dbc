"""Splits of unlabelled videos: copies of a file dropped, a small share for validation."""

import hashlib
from collections.abc import Callable, Sequence

from memobert_jax.media import ledger
from memobert_jax.media.ledger import Reason
from tfds_builders.extraction import Outcome

VALIDATION_SHARE = 0.05
"""Share of the videos, or other units, in the validation split."""


def drop_copies(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes with the clips of a file's second and later copies dropped, under their reason."""
    seen: set[str] = set()
    out = []
    for outcome in outcomes:
        entry = outcome.ledger
        if outcome.clips and entry["sha256"] in seen:
            dropped = ledger.failed(
                entry["video_id"], entry["path"], entry["sha256"], Reason.COPY, entry["duration_s"]
            )
            outcome = Outcome(outcome.video_id, "", 0, dropped)
        elif outcome.clips:
            seen.add(entry["sha256"])
        out.append(outcome)
    return out


def split_by_hash(
    outcomes: Sequence[Outcome],
    share: float = VALIDATION_SHARE,
    unit_of: Callable[[str], str] = str,
) -> dict[str, list[Outcome]]:
    """`train` and `validation`; both have clips where at least two units have.

    The units whose hash is lowest are the validation split: those below `share` of the range of
    the hash, and at least one. Units without clips stay in the split of their hash.

    Args:
      outcomes: of all videos.
      share: of the units in the validation split.
      unit_of: video id -> what stays together, such as its speaker; by default the video.
    """

    def place(outcome: Outcome) -> float:
        unit = unit_of(outcome.video_id)
        return int(hashlib.sha256(unit.encode()).hexdigest()[:13], 16) / 16**13

    ordered = sorted({place(outcome) for outcome in outcomes if outcome.clips})
    if len(ordered) < 2:
        return {"train": list(outcomes)}
    border = min(max(share, (ordered[0] + ordered[1]) / 2), ordered[-1])
    splits: dict[str, list[Outcome]] = {"train": [], "validation": []}
    for outcome in outcomes:
        splits["validation" if place(outcome) < border else "train"].append(outcome)
    return splits
