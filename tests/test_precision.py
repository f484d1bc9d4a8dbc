"""With model.dtype bfloat16 only matrix products and activations are short; the rest is float32."""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import pytest
import runs
from flax import nnx

from memobert_jax import objectives, state, step
from memobert_jax.batch import Layout, Widths, empty_batch
from memobert_jax.config import OBJECTIVES

LAYOUT = Layout.of(runs.BASE.data, Widths(face=24, face_emotion=4, speech=20))
EXACT = ("exp", "log", "rsqrt", "sqrt", "reduce_sum", "reduce_max", "div", "square")
"""What softmax, norms, losses and means are made of."""


def network(dtype: str) -> state.Network:
    sizes = {"vocab_size": 64, "face_dim": 24, "face_emotion_dim": 4, "speech_dim": 20}
    return state.memobert(dataclasses.replace(runs.BASE.model, dtype=dtype, **sizes))


def equations(jaxpr) -> Iterator:
    """All equations, those of scans and inner functions too."""
    for equation in jaxpr.eqns:
        inner = [x for x in jax.tree.leaves(tuple(equation.params.values()), is_leaf=is_jaxpr)
                 if is_jaxpr(x)]  # fmt: skip
        for one in inner:
            yield from equations(getattr(one, "jaxpr", one))
        if not inner:
            yield equation


def is_jaxpr(x) -> bool:
    return hasattr(x, "eqns") or hasattr(getattr(x, "jaxpr", None), "eqns")


def dtypes(net: state.Network, batch: dict, *names: str) -> dict[str, set]:
    """Primitive -> float dtypes that go into it, in the losses with dropout."""

    def losses(params, batch, key):
        return objectives.losses(nnx.merge(net.graphdef, params), batch, OBJECTIVES, key)

    traced = jax.make_jaxpr(losses)(net.shapes, batch, jax.random.key(0))
    found: dict[str, set] = {name: set() for name in names}
    for equation in equations(traced.jaxpr):
        if equation.primitive.name in found:
            kinds = {
                v.aval.dtype for v in equation.invars if jnp.issubdtype(v.aval.dtype, jnp.floating)
            }
            found[equation.primitive.name] |= {str(kind) for kind in kinds}
    return found


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_softmax_norms_and_losses_are_float32(monkeypatch, backend):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    net, batch = network("bfloat16"), empty_batch(2, LAYOUT)
    found = dtypes(net, batch, *EXACT)
    # Dropout divides what it keeps in the dtype of the activations.
    assert found.pop("div") <= {"float32", "bfloat16"}
    assert set().union(*found.values()) == {"float32"}, found


def test_matrix_products_are_in_the_dtype_of_the_model():
    batch = empty_batch(2, LAYOUT)
    assert "bfloat16" in dtypes(network("bfloat16"), batch, "dot_general")["dot_general"]
    assert dtypes(network("float32"), batch, "dot_general")["dot_general"] == {"float32"}


def test_parameters_and_gradients_are_float32():
    net, batch = network("bfloat16"), empty_batch(2, LAYOUT)
    shares = dict.fromkeys(OBJECTIVES, 0.25)
    key = jax.random.key(0)
    out = jax.eval_shape(lambda p, b: step.gradients(net, p, b, shares, key, 1), net.shapes, batch)
    for leaf in jax.tree.leaves((net.shapes, out)):
        assert leaf.dtype == jnp.float32
