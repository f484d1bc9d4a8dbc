"""wav2vec 2.0: the numbers of the reference, no effect of padding, and clear refusals."""

import functools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors

from memobert_jax.encoders import encoder, wav2vec2, wav2vec2_checkpoint

FIXTURES = Path(__file__).parent / "fixtures" / "wav2vec2_tiny"
STYLES = ("base_style", "large_style")
PADDED = 20_000
TOLERANCE = 1e-5  # 5e-6 is reached, on hidden states of up to 3.3


@pytest.fixture(scope="module", params=STYLES)
def case(request):
    """(architecture, compiled network on padded sound, numbers of the reference)."""
    arch, params, _ = wav2vec2_checkpoint.load(FIXTURES / request.param)
    network = jax.jit(functools.partial(wav2vec2.network, arch))

    def padded(samples, count, behind=0.0):
        longer = np.full(PADDED, behind, np.float32)
        longer[: len(samples)] = samples
        extracted, hidden = network(params, longer, count)
        frames = arch.frames(count)[-1]
        return extracted[:frames], hidden[:frames]

    return arch, padded, dict(np.load(FIXTURES / request.param / "io.npz"))


@pytest.fixture(scope="module")
def front():
    """(encoder of the base style, its compiled function)."""
    one = wav2vec2.load(FIXTURES / "base_style")
    return one, encoder.compiled(one)


@pytest.fixture
def folder(tmp_path):
    """A copy of the base style that a test may damage."""
    return Path(shutil.copytree(FIXTURES / "base_style", tmp_path / "wav2vec2"))


def tensors_of(folder):
    return dict(safetensors.load_file(folder / "model.safetensors"))


def sound(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize("behind", [0.0, -50.0])
def test_both_styles_give_the_numbers_of_the_reference_whatever_follows(case, behind):
    _, network, io = case
    for number, samples in enumerate(io["input_values"]):
        extracted, hidden = network(samples, len(samples), behind)
        np.testing.assert_allclose(extracted, io["extract_features"][number], atol=TOLERANCE)
        np.testing.assert_allclose(hidden, io["last_hidden_state"][number], atol=TOLERANCE)


def test_a_masked_clip_gives_the_numbers_of_the_reference(case):
    arch, network, io = case
    if "last_hidden_state_masked" not in io:
        pytest.skip("the reference masks in the large style only")
    counts = io["attention_mask"].sum(1).tolist()
    assert min(counts) < max(counts)
    for number, count in enumerate(counts):
        _, hidden = network(io["input_values"][number], count)
        expected = io["last_hidden_state_masked"][number, : arch.frames(count)[-1]]
        np.testing.assert_allclose(hidden, expected, atol=TOLERANCE)


def test_a_row_is_the_mean_of_three_frames_whatever_the_clip_is_padded_to(front):
    one, function = front
    samples = np.load(FIXTURES / "base_style" / "io.npz")["input_values"][0]
    expected = np.load(FIXTURES / "base_style" / "io.npz")["last_hidden_state"][0]
    (rows,) = encoder.encode(one, function, [one.prepare(samples)])
    assert rows.shape == (16, 32)
    np.testing.assert_allclose(rows, expected[:48].reshape(16, 3, 32).mean(1), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("samples", "rows"), [(0, 0), (399, 0), (1039, 0), (1040, 1), (16_000, 16), (400_000, 166)]
)
def test_a_clip_has_one_row_per_60_ms_of_its_first_10_s(front, samples, rows):
    chunks, found = front[0].prepare(np.zeros(samples, np.float32))
    assert found == rows
    assert len(chunks) == (rows > 0)


def test_rows_are_byte_equal_in_any_company_and_on_any_number_of_devices(front):
    one, alone = front
    lengths = [16_000, 700, 15_000, 20_000, 9_000, 15_999]
    prepared = [one.prepare(sound(n, seed)) for seed, n in enumerate(lengths)]
    expected = [encoder.encode(one, alone, [clip])[0].tobytes() for clip in prepared]
    short = [i for i, n in enumerate(lengths) if n <= 16_000]
    both = encoder.compiled(one, jax.local_devices()[:2])
    for function, order in ((alone, range(6)), (alone, range(6)[::-1]), (both, short)):
        found = encoder.encode(one, function, [prepared[i] for i in order])
        assert [rows.tobytes() for rows in found] == [expected[i] for i in order]


@pytest.mark.parametrize("style", STYLES)
def test_clips_side_by_side_as_on_an_accelerator_give_the_rows_that_they_give_alone(style):
    one = wav2vec2.load(FIXTURES / style)
    prepared = [one.prepare(sound(n, n)) for n in (16_000, 700, 1100, 15_999, 20_000, 9_000)]
    expected = encoder.encode(one, encoder.compiled(one), prepared)
    found = encoder.encode(one, encoder.compiled(one, accelerated=True), prepared)
    for rows, own in zip(found, expected, strict=True):
        np.testing.assert_allclose(rows, own, atol=TOLERANCE)


def test_loudness_and_offset_make_no_difference_to_the_base_style(front):
    one, function = front
    samples = sound(16_000)
    plain, other = (
        encoder.encode(one, function, [one.prepare(x)])[0] for x in (samples, samples * 3 + 0.2)
    )
    np.testing.assert_allclose(plain, other, atol=1e-3)


def test_both_spellings_of_weight_norm_and_of_the_prefix_are_read(folder):
    expected = wav2vec2_checkpoint.load(folder)[1]
    tensors = tensors_of(folder)
    position = "encoder.pos_conv_embed.conv."
    for new, old in (("weight_g", "original0"), ("weight_v", "original1")):
        values = tensors.pop(f"{position}parametrizations.weight.{old}")
        tensors[position + new] = values
    tensors = {f"wav2vec2.{name}": values for name, values in tensors.items()}
    safetensors.save_file(tensors, folder / "model.safetensors")
    found = wav2vec2_checkpoint.load(folder)[1]
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_head_of_a_fine_tuned_model_is_ignored_and_that_is_said(folder, caplog):
    expected = wav2vec2_checkpoint.load(folder)[1]
    tensors = {f"wav2vec2.{name}": values for name, values in tensors_of(folder).items()}
    tensors |= {"lm_head.weight": np.ones((32, 32), np.float32), "lm_head.bias": np.ones(32)}
    safetensors.save_file(tensors, folder / "model.safetensors")
    found = wav2vec2_checkpoint.load(folder)[1]
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert "ignored, as no part of the encoder: lm_head.bias, lm_head.weight" in caplog.text


def test_missing_tensors_are_named(folder):
    tensors = tensors_of(folder)
    del tensors["encoder.layers.1.attention.k_proj.weight"]
    safetensors.save_file(tensors, folder / "model.safetensors")
    expected = r"lacks 1 of 66 tensors: encoder\.layers\.1\.attention\.k_proj\.weight"
    with pytest.raises(ValueError, match=expected):
        wav2vec2.load(folder)


def test_tensors_of_another_shape_are_named(folder):
    tensors = tensors_of(folder)
    tensors["feature_projection.projection.weight"] = np.zeros((32, 15), np.float32)
    safetensors.save_file(tensors, folder / "model.safetensors")
    expected = r"projection\.weight \[32, 15\] instead of \[32, 16\]"
    with pytest.raises(ValueError, match=expected):
        wav2vec2.load(folder)


def test_weights_that_are_not_finite_are_named(folder):
    tensors = tensors_of(folder)
    tensors["encoder.layer_norm.bias"] = np.full(32, np.nan, np.float32)
    safetensors.save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"not all values are finite in encoder\.layer_norm\.bias"):
        wav2vec2.load(folder)


def test_more_layers_than_the_configuration_has_are_refused(folder):
    edit(folder, num_hidden_layers=2)
    with pytest.raises(ValueError, match=r"16 tensors that .*config\.json knows nothing of"):
        wav2vec2.load(folder)


@pytest.mark.parametrize("size", [0, 5, 1000, 100_000])
def test_truncated_weights_are_refused(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=rf"\({size} bytes\) is no whole safetensors file"):
        wav2vec2.load(folder)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_weights_in_half_precision_are_widened(folder, dtype):
    expected = wav2vec2_checkpoint.load(folder)[1]
    half = {name: values.astype(dtype) for name, values in tensors_of(folder).items()}
    safetensors.save_file(half, folder / "model.safetensors")
    found = wav2vec2_checkpoint.load(folder)[1]
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(np.float32)}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=0.02, atol=0.01), found, expected
    )


def test_numbers_of_a_type_that_numpy_has_not_are_no_damage(folder):
    path = folder / "model.safetensors"
    header = {"a": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(2))
    with pytest.raises(ValueError, match=r"of a type that .*float8_e4m3fn.*save them as float32"):
        wav2vec2.load(folder)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no .*config\.json: expected a wav2vec 2\.0"):
        wav2vec2.load(tmp_path / "nowhere")


def test_pickled_weights_are_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin are not unpickled: load and"):
        wav2vec2.load(folder)


def edit(folder, **values):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | values
    config = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "bert"}, "model_type = 'bert'; only 'wav2vec2' is known"),
        ({"conv_dim": None}, r"lacks \['conv_dim'\]"),
        ({"add_adapter": True}, "add_adapter = True; only False"),
        ({"hidden_act": "relu"}, "hidden_act = 'relu'; only 'gelu'"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm = 'batch'; expected 'group' or"),
    ],
)
def test_the_configuration_of_another_network_is_refused(folder, values, message):
    edit(folder, **values)
    with pytest.raises(ValueError, match=message):
        wav2vec2.load(folder)


@pytest.mark.parametrize("name", ["add_adapter", "hidden_act", "feat_extract_activation"])
def test_a_configuration_that_does_not_name_what_is_usual_is_read(folder, name):
    expected = wav2vec2_checkpoint.load(folder)[0]
    edit(folder, **{name: None})
    assert wav2vec2_checkpoint.load(folder)[0] == expected


def test_the_same_weights_under_another_configuration_are_another_encoder(folder):
    expected = wav2vec2.load(folder).identity()
    edit(folder, vocab_size=77)
    assert wav2vec2.load(folder).identity() == expected
    edit(folder, num_attention_heads=1)
    assert wav2vec2.load(folder).identity() != expected


def test_a_damaged_configuration_is_refused(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is no JSON"):
        wav2vec2.load(folder)
