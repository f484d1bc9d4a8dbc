"""Numbers of the authors' PyTorch model (fixtures/memobert_tiny.npz) against ours.

The file holds weights, inputs, every layer, the four losses and gradients of a small MEmoBERT in
the state of the paper, computed with the authors' code; only numbers, none of their code. It is
read here through our own batch: views with the authors' masks, two clips packed into each row.
"""

import dataclasses
import functools
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import samples
from flax import nnx
from safetensors.numpy import save_file

from memobert_jax import bert_folder, bert_names, import_bert, state, step
from memobert_jax.batch import Layout, View, Widths
from memobert_jax.collate import assemble
from memobert_jax.config import ModelConfig
from memobert_jax.features import FeaturesDataset
from memobert_jax.masking import MaskedFrames, nothing_masked
from memobert_jax.models.heads import EmotionHead
from memobert_jax.packing import Limits
from memobert_jax.words import SPECIAL

FILE = np.load(Path(__file__).parent / "fixtures" / "memobert_tiny.npz")
CONFIG = ModelConfig(
    vocab_size=120,
    face_dim=14,
    face_emotion_dim=8,
    speech_dim=18,
    hidden=32,
    layers=3,
    heads=4,
    mlp=64,
    max_positions=64,
)
LAYOUT = Layout(
    Limits(width=56, caps=(20, 20, 28), max_clips=3), Widths(14, 8, 18), target_share=1.0
)
TASKS = {"mlm_wwm": "mlm", "mspanrfr": "mfr", "mspanrckl": "mfc", "mspansrfr": "msr"}
BOUND = 1e-5
"""Largest difference from the authors' float32; what is reached is 1.3e-6."""


def authors_params(shapes) -> dict:
    """The authors' parameters in the places that ours have, as a user's import puts them."""
    tensors = {name.removeprefix("w/"): FILE[name] for name in FILE if name.startswith("w/")}
    table = bert_names.places(CONFIG)
    found = bert_folder.sort(tensors, table, CONFIG.vocab_size)
    assert found.random == []
    assert {name.split(".")[0] for name in found.left_out} == {
        *("emo_classifier", "eitm_output", "itm_output", "output", "sfom_output", "vfom_output"),
    }
    params = jax.tree.map(lambda shape: np.full(shape.shape, np.nan, shape.dtype), shapes)
    bert_names.put(params, found.tensors, table)
    for filling in (params["text"]["word"], params["mlm_head"]["bias"]):
        assert np.isnan(filling[CONFIG.vocab_size :]).all()
        filling[CONFIG.vocab_size :] = 0.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)), "not all were put"
    return params


def test_the_authors_weights_are_imported_with_the_copies_of_tied_tensors(params, tmp_path):
    """A folder of their file, with what they save twice, through `import_bert`."""
    bert = tmp_path / "bert"
    bert.mkdir()
    tensors = {name.removeprefix("w/"): FILE[name] for name in FILE if name.startswith("w/")}
    whole = {bert_names.plain(name): name for name in tensors}
    for copy, original in bert_names.COPIES.items():
        tensors[copy] = tensors[whole[original]].copy()
    save_file(tensors, bert / "model.safetensors")
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 64, "max_position_embeddings": 64}
    (bert / "config.json").write_text(json.dumps(sizes))
    pieces = [*SPECIAL, *(f"piece{n}" for n in range(CONFIG.vocab_size - len(SPECIAL)))]
    (bert / "vocab.txt").write_text("\n".join(pieces))
    widths = {"face": 14, "face_emotion": 8, "speech": 18}
    source = samples.dataset(tmp_path / "features", widths=widths)
    found, _, told = import_bert.load(bert, FeaturesDataset(source, "train"), seed=0)
    assert told.random == []
    own = jax.tree.map(np.copy, jax.device_get(params))
    for tree in (found, own):  # rows that pad the vocabulary are nobody's
        tree["text"]["word"] = tree["text"]["word"][: CONFIG.vocab_size]
        tree["mlm_head"]["bias"] = tree["mlm_head"]["bias"][: CONFIG.vocab_size]
    jax.tree.map(np.testing.assert_array_equal, found, own)
    for copy in bert_names.COPIES:
        save_file(tensors | {copy: tensors[copy] + 1}, bert / "model.safetensors")
        with pytest.raises(ValueError, match=f"{re.escape(copy)} differs from"):
            import_bert.load(bert, FeaturesDataset(source, "train"), seed=0)


def shown_as(case: str, modality: str, clip: int, originals: np.ndarray) -> MaskedFrames:
    """How the authors' input shows the frames of a clip: zeroed, or another frame of it."""
    name = f"in/{case}/{modality}"
    if f"{name}_mask" not in FILE:
        return nothing_masked(len(originals))
    masked = FILE[f"{name}_mask"][clip, : len(originals)].astype(bool)
    shown = FILE[f"{name}_feat"][clip, : len(originals)]
    source = np.arange(len(originals), dtype=np.int32)
    for place in np.flatnonzero(~masked):
        source[place] = np.flatnonzero((originals == shown[place]).all(1))[0]
    return MaskedFrames(masked, source, masked)


def clips(case: str) -> list[View]:
    """The clips of a case, with the authors' masks and targets."""
    plain = "clean" if case in TASKS else case
    views = []
    for clip, length in enumerate(FILE[f"in/{case}/text_len"]):
        frames = {}
        for modality, width in (("face", 14), ("speech", 18)):
            found = f"in/{plain}/{modality}_feat" in FILE
            n = FILE[f"in/{case}/{modality}_len"][clip] if found else 0
            frames[modality] = (
                FILE[f"in/{plain}/{modality}_feat"][clip, :n] if n else np.zeros((0, width))
            )
        emotion = np.zeros((len(frames["face"]), 8))
        targets = {}
        if case in TASKS:
            where = FILE[f"in/{case}/target_positions"]
            targets[TASKS[case]] = where[where[:, 0] == clip, 2]
        if case == "mspanrckl":
            emotion = FILE["in/mspanrckl/face_soft_labels"][clip, : len(emotion)]
        views.append(
            View(
                ids=FILE[f"in/{case}/input_ids"][clip, :length],
                labels=FILE[f"in/{plain}/input_ids"][clip, :length],
                face_emotion=emotion,
                face_mask=shown_as(case, "face", clip, frames["face"]),
                speech_mask=shown_as(case, "speech", clip, frames["speech"]),
                targets=targets,
                index=clip,
                **frames,
            )
        )
    return views


def packed(case: str) -> dict[str, np.ndarray]:
    """The batch of a case, two clips a row, the second first; frames in float32."""
    views = clips(case)
    rows = [views[1::-1], views[:1:-1]]
    batch = assemble(rows, LAYOUT, 2)
    for name in ("face", "face_emotion", "speech"):
        batch[name] = batch[name].astype(np.float32)
        for row, segments in enumerate(rows):
            values = [getattr(view, name) for view in segments]
            n = sum(len(value) for value in values)
            batch[name][row, :n] = np.concatenate(values) if n else 0.0
    return batch


def of_clip(batch: dict, values: np.ndarray, clip: int) -> np.ndarray:
    """Rows of `values` [2, width, ...] at the slots of one clip, in slot order."""
    row, segment = np.argwhere((batch["clip_index"] == clip) & batch["clip_valid"])[0]
    return values[row, batch["segment_ids"][row] == segment + 1]


@pytest.fixture(scope="module")
def network():
    return state.memobert(CONFIG)


@pytest.fixture(scope="module")
def params(network):
    return jax.tree.map(jnp.asarray, authors_params(network.shapes))


@pytest.fixture(scope="module")
def outputs(network, params):
    """case -> (trunk input, hidden states after each layer, pooled)."""

    @jax.jit
    def forward(batch):
        model = nnx.merge(network.graphdef, params)
        hidden = [model.embed(batch)]
        for depth in (1, 2, 3):
            first = params | {"trunk": jax.tree.map(lambda x, n=depth: x[:n], params["trunk"])}
            hidden.append(nnx.merge(network.graphdef, first)(batch))
        return hidden, model.pooled(hidden[-1], batch)

    cases = ("clean", "empty_text", "text_only", *TASKS)
    return {case: jax.device_get(forward(packed(case))) for case in cases}


@pytest.mark.parametrize("case", ["clean", "empty_text", "text_only"])
def test_every_layer_gives_the_authors_hidden_states(outputs, case):
    batch, (hidden, _) = packed(case), outputs[case]
    for clip, mask in enumerate(FILE[f"in/{case}/attn_mask"]):
        expected = FILE[f"out/{case}/hidden_states"][:, clip, mask == 1]
        for layer, states in enumerate(hidden):
            np.testing.assert_allclose(of_clip(batch, states, clip), expected[layer], atol=BOUND)


@pytest.mark.parametrize("case", ["clean", "empty_text", "text_only", *TASKS])
def test_the_embedders_give_the_authors_embeddings(outputs, case):
    batch, (hidden, _) = packed(case), outputs[case]
    compared = 0
    for clip, lengths in enumerate(
        zip(*(FILE[f"in/{case}/{m}_len"] for m in lengths_of(case)), strict=True)
    ):
        rows, at = of_clip(batch, hidden[0], clip), 0
        for modality, length in zip(lengths_of(case), lengths, strict=True):
            name = f"out/{case}/{modality}_embeddings"
            if name in FILE:
                expected = FILE[name][clip, :length]
                np.testing.assert_allclose(rows[at : at + length], expected, atol=BOUND)
                compared += length
            at += length
    assert compared > 0


def lengths_of(case: str) -> list[str]:
    return [m for m in ("text", "face", "speech") if f"in/{case}/{m}_len" in FILE]


@pytest.mark.parametrize("case", ["clean", "empty_text", "text_only"])
def test_the_pooler_gives_the_authors_pooled_states(outputs, case):
    batch, (_, pooled) = packed(case), outputs[case]
    for clip, expected in enumerate(FILE[f"out/{case}/pooled"]):
        at = np.argwhere((batch["clip_index"] == clip) & batch["clip_valid"])[0]
        np.testing.assert_allclose(pooled[tuple(at)], expected, atol=BOUND)


@pytest.mark.parametrize("case", ["clean", "empty_text", "text_only"])
def test_the_emotion_head_gives_the_authors_logits(case):
    net = state.network(lambda rngs: EmotionHead(CONFIG, 8, rngs))
    of = lambda layer, part: FILE[f"w/output.output.{layer}.{part}"]  # noqa: E731
    dense, classes = (
        {"kernel": of(layer, "weight").T, "bias": of(layer, "bias")} for layer in (0, 3)
    )
    norm = {"scale": of(2, "weight"), "bias": of(2, "bias")}
    head = {"classifier": {"transform": {"dense": dense, "norm": norm}, "classes": classes}}
    logits = nnx.merge(net.graphdef, head)(FILE[f"out/{case}/pooled"])
    np.testing.assert_allclose(logits, FILE[f"out/{case}/vqa_logits"], atol=BOUND)


@pytest.mark.parametrize("task", TASKS)
def test_masked_inputs_give_the_authors_last_hidden_states(outputs, task):
    batch, (hidden, _) = packed(task), outputs[task]
    for clip, mask in enumerate(FILE[f"in/{task}/attn_mask"]):
        expected = FILE[f"out/{task}/hidden_last"][clip, mask == 1]
        np.testing.assert_allclose(of_clip(batch, hidden[-1], clip), expected, atol=BOUND)


@pytest.fixture(scope="module")
def gradients_of(params):
    """task -> (gradients, loss sums, counts), by the program that all four share in training."""
    # Without dropout: a model of rate 0 is what the authors' eval() mode is.
    still = state.memobert(dataclasses.replace(CONFIG, dropout=0.0))
    shares = dict.fromkeys(TASKS.values(), 0.25)  # only the task that has targets counts

    @jax.jit
    def gradients(batch):
        return step.gradients(still, params, batch, shares, jax.random.key(0), accumulate=1)

    return functools.cache(lambda task: jax.device_get(gradients(packed(task))))


@pytest.mark.parametrize("task", TASKS)
def test_each_loss_is_the_authors(gradients_of, task):
    _, sums, counts = gradients_of(task)
    count = len(FILE[f"in/{task}/targets"])
    assert counts == {name: count * (name == TASKS[task]) for name in counts}
    loss = sums[TASKS[task]] / count
    np.testing.assert_allclose(loss, FILE[f"out/{task}/loss"], rtol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_each_gradient_is_the_authors(gradients_of, task):
    grads, _, _ = gradients_of(task)
    blocks = grads["trunk"]["blocks"]
    ours = {
        "uniter.img_embeddings.img_linear.weight": grads["face"]["projection"]["kernel"].T,
        "uniter.speech_embeddings.speech_linear.weight": grads["speech"]["projection"]["kernel"].T,
        "uniter.encoder.layer.1.attention.self.query.weight": blocks["qkv"]["kernel"][1, :, 0]
        .reshape(32, 32)
        .T,
        "uniter.embeddings.word_embeddings.weight": grads["text"]["word"][:120],
    }
    for name, gradient in ours.items():
        expected = FILE[f"out/{task}/grad/{name}"]
        worst = np.abs(gradient - expected).max() / np.abs(expected).max()
        assert worst < BOUND, f"{name}: {worst:.1e} of its largest entry"
