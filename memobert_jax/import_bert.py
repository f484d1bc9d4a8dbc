"""A folder of BERT weights -> a checkpoint that starts a pre-training, and back (MEmoBERT §3).

    python -m memobert_jax.import_bert --input=BERT --features=FEATURES --output=CHECKPOINT
    python -m memobert_jax.train --config.init_from=CHECKPOINT --config.tokenizer=BERT ...
    python -m memobert_jax.import_bert --export --input=CHECKPOINT --output=BERT

A BERT folder has config.json, model.safetensors and vocab.txt or tokenizer.json. Word embedder,
trunk, pooler and word head come from it; what it lacks is random: of a BERT the face and speech
parts, of one without a head for masked words that head too. The authors' own weights, saved as
safetensors, bring the face and speech parts with them.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memobert_jax import bert_folder, bert_names, command
from memobert_jax.bert_folder import Found
from memobert_jax.config import ModelConfig, from_mapping


def load(folder: str | Path, features: Any, seed: int) -> tuple[Any, dict[str, Any], Found]:
    """The network with the weights of a BERT folder.

    Args:
      folder: of the BERT.
      features: the FeaturesDataset that it will be trained on.
      seed: of what the folder lacks.

    Returns:
      (parameters, description of the checkpoint, what was found).

    Raises:
      FileNotFoundError, ValueError: for a folder that does not fit; the message says what.
    """
    import jax

    from memobert_jax import checkpoint, sources, state, tokenizer
    from memobert_jax.models.memobert import Memobert

    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}: expected one of BERT weights")
    fields, tensors = bert_folder.read_config(folder), bert_folder.read_tensors(folder)
    tokens, widths = tokenizer.load(folder), sources.widths_of([features])
    sizes = {"face_dim": widths.face, "speech_dim": widths.speech}
    sizes |= {"face_emotion_dim": widths.face_emotion, "vocab_size": tokens.vocab_size}
    cfg = from_mapping(ModelConfig, fields | sizes)
    table = bert_names.places(cfg)
    found = bert_folder.sort(tensors, table, tokens.vocab_size)
    drawn = state.init_params(lambda rngs: Memobert(cfg, rngs), seed)
    params = jax.tree.map(np.array, jax.device_get(drawn))
    bert_names.put(params, found.tensors, table)
    origin = {"folder": str(folder), "random": found.random, "seed": seed}
    description = checkpoint.describe(
        cfg, tokens, features.metadata, [], kind="import", origin=origin
    )
    return params, description, found


def export(path: str | Path, output: Path) -> list[str]:
    """Writes the BERT in a checkpoint as a folder that transformers reads.

    Returns:
      The parts of the network that a BERT has no place for.

    Raises:
      ValueError: for a fitted head.
    """
    import jax

    from memobert_jax import checkpoint, sharding, state
    from memobert_jax.config import MeshConfig

    path = checkpoint.resolve(path)
    found = checkpoint.metadata(path)
    if found["kind"] == "head":
        raise ValueError(f"{path} is a fitted head: export the pre-trained network or a prompt")
    cfg, tokens = checkpoint.model_config(found), checkpoint.tokenizer_of(found)
    net = state.memobert(cfg)
    mesh = sharding.make_mesh(MeshConfig(1, 1, 1), jax.local_devices()[:1])
    shardings = sharding.param_shardings(mesh, net.axes, net.shapes)
    params = jax.device_get(checkpoint.load_params(path, net.shapes, shardings))
    table = bert_names.places(cfg)
    kept = {name: p for name, p in table.items() if bert_names.group(name) in bert_names.BERT}
    tensors = {
        name if bert_names.group(name) == "cls" else f"bert.{name}": tensor
        for name, tensor in bert_names.take(params, kept).items()
    }
    bert_folder.write(output, cfg, tokens, tensors)
    return sorted({bert_names.group(name) for name in table} - set(bert_names.BERT))


def _report(found: Found, description: Mapping[str, Any]) -> str:
    model = description["model"]
    lines = [
        f"{len(found.tensors)} tensors: {model['layers']} layers of width {model['hidden']}, "
        f"{model['vocab_size']} word pieces"
    ]
    if found.random:
        lines.append(f"random, because the folder lacks them: {', '.join(found.random)}")
    if found.left_out:
        lines.append(f"left out, without a place: {', '.join(found.left_out)}")
    if found.surplus:
        lines.append(f"left out, beyond the vocabulary: {found.surplus} rows of the word table")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--input", required=True, help="BERT folder; with --export a checkpoint")
    parser.add_argument("--features", help="features dataset folder that it will be trained on")
    parser.add_argument("--split", default="train", help="a split of the features dataset")
    parser.add_argument("--seed", type=int, default=1234, help="seed of the parts that are new")
    parser.add_argument("--export", action="store_true", help="write a BERT folder")
    parser.add_argument("--output", required=True, help="new folder: a checkpoint, or a BERT")
    args = parser.parse_args()
    output = Path(args.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        parser.error(f"--output={output} is there already: give another folder, or delete it")
    if args.export:
        left_out = export(args.input, output)
        print(f"{args.input} -> {output}; left out, no part of a BERT: {', '.join(left_out)}")
        return
    if not args.features:
        parser.error("--features: give the features dataset that the network will be trained on")

    from memobert_jax import checkpoint
    from memobert_jax.features import FeaturesDataset

    features = FeaturesDataset(args.features, args.split)
    params, description, found = load(args.input, features, args.seed)
    checkpoint.save_params(output, params, description)
    print(f"{_report(found, description)}\n{args.input} -> {output}")


if __name__ == "__main__":
    sys.exit(command.reported(main)())
