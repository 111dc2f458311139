"""Symbols that exercise the spelling of attributes and names, built on the module given as ``mx`` (MXNet or symjit).

Each builder returns the symbol; ``generate_json.py`` keeps the JSON that MXNet 1.9.1 writes for it. Build each one
under a fresh ``NameManager``, so that automatic names count from zero, and once in a process, because the names of
subgraphs (``__subgraph_name__``) count on in MXNet.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np


def scope_attributes(mx: ModuleType) -> Any:
    """AttrScope, nested and overridden; ``attr=`` and keyword attributes on operators and variables."""
    with mx.AttrScope(ctx_group="stage1", __mood__="calm"):
        data = mx.sym.Variable("data", attr={"__origin__": "camera"})
        with mx.AttrScope(__mood__="angry", __lr_mult__="0.5"):
            x = mx.sym.FullyConnected(data, num_hidden=4, name="fc1", attr={"__unit__": "metre"})
        x = mx.sym.Activation(x, act_type="relu", name="relu1")
    with mx.AttrScope(ctx_group="stage2", __force_mirroring__="True"):
        x = mx.sym.FullyConnected(x, num_hidden=3, name="fc2", lr_mult=2.0, wd_mult=0)
    return mx.sym.SoftmaxOutput(x, name="softmax")


def variable_attributes(mx: ModuleType) -> Any:
    """Variables with shape, dtype, multipliers, initializer and storage type; dimensions left open."""
    variables = [
        mx.sym.Variable("full", shape=(2, 3), dtype="float32", lr_mult=0.1, wd_mult=1),
        mx.sym.Variable("open", shape=(0, 3), dtype=np.float32),
        mx.sym.Variable("open_last", shape=(2, 0)),
        mx.sym.Variable("made", shape=(2, 3), init=mx.init.Xavier(rnd_type="gaussian", magnitude=2)),
        mx.sym.Variable("named", shape=(2, 3), init="zeros"),
        mx.sym.Variable("dense", shape=(2, 3), stype="default"),
        mx.sym.Variable("scoped", shape=(2, 3), __profiler_scope__="inner:"),
        mx.sym.Variable("double", shape=(2, 3), dtype="float64"),
        mx.sym.var("short", shape=[2, 3]),
    ]
    total = variables[0]
    for variable in variables[1:7]:
        total = total + variable
    return mx.sym.Group([total, variables[7] * 2, variables[8]])


def group_of_internals(mx: ModuleType) -> Any:
    """A Group of internals of a net, among them one of several outputs of one node and a bare variable."""
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=6, name="conv")
    x = mx.sym.BatchNorm(x, name="bn")
    parts = mx.sym.SliceChannel(x, num_outputs=3, name="parts")
    net = mx.sym.Concat(parts[2], parts[0], name="joined")
    internals = net.get_internals()
    return mx.sym.Group([internals["parts_output2"], internals["conv_weight"], internals["bn_output"], net])


def several_outputs(mx: ModuleType) -> Any:
    """Operators with several outputs, hidden ones included, taken whole and one by one."""
    data = mx.sym.Variable("data")
    norm = mx.sym.BatchNorm(data, output_mean_var=True, fix_gamma=False, name="bn")
    top = mx.sym.topk(norm[0], k=2, ret_typ="both", axis=1, name="top")
    split = mx.sym.split(top[0], num_outputs=2, axis=1, squeeze_axis=True, name="halves")
    hidden = mx.sym.Dropout(mx.sym.LayerNorm(data, name="ln"), p=0.0, name="drop")
    return mx.sym.Group([split, top[1], norm[2], hidden])


def control_flow_foreach(mx: ModuleType) -> Any:
    """Loop over two sequences with two states; the body uses a variable from outside."""
    weight = mx.sym.Variable("weight")

    def body(items: Any, states: Any) -> tuple[Any, Any]:
        hidden = mx.sym.FullyConnected(items[0], weight, num_hidden=3, no_bias=True, name="step_fc")
        hidden = mx.sym.tanh(hidden + states[0], name="step_tanh")
        return [hidden, hidden * items[1]], [hidden, states[1] + 1]

    outputs, states = mx.sym.contrib.foreach(
        body,
        [mx.sym.Variable("data"), mx.sym.Variable("scale")],
        [mx.sym.Variable("state0"), mx.sym.Variable("state1")],
        name="loop",
    )
    return mx.sym.Group([*outputs, *states])


def control_flow_while(mx: ModuleType) -> Any:
    """Bounded loop with two loop variables and one output per step."""
    outputs, states = mx.sym.contrib.while_loop(
        cond=lambda i, total: i < 4,
        func=lambda i, total: ([total * i], [i + 1, total + i]),
        loop_vars=[mx.sym.Variable("i"), mx.sym.Variable("total")],
        max_iterations=6,
        name="repeat",
    )
    return mx.sym.Group([*outputs, *states])


def control_flow_cond(mx: ModuleType) -> Any:
    """Choice with a branch that has a parameter of its own."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    return mx.sym.contrib.cond(
        pred=mx.sym.sum(a) < mx.sym.sum(b),
        then_func=lambda: mx.sym.FullyConnected(a, num_hidden=2, name="then_fc"),
        else_func=lambda: mx.sym.slice_axis(b, axis=1, begin=0, end=2) * 3,
        name="choice",
    )


def control_flow_nested(mx: ModuleType) -> Any:
    """A cond in the body of a foreach: a subgraph with a subgraph."""

    def body(item: Any, state: Any) -> tuple[Any, Any]:
        pick = mx.sym.contrib.cond(mx.sym.sum(item) > 0, lambda: item + state, lambda: item - state, name="inner")
        return pick, pick

    output, state = mx.sym.contrib.foreach(body, mx.sym.Variable("data"), mx.sym.Variable("state"), name="outer")
    return mx.sym.Group([output, state])


def python_operators(mx: ModuleType) -> Any:
    """Every Python operator between symbols and with numbers on either side, automatically named."""
    a, b = mx.sym.Variable("a"), mx.sym.Variable("b")
    return mx.sym.Group(
        [
            a + b, a - b, a * b, a / b, a % b, a**b,
            a + 1, 1 + a, a - 1, 1 - a, a * 2, 2 * a, a / 4, 4 / a, a % 3, 3 % a, a**2, 2**a, -a, abs(a),
            a + 0.1, a * 1e-5, a - 1e20, a / 3.5, a * -2.5, a + 123456789, a * 16777217.0, a + (1 / 3),
            a == b, a != b, a < b, a <= b, a > b, a >= b,
            a == 1, a != 1, a < 1, a <= 1, a > 1, a >= 1, a > 0.5, 2 < a, 2 >= a,
        ]
    )  # fmt: skip


def automatic_names(mx: ModuleType) -> Any:
    """Counters per operator, a prefix scope, names given twice, one symbol used in several places."""
    data = mx.sym.Variable("data")
    x = mx.sym.FullyConnected(data, num_hidden=2)
    x = mx.sym.FullyConnected(x, num_hidden=2)
    x = mx.sym.Activation(x, act_type="tanh")
    with mx.name.Prefix("block_"):
        x = mx.sym.FullyConnected(x, num_hidden=2)
        x = mx.sym.LeakyReLU(x, act_type="prelu")
        x = mx.sym.relu(x, name="given")
    x = mx.sym.exp(mx.sym.exp(x)) + mx.sym.elemwise_add(x, x) + mx.sym.broadcast_add(x, x) + mx.sym.add_n(x, x, x)
    x = mx.sym.sum(mx.sym.reshape(mx.sym.transpose(mx.sym.Flatten(x)), shape=(2, -1)), axis=1)
    x = mx.sym.square(x, name="twice") + mx.sym.square(x, name="twice")
    x = mx.sym.concat(x, x, dim=0) + mx.sym.Concat(x, x, dim=0)
    return mx.sym.stop_gradient(mx.sym.slice_axis(x.mean().expand_dims(0).clip(0, 1), axis=0, begin=0, end=None))


def composition(mx: ModuleType) -> Any:
    """A symbol called on another: its free variable is replaced, by keyword."""
    data = mx.sym.Variable("data")
    head = mx.sym.FullyConnected(mx.sym.Variable("feature"), num_hidden=2, name="head")
    trunk = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=3, name="trunk"), act_type="relu", name="act")
    joined = head(feature=trunk, name="joined")
    pair = mx.sym.Variable("p") - mx.sym.Variable("q")
    return mx.sym.Group([joined, pair(p=joined, q=data, name="pair")])


def attribute_spellings(mx: ModuleType) -> Any:
    """Attributes as lists, tuples, numbers, NumPy scalars, None, bools and words."""
    data = mx.sym.Variable("data")
    x = mx.sym.Convolution(data, kernel=[3, 3], stride=(2, 2), pad=[1, 1], num_filter=4, no_bias=1, name="conv")
    x = mx.sym.Pooling(x, kernel=(2, 2), pool_type="avg", global_pool=0, count_include_pad=None, name="pool")
    x = mx.sym.Convolution(x, kernel=(1, 1), num_filter=np.int64(4), num_group=np.int32(2), workspace=512, name="np")
    x = mx.sym.Deconvolution(x, kernel=(2, 2), stride=(2, 2), target_shape=(7, 7), num_filter=2, name="deconv")
    x = mx.sym.BatchNorm(x, eps=1e-5, momentum=np.float32(0.5), fix_gamma=False, axis=-3, name="bn")
    x = mx.sym.LeakyReLU(x, slope=np.float64(0.1), name="leaky")
    x = mx.sym.clip(x, a_min=-1, a_max=float("inf"), name="clip")
    heads = [
        mx.sym.slice(x, begin=(None, 0, 1), end=(None, -1, None), step=(None, 1, 2), name="slice"),
        mx.sym.slice(x, begin=[0], end=[1], name="slice_list"),
        mx.sym.transpose(x, name="transpose_default"),
        mx.sym.transpose(x, axes=[1, 0, 2, 3], name="transpose_list"),
        mx.sym.sum(x, axis=None, name="sum_none"),
        mx.sym.sum(x, axis=(), name="sum_empty"),
        mx.sym.sum(x, axis=1, keepdims=True, name="sum_int"),
        mx.sym.sum(x, axis=[1, 2], exclude=True, name="sum_list"),
        mx.sym.reshape(x, shape=[0, -1], name="reshape"),
        mx.sym.Reshape(x, shape=(-1, 0), reverse=True, name="reshape_reverse"),
        mx.sym.norm(x, ord=1, axis=(2, 3), name="norm"),
        mx.sym.argmax(x, axis=1, name="argmax"),
        mx.sym.dot(data, data, transpose_b=True, name="dot"),
        mx.sym.tile(x, reps=2, name="tile"),
        mx.sym.squeeze(mx.sym.expand_dims(x, axis=-1), axis=-1, name="squeeze"),
        mx.sym.Dropout(x, p=0.3, mode="always", axes=[0], name="dropout"),
        mx.sym.softmax(x, temperature=None, name="softmax"),
        mx.sym.flip(x, axis=(1, 2), name="flip"),
        mx.sym.smooth_l1(x, scalar=3, name="smooth"),
    ]
    return mx.sym.Group(heads)


def dtype_attributes(mx: ModuleType) -> Any:
    """The spellings of an element type in attributes and of the operators that take one."""
    data = mx.sym.Variable("data")
    return mx.sym.Group(
        [
            mx.sym.Cast(data, dtype="float16", name="word"),
            mx.sym.cast(data, dtype=np.float64, name="class"),
            mx.sym.cast(data, dtype=np.dtype("int32"), name="instance"),
            data.astype("uint8"),
            mx.sym.zeros((2, 3), dtype="int8", name="zeros"),
            mx.sym.ones(shape=(2,), name="ones"),
            mx.sym.full((2, 2), 3.5, dtype="float64", name="full"),
            mx.sym.arange(0, 10, 2, dtype="int32", name="arange"),
            mx.sym.arange(5, repeat=2, name="arange_default"),
            mx.sym.eye(3, M=4, k=1, name="eye"),
            mx.sym.one_hot(data, depth=4, on_value=2, dtype="int32", name="one_hot"),
            mx.sym.zeros_like(data, name="zeros_like"),
            mx.sym.Embedding(data, input_dim=5, output_dim=2, dtype="float16", sparse_grad=False, name="embed"),
            mx.sym.random.uniform(0, 1, shape=(2, 2), dtype="float32", name="uniform"),
            mx.sym.random.normal(1, 2, shape=(2,), name="normal"),
            mx.sym.argsort(data, dtype="int32", name="argsort"),
            mx.sym.sum(data, name="sum"),
            mx.sym.linspace(0, 1, 5, name="linspace"),
        ]
    )


def awkward_names(mx: ModuleType) -> Any:
    """Names and attribute values that JSON must escape, and others outside ASCII."""
    data = mx.sym.Variable('say "data"\\n')
    x = mx.sym.Activation(data, act_type="relu", name="größe/層:1 2", attr={"__note__": 'a\tb\nc "d" \\ é'})
    return mx.sym.relu(x, name="tab\there", attr={"__json__": '{"k": [1, null]}'})


BUILDERS = {
    f.__name__: f
    for f in (
        scope_attributes,
        variable_attributes,
        group_of_internals,
        several_outputs,
        control_flow_foreach,
        control_flow_while,
        control_flow_cond,
        control_flow_nested,
        python_operators,
        automatic_names,
        composition,
        attribute_spellings,
        dtype_attributes,
        awkward_names,
    )
}
