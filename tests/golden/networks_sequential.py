"""Small recurrent, embedding, attention and many-headed networks, built on the module given as ``mx``."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from network import Network


def fused_rnn(mode: str, bidirectional: bool, mx: ModuleType) -> Network:
    """The fused RNN operator: two layers, all states out, and one step function of the outputs on top."""
    args = {"parameters": mx.sym.Variable("rnn_parameters"), "state": mx.sym.Variable("rnn_state")}
    shapes = {"data": (5, 3, 4), "rnn_state": (4 if bidirectional else 2, 3, 6)}
    if mode == "lstm":
        args["state_cell"] = mx.sym.Variable("rnn_state_cell")
        shapes["rnn_state_cell"] = shapes["rnn_state"]
    symbol = mx.sym.RNN(
        mx.sym.Variable("data"),
        state_size=6,
        num_layers=2,
        mode=mode,
        bidirectional=bidirectional,
        state_outputs=True,
        p=0.0,
        name="rnn",
        **args,
    )
    return Network(symbol, shapes)


def fused_cell(mx: ModuleType) -> Network:
    """mx.rnn.FusedRNNCell: begin states whose batch is unknown, parameters that carry their initializer."""
    cell = mx.rnn.FusedRNNCell(5, num_layers=1, mode="gru", bidirectional=True, prefix="gru_", get_next_state=True)
    output, states = cell.unroll(4, mx.sym.Variable("data"), layout="NTC", merge_outputs=True)
    return Network(mx.sym.Group([output, *states]), {"data": (3, 4, 6)})


def unrolled_lstm(mx: ModuleType) -> Network:
    """A language model: Embedding, two LSTM layers unrolled, softmax over the words with one ignored."""
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.LSTMCell(6, prefix="lstm_l0_"))
    stack.add(mx.rnn.DropoutCell(0.0, prefix="dropout_l0_"))
    stack.add(mx.rnn.LSTMCell(5, prefix="lstm_l1_", forget_bias=0.5))
    words = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=9, output_dim=4, name="embed")
    output, _ = stack.unroll(4, inputs=words, layout="NTC", merge_outputs=True)
    x = mx.sym.FullyConnected(mx.sym.Reshape(output, shape=(-1, 5)), num_hidden=9, name="pred")
    label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
    x = mx.sym.SoftmaxOutput(x, label=label, use_ignore=True, ignore_label=0, normalization="batch", name="softmax")
    return Network(x, {"data": (3, 4), "softmax_label": (3, 4)}, labels={"data": 9, "softmax_label": 9})


def unrolled_gru(mx: ModuleType) -> Network:
    """Two GRU layers over time-major inputs; the outputs of each step and the last states are heads."""
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.GRUCell(5, prefix="gru_l0_"))
    stack.add(mx.rnn.ZoneoutCell(mx.rnn.GRUCell(5, prefix="gru_l1_"), 0.0, 0.0))
    outputs, states = stack.unroll(3, inputs=mx.sym.Variable("data"), layout="TNC", merge_outputs=False)
    return Network(mx.sym.Group([*outputs, *states]), {"data": (3, 2, 4)})


def unrolled_rnn(mx: ModuleType) -> Network:
    """A tanh and a relu cell, the second with a residual connection."""
    stack = mx.rnn.SequentialRNNCell()
    stack.add(mx.rnn.RNNCell(4, activation="tanh", prefix="rnn_l0_"))
    stack.add(mx.rnn.ResidualCell(mx.rnn.RNNCell(4, activation="relu", prefix="rnn_l1_")))
    output, states = stack.unroll(4, inputs=mx.sym.Variable("data"), layout="NTC", merge_outputs=True)
    return Network(mx.sym.Group([output, *states]), {"data": (3, 4, 4)})


def unrolled_bidirectional(mx: ModuleType) -> Network:
    """A BidirectionalCell of an LSTM and a GRU; begin states as variables for one, zeros for the other."""
    cell = mx.rnn.BidirectionalCell(
        mx.rnn.LSTMCell(4, prefix="left_"), mx.rnn.GRUCell(3, prefix="right_"), output_prefix="bi_"
    )
    states = cell.begin_state()
    states[0] = mx.sym.Variable("left_begin_h", shape=(0, 4))  # its batch can only be inferred backwards
    output, last = cell.unroll(3, mx.sym.Variable("data"), begin_state=states, layout="NTC", merge_outputs=True)
    return Network(mx.sym.Group([output, *last[0], *last[1]]), {"data": (2, 3, 4)})


def embedding(mx: ModuleType) -> Network:
    """Two embeddings sharing one weight, averaged; one word is out of range, repeated words add their gradients."""
    weight = mx.sym.Variable("words_weight")
    both = [
        mx.sym.Embedding(mx.sym.Variable(name), weight=weight, input_dim=11, output_dim=6, name=f"{name}_embed")
        for name in ("left", "right")
    ]
    left, right = (mx.sym.mean(x, axis=1, name=f"mean{i}") for i, x in enumerate(both))
    x = mx.sym.Concat(left, right, left * right, mx.sym.abs(left - right), dim=1)
    x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=8, name="fc1"), act_type="softrelu", name="softrelu1")
    x = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")
    values = {
        "left": np.array([[1, 5, 5, 9], [0, 3, 1, 2], [10, 25, 7, 7]]),
        "right": np.array([[2, 4], [5, 5], [6, 8]]),
    }
    return Network(x, {"left": (3, 4), "right": (3, 2)}, labels={"softmax_label": 3}, values=values)


def many_heads(mx: ModuleType) -> Network:
    """One trunk with every kind of head: three that are losses of their own, one plain, one cut off, two MakeLoss."""
    data = mx.sym.Variable("data")
    trunk = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=8, name="trunk"), act_type="tanh", name="tanh")
    heads = [
        mx.sym.SoftmaxOutput(mx.sym.FullyConnected(trunk, num_hidden=4, name="class_fc"), grad_scale=2, name="class"),
        mx.sym.LinearRegressionOutput(mx.sym.FullyConnected(trunk, num_hidden=3, name="box_fc"), name="box"),
        mx.sym.LogisticRegressionOutput(
            mx.sym.FullyConnected(trunk, num_hidden=2, name="tags_fc"), grad_scale=0.5, name="tags"
        ),
        mx.sym.MAERegressionOutput(mx.sym.FullyConnected(trunk, num_hidden=1, name="age_fc"), name="age"),
        mx.sym.BlockGrad(trunk, name="feature"),
        mx.sym.MakeLoss(
            mx.sym.smooth_l1(mx.sym.FullyConnected(trunk, num_hidden=2, name="smooth_fc"), scalar=1.5),
            grad_scale=0.3,
            normalization="batch",
            name="smooth",
        ),
        mx.sym.MakeLoss(mx.sym.square(mx.sym.mean(trunk, axis=1)), name="square"),
        mx.sym.FullyConnected(trunk, num_hidden=2, name="plain"),
        mx.sym.SVMOutput(mx.sym.FullyConnected(trunk, num_hidden=4, name="svm_fc"), margin=0.7, name="svm"),
    ]
    rng = np.random.RandomState(11)
    values = {
        "box_label": rng.standard_normal((5, 3)),
        "tags_label": rng.randint(0, 2, (5, 2)),
        "age_label": rng.standard_normal(5),
    }
    labels = {"class_label": 4, "svm_label": 4}
    return Network(mx.sym.Group(heads), {"data": (5, 6), "age_label": (5,)}, labels=labels, values=values)


def attention(mx: ModuleType) -> Network:
    """Additive attention over masked steps and a dot-product one over all: the shape operators of a transformer."""
    data = mx.sym.Variable("data")  # (T, N, C) = (5, 3, 8)
    lengths = mx.sym.Variable("lengths")
    x = mx.sym.LayerNorm(data, axis=-1, eps=1e-5, name="ln")
    x = mx.sym.SequenceMask(x, lengths, use_sequence_length=True, value=0.0, name="mask")
    last = mx.sym.SequenceLast(x, lengths, use_sequence_length=True, name="last")
    query = mx.sym.FullyConnected(last, num_hidden=6, no_bias=True, name="query")
    keys = mx.sym.FullyConnected(x, num_hidden=6, flatten=False, name="keys")
    energy = mx.sym.broadcast_add(keys, mx.sym.expand_dims(query, axis=0), name="energy")
    energy = mx.sym.dot(mx.sym.tanh(energy), mx.sym.Variable("v", shape=(6,)), name="scores")
    steps = mx.sym.Reshape(mx.sym.arange(0, 5), shape=(5, 1))
    inside = mx.sym.broadcast_lesser(steps, mx.sym.expand_dims(lengths, axis=0), name="inside")
    energy = mx.sym.where(inside, energy, mx.sym.ones_like(energy) * -20, name="masked")
    weights = mx.sym.softmax(energy, axis=0, name="weights")
    context = mx.sym.sum(mx.sym.broadcast_mul(x, mx.sym.expand_dims(weights, axis=2)), axis=0, name="context")

    flat = mx.sym.Reshape(mx.sym.SwapAxis(x, dim1=0, dim2=1, name="swap"), shape=(-1, 8), name="flat")
    # A bias of the keys would shift all scores of a row alike: its gradient is zero but for rounding.
    q, k, v = (mx.sym.FullyConnected(flat, num_hidden=8, no_bias=n == "k", name=f"{n}_proj") for n in "qkv")
    heads = []
    for i in range(2):
        a, b, c = (mx.sym.slice_axis(t, axis=1, begin=4 * i, end=4 * i + 4) for t in (q, k, v))
        score = mx.sym.dot(a, mx.sym.transpose(b, axes=(1, 0)), name=f"score{i}") * 0.5
        heads.append(mx.sym.dot(mx.sym.softmax(score, axis=-1, temperature=1.5), c, name=f"mix{i}"))
    mixed = mx.sym.stack(*heads, axis=1, name="heads")  # (N T, 2, 4)
    mixed = mx.sym.Reshape(mixed, shape=(-4, 3, -1, -3), name="unflat")  # (N, T, 8)
    tiled = mx.sym.tile(mx.sym.expand_dims(context, axis=1), reps=(1, 5, 1), name="tile")
    y = mx.sym.concat(mixed, tiled, dim=2, name="both")
    y = mx.sym.transpose(y, axes=(1, 0, 2))
    y = mx.sym.SequenceReverse(y, lengths, use_sequence_length=True, name="reverse")
    y = mx.sym.FullyConnected(y, num_hidden=4, flatten=False, name="out")
    return Network(
        mx.sym.Group([y, mx.sym.log_softmax(y, axis=-1), weights]),
        {"data": (5, 3, 8)},
        values={"lengths": np.array([5, 2, 3])},
    )


def ctc(blank: str, with_lengths: bool, mx: ModuleType) -> Network:
    """A speech net: one dense layer per step, CTCLoss, and the softmax as a second head that passes no gradient."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, flatten=False, name="fc")
    extra = {}
    values = {"label": np.array([[1, 2, 2], [3, 0, 0], [5, 4, 0]])}
    if blank == "last":
        values["label"] = np.array([[0, 1, 1], [2, -1, -1], [4, 3, -1]])
    if with_lengths:
        extra = {
            "data_lengths": mx.sym.Variable("data_lengths"),
            "label_lengths": mx.sym.Variable("label_lengths"),
            "use_data_lengths": True,
            "use_label_lengths": True,
        }
        values |= {"data_lengths": np.array([7, 4, 6]), "label_lengths": np.array([3, 1, 2])}
    loss = mx.sym.CTCLoss(x, mx.sym.Variable("label"), blank_label=blank, name="ctc", **extra)
    heads = [mx.sym.MakeLoss(loss, name="loss"), mx.sym.BlockGrad(mx.sym.softmax(x, axis=2), name="prob")]
    return Network(mx.sym.Group(heads), {"data": (7, 3, 5)}, values=values)


def loop_foreach(mx: ModuleType) -> Network:
    """A recurrent cell in foreach, with weights from outside the body and two sequences."""
    weight, bias = mx.sym.Variable("i2h_weight"), mx.sym.Variable("i2h_bias")

    def body(items: Any, states: Any) -> tuple[Any, Any]:
        x = mx.sym.FullyConnected(items[0], weight, bias, num_hidden=4, name="i2h")
        hidden = mx.sym.tanh(x + states[0], name="hidden")
        return [hidden * items[1], x], [hidden, states[1] * 0.5 + hidden]

    outputs, states = mx.sym.contrib.foreach(
        body,
        [mx.sym.Variable("data"), mx.sym.Variable("scale")],
        [mx.sym.Variable("state0"), mx.sym.Variable("state1")],
        name="cell",
    )
    shapes = {"data": (5, 2, 3), "scale": (5, 2, 4), "state0": (2, 4), "state1": (2, 4)}
    return Network(mx.sym.Group([*outputs, *states]), shapes)


def loop_while(mx: ModuleType) -> Network:
    """A while_loop that stops before its bound; of its outputs only the steps taken are looked at."""
    scale = mx.sym.Variable("scale")

    def step(i: Any, x: Any) -> tuple[Any, Any]:
        y = mx.sym.tanh(x * scale)
        return y * i, (i + 1, y)

    outputs, states = mx.sym.contrib.while_loop(
        cond=lambda i, x: mx.sym.broadcast_lesser(i, mx.sym.sum(x * 0) + 4),
        func=step,
        loop_vars=[mx.sym.Variable("i"), mx.sym.Variable("data")],
        max_iterations=6,
        name="steps",
    )
    taken = mx.sym.slice_axis(outputs, axis=0, begin=0, end=4, name="taken")
    values = {"i": np.zeros(1)}
    return Network(mx.sym.Group([taken, states[1]]), {"data": (1,), "scale": (1,)}, values=values)


def branch(taken: bool, mx: ModuleType) -> Network:
    """Either branch of a cond."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    pick = mx.sym.contrib.cond(
        pred=mx.sym.Variable("which") > 0,
        then_func=lambda: mx.sym.dot(a, b, name="product"),
        else_func=lambda: mx.sym.sin(mx.sym.slice_axis(a, axis=1, begin=0, end=3)) * 3,
        name="choice",
    )
    return Network(pick * 2, {"a": (2, 4), "b": (4, 3)}, values={"which": np.array([1.0 if taken else -1.0])})


NETWORKS = {
    f"rnn_{mode}_{'bi' if both else 'uni'}": partial(fused_rnn, mode, both)
    for mode in ("lstm", "gru", "rnn_tanh", "rnn_relu")
    for both in (False, True)
}
NETWORKS |= {
    f.__name__: f
    for f in (
        fused_cell,
        unrolled_lstm,
        unrolled_gru,
        unrolled_rnn,
        unrolled_bidirectional,
        embedding,
        many_heads,
        attention,
        loop_foreach,
        loop_while,
    )
}
NETWORKS |= {"branch_then": partial(branch, True), "branch_else": partial(branch, False)}
NETWORKS |= {"ctc_first": partial(ctc, "first", False), "ctc_last_lengths": partial(ctc, "last", True)}
