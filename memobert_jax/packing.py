"""Packing as a pure plan: clip lengths in, rows of clip indices out.

A row has `width` trunk slots and one buffer a modality. Clips go best-fit decreasing: the longest
first, each into the fullest row that still takes it. The plan depends on the lengths alone, so it
is the same on every host and after every restart.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from memobert_jax.config import DataConfig


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a row takes: trunk slots, places of each modality's buffer, clips."""

    width: int
    caps: tuple[int, int, int]
    max_clips: int

    @staticmethod
    def of(cfg: DataConfig) -> "Limits":
        return Limits(cfg.row_width, (cfg.text_cap, cfg.face_cap, cfg.speech_cap), cfg.max_clips)


@dataclasses.dataclass(frozen=True)
class PackPlan:
    """Rows of clips.

    Attributes:
      offsets: i64 [rows + 1]; row r holds clips[offsets[r]:offsets[r + 1]].
      clips: i32 [clips], indices of the clips in row order.
      real_slots: trunk slots that carry a clip.
      width: trunk slots of a row.
    """

    offsets: np.ndarray
    clips: np.ndarray
    real_slots: int
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.clips[self.offsets[row] : self.offsets[row + 1]]

    @property
    def fill(self) -> float:
        """Share of trunk slots that carry a clip."""
        return self.real_slots / max(len(self) * self.width, 1)

    def report(self) -> str:
        return (
            f"{len(self.clips)} clips in {len(self)} rows of {self.width} slots, "
            f"{self.fill:.1%} of slots real"
        )


def pack(lengths: np.ndarray, limits: Limits) -> PackPlan:
    """Packs clips of `lengths` i32 [clips, 3] (text, face, speech) into rows.

    Raises:
      ValueError: if a clip does not fit into an empty row; the message names it.
    """
    lengths = np.asarray(lengths, np.int32).reshape(-1, 3)
    totals = lengths.sum(1)
    too_long = (totals > limits.width) | (lengths > np.asarray(limits.caps)).any(1)
    if too_long.any():
        clip = int(np.argmax(too_long))
        raise ValueError(
            f"clip {clip} of lengths {lengths[clip].tolist()} (text, face, speech) does not fit "
            f"into a row of {limits.width} slots with buffers {limits.caps}"
        )
    rows = _fill(lengths.tolist(), np.argsort(-totals, kind="stable").tolist(), limits)
    sizes = [len(row) for row in rows]
    return PackPlan(
        offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64),
        clips=np.fromiter((clip for row in rows for clip in row), np.int32, sum(sizes)),
        real_slots=int(totals.sum()),
        width=limits.width,
    )


def _fill(lengths: Sequence, order: Sequence[int], limits: Limits) -> list[list[int]]:
    rows: list[list[int]] = []
    space: list[tuple[int, int, int]] = []
    open_rows: list[list[int]] = [[] for _ in range(limits.width + 1)]  # by trunk slots left
    some = 0  # bit i: open_rows[i] is not empty
    for clip in order:
        text, face, speech = lengths[clip]
        total = text + face + speech
        row, left = _best_row(open_rows, some, space, total, (text, face, speech))
        if row < 0:
            row, left = len(rows), limits.width
            rows.append([])
            space.append(limits.caps)
        elif not open_rows[left]:
            some &= ~(1 << left)
        rows[row].append(clip)
        t, f, s = space[row]
        space[row] = (t - text, f - face, s - speech)
        if len(rows[row]) < limits.max_clips and left > total:
            open_rows[left - total].append(row)
            some |= 1 << (left - total)
    return rows


def _best_row(
    open_rows: list[list[int]], some: int, space: list, total: int, lengths: tuple, tries: int = 4
) -> tuple[int, int]:
    """(the fullest open row that takes the clip, its slots left), or (-1, 0); removes the row.

    Of the rows with equally many slots left only the latest `tries` are tried, so that the time
    stays linear in clips.
    """
    text, face, speech = lengths
    some >>= total
    left = total
    while some:
        step = (some & -some).bit_length()
        left, some = left + step, some >> step
        candidates = open_rows[left - 1]
        for place in range(len(candidates) - 1, max(len(candidates) - 1 - tries, -1), -1):
            t, f, s = space[candidates[place]]
            if text <= t and face <= f and speech <= s:
                return candidates.pop(place), left - 1
    return -1, 0
