"""What an evaluation needs and makes once: data, prompt, rows and compiled programs.

It serves every arm, fold, seed, few-shot size and every checkpoint of the same model.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from memobert_jax import (
    checkpoint,
    classify,
    fewshot,
    prepare,
    sharding,
    stages,
    tasks,
    views,
)
from memobert_jax.batch import Widths
from memobert_jax.classify import TRUNK
from memobert_jax.config import EvaluateConfig
from memobert_jax.fewshot import Run
from memobert_jax.fit import Part, Room
from memobert_jax.models.memobert import Batch
from memobert_jax.state import Params
from memobert_jax.together import Together, check_mesh, compile_together


class Workbench:
    """Data, templates and programs of one evaluation.

    Args:
      cfg: what to evaluate.
      metadata: of a checkpoint.
      scored: the part that is scored; `validation` where several checkpoints are compared, because
        whoever picks one of them by its score must not have seen the test part.

    Attributes:
      task: what is scored by what.
      templates: that are compared; most often one.
      words: the label words, None where a value is predicted.
      protocol: which clips are where.
      clips: for each template clip number -> Clip, of all parts that are used.
      layout: the shapes of all rows, made from all clips once.

    Raises:
      ValueError: for data, prompt, protocol or mesh that do not fit; the message says which.
    """

    def __init__(self, cfg: EvaluateConfig, metadata: Mapping[str, Any], scored: str = "test"):
        if metadata["kind"] == "head":
            raise ValueError(
                "the checkpoint is a fitted head: evaluate takes a pre-trained network or a "
                "fitted prompt; score videos with it by `python -m memobert_jax.predict`"
            )
        self.cfg, self.metadata, self.scored = cfg, metadata, scored
        self.mesh = sharding.make_mesh(cfg.mesh)
        sharding.check_rows(self.mesh, cfg.batch_rows)
        check_mesh(self.mesh, cfg.fit.together)
        self.task = tasks.of(cfg)
        self.longest = prepare.longest_of(metadata, cfg.max_text, cfg.max_face, cfg.max_speech)
        tokens = checkpoint.tokenizer_of(metadata)
        self.templates = prepare.templates(cfg.prompt, tokens, self.longest.text)
        self.words = prepare.words(cfg, self.task, tokens)
        self.parts = tuple(dict.fromkeys((*self._fit_parts(), scored)))
        self.corpus, self.protocol = prepare.deal(cfg, self.classes, self.parts, scored)
        prepare.check_features(metadata, self.corpus)
        self.train_clips = {
            run.subset: fewshot.few_shot(
                self.protocol, run.size, run.subset_seed, run.fold, fewer=cfg.fit.fewer
            )
            for run in self.runs()
        }
        self.cases = cfg.fit.cases or cfg.subsets
        self.clips = self._read()
        if cfg.frame_loss and self.whole == "T":
            raise ValueError(
                "frame_loss is about frames of face and speech, but subsets has text alone: leave "
                "it out, or score more subsets"
            )
        shown = dict.fromkeys((*cfg.subsets, *self.cases))
        lengths = [views.lengths_of(clips.values(), shown) for clips in self.clips]
        model = checkpoint.model_config(metadata)
        widths = Widths(model.face_dim, 0, model.speech_dim)
        self.layout = views.layout_for(np.concatenate(lengths), widths, cfg.row_width)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs: classes or labels, or what the value is."""
        return self.cfg.prompt.classes if self.words else (self.cfg.target,)

    @property
    def fitted_arms(self) -> tuple[str, ...]:
        return tuple(arm for arm in self.cfg.arms if arm != "zero_shot")

    @property
    def folds(self) -> range:
        return range(len(self.protocol.folds))

    @property
    def whole(self) -> str:
        """The subset with most modalities, the last of equals."""
        return max(reversed(self.cfg.subsets), key=len)

    def _fit_parts(self) -> tuple[str, ...]:
        if self.fitted_arms:
            sharding.check_rows(self.mesh, self.cfg.fit.batch_rows)
            return ("train", "validation")
        chosen = self.task.thresholds or len(self.templates) > 1
        return ("validation",) if chosen else ()

    def runs(self, fold: int | None = None) -> list[Run]:
        """Every run of a fitted arm, of one fold or of all."""
        found = self.folds if fold is None else [fold]
        return fewshot.runs(self.cfg, found) if self.fitted_arms else []

    def frame_loss(self, run: Run) -> tuple[float, ...]:
        """Shares of lost frames of which a run is scored: of the largest few-shot size alone."""
        sizes = {other.size: len(self.train_clips[other.subset]) for other in self.runs(run.fold)}
        largest = run.size is None or sizes[run.size] == max(sizes.values())
        return self.cfg.frame_loss if largest else ()

    def _read(self) -> list[dict[int, views.Clip]]:
        parts = [
            clips
            for fold in self.protocol.folds
            for part, clips in fold.parts.items()
            if part in self.parts and part != "train"
        ]
        numbers = np.unique(np.concatenate([*parts, *self.train_clips.values()])).tolist()
        labels = self.protocol.labels.values
        return prepare.read(self.corpus, numbers, labels, self.templates, self.longest)

    def _rows(
        self, numbers: np.ndarray, template: int, subsets: Sequence[str], lost: float = 0.0
    ) -> views.Rows:
        clips = [self.clips[template][n] for n in numbers.tolist()]
        return views.Rows(clips, subsets, self.layout, lost)

    @functools.cache  # noqa: B019 - a workbench lives as long as its process
    def rows(self, fold: int, template: int = 0) -> views.Rows:
        """The views that are scored in a fold."""
        return self._rows(self._scored_clips(fold), template, self.cfg.subsets)

    @functools.lru_cache(maxsize=16)  # noqa: B019 - as above
    def _lossy(self, fold: int, template: int, lost: float) -> views.Rows:
        return self._rows(self._scored_clips(fold), template, (self.whole,), lost)

    def _scored_clips(self, fold: int) -> np.ndarray:
        return self.protocol.folds[fold].parts[self.scored]

    @functools.lru_cache(maxsize=3)  # noqa: B019 - as above
    def program(self, kind: str) -> stages.Program:
        """The compiled `prompt`, `head` or `probe`."""
        model = dataclasses.replace(
            checkpoint.model_config(self.metadata), dropout=self.cfg.fit.dropout
        )
        found = classify.of_kind(
            kind, model, self.task.name, len(self.classes), self.words, self.cfg.prompt.scoring
        )
        return stages.compile_program(found, self.task, self.cfg.fit, self.mesh)

    @functools.lru_cache(maxsize=3)  # noqa: B019 - as above
    def together(self, kind: str) -> Together:
        """The same for several fits at once."""
        return compile_together(self.program(kind))

    @functools.cached_property
    def room(self) -> Room:
        """What the fits of all folds and sizes need."""
        validation = [len(fold.parts.get("validation", ())) for fold in self.protocol.folds]
        train = max(map(len, self.train_clips.values()), default=0)
        return Room(train * len(self.cases), max(validation))

    def train(self, run: Run, template: int) -> Part:
        """The clips that a run is fitted on."""
        return self._train(run.subset, template)

    @functools.lru_cache(maxsize=8)  # noqa: B019 - as above
    def _train(self, subset: tuple, template: int) -> Part:
        return self._part(self._rows(self.train_clips[subset], template, self.cases))

    def validation(self, fold: int, template: int, kind: str) -> Part:
        """The clips that a fold is selected on."""
        return self._validation(fold, template)._replace(free=self._free(template, kind))

    @functools.lru_cache(maxsize=1)  # noqa: B019 - as above
    def _validation(self, fold: int, template: int) -> Part:
        numbers = self.protocol.folds[fold].parts["validation"]
        return self._part(self._rows(numbers, template, self.cfg.subsets))

    def _part(self, rows: views.Rows) -> Part:
        return Part(rows, list(self._batches(rows)))

    @functools.lru_cache(maxsize=1)  # noqa: B019 - as above
    def _free(self, template: int, kind: str) -> Batch | None:
        """The batch that scores are calibrated by, if they are."""
        if kind != "prompt" or self.cfg.prompt.scoring != "calibrated":
            return None
        size = self.cfg.batch_rows // jax.process_count()
        return sharding.to_global(self.mesh, self.rows(0, template).free(size))

    def _batches(self, rows: views.Rows) -> Iterable[Batch]:
        return classify.global_batches(rows, self.cfg.batch_rows, self.mesh)

    def load(self, path: str | Path) -> Params:
        """The trunk of a checkpoint, on the mesh.

        Raises:
          ValueError: if it is of another model, tokenizer or encoder than `metadata`.
        """
        keys = ("model", "tokenizer", "encoders", "normalisation")
        found = checkpoint.metadata(path)
        checkpoint.check_same(self.metadata, {key: found[key] for key in keys}, str(path))
        classifier = self.program("head").classifier
        shardings = classifier.shardings(self.mesh)[TRUNK]
        return checkpoint.load_params(path, classifier.shapes[TRUNK], shardings)

    def choose(self, fold: int, trunk: Params) -> tuple[int, dict[str, dict[str, float]]]:
        """(number of the template of a fold, template -> what it was selected by).

        It is the one that validates best before any fit; nothing is compared of a single one.
        """
        if len(self.templates) == 1:
            return 0, {}
        found = []
        for number in range(len(self.templates)):
            part = self.validation(fold, number, "prompt")
            outputs = self._score("prompt", {TRUNK: trunk}, part)
            found.append(self.task.selection(outputs, part.rows.labels))
        best = max(range(len(found)), key=lambda n: (found[n][self.task.main], -found[n]["loss"]))
        return best, dict(zip((t.text for t in self.templates), found, strict=True))

    def thresholds(self, kind: str, params: Params, fold: int, template: int) -> list[float] | None:
        """From which probability on each label is said to hold, by the validation part of a fold;
        None where the task has no thresholds."""
        if not self.task.thresholds:
            return None
        part = self.validation(fold, template, kind)
        return tasks.thresholds_of(self._score(kind, params, part), part.rows.labels).tolist()

    def score(
        self, kind: str, params: Params, fold: int, template: int, lost: float | None = None
    ) -> np.ndarray:
        """Outputs f32 [subsets, clips, outputs] of the scored part of a fold.

        With a share `lost`, of subset `whole` alone, with that share of the frames lost at random.
        """
        rows = self.rows(fold, template) if lost is None else self._lossy(fold, template, lost)
        part = Part(rows, self._batches(rows), self._free(template, kind))
        return self._score(kind, params, part)

    def _score(self, kind: str, params: Params, part: Part) -> np.ndarray:
        return classify.score(self.program(kind).score, params, *part).outputs
