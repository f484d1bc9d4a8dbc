"""From the configuration of an evaluation to its templates, label words, protocol and clips."""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from memobert_jax import folds, protocols, published, verbaliser, views
from memobert_jax.config import EvaluateConfig, PromptConfig
from memobert_jax.corpus import Corpus
from memobert_jax.featurizer import finite
from memobert_jax.prompts import Template
from memobert_jax.tasks import Task
from memobert_jax.tokenizer import Tokenizer
from memobert_jax.verbaliser import Verbaliser


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
    """Raises ValueError if the features are not made as those of the checkpoint were.

    A modality that no clip has need not be.
    """
    for key, modality in itertools.product(("encoders", "normalisation"), ("face", "speech")):
        there, here = (found[key].get(modality) for found in (metadata, corpus.metadata))
        if here != there and corpus.has(modality).any():
            like = metadata["data"][0]["path"] if metadata["data"] else "<--features of the import>"
            raise ValueError(
                f"the {key} of the {modality} of {corpus.path} differ from those the checkpoint "
                f"was trained with:\n  checkpoint: {_short(there)}\n  data: {_short(here)}\n"
                f"Run `python -m memobert_jax.featurize --like={like} "
                "--input=<labelled clips> --output=...` and evaluate its output."
            )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 300 else f"{text[:300]}..."


def templates(cfg: PromptConfig, tokens: Tokenizer, longest: int) -> tuple[Template, ...]:
    """The template of a prompt and those that it is compared with.

    Raises:
      ValueError: for one that is none, that has more than `longest` pieces, or that shows the text
        of a clip where another does not.
    """
    given = dict.fromkeys((cfg.template, *cfg.templates))
    found = tuple(Template(text, tokens) for text in given)
    for template in found:
        template.check_room(longest)
    if len({template.has_text for template in found}) > 1:
        raise ValueError(
            f"some of the templates {list(given)} show the text of a clip and some do not, so they "
            "would be scored on other clips: compare such templates by two evaluations"
        )
    return found


def words(cfg: EvaluateConfig, task: Task, tokens: Tokenizer) -> Verbaliser | None:
    """The label words; None where a value is predicted, which has none.

    Raises:
      ValueError: for label words that cannot be told apart (`verbaliser.make`), or arms that need
        a prompt where there is none.
    """
    if task.name != "regression":
        return verbaliser.make(cfg.prompt, tokens)
    if refused := [arm for arm in cfg.arms if arm in ("zero_shot", "prompt")]:
        raise ValueError(
            f"target {cfg.target} is a number, which a prompt does not give: leave "
            f"{', '.join(refused)} out of arms"
        )
    if cfg.prompt.templates:
        raise ValueError(
            f"target {cfg.target} is a number, and templates are compared by what a prompt says: "
            "leave prompt.templates out"
        )
    return None


def deal(
    cfg: EvaluateConfig, classes: Sequence[str], parts: Sequence[str], scored: str
) -> tuple[Corpus, protocols.Protocol]:
    """The labelled clips, and which of them are where.

    Args:
      cfg: names source, protocol and target.
      classes: names of the outputs.
      parts: that are used.
      scored: one of them.

    Raises:
      ValueError: as `protocols.make`.
    """
    oracle = "test_oracle" in cfg.reproduce
    if oracle and scored != "test":
        raise ValueError("--reproduce=test_oracle selects on the test part: not with --watch")
    if cfg.protocol == "by_split":
        skipped = "validation" if oracle else ""
        splits = {part: getattr(cfg, f"{part}_split") for part in parts if part != skipped}
        definition = folds.by_split(splits, cfg.disjoint)
        corpus = Corpus(cfg.source, splits.values())
    else:
        definition, corpus = published.find(cfg.protocol), Corpus(cfg.source)
    return corpus, protocols.make(
        corpus, definition, classes, target=cfg.target, needed=parts, test_oracle=oracle
    )


def read(
    corpus: Corpus,
    numbers: Sequence[int],
    labels: np.ndarray,
    shown: Sequence[Template],
    longest: views.Longest,
) -> list[dict[int, views.Clip]]:
    """For each template clip number -> Clip.

    Raises:
      ValueError: if features are not finite; names the clips.
    """
    found: list[dict[int, views.Clip]] = [{} for _ in shown]
    broken = []
    for n in numbers:
        item = corpus.read(n, views.FIELDS)
        for clips, template in zip(found, shown, strict=True):
            clips[n] = views.prepare(item, labels[n], template, longest)
        if not finite(item):
            broken.append(item["id"])
    if broken:
        more = f" and {len(broken) - 5} more" if broken[5:] else ""
        raise ValueError(
            f"{len(broken)} clips of {corpus.path} have features that are not finite: "
            f"{', '.join(broken[:5])}{more}. Take them out; featurize drops such clips itself"
        )
    return found
