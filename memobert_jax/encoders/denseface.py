"""`denseface`: DenseNet-BC-100 on grey 64x64 crops; 342 features and 8 expression probabilities.

(MEmoBERT §2; Huang et al. 2017.) Growth 12, three blocks of 16 layers, 24 channels after a stem of
stride 2, half of the channels kept between the blocks: 24 + 192 = 216 -> 108 + 192 = 300 -> 150 +
192 = 342, which are averaged over the picture. The weights come from `train_denseface`.

Grey values lose the mean and standard deviation of the corpus, which `featurize` fits on the crops
of the training split. The paper has (of 255): films 63.99 / 43.01, IEMOCAP 131.08 / 47.86,
MSP-IMPROV 96.38 / 53.62, MELD 67.61 / 37.89.

The module is made from the tensors, whose names are those of the file, wherever it is called.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memobert_jax.encoders import pixels, weights
from memobert_jax.encoders.encoder import Encoder, Prepared
from memobert_jax.record import FACE_FPS

CLASSES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
"""Canonical names in the order of the posterior, that of FER+."""

SIDE = 64
MOMENTUM = 0.9
"""Share of the running moments of a batch norm that a training step keeps."""

_EPS = 1e-5
_CHUNK_ROWS = 8
_BOTTLENECK = 4
Params = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Channels of the stem, channels that a layer adds, and layers of each block."""

    stem: int = 24
    growth: int = 12
    blocks: tuple[int, ...] = (16, 16, 16)

    @property
    def width(self) -> int:
        """Channels at the end, columns of the features."""
        channels = self.stem
        for number, layers in enumerate(self.blocks):
            channels = (channels if number == 0 else channels // 2) + layers * self.growth
        return channels

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors; kernels are [height, width, in, out]."""
        found: dict[str, tuple[int, ...]] = {"stem": (3, 3, 1, self.stem)}

        def norm(name: str, channels: int) -> None:
            found.update({f"{name}.{part}": (channels,) for part in _NORM})

        channels, inner = self.stem, _BOTTLENECK * self.growth
        for b, layers in enumerate(self.blocks):
            if b:
                norm(f"between{b}.norm", channels)
                found[f"between{b}.conv"] = (1, 1, channels, channels // 2)
                channels //= 2
            for i in range(layers):
                name = f"block{b}.layer{i}"
                norm(f"{name}.norm1", channels)
                found[f"{name}.conv1"] = (1, 1, channels, inner)
                norm(f"{name}.norm2", inner)
                found[f"{name}.conv2"] = (3, 3, inner, self.growth)
                channels += self.growth
        norm("norm", channels)
        return found | {"classes.kernel": (channels, len(CLASSES)), "classes.bias": (len(CLASSES),)}


_NORM = ("scale", "bias", "mean", "variance")
PAPER = Architecture()


def load(path: str | Path, arch: Architecture = PAPER) -> Encoder:
    """The encoder with the weights that `train_denseface` wrote.

    Raises:
      FileNotFoundError, ValueError: if they are not there, not whole, or of another network.
    """
    tensors, sha256 = weights.read(path)
    params = weights.checked(tensors, arch.shapes(), path)
    surplus = sorted(set(tensors) - set(params))
    if surplus:
        raise ValueError(
            f"{path} has {len(surplus)} tensors that are none of this network's, such as "
            f"{surplus[:3]}: give a file that train_denseface wrote"
        )
    return Encoder(
        name="denseface",
        version=1,
        weights_sha256=sha256,
        width=arch.width,
        rate_hz=FACE_FPS,
        bands=1,
        batch=16,
        side_by_side=64,
        prepare=prepare,
        compute=lambda params, chunk: jnp.concatenate(features(arch, params, chunk[..., None]), 1),
        params=params,
        classes=len(CLASSES),
        normalised="media",
    )


def grey(crop: bytes, number: int) -> np.ndarray:
    """A JPEG crop of 112x112 -> u8 [64, 64].

    Raises:
      ValueError: if it is no image of that size.
    """
    return cv2.resize(pixels.decode(crop, number), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def prepare(crops: Sequence[bytes]) -> Prepared:
    """JPEG crops of 112x112 -> (chunks u8 [c, 8, 64, 64], number of crops).

    Raises:
      ValueError: if a crop is no image of that size.
    """
    count = -(-len(crops) // _CHUNK_ROWS)
    found = np.zeros((count * _CHUNK_ROWS, SIDE, SIDE), np.uint8)
    for number, crop in enumerate(crops):
        found[number] = grey(crop, number)
    return found.reshape(count, _CHUNK_ROWS, SIDE, SIDE), len(crops)


def features(arch: Architecture, params: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Normalised grey f32 [n, 64, 64, 1] -> features f32 [n, width], posterior f32 [n, 8]."""
    pooled, logits, _ = network(arch, params, images, train=False)
    return pooled, jax.nn.softmax(logits)


def network(
    arch: Architecture, params: Params, images: jax.Array, train: bool
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """Features f32 [n, width], logits f32 [n, 8], and the running moments after this batch.

    Args:
      arch: of `params`.
      params: the tensors of `arch.shapes()`.
      images: normalised grey images f32 [n, 64, 64, 1].
      train: normalise with the moments of this batch instead of the running ones.
    """
    net = DenseFace(arch, params)
    with jax.default_matmul_precision("highest"):
        pooled, logits = net(images, train)
    return pooled, logits, net.moments() if train else {}


class BatchNorm(nnx.Module):
    """Batch norm and ReLU of x [n, height, width, channels]; training moves the running moments."""

    def __init__(self, scale, bias, mean, variance):
        self.scale, self.bias = nnx.Param(scale), nnx.Param(bias)
        self.mean, self.variance = nnx.BatchStat(mean), nnx.BatchStat(variance)

    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        mean, variance = self.mean[...], self.variance[...]
        if train:
            running, mean, variance = (mean, variance), x.mean((0, 1, 2)), x.var((0, 1, 2))
            for stat, old, new in zip(
                (self.mean, self.variance), running, (mean, variance), strict=True
            ):
                stat[...] = MOMENTUM * old + (1 - MOMENTUM) * new
        scale = jax.lax.rsqrt(variance + _EPS) * self.scale[...]
        return jax.nn.relu((x - mean) * scale + self.bias[...])


class Convolution(nnx.Module):
    """x [n, height, width, in] -> [n, height / stride, width / stride, out]."""

    def __init__(self, kernel: jax.Array, stride: int = 1):
        self.kernel, self.stride = nnx.Param(kernel), stride

    def __call__(self, x: jax.Array) -> jax.Array:
        form, strides = ("NHWC", "HWIO", "NHWC"), (self.stride, self.stride)
        return jax.lax.conv_general_dilated(
            x, self.kernel[...], strides, "SAME", dimension_numbers=form
        )


class DenseFace(nnx.Module):
    """The network of the tensors of `arch.shapes()`; its parts have the names of the file."""

    def __init__(self, arch: Architecture, params: Params):
        self.arch = arch
        norms = [name.removesuffix(".scale") for name in params if name.endswith(".scale")]
        self.norms = nnx.Dict(
            {name: BatchNorm(*(params[f"{name}.{part}"] for part in _NORM)) for name in norms}
        )
        kernels = {name: x for name, x in params.items() if x.ndim == 4 and name != "stem"}
        self.convs = nnx.Dict({name: Convolution(kernel) for name, kernel in kernels.items()})
        self.stem = Convolution(params["stem"], stride=2)
        self.kernel = nnx.Param(params["classes.kernel"])
        self.bias = nnx.Param(params["classes.bias"])

    def __call__(self, images: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Features f32 [n, width] and logits f32 [n, 8] of images f32 [n, 64, 64, 1]."""
        x = self.stem(images)
        for b, layers in enumerate(self.arch.blocks):
            if b:
                x = self.convs[f"between{b}.conv"](self.norms[f"between{b}.norm"](x, train))
                n, height, width, channels = x.shape
                x = x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))
            for i in range(layers):
                added = x
                for part in ("1", "2"):
                    name = f"block{b}.layer{i}"
                    norm, conv = self.norms[f"{name}.norm{part}"], self.convs[f"{name}.conv{part}"]
                    added = conv(norm(added, train))
                x = jnp.concatenate([x, added], -1)
        pooled = self.norms["norm"](x, train).mean((1, 2))
        return pooled, pooled @ self.kernel[...] + self.bias[...]

    def moments(self) -> dict[str, jax.Array]:
        """Name -> running moment of every norm."""
        return {
            f"{name}.{part}": getattr(norm, part)[...]
            for name, norm in self.norms.items()
            for part in _NORM[2:]
        }
