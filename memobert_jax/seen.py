"""Whether clips that are scored were seen before: what metadata and fingerprints tell of it.

Fitting and selection cannot see the test part, because a protocol's parts share no clip. Before
them, the features were normalised, a tokenizer and a network were trained, and the network may
have been fitted under another protocol.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from memobert_jax import checkpoint, leaks, tokenizer
from memobert_jax.corpus import Corpus
from memobert_jax.features import normalised_on
from memobert_jax.protocols import Protocol


class Seen(NamedTuple):
    """by: what saw clips; how, in words; ids: of the clips."""

    by: str
    how: str
    ids: tuple[str, ...]


class Findings(NamedTuple):
    """found: what has seen clips; unchecked: what could not be told, in words."""

    found: list[Seen]
    unchecked: list[str]


def look(
    corpus: Corpus,
    protocol: Protocol,
    metadata: Mapping[str, Any],
    part: str,
    fold: int,
    *,
    pretrained: bool = True,
) -> Findings:
    """What has seen clips of a part.

    Args:
      corpus, protocol: whose clips they are.
      metadata: of the checkpoint.
      part, fold: what is scored.
      pretrained: whether parameters of the checkpoint are used at all.
    """
    clips = protocol.folds[fold].parts[part]
    out = Findings([], [])
    _normalisation(corpus, clips, out)
    _tokenizer(corpus, clips, metadata, out)
    if pretrained:
        for network in lineage(metadata, out.unchecked):
            for source in network["data"]:
                _source(corpus, clips, source, "pre-training", out)
            _fit(protocol, network, part, fold, clips, out)
    return out


def _normalisation(corpus: Corpus, clips: np.ndarray, out: Findings) -> None:
    metadata = corpus.metadata
    if not metadata["normalisation"]:
        return
    fitted_on = normalised_on(metadata)
    if not fitted_on["split"]:
        out.unchecked.append("the clips that the features were normalised on are not recorded")
    elif fitted_on["clips"] == metadata["clips_fingerprint"]:
        seen = clips[corpus.column("split")[clips] == fitted_on["split"]]
        _add(out, corpus, seen, "normalisation", f"fitted on split {fitted_on['split']!r}")


def _tokenizer(
    corpus: Corpus, clips: np.ndarray, metadata: Mapping[str, Any], out: Findings
) -> None:
    """A BERT's vocabulary was made elsewhere; what one of our own saw may stand beside it."""
    made = checkpoint.tokenizer_of(metadata)
    if made.of_bert:
        return
    path = (metadata["config"] or {}).get("tokenizer", "")
    found = tokenizer.sources(path, made.fingerprint) if path else None
    if found is None:
        out.unchecked.append("the texts of the tokenizer are not recorded")
    for source in found or ():
        _source(corpus, clips, source, "tokenizer", out)


def _source(
    corpus: Corpus, clips: np.ndarray, source: Mapping[str, Any], by: str, out: Findings
) -> None:
    """Whether some clips are in a split of a features dataset, or clips of their ids.

    Those that were held out of it were not seen.
    """
    where = f"on split {source['split']!r} of {source['path']}, without labels"
    clips = clips[~np.isin(corpus.column("id")[clips], source.get("held_out", []))]
    same = [name for name, value in corpus.fingerprints.items() if value == source["fingerprint"]]
    if same:
        _add(out, corpus, clips[np.isin(corpus.column("split")[clips], same)], by, where)
        return
    try:
        ids = _ids(source["path"], source["split"], corpus.dataset["name"])
    except (OSError, ValueError):
        out.unchecked.append(f"the clips of the {by} ({source['path']}) are not there")
        return
    _add(out, corpus, clips[np.isin(corpus.column("id")[clips], ids)], by, where)


@functools.lru_cache(maxsize=8)  # the same for all folds
def _ids(path: str, split: str, dataset: str) -> np.ndarray:
    """Ids of the clips of a split; none, unread, where it is of another dataset."""
    other = Corpus(path, [split])
    return other.column("id") if other.dataset["name"] == dataset else np.zeros(0, str)


def lineage(metadata: Mapping[str, Any], unchecked: list[str]) -> list[Mapping[str, Any]]:
    """The metadata of a network and of those that its training began with, as far as found.

    What is not there is added to `unchecked`.
    """
    start = (metadata["config"] or {}).get("init_from", "")
    if not start:
        return [metadata]
    try:
        before = checkpoint.metadata(checkpoint.resolve(start))
    except (OSError, ValueError):
        unchecked.append(f"what the pre-training began with ({start}) is not there")
        return [metadata]
    return [metadata, *lineage(before, unchecked)]


def _fit(
    protocol: Protocol,
    metadata: Mapping[str, Any],
    part: str,
    fold: int,
    clips: np.ndarray,
    out: Findings,
) -> None:
    """A fitted network may be scored on what tested it, or on another dataset."""
    if metadata["kind"] not in ("prompt", "head"):
        return
    given = metadata["fit"]
    there, number = given["protocol"], given.get("fold", 0)
    if "folds" not in there:
        out.unchecked.append("the clips that the checkpoint was fitted on are not recorded")
        return
    if there["source"]["dataset"]["name"] != protocol.source["dataset"]["name"]:
        return
    if there["folds"][number]["digests"].get("test") != protocol.digest(part, fold):
        how = f"with labels, under protocol {there['name']}, fold {number}, with another test part"
        out.found.append(Seen("fit", how, tuple(protocol.ids[clips].tolist())))


def _add(out: Findings, corpus: Corpus, clips: np.ndarray, by: str, how: str) -> None:
    if len(clips):
        out.found.append(Seen(by, how, tuple(corpus.column("id")[clips].tolist())))


def sentences(found: Mapping[int, Sequence[Seen]], part: str) -> list[str]:
    """A line for all that saw clips in the same way.

    Args:
      found: fold -> what was found there.
      part: that is scored.
    """
    alike: dict[tuple[str, str], dict[int, tuple[str, ...]]] = {}
    for fold, several in found.items():
        for one in several:
            alike.setdefault((one.by, one.how), {})[fold] = one.ids
    lines = []
    for (by, how), folds in alike.items():
        ids = [name for clips in folds.values() for name in clips]
        where = f"fold {', '.join(map(str, folds))}: "
        lines.append(f"{where}{by} saw {len(ids)} clips of {part} ({leaks.some(ids)}), {how}")
    return lines


def refuse(lines: Sequence[str]) -> None:
    """Raises ValueError: nothing that is scored may have been seen."""
    raise ValueError(
        "clips that are scored were seen before:\n  " + "\n  ".join(lines[:5])
        + (f"\n  ... and {len(lines) - 5} more" if len(lines) > 5 else "")
        + "\nNormalise on other clips (featurize --normalise_on=SPLIT, or --like=OTHER_FEATURES) "
        "and train on other clips; a checkpoint a fold is given as --checkpoint='RUN_{fold}'. "
        "--reproduce=seen_test scores them all the same, and stamps every output."
    )  # fmt: skip
