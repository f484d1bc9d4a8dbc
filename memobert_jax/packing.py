"""Packing as a pure plan: clip lengths in, rows of clip indices out.

A row has `width` trunk slots, one buffer a modality, and places for clips. The plan depends on the
lengths alone, so it is the same on every host and after every restart. Beside it stands a bound:
how many rows there must be at least, whatever the plan.

Where a first plan is not within a point of fill of its bound, a linear program over rows gives a
sharper bound and a better plan (`columns`, `rounding`). Bin packing is NP-hard, so no rule is
within a point on every corpus that can be thought of. On those of `python tests/packing_corpora.py
0 40` this one is within a point or a single row: of 117 plans 2, of 59 and 89 rows, have one row
more than their bound, which is more than a point of so few.
"""

import dataclasses
import functools
import hashlib
import math

import numpy as np

from memobert_jax import rounding
from memobert_jax.bounds import RESOURCES, Bound, fewest_rows, whole_rows
from memobert_jax.config import DataConfig
from memobert_jax.patterns import TARGETS, Pattern, by_kind, expand, patterns

VERSION = 5
"""Other versions may give other plans for the same clips."""
NEAR = 0.01
"""Difference of fill to its bound from which a plan is good enough."""

_KINDS = 2600
"""Kinds up to which one linear program over whole rows is solved."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a row takes: trunk slots, places of each modality's buffer, clips."""

    width: int
    caps: tuple[int, int, int]
    max_clips: int

    def __post_init__(self):
        if min(self.resources) < 1:
            raise ValueError(f"{self}: a row has at least 1 of everything")

    @staticmethod
    def of(cfg: DataConfig) -> "Limits":
        return Limits(cfg.row_width, (cfg.text_cap, cfg.face_cap, cfg.speech_cap), cfg.max_clips)

    @property
    def resources(self) -> tuple[int, ...]:
        """What a row has of each of RESOURCES."""
        return self.width, *self.caps, self.max_clips


@dataclasses.dataclass(frozen=True)
class PackPlan:
    """Rows of clips.

    Attributes:
      offsets: i64 [rows + 1]; row r holds clips[offsets[r]:offsets[r + 1]].
      clips: i32 [clips], indices of the clips in row order.
      real_slots: trunk slots that carry a clip.
      width: trunk slots of a row.
      bound: how few rows there can be.
    """

    offsets: np.ndarray
    clips: np.ndarray
    real_slots: int
    width: int
    bound: Bound

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.clips[self.offsets[row] : self.offsets[row + 1]]

    @property
    def fill(self) -> float:
        """Share of trunk slots that carry a clip."""
        return self.real_slots / max(len(self) * self.width, 1)

    @property
    def most(self) -> float:
        """The fill that no plan exceeds."""
        return self.real_slots / max(self.bound.rows * self.width, 1)

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hex digits of which clips share a row, and in which order."""
        state = hashlib.sha256(self.offsets.astype("<i8").tobytes())
        state.update(self.clips.astype("<i4").tobytes())
        return state.hexdigest()[:12]

    def report(self) -> str:
        return (
            f"{len(self.clips)} clips in {len(self)} rows of {self.width} slots, "
            f"{self.fill:.1%} of slots real; at most {self.most:.1%} can be "
            f"({self.bound.rows} rows, for their {self.bound.resource})"
        )


def pack(lengths: np.ndarray, limits: Limits, *, quick: bool = False) -> PackPlan:
    """Packs clips into rows.

    Args:
      lengths: i32 [clips, 3] (text, face, speech).
      limits: of a row.
      quick: never solves a linear program for a better plan, which may take minutes.

    Raises:
      ValueError: if a clip does not fit into an empty row, or takes nothing of it; the message
        names it.
    """
    lengths = np.asarray(lengths, np.int32).reshape(-1, 3)
    _check(lengths, limits)
    order, starts, kinds = by_kind(lengths)
    counts = np.diff(starts)
    bound, real = fewest_rows(kinds, counts, limits.resources), int(lengths.sum())
    found: list[Pattern] = []
    for share in TARGETS:
        if _near(found, bound.rows, real, limits.width):
            break
        tried = patterns(kinds, counts, limits.resources, share)
        found = min(found or tried, tried, key=_rows)
    if not (quick or _near(found, bound.rows, real, limits.width)):
        bound, found = _sharper(kinds, counts, limits, bound, found)
        if len(kinds) > rounding.QUICK and not _near(found, bound.rows, real, limits.width):
            found = rounding.by_parts(kinds, counts, limits.resources, found)
    offsets, clips = expand(found, order, starts)
    return PackPlan(offsets, clips, real, limits.width, bound)


def _near(found: list[Pattern], rows: int, real: int, width: int) -> bool:
    """Whether a plan's fill is near that of as few rows as there can be."""
    if not found:
        return not real
    return real * (1 / rows - 1 / _rows(found)) <= NEAR * width


def _sharper(
    kinds: np.ndarray, counts: np.ndarray, limits: Limits, bound: Bound, found: list[Pattern]
) -> tuple[Bound, list[Pattern]]:
    """(a bound that knows which clips share a row, the better plan of `found` and one by it).

    Of very many kinds, only what they take of the scarcest resource is known.
    """
    if len(kinds) <= _KINDS:
        what = "row as a whole"
        least, plan = rounding.by_rows(kinds, counts, limits.resources, found)
    else:
        what, place = bound.resource, RESOURCES.index(bound.resource)
        takes = whole_rows(kinds, limits.resources)[:, place]
        least, plan = rounding.by_sizes(kinds, counts, limits.resources, takes, place, found)
    if least > bound.shares.get(what, 0):
        shares = {**bound.shares, what: least}
        best = max(shares, key=shares.get)
        bound = Bound(math.ceil(shares[best] - 1e-6), best, shares)
    return bound, min(found, plan, key=_rows)


def _check(lengths: np.ndarray, limits: Limits) -> None:
    nothing = ~lengths.any(1)
    if nothing.any():
        raise ValueError(
            f"clip {int(np.argmax(nothing))} takes no slot: leave clips without any modality out"
        )
    too_long = lengths.sum(1) > limits.width
    too_long |= (lengths > np.asarray(limits.caps, np.int32)).any(1)
    if too_long.any():
        clip = int(np.argmax(too_long))
        raise ValueError(
            f"clip {clip} of lengths {lengths[clip].tolist()} (text, face, speech) does not fit "
            f"into a row of {limits.width} slots with buffers {limits.caps}"
        )


def _rows(found: list[Pattern]) -> int:
    return sum(pattern.rows for pattern in found)


def suggest(
    lengths: np.ndarray,
    *,
    widths: tuple[int, ...] = (256, 512, 1024),
    headroom: float = 1.2,
    longest: tuple[int, int, int] = (0, 0, 0),
) -> list[tuple[Limits, float]]:
    """Limits that suit a corpus, one for each width, with the fill that they reach at most.

    Buffers are the corpus' own shares of a full row, with `headroom` so that they seldom close a
    row, and long enough for the longest clip; clips a row allow for clips of half the mean.

    Args:
      lengths: i32 [clips, 3].
      widths: trunk slots to consider; those too narrow for the longest clip are left out.
      headroom: buffers over what rows use on average.
      longest: what a clip may have of each modality, whether one of the corpus has it or not.
    """
    lengths = np.asarray(lengths, np.int32).reshape(-1, 3)
    _, starts, kinds = by_kind(lengths)
    counts, totals = np.diff(starts), lengths.sum(0, dtype=np.int64)
    out = []
    for width in widths:
        if not len(kinds) or width < max(kinds[:, 0].max(), sum(longest)):
            continue
        least = np.maximum(lengths.max(0), longest)
        needs = np.maximum(width * headroom * totals / totals.sum(), least)
        caps = tuple((np.ceil(needs / 8).astype(int) * 8).clip(8).tolist())
        limits = Limits(width, caps, math.ceil(2 * width * len(lengths) / totals.sum()))
        rows = fewest_rows(kinds, counts, limits.resources).rows
        out.append((limits, int(totals.sum()) / (rows * width)))
    return out
