"""A wav2vec 2.0 checkpoint folder, as Hugging Face writes it -> what `wav2vec2` computes with.

`config.json` and `model.safetensors`, of the bare model, of a pre-training or of a fine-tuning; the
weight norm of the positional convolution in either spelling.
"""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import logging

from memobert_jax.encoders import weights

_FIXED = {"hidden_act": "gelu", "feat_extract_activation": "gelu", "add_adapter": False}
"""What is known here, and what a configuration means that does not name it: older ones do not."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The fields of `config.json` that decide what is computed, by their names there."""

    conv_dim: tuple[int, ...]
    conv_kernel: tuple[int, ...]
    conv_stride: tuple[int, ...]
    conv_bias: bool
    feat_extract_norm: str
    do_stable_layer_norm: bool
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_conv_pos_embeddings: int
    num_conv_pos_embedding_groups: int
    layer_norm_eps: float

    def frames(self, samples: Any) -> list[Any]:
        """Frames after each convolution of `samples` samples, an int or an i32 array."""
        counts = [samples]
        for kernel, stride in zip(self.conv_kernel, self.conv_stride, strict=True):
            counts.append((counts[-1] - kernel) // stride + 1)
        return counts[1:]

    def normed(self, conv: int) -> bool:
        """Whether a norm follows convolution number `conv`."""
        return self.feat_extract_norm == "layer" or conv == 0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the tensors in a checkpoint."""
        hidden, conv = self.hidden_size, self.conv_dim
        found: dict[str, tuple[int, ...]] = {}

        def affine(name: str, *shape: int) -> None:
            found[f"{name}.weight"], found[f"{name}.bias"] = shape, shape[:1]

        for i, (kernel, width) in enumerate(zip(self.conv_kernel, conv, strict=True)):
            name = f"feature_extractor.conv_layers.{i}"
            found[f"{name}.conv.weight"] = (width, conv[i - 1] if i else 1, kernel)
            if self.conv_bias:
                found[f"{name}.conv.bias"] = (width,)
            if self.normed(i):
                affine(f"{name}.layer_norm", width)
        affine("feature_projection.layer_norm", conv[-1])
        affine("feature_projection.projection", hidden, conv[-1])
        kernel, groups = self.num_conv_pos_embeddings, self.num_conv_pos_embedding_groups
        found["encoder.pos_conv_embed.conv.weight_g"] = (1, 1, kernel)
        found["encoder.pos_conv_embed.conv.weight_v"] = (hidden, hidden // groups, kernel)
        found["encoder.pos_conv_embed.conv.bias"] = (hidden,)
        affine("encoder.layer_norm", hidden)
        for i in range(self.num_hidden_layers):
            name = f"encoder.layers.{i}"
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                affine(f"{name}.attention.{part}", hidden, hidden)
            affine(f"{name}.layer_norm", hidden)
            affine(f"{name}.feed_forward.intermediate_dense", self.intermediate_size, hidden)
            affine(f"{name}.feed_forward.output_dense", hidden, self.intermediate_size)
            affine(f"{name}.final_layer_norm", hidden)
        return found


def architecture(path: Path) -> Architecture:
    """What `config.json` says.

    Raises:
      FileNotFoundError, ValueError: if it is missing, damaged, or of another network.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no {path}: expected a wav2vec 2.0 checkpoint folder with config.json and "
            "model.safetensors"
        )
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}. Copy or download it again.") from error
    hints = typing.get_type_hints(Architecture)
    lacking = [name for name in ("model_type", *hints) if name not in config]
    if lacking:
        raise ValueError(f"{path} lacks {lacking}; expected the configuration of a wav2vec2 model")
    expected = {"model_type": "wav2vec2", **_FIXED}
    for name, value in expected.items():
        if config.setdefault(name, value) != value:
            raise ValueError(f"{path} has {name} = {config[name]!r}; only {value!r} is known here")
    if config["feat_extract_norm"] not in ("group", "layer"):
        raise ValueError(
            f"{path} has feat_extract_norm = {config['feat_extract_norm']!r}; expected 'group' or "
            "'layer'"
        )
    values = {name: config[name] for name in hints}
    return Architecture(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def load(folder: str | Path) -> tuple[Architecture, dict[str, Any], str]:
    """(architecture, params of `wav2vec2.network`, sha256 of the two) of a checkpoint folder.

    Heads of other tasks (a fine-tuned CTC model, the quantiser of pre-training) are ignored, which
    a warning says.

    Raises:
      FileNotFoundError, ValueError: if the folder is not a whole checkpoint; names what is wrong.
    """
    folder = Path(folder)
    arch = architecture(folder / "config.json")
    path = folder / "model.safetensors"
    if not path.is_file() and folder.is_dir():
        found = sorted(file.name for file in folder.iterdir())
        raise FileNotFoundError(
            f"no {path}; the folder holds {found}. Weights in pytorch_model.bin are not unpickled: "
            "load and save them once with `Wav2Vec2Model.from_pretrained(...)"
            ".save_pretrained(..., safe_serialization=True)` of transformers"
        )
    tensors, sha256 = weights.read(path)
    tensors = {_plain(name): values for name, values in tensors.items()}
    shapes = arch.shapes()
    known = weights.checked(tensors, shapes, path)
    rest = sorted(set(tensors) - set(shapes) - {"masked_spec_embed"})
    inside = [name for name in rest if name.split(".")[0] in ("feature_extractor", "encoder")]
    if inside:
        raise ValueError(
            f"{path} has {len(inside)} tensors that {folder / 'config.json'} knows nothing of, "
            f"such as {inside[:3]}: the two do not belong together"
        )
    if rest:
        logging.warning("%s: ignored, as no part of the encoder: %s", path, ", ".join(rest))
    # the same tensors under another configuration give other features
    identity = json.dumps([dataclasses.asdict(arch), sha256], sort_keys=True)
    return arch, params_of(arch, known), hashlib.sha256(identity.encode()).hexdigest()


def _plain(name: str) -> str:
    name = name.removeprefix("wav2vec2.")
    for spelling, plain in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{spelling}", plain)
    return name


def params_of(arch: Architecture, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Tensors of a checkpoint -> params: the layers stacked, weight norm multiplied out.

    Kernels are [in, out], those of convolutions [taps, in of a group, out].
    """

    def affine(name: str) -> dict[str, np.ndarray]:
        found = {"kernel": tensors[f"{name}.weight"].T}
        if f"{name}.bias" in tensors:
            found["bias"] = tensors[f"{name}.bias"]
        return found

    def conv(i: int) -> dict[str, Any]:
        name = f"feature_extractor.conv_layers.{i}"
        found = affine(f"{name}.conv")
        return found | ({"norm": affine(f"{name}.layer_norm")} if arch.normed(i) else {})

    def layer(i: int) -> dict[str, Any]:
        name = f"encoder.layers.{i}"
        names = {part: f"{name}.attention.{part}_proj" for part in ("q", "k", "v", "out")}
        names |= {"norm": f"{name}.layer_norm", "last_norm": f"{name}.final_layer_norm"}
        names["up"] = f"{name}.feed_forward.intermediate_dense"
        names["down"] = f"{name}.feed_forward.output_dense"
        return {part: affine(one) for part, one in names.items()}

    position = "encoder.pos_conv_embed.conv"
    scale, direction = tensors[f"{position}.weight_g"], tensors[f"{position}.weight_v"]
    length = np.sqrt((direction.astype(np.float64) ** 2).sum((0, 1), keepdims=True))
    kernel = (scale * direction / length).astype(np.float32)
    return {
        "convs": [conv(i) for i in range(len(arch.conv_dim))],
        "projection_norm": affine("feature_projection.layer_norm"),
        "projection": affine("feature_projection.projection"),
        "position": {"kernel": kernel.T, "bias": tensors[f"{position}.bias"]},
        "norm": affine("encoder.layer_norm"),
        "layers": jax.tree.map(
            lambda *each: np.stack(each), *[layer(i) for i in range(arch.num_hidden_layers)]
        ),
    }
