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
from flax import nnx

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
        return Wav2Vec2(arch, params)(samples, count)


class Affine(nnx.Module):
    """x [..., in] -> [..., out]."""

    def __init__(self, p: Mapping[str, jax.Array]):
        self.kernel, self.bias = nnx.Param(p["kernel"]), nnx.Param(p["bias"])

    def __call__(self, x: jax.Array) -> jax.Array:
        return x @ self.kernel[...] + self.bias[...]


class Norm(nnx.Module):
    """Layer norm over the last axis."""

    def __init__(self, p: Mapping[str, jax.Array], eps: float):
        self.kernel, self.bias, self.eps = nnx.Param(p["kernel"]), nnx.Param(p["bias"]), eps

    def __call__(self, x: jax.Array) -> jax.Array:
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + self.eps) * self.kernel[...] + self.bias[...]


class GroupNorm(nnx.Module):
    """Each channel of x [frames, channels] normalised over the first `count` frames."""

    def __init__(self, p: Mapping[str, jax.Array]):
        self.kernel, self.bias = nnx.Param(p["kernel"]), nnx.Param(p["bias"])

    def __call__(self, x: jax.Array, count: jax.Array) -> jax.Array:
        valid = (jnp.arange(len(x)) < count)[:, None]
        centred = x - jnp.where(valid, x, 0).sum(0) / count
        variance = jnp.where(valid, centred**2, 0).sum(0) / count
        return centred * jax.lax.rsqrt(variance + _CONV_EPS) * self.kernel[...] + self.bias[...]


class Convolution(nnx.Module):
    """x [frames, in] -> [frames, out]."""

    def __init__(
        self,
        p: Mapping[str, jax.Array],
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        groups: int = 1,
    ):
        self.kernel = nnx.Param(p["kernel"])
        self.bias = nnx.Param(p["bias"]) if "bias" in p else None
        self.stride, self.padding, self.groups = stride, padding, groups

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.lax.conv_general_dilated(
            x[None],
            self.kernel[...],
            (self.stride,),
            (self.padding,),
            dimension_numbers=("NWC", "WIO", "NWC"),
            feature_group_count=self.groups,
        )[0]
        return y if self.bias is None else y + self.bias[...]


class Block(nnx.Module):
    """A block of the transformer; its norms come first in the stable style, last in the other."""

    def __init__(self, arch: Architecture, p: Mapping[str, Any]):
        self.heads, self.stable = arch.num_attention_heads, arch.do_stable_layer_norm
        self.q, self.k, self.v = (Affine(p[name]) for name in ("q", "k", "v"))
        self.out, self.up, self.down = (Affine(p[name]) for name in ("out", "up", "down"))
        self.norm, self.last_norm = (Norm(p[n], arch.layer_norm_eps) for n in ("norm", "last_norm"))

    def __call__(self, x: jax.Array, valid: jax.Array) -> jax.Array:
        if self.stable:
            x = x + self._attend(self.norm(x), valid)
            return x + self._feed_forward(self.last_norm(x))
        x = self.norm(x + self._attend(x, valid))
        return self.last_norm(x + self._feed_forward(x))

    def _attend(self, x: jax.Array, valid: jax.Array) -> jax.Array:
        q, k, v = (f(x).reshape(len(x), self.heads, -1) for f in (self.q, self.k, self.v))
        scores = jnp.einsum("qhd,khd->hqk", q * q.shape[-1] ** -0.5, k)
        shares = jax.nn.softmax(jnp.where(valid, scores, jnp.finfo(scores.dtype).min))
        return self.out(jnp.einsum("hqk,khd->qhd", shares, v).reshape(x.shape))

    def _feed_forward(self, x: jax.Array) -> jax.Array:
        return self.down(jax.nn.gelu(self.up(x), approximate=False))


class Wav2Vec2(nnx.Module):
    """The network of `wav2vec2_checkpoint.load`: its architecture and its arrays."""

    def __init__(self, arch: Architecture, params: Mapping[str, Any]):
        grouped = arch.feat_extract_norm == "group"
        self.arch, convs = arch, params["convs"]
        self.convs = nnx.List(map(Convolution, convs, arch.conv_stride))
        self.conv_norms = nnx.List(
            None
            if "norm" not in p
            else GroupNorm(p["norm"])
            if grouped
            else Norm(p["norm"], _CONV_EPS)
            for p in convs
        )
        taps, groups = arch.num_conv_pos_embeddings, arch.num_conv_pos_embedding_groups
        around = (taps // 2, taps - 1 - taps // 2)
        self.projection_norm = Norm(params["projection_norm"], arch.layer_norm_eps)
        self.projection = Affine(params["projection"])
        self.position = Convolution(params["position"], padding=around, groups=groups)
        self.norm = Norm(params["norm"], arch.layer_norm_eps)
        self.blocks = Block(arch, params["layers"])  # every array has the blocks in front

    def __call__(self, samples: jax.Array, count: jax.Array) -> tuple[jax.Array, jax.Array]:
        """As `network`."""
        counts = self.arch.frames(count)
        x = samples[:, None]
        for conv, norm, valid in zip(self.convs, self.conv_norms, counts, strict=True):
            x = conv(x)
            if norm is not None:
                x = norm(x, valid) if isinstance(norm, GroupNorm) else norm(x)
            x = jax.nn.gelu(x, approximate=False)
        extracted = self.projection_norm(x)
        valid = jnp.arange(len(x)) < counts[-1]
        x = jnp.where(valid[:, None], self.projection(extracted), 0)
        x = x + jax.nn.gelu(self.position(x), approximate=False)
        if not self.arch.do_stable_layer_norm:
            x = self.norm(x)
        graphdef, blocks = nnx.split(self.blocks)
        x, _ = jax.lax.scan(lambda x, own: (nnx.merge(graphdef, own)(x, valid), None), x, blocks)
        return extracted, self.norm(x) if self.arch.do_stable_layer_norm else x
