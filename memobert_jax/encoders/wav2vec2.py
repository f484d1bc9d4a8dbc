"""`wav2vec2`: the last hidden state of wav2vec 2.0, mean of every 3 frames = one row per 60 ms.

(MEmoBERT §2; Baevski et al. 2020.) The weights come from a checkpoint folder in the form of
Hugging Face (`config.json` and `model.safetensors`) of either style: group norm in the feature
extractor and layer norm after each block (`wav2vec2-base`, the paper's), or layer norm throughout
and before each block (`wav2vec2-large` with `do_stable_layer_norm`).

Sound is cut to its first 10 s and is not normalised, as in the paper, whatever a
`preprocessor_config.json` says. The base style is indifferent to that: its group norm removes
offset and scale. A clip is one chunk, padded to the next of a few lengths that its own length
chooses; `network` keeps the padding out of every statistic, convolution and attention. Frames that
do not fill a row at the end are seen by the attention only.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memobert_jax.encoders import wav2vec2_checkpoint
from memobert_jax.encoders.encoder import Encoder, Prepared
from memobert_jax.encoders.wav2vec2_checkpoint import Architecture
from memobert_jax.record import SAMPLE_RATE, SPEECH_ROW_S

MAX_S = 10.0
LENGTHS_S = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, MAX_S)
"""Lengths to which clips are padded; each is compiled once."""

MEAN_OF = 3
_CONV_EPS = 1e-5


def load(folder: str | Path) -> Encoder:
    """The encoder with the weights of a checkpoint folder.

    Raises:
      FileNotFoundError, ValueError: if the folder is not a whole wav2vec 2.0 checkpoint.
    """
    arch, params, sha256 = wav2vec2_checkpoint.load(folder)
    return Encoder(
        name="wav2vec2",
        version=1,
        weights_sha256=sha256,
        width=arch.hidden_size,
        rate_hz=1 / SPEECH_ROW_S,
        bands=0,
        batch=1,
        side_by_side=16,
        prepare=functools.partial(prepare, arch),
        compute=functools.partial(compute, arch),
        params=params,
        longest_s=MAX_S,
    )


def prepare(arch: Architecture, samples: np.ndarray) -> Prepared:
    """Samples f32 [n], 16 kHz mono -> (one chunk f32 [1, 1 + padded length] or none, rows).

    The first value of the chunk is the number of samples that follow before the padding.
    """
    samples = samples[: round(MAX_S * SAMPLE_RATE)]
    rows = max(arch.frames(len(samples))[-1], 0) // MEAN_OF
    lengths = [round(seconds * SAMPLE_RATE) for seconds in LENGTHS_S]
    padded = next(length for length in lengths if length >= len(samples))
    chunks = np.zeros((int(rows > 0), 1 + padded), np.float32)
    chunks[:, 0] = len(samples)
    chunks[:, 1 : 1 + len(samples)] = samples
    return chunks, rows


def compute(arch: Architecture, params: Mapping[str, Any], chunk: jax.Array) -> jax.Array:
    """A chunk of `prepare` -> f32 [rows of the padded length, hidden_size]."""
    _, hidden = network(arch, params, chunk[1:], chunk[0].astype(jnp.int32))
    rows = len(hidden) // MEAN_OF
    return hidden[: rows * MEAN_OF].reshape(rows, MEAN_OF, -1).mean(1)


def network(
    arch: Architecture, params: Mapping[str, Any], samples: jax.Array, count: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The features of the convolutions and the last hidden state, each f32 [frames, width].

    Only frames that `count` samples fill are meaningful; nothing behind them has any effect on
    them.

    Args:
      arch, params: of `wav2vec2_checkpoint.load`.
      samples: f32 [n], of which the first `count` are sound.
      count: i32.
    """
    with jax.default_matmul_precision("highest"):
        return _network(arch, params, samples, count)


def _network(arch, params, samples, count):
    counts = arch.frames(count)
    x = samples[:, None]
    for i, conv in enumerate(params["convs"]):
        x = _convolution(conv, x, arch.conv_stride[i])
        if "norm" in conv and arch.feat_extract_norm == "group":
            x = _group_norm(conv["norm"], x, counts[i])
        elif "norm" in conv:
            x = _norm(conv["norm"], x, _CONV_EPS)
        x = jax.nn.gelu(x, approximate=False)
    norm = functools.partial(_norm, eps=arch.layer_norm_eps)
    extracted = norm(params["projection_norm"], x)
    valid = jnp.arange(len(x)) < counts[-1]
    x = jnp.where(valid[:, None], _affine(params["projection"], extracted), 0)
    taps, groups = arch.num_conv_pos_embeddings, arch.num_conv_pos_embedding_groups
    around = (taps // 2, taps - 1 - taps // 2)
    position = _convolution(params["position"], x, padding=around, groups=groups)
    x = x + jax.nn.gelu(position, approximate=False)
    if not arch.do_stable_layer_norm:
        x = norm(params["norm"], x)

    def layer(x: jax.Array, p: Mapping[str, Any]) -> tuple[jax.Array, None]:
        if arch.do_stable_layer_norm:
            x = x + _attention(p, norm(p["norm"], x), valid, arch.num_attention_heads)
            return x + _feed_forward(p, norm(p["last_norm"], x)), None
        x = norm(p["norm"], x + _attention(p, x, valid, arch.num_attention_heads))
        return norm(p["last_norm"], x + _feed_forward(p, x)), None

    x, _ = jax.lax.scan(layer, x, params["layers"])
    return extracted, norm(params["norm"], x) if arch.do_stable_layer_norm else x


def _affine(p: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    return x @ p["kernel"] + p["bias"]


def _norm(p: Mapping[str, jax.Array], x: jax.Array, eps: float) -> jax.Array:
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + eps) * p["kernel"] + p["bias"]


def _group_norm(p: Mapping[str, jax.Array], x: jax.Array, count: jax.Array) -> jax.Array:
    """Each channel normalised over the first `count` frames."""
    valid = (jnp.arange(len(x)) < count)[:, None]
    centred = x - jnp.where(valid, x, 0).sum(0) / count
    variance = jnp.where(valid, centred**2, 0).sum(0) / count
    return centred * jax.lax.rsqrt(variance + _CONV_EPS) * p["kernel"] + p["bias"]


def _convolution(
    p: Mapping[str, jax.Array],
    x: jax.Array,
    stride: int = 1,
    padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> jax.Array:
    y = jax.lax.conv_general_dilated(
        x[None],
        p["kernel"],
        (stride,),
        (padding,),
        dimension_numbers=("NWC", "WIO", "NWC"),
        feature_group_count=groups,
    )[0]
    return y + p["bias"] if "bias" in p else y


def _attention(p: Mapping[str, Any], x: jax.Array, valid: jax.Array, heads: int) -> jax.Array:
    q, k, v = (_affine(p[name], x).reshape(len(x), heads, -1) for name in ("q", "k", "v"))
    scores = jnp.einsum("qhd,khd->hqk", q * q.shape[-1] ** -0.5, k)
    shares = jax.nn.softmax(jnp.where(valid, scores, jnp.finfo(scores.dtype).min))
    return _affine(p["out"], jnp.einsum("hqk,khd->qhd", shares, v).reshape(x.shape))


def _feed_forward(p: Mapping[str, Any], x: jax.Array) -> jax.Array:
    return _affine(p["down"], jax.nn.gelu(_affine(p["up"], x), approximate=False))
