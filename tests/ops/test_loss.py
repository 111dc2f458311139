"""What the table of cases can not say about the loss heads."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.base import MXNetError
from symjit.ops import registry

RNG = np.random.RandomState(5)
HEADS = {
    "SoftmaxOutput": {},
    "LinearRegressionOutput": {},
    "LogisticRegressionOutput": {},
    "MAERegressionOutput": {},
    "MakeLoss": {},
    "make_loss": {},
    "SVMOutput": {},
}


def gradient(name: str, inputs: list, head: np.ndarray, **attrs) -> np.ndarray:
    """Return the gradient of the data."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    arrays = [jnp.asarray(each) for each in inputs]
    _, pull = jax.vjp(lambda data: operator.call(parsed, [data, *arrays[1:]], train=True)[0][0], arrays[0])
    return np.asarray(pull(jnp.asarray(head))[0])


def inputs_of(name: str) -> list:
    data = RNG.uniform(-1, 1, (4, 3)).astype("float32")
    if name in ("MakeLoss", "make_loss"):
        return [data]
    classes = name in ("SoftmaxOutput", "SVMOutput")
    return [data, np.array([0, 2, 1, 1], "float32") if classes else RNG.uniform(-1, 1, (4, 3)).astype("float32")]


@pytest.mark.parametrize("name", HEADS)
def test_head_gradient_is_ignored(name: str) -> None:
    inputs = inputs_of(name)
    ones = gradient(name, inputs, np.ones((4, 3), "float32"))
    np.testing.assert_array_equal(ones, gradient(name, inputs, np.full((4, 3), 7, "float32")))
    np.testing.assert_array_equal(ones, gradient(name, inputs, np.zeros((4, 3), "float32")))
    assert np.abs(ones).max() > 0


@pytest.mark.parametrize(
    ("attrs", "shape", "axis"),
    [({}, (4, 3), 1), ({"multi_output": True}, (2, 3, 4), 1), ({"preserve_shape": True}, (2, 4, 3), 2)],
)
@pytest.mark.parametrize("probability", [False, True])
def test_out_grad_multiplies_by_the_head_gradient(attrs, shape, axis, probability) -> None:
    data, head = (RNG.uniform(-1, 1, shape).astype("float32") for _ in range(2))
    classes = np.argmax(RNG.uniform(size=shape), axis=axis)
    target = np.moveaxis(np.eye(3, dtype="float32")[classes], -1, axis)
    p = np.exp(data) / np.exp(data).sum(axis=axis, keepdims=True)
    scale = 2.0 / 4 if attrs.get("multi_output") and not probability else 2.0
    got = gradient(
        "SoftmaxOutput", [data, target if probability else classes.astype("float32")], head, out_grad=True,
        grad_scale=2.0, **attrs,
    )  # fmt: skip
    np.testing.assert_allclose(got, (p - target) * scale * head, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "attrs", "shape"),
    [(name, {}, (4, 3)) for name in HEADS]
    + [
        ("SoftmaxOutput", {}, (2, 3, 4)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3, 4)),
        ("SoftmaxOutput", {"preserve_shape": True}, (2, 3, 4)),
    ],
)
def test_infer_as_computes_the_same(name: str, attrs: dict, shape: tuple[int, ...]) -> None:
    head = registry.get(name)
    parsed = head.parse_attrs(attrs)
    data = jnp.asarray(RNG.uniform(-1, 1, shape).astype("float32"))
    (shapes,) = [head.shape_rule(parsed, registry.known_inputs(head, parsed, given, [None]))
                 for given in [[shape] + [None] * (len(head.inputs) - 1)]]  # fmt: skip
    rest = [jnp.zeros(shapes[each], jnp.float32) for each in head.inputs[1:]]
    want = head.call(parsed, [data, *rest])[0][0]
    other, texts = head.infer_as(parsed)
    operator = registry.get(other)
    parsed = operator.parse_attrs(texts)
    got = operator.call(parsed, [data] * len(operator.input_names(parsed)))[0][0]
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "attrs", "data", "label"),
    [
        ("SoftmaxOutput", {}, (2, 3), (2,)),
        ("SoftmaxOutput", {}, (2, 3, 4), (2, 3)),
        ("SoftmaxOutput", {}, (None, 3), (None,)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3), (2, 1)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3, 4, 5), (2, 20)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3, None, 5), (2, None)),
        ("SoftmaxOutput", {"preserve_shape": True}, (2, 3, 4), (2, 3)),
        ("LinearRegressionOutput", {}, (2, 3, 4), (2, 3, 4)),
        ("LinearRegressionOutput", {}, (2, 1), (2,)),
        ("SVMOutput", {}, (2, 3, 4), (2, 3)),
    ],
)
def test_label_shape_follows_from_the_data(name, attrs, data, label) -> None:
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    for inputs, outputs in (([data, None], [None]), ([None, None], [data])):
        found = operator.shape_rule(parsed, registry.known_inputs(operator, parsed, inputs, outputs))
        assert found["label"] == label
        assert found["data"] == found["out"] == data


@pytest.mark.parametrize(
    ("name", "attrs", "data", "label"),
    [
        ("SoftmaxOutput", {}, (2, 3), (3,)),
        ("SoftmaxOutput", {}, (2, 3), (2, 1)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3, 4, 5), (2, 3, 4)),
        ("LinearRegressionOutput", {}, (2, 3), (6,)),
        ("LinearRegressionOutput", {}, (2, 3), (3, 2)),
        ("SVMOutput", {}, (2, 3), (2, 1)),
        ("softmax_cross_entropy", {}, (2, 3), (3,)),
        ("softmax_cross_entropy", {}, (2, 3, 4), (2,)),
    ],
)
def test_wrong_label_shape(name, attrs, data, label) -> None:
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    with pytest.raises(ValueError):
        operator.shape_rule(parsed, registry.known_inputs(operator, parsed, [data, label], [None]))


@pytest.mark.parametrize(
    ("name", "attr"),
    [
        ("SoftmaxOutput", "smooth_alpha"),
        ("IdentityAttachKLSparseReg", "sparseness_target"),
        ("IdentityAttachKLSparseReg", "momentum"),
    ],
)
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_fraction_out_of_range(name, attr, value) -> None:
    with pytest.raises(MXNetError, match=rf"{attr}'.*\[0\.0, 1\.0\]"):
        registry.get(name).parse_attrs({attr: value})
