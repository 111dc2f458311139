"""Loss heads: operators that stand at the end of a training graph and define their own gradient.

All of them but `softmax_cross_entropy` ignore the head gradient: ``backward()`` starts here whatever flows in.
Labels have the dtype of the data, as MXNet demands, and get no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from symjit.base import MXNetError
from symjit.ops.attrs import Fraction
from symjit.ops.registry import Op, op
from symjit.ops.shapes import Known, PartialShape, known, prod, replace, same, show, unify

__all__: list[str] = []

Normalization = Literal["null", "batch", "valid"]


def _wide(x: Any) -> Any:
    """Return half-precision numbers as float32, in which MXNet's exponentials and sums are taken."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise MXNetError(f"expected data of a floating dtype, got {x.dtype}; cast it with Cast(dtype='float32')")
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def _label(given: PartialShape, *candidates: PartialShape) -> PartialShape:
    """Return what a label's shape must be: the first candidate, or what those say that agree with what is known of it.

    Raises:
        ValueError: no candidate agrees.
    """
    if given is None:
        return candidates[0]
    agreeing = []
    for candidate in candidates:
        try:
            agreeing.append(unify(given, candidate) or ())
        except ValueError:
            continue
    if not agreeing:
        expected = " or ".join(show(c) for c in dict.fromkeys(candidates))
        raise ValueError(f"the label has shape {show(given)}, expected {expected}")
    return tuple(dims[0] if len(set(dims)) == 1 else None for dims in zip(*agreeing, strict=True))


def _indices(label: Any, count: int) -> Any:
    """Return whether class k is the label, for k on a new last axis; a label outside of the classes is no class."""
    return label.astype(jnp.int32)[..., None] == jnp.arange(count, dtype=jnp.int32)


# SoftmaxOutput -------------------------------------------------------------------------------------------------------


def _softmax_infer_as(a: Any) -> tuple[str, dict[str, str]]:
    if a.multi_output:
        return "softmax", {"axis": "1"}
    # The default flattens its data, which no other operator does; it is itself, with the data for a label.
    return ("softmax", {"axis": "-1"}) if a.preserve_shape else ("SoftmaxOutput", {})


@op("SoftmaxOutput", "Softmax", role={"label": "label"}, infer_as=_softmax_infer_as, rows=True)
def softmax_output(
    data: Any,
    label: Any,
    *,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: Normalization = "null",
    out_grad: bool = False,
    smooth_alpha: Fraction = 0.0,
) -> Any:
    """Compute the softmax, whose gradient is that of the cross entropy with the label.

    Three readings of the data: by default (N, ...) is flattened to (N, K), one softmax per example;
    ``multi_output=True`` takes the softmax over axis 1 of (N, K, ...); ``preserve_shape=True`` over the last axis.

    The label holds class numbers as floating-point values (a fraction is cut off; a number outside of the classes is
    no class) and has shape (N, rest) or the data's without axis 1 with ``multi_output``, else the data's without the
    last axis; by default only the first N labels are read. A label of the data's own shape holds probabilities.

    The gradient is ``(p - onehot(label)) * grad_scale / norm``, the head gradient is ignored:

    - ``normalization``: ``null`` divides by 1, ``batch`` by the number of examples (of labels without
      ``multi_output``), ``valid`` by the number of labels other than ``ignore_label``, whether or not ``use_ignore``
      is set, and at least by 1;
    - ``multi_output`` also divides by the number of positions of an example, unless by ``valid``;
    - ``use_ignore`` gives zero where the label is ``ignore_label``;
    - ``smooth_alpha`` moves this much of the target to the other classes, without ``multi_output`` only;
    - with probabilities as label it is ``(p - label) * grad_scale``, without any of these.

    Deviations: ``out_grad=True`` multiplies by the head gradient, as documented; MXNet 1.9.1 multiplies by the output.
    By default data of any rank are flattened; for four dimensions oneDNN's inference takes the softmax over the last
    axis, and MXNet's training does not.
    """
    wide = _wide(data)
    if multi_output:
        y = jax.nn.softmax(wide, axis=1)
    elif preserve_shape:
        y = jax.nn.softmax(wide, axis=-1)
    else:
        y = jax.nn.softmax(wide.reshape(data.shape[0], -1), axis=-1).reshape(data.shape)
    return y.astype(data.dtype)


@softmax_output.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data = unify(s.data, s.out[0])
    if data is None:
        return {}
    if not data:
        raise ValueError("the data needs at least one dimension, got a scalar")
    if not a.multi_output:
        return {"data": data, "out": data, "label": _label(s.label, data[:-1], data)}
    if len(data) < 2:
        raise ValueError(f"multi_output needs data of shape (batch, classes, ...), got {data}")
    flat, dropped, kept = (data[0], prod(data[2:])), (data[0], *data[2:]), replace(data, 1, 1)
    return {"data": data, "out": data, "label": _label(s.label, flat, dropped, kept, data)}


@softmax_output.grad
def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> tuple[Any, None]:
    (p,), (_, label) = outputs, inputs
    wide = _wide(p)
    if label.shape == p.shape:
        grad = (wide - label.astype(wide.dtype)) * a.grad_scale
    elif a.multi_output:
        positions = prod(p.shape[2:])
        labels = label.reshape(p.shape[0], positions)
        target = jnp.moveaxis(_indices(labels, p.shape[1]), -1, 1).reshape(p.shape)
        grad = wide - target.astype(wide.dtype)
        if a.use_ignore:
            ignored = labels.astype(jnp.int32) == int(a.ignore_label)
            grad = jnp.where(ignored.reshape(p.shape[0], 1, *p.shape[2:]), 0.0, grad)
        share = a.grad_scale if a.normalization == "valid" else a.grad_scale / positions
        grad = grad * _share(share, _norm(a, labels), grad.dtype)
    else:
        classes = p.shape[-1] if a.preserve_shape else prod(p.shape[1:])
        rows = wide.reshape(-1, classes)
        labels = label.reshape(-1)
        read = labels[: rows.shape[0]]
        hit = _indices(read, classes)
        if a.smooth_alpha == 0.0:
            grad = rows - hit.astype(wide.dtype)
        else:
            others = a.smooth_alpha / (classes - 1) if classes > 1 else jnp.inf
            grad = rows - jnp.where(hit, 1.0 - a.smooth_alpha, others).astype(wide.dtype)
        if a.use_ignore:
            grad = jnp.where((read.astype(jnp.int32) == int(a.ignore_label))[:, None], 0.0, grad)
        grad = (grad * _share(a.grad_scale, _norm(a, labels), grad.dtype)).reshape(p.shape)
    if a.out_grad:
        grad = grad * heads[0].astype(wide.dtype)
    return grad.astype(p.dtype), None


def _share(scale: float, count: Any, dtype: Any) -> Any:
    """Return ``scale / count``, which MXNet keeps in float32 whatever the dtype."""
    return (jnp.asarray(scale, jnp.float32) / jnp.asarray(count, jnp.float32)).astype(dtype)


def _norm(a: Any, labels: Any) -> Any:
    if a.normalization == "batch":
        return labels.shape[0]
    if a.normalization == "valid":
        valid = jnp.sum(labels.astype(jnp.int32) != int(a.ignore_label), dtype=jnp.int32)
        return jnp.maximum(valid, 1)
    return 1


# Regression ----------------------------------------------------------------------------------------------------------


def _regression_shape(a: Any, s: Known) -> dict[str, Any]:
    data = unify(s.data, s.out[0])
    if data is None:
        return {}
    found: dict[str, Any] = {"data": data, "out": data}
    if s.label is None:
        if len(data) != 2 or data[1] is not None:
            found["label"] = (data[0],) if len(data) == 2 and data[1] == 1 else data
    elif known(s.label) and known(data) and (s.label[:1] != data[:1] or prod(s.label) != prod(data)):
        raise ValueError(
            f"the label has shape {show(s.label)}, expected {show(data)} or another shape of {data[0]} rows with"
            f" {prod(data[1:])} values each"
        )
    return found


def regression(
    name: str, forward: Callable[[Any], Any], slope: Callable[[Any, Any], Any], formula: str, identity: bool
) -> Op:
    """Register a regression head: `forward` is applied to the data, ``slope(output, label)`` is the gradient."""

    def call(data: Any, label: Any, *, grad_scale: float = 1.0) -> Any:
        return forward(data)

    call.__name__ = name
    call.__doc__ = (
        f"Compute ``y = {'x' if identity else 'sigmoid(x)'}``, whose gradient is ``{formula}``.\n\n"
        "data (N, ...) -> the same shape. The label has as many values per example; (N,) by default for data (N, 1).\n"
        "The gradient is multiplied by ``grad_scale`` and divided by the number of values per example, not by the\n"
        "batch; the head gradient is ignored."
    )
    infer_as = ("_copy", {}) if identity else ("sigmoid", {})
    made = op(name, role={"label": "label"}, infer_as=lambda a: infer_as, rows=True)(call)
    made.shape(_regression_shape)

    @made.grad
    def _(a: Any, heads: Any, *, inputs: Any, outputs: Any) -> tuple[Any, None]:
        y, label = outputs[0], inputs[1]
        return slope(y, label.reshape(y.shape)) * _share(a.grad_scale, prod(label.shape[1:]), y.dtype), None

    return made


def _residual(y: Any, label: Any) -> Any:
    return y - label


def _sign_of_residual(y: Any, label: Any) -> Any:
    """Return the sign of the residual; -1 where there is none, as in MXNet."""
    return jnp.where(y > label, 1.0, -1.0).astype(y.dtype)


regression("LinearRegressionOutput", lambda x: x, _residual, "y - label", True)
regression("LogisticRegressionOutput", lambda x: jax.nn.sigmoid(x), _residual, "y - label", False)
regression("MAERegressionOutput", lambda x: x, _sign_of_residual, "sign(y - label), -1 where they are equal", True)


# Losses that the graph computed --------------------------------------------------------------------------------------


@op("MakeLoss", infer_as=lambda a: ("_copy", {}), rows=True)
def make_loss_output(
    data: Any, *, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: Normalization = "null"
) -> Any:
    """Return the data and start the gradient here: every element's is ``grad_scale``, the head gradient is ignored.

    data (any shape) -> same. ``normalization``: ``batch`` divides by the product of all dimensions but the last one, so
    by 1 for a vector; ``valid`` by the number of elements above ``valid_thresh``, at least by 1.
    """
    return data


make_loss_output.shape(same)
make_loss_output.idle = lambda a: True


@make_loss_output.layout
def _(a: Any, perm: tuple[int, ...]) -> dict[str, Any] | None:
    return {} if perm[-1] == len(perm) - 1 or a.normalization != "batch" else None


@make_loss_output.grad
def _(a: Any, heads: Any, *, inputs: Any) -> tuple[Any]:
    (x,) = inputs
    scale = jnp.asarray(a.grad_scale, _sum_dtype(x))
    if a.normalization == "batch":
        scale = _share(a.grad_scale, prod(x.shape[:-1]), scale.dtype)
    elif a.normalization == "valid":
        above = jnp.sum(x > jnp.asarray(a.valid_thresh, x.dtype), dtype=jnp.int32)
        scale = scale / jnp.maximum(above, 1).astype(scale.dtype)
    return (jnp.broadcast_to(scale, x.shape).astype(x.dtype),)


def _sum_dtype(x: Any) -> Any:
    return jnp.float64 if x.dtype == jnp.float64 else jnp.float32


@op(
    "make_loss",
    infer_as=lambda a: ("_copy", {}),
    output_names=lambda a: ("loss",),
    layout="agnostic",
    rows=True,
)
def make_loss(data: Any) -> Any:
    """Return the data and start the gradient here: it is 1, the head gradient is ignored. data (any shape) -> same."""
    return data


make_loss.shape(same)
make_loss.idle = lambda a: True


@make_loss.grad
def _(a: Any, heads: Any) -> tuple[Any]:
    return (jnp.ones_like(heads[0]),)


# Hinge loss ----------------------------------------------------------------------------------------------------------


@op("SVMOutput", role={"label": "label"}, infer_as=lambda a: ("_copy", {}), rows=True)
def svm_output(
    data: Any,
    label: Any,
    *,
    margin: float = 1.0,
    regularization_coefficient: float = 1.0,
    use_linear: bool = False,
) -> Any:
    """Return the data, whose gradient is that of the one-versus-all hinge loss with the label.

    data (..., K) of scores -> same; label (...) of class numbers, a number outside of the classes is no class. With
    ``v = -x`` for the label's class and ``v = x`` for the others, the gradient by ``v`` is
    ``2 (margin + v) regularization_coefficient`` where ``v > -margin``, else 0; ``regularization_coefficient`` there
    with ``use_linear=True``. It is not divided by the batch and the head gradient is ignored.
    """
    return data


@svm_output.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data = unify(s.data, s.out[0])
    return {} if data is None else {"data": data, "out": data, "label": _label(s.label, data[:-1])}


@svm_output.grad
def _(a: Any, heads: Any, *, inputs: Any) -> tuple[Any, None]:
    data, label = inputs
    side = jnp.where(_indices(label, data.shape[-1]), -1.0, 1.0).astype(data.dtype)
    slack = a.margin + side * data
    push = (slack > 0).astype(data.dtype) if a.use_linear else 2.0 * jnp.maximum(slack, 0.0)
    return side * push * a.regularization_coefficient, None


# Cross entropy -------------------------------------------------------------------------------------------------------


@op("softmax_cross_entropy", role={"label": "label"})
def softmax_cross_entropy(data: Any, label: Any) -> Any:
    """Compute ``-sum_i log max(softmax(x_i)[label_i], 1e-8)``: the sum over the batch, of shape (1,).

    data (N, K), label (N,) of class numbers (one outside of the classes has probability 0) -> (1,). The gradient is
    ``softmax(x) - onehot(label)`` times the head gradient, even where the probability is below the bound.
    """
    if data.ndim != 2 or label.ndim != 1:
        raise ValueError(f"expected data (batch, classes) and label (batch,), got {data.shape} and {label.shape}")
    wide = _wide(data)
    chosen = jnp.where(_indices(label, data.shape[1]), jax.nn.softmax(wide, axis=1), 0.0)
    return -jnp.sum(jnp.log(jnp.maximum(jnp.sum(chosen, axis=1), 1e-8)), keepdims=True).astype(data.dtype)


@softmax_cross_entropy.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    if s.data is not None and len(s.data) != 2:
        raise ValueError(f"the data has {len(s.data)} dimensions, expected 2: (batch, classes)")
    batch = unify(s.label, None if s.data is None else s.data[:1])
    if batch is None:
        return {"out": (1,)}
    if len(batch) != 1:
        raise ValueError(f"the label has {len(batch)} dimensions, expected 1: (batch,)")
    return {"data": (batch[0], None if s.data is None else s.data[1]), "label": batch, "out": (1,)}


@softmax_cross_entropy.grad
def _(a: Any, heads: Any, *, inputs: Any) -> tuple[Any, None]:
    data, label = inputs
    wide = _wide(data)
    grad = jax.nn.softmax(wide, axis=1) - _indices(label, data.shape[1]).astype(wide.dtype)
    return (grad * heads[0].astype(wide.dtype)).astype(data.dtype), None


# Sparseness ----------------------------------------------------------------------------------------------------------


@op("IdentityAttachKLSparseReg", aux=("moving_avg",), init={"moving_avg": '["zero", {}]'}, rows=True)
def identity_attach_kl_sparse_reg(
    data: Any,
    moving_avg: Any,
    *,
    sparseness_target: Fraction = 0.1,
    penalty: float = 0.001,
    momentum: Fraction = 0.9,
    train: bool,
) -> Any:
    """Return the data and add to its gradient that of a Kullback-Leibler penalty on the mean activation of each unit.

    data (N, C) of activations in (0, 1), moving_avg (C,) -> data. In training the batch's mean enters ``moving_avg``
    with weight ``1 - momentum``; with its new value m and the target t, the penalty adds
    ``penalty * (-t / m + (1 - t) / (1 - m))`` to the head gradient.

    Deviation: MXNet 1.9.1 commits ``moving_avg`` in the backward pass and fails on data of more than two dimensions
    there, where this averages over all axes but 1.
    """
    return data, (_moving_average(data, moving_avg, momentum) if train else moving_avg,)


def _moving_average(data: Any, moving_avg: Any, momentum: float) -> Any:
    mean = jnp.mean(_wide(data), axis=[i for i in range(data.ndim) if i != 1]).astype(moving_avg.dtype)
    return moving_avg * momentum + mean * (1.0 - momentum)


@identity_attach_kl_sparse_reg.shape
def _(a: Any, s: Known) -> dict[str, Any]:
    data = unify(s.data, s.out[0])
    if data is None:
        return {}
    if len(data) < 2:
        raise ValueError(f"the data has shape {data}, expected (batch, units)")
    return {"data": data, "out": data, "moving_avg": (data[1],)}


@identity_attach_kl_sparse_reg.grad
def _(a: Any, heads: Any, *, inputs: Any) -> tuple[Any, None]:
    data, moving_avg = inputs
    mean = _moving_average(data, moving_avg, a.momentum)
    push = a.penalty * (-a.sparseness_target / mean + (1.0 - a.sparseness_target) / (1.0 - mean))
    push = push.reshape(1, -1, *(1,) * (data.ndim - 2))
    return heads[0] + jnp.broadcast_to(push, data.shape).astype(data.dtype), None
