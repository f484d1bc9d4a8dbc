"""Where the tensors of a BERT, and of the authors' MEmoBERT, lie in our parameter tree.

One table serves both directions. Their linear layers are [outputs, inputs]; ours are transposed,
the layers are stacked, and query, key and value are one array.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from memobert_jax.config import ModelConfig

BERT = ("embeddings", "encoder", "pooler", "cls")
"""First parts of the names that a BERT has; the table's others are of the authors' model."""
REQUIRED = ("embeddings", "encoder")
COPIES = {
    "cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
    "feat_regress.weight": "img_embeddings.img_linear.weight",
    "speech_feat_regress.weight": "speech_embeddings.speech_linear.weight",
}
"""Tied tensors that may be there a second time -> the tensor that they must equal."""
NO_PLACE = (
    "embeddings.position_ids",
    "cls.seq_relationship.",
    "classifier.",
    "qa_outputs.",
    "region_classifier.",
    "output.",
    "itm_output.",
    "eitm_output.",
    "vfom_output.",
    "sfom_output.",
    "emo_classifier.",
)
"""Beginnings of the names of heads and counters that the network has no place for."""


class Place(NamedTuple):
    """Where a tensor lies.

    Attributes:
      path: of the parameter in our tree.
      shape: of what of the tensor is ours.
      index: which part of the parameter it is.
      linear: whether it is the matrix of a linear layer, transposed.
      skip: first rows of the tensor that are nothing of ours.
    """

    path: tuple[str, ...]
    shape: tuple[int, ...]
    index: Any = ()
    linear: bool = False
    skip: int = 0

    @property
    def theirs(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return (self.shape[0] + self.skip, *self.shape[1:])


def _dense(name, path, inputs, outputs, index=(), bias_index=None) -> dict[str, Place]:
    bias_index = index if bias_index is None else bias_index
    return {
        f"{name}.weight": Place((*path, "kernel"), (outputs, inputs), index, linear=True),
        f"{name}.bias": Place((*path, "bias"), (outputs,), bias_index),
    }


def _norm(name, path, width, index=()) -> dict[str, Place]:
    return {
        f"{name}.weight": Place((*path, "scale"), (width,), index),
        f"{name}.bias": Place((*path, "bias"), (width,), index),
    }


def _layer(cfg: ModelConfig, layer: int) -> dict[str, Place]:
    name, path, hidden = f"encoder.layer.{layer}", ("trunk", "blocks"), cfg.hidden
    out = {}
    for i, part in enumerate(("query", "key", "value")):
        kernel, bias = (layer, slice(None), i), (layer, i)
        attention = f"{name}.attention.self.{part}"
        out |= _dense(attention, (*path, "qkv"), hidden, hidden, kernel, bias)
    at = (layer,)
    out |= _dense(f"{name}.attention.output.dense", (*path, "out"), hidden, hidden, at)
    out |= _norm(f"{name}.attention.output.LayerNorm", (*path, "attention_norm"), hidden, at)
    out |= _dense(f"{name}.intermediate.dense", (*path, "up"), hidden, cfg.mlp, at)
    out |= _dense(f"{name}.output.dense", (*path, "down"), cfg.mlp, hidden, at)
    return out | _norm(f"{name}.output.LayerNorm", (*path, "mlp_norm"), hidden, at)


def _frames(cfg: ModelConfig, part: str, ours: str, width: int) -> dict[str, Place]:
    """The embedder of frames and the head that regresses them."""
    name, hidden = f"{part}_embeddings", cfg.hidden
    head = {"img": "feat_regress", "speech": "speech_feat_regress"}[part]
    path = ({"img": "mfr_head", "speech": "msr_head"}[part],)
    return {
        **_dense(f"{name}.{part}_linear", (ours, "projection"), width, hidden),
        **_norm(f"{name}.{part}_layer_norm", (ours, "projection_norm"), hidden),
        # Row 0 is that of frames that are not masked; the original sets it to zero.
        f"{name}.mask_embedding.weight": Place((ours, "mask_vector"), (1, width), skip=1),
        f"{name}.position_embeddings.weight": Place(
            (ours, "position"), (cfg.max_positions, hidden)
        ),
        **_norm(f"{name}.LayerNorm", (ours, "norm"), hidden),
        **_dense(f"{head}.net.0", (*path, "transform", "dense"), hidden, hidden),
        **_norm(f"{head}.net.2", (*path, "transform", "norm"), hidden),
        f"{head}.bias": Place((*path, "bias"), (width,)),
    }


def places(cfg: ModelConfig) -> dict[str, Place]:
    """Name, without the prefix `bert.` or `uniter.`, -> place of every tensor that has one."""
    hidden, pieces = cfg.hidden, cfg.vocab_size
    head = ("mlm_head", "transform")
    out = {
        "embeddings.word_embeddings.weight": Place(
            ("text", "word"), (pieces, hidden), slice(pieces)
        ),
        "embeddings.position_embeddings.weight": Place(
            ("text", "position"), (cfg.max_positions, hidden)
        ),
        "embeddings.token_type_embeddings.weight": Place(("text", "type"), (2, hidden)),
        **_norm("embeddings.LayerNorm", ("text", "norm"), hidden),
        **_dense("pooler.dense", ("pooler", "dense"), hidden, hidden),
        **_dense("cls.predictions.transform.dense", (*head, "dense"), hidden, hidden),
        **_norm("cls.predictions.transform.LayerNorm", (*head, "norm"), hidden),
        "cls.predictions.bias": Place(("mlm_head", "bias"), (pieces,), slice(pieces)),
        **_frames(cfg, "img", "face", cfg.face_dim),
        **_frames(cfg, "speech", "speech", cfg.speech_dim),
        "speech_embeddings.token_type_embeddings.weight": Place(("speech_type",), (1, hidden)),
    }
    for layer in range(cfg.layers):
        out |= _layer(cfg, layer)
    if cfg.face_emotion_dim:
        net, path = "region_classifier.net", ("mfc_head",)
        out |= _dense(f"{net}.0", (*path, "transform", "dense"), hidden, hidden)
        out |= _norm(f"{net}.2", (*path, "transform", "norm"), hidden)
        out |= _dense(f"{net}.3", (*path, "classes"), hidden, cfg.face_emotion_dim)
    return out


def group(name: str) -> str:
    """The first part of a name: tensors of a group come together or not at all."""
    return name.split(".")[0]


def plain(name: str) -> str:
    """A name without prefix, with the present names of a layer norm's parameters."""
    name = name.removeprefix("bert.").removeprefix("uniter.")
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _part(params: Any, place: Place) -> np.ndarray:
    for key in place.path:
        params = params[key]
    return params[place.index]


def put(params: Any, tensors: Mapping[str, np.ndarray], table: Mapping[str, Place]) -> None:
    """Writes tensors of the right shape, by plain name, into a tree of writable NumPy arrays."""
    for name, tensor in tensors.items():
        part, value = _part(params, table[name]), tensor[table[name].skip :]
        part[...] = (value.T if table[name].linear else value).reshape(part.shape)


def take(params: Any, table: Mapping[str, Place]) -> dict[str, np.ndarray]:
    """The inverse of `put`, for places that skip nothing."""
    out = {}
    for name, place in table.items():
        part = _part(params, place)
        value = part.reshape(place.shape[::-1]).T if place.linear else part.reshape(place.shape)
        out[name] = np.ascontiguousarray(value)
    return out
