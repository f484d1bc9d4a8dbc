"""A folder of BERT weights, as transformers writes it: read, sorted and written, without JAX.

It has config.json, model.safetensors and vocab.txt or tokenizer.json. Nothing is unpickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memobert_jax import bert_names, wordpieces
from memobert_jax.config import ModelConfig

WEIGHTS, CONFIG = "model.safetensors", "config.json"

_FIELDS = {
    "hidden_size": "hidden",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "mlp",
    "max_position_embeddings": "max_positions",
    "hidden_dropout_prob": "dropout",
    "layer_norm_eps": "norm_eps",
    "initializer_range": "init_std",
}
"""Their name -> ours."""
_DEFAULTS = {"hidden_dropout_prob": 0.1, "layer_norm_eps": 1e-12, "initializer_range": 0.02}
_FIXED = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "tie_word_embeddings": True,
    "is_decoder": False,
}
"""What the network is; absent means the same."""


class Found(NamedTuple):
    """What a folder holds, sorted by where it goes.

    tensors: plain name -> f32 array, of those that have a place; random: groups of the table that
    the file lacks; left_out: names that the network has no place for; surplus: rows of the word
    table beyond the vocabulary.
    """

    tensors: dict[str, np.ndarray]
    random: list[str]
    left_out: list[str]
    surplus: int


def read_config(folder: Path) -> dict[str, Any]:
    """Fields of a ModelConfig from config.json.

    Raises:
      FileNotFoundError, ValueError: if there is none, or it is of another kind of network.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"no {CONFIG} in {folder}: expected a folder of BERT weights")
    try:
        found = _DEFAULTS | json.loads(path.read_text("utf-8"))
        fields = {ours: found[theirs] for theirs, ours in _FIELDS.items()}
    except KeyError as error:
        raise ValueError(f"{path} has no {error}: expected the configuration of a BERT") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is no JSON object: {error}") from error
    other = [f"{k} = {found[k]!r}" for k, v in _FIXED.items() if k in found and found[k] != v]
    if other:
        raise ValueError(f"{path}: {', '.join(other)}; the network takes only a BERT with {_FIXED}")
    return fields


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """Name -> array of model.safetensors.

    Raises:
      FileNotFoundError: if it is not there.
      ValueError: if it is damaged, or only a pickle is there.
    """
    import ml_dtypes  # noqa: F401  NumPy knows bfloat16 from then on
    import safetensors
    from safetensors.numpy import load_file

    path = folder / WEIGHTS
    if not path.is_file():
        pickles = sorted(p.name for p in folder.glob("*.bin"))
        if pickles:
            raise ValueError(
                f"{folder} has its weights in {pickles[0]}, a pickle, which can run any program "
                f"when it is read: convert it to {WEIGHTS} where you trust it, in transformers by "
                "`AutoModelForMaskedLM.from_pretrained(FOLDER).save_pretrained(NEW)`"
            )
        raise FileNotFoundError(f"no {WEIGHTS} in {folder}: expected a folder of BERT weights")
    try:
        return load_file(path)
    except AttributeError as error:
        raise ValueError(
            f"{path} has tensors of a type that is not supported ({error}): save them as float32"
        ) from error
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no safetensors file: {error}") from error


def sort(
    tensors: Mapping[str, np.ndarray], table: Mapping[str, bert_names.Place], pieces: int
) -> Found:
    """Finds the place of every tensor.

    Args:
      tensors: by their own names.
      table: of `bert_names.places`.
      pieces: size of the vocabulary.

    Raises:
      ValueError: naming the tensors that are missing, unknown, there twice, of another shape, not
        finite, or tied to another one without being equal to it; or if the vocabulary is larger
        than the word table.
    """
    plain = _plain(tensors)
    known = {name: tensor for name, tensor in plain.items() if name in table}
    left_out = [name for name in plain if name not in table]
    unknown = [name for name in left_out if not name.startswith(bert_names.NO_PLACE)]
    there = {bert_names.group(name) for name in known} | set(bert_names.REQUIRED)
    missing = [name for name in table if bert_names.group(name) in there and name not in known]
    for names, problem in ((missing, "are missing"), (unknown, "are unknown")):
        if names:
            raise ValueError(
                f"{len(names)} tensors {problem}: {', '.join(names[:5])}"
                f"{', ...' if names[5:] else ''}; expected those of a BERT, with or "
                f"without a head, with the layers that {CONFIG} says"
            )
    word, bias = "embeddings.word_embeddings.weight", "cls.predictions.bias"
    surplus = len(known[word]) - pieces
    if surplus < 0:
        raise ValueError(
            f"the vocabulary has {pieces} pieces, but {word} only {len(known[word])} rows: they "
            "are of different models"
        )
    known |= {name: known[name][:pieces] for name in (word, bias) if name in known}
    wrong = [
        f"{name} is {tensor.shape}, expected {table[name].theirs}"
        for name, tensor in known.items()
        if tensor.shape != table[name].theirs
    ]
    if wrong:
        raise ValueError(
            f"{len(wrong)} tensors have another shape than {CONFIG} and the features say: "
            f"{'; '.join(wrong[:5])}"
        )
    broken = [name for name, tensor in known.items() if not np.isfinite(tensor).all()]
    if broken:
        raise ValueError(
            f"{len(broken)} tensors have values that are not finite: {', '.join(broken[:5])}; get "
            f"{WEIGHTS} again"
        )
    random = sorted({bert_names.group(name) for name in table} - there)
    return Found(known, random, sorted(left_out), surplus)


def _plain(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Plain name -> f32 array, without the copies of tied tensors."""
    plain: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if bert_names.plain(name) in plain:
            raise ValueError(f"tensor {bert_names.plain(name)} is there under two names")
        plain[bert_names.plain(name)] = tensor.astype(np.float32)
    for copy, original in bert_names.COPIES.items():
        if copy in plain:
            tensor = plain.pop(copy)
            if not np.array_equal(plain.setdefault(original, tensor), tensor):
                raise ValueError(f"{copy} differs from {original}; the network has them tied")
    return plain


def write(output: Path, cfg: ModelConfig, tokens: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes a folder that transformers reads.

    Args:
      output: the folder, made where it is not there.
      cfg: the network.
      tokens: its Tokenizer.
      tensors: by their names in the file.
    """
    from safetensors.numpy import save_file

    output.mkdir(parents=True, exist_ok=True)
    _write_tokenizer(tokens, output)
    content = {theirs: getattr(cfg, ours) for theirs, ours in _FIELDS.items()} | _FIXED
    content |= {"architectures": ["BertForMaskedLM"], "vocab_size": cfg.vocab_size}
    content |= {"pad_token_id": tokens.pad_id}
    (output / CONFIG).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
    save_file(dict(tensors), output / WEIGHTS, metadata={"format": "pt"})


def _write_tokenizer(tokens: Any, output: Path) -> None:
    if tokens.pieces.kind != wordpieces.WordPieces.kind:
        (output / "tokenizer.model").write_bytes(tokens.model)
        return
    (output / "vocab.txt").write_text("\n".join(tokens.pieces.lines()) + "\n", "utf-8")
    settings = tokens.pieces.settings
    content = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": settings["lowercase"],
        "strip_accents": settings["strip_accents"],
        "tokenize_chinese_chars": settings["handle_chinese_chars"],
    }
    (output / wordpieces.CONFIG).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
