"""Labelled clips as the classifier sees them: one view for each clip and modality subset, packed.

A subset hides modalities: hidden frames are not there, hidden text leaves the template alone. The
same rows serve fitting, validation, test and prediction.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from memobert_jax.batch import Layout, View, Widths, no_label
from memobert_jax.collate import assemble
from memobert_jax.masking import hide_frames, lose_frames, nothing_masked
from memobert_jax.packing import Limits, pack
from memobert_jax.prompts import Rendered, Template

LETTERS = {"T": "text", "F": "face", "S": "speech"}
FIELDS = ("id", "text", "face", "face_emotion", "speech")
_CLIPS_A_ROW = 12
_CAP_SHARE = 1.6
"""Buffer of a modality, relative to its mean share of a full row."""


class Longest(NamedTuple):
    """Most pieces, face frames and speech rows of a view."""

    text: int
    face: int
    speech: int


class Clip(NamedTuple):
    """A clip with its prompt.

    id: of the record; with_text, without_text: the prompt; face, face_emotion, speech: f16
    [frames, width]; label: index of its class, or -1, or i32 [labels], or a value; has: its
    modalities; cut: modality -> pieces, frames or rows at its end that are not shown.
    """

    id: str
    with_text: Rendered
    without_text: Rendered
    face: np.ndarray
    face_emotion: np.ndarray
    speech: np.ndarray
    label: Any
    has: frozenset[str]
    cut: Mapping[str, int]


def modalities(subset: str) -> frozenset[str]:
    """The modalities of a subset such as "TF"."""
    return frozenset(LETTERS[letter] for letter in subset)


def prepare(item: Mapping[str, Any], label: Any, prompt: Template, longest: Longest) -> Clip:
    """A features record as a Clip; frames beyond the longest are left out, and counted.

    A clip has no text where the template has no place for it.
    """
    face, speech = item["face"][: longest.face], item["speech"][: longest.speech]
    with_text, without_text = (prompt.render(text, longest.text) for text in (item["text"], ""))
    lengths = {
        "text": len(with_text.ids) - len(without_text.ids),
        "face": len(face),
        "speech": len(speech),
    }
    return Clip(
        id=item["id"],
        with_text=with_text,
        without_text=without_text,
        face=face,
        face_emotion=item["face_emotion"][: len(face)],
        speech=speech,
        label=label,
        has=frozenset(name for name, length in lengths.items() if length),
        cut={
            "text": with_text.cut,
            "face": len(item["face"]) - len(face),
            "speech": len(item["speech"]) - len(speech),
        },
    )


def show(
    clip: Clip,
    subset: str,
    number: int,
    hide: float = 0.0,
    rng: np.random.Generator | None = None,
    lost: float = 0.0,
) -> View:
    """The view of a clip in which only the modalities of `subset` are there.

    With `hide`, that share of its words and frames is masked, words one by one and frames in spans;
    the template never is. With `lost`, its frames are (`lose_frames`), the same in every view.
    """
    shown = modalities(subset)
    rendered = clip.with_text if "text" in shown else clip.without_text
    face, speech = len(clip.face) * ("face" in shown), len(clip.speech) * ("speech" in shown)
    ids, masks = rendered.ids, (nothing_masked(face), nothing_masked(speech))
    if hide:
        ids = _hide_words(rendered, hide, rng)
        masks = [hide_frames(n, rng, hide) for n in (face, speech)]
    if lost:
        lengths = {"face": face, "speech": speech}
        masks = [lose_frames(n, lost, f"{name} {clip.id}") for name, n in lengths.items()]
    return View(
        ids=ids,
        labels=rendered.ids,
        face=clip.face[:face],
        face_emotion=clip.face_emotion[:face],
        speech=clip.speech[:speech],
        face_mask=masks[0],
        speech_mask=masks[1],
        targets={"mlm": np.array([rendered.mask])},
        index=number,
    )


def _hide_words(rendered: Rendered, share: float, rng: np.random.Generator) -> np.ndarray:
    words = rng.random(rendered.groups.max() + 1) < share
    hidden = rendered.groups >= 0
    hidden[hidden] = words[rendered.groups[hidden]]
    return np.where(hidden, rendered.ids[rendered.mask], rendered.ids)


def missing(clip: Clip, subset: str) -> str:
    """ "all" if the clip has none of a subset's modalities, "some" or "" (nothing is missing)."""
    lacking = modalities(subset) - clip.has
    return "" if not lacking else "all" if lacking == modalities(subset) else "some"


def layout_for(lengths: np.ndarray, widths: Widths, row_width: int) -> Layout:
    """The shapes of rows that take views of `lengths` i32 [views, 3].

    A row is `row_width` slots, or as wide as the longest view. A modality's buffer has room for the
    longest of it, and for more than its mean share of a full row.
    """
    width = max(row_width, _round_up(int(lengths.sum(1).max())))
    share = lengths.sum(0) / lengths.sum()
    caps = np.maximum(lengths.max(0), np.minimum(share * _CAP_SHARE, 1.0) * width)
    caps = tuple(max(_round_up(int(cap)), 8) for cap in caps)
    limits = Limits(width, caps, min(_CLIPS_A_ROW, caps[0]))
    return Layout(limits, widths, target_share=limits.max_clips / caps[0])


def _round_up(size: int, multiple: int = 16) -> int:
    return -(-size // multiple) * multiple


def lengths_of(clips: Iterable[Clip], subsets: Sequence[str]) -> np.ndarray:
    """i32 [clips * subsets, 3]: pieces, face frames and speech rows of every view."""
    views = [show(clip, subset, 0).lengths for clip in clips for subset in subsets]
    return np.array(views, np.int32).reshape(-1, 3)


class Rows:
    """Packed views of clips under modality subsets.

    View number `clip * len(subsets) + subset` is in the batch's `clip_index`; a view of which
    nothing would be shown is left out. `label` [rows, clips] is added to each batch: the class i32
    of each segment, -1 where there is none; of several labels i32 [rows, clips, labels]; a value
    f32, NaN where there is none.

    Args:
      clips: the clips.
      subsets: under which each is shown.
      layout: the shapes of the rows.
      lost: share of the frames that is lost at random in all views.

    Raises:
      ValueError: if no clip has a modality of any subset.
    """

    def __init__(
        self, clips: Sequence[Clip], subsets: Sequence[str], layout: Layout, lost: float = 0.0
    ):
        self.clips, self.subsets, self.layout = list(clips), tuple(subsets), layout
        labels = np.array([clip.label for clip in self.clips])
        self.labels = labels.astype(np.float32 if labels.dtype.kind == "f" else np.int32)
        views = [
            show(clip, subset, c * len(self.subsets) + s, lost=lost)
            for c, clip in enumerate(self.clips)
            for s, subset in enumerate(self.subsets)
            if missing(clip, subset) != "all"
        ]
        if not views:
            raise ValueError(
                f"none of {len(self.clips)} clips has a modality of {', '.join(self.subsets)}"
            )
        self.plan = pack(
            np.array([view.lengths for view in views], np.int32), layout.limits, quick=True
        )
        self._rows = [[views[i] for i in self.plan[row]] for row in range(len(self.plan))]

    def __len__(self) -> int:
        return len(self._rows)

    def batch(
        self,
        rows: Sequence[int],
        size: int,
        hide: float = 0.0,
        rngs: Sequence[np.random.Generator] = (),
    ) -> dict[str, np.ndarray]:
        """Some rows as a batch of `size` rows.

        With `hide`, that share of the words and frames is masked (`show`), drawn by the generator
        of each row.
        """
        shown = [self._rows[row] for row in rows]
        if hide:
            shown = [
                [self._hidden(view, hide, rng) for view in row]
                for row, rng in zip(shown, rngs, strict=True)
            ]
        batch = assemble(shown, self.layout, size)
        return self._labelled(batch)

    def free(self, size: int) -> dict[str, np.ndarray]:
        """A batch of `size` rows whose only view is the prompt without anything of a clip."""
        return self._labelled(assemble([[show(self.clips[0], "", 0)]], self.layout, size))

    def _labelled(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = self.labels[batch["clip_index"] // len(self.subsets)]
        found[~batch["clip_valid"]] = no_label(found)
        return batch | {"label": found}

    def _hidden(self, view: View, hide: float, rng: np.random.Generator) -> View:
        clip, subset = divmod(view.index, len(self.subsets))
        return show(self.clips[clip], self.subsets[subset], view.index, hide, rng)

    def batches(self, size: int, process: int = 0, processes: int = 1) -> Iterator[dict]:
        """Every row once, in order: this host's part of each global batch of `size` rows."""
        part = size // processes
        for first in range(0, len(self), size):
            start = first + process * part
            yield self.batch(range(min(start, len(self)), min(start + part, len(self))), part)

    def locate(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(subset, clip) of view numbers."""
        clip, subset = np.divmod(numbers, len(self.subsets))
        return subset, clip

    @functools.cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Subset -> clips scored, not scored for want of every modality, scored for lack of one."""
        out = {}
        for subset in self.subsets:
            found = Counter(missing(clip, subset) for clip in self.clips)
            out[subset] = {
                "scored": found[""] + found["some"],
                "no modality of the subset": found["all"],
                "a modality missing": found["some"],
            }
        return out
