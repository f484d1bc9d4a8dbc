"""What an evaluation needs and makes once: data, prompt, rows and compiled programs.

It serves every arm, fold, seed, few-shot size and every checkpoint of the same model.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import (
    checkpoint,
    classify,
    fewshot,
    folds,
    protocols,
    published,
    sharding,
    stages,
    views,
)
from memobert_jax.batch import Widths
from memobert_jax.classify import TRUNK
from memobert_jax.config import EvaluateConfig
from memobert_jax.corpus import Corpus
from memobert_jax.featurizer import finite
from memobert_jax.fewshot import Run
from memobert_jax.fit import Part, Room
from memobert_jax.prompts import Prompt
from memobert_jax.state import Params


def longest_of(
    metadata: Mapping[str, Any], max_text: int = 0, max_face: int = 0, max_speech: int = 0
) -> views.Longest:
    """How much of a clip is shown; 0: what pre-training showed.

    Raises:
      ValueError: for more than the network has positions.
    """
    run, positions = metadata["config"], metadata["model"]["max_positions"]
    given = {"max_text": max_text, "max_face": max_face, "max_speech": max_speech}
    for name, value in given.items():
        if value > positions:
            raise ValueError(f"{name} = {value}; expected at most {positions}, the positions the "
                             "network has")  # fmt: skip
    trained = run["data"] if run else dict.fromkeys(given, positions)
    return views.Longest(*(value or trained[name] for name, value in given.items()))


def check_features(metadata: Mapping[str, Any], corpus: Corpus) -> None:
    """Raises ValueError if the features are not made as those of the checkpoint were."""
    for key in ("encoders", "normalisation"):
        if corpus.metadata[key] != metadata[key]:
            like = metadata["data"][0]["path"] if metadata["data"] else "<--features of the import>"
            raise ValueError(
                f"the {key} of {corpus.path} differ from those the checkpoint was trained with:\n"
                f"  checkpoint: {_short(metadata[key])}\n  data: {_short(corpus.metadata[key])}\n"
                f"Run `python -m memobert_jax.featurize --like={like} "
                "--input=<labelled clips> --output=...` and evaluate its output."
            )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 300 else f"{text[:300]}..."


class Workbench:
    """Data, prompt and programs of one evaluation.

    Args:
      cfg: what to evaluate.
      metadata: of a checkpoint.
      scored: the part that is scored; `validation` where several checkpoints are compared, because
        whoever picks one of them by its score must not have seen the test part.

    Attributes:
      protocol: which clips are where.
      clips: clip number -> Clip, of all parts that are used.
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
        self.prompt = Prompt(cfg.prompt, checkpoint.tokenizer_of(metadata))
        self.longest = longest_of(metadata, cfg.max_text, cfg.max_face, cfg.max_speech)
        self.prompt.check_room(self.longest.text)
        self.parts = tuple(dict.fromkeys((*self._fit_parts(), scored)))
        self.corpus, self.protocol = self._deal()
        check_features(metadata, self.corpus)
        if self.protocol.labels.values.ndim > 1:
            raise ValueError(
                f"target {cfg.target} may give a clip several classes; a fit takes one class a clip"
            )
        self.train_clips = {
            run.subset: fewshot.few_shot(self.protocol, run.size, run.subset_seed, run.fold)
            for run in self.runs()
        }
        self.clips = self._read()
        lengths = views.lengths_of(self.clips.values(), cfg.subsets)
        widths = Widths(self.corpus.widths["face"], 0, self.corpus.widths["speech"])
        self.layout = views.layout_for(lengths, widths, cfg.row_width)

    @property
    def fitted_arms(self) -> tuple[str, ...]:
        return tuple(arm for arm in self.cfg.arms if arm != "zero_shot")

    @property
    def folds(self) -> range:
        return range(len(self.protocol.folds))

    def _fit_parts(self) -> tuple[str, ...]:
        if self.fitted_arms:
            sharding.check_rows(self.mesh, self.cfg.fit.batch_rows)
            return ("train", "validation")
        return ()

    def _deal(self) -> tuple[Corpus, protocols.Protocol]:
        cfg, oracle = self.cfg, "test_oracle" in self.cfg.reproduce
        if oracle and self.scored != "test":
            raise ValueError("--reproduce=test_oracle selects on the test part: not with --watch")
        if cfg.protocol == "by_split":
            skipped = "validation" if oracle else ""
            splits = {part: getattr(cfg, f"{part}_split") for part in self.parts if part != skipped}
            definition = folds.by_split(splits, cfg.disjoint)
            corpus = Corpus(cfg.source, splits.values())
        else:
            definition, corpus = published.find(cfg.protocol), Corpus(cfg.source)
        return corpus, protocols.make(
            corpus,
            definition,
            cfg.prompt.classes,
            target=cfg.target,
            needed=self.parts,
            test_oracle=oracle,
        )

    def runs(self, fold: int | None = None) -> list[Run]:
        """Every run of a fitted arm, of one fold or of all."""
        found = self.folds if fold is None else [fold]
        return fewshot.runs(self.cfg, found) if self.fitted_arms else []

    def _read(self) -> dict[int, views.Clip]:
        parts = [
            clips
            for fold in self.protocol.folds
            for part, clips in fold.parts.items()
            if part in self.parts and part != "train"
        ]
        numbers = np.unique(np.concatenate([*parts, *self.train_clips.values()])).tolist()
        labels, prompt = self.protocol.labels.values, self.prompt
        clips, broken = {}, []
        for n in numbers:
            item = self.corpus.read(n, views.FIELDS)
            clips[n] = views.prepare(item, int(labels[n]), prompt, self.longest)
            if not finite(item):
                broken.append(item["id"])
        if broken:
            more = f" and {len(broken) - 5} more" if broken[5:] else ""
            raise ValueError(
                f"{len(broken)} clips of {self.corpus.path} have features that are not finite: "
                f"{', '.join(broken[:5])}{more}. Take them out; featurize drops such clips itself"
            )
        return clips

    def _rows(self, numbers: np.ndarray) -> views.Rows:
        return views.Rows([self.clips[n] for n in numbers.tolist()], self.cfg.subsets, self.layout)

    @functools.cache  # noqa: B019 - a workbench lives as long as its process
    def rows(self, fold: int) -> views.Rows:
        """The views that are scored in a fold."""
        return self._rows(self.protocol.folds[fold].parts[self.scored])

    @functools.lru_cache(maxsize=2)  # noqa: B019 - as above
    def program(self, kind: str) -> stages.Program:
        """The compiled `prompt` or `head`."""
        model = dataclasses.replace(
            checkpoint.model_config(self.metadata), dropout=self.cfg.fit.dropout
        )
        if kind == "head":
            classifier = classify.head_classifier(model, len(self.cfg.prompt.classes))
        else:
            classifier = classify.prompt_classifier(model, self.prompt.label_ids)
        return stages.compile_program(classifier, self.cfg.fit, self.mesh)

    @functools.cached_property
    def room(self) -> Room:
        """What the fits of all folds and sizes need."""
        validation = [len(fold.parts.get("validation", ())) for fold in self.protocol.folds]
        train = max(map(len, self.train_clips.values()), default=0)
        return Room(train * len(self.cfg.subsets), max(validation))

    def train(self, run: Run) -> Part:
        """The clips that a run is fitted on."""
        return self._train(run.subset)

    @functools.lru_cache(maxsize=1)  # noqa: B019 - as above
    def _train(self, subset: tuple) -> Part:
        return self._part(self.train_clips[subset])

    @functools.lru_cache(maxsize=1)  # noqa: B019 - as above
    def validation(self, fold: int) -> Part:
        """The clips that a fold is selected on."""
        return self._part(self.protocol.folds[fold].parts["validation"])

    def _part(self, numbers: np.ndarray) -> Part:
        rows = self._rows(numbers)
        return Part(rows, list(classify.global_batches(rows, self.cfg.batch_rows, self.mesh)))

    def load(self, path: str | Path) -> Params:
        """The trunk of a checkpoint, on the mesh.

        Raises:
          ValueError: if it is of another model, tokenizer or encoder than `metadata`.
        """
        keys = ("model", "tokenizer", "encoders", "normalisation")
        found = checkpoint.metadata(path)
        checkpoint.check_same(self.metadata, {key: found[key] for key in keys}, str(path))
        classifier = self.program("prompt").classifier
        shardings = classifier.shardings(self.mesh)[TRUNK]
        return checkpoint.load_params(path, classifier.shapes[TRUNK], shardings)

    def score(self, kind: str, params: Params, fold: int) -> np.ndarray:
        """Log-probabilities f32 [subsets, clips, classes] of the scored part of a fold."""
        rows = self.rows(fold)
        batches = classify.global_batches(rows, self.cfg.batch_rows, self.mesh)
        return classify.score(self.program(kind).score, params, rows, batches).log_probs
