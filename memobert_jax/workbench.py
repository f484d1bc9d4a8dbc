"""What an evaluation needs and makes once: data, prompt, rows and compiled programs.

It serves every arm, every seed and every checkpoint of the same model.
"""

import dataclasses
import functools
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import checkpoint, classify, protocols, sharding, stages, views
from memobert_jax.batch import Widths
from memobert_jax.classify import TRUNK
from memobert_jax.config import EvaluateConfig
from memobert_jax.featurizer import finite
from memobert_jax.fit import Part
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


def check_features(metadata: Mapping[str, Any], corpus: protocols.Corpus) -> None:
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
      rows: the views that are scored.

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
        parts = dict.fromkeys((*self._fit_parts(), scored))
        splits = {part: getattr(cfg, f"{part}_split") for part in parts}
        self.corpus = protocols.Corpus(cfg.source, splits.values())
        check_features(metadata, self.corpus)
        self.protocol = protocols.by_split(self.corpus, splits, cfg.prompt.classes, cfg.disjoint)
        self.train_clips = {
            seed: protocols.few_shot(self.protocol, cfg.fit.per_class, seed)
            for _, seed in self.runs()
        }
        self.clips = self._read()
        lengths = views.lengths_of(self.clips.values(), cfg.subsets)
        widths = Widths(self.corpus.widths["face"], 0, self.corpus.widths["speech"])
        self.layout = views.layout_for(lengths, widths, cfg.row_width)
        self.rows = self._rows(self.protocol.parts[scored])

    @property
    def fitted_arms(self) -> tuple[str, ...]:
        return tuple(arm for arm in self.cfg.arms if arm != "zero_shot")

    def _fit_parts(self) -> tuple[str, ...]:
        if self.fitted_arms:
            sharding.check_rows(self.mesh, self.cfg.fit.batch_rows)
            return ("train", "validation")
        return ()

    def runs(self) -> list[tuple[int, int]]:
        """(seed, subset seed) of every run of a fitted arm."""
        cfg = self.cfg
        if not self.fitted_arms:
            return []
        if not cfg.fit.subset_seeds:
            return [(seed, seed) for seed in cfg.seeds]
        return list(itertools.product(cfg.seeds, cfg.fit.subset_seeds))

    def _read(self) -> dict[int, views.Clip]:
        parts = [clips for part, clips in self.protocol.parts.items() if part != "train"]
        numbers = np.unique(np.concatenate([*parts, *self.train_clips.values()])).tolist()
        labels, prompt = self.protocol.labels, self.prompt
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

    @functools.lru_cache(maxsize=2)  # noqa: B019 - a workbench lives as long as its process
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

    @functools.lru_cache(maxsize=8)  # noqa: B019 - as above
    def train(self, subset_seed: int) -> Part:
        """The few-shot clips of a run."""
        return self._part(self.train_clips[subset_seed])

    @functools.cached_property
    def validation(self) -> Part:
        return self._part(self.protocol.parts["validation"])

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

    def score(self, kind: str, params: Params) -> np.ndarray:
        """Log-probabilities f32 [subsets, clips, classes] of the scored part."""
        batches = classify.global_batches(self.rows, self.cfg.batch_rows, self.mesh)
        return classify.score(self.program(kind).score, params, self.rows, batches).log_probs
