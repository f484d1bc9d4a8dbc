"""A checkpoint that classifies clips: features, prompt, rows and network as in training."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from memobert_jax import (
    additive,
    checkpoint,
    classify,
    measures,
    prepare,
    sharding,
    verbaliser,
    views,
)
from memobert_jax.batch import Widths
from memobert_jax.classify import TRUNK, Classifier
from memobert_jax.config import MODALITIES, SUBSETS, MeshConfig, PromptConfig, from_mapping
from memobert_jax.featurizer import Featurizer, finite, unheard
from memobert_jax.media.ledger import Reason
from memobert_jax.prompts import Template
from memobert_jax.record import SPEECH_ROW_S
from memobert_jax.state import Params

_ROWS = 8
_ROW_WIDTH = 256


class Predictor:
    """Classifies clips with a pre-trained network, a fitted prompt or a fitted head.

    Args:
      path: checkpoint, folder of them, or work directory.
      prompt: for a pre-trained network; the others bring their own.
      mesh: device mesh, by default all devices.
      weights: modality -> path of the weights of its encoder, if they are not where they were.

    Attributes:
      metadata: of the checkpoint.
      prompt: template, classes and label words.
      task: `single`, `multi` or `regression`.
      outputs: names of what is said of a clip: classes, labels or a value.

    Raises:
      FileNotFoundError: if there is no checkpoint, or no weights of its encoders.
      ValueError: if the prompt does not fit the checkpoint, or this code not its encoders.
    """

    def __init__(
        self,
        path: str | Path,
        prompt: PromptConfig | None = None,
        mesh: MeshConfig | None = None,
        weights: Mapping[str, str] | None = None,
    ):
        path = checkpoint.resolve(path)
        self.metadata = checkpoint.metadata(path)
        self.kind = self.metadata["kind"]
        self.prompt, self.longest = _shown(self.metadata, prompt, path)
        tokens, fitted = checkpoint.tokenizer_of(self.metadata), self.metadata.get("fit", {})
        self.task, self.thresholds = fitted.get("task", "single"), fitted.get("thresholds")
        self.outputs = tuple(fitted.get("outputs", self.prompt.classes))
        self._template = Template(self.prompt.template, tokens)
        self._template.check_room(self.longest.text)
        words = None if self.task == "regression" else verbaliser.make(self.prompt, tokens)
        self.featurizer = Featurizer(
            self.metadata["encoders"],
            self.metadata["normalisation"],
            self.metadata.get("weights", {}) | dict(weights or {}),
        )
        ears = self.featurizer.front_ends.get("speech")
        self._hears_s = ears[0].longest_s if ears else math.inf
        self._layout = _layout(self.longest, self.featurizer.widths)
        self._mesh = sharding.make_mesh(mesh or MeshConfig())
        shards = self._mesh.shape["data"] * self._mesh.shape["fsdp"]
        self._size = -(-_ROWS // shards) * shards
        model = checkpoint.model_config(self.metadata)
        kind, scoring = "head" if self.kind == "head" else "prompt", self.prompt.scoring
        classifier = classify.of_kind(kind, model, self.task, len(self.outputs), words, scoring)
        if kind == "prompt" and scoring == "full_vocabulary":
            self.outputs += (verbaliser.OTHER,)
        self._calibrated = kind == "prompt" and scoring == "calibrated"
        self._params = load(path, self.kind, classifier, classifier.shardings(self._mesh))
        self._step = classify.make_score_step(classifier, self._mesh)

    def __call__(self, clips: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """One JSON-able dict per clips-record, in order.

        `probabilities` maps each modality subset of which the clip has anything to the
        probability of each class or label; where several labels may hold, `labels` maps it to those
        whose probability reaches their threshold; of a value there are `values` instead. `missing`
        are the modalities that it has not, `partial` the subsets that lack one of theirs. What the
        network did not see of the end: `text_cut` word pieces, `face_cut` frames, `speech_cut`
        seconds of sound, also those beyond the encoder.
        A clip whose features are not finite has no probabilities, and `reasons` say so.
        """
        items = self.featurizer(clips)
        shown = [views.prepare(item, -1, self._template, self.longest) for item in items]
        # one NaN would spread to all clips of its row: attention gives it the weight 0, not nothing
        known = [i for i, clip in enumerate(shown) if clip.has and finite(items[i])]
        found = dict(zip(known, self._said([shown[i] for i in known]), strict=True))
        return [
            self._line(item, clip, found.get(i))
            for i, (item, clip) in enumerate(zip(items, shown, strict=True))
        ]

    def _said(self, clips: Sequence[views.Clip]) -> np.ndarray:
        """What `answers` takes, f32 [clips, subsets, outputs]; NaN where nothing of a subset is
        there."""
        if not clips:
            return np.zeros((0, len(SUBSETS), len(self.outputs)), np.float32)
        rows = views.Rows(clips, SUBSETS, self._layout)
        size = self._size // jax.process_count()
        with jax.set_mesh(self._mesh):
            batches = classify.global_batches(rows, self._size, self._mesh)
            free = sharding.to_global(self._mesh, rows.free(size)) if self._calibrated else None
            found = classify.score(self._step, self._params, rows, batches, free).outputs
        if self.task == "single":
            found = np.exp(measures.restricted(found))
        return found.swapaxes(0, 1)

    def _unheard(self, item: Mapping[str, Any], clip: views.Clip) -> float:
        return unheard(item, self._hears_s) + clip.cut["speech"] * SPEECH_ROW_S

    def _line(
        self, item: Mapping[str, Any], clip: views.Clip, said: np.ndarray | None
    ) -> dict[str, Any]:
        lacking = {subset: views.missing(clip, subset) for subset in SUBSETS}
        scored = [subset for subset, lacks in lacking.items() if lacks != "all"]
        by_subset = {subset: said[SUBSETS.index(subset)] for subset in scored if said is not None}
        start_s, end_s = (float(item[name]) for name in ("start_s", "end_s"))
        reasons = {}
        if not finite(item):
            scored = []
            entry = {"seconds": end_s - start_s, "count": 1}
            reasons = {"reasons": {str(Reason.NOT_FINITE): entry}}
        return {
            "start_s": round(start_s, 3),
            "end_s": round(end_s, 3),
            "text": item["text"],
            **answers(self.task, self.outputs, self.thresholds, by_subset),
            "missing": [name for name in MODALITIES if name not in clip.has],
            "partial": [subset for subset in scored if lacking[subset]],
            "text_cut": clip.cut["text"],
            "face_cut": clip.cut["face"],
            "speech_cut": round(self._unheard(item, clip), 3),
            **reasons,
        }


def answers(
    task: str,
    outputs: Sequence[str],
    thresholds: Sequence[float] | None,
    said: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """What a line of predictions says: `probabilities`, beside them `labels`, or `values`.

    Args:
      task: `single`, `multi` or `regression`.
      outputs: their names.
      thresholds: of several labels.
      said: subset -> f32 [outputs], probabilities of classes, log-probabilities of labels, or
        values.
    """
    shown = {subset: np.exp(v) if task == "multi" else v for subset, v in said.items()}
    named = {subset: dict(zip(outputs, _rounded(v), strict=True)) for subset, v in shown.items()}
    if task != "multi":
        return {"values" if task == "regression" else "probabilities": named}
    labels = {
        subset: [outputs[i] for i in np.flatnonzero(additive.reaches(values, thresholds))]
        for subset, values in said.items()
    }
    return {"probabilities": named, "labels": labels}


def _rounded(probabilities: np.ndarray) -> list[float]:
    return [round(float(p), 6) for p in probabilities]


def _shown(
    metadata: Mapping[str, Any], prompt: PromptConfig | None, path: Path
) -> tuple[PromptConfig, views.Longest]:
    """The prompt, and how much of a clip is shown."""
    if metadata["kind"] not in ("prompt", "head"):
        return prompt or PromptConfig(), prepare.longest_of(metadata)
    fitted = metadata["fit"]
    if prompt is not None:
        raise ValueError(
            f"{path} is a fitted {metadata['kind']} with its own template and classes: leave out "
            "--template, --classes and --label_words, or give the pre-trained checkpoint"
        )
    return from_mapping(PromptConfig, fitted["prompt"]), views.Longest(**fitted["longest"])


def load(path: str | Path, kind: str, classifier: Classifier, shardings: Any) -> Params:
    """The parameters of a classifier from a checkpoint of `kind`."""
    if kind == "head":
        return checkpoint.load_params(path, classifier.shapes, shardings)
    return {TRUNK: checkpoint.load_params(path, classifier.shapes[TRUNK], shardings[TRUNK])}


def _layout(longest: views.Longest, widths: Mapping[str, int]) -> Any:
    """Rows that take any clip, so that one program serves every video."""
    lengths = np.array([longest], np.int32)
    return views.layout_for(
        lengths, Widths(widths.get("face", 1), 0, widths.get("speech", 1)), _ROW_WIDTH
    )
