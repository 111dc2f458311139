"""Recurrent cells to unroll, built on the module given as ``mx`` (MXNet or symjit), and wrong uses of them.

Build each under a fresh ``NameManager``, so that automatic names count from zero, and for each graph anew.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

STEPS, BATCH, INPUTS, HIDDEN = 3, 2, 3, 4
IMAGE = (3, 7, 6)


def stack_of(mx: ModuleType, *cells: Any, params: Any = None) -> Any:
    """Return a SequentialRNNCell of cells."""
    stack = mx.rnn.SequentialRNNCell(params=params)
    for cell in cells:
        stack.add(cell)
    return stack


def fused(mode: str, mx: ModuleType, **arguments: Any) -> Any:
    """Return a fused cell of two layers and both directions, whose states come out."""
    given = {"num_layers": 2, "bidirectional": True, "dropout": 0.25, "get_next_state": True, **arguments}
    return mx.rnn.FusedRNNCell(HIDDEN, mode=mode, **given)


def shared(mx: ModuleType) -> Any:
    """Two cells of one set of variables."""
    params = mx.rnn.RNNParams("both_")
    return stack_of(
        mx,
        mx.rnn.LSTMCell(INPUTS, prefix="low_", params=params),
        mx.rnn.LSTMCell(INPUTS, prefix="high_", params=params),
    )


def given_to_the_stack(mx: ModuleType) -> Any:
    """A stack that was given variables, one of which its cell uses."""
    params = mx.rnn.RNNParams("gru_")
    params.get("i2h_weight", lr_mult=0.5)
    stack = mx.rnn.SequentialRNNCell(params=params)
    cell = mx.rnn.ZoneoutCell(mx.rnn.GRUCell(HIDDEN))
    stack.add(cell)
    return stack


def both_ways(mx: ModuleType, **arguments: Any) -> Any:
    """An LSTM forward and a GRU backward."""
    left, right = mx.rnn.LSTMCell(HIDDEN, prefix="left_"), mx.rnn.GRUCell(INPUTS, prefix="right_")
    return mx.rnn.BidirectionalCell(left, right, **arguments)


CELLS: dict[str, Callable[[ModuleType], Any]] = {
    "rnn": lambda mx: mx.rnn.RNNCell(HIDDEN),
    "rnn_relu": lambda mx: mx.rnn.RNNCell(HIDDEN, activation="relu", prefix="relu_"),
    "rnn_elu": lambda mx: mx.rnn.RNNCell(HIDDEN, activation=partial(mx.sym.LeakyReLU, act_type="elu")),
    "lstm": lambda mx: mx.rnn.LSTMCell(HIDDEN),
    "lstm_bias": lambda mx: mx.rnn.LSTMCell(HIDDEN, prefix="first_", forget_bias=0.5),
    "gru": lambda mx: mx.rnn.GRUCell(HIDDEN),
    "fused": lambda mx: mx.rnn.FusedRNNCell(HIDDEN),
    "fused_rnn_relu": partial(fused, "rnn_relu"),
    "fused_rnn_tanh": partial(fused, "rnn_tanh", bidirectional=False, prefix="t_"),
    "fused_lstm": partial(fused, "lstm", forget_bias=2.0),
    "fused_gru": partial(fused, "gru", dropout=0),
    "unfused_rnn_relu": lambda mx: fused("rnn_relu", mx).unfuse(),
    "unfused_rnn_tanh": lambda mx: fused("rnn_tanh", mx, num_layers=1).unfuse(),
    "unfused_lstm": lambda mx: fused("lstm", mx, forget_bias=2.0).unfuse(),
    "unfused_gru": lambda mx: fused("gru", mx, bidirectional=False, num_layers=3).unfuse(),
    "stack": lambda mx: stack_of(
        mx, mx.rnn.LSTMCell(HIDDEN, prefix="a_"), mx.rnn.DropoutCell(0.5), mx.rnn.GRUCell(HIDDEN, prefix="b_")
    ),
    "stack_fused": lambda mx: stack_of(
        mx, fused("gru", mx), mx.rnn.DropoutCell(0.5), mx.rnn.DropoutCell(0.0), fused("lstm", mx, prefix="top_")
    ),
    "shared": shared,
    "given_to_the_stack": given_to_the_stack,
    "dropout": lambda mx: mx.rnn.DropoutCell(0.5),
    "zoneout": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.LSTMCell(HIDDEN), 0.25, 0.5),
    "zoneout_states": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.GRUCell(HIDDEN), zoneout_states=0.5),
    "residual": lambda mx: mx.rnn.ResidualCell(mx.rnn.GRUCell(INPUTS)),
    "residual_fused": lambda mx: mx.rnn.ResidualCell(mx.rnn.FusedRNNCell(INPUTS, mode="rnn_tanh")),
    "residual_zoneout": lambda mx: mx.rnn.ResidualCell(mx.rnn.ZoneoutCell(mx.rnn.RNNCell(INPUTS), 0.5)),
    "bidirectional": both_ways,
    "bidirectional_fused": lambda mx: mx.rnn.BidirectionalCell(
        fused("gru", mx, prefix="left_"), mx.rnn.RNNCell(HIDDEN, prefix="right_"), output_prefix="out_"
    ),
    "bidirectional_all_fused": lambda mx: mx.rnn.BidirectionalCell(
        fused("gru", mx, prefix="left_"), fused("lstm", mx, prefix="right_")
    ),
    "bidirectional_below": lambda mx: stack_of(mx, both_ways(mx, output_prefix="low_"), mx.rnn.LSTMCell(HIDDEN)),
    "conv_rnn": lambda mx: mx.rnn.ConvRNNCell((1, *IMAGE), HIDDEN),
    "conv_lstm": lambda mx: mx.rnn.ConvLSTMCell((1, *IMAGE), HIDDEN, activation="tanh", i2h_bias_initializer="ones"),
    "conv_gru": lambda mx: mx.rnn.ConvGRUCell(
        (1, *IMAGE),
        HIDDEN,
        h2h_kernel=(3, 5),
        h2h_dilate=(2, 1),
        i2h_kernel=(2, 3),
        i2h_stride=(2, 1),
        i2h_pad=(0, 1),
        prefix="cg_",
    ),
}


def graphs() -> Iterator[tuple[str, str, bool | None, bool]]:
    """Yield cell, layout, merge_outputs, and whether the inputs are a list, for each graph."""
    return itertools.product(CELLS, ("NTC", "TNC"), (None, True, False), (False, True))


def key_of(cell: str, layout: str, merge: bool | None, listed: bool) -> str:
    """Return the name of a graph."""
    return f"{cell}-{layout}-{merge}-{'list' if listed else 'symbol'}"


def flat(nested: Any) -> list[Any]:
    """Return the symbols of nested lists."""
    return [one for each in nested for one in flat(each)] if isinstance(nested, (list, tuple)) else [nested]


def unrolled(mx: ModuleType, cell: Any, layout: str = "NTC", merge: bool | None = None, listed: bool = False) -> Any:
    """Return outputs and states of a cell unrolled, as one symbol."""
    data = [mx.sym.Variable(f"t{i}_data") for i in range(STEPS)] if listed else mx.sym.Variable("data")
    return mx.sym.Group(flat(list(cell.unroll(STEPS, data, layout=layout, merge_outputs=merge))))


def by_hand(mx: ModuleType) -> Any:
    """Two steps without unroll; begin states that are inputs, random, or of another dtype; the same names again."""
    cell = stack_of(mx, mx.rnn.LSTMCell(HIDDEN, prefix="a_"), mx.rnn.GRUCell(HIDDEN, prefix="b_"))
    states = cell.begin_state(func=mx.sym.Variable)
    outputs = []
    for step in range(2):
        output, states = cell(mx.sym.Variable(f"x{step}"), states)
        outputs.append(output)
    gru = mx.rnn.ResidualCell(mx.rnn.GRUCell(HIDDEN))
    outputs += gru.begin_state(mx.sym.uniform, low=-1, high=1) + gru.begin_state(init_sym=mx.sym.ones, dtype="float16")
    cell.reset()
    return mx.sym.Group([*outputs, *states, *cell(mx.sym.Variable("again"), cell.begin_state(func=mx.sym.ones))[1]])


def given_states(mx: ModuleType) -> Any:
    """Unroll cells from states that are inputs; a modifier in a modifier, and both directions in a stack of stacks."""
    res, zone = mx.rnn.ResidualCell, mx.rnn.ZoneoutCell
    deep = [both_ways(mx, output_prefix="deep_"), fused("lstm", mx, prefix="top_"), mx.rnn.RNNCell(HIDDEN)]
    made = []
    for cell, states, data, merge in (
        (fused("lstm", mx, bidirectional=False, num_layers=1), ["h", "c"], mx.sym.Variable("data"), None),
        (res(zone(res(mx.rnn.GRUCell(INPUTS)), 0.5, 0.25)), ["s"], mx.sym.Variable("data"), True),
        (both_ways(mx), ["h", "c", "r"], [mx.sym.Variable(f"t{i}") for i in range(STEPS)], False),
        (stack_of(mx, mx.rnn.DropoutCell(0.5), stack_of(mx, *deep)), list("abcdef"), mx.sym.Variable("data"), True),
    ):
        begin = [mx.sym.Variable(name) for name in states]
        made += flat(list(cell.unroll(STEPS, data, begin_state=begin, layout="TNC", merge_outputs=merge)))
    return mx.sym.Group(made)


def shape_of(cell: str, layout: str) -> tuple[int, ...]:
    """Return the shape of the input of a cell that reads one symbol."""
    inner = IMAGE if cell.startswith("conv") else (INPUTS,)
    return ((BATCH, STEPS) if layout == "NTC" else (STEPS, BATCH)) + inner


# Sentences ------------------------------------------------------------------------------------------------------------

SENTENCES = [[(7 * i + 3 * j) % 23 for j in range(1 + (5 * i) % 9)] for i in range(60)]
BATCHES: dict[str, dict[str, Any]] = {
    "automatic": {"batch_size": 3},
    "given": {"batch_size": 4, "buckets": [8, 3, 5], "invalid_label": 0, "data_name": "words", "label_name": "next"},
    "time_major": {"batch_size": 4, "buckets": [4, 9], "dtype": "int32", "layout": "TN"},
    "unsigned": {"batch_size": 7, "buckets": [3, 6], "dtype": "uint8"},
}
TEXT = [["a", "b", "a"], ["c", "\n", "b"], [], ["d", "e", "a"]]
ENCODINGS: dict[str, dict[str, Any]] = {
    "new": {},
    "from_minus_two": {"start_label": -2},
    "other_end": {"invalid_label": 0, "invalid_key": "<end>", "start_label": 0},
    "given": {"vocab": {"a": 5, "b": 6, "c": 7, "d": 8, "e": 9, "\n": 0}},
    "unknown": {"vocab": {"a": 5, "b": 6, "\n": 0}, "unknown_token": "<unk>"},
    "unknown_new": {"unknown_token": "<unk>", "start_label": 1, "invalid_label": 2},
}

# Wrong uses -----------------------------------------------------------------------------------------------------------


def inside(mx: ModuleType) -> Any:
    """Return a cell that has a modifier."""
    cell = mx.rnn.LSTMCell(2)
    mx.rnn.ResidualCell(cell)
    return cell


def twice_given(mx: ModuleType) -> Any:
    """Give variables to a stack and to its cell."""
    params = mx.rnn.RNNParams("x_")
    return stack_of(mx, mx.rnn.RNNCell(2, params=params), params=params)


def data(mx: ModuleType) -> Any:
    """Return the variable of the input."""
    return mx.sym.Variable("data")


WRONG: dict[str, Callable[[ModuleType], Any]] = {
    "no_inputs": lambda mx: mx.rnn.RNNCell(2).unroll(2, None),
    "too_few_inputs": lambda mx: mx.rnn.RNNCell(2).unroll(2, [data(mx)]),
    "group_as_inputs": lambda mx: mx.rnn.RNNCell(2).unroll(2, mx.sym.Group([data(mx), mx.sym.Variable("b")])),
    "fused_step": lambda mx: mx.rnn.FusedRNNCell(2)(data(mx), []),
    "fused_layout": lambda mx: mx.rnn.FusedRNNCell(2).unroll(2, data(mx), layout="NCT"),
    "fused_length": lambda mx: mx.rnn.FusedRNNCell(2).unpack_weights({"lstm_parameters": mx.nd.zeros((50,))}),
    "fused_missing": lambda mx: mx.rnn.FusedRNNCell(2).unpack_weights({}),
    "unpack_missing": lambda mx: mx.rnn.GRUCell(2).unpack_weights({"gru_i2h_weight": mx.nd.zeros((6, 2))}),
    "pack_missing": lambda mx: mx.rnn.GRUCell(2).pack_weights({}),
    "bidirectional_step": lambda mx: both_ways(mx)(data(mx), []),
    "bidirectional_in_stack_step": lambda mx: stack_of(mx, both_ways(mx))(data(mx), []),
    "base_step": lambda mx: mx.rnn.BaseRNNCell()(data(mx), []),
    "base_states": lambda mx: mx.rnn.BaseRNNCell().state_info,
    "modifier_step": lambda mx: mx.rnn.ModifierCell(mx.rnn.RNNCell(2))(data(mx), []),
    "begin_state_inside": lambda mx: inside(mx).begin_state(),
    "unroll_inside": lambda mx: inside(mx).unroll(2, data(mx)),
    "params_twice": twice_given,
    "dropout_text": lambda mx: mx.rnn.DropoutCell("0.5"),
    "zoneout_fused": lambda mx: mx.rnn.ZoneoutCell(mx.rnn.FusedRNNCell(2)),
    "zoneout_bidirectional": lambda mx: mx.rnn.ZoneoutCell(both_ways(mx)),
    "even_kernel": lambda mx: mx.rnn.ConvRNNCell((1, 3, 8, 8), 2, h2h_kernel=(3, 2)),
    "unknown_word": lambda mx: mx.rnn.encode_sentences([["x"]], vocab={"a": 1}),
    "no_bucket": lambda mx: mx.rnn.BucketSentenceIter([[1, 2], [3]], 2),
    "bad_layout": lambda mx: mx.rnn.BucketSentenceIter([[1, 2], [3, 4]], 2, layout="TC"),
}


def error_of(wrong: Callable[[ModuleType], Any], mx: ModuleType) -> str:
    """Return the name of the exception that a wrong use raises, empty if none."""
    try:
        with mx.name.NameManager():
            wrong(mx)
    except Exception as error:
        return type(error).__name__
    return ""


# Signatures -----------------------------------------------------------------------------------------------------------

METHODS = ("__init__", "__call__", "reset", "begin_state", "unpack_weights", "pack_weights", "unroll", "unfuse", "add")
FUNCTIONS = ("encode_sentences", "save_rnn_checkpoint", "load_rnn_checkpoint", "do_rnn_checkpoint", "rnn_unroll")


def shown(value: Any) -> str:
    """Return a default value as text that is the same in both."""
    if isinstance(value, partial):
        return f"{shown(value.func)} {value.keywords}"
    return value.__name__ if callable(value) else repr(value)


def signature_of(function: Any) -> list[str]:
    """Return the arguments of a function with their defaults."""
    return [
        f"{parameter.name}" if parameter.default is parameter.empty else f"{parameter.name}={shown(parameter.default)}"
        for parameter in inspect.signature(function).parameters.values()
    ]


def signatures(mx: ModuleType) -> dict[str, list[str]]:
    """Return the arguments of everything public by its name."""
    public = [v for k, v in sorted(vars(mx.rnn).items()) if isinstance(v, type) and ".rnn" in v.__module__]
    found = {f: signature_of(getattr(mx.rnn, f)) for f in FUNCTIONS}
    for kind in public:
        for method in METHODS:
            function = getattr(kind, method, None)
            if inspect.isfunction(function):
                found[f"{kind.__name__}.{method}"] = signature_of(function)
    return found
