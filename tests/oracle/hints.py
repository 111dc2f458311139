"""What the generic draw can not know: how the inputs and attributes of particular operators hang together."""

from __future__ import annotations

from typing import Any

import numpy as np

from symjit.ops import registry
from tests.oracle.draw import DTYPES, FLOATS, SKIP, Draft, Hint

# Values --------------------------------------------------------------------------------------------------------------


def whole(low: int, high: int, slack: int = 0) -> Any:
    """Return a draw of whole numbers of ``[low, high)``; some lie up to `slack` outside."""

    def draw(d: Draft, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        more = slack if d.chance(0.2) else 0
        least = 0 if dtype == "uint8" else low - more
        return d.numbers().randint(least, max(high + more, least + 1), size=shape).astype(dtype)

    return draw


def below(size: Any, slack: int = 2) -> Any:
    """Return a draw of whole numbers below ``size(draft)``, a few of them out of range."""
    return lambda d, shape, dtype: whole(0, size(d), slack)(d, shape, dtype)


def probabilities(d: Draft, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return rows that sum to one."""
    values = d.numbers().uniform(0.1, 1, size=shape)
    return (values / values.sum(axis=-1, keepdims=True)).astype(dtype)


def between(low: float, high: float) -> Any:
    """Return a draw of numbers of ``[low, high)``."""
    return lambda d, shape, dtype: d.numbers().uniform(low, high, size=shape).astype(dtype)


# Convolutions and pooling --------------------------------------------------------------------------------------------


def _image(d: Draft) -> tuple[int, ...]:
    rank = d.choose(3, 4, 4, 4, 5)
    return (d.int(1, 2), d.choose(1, 2, 4, 6), *(d.int(3, 6) for _ in range(rank - 2)))


def _kernel(d: Draft) -> Any:
    return tuple(d.int(1, 3) for _ in range(d.rank - 2))


def _grouped(d: Draft) -> None:
    d.attrs["num_group"] = groups = d.divisor(d.shape[1]) if d.chance(0.4) else 1
    d.attrs["num_filter"] = groups * d.int(1, 3)
    d.attrs["kernel"] = _kernel(d)


def _adj(d: Draft) -> Any:
    stride = d.attrs.get("stride") or (1,) * (d.rank - 2)
    return tuple(d.int(0, s - 1) for s in stride)


def _small_pad(d: Draft) -> Any:
    return tuple(d.int(0, k - 1) for k in d.attrs.get("kernel", (1,) * (d.rank - 2)))


def _pool(d: Draft) -> None:
    d.attrs["kernel"] = _kernel(d)
    if d.op.name == "Pooling" and d.attrs.setdefault("pool_type", d.choose("max", "avg", "sum", "lp")) == "lp":
        d.attrs["p_value"] = d.choose(1, 2, 3)
    if d.chance(0.9):
        d.attrs["pooling_convention"] = d.choose("valid", "full")


def _upsampling(d: Draft) -> None:
    d.attrs["sample_type"] = d.choose("nearest", "nearest", "bilinear")
    d.attrs["num_args"] = 2 if d.attrs["sample_type"] == "bilinear" else d.int(1, 3)
    d.attrs["num_filter"] = d.shape[1] if d.attrs["sample_type"] == "bilinear" else SKIP
    d.attrs["scale"] = d.int(1, 4)


def _upsampled(d: Draft) -> Any:
    n, c, h, w = d.shape
    scale = d.attrs["scale"]
    if d.attrs["sample_type"] == "bilinear":
        kernel = 2 * scale - scale % 2
        return {"arg1": (c, 1, kernel, kernel)}
    by = [f for f in range(1, scale + 1) if scale % f == 0]
    mode = d.attrs.get("multi_input_mode", "concat")
    found = {}
    for i in range(1, d.attrs["num_args"]):
        f = d.choose(*by)
        found[f"arg{i}"] = (n, c if mode == "sum" else d.int(1, 3), h * f, w * f)
    return found


# Shapes --------------------------------------------------------------------------------------------------------------


def _partner(d: Draft, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape that broadcasts against another."""
    return tuple(1 if d.chance(0.3) else n for n in shape)


def _reshape(d: Draft) -> None:
    codes, i = [], 0
    while i < d.rank:
        left = d.rank - i
        pick = d.rng.random()
        if pick < 0.3:
            codes.append(0)
            i += 1
        elif pick < 0.45:
            codes.append(d.shape[i])
            i += 1
        elif pick < 0.6 and left >= 2:
            codes.append(-3)
            i += 2
        elif pick < 0.75:
            f = d.divisor(d.shape[i])
            codes += [-4, *d.choose((f, d.shape[i] // f), (-1, f), (f, -1))]
            i += 1
        elif pick < 0.9 and -1 not in codes and -4 not in codes:
            codes.append(-1)
            i += d.int(1, left)
        else:
            codes.append(-2)
            i = d.rank
    d.attrs["shape"] = tuple(codes)
    if d.chance(0.25):
        d.attrs["reverse"] = True
        d.attrs["shape"] = tuple(d.choose(0, -1, 1) if c < -1 else c for c in codes)
    if d.chance(0.05):
        d.attrs = {"target_shape": (0, -1)} if d.chance(0.5) else {"target_shape": (d.shape[0], 0)}


def _like(d: Draft) -> Any:
    total = int(np.prod(d.shape))
    a = d.divisor(total)
    b = d.divisor(total // a)
    return {"rhs": (a, b, total // a // b)[: d.int(1, 3)] if d.chance(0.2) else (a, b, total // a // b)}


def _permutation(d: Draft) -> Any:
    return tuple(d.rng.sample(range(d.rank), d.rank)) if d.chance(0.9) else ()


def _squeezable(d: Draft) -> tuple[int, ...]:
    return tuple(d.choose(1, 1, 2, 3) for _ in range(d.int(1, 4)))


def _ones(d: Draft) -> Any:
    axes = [i - (d.rank if d.chance(0.3) else 0) for i, n in enumerate(d.shape) if n == 1]
    return None if not axes or d.chance(0.2) else tuple(d.rng.sample(axes, d.int(1, len(axes))))


def _blocks(d: Draft) -> tuple[int, ...]:
    d.attrs["block_size"] = b = d.int(1, 3)
    return (d.int(1, 2), b * b * d.int(1, 2), b * d.int(1, 3), b * d.int(1, 3))


def _pad_width(d: Draft) -> Any:
    return (0, 0, 0, 0, *(d.int(0, 2) for _ in range(2 * (d.rank - 2))))


def _split(d: Draft) -> None:
    axis = d.axis()
    n = d.shape[axis]
    if axis != 1 or d.chance(0.5):
        d.attrs["axis"] = axis
    if d.op.name == "SliceChannel":
        d.attrs["num_outputs"] = d.divisor(n)
        d.attrs["squeeze_axis"] = d.attrs["num_outputs"] == n and d.chance(0.5)
    elif d.chance(0.4):
        d.attrs.update(axis=axis, sections=d.divisor(n), indices=())
    else:
        d.attrs.update(axis=axis, indices=(0, *sorted(d.rng.sample(range(1, n), d.int(0, n - 1)))))


def _slice_axis(d: Draft) -> None:
    axis = d.axis()
    first, last = sorted((d.int(0, d.shape[axis]), d.int(0, d.shape[axis])))
    d.attrs.update(axis=axis, begin=first, end=None if d.chance(0.3) else last)


def _concat(d: Draft) -> Any:
    axis = d.attrs.get("dim", 1)
    found = {}
    for i in range(d.attrs["num_args"]):
        shape = list(d.shape)
        if -d.rank <= axis < d.rank and i:
            shape[axis] = d.int(1, 4)
        found[f"arg{i}"] = tuple(shape)
    return found


def _assigned(d: Draft) -> Any:
    try:
        region = np.empty(d.shape)[tuple(map(slice, d.attrs["begin"], d.attrs["end"], d.attrs.get("step", ())))]
        if "step" not in d.attrs:
            region = np.empty(d.shape)[tuple(map(slice, d.attrs["begin"], d.attrs["end"]))]
    except (IndexError, ValueError):
        return {}
    return {"rhs": region.shape}


def _smaller(d: Draft) -> Any:
    return {"shape_like": tuple(d.int(1, n) for n in d.shape)}


def _crop(d: Draft) -> None:
    d.attrs["num_args"] = d.int(1, 2)
    h, w = d.int(1, d.shape[2]), d.int(1, d.shape[3])
    if d.chance(0.5):
        d.attrs["center_crop"] = True
    elif d.chance(0.7):
        d.attrs["offset"] = (d.int(0, d.shape[2] - h), d.int(0, d.shape[3] - w))
    if d.attrs["num_args"] == 1:
        d.attrs["h_w"] = (h, w)
    d.cropped = (d.shape[0], d.int(1, 2), h, w)  # type: ignore[attr-defined]


# Broadcasting --------------------------------------------------------------------------------------------------------


def _broadcast_to(d: Draft) -> Any:
    return tuple(0 if d.chance(0.2) else n * d.int(1, 3) if n == 1 else n for n in d.shape)


def _broadcast_axis(d: Draft) -> None:
    axes = d.rng.sample([i for i, n in enumerate(d.shape) if n == 1] or [0], 1)
    d.attrs.update(axis=tuple(axes), size=tuple(d.int(1, 4) for _ in axes))


# Products ------------------------------------------------------------------------------------------------------------


def _dot(d: Draft) -> Any:
    inner = d.shape[0 if d.attrs.get("transpose_a") else -1]
    rest = d.dims(0, 2)
    return {"rhs": (*rest, inner) if d.attrs.get("transpose_b") else (inner, *rest)}


def _batch_dot(d: Draft) -> Any:
    b, m, k = d.shape
    inner, n = m if d.attrs.get("transpose_a") else k, d.int(1, 4)
    return {"rhs": (b, n, inner) if d.attrs.get("transpose_b") else (b, inner, n)}


# Indexing ------------------------------------------------------------------------------------------------------------


def _taken(d: Draft) -> int:
    axis = d.attrs.get("axis", 0)
    return d.shape[axis] if -d.rank <= axis < d.rank else 2


def _picked(d: Draft) -> Any:
    axis = d.attrs.get("axis", -1)
    shape = list(d.shape)
    if axis is None:
        return {"index": (1,)}
    if d.attrs.get("keepdims") or d.chance(0.3):
        shape[axis] = 1
    else:
        shape.pop(axis)
    return {"index": tuple(shape) or (1,)}


def _pick_size(d: Draft) -> int:
    axis = d.attrs.get("axis", -1)
    return int(np.prod(d.shape)) if axis is None else d.shape[axis]


def _gathered(d: Draft) -> Any:
    return {"indices": (d.int(1, d.rank), *d.dims(1, 2))}


def _coordinates(shape: Any) -> Any:
    def draw(d: Draft, own: tuple[int, ...], dtype: str) -> np.ndarray:
        rows = [d.numbers().randint(0, shape(d)[min(i, len(shape(d)) - 1)], size=own[1:]) for i in range(own[0])]
        return np.array(rows).astype(dtype)

    return draw


def _scattered(d: Draft) -> Any:
    shape = d.attrs["shape"]
    m = d.int(1, len(shape))
    points = (d.int(1, 3),)
    return {"data": (*points, *shape[m:]), "indices": (m, *points)}


# Losses and sequences ------------------------------------------------------------------------------------------------


def _label(d: Draft) -> Any:
    a = d.attrs
    if d.chance(0.1):
        return {"label": d.shape}
    if a.get("multi_output") and d.rank > 1:
        return {"label": (d.shape[0], *d.shape[2:]) if d.chance(0.7) else (d.shape[0], int(np.prod(d.shape[2:])))}
    if a.get("preserve_shape"):
        return {"label": d.shape[:-1] or (1,)}
    return {"label": d.shape[:1]}


def _classes(d: Draft) -> int:
    if d.attrs.get("multi_output"):
        return d.shape[1] if d.rank > 1 else 1
    return d.shape[-1] if d.attrs.get("preserve_shape") else int(np.prod(d.shape[1:]))


def _regression_label(d: Draft) -> Any:
    if len(d.shape) == 2 and d.shape[1] == 1 and d.chance(0.5):
        return {"label": d.shape[:1]}
    return {"label": d.shape}


def _ctc(d: Draft) -> Any:
    steps, batch, _ = d.shape
    length = d.int(1, max(1, min(3, steps)))
    return {"label": (batch, length), "data_lengths": (batch,), "label_lengths": (batch,)}


def _ctc_label(d: Draft, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    classes, last = d.shape[2], d.attrs.get("blank_label") == "last"
    labels = d.numbers().randint(0 if last else 1, max(classes - last, 2 - last), size=shape)
    if d.chance(0.5):  # rows that end early, the first label stays
        for row in labels:
            row[d.int(1, shape[1]) :] = -1 if last else 0
    return labels.astype(dtype)


def _lengths(d: Draft, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    axis = d.attrs.get("axis", 0)
    return whole(1, d.shape[axis if axis in (0, 1) else 0] + 1, 1)(d, shape, dtype)


def _rnn(d: Draft) -> None:
    mode = d.choose("rnn_relu", "rnn_tanh", "lstm", "gru")
    d.attrs.update(mode=mode, state_size=d.int(1, 4), num_layers=d.choose(1, 1, 2), p=SKIP)
    d.attrs["projection_size"] = d.int(1, 3) if mode == "lstm" and d.chance(0.05) else SKIP
    for name in ("lstm_state_clip_min", "lstm_state_clip_max", "lstm_state_clip_nan"):
        d.attrs[name] = SKIP
    d.attrs["use_sequence_length"] = True if d.chance(0.05) else SKIP


def _softmax_length(d: Draft) -> Any:
    axis = d.attrs.get("axis", -1)
    if not -d.rank <= axis < d.rank:
        return {}
    shape = list(d.shape)
    shape.pop(axis)
    return {"length": tuple(shape) or (1,)}


def _use_length(d: Draft) -> Any:
    return True if d.chance(0.3) else SKIP


def _upto(d: Draft, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    axis = d.attrs.get("axis", -1)
    return whole(1, d.shape[axis] + 1 if -d.rank <= axis < d.rank else 2)(d, shape, dtype)


def _matrix(low: int, high: int) -> Any:
    return lambda d: tuple(d.int(low, high) for _ in range(2))


FLOAT = {"": FLOATS}
RARELY = {"": ("float32", "float32", "float64")}
_CONVOLUTION = Hint(shape=_image, prepare=_grouped, dtypes=RARELY)
_LOSS = Hint(ranks=(1, 3), shapes=_regression_label, dtypes=FLOAT)
_ELEMENTWISE_PAIR = Hint(shapes=lambda d: {"rhs": d.shape})
_BROADCAST_PAIR = Hint(shapes=lambda d: {"rhs": _partner(d, d.shape), "lhs": _partner(d, d.shape)})
_LENGTHS = Hint(ranks=(2, 4), attrs={"axis": lambda d: d.choose(0, 1)}, values={"sequence_length": _lengths})
_SAMPLE = Hint(ranks=(1, 2), values={"": between(0.5, 2)}, dtypes=FLOAT, attrs={"dtype": lambda d: d.choose(*FLOATS)})

HINTS: dict[str, Hint] = {
    "Convolution": _CONVOLUTION,
    "Convolution_v1": _CONVOLUTION,
    "Deconvolution": Hint(
        shape=_image,
        prepare=_grouped,
        attrs={
            "adj": _adj,
            "pad": _small_pad,
            "target_shape": lambda d: SKIP if d.chance(0.8) else tuple(n * 2 for n in d.shape[2:]),
        },
        dtypes=RARELY,
    ),
    "Pooling": Hint(shape=_image, prepare=_pool, attrs={"pad": _small_pad}, dtypes=RARELY),
    "Pooling_v1": Hint(shape=_image, prepare=_pool, attrs={"pad": _small_pad}, dtypes=RARELY),
    "UpSampling": Hint(ranks=(4, 4), prepare=_upsampling, shapes=_upsampled, dtypes=RARELY),
    "BatchNorm": Hint(ranks=(2, 5), dtypes=RARELY),
    "BatchNorm_v1": Hint(ranks=(4, 4), dtypes=RARELY),
    "InstanceNorm": Hint(ranks=(3, 5), dtypes={"": ("float32",)}),
    "LayerNorm": Hint(dtypes=FLOAT),
    "GroupNorm": Hint(
        shape=_image, dtypes=FLOAT, always=("num_groups",), attrs={"num_groups": lambda d: d.divisor(d.shape[1])}
    ),
    "LRN": Hint(
        ranks=(4, 4),
        dtypes={"": ("float32",)},
        attrs={
            "nsize": lambda d: d.choose(1, 3, 5),
            **dict.fromkeys(("alpha", "beta", "knorm"), lambda d: d.choose(1e-4, 0.1, 0.75, 1.0, 2.0)),
        },
    ),
    "L2Normalization": Hint(ranks=(2, 4), dtypes=FLOAT),
    "Activation": Hint(dtypes=FLOAT),
    "LeakyReLU": Hint(dtypes=FLOAT),
    "softmax": Hint(dtypes={**FLOAT, "length": ("int32", "int64")}, shapes=_softmax_length, values={"length": _upto}),
    "log_softmax": Hint(dtypes=FLOAT, attrs={"use_length": lambda d: SKIP}),
    "softmin": Hint(dtypes=FLOAT, attrs={"use_length": lambda d: SKIP}),
    "SoftmaxActivation": Hint(ranks=(2, 4), dtypes={"": ("float32",)}),
    "FullyConnected": Hint(dtypes=RARELY),
    "Dropout": Hint(dtypes=FLOAT, attrs={"axes": lambda d: tuple(a % d.rank for a in d.some_axes())}),
    "CTCLoss": Hint(
        shape=lambda d: (d.int(2, 6), d.int(1, 3), d.int(2, 5)),
        shapes=_ctc,
        values={
            "label": _ctc_label,
            "data_lengths": lambda d, shape, dtype: whole(max(1, d.shape[0] - 2), d.shape[0] + 1)(d, shape, dtype),
            "label_lengths": whole(1, 2),
        },
        grad=("data",),
        dtypes={"": ("float32",)},
    ),
    "SoftmaxOutput": Hint(ranks=(2, 4), shapes=_label, values={"label": below(_classes, 1)}, dtypes=FLOAT),
    "SVMOutput": Hint(
        ranks=(2, 2), shapes=lambda d: {"label": d.shape[:1]}, values={"label": below(_classes, 0)}, dtypes=FLOAT
    ),
    "softmax_cross_entropy": Hint(
        ranks=(2, 2),
        shapes=lambda d: {"label": d.shape[:1]},
        values={"label": below(_classes, 0)},
        dtypes=FLOAT,
        grad=("data",),
    ),
    "MakeLoss": Hint(dtypes=FLOAT),
    "LinearRegressionOutput": _LOSS,
    "LogisticRegressionOutput": _LOSS,
    "MAERegressionOutput": _LOSS,
    "IdentityAttachKLSparseReg": Hint(ranks=(2, 2), values={"": between(0.1, 0.9)}, dtypes=RARELY),
    "RNN": Hint(ranks=(3, 3), prepare=_rnn, dtypes=RARELY, values={"sequence_length": _lengths}),
    "_rnn_param_concat": Hint(shapes=_concat, attrs={"dim": lambda d: d.axis()}, dtypes=FLOAT),
    "SequenceMask": _LENGTHS,
    "SequenceLast": _LENGTHS,
    "SequenceReverse": Hint(ranks=(2, 4), attrs={"axis": lambda d: 0}, values={"sequence_length": _lengths}),
    "dot": Hint(ranks=(1, 3), shapes=_dot, dtypes=FLOAT),
    "batch_dot": Hint(ranks=(3, 3), shapes=_batch_dot, dtypes=FLOAT),
    "Embedding": Hint(ranks=(1, 3), values={"data": below(lambda d: d.attrs.get("input_dim", 3))}, grad=("weight",)),
    "take": Hint(
        shapes=lambda d: {"indices": d.dims(1, 3)},
        values={"indices": below(_taken)},
        dtypes={"indices": ("float32", "int32", "int64")},
        grad=("a",),
    ),
    "pick": Hint(
        shapes=_picked,
        values={"index": below(_pick_size)},
        dtypes={"index": ("float32", "int32", "int64")},
        grad=("data",),
    ),
    "batch_take": Hint(
        ranks=(2, 2),
        shapes=lambda d: {"indices": d.shape[:1]},
        values={"indices": below(lambda d: d.shape[-1])},
        dtypes={"indices": ("int32",)},
        grad=("a",),
    ),
    "one_hot": Hint(ranks=(1, 3), values={"indices": whole(0, 4, 2)}),
    "gather_nd": Hint(
        shapes=_gathered,
        values={"indices": _coordinates(lambda d: d.shape)},
        dtypes={"indices": ("float32", "int32", "int64")},
        grad=("data",),
    ),
    "scatter_nd": Hint(
        shapes=_scattered,
        values={"indices": _coordinates(lambda d: d.attrs["shape"])},
        dtypes={"indices": ("float32", "int32", "int64")},
        grad=("data",),
    ),
    "Concat": Hint(ranks=(1, 4), shapes=_concat, always=("dim",)),
    "SliceChannel": Hint(prepare=_split),
    "_split_v2": Hint(prepare=_split),
    "reverse": Hint(attrs={"axis": lambda d: d.some_axes(1)}),
    "Pad": Hint(
        shape=lambda d: (d.int(1, 2), d.int(1, 3), *(d.int(2, 4) for _ in range(d.int(2, 3)))),
        attrs={"pad_width": _pad_width},
        dtypes=FLOAT,
    ),
    "Reshape": Hint(prepare=_reshape),
    "transpose": Hint(attrs={"axes": _permutation}),
    "expand_dims": Hint(attrs={"axis": lambda d: d.int(-d.rank - 1, d.rank)}),
    "squeeze": Hint(shape=_squeezable, attrs={"axis": _ones}),
    "reshape_like": Hint(
        shapes=_like, attrs=dict.fromkeys(("lhs_begin", "lhs_end", "rhs_begin", "rhs_end"), lambda d: SKIP)
    ),
    "depth_to_space": Hint(shape=_blocks),
    "space_to_depth": Hint(shape=_blocks),
    "slice_axis": Hint(prepare=_slice_axis),
    "slice_like": Hint(shapes=_smaller),
    "_slice_assign": Hint(shapes=_assigned),
    "Crop": Hint(ranks=(4, 4), prepare=_crop, shapes=lambda d: {"arg1": d.cropped}),  # type: ignore[attr-defined]
    "broadcast_to": Hint(attrs={"shape": _broadcast_to}, always=("shape",)),
    "broadcast_axis": Hint(shape=_squeezable, prepare=_broadcast_axis),
    "broadcast_like": Hint(
        shapes=lambda d: {"lhs": _partner(d, d.shape), "rhs": d.shape},
        attrs={"lhs_axes": lambda d: SKIP, "rhs_axes": lambda d: SKIP},
    ),
    "where": Hint(
        shapes=lambda d: {"condition": d.shape[:1] if d.chance(0.2) else d.shape, "x": d.shape, "y": d.shape},
        values={"condition": whole(-1, 2)},
        dtypes={"condition": ("float32", "int32", "uint8")},
    ),
    "amp_multicast": Hint(dtypes={**FLOAT, "arg0": FLOATS, "arg1": FLOATS, "arg2": FLOATS}),
    "clip": Hint(attrs={"a_min": lambda d: d.choose(-1.0, 0.0, 0.5), "a_max": lambda d: d.choose(0.5, 1.0, 2.0)}),
    "topk": Hint(attrs={"k": lambda d: d.int(0, 3), "dtype": lambda d: d.choose("float32", "int32", "int64")}),
    "argsort": Hint(attrs={"dtype": lambda d: d.choose("float32", "int32", "int64")}),
    "_sample_multinomial": Hint(ranks=(1, 2), values={"data": probabilities}, dtypes=FLOAT),
    "_random_randint": Hint(
        attrs={
            "low": lambda d: d.int(-3, 2),
            "high": lambda d: d.int(3, 9),
            "dtype": lambda d: d.choose("int32", "int64"),
        }
    ),
    "_arange": Hint(
        attrs={"stop": lambda d: d.choose(None, 3.0, 5.5, 7.0, -2.0), "step": lambda d: d.choose(1.0, 0.5)}
    ),
    "_eye": Hint(attrs={"N": lambda d: d.int(1, 4), "M": lambda d: d.int(0, 4)}),
    "_linspace": Hint(attrs={"num": lambda d: d.int(1, 5)}),
}

for _op in registry.ops():
    if _op.name in HINTS:
        continue
    if _op.inputs == ("lhs", "rhs"):
        HINTS[_op.name] = _BROADCAST_PAIR if _op.name.startswith("broadcast_") else _ELEMENTWISE_PAIR
    elif _op.name.startswith("_sample_"):
        HINTS[_op.name] = _SAMPLE
    elif _op.name.startswith("_random_"):
        HINTS[_op.name] = Hint(dtypes=FLOAT, attrs={"dtype": lambda d: d.choose(None, *FLOATS)})

assert set(DTYPES) >= set(FLOATS)
assert all(registry.lookup(name) is not None for name in HINTS), "a hint names no operator"
