"""Rows of views as the arrays of a batch.

Features are copied as the rows come, so that the bytes they were read into serve the next row while
they are still in the processor's cache. All that is small is written for the whole batch at once:
clip by clip it took longer than the features.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from memobert_jax.batch import MODALITY_OF, Layout, View, empty_batch

_NONE = np.zeros(0, np.int64)
_FEATURES = ("face", "face_emotion", "speech")
_SMALL = ("ids", "labels", "lengths", "face_mask", "speech_mask", "targets", "index", "damaged")
"""What of a view is kept until its batch is whole."""


def assemble(rows: Iterable[Sequence[View]], layout: Layout, size: int) -> dict[str, np.ndarray]:
    """Rows of views as a batch of `size` rows; rows beyond the given ones are empty.

    Raises:
      ValueError: if there are more than `size` rows, or a row does not fit the layout.
    """
    batch = empty_batch(size, layout)
    small: dict[str, list] = {name: [] for name in _SMALL}
    counts: list[int] = []
    for row, views in enumerate(rows):
        if row == size:
            raise ValueError(f"more rows than the {size} of the batch")
        counts.append(len(views))
        _copy_features(
            {name: batch[name][row] for name in _FEATURES if name in batch}, views, layout
        )
        for name, values in small.items():
            values.extend([getattr(view, name) for view in views])
    if small["ids"]:
        _fill(batch, small, np.array(counts), layout)
    return batch


def _copy_features(out: dict, views: Sequence[View], layout: Layout) -> None:
    caps, width = layout.limits.caps, layout.limits.width
    if len(views) > layout.limits.max_clips:
        raise ValueError(f"{len(views)} clips in a row of at most {layout.limits.max_clips}")
    used = [0, 0, 0]
    for view in views:
        ends = [at + length for at, length in zip(used, view.lengths, strict=True)]
        if sum(ends) > width or any(end > cap for end, cap in zip(ends, caps, strict=True)):
            full = [
                f"{name} buffer {cap}"
                for (name, cap), end in zip(layout.caps.items(), ends, strict=True)
                if end > cap
            ]
            raise ValueError(
                f"clip {view.index} of lengths {view.lengths} does not fit into the rest of its "
                f"row: {', '.join(full) or f'{width} slots'}"
            )
        # Frames of a dataset without a modality are as wide as nothing else: none are copied.
        if ends[1] > used[1]:
            out["face"][used[1] : ends[1]] = view.face
        if ends[2] > used[2]:
            out["speech"][used[2] : ends[2]] = view.speech
        if "face_emotion" in out and len(view.face_emotion):
            out["face_emotion"][used[1] : used[1] + len(view.face_emotion)] = view.face_emotion
        used = ends


def _fill(batch: dict, small: Mapping[str, list], counts: np.ndarray, layout: Layout) -> None:
    """Writes all but the features: arrays of the whole batch at once."""
    row, segment = np.repeat(np.arange(len(counts)), counts), _count(counts)
    lengths = np.array(small["lengths"])
    at = _within_row(lengths, segment)  # [clips, 3] places in the buffers
    slot = at.sum(1)[:, None] + np.cumsum(lengths, 1) - lengths  # [clips, 3] first slots
    sizes, caps = lengths.ravel(), np.array(layout.limits.caps)
    inner, first_slot = _count(sizes), row[:, None] * layout.limits.width + slot
    buffer = np.cumsum(caps) - caps  # the buffers text, face, speech lie end to end
    where = inner + np.repeat(first_slot.ravel(), sizes)
    _flat(batch["slot_source"])[where] = inner + np.repeat((buffer + at).ravel(), sizes)
    _flat(batch["segment_ids"])[where] = np.repeat(segment + 1, lengths.sum(1))
    batch["clip_slot"][row, segment], batch["clip_valid"][row, segment] = slot[:, 0], True
    batch["clip_index"][row, segment] = small["index"]
    batch["damaged"][:, 0] = np.bincount(row, small["damaged"], len(batch["damaged"]))
    for number, modality in enumerate(layout.caps):
        _fill_modality(batch, modality, small, row, at[:, number], lengths[:, number])
    for objective in layout.objectives:
        _fill_targets(batch, objective, small, row, segment, slot, at, lengths, layout)


def _flat(array: np.ndarray) -> np.ndarray:
    """[rows, n] as [rows * n], the same memory."""
    return array.reshape(-1)


def _count(sizes: np.ndarray) -> np.ndarray:
    """0, 1, ... for each of the sizes, end to end."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _within_row(sizes: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """What the clips before each one in its row have, summed: i64 as `sizes` [clips, ...]."""
    before = np.cumsum(sizes, 0) - sizes
    return before - before[np.arange(len(segment)) - segment]


def _fill_modality(batch, modality: str, small, row, at, lengths) -> None:
    inner = _count(lengths)
    position = batch[f"{modality}_position"]
    where = inner + np.repeat(row * position.shape[1] + at, lengths)
    _flat(position)[where] = inner
    if modality == "text":
        _flat(batch["text_ids"])[where] = np.concatenate(small["ids"])
        return
    masked, source, _ = zip(*small[f"{modality}_mask"], strict=True)
    _flat(batch[f"{modality}_source"])[where] = np.concatenate(source) + np.repeat(at, lengths)
    _flat(batch[f"{modality}_masked"])[where] = np.concatenate(masked)


def _fill_targets(batch, objective: str, small, row, segment, slot, at, lengths, layout) -> None:
    """Writes the targets of one objective, and counts those that find no place in their row."""
    found = [targets.get(objective, _NONE) for targets in small["targets"]]
    counts, room = np.array([len(places) for places in found]), layout.targets(objective)
    before = _within_row(counts, segment)
    kept = np.clip(room - before, 0, counts)
    batch["overflow"][:, 0] += np.bincount(row, counts - kept, len(batch["overflow"])).astype(int)
    inner = _count(counts)
    chosen = inner < np.repeat(kept, counts)
    inner, places = inner[chosen], np.concatenate(found)[chosen]
    clip = np.repeat(np.arange(len(row)), kept)
    where = (row * room + before)[clip] + inner
    number = tuple(layout.caps).index(MODALITY_OF[objective])
    _flat(batch[f"{objective}_slot"])[where] = slot[clip, number] + places
    _flat(batch[f"{objective}_valid"])[where] = True
    if objective == "mlm":
        labels = np.concatenate(small["labels"])
        first = np.cumsum(lengths[:, number]) - lengths[:, number]
        _flat(batch["mlm_label"])[where] = labels[first[clip] + places]
    else:
        _flat(batch[f"{objective}_index"])[where] = at[clip, number] + places
