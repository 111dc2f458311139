"""Initializers to compare: what writes the same numbers everywhere, what is drawn, texts, and what is refused.

The module to build on is an argument, so that MXNet writes the references and the tests compare with them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Make = Callable[[Any], Any]


class Case(NamedTuple):
    """An initializer, and the variable it is called with."""

    make: Make
    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    attrs: dict[str, str] | None = None
    #: Call it with a plain string instead of an InitDesc.
    plain: bool = False


def _fixed() -> dict[str, Case]:
    """Return the cases whose numbers are decided."""
    cases = {
        "zero": Case(lambda mx: mx.init.Zero(), "a_weight", (2, 3)),
        "one": Case(lambda mx: mx.init.One(), "a_weight", (2, 3)),
        "constant_broadcast": Case(
            lambda mx: mx.init.Constant(mx.nd.array([[1.5], [2.25]])), "a_weight", (2, 3), "float64"
        ),
        "constant_array": Case(
            lambda mx: mx.init.Constant(mx.nd.array(np.arange(6).reshape(2, 3) * 0.7)), "a_weight", (2, 3), "int32"
        ),
        "constant_numpy": Case(lambda mx: mx.init.Constant(np.arange(3) / 7), "a_weight", (2, 3)),
        "constant_list": Case(lambda mx: mx.init.Constant([1, 2, 3]), "a_weight", (2, 3)),
        "constant_text": Case(lambda mx: mx.init.create('["constant", {"value": [[1.0], [2.0]]}]'), "a_weight", (2, 3)),
        "constant_bias": Case(lambda mx: mx.init.Constant(3), "a_bias", (3,)),
        "lstm_bias": Case(lambda mx: mx.init.LSTMBias(0.75), "a_weight", (12,)),
        "lstm_bias_default": Case(lambda mx: mx.init.LSTMBias(), "a_weight", (8,), "float16"),
        "lstm_bias_matrix": Case(lambda mx: mx.init.LSTMBias(2), "a_weight", (4, 3)),
        "lstm_bias_rest": Case(lambda mx: mx.init.LSTMBias(2), "a_weight", (11,)),
        "mixed_first": Case(lambda mx: _mixed(mx), "conv_weight", (2,)),
        "mixed_second": Case(lambda mx: _mixed(mx), "a_conv_weight", (2,)),
        "mixed_rest": Case(lambda mx: _mixed(mx), "a_bias", (2,)),
        "load": Case(lambda mx: _load(mx), "x_weight", (2, 2)),
        "load_aux": Case(lambda mx: _load(mx), "moving_mean", (3,)),
        "load_converts": Case(lambda mx: _load(mx), "x_weight", (2, 2), "int32"),
        "load_default": Case(lambda mx: _load(mx), "y_weight", (2, 2)),
        "load_default_bias": Case(lambda mx: _load(mx), "y_bias", (2,)),
        "own_over_name": Case(
            lambda mx: mx.init.One(), "x_bias", (2,), attrs={"__init__": '["constant", {"value": 7}]'}
        ),
        "own_plain_name": Case(lambda mx: mx.init.One(), "moving_mean", (2,), attrs={"__init__": "zeros"}),
        "own_upper": Case(lambda mx: mx.init.Zero(), "moving_var", (2,), attrs={"__init__": "One"}),
        "own_dict": Case(
            lambda mx: mx.init.One(), "x", (2,), attrs={"__init__": '{"initializer": "constant", "value": 2.5}'}
        ),
        "own_lstm_bias": Case(
            lambda mx: mx.init.One(), "x_bias", (8,), attrs={"__init__": '["lstmbias", {"forget_bias": 3.0}]'}
        ),
        "own_other_attributes": Case(lambda mx: mx.init.One(), "x_bias", (2,), attrs={"__lr_mult__": "2"}),
        "own_fused": Case(
            lambda mx: mx.init.Constant(0.5),
            "lstm_parameters",
            (2 * 4 * (3 + 2 + 2),),
            attrs={"__init__": json.dumps(["fusedrnn", {**_fused(2, 1, "lstm"), "init": None, "forget_bias": 4.0}])},
        ),
    }
    for ending in ("weight", "bias", "gamma", "beta", "min", "max", "bias_quantize"):
        cases[f"ending_{ending}"] = Case(lambda mx: mx.init.Constant(0.1), f"net_{ending}", (2, 2))
        cases[f"ending_{ending}_alone"] = Case(lambda mx: mx.init.Constant(0.1), ending, (1,), "float64")
        cases[f"ending_{ending}_int8"] = Case(lambda mx: mx.init.Constant(0.1), f"net{ending}", (3,), "int8")
    for value in (0.1, -2.7, 100000, 1e-9):
        for dtype in ("float32", "float64", "float16", "int32", "int64", "int8", "uint8"):
            # What a type can not hold is converted by the processor, each in its way.
            if (dtype == "uint8" and value < 0) or (dtype in {"int8", "uint8", "float16"} and value > 255):
                continue
            cases[f"constant_{value}_{dtype}"] = Case(
                lambda mx, value=value: mx.init.Constant(value), "a_weight", (2, 1, 2), dtype
            )
    for shape in ((1, 1, 4, 4), (2, 3, 5, 5), (1, 1, 3, 3), (1, 1, 1, 1), (2, 1, 2, 6), (1, 2, 6, 3), (1, 1, 2, 3, 2)):
        label = "x".join(map(str, shape))
        cases[f"bilinear_{label}"] = Case(lambda mx: mx.init.Bilinear(), "up_weight", shape)
        cases[f"bilinear_{label}_float64"] = Case(lambda mx: mx.init.Bilinear(), "up_weight", shape, "float64")
    for name, shape in {
        "upsampling0_weight": (1, 1, 4, 4),
        "stn_loc_weight": (6, 2),
        "stn_loc_bias": (6,),
        "fc_bias": (2,),
        "bn_gamma": (2,),
        "bn_beta": (2,),
        "fc_weight": (2, 2),
        "bn_moving_mean": (2,),
        "bn_moving_var": (2,),
        "bn_moving_inv_var": (2,),
        "bn_moving_avg": (2,),
        "q_min": (1,),
        "q_max": (1,),
    }.items():
        cases[f"plain_{name}"] = Case(lambda mx: mx.init.Constant(0.25), name, shape, plain=True)
    for mode, gates in {"lstm": 4, "gru": 3, "rnn_relu": 1, "rnn_tanh": 1}.items():
        for layers, both in ((1, False), (2, False), (1, True), (3, True)):
            size = _size(gates, 2, layers, both, 3)
            fused = _fused(2, layers, mode, both)
            label = f"fused_{mode}_{layers}{'_both' if both else ''}"
            cases[label] = Case(lambda mx, a=fused: mx.init.FusedRNN(_named(mx), **a), "p_weight", (size,))
    return cases


def _mixed(mx: Any) -> Any:
    return mx.init.Mixed(["conv", ".*conv", ".*"], [mx.init.Constant(1), mx.init.Constant(2), mx.init.Constant(3)])


def _load(mx: Any) -> Any:
    values = {
        "arg:x_weight": mx.nd.array([[1.5, 2], [3, 4]]),
        "aux:moving_mean": mx.nd.array([1, 2, 3]),
        "plain": mx.nd.ones((1,)),
    }
    return mx.init.Load(values, mx.init.Constant(9))


def _fused(hidden: int, layers: int, mode: str, both: bool = False) -> dict[str, Any]:
    return {"num_hidden": hidden, "num_layers": layers, "mode": mode, "bidirectional": both}


def _size(gates: int, hidden: int, layers: int, both: bool, width: int) -> int:
    ways = 1 + both
    return ways * gates * hidden * (width + hidden + 2 + (layers - 1) * (ways * hidden + hidden + 2))


def _named(mx: Any) -> Any:
    """Return an initializer that writes numbers which tell the name, and count up from there."""

    class Named(mx.init.Initializer):
        def _init_weight(self, name: str, arr: Any) -> None:
            start = zlib.crc32(name.encode()) % 1000
            arr[:] = np.arange(start, start + int(np.prod(arr.shape))).reshape(arr.shape)

        _init_bias = _init_weight

    return Named()


FIXED = _fixed()

#: What draws, and with which parameters: the calls of ``random.uniform`` and ``random.normal`` are compared.
DRAWN: dict[str, Case] = {
    "uniform": Case(lambda mx: mx.init.Uniform(), "a_weight", (3, 4)),
    "uniform_scale": Case(lambda mx: mx.init.Uniform(0.3), "a_weight", (3,)),
    "normal": Case(lambda mx: mx.init.Normal(), "a_weight", (3, 4)),
    "normal_sigma": Case(lambda mx: mx.init.Normal(2), "a_weight", (5,)),
    "orthogonal": Case(lambda mx: mx.init.Orthogonal(), "a_weight", (4, 4)),
    "orthogonal_wide": Case(lambda mx: mx.init.Orthogonal(2.0), "a_weight", (3, 7)),
    "orthogonal_tall": Case(lambda mx: mx.init.Orthogonal(0.5, "normal"), "a_weight", (7, 3)),
    "orthogonal_conv": Case(lambda mx: mx.init.Orthogonal(rand_type="normal"), "a_weight", (5, 2, 3, 2)),
    "orthogonal_conv_tall": Case(lambda mx: mx.init.Orthogonal(), "a_weight", (9, 2, 1, 2)),
    "xavier": Case(lambda mx: mx.init.Xavier(), "a_weight", (100, 50)),
    "xavier_conv": Case(lambda mx: mx.init.Xavier(), "a_weight", (8, 3, 5, 7)),
    "xavier_conv_1d": Case(lambda mx: mx.init.Xavier(), "a_weight", (8, 3, 5)),
    "xavier_conv_3d": Case(lambda mx: mx.init.Xavier("gaussian"), "a_weight", (8, 3, 2, 5, 7)),
    "xavier_in": Case(lambda mx: mx.init.Xavier(factor_type="in", magnitude=2.34), "a_weight", (8, 3, 5, 7)),
    "xavier_out": Case(lambda mx: mx.init.Xavier(factor_type="out"), "a_weight", (8, 3, 5, 7)),
    "xavier_gaussian_in": Case(lambda mx: mx.init.Xavier("gaussian", "in", 2), "a_weight", (64, 3, 7, 7)),
    "xavier_magnitude_text": Case(lambda mx: mx.init.Xavier(magnitude="2"), "a_weight", (3, 4)),
    "msra": Case(lambda mx: mx.init.MSRAPrelu(), "a_weight", (8, 3, 5, 7)),
    "msra_in": Case(lambda mx: mx.init.MSRAPrelu("in", 0), "a_weight", (8, 3, 3, 3)),
    "msra_out": Case(lambda mx: mx.init.MSRAPrelu(slope=0.1, factor_type="out"), "a_weight", (8, 3)),
    "named": Case(lambda mx: mx.init.create("xavier", magnitude=1), "a_weight", (8, 3)),
    "named_upper": Case(lambda mx: mx.init.create("MSRAPrelu", "in"), "a_weight", (8, 3)),
    "named_text": Case(lambda mx: mx.init.create('["normal", {"sigma": 0.125}]'), "a_weight", (8, 3)),
    "named_keyword": Case(lambda mx: mx.init.create(initializer="uniform", scale=0.5), "a_weight", (8, 3)),
    "mixed": Case(lambda mx: mx.init.Mixed([".*bias", ".*"], [mx.init.Zero(), mx.init.Uniform(0.5)]), "w_weight", (2,)),
    "own": Case(
        lambda mx: mx.init.Zero(), "a_bias", (2, 3), attrs={"__init__": '["xavier", {"rnd_type": "gaussian"}]'}
    ),
    "fused_xavier": Case(
        lambda mx: mx.init.FusedRNN(mx.init.Xavier(), **_fused(4, 2, "lstm", True)),
        "a_weight",
        (_size(4, 4, 2, True, 5),),
    ),
    "fused_gru": Case(
        lambda mx: mx.init.FusedRNN(mx.init.Xavier(factor_type="in"), **_fused(4, 2, "gru")),
        "a_weight",
        (_size(3, 4, 2, False, 5),),
    ),
    "fused_network": Case(
        lambda mx: mx.init.MSRAPrelu(),
        "rnn_parameters",
        (_size(1, 4, 1, False, 5),),
        attrs={"__init__": json.dumps(["fusedrnn", {**_fused(4, 1, "rnn_tanh"), "init": None}])},
    ),
}

#: Texts of `dumps`; made and dumped again they have to stay the same.
DUMPED: dict[str, Make] = {
    "zero": lambda mx: mx.init.Zero(),
    "one": lambda mx: mx.init.One(),
    "constant": lambda mx: mx.init.Constant(0.5),
    "constant_int": lambda mx: mx.init.Constant(3),
    "constant_array": lambda mx: mx.init.Constant(mx.nd.array([[1, 2.5]])),
    "constant_numpy": lambda mx: mx.init.Constant(np.array([1, 2])),
    "uniform": lambda mx: mx.init.Uniform(),
    "normal": lambda mx: mx.init.Normal(0.5),
    "orthogonal": lambda mx: mx.init.Orthogonal(rand_type="normal"),
    "xavier": lambda mx: mx.init.Xavier(factor_type="in", magnitude=2.34),
    "msra": lambda mx: mx.init.MSRAPrelu(),
    "bilinear": lambda mx: mx.init.Bilinear(),
    "lstm_bias": lambda mx: mx.init.LSTMBias(),
    "fused": lambda mx: mx.init.FusedRNN(None, 4, 1, "lstm"),
    "fused_inner": lambda mx: mx.init.FusedRNN(mx.init.Xavier("gaussian"), 4, 2, "gru", True, 0.5),
    "base": lambda mx: mx.init.Initializer(a=1, b="x"),
}

#: Pairs that are equal or not.
EQUAL: dict[str, Make] = {
    "same": lambda mx: mx.init.Xavier() == mx.init.Xavier(),
    "spelt_out": lambda mx: mx.init.Xavier() == mx.init.Xavier("uniform", "avg", 3),
    "other": lambda mx: mx.init.Uniform(0.1) == mx.init.Uniform(0.2),
    "other_class": lambda mx: mx.init.Zero() == mx.init.One(),
    "subclass": lambda mx: mx.init.Xavier("gaussian", "avg", 2) == mx.init.MSRAPrelu(slope=0),
    "text": lambda mx: mx.init.Zero() == "zero",
    "verbosity": lambda mx: mx.init.Zero() == mx.init.Zero().set_verbosity(True),
    "through_text": lambda mx: mx.init.create(mx.init.MSRAPrelu("in").dumps()) == mx.init.MSRAPrelu("in"),
    "instance": lambda mx: (lambda x: mx.init.create(x) is x)(mx.init.Normal()),
    "unequal": lambda mx: mx.init.Normal() != mx.init.Normal(0.01),
}

#: What is logged at verbosity, by these calls.
LOGGED: dict[str, Case] = {
    "weight": Case(lambda mx: mx.init.One().set_verbosity(True), "x_weight", (2, 2)),
    "bias": Case(lambda mx: mx.init.One().set_verbosity(True), "x_bias", (2, 2)),
    "max": Case(lambda mx: mx.init.Zero().set_verbosity(True), "x_max", (4,)),
    "own": Case(
        lambda mx: mx.init.One().set_verbosity(True), "x", (4,), attrs={"__init__": '["constant", {"value": 0.5}]'}
    ),
    "function": Case(lambda mx: mx.init.One().set_verbosity(True, lambda x: f"{x.size} of them"), "x_weight", (3,)),
    "off": Case(lambda mx: mx.init.One().set_verbosity(True).set_verbosity(), "x_weight", (3,)),
    "never": Case(lambda mx: mx.init.One(), "x_weight", (3,)),
    "plain": Case(lambda mx: mx.init.One().set_verbosity(True), "x_weight", (3,), plain=True),
    "load": Case(lambda mx: mx.init.Load({"a": mx.nd.ones((3,))}, verbose=True), "a", (3,)),
    "load_default": Case(lambda mx: mx.init.Load({}, mx.init.One(), True), "a_weight", (3,)),
}


def _call(make: Make, name: str, shape: tuple[int, ...], **more: Any) -> Make:
    return lambda mx: call(mx, Case(make, name, shape, **more))


#: Calls that are refused.
REFUSED: dict[str, Make] = {
    "unknown_name": _call(lambda mx: mx.init.Zero(), "data", (2,)),
    "unknown_name_moving": _call(lambda mx: mx.init.Zero(), "moving_mean", (2,)),
    "unknown_name_plain": _call(lambda mx: mx.init.Zero(), "data", (2,), plain=True),
    "base": _call(lambda mx: mx.init.Initializer(), "x_weight", (2,)),
    "base_own": _call(lambda mx: mx.init.Zero(), "x", (2,), attrs={"__init__": "initializer"}),
    "own_unknown": _call(lambda mx: mx.init.Zero(), "x", (2,), attrs={"__init__": '["nothing", {}]'}),
    "own_damaged": _call(lambda mx: mx.init.Zero(), "x", (2,), attrs={"__init__": '["zero", {'}),
    "own_arguments": _call(lambda mx: mx.init.Zero(), "x", (2,), attrs={"__init__": '["zero", {"a": 1}]'}),
    "own_vector": _call(lambda mx: mx.init.Zero(), "x", (2,), attrs={"__init__": '["xavier", {}]'}),
    "create_unknown": lambda mx: mx.init.create("nothing"),
    "create_number": lambda mx: mx.init.create(3),
    "create_function": lambda mx: mx.init.create(print),
    "create_instance_and_more": lambda mx: mx.init.create(mx.init.Zero(), 1),
    "create_text_and_more": lambda mx: mx.init.create('["uniform", {}]', scale=1),
    "create_arguments": lambda mx: mx.init.create("uniform", sigma=1),
    "register_other": lambda mx: mx.init.register(dict),
    "plain_number": lambda mx: mx.init.Zero()(3, mx.nd.ones((2,))),
    "plain_numpy": lambda mx: mx.init.Zero()("x_weight", np.ones(2)),
    "plain_stn": _call(lambda mx: mx.init.Zero(), "stn_loc_bias", (5,), plain=True),
    "xavier_vector": _call(lambda mx: mx.init.Xavier(), "x_weight", (2,)),
    "msra_vector": _call(lambda mx: mx.init.MSRAPrelu(), "x_weight", (2,)),
    "xavier_factor": _call(lambda mx: mx.init.Xavier(factor_type="both"), "x_weight", (2, 2)),
    "xavier_random": _call(lambda mx: mx.init.Xavier("normal"), "x_weight", (2, 2)),
    "xavier_magnitude": lambda mx: mx.init.Xavier(magnitude="much"),
    "bilinear_matrix": _call(lambda mx: mx.init.Bilinear(), "x_weight", (2, 2)),
    "uniform_int": _call(lambda mx: mx.init.Uniform(), "x_weight", (2, 2), dtype="int32"),
    "normal_int": _call(lambda mx: mx.init.Normal(), "x_weight", (2, 2), dtype="int32"),
    "uniform_negative": _call(lambda mx: mx.init.Uniform(-1), "x_weight", (2, 2)),
    "uniform_nan": _call(lambda mx: mx.init.Uniform(float("nan")), "x_weight", (2, 2)),
    "normal_negative": _call(lambda mx: mx.init.Normal(-1), "x_weight", (2, 2)),
    "normal_zero": _call(lambda mx: mx.init.Normal(0), "x_weight", (2, 2)),
    "xavier_negative": _call(lambda mx: mx.init.Xavier(magnitude=-1), "x_weight", (2, 2)),
    "orthogonal_vector": _call(lambda mx: mx.init.Orthogonal(), "x_weight", (3,)),
    "orthogonal_random": _call(lambda mx: mx.init.Orthogonal(rand_type="gaussian"), "x_weight", (3, 3)),
    "fused_mode": _call(lambda mx: mx.init.FusedRNN(mx.init.One(), 4, 1, "rnn"), "x_weight", (10,)),
    "constant_shape": _call(lambda mx: mx.init.Constant(mx.nd.ones((3,))), "x_weight", (2, 2)),
    "load_list": lambda mx: mx.init.Load([1]),
    "load_shape": _call(lambda mx: mx.init.Load({"arg:x": mx.nd.ones((2,))}), "x", (3,)),
    "load_missing": _call(lambda mx: mx.init.Load({"arg:x": mx.nd.ones((2,))}), "y", (3,)),
    "mixed_lengths": lambda mx: mx.init.Mixed([".*", "a"], [mx.init.Zero()]),
    "mixed_none": _call(lambda mx: mx.init.Mixed(["a"], [mx.init.Zero()]), "ba", (2,)),
    "fused_size": _call(lambda mx: mx.init.FusedRNN(mx.init.One(), 4, 2, "lstm"), "x_weight", (100,)),
    "fused_small": _call(lambda mx: mx.init.FusedRNN(mx.init.One(), 4, 2, "lstm"), "x_weight", (3,)),
    "fused_init": lambda mx: mx.init.FusedRNN(print, 4, 2, "lstm"),
}


def rest(name: str, arr: Any) -> None:
    """Initialize what no rule of names knows."""
    arr[:] = 3


def _own_class(mx: Any) -> Any:
    """Return an initializer of a program's own, which draws and says what happens to every kind of name."""

    class Own(mx.init.Initializer):
        def _init_weight(self, name: str, arr: Any) -> None:
            mx.random.uniform(1, 2, shape=arr.shape, out=arr)
            mx.random.normal(0, 1, shape=arr.shape)
            arr[:] = arr >= 1  # all of them
            if name.attrs.get("__lr_mult__"):
                arr *= 7

        def _init_gamma(self, name: str, arr: Any) -> None:
            arr[:] = 5

        def _init_default(self, name: str, arr: Any) -> None:
            arr[:] = 6

    return Own()


#: Initializers of a whole module, and of its first weight by itself.
MODULES: dict[str, tuple[Make, Make | None]] = {
    "mixed": (lambda mx: mx.init.Mixed(["scale", "fc", ".*"], [rest, mx.init.Constant(0.5), mx.init.One()]), None),
    "function": (lambda mx: rest, lambda mx: mx.init.Zero()),
    "own_array": (lambda mx: _own_class(mx), lambda mx: mx.init.Constant(mx.nd.array([1, 2, 3]))),
    "own_name": (lambda mx: _own_class(mx), lambda mx: "ones"),
    "own_class": (lambda mx: _own_class(mx), None),
    "no_rule": (lambda mx: mx.init.Xavier(), None),
    "no_pattern": (lambda mx: mx.init.Mixed(["fc"], [mx.init.One()]), None),
    "not_loaded": (lambda mx: mx.init.Load({"fc_weight": mx.nd.ones((2, 3))}), None),
    "own_unknown": (lambda mx: mx.init.One(), lambda mx: "nothing"),
    "own_shape": (lambda mx: mx.init.One(), lambda mx: mx.init.Constant(mx.nd.ones((5,)))),
    "vectors": (lambda mx: mx.init.Mixed([".*"], [mx.init.FusedRNN(mx.init.One(), 2, 1, "gru")]), None),
}


def module(mx: Any, name: str) -> Any:
    """Return the module of a case, bound, and its initializer."""
    init, own = MODULES[name]
    weight = mx.sym.Variable("fc_weight", init=own and own(mx), lr_mult=2 if name == "own_class" else None)
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), weight, num_hidden=2, name="fc")
    x = mx.sym.LeakyReLU(mx.sym.BatchNorm(x, name="bn"), act_type="prelu", name="act")
    made = mx.mod.Module(mx.sym.broadcast_mul(x, mx.sym.Variable("scale", shape=(1, 2))), label_names=None)
    made.bind([("data", (4, 3))])
    return made, init(mx)


def parameters(made: Any) -> dict[str, list]:
    """Return all values of a module by name."""
    args, aux = made.get_params()
    return {name: arr.asnumpy().tolist() for name, arr in sorted({**args, **aux}.items())}


def call(mx: Any, case: Case) -> Any:
    """Return the array that the initializer has written to; it held 42 before."""
    arr = mx.nd.full(case.shape, 42, dtype=case.dtype)
    case.make(mx)(case.name if case.plain else mx.init.InitDesc(case.name, case.attrs), arr)
    return arr


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers that stand for those drawn: all values of random initializers follow from them."""
    return np.random.RandomState(zlib.crc32(str(shape).encode())).uniform(-1, 1, shape).astype(np.float32)
