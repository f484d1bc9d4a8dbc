"""The network: clips packed into a row do not see each other, and settings do what they say."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import runs
from flax import nnx

from memobert_jax import objectives, state
from memobert_jax.batch import Layout, View, Widths
from memobert_jax.collate import assemble
from memobert_jax.config import ModelConfig
from memobert_jax.masking import MaskedFrames, nothing_masked
from memobert_jax.models import transformer
from memobert_jax.models.embed import shown_frames
from memobert_jax.models.memobert import Memobert
from memobert_jax.packing import Limits

CONFIG = ModelConfig(
    vocab_size=50,
    face_dim=6,
    face_emotion_dim=3,
    speech_dim=5,
    hidden=32,
    layers=2,
    heads=4,
    mlp=64,
    max_positions=32,
    init_std=0.1,
)
LAYOUT = Layout(Limits(width=56, caps=(20, 20, 30), max_clips=4), Widths(6, 3, 5), target_share=0.3)


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    with runs.quick_compilation(tmp_path_factory.mktemp("xla")):
        yield


def clip(text: int, face: int, speech: int, index: int, seed: int = 0) -> View:
    rng = np.random.default_rng([text, face, speech, index, seed])
    masked = np.arange(face) == 1
    source = rng.permutation(face).astype(np.int32)
    targets = {"mlm": np.arange(min(1, text)), "mfr": np.flatnonzero(masked)}
    targets |= {"mfc": np.flatnonzero(masked), "msr": np.arange(min(2, speech))}
    ids = rng.integers(5, 50, text, dtype=np.int32)
    return View(
        ids=ids,
        labels=ids,
        face=rng.normal(size=(face, 6)).astype(np.float16),
        face_emotion=rng.dirichlet(np.ones(3), face).astype(np.float16),
        speech=rng.normal(size=(speech, 5)).astype(np.float16),
        face_mask=MaskedFrames(masked, source, masked),
        speech_mask=nothing_masked(speech),
        targets=targets,
        index=index,
    )


CLIPS = [clip(6, 5, 8, 0), clip(3, 4, 6, 1), clip(1, 2, 9, 2), clip(8, 0, 0, 3)]
TOGETHER = assemble([[CLIPS[2], CLIPS[0], CLIPS[1]], [CLIPS[3]]], LAYOUT, 4)
ALONE = assemble([[one] for one in CLIPS], LAYOUT, 4)


def network(**changes) -> state.Network:
    return state.memobert(dataclasses.replace(CONFIG, **changes))


def forward(net: state.Network):
    @jax.jit
    def run(params, batch, key=None):
        model = nnx.merge(net.graphdef, params)
        hidden = model(batch, key)
        return hidden, {
            name: function(model, hidden, batch) for name, function in objectives.FUNCTIONS.items()
        }

    return run


@pytest.fixture(scope="module")
def params():
    return state.init_params(lambda rngs: Memobert(CONFIG, rngs), 0)


@pytest.fixture(scope="module")
def run(params):
    function = forward(network())
    return lambda batch, key=None: jax.device_get(function(params, batch, key))


def of_clip(batch: dict, hidden: np.ndarray, index: int) -> np.ndarray:
    row, segment = np.argwhere((batch["clip_index"] == index) & batch["clip_valid"])[0]
    return hidden[row, batch["segment_ids"][row] == segment + 1]


def test_a_clip_packed_with_others_has_the_states_that_it_has_alone(run):
    packed, alone = run(TOGETHER)[0], run(ALONE)[0]
    for one in CLIPS:
        states = of_clip(TOGETHER, packed, one.index)
        assert states.shape == (sum(one.lengths), 32)
        np.testing.assert_allclose(states, of_clip(ALONE, alone, one.index), atol=1e-5)


@pytest.mark.parametrize("name", ["word_logits", "face_frames", "speech_frames", "face_emotions"])
def test_a_clip_packed_with_others_has_the_logits_that_it_has_alone(params, name):
    net = network()

    @jax.jit
    def logits(batch):
        model = nnx.merge(net.graphdef, params)
        slots = jnp.broadcast_to(jnp.arange(LAYOUT.limits.width), batch["segment_ids"].shape)
        return getattr(model, name)(model(batch), slots)

    packed, alone = jax.device_get((logits(TOGETHER), logits(ALONE)))
    for one in CLIPS:
        found = of_clip(TOGETHER, packed, one.index)
        assert found.shape[0] == sum(one.lengths)
        np.testing.assert_allclose(found, of_clip(ALONE, alone, one.index), atol=1e-5)


def test_packed_clips_have_the_losses_that_they_have_alone(run):
    packed, alone = run(TOGETHER)[1], run(ALONE)[1]
    for name in objectives.FUNCTIONS:
        assert packed[name][1] == alone[name][1] > 0
        np.testing.assert_allclose(packed[name][0], alone[name][0], rtol=1e-5)


def test_changing_one_clip_of_a_row_changes_no_bit_of_the_others(run):
    changed = [CLIPS[2], dataclasses.replace(clip(6, 5, 8, 0, seed=1), index=0), CLIPS[1]]
    other = assemble([changed, [CLIPS[3]]], LAYOUT, 4)
    before, after = run(TOGETHER)[0], run(other)[0]
    assert np.abs(of_clip(TOGETHER, before, 0) - of_clip(other, after, 0)).max() > 0.1
    for index in (1, 2, 3):
        np.testing.assert_array_equal(
            of_clip(TOGETHER, before, index), of_clip(other, after, index)
        )


def test_states_and_losses_of_a_batch_with_empty_rows_are_finite(run):
    hidden, losses = run(assemble([], LAYOUT, 4))
    assert np.isfinite(hidden).all()
    assert all(total == count == 0 for total, count in losses.values())


def test_dropout_is_drawn_from_the_key_and_off_without_one(run):
    still, again = run(TOGETHER)[0], run(TOGETHER)[0]
    np.testing.assert_array_equal(still, again)
    one, same, other = (run(TOGETHER, jax.random.key(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    for a, b in ((one, other), (one, still)):
        assert np.abs(of_clip(TOGETHER, a, 0) - of_clip(TOGETHER, b, 0)).max() > 0.01


def test_bfloat16_computes_in_bfloat16_with_parameters_and_losses_in_float32(params, run):
    net = network(dtype="bfloat16")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    hidden, losses = jax.device_get(forward(net)(params, TOGETHER))
    assert hidden.dtype.name == "bfloat16"
    reference, expected = run(TOGETHER)
    for index in range(4):
        a, b = (of_clip(TOGETHER, h.astype(np.float32), index) for h in (hidden, reference))
        assert np.abs(a - b).mean() < 0.03
    for name, (total, _) in losses.items():
        assert total.dtype == np.float32
        np.testing.assert_allclose(total, expected[name][0], rtol=0.05)

    def loss(params):
        return objectives.losses(nnx.merge(net.graphdef, params), TOGETHER, ("mlm",))["mlm"][0]

    gradients = jax.eval_shape(jax.grad(loss), params)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(gradients)} == {"float32"}


def trunk_gradient(net: state.Network):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 56, 32)), jnp.float32)
    segments = jnp.asarray(TOGETHER["segment_ids"][:2])

    def loss(params):
        trunk = nnx.merge(net.graphdef, params).trunk
        return jnp.square(trunk(x, segments, jax.random.key(3))).sum()

    return jax.grad(loss)


@pytest.mark.parametrize("remat", ["dots", "full"])
def test_recomputing_activations_changes_no_gradient(params, remat):
    one, other = (
        jax.device_get(jax.jit(trunk_gradient(net))(params))["trunk"]
        for net in (network(), network(remat=remat))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), one, other)


def test_what_is_recomputed_is_another_part(params):
    """Of a layer's six products, `dots` computes the two of attention again, `full` all of them."""
    products = {
        remat: str(jax.make_jaxpr(trunk_gradient(network(remat=remat)))(params)).count(
            "dot_general"
        )
        for remat in ("none", "dots", "full")
    }
    assert products["none"] == 6 * 3
    assert products["dots"] == 6 * 3 + 2
    assert products["full"] == 6 * 3 + 6


def test_a_deeper_model_is_no_larger_program():
    def lines(layers: int) -> int:
        net = network(layers=layers)
        lowered = forward(net).lower(net.shapes, TOGETHER, jax.random.key(0))
        return len(lowered.as_text().splitlines())

    assert lines(4) == lines(9)


def test_initial_weights_have_the_configured_spread_and_differ_from_layer_to_layer(params):
    kernel = np.asarray(params["trunk"]["blocks"]["up"]["kernel"])
    assert kernel.shape == (2, 32, 64)
    assert kernel.std() == pytest.approx(0.1, rel=0.1)
    assert np.abs(kernel[0] - kernel[1]).max() > 0.1
    for name in ("word", "position", "type"):
        assert np.asarray(params["text"][name]).std() == pytest.approx(0.1, rel=0.25)
    flat = jax.tree_util.tree_leaves_with_path(params)
    assert all((leaf == 0).all() for path, leaf in flat if path[-1].key == "bias")
    assert all((leaf == 1).all() for path, leaf in flat if path[-1].key == "scale")


def test_rows_that_fill_up_the_word_table_win_no_mass_and_learn_nothing(params):
    net = network()
    assert params["text"]["word"].shape == (64, 32)
    tall = jax.tree.map(jnp.copy, params)
    tall["mlm_head"]["bias"] = tall["mlm_head"]["bias"].at[50:].set(100.0)

    def loss(params):
        model = nnx.merge(net.graphdef, params)
        hidden = model(TOGETHER)
        logits = model.word_logits(hidden, TOGETHER["mlm_slot"])
        return objectives.mlm(model, hidden, TOGETHER)[0], logits

    both = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (total, logits), gradients = jax.device_get(both(tall))
    assert logits.shape[-1] == 64
    assert logits.argmax(-1).max() < 50
    assert np.isfinite(logits).all()
    assert (np.asarray(jax.nn.softmax(logits))[..., 50:] == 0).all()
    assert total / TOGETHER["mlm_valid"].sum() < 2 * np.log(50)
    assert (gradients["text"]["word"][50:] == 0).all()
    assert (gradients["mlm_head"]["bias"][50:] == 0).all()
    assert (gradients["mlm_head"]["bias"][:50] != 0).all()


def test_without_expression_classes_there_is_no_expression_head():
    net = network(face_emotion_dim=0)
    assert "mfc_head" not in net.shapes
    assert "mfr_head" in net.shapes


@pytest.mark.parametrize("name", ["vocab_size", "face_dim", "speech_dim"])
def test_a_model_without_the_sizes_of_its_data_is_refused(name):
    with pytest.raises(ValueError, match=rf"model\.{name} is 0: set it from the data"):
        network(**{name: 0})


def test_gelu_is_the_exact_one():
    x = np.linspace(-4, 4, 41, dtype=np.float32)
    expected = [v / 2 * (1 + math.erf(v / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(np.asarray(transformer.gelu(jnp.asarray(x))), expected, atol=1e-6)


def test_frames_are_shown_as_the_source_says():
    frames = jnp.arange(8.0).reshape(1, 4, 2)
    shown = np.asarray(shown_frames(frames, jnp.array([[3, 0, 1, 1]])))
    assert shown[0, :, 0].tolist() == [6, 0, 2, 2]
