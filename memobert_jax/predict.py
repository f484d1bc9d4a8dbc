"""Emotions of the people who speak in videos: one JSON line per utterance.

    python -m memobert_jax.predict --checkpoint=PATH VIDEO... > predictions.jsonl

A video goes through exactly the path of training: `media.clips.extract`, `Featurizer` with the
encoders and the normalisation of the checkpoint, and the rows of `views`. A checkpoint of a fitted
prompt or head brings its classes; a pre-trained one takes the prompt from the command line. An
utterance is kept also where a modality is missing (--require says otherwise). What is longer than
the network sees is cut at its end, and counted in the line. A bad video costs that video, an
utterance without finite features that utterance: its line names the reasons, and the table of all
reasons goes to stderr.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from memobert_jax import command
from memobert_jax.config import ExtractConfig, PromptConfig, from_mapping

CUTS = {"text_cut": "word pieces", "face_cut": "face frames", "speech_cut": "s of sound"}
"""Entries of a line for what the network did not see of the end of an utterance."""


def extraction(metadata: Mapping[str, Any], require: Sequence[str]) -> ExtractConfig:
    """How the clips of the pre-training were cut, but for the modalities that a clip must have."""
    cfg = from_mapping(ExtractConfig, metadata["extract"])
    return dataclasses.replace(cfg, require=tuple(require))


def predict(
    predictor: Callable[[Sequence[Mapping[str, Any]]], list[dict[str, Any]]],
    videos: Sequence[str],
    cfg: ExtractConfig,
) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """For each video, its JSON lines and its yield ledger.

    A video without utterances has one line, with `reasons`: code -> {"seconds", "count"}. The line
    of an utterance has them if it could not be classified; the ledger counts it as dropped.
    """
    from memobert_jax.media import clips, ledger

    for video in videos:
        found = clips.extract(video, cfg)
        told = found.ledger
        if found.clips:
            lines = [{"video": video, **line} for line in predictor(found.clips)]
            told = ledger.less(told, [line["reasons"] for line in lines if "reasons" in line])
        else:
            lines = [{"video": video, "probabilities": {}, "reasons": told["dropped"]}]
        yield lines, told


def cut(values: Sequence[Sequence[float]]) -> str:
    """What the network did not see of the utterances, in words; values: CUTS of each line."""
    parts = []
    for place, what in enumerate(CUTS.values()):
        some = [line[place] for line in values if line[place]]
        if some:
            parts.append(f"{sum(some):g} {what} of {len(some)} utterances")
    return f"not seen, at the end: {', '.join(parts) or 'nothing'}"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = command.parser(__doc__)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video or sound file")
    parser.add_argument("--checkpoint", required=True, help="checkpoint or work directory")
    default = PromptConfig()
    for name in ("template", "classes", "label_words", "scoring"):
        value = getattr(default, name)
        text = value if isinstance(value, str) else ",".join(value)
        parser.add_argument(f"--{name}", help=f"of a pre-trained checkpoint (default: {text})")
    parser.add_argument(
        "--require", default="", help="modalities without which an utterance is dropped: text,face"
    )
    for name, hint in (("face", ".safetensors file"), ("speech", "checkpoint folder")):
        parser.add_argument(
            f"--{name}_weights", help=f"{hint} of the {name} encoder, if it was moved"
        )
    return parser.parse_args(argv)


def prompt_of(args: argparse.Namespace) -> PromptConfig | None:
    """The prompt of the command line; None where nothing is said."""
    given = {"template": args.template, "scoring": args.scoring}
    for name in ("classes", "label_words"):
        value = getattr(args, name)
        given[name] = None if value is None else tuple(value.split(","))
    given = {name: value for name, value in given.items() if value is not None}
    return from_mapping(PromptConfig, given) if given else None


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the lines of all videos; 1 if none has an utterance."""
    args = parse(argv)
    from tqdm import tqdm

    from memobert_jax import runtime
    from memobert_jax.media import ledger
    from memobert_jax.predictor import Predictor

    runtime.quiet_libraries()
    runtime.cache_compilations()
    moved = {"face": args.face_weights, "speech": args.speech_weights}
    moved = {modality: path for modality, path in moved.items() if path}
    predictor = Predictor(args.checkpoint, prompt_of(args), weights=moved)
    require = [name for name in args.require.split(",") if name]
    cfg = extraction(predictor.metadata, from_mapping(ExtractConfig, {"require": require}).require)
    ledgers, cuts = [], []
    with tqdm(total=len(args.videos), desc="predict", unit="video", file=sys.stderr) as bar:
        for lines, one in predict(predictor, args.videos, cfg):
            for line in lines:
                print(json.dumps(line), flush=True)
                cuts.append([line.get(name, 0) for name in CUTS])
            ledgers.append(one)
            bar.update()
    totals = ledger.merge(ledgers)
    print(ledger.table(totals), cut(cuts), sep="\n", file=sys.stderr)
    if totals["clips"]:
        return 0
    print("no utterance was found in any video; the reasons stand above", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(command.reported(main)())
