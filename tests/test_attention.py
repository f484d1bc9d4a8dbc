"""Attention: every kernel gives what is written down, and the platform decides which one runs."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from memobert_jax import sharding
from memobert_jax.config import MeshConfig
from memobert_jax.models import attention as attention_lib
from memobert_jax.models.attention import attention, dropout, fastest


def test_dropout_keeps_the_mean_and_drops_the_share():
    dropped = np.asarray(dropout(jnp.ones((200, 200)), 0.1, jax.random.key(0)))
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / (1 - 6554 / 65536))}
    assert (dropped == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert np.corrcoef(dropped[:, ::2].ravel(), dropped[:, 1::2].ravel())[0, 1] < 0.02
    assert dropout(jnp.ones((5, 7)), 0.5, jax.random.key(0)).shape == (5, 7)
    x = jnp.ones(3)
    assert dropout(x, 0.1, None) is x
    assert dropout(x, 0.0, jax.random.key(0)) is x


def test_dropout_of_attention_weights_keeps_their_mean_and_the_walls_between_clips():
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 12, 2, 4))
    segments = jnp.repeat(jnp.array([[1, 2, 0], [1, 1, 2]]), 4, axis=1)
    plain = attention(q, k, v, segments)
    np.testing.assert_allclose(attention(q, k, v, segments, 0.3), plain, atol=1e-6)
    keys = jax.random.split(jax.random.key(1), 600)
    draw = jax.vmap(lambda key, v: attention(q, k, v, segments, 0.3, key), (0, None))
    drawn = draw(keys, v)
    assert jnp.abs(drawn[0] - drawn[1]).max() > 0.1
    np.testing.assert_allclose(drawn.mean(0), plain, atol=0.15)
    other = draw(keys[:1], v.at[0, :4].add(5.0))  # the first clip of the first row
    np.testing.assert_allclose(other[0, 0, 4:], drawn[0, 0, 4:], atol=1e-6)
    assert jnp.abs(other[0, 0, :4] - drawn[0, 0, :4]).max() > 1


@pytest.mark.parametrize("kernel", ["cpu", "plain"])
def test_attention_is_a_softmax_over_the_own_segment(kernel):
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 1, 6, 2, 4)).astype(np.float32)
    segments = np.array([[1, 1, 1, 2, 2, 0]])
    out = np.asarray(attention(*map(jnp.asarray, (q, k, v, segments)), kernel=kernel))
    for head in range(2):
        for place, segment in enumerate(segments[0]):
            own = np.flatnonzero(segments[0] == segment)
            scores = np.exp(q[0, place, head] @ k[0, own, head].T / 2.0)
            expected = scores @ v[0, own, head] / scores.sum()
            np.testing.assert_allclose(out[0, place, head], expected, rtol=1e-5, atol=1e-6)


def rows(width=128, heads=2, head_dim=16, count=2):
    """q, k, v and segments in which clips, and empty slots at the end, differ from row to row."""
    q, k, v = jax.random.normal(jax.random.key(0), (3, count, width, heads, head_dim))
    edges = np.array([[0.2, 0.5, 0.9], [0.4, 0.4, 0.7]] * (count // 2)) * width
    places = np.arange(width)
    segments = 1 + (places[None, :, None] >= edges[:, None]).sum(-1)
    return q, k, v, jnp.asarray(np.where(segments == 4, 0, segments), jnp.int32)


def gradients(kernel, q, k, v, segments):
    """Gradients of a sum that weighs all outputs differently."""
    weights = jnp.cos(jnp.arange(q.size, dtype=jnp.float32)).reshape(q.shape)
    loss = lambda *qkv: jnp.sum(kernel(*qkv, segments).astype(jnp.float32) * weights)  # noqa: E731
    return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(q, k, v)


SPLASH = functools.partial(attention_lib._splash, interpret=True)
PLAIN = functools.partial(attention, kernel="plain")


@pytest.mark.parametrize("width", [128, 384])
def test_splash_attention_gives_the_values_and_gradients_of_plain_attention(width):
    inputs = rows(width)
    np.testing.assert_allclose(SPLASH(*inputs), PLAIN(*inputs), atol=3e-6)
    for ours, expected in zip(gradients(SPLASH, *inputs), gradients(PLAIN, *inputs), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_splash_attention_runs_on_each_device_for_its_rows_and_heads():
    inputs = rows(count=4)
    mesh = sharding.make_mesh(MeshConfig(data=2, fsdp=2, tensor=2))
    with jax.set_mesh(mesh):
        sharded = jax.jit(SPLASH)(*inputs)
        lowered = jax.jit(SPLASH).lower(*inputs).compile().as_text()
    np.testing.assert_allclose(sharded, PLAIN(*inputs), atol=3e-6)
    assert "f32[1,128,1,16]" in lowered  # one row and one head a device
    assert "all-gather" not in lowered


def test_splash_attention_compiles_for_a_tpu_in_bfloat16():
    q, k, v, segments = rows(head_dim=64)
    q, k, v = (x.astype(jnp.bfloat16) for x in (q, k, v))
    step = jax.jit(lambda q, k, v: gradients(attention_lib._splash, q, k, v, segments))
    module = export.export(step, platforms=["tpu"])(q, k, v).mlir_module()
    assert "tpu_custom_call" in module


@pytest.mark.parametrize(
    ("platform", "width", "head_dim", "dtype", "kernel"),
    [
        ("cpu", 256, 64, "float32", "cpu"),
        ("cpu", 256, 64, "bfloat16", "cpu"),
        ("cuda", 512, 64, "bfloat16", "cudnn"),
        ("cuda", 512, 64, "float16", "cudnn"),
        ("cuda", 512, 64, "float32", "plain"),
        ("cuda", 511, 64, "bfloat16", "plain"),
        ("cuda", 512, 36, "bfloat16", "plain"),
        ("cuda", 512, 256, "bfloat16", "plain"),
        ("rocm", 512, 64, "bfloat16", "plain"),
        ("tpu", 512, 64, "bfloat16", "splash"),
        ("tpu", 132, 64, "bfloat16", "plain"),
    ],
)
def test_another_kernel_is_chosen(monkeypatch, platform, width, head_dim, dtype, kernel):
    gpu = platform in ("cuda", "rocm")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu" if gpu else platform)
    client = types.SimpleNamespace(platform_version=f"{platform} 12")
    monkeypatch.setattr(attention_lib.backend, "get_backend", lambda: client)
    assert fastest(width, head_dim, jnp.dtype(dtype)) == kernel


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="attention kernel 'flash'; expected auto, cudnn, splash"):
        attention(*rows(), kernel="flash")


def test_the_kernel_of_this_platform_gives_what_plain_attention_gives():
    """On an accelerator: JAX_PLATFORMS=cuda python -m pytest tests/test_attention.py."""
    *qkv, segments = rows(512, 4, 64)
    dtype = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    inputs = *(x.astype(dtype) for x in qkv), segments
    atol = 1e-5 if dtype == jnp.float32 else 0.03
    np.testing.assert_allclose(
        *(f(*inputs).astype(jnp.float32) for f in (attention, PLAIN)), atol=atol
    )
    for ours, expected in zip(
        gradients(attention, *inputs), gradients(PLAIN, *inputs), strict=True
    ):
        np.testing.assert_allclose(*(x.astype(jnp.float32) for x in (ours, expected)), atol=atol)
