"""Cases of ``symjit/ops/rnn.py``."""

import numpy as np

from tests.ops.case import SINGLE, Case, Draw

GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}
STEPS, BATCH, WIDTH, SIZE = 5, 3, 4, 3


def size_of(mode, layers, directions, projection=None, width=WIDTH):
    """Return the length of the parameter vector."""
    rows, out = GATES[mode] * SIZE, projection or SIZE
    widths = [width] + [out * directions] * (layers - 1)
    return directions * sum(rows * (w + out + 2) + (projection or 0) * SIZE for w in widths)


def inputs(
    mode, layers=1, bidirectional=False, projection=None, dtype="float32", steps=STEPS, batch=BATCH, lengths=None
):
    """Return the inputs of a case."""
    directions = 1 + bidirectional
    found = [
        Draw((steps, batch, WIDTH), dtype=dtype),
        Draw((size_of(mode, layers, directions, projection),), dtype=dtype),
        Draw((layers * directions, batch, projection or SIZE), dtype=dtype),
    ]
    if mode == "lstm":
        found.append(Draw((layers * directions, batch, SIZE), dtype=dtype))
    return found if lengths is None else [*found, np.array(lengths, dtype)]


def network(mode, tag, layers=1, bidirectional=False, outputs=True, predict=False, shape=None, **attrs):
    """Return a case against MXNet."""
    dtype = attrs.pop("dtype", "float32")
    given = inputs(mode, layers, bidirectional, attrs.get("projection_size"), dtype, **shape or {})
    options = {"state_outputs": outputs, "bidirectional": bidirectional, **attrs}
    options = {"mode": mode, "state_size": SIZE, "num_layers": layers, **{k: v for k, v in options.items() if v}}
    relu = {"tol": 1e-6 if dtype == "float64" else {"float64": 1e-6}, "reason": SINGLE} if mode == "rnn_relu" else {}
    return Case("RNN", given, options, f"{mode}-{tag}", grad=not predict, **relu)


def reference(mode, layers, bidirectional=False, projection=None, clip=None, has_lengths=False):
    """Return the network in NumPy, step by step, for what MXNet's CPU build ignores or refuses."""
    directions = 1 + bidirectional
    out = projection or SIZE

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def run(data, parameters, state, *rest):
        dtype = data.dtype
        rest = list(rest)
        lengths = rest.pop().astype(int) if has_lengths else np.full(data.shape[1], data.shape[0])
        x, vector, state, *cells = (each.astype(np.float64) for each in (data, parameters, state, *rest))
        rows, at, weights = GATES[mode] * SIZE, 0, []
        for layer in range(layers):
            for _ in range(directions):
                shapes = [(rows, WIDTH if layer == 0 else out * directions), (rows, out)]
                for shape in [*shapes, *([(projection, SIZE)] if projection else [])]:
                    weights.append(vector[at : at + shape[0] * shape[1]].reshape(shape))
                    at += weights[-1].size
        biases = vector[at:].reshape(-1, 2, rows)
        per = 3 if projection else 2
        finals_h, finals_c = [], []
        for layer in range(layers):
            halves = []
            for direction in range(directions):
                index = layer * directions + direction
                w, r, *p = weights[per * index : per * index + per]
                b = biases[index]
                y = np.zeros((*data.shape[:2], out))
                last_h, last_c = np.zeros((data.shape[1], out)), np.zeros((data.shape[1], SIZE))
                for n in range(data.shape[1]):
                    h = state[index, n]
                    c = cells[0][index, n] if cells else np.zeros(SIZE)
                    for t in list(range(lengths[n]))[:: -1 if direction else 1]:
                        u, v = w @ x[t, n] + b[0], r @ h + b[1]
                        if mode == "lstm":
                            i, f, g, o = np.split(u + v, 4)
                            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                            c = np.clip(c, *clip) if clip else c
                            h = sigmoid(o) * np.tanh(c)
                            h = p[0] @ h if p else h
                        elif mode == "gru":
                            (ur, uz, un), (vr, vz, vn) = np.split(u, 3), np.split(v, 3)
                            z = sigmoid(uz + vz)
                            h = (1 - z) * np.tanh(un + sigmoid(ur + vr) * vn) + z * h
                        else:
                            h = np.tanh(u + v) if mode == "rnn_tanh" else np.maximum(u + v, 0)
                        y[t, n] = h
                    last_h[n], last_c[n] = h, c
                finals_h.append(last_h)
                finals_c.append(last_c)
                halves.append(y)
            x = np.concatenate(halves, axis=-1)
        results = [x, np.stack(finals_h), np.stack(finals_c)]
        return [each.astype(dtype) for each in results[: 3 if mode == "lstm" else 2]]

    return run


def checked(
    mode, tag, layers, bidirectional, reason, dtype="float32", lengths=None, projection=None, tol=1e-5, **attrs
):
    """Return a case against the NumPy network."""
    low, high = attrs.get("lstm_state_clip_min"), attrs.get("lstm_state_clip_max")
    clip = None if low is None or high is None else (low, high)
    options = {"mode": mode, "state_size": SIZE, "num_layers": layers, "bidirectional": bidirectional, **attrs}
    if lengths is not None:
        options["use_sequence_length"] = True
    if projection:
        options["projection_size"] = projection
    return Case(
        "RNN",
        inputs(mode, layers, bidirectional, projection, dtype, lengths=lengths),
        {**options, "state_outputs": True},
        f"{mode}-{tag}",
        reference=reference(mode, layers, bidirectional, projection, clip, lengths is not None),
        numeric=lengths is None,  # a length is a whole number: it has no differences
        reason=reason,
        tol=tol,
    )


IGNORED = "MXNet's CPU build accepts and ignores it, its cuDNN build honours it"
HALF = "MXNet's CPU build has no half-precision recurrent network"

CASES = []
for _mode in GATES:
    CASES += [
        network(_mode, "plain", outputs=False),
        network(_mode, "two-layers", layers=2),
        network(_mode, "deep", layers=2, bidirectional=True),
        network(_mode, "float64", 1, True, dtype="float64"),
        # Dropout acts in training only.
        network(_mode, "dropout-predict", layers=2, p=0.5, predict=True),
        checked(_mode, "float16", 2, True, HALF, "float16", tol=5e-3),
        checked(_mode, "lengths", 2, True, IGNORED, lengths=[5, 2, 1]),
        checked(_mode, "reference", 2, True, "the reference itself is compared with MXNet's numbers here"),
    ]

CASES += [
    network("lstm", "three-layers", layers=3, bidirectional=True, outputs=False),
    network("lstm", "one-step", shape={"steps": 1}),
    Case(
        "RNN",
        [Draw((3, 2, 4)), Draw((4 * 2 * (4 + 2 + 2),)), Draw((1, 2, 2)), Draw((1, 2, 2))],
        {"mode": "lstm", "state_size": 2, "num_layers": 1},
        "lstm-narrow",
    ),
    network("gru", "one-row", bidirectional=True, shape={"batch": 1}),
    network("lstm", "projection", layers=2, projection_size=2, predict=True),
    network("lstm", "projection-bidirectional", layers=2, bidirectional=True, projection_size=2, predict=True),
    checked("lstm", "clip", 2, True, IGNORED, lstm_state_clip_min=-0.1, lstm_state_clip_max=0.2),
    checked("lstm", "clip-one", 2, True, IGNORED, lstm_state_clip_min=-0.1),
    checked(
        "lstm",
        "everything",
        2,
        True,
        IGNORED,
        lengths=[1, 5, 3],
        projection=2,
        lstm_state_clip_min=-0.1,
        lstm_state_clip_max=0.2,
        lstm_state_clip_nan=True,
    ),
    Case("_rnn_param_concat", [Draw((3,)), Draw((4,)), Draw((1,))], {"num_args": 3, "dim": 0}),
    Case("_rnn_param_concat", [Draw((2, 3)), Draw((2, 1))], {"num_args": 2}, "default"),
    Case("_rnn_param_concat", [Draw((2, 3)), Draw((2, 1))], {"num_args": 2, "dim": -1}, "negative"),
    Case("_rnn_param_concat", [Draw((3,), dtype="float16")], {"num_args": 1, "dim": 0}, "one"),
    Case(
        "_rnn_param_concat",
        [Draw((3, 2), -9, 9, "int32"), Draw((1, 2), -9, 9, "int32")],
        {"num_args": 2, "dim": 0},
        "int",
    ),
]
