"""mx.sym against what MXNet 1.9.1 says of the same symbols: names, attributes, JSON, shapes, types, errors."""

from __future__ import annotations

import importlib
import json
import operator
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.symbol import NotImplementedForSymbol

GOLDEN = Path(__file__).resolve().parent / "golden"
CONTROL_FLOW = {"control_flow_foreach", "control_flow_while", "control_flow_cond", "control_flow_nested"}
XAVIER = json.dumps(["xavier", {"rnd_type": "gaussian", "factor_type": "avg", "magnitude": 2}])


@pytest.fixture(autouse=True)
def counters():
    """Let automatic names count from zero in every test."""
    with mx.name.NameManager():
        yield


def golden_module(name: str) -> ModuleType:
    sys.path.insert(0, str(GOLDEN))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(GOLDEN))


def library() -> Any:
    """Return what the builders take for MXNet."""
    init = SimpleNamespace(Xavier=lambda **kwargs: SimpleNamespace(dumps=lambda: XAVIER))
    return SimpleNamespace(sym=mx.sym, name=mx.name, AttrScope=mx.AttrScope, init=init)


def nodes(symbol: mx.Symbol) -> list[dict[str, Any]]:
    return json.loads(symbol.tojson())["nodes"]


def operators(symbol: mx.Symbol) -> list[tuple[str, str, dict[str, str]]]:
    return [(n["op"], n["name"], n.get("attrs", {})) for n in nodes(symbol) if n["op"] != "null"]


def op_inputs(symbol: mx.Symbol) -> list[list[list[int]]]:
    return [n["inputs"] for n in nodes(symbol) if n["op"] != "null"]


def variables(*names: str) -> list[mx.Symbol]:
    return [mx.sym.Variable(name) for name in names]


# Whole symbols --------------------------------------------------------------------------------------------------------

BUILDERS = golden_module("symbols").BUILDERS
EXPECTED = json.loads((GOLDEN / "json" / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(set(BUILDERS) - CONTROL_FLOW))
def test_builder_writes_the_bytes_of_mxnet(name: str) -> None:
    symbol = BUILDERS[name](library())
    assert symbol.tojson() == (GOLDEN / "json" / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - CONTROL_FLOW))
def test_what_mxnet_says_of_a_symbol(name: str) -> None:
    symbol, want = mx.sym.load(GOLDEN / "json" / f"{name}.json"), EXPECTED[name]
    assert symbol.list_arguments() == want["arguments"]
    assert symbol.list_outputs() == want["outputs"]
    assert symbol.list_auxiliary_states() == want["auxiliary_states"]
    assert symbol.get_internals().list_outputs() == want["internals"]
    children = symbol.get_children()
    assert (None if children is None else children.list_outputs()) == want["children"]
    assert symbol.attr_dict() == want["attr_dict"]
    shapes = symbol.infer_shape_partial(**{key: tuple(shape) for key, shape in want["given"].items()})
    for listed, kind in zip(shapes, ("arguments", "outputs", "auxiliary_states"), strict=True):
        assert [list(shape) for shape in listed] == list(want["shapes"][kind].values()), kind
    types = symbol.infer_type_partial(**dict.fromkeys(want["given"], np.float32))
    for listed, kind in zip(types, ("arguments", "outputs", "auxiliary_states"), strict=True):
        names = [None if dtype is None else np.dtype(dtype).name for dtype in listed]
        assert names == list(want["types"][kind].values()), kind


NETWORKS = ["networks_convolutional", "networks_sequential"]


@pytest.mark.parametrize("module", NETWORKS)
def test_networks_are_written_with_the_bytes_of_mxnet(module: str) -> None:
    compared = 0
    for name, build in golden_module(module).NETWORKS.items():
        if name.startswith(("loop", "branch", "unrolled", "fused")):  # control flow and mx.rnn
            continue
        with mx.name.NameManager():
            symbol = build(library()).symbol
        assert symbol.tojson() == (GOLDEN / "networks" / f"{name}.json").read_text(encoding="utf-8"), name
        compared += 1
    assert compared >= 7


# Variables and attributes ---------------------------------------------------------------------------------------------


def test_variable_attributes() -> None:
    full = mx.sym.Variable(
        "x", __foo__=2, shape=(2, 3), lr_mult=2, wd_mult=0.5, dtype="float16", init="zeros", stype="row_sparse"
    )
    assert full.list_attr() == {
        "__foo__": "2", "__shape__": "(2, 3)", "__lr_mult__": "2", "lr_mult": "2", "__wd_mult__": "0.5",
        "wd_mult": "0.5", "__dtype__": "2", "__init__": "zeros", "__storage_type__": "1",
    }  # fmt: skip
    assert mx.sym.var("x", attr={"a": "b"}).list_attr() == {"a": "b"}
    assert mx.sym.var("x", shape=5).attr("__shape__") == "5"
    assert mx.sym.var("x", init=SimpleNamespace(dumps=lambda: '["one", {}]')).attr("__init__") == '["one", {}]'
    assert mx.sym.var is mx.sym.Variable


def test_variable_refuses() -> None:
    with pytest.raises(TypeError, match="Expect a string for variable `name`, got 3"):
        mx.sym.Variable(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"name=foo is not supported.*__yourattr__"):
        mx.sym.Variable("x", foo=2)
    with pytest.raises(ValueError, match="only accepts string values, got a=1"):
        mx.sym.Variable("x", attr={"a": 1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="stype: expected one of undefined, default, row_sparse, csr"):
        mx.sym.Variable("x", stype="dense")
    with pytest.raises(mx.MXNetError, match="dtype"):
        mx.sym.Variable("x", dtype="float33")


def test_attributes_that_hide_behind_underscores() -> None:
    v = mx.sym.Variable("v")
    v._set_attr(lr_mult="3", __foo__="7", bar="8")
    assert nodes(v)[0]["attrs"] == {"__lr_mult__": "3", "__foo__": "7", "bar": "8"}
    assert v.list_attr() == {"__lr_mult__": "3", "lr_mult": "3", "__foo__": "7", "bar": "8"}
    assert (v.attr("lr_mult"), v.attr("__lr_mult__"), v.attr("nothing"), v.attr("name")) == ("3", "3", None, "v")
    with pytest.raises(mx.MXNetError, match=r"weight_lr_mult.*weight=w"):
        v._set_attr(weight_lr_mult="1")
    v._set_attr(name="renamed")
    assert (v.name, v.attr("name"), v.list_arguments()) == ("renamed", "renamed", ["renamed"])


def test_set_attr_of_an_operator_is_checked_and_seen_by_all() -> None:
    fc = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc")
    assert fc.infer_shape(data=(2, 3))[1] == [(2, 4)]
    fc.get_internals()["fc_output"]._set_attr(num_hidden="7")
    assert fc.infer_shape(data=(2, 3))[1] == [(2, 7)]
    for wrong in ({"num_hidden": "x"}, {"bogus": "1"}):
        with pytest.raises(mx.MXNetError, match=r"node 'fc': FullyConnected.*(num_hidden|bogus)"):
            fc._set_attr(**wrong)
    assert fc.list_attr() == {"num_hidden": "7"}
    with pytest.raises(ValueError, match="only accepts string values"):
        fc._set_attr(num_hidden=3)  # type: ignore[arg-type]
    with pytest.raises(mx.MXNetError, match="is a group"):
        mx.sym.Group([fc, mx.sym.Variable("x")])._set_attr(a="b")


def test_attr_of_groups() -> None:
    x, y = variables("x", "y")
    group = mx.sym.Group([x, y])
    assert (group.name, group.attr("a"), group.list_attr(), group.attr_dict()) == (None, None, {}, {})
    parts = mx.sym.split(x, num_outputs=2)
    assert (parts.name, parts.attr("num_outputs"), parts[1].attr("num_outputs")) == ("split0", "2", "2")
    with pytest.raises(DeprecationWarning, match="attr_dict"):
        x.list_attr(recursive=True)


def test_operator_attributes_and_those_of_its_variables() -> None:
    fc = mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=3, __foo__=1, lr_mult=2, attr={"__k__": "v"}, name="f")
    want = {"num_hidden": "3", "__foo__": "1", "__lr_mult__": "2", "lr_mult": "2", "__k__": "v"}
    assert fc.attr_dict() == {"f_weight": want, "f_bias": want, "f": want}
    with pytest.raises(mx.MXNetError, match="node 'fullyconnected0': FullyConnected: unknown attribute 'foo'"):
        mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=3, foo=1)


def test_initializers_that_operators_give_their_inputs() -> None:
    x, mean, var = mx.sym.Variable("x"), mx.sym.Variable("mean"), mx.sym.Variable("var", init="ones")
    bn = mx.sym.BatchNorm(x, moving_mean=mean, moving_var=var, eps=1e-5, name="bn")
    assert bn.attr_dict() == {
        "bn_gamma": {"eps": "1e-05"}, "bn_beta": {"eps": "1e-05"}, "mean": {"__init__": '["zero", {}]'},
        "var": {"__init__": "ones"}, "bn": {"eps": "1e-05"},
    }  # fmt: skip
    prelu = mx.sym.LeakyReLU(x, act_type="prelu", name="p")
    assert prelu.attr_dict()["p_gamma"] == {"__init__": '["Constant", {"value": 0.25}]', "act_type": "prelu"}
    up = mx.sym.UpSampling(x, scale=2, sample_type="bilinear", num_filter=3, name="up")
    assert up.list_arguments() == ["x", "up_weight"]
    assert up.attr_dict()["up_weight"]["__init__"] == '["bilinear", {}]'


def test_attr_scope() -> None:
    x = mx.sym.Variable("x")
    with mx.AttrScope(__a__="1"):
        with mx.AttrScope(__a__="2", __b__="3") as inner:
            assert mx.sym.Variable("v").list_attr() == {"__a__": "2", "__b__": "3"}
            assert mx.sym.Variable("v", __a__="9").attr("__a__") == "9"
            assert mx.sym.Variable("v", attr={"__a__": "8"}).attr("__a__") == "8"
            assert mx.sym.relu(x, attr={"__a__": "8"}).list_attr() == {"__a__": "8", "__b__": "3"}
            assert mx.sym.relu(x, __a__="8").list_attr() == {"__a__": "2", "__b__": "3"}
            assert (x + 1).list_attr() == {"scalar": "1", "__a__": "2", "__b__": "3"}
            assert inner.get({"__a__": "x"}) == {"__a__": "x", "__b__": "3"}
        assert mx.sym.Variable("v").list_attr() == {"__a__": "1"}
    assert mx.sym.Variable("v").list_attr() == {}
    with mx.AttrScope(ctx_group="g"):
        assert mx.sym.zeros((2,)).attr("__ctx_group__") == "g"
    with pytest.raises(ValueError, match="Attributes need to be string: a=1"):
        mx.AttrScope(a=1)  # type: ignore[arg-type]
    with pytest.warns(DeprecationWarning, match=r"AttrScope\.current"):
        assert mx.AttrScope.current.get({"a": "b"}) == {"a": "b"}


# Names ----------------------------------------------------------------------------------------------------------------


def test_automatic_names_come_from_the_alias_used() -> None:
    x, y = variables("x", "y")
    made = [
        mx.sym.relu(x), mx.sym.Activation(x, act_type="relu"), mx.sym._internal._plus(x, y), mx.sym.elemwise_add(x, y),
        mx.sym.broadcast_plus(x, y), mx.sym.Flatten(x), mx.sym.flatten(x), mx.sym.SwapAxis(x), mx.sym.swapaxes(x),
        mx.sym.random.uniform(), mx.sym.random_uniform(), mx.sym.uniform(), mx.sym.zeros((2,)),
        mx.sym._internal._zeros(shape=(2,)), mx.sym.ones((2,)), mx.sym.full((2,), 1), mx.sym.arange(3), mx.sym.eye(2),
        mx.sym.linspace(0, 1, 3), x.relu(), x.astype("int32"), x.sum(), mx.sym.op.relu(x), mx.sym.sum_axis(x),
        mx.sym.Reshape(x, shape=(1,)), x.reshape((1,)), mx.sym.power(x, y), mx.sym.power(x, 2), mx.sym.maximum(x, y),
        mx.sym.maximum(2, x), mx.sym.minimum(x, 2), mx.sym.hypot(x, y), mx.sym.hypot(x, 2), mx.sym.pow(x, 2),
        mx.sym.power(2, x), x.flip(axis=0), x.split_v2(2), x.broadcast_axes(axis=0, size=2),
    ]  # fmt: skip
    assert [symbol.name for symbol in made] == [
        "relu0", "activation0", "_plus0", "elemwise_add0",
        "broadcast_plus0", "flatten0", "flatten1", "swapaxis0", "swapaxes0",
        "_random_uniform0", "random_uniform0", "uniform0", "_zeros0",
        "_zeros1", "_ones0", "_full0", "_arange0", "_eye0",
        "_linspace0", "relu1", "cast0", "sum0", "relu2", "sum_axis0",
        "reshape0", "reshape1", "_power0", "_powerscalar0", "_maximum0",
        "_maximumscalar0", "_minimumscalar0", "_hypot0", "_hypotscalar0", "_powerscalar1",
        "_rpowerscalar0", "flip0", "_split_v20", "broadcast_axes0",
    ]  # fmt: skip


def test_name_managers() -> None:
    x, y = variables("x", "y")
    with mx.name.Prefix("p_") as prefix:
        assert mx.sym.relu(x).name == "p_relu0"
        assert mx.sym.relu(x, name="q").name == "p_q"
        assert (x + y).name == "p__plus0"
        assert mx.sym.FullyConnected(x, num_hidden=2).list_arguments()[1:] == [
            "p_fullyconnected0_weight",
            "p_fullyconnected0_bias",
        ]
        assert mx.sym.Variable("v").name == "v"
        with mx.name.Prefix("b_"):
            assert mx.sym.relu(x).name == "b_relu0"
        assert mx.name.current() is prefix
    manager = mx.name.NameManager()
    with manager:
        assert mx.sym.relu(x, name="").name == "relu0"
    with manager:
        assert mx.sym.relu(x).name == "relu1"

    class Mine(mx.name.NameManager):
        def get(self, name: str | None, hint: str) -> str:
            return "my_" + (name or hint)

    with Mine():
        assert [mx.sym.relu(x).name, mx.sym.relu(x, name="k").name] == ["my_relu", "my_k"]
    with pytest.raises(TypeError, match="expected a string for `name`, got 3"):
        mx.sym.relu(x, name=3)
    with pytest.warns(DeprecationWarning, match=r"NameManager\.current"):
        assert mx.name.NameManager.current.get(None, "foo") == "foo0"


def test_every_thread_counts_and_scopes_for_itself() -> None:
    x = mx.sym.Variable("x")
    found: list[Any] = []

    def work() -> None:
        found.append(mx.sym.relu(x).name)
        found.append(mx.sym.Variable("v").list_attr())

    with mx.name.Prefix("a_"), mx.AttrScope(__k__="1"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == ["relu0", {}]


# Calling operators ----------------------------------------------------------------------------------------------------


def test_arguments_of_operator_functions() -> None:
    x, w, b = variables("x", "w", "b")
    fc = mx.sym.FullyConnected
    assert fc(num_hidden=3).list_arguments() == [f"fullyconnected0_{n}" for n in ("data", "weight", "bias")]
    assert fc(x, None, b, num_hidden=3).list_arguments() == ["x", "fullyconnected1_weight", "b"]
    assert fc(x, w, b, 7).list_attr() == {"num_hidden": "7"}
    assert fc(weight=w, data=x, num_hidden=1, no_bias=True).list_arguments() == ["x", "w"]
    assert mx.sym.where(x).list_arguments() == ["x", "where0_x", "where0_y"]
    assert mx.sym.RNN(x, state_size=3, num_layers=1, mode="lstm", name="r").list_arguments() == [
        "x", "r_parameters", "r_state", "r_state_cell",
    ]  # fmt: skip
    assert mx.sym.SequenceMask(x, use_sequence_length=True, name="s").list_arguments() == ["x", "s_sequence_length"]
    for call, message in [
        (lambda: fc(3, num_hidden=3), "argument 'data' must be a Symbol, got 3"),
        (lambda: fc(x, w, b, w, num_hidden=3), "multiple values for argument 'num_hidden'"),
        (lambda: fc(x, data=w, num_hidden=3), "multiple values for argument 'data'"),
        (lambda: fc(x, w, b, num_hidden=w), "attribute 'num_hidden' can not be a Symbol"),
        (lambda: mx.sym.relu(x, 1, 2, 3), "at most 1 positional"),
    ]:
        with pytest.raises(TypeError, match=message):
            call()
    for call, message in [
        (lambda: fc(x), "'num_hidden'.*required"),
        (lambda: fc(x, num_hidden="a"), "'num_hidden'.*'a'"),
        (lambda: fc(x, foo=w, num_hidden=2), "no input 'foo' with these attributes; the inputs are data, weight, bias"),
        (lambda: fc(x, bias=b, no_bias=True, num_hidden=2), "no input 'bias'"),
        (lambda: mx.sym.LeakyReLU(x, w, act_type="leaky"), "no input 'gamma'"),
        (lambda: mx.sym.Activation(x, act_type="foo"), "'relu', 'sigmoid'"),
        (lambda: mx.sym.relu(mx.sym.split(x, num_outputs=2)), "argument 'data' has 2 outputs"),
        (lambda: mx.sym.split(x, num_outputs=2) + 1, "has 2 outputs"),
    ]:
        with pytest.raises(mx.MXNetError, match=message):
            call()


def test_operators_of_any_number_of_inputs() -> None:
    x, y = variables("x", "y")
    concat = mx.sym.Concat
    for symbol in (concat(x, y), concat([x, y]), concat(arg0=x, arg1=y), concat(x, y, num_args=2)):
        assert symbol.list_arguments() == ["x", "y"]
        assert symbol.list_attr() == {"num_args": "2"}
    assert concat(x, y, dim=np.int64(2), name="c").list_attr() == {"num_args": "2", "dim": "2"}
    assert concat(arg1=y, num_args=2, name="c").list_arguments() == ["c_arg0", "y"]
    assert concat(x, num_args=2, name="c").list_arguments() == ["x", "c_arg1"]
    assert concat(mx.sym.split(x, num_outputs=3, name="s")[1], name="c").list_outputs() == ["c_output"]
    assert mx.sym.ElementWiseSum(x, y).name == "elementwisesum0"
    assert mx.sym.amp_multicast(x, y, num_outputs=2).list_attr() == {"num_outputs": "2"}
    with pytest.raises(TypeError, match="by position or by name, not both"):
        concat(x, arg1=y)
    with pytest.raises(TypeError, match="positional arguments must be Symbols, got 3"):
        concat(x, 3)
    with pytest.raises(mx.MXNetError, match="num_args"):
        concat()
    with pytest.raises(mx.MXNetError, match="expected 1 inputs, got 2"):
        concat(x, x, num_args=1)
    with pytest.raises(mx.MXNetError, match="no input 'a'"):
        concat(a=x, b=y)


def test_attribute_texts() -> None:
    x = mx.sym.Variable("x")
    assert operators(mx.sym.sum(x, None, True)) == [("sum", "sum0", {"axis": "None", "keepdims": "True"})]
    assert operators(x.squeeze(inplace=True)) == [("squeeze", "squeeze0", {"axis": "None"})]
    kernel = mx.sym.Convolution(x, kernel=(np.int64(3), 3), num_filter=np.int32(2))
    assert kernel.list_attr() == {"kernel": "(3, 3)", "num_filter": "2"}
    assert mx.sym.tile(x, reps=(np.int64(2),)).list_attr() == {"reps": "(2,)"}
    assert mx.sym.Dropout(x, 0.5).list_attr() == {"p": "0.5"}
    assert mx.sym.Dropout(x, p=np.float32(0.3)).list_attr() == {"p": "0.3"}
    for dtype in ("int32", np.int32, np.dtype("int32")):
        assert mx.sym.Cast(x, dtype=dtype).list_attr() == {"dtype": "int32"}
    assert mx.sym.softmax(x, dtype=None).list_attr() == {"dtype": "float64"}  # NumPy's default, as in MXNet
    assert x.reshape(1, 2).list_attr() == x.reshape((1, 2)).list_attr() == x.reshape(shape=(1, 2)).list_attr()
    assert x.reshape([1, 2], reverse=True).list_attr() == {"shape": "[1, 2]", "reverse": "True"}
    assert x.slice_axis(0, 1, 2).list_attr() == {"axis": "0", "begin": "1", "end": "2"}
    assert x.clip(0, 1).list_attr() == {"a_min": "0", "a_max": "1"}
    assert x.broadcast_to((2, 3)).list_attr() == {"shape": "(2, 3)"}
    assert x.expand_dims(1).list_attr() == {"axis": "1"}


def test_creation_functions() -> None:
    x, y = variables("x", "y")
    made = {
        "_zeros": (mx.sym.zeros(3), {"shape": "3", "dtype": "float32"}),
        "_ones": (mx.sym.ones((2,), dtype=np.float16), {"shape": "(2,)", "dtype": "float16"}),
        "_full": (mx.sym.full((2,), 3, name="f"), {"shape": "(2,)", "dtype": "float32", "value": "3.0"}),
        "_arange": (
            mx.sym.arange(1, 5, 0.5, 2),
            {"start": "1", "stop": "5", "step": "0.5", "repeat": "2", "infer_range": "False", "dtype": "float32"},
        ),
        "_eye": (mx.sym.eye(3), {"N": "3", "M": "0", "k": "0", "dtype": "float32"}),
        "_linspace": (
            mx.sym.linspace(0, 1, 5, endpoint=False),
            {"start": "0", "stop": "1", "num": "5", "endpoint": "False", "dtype": "float32"},
        ),
        "_split_v2": (
            mx.sym.split_v2(x, (1, 2), axis=1),
            {"indices": "[0, 1, 2]", "axis": "1", "squeeze_axis": "False", "sections": "0"},
        ),
        "_rpower_scalar": (mx.sym.power(2, x), {"scalar": "2"}),
        "_hypot_scalar": (mx.sym.hypot(3, x), {"scalar": "3"}),
        "_power": (mx.sym.power(x, y), {}),
    }
    for op, (symbol, attrs) in made.items():
        assert operators(symbol)[-1][::2] == (op, attrs)
    assert (mx.sym.power(2, 3), mx.sym.maximum(2, 3), mx.sym.minimum(2, 3), mx.sym.hypot(3, 4)) == (8, 3, 2, 5.0)
    with pytest.raises(TypeError, match=r"types \(str, Symbol\) not supported"):
        mx.sym.power("a", x)
    with pytest.raises(TypeError, match="indices_or_sections"):
        mx.sym.split_v2(x, 1.5)  # type: ignore[arg-type]


def test_random_functions() -> None:
    x, y = variables("x", "y")
    random = mx.sym.random
    for symbol, op, attrs in [
        (random.uniform(0, 1, shape=(2,)), "_random_uniform", {"low": "0", "high": "1", "shape": "(2,)"}),
        (random.uniform(x, y, shape=(2,)), "_sample_uniform", {"shape": "(2,)"}),
        (random.normal(0, 1, (2, 3), "float16"), "_random_normal",
         {"loc": "0", "scale": "1", "shape": "(2, 3)", "dtype": "float16"}),
        (random.normal(x, y), "_sample_normal", {}),
        (random.randn(2, 3), "_random_normal", {"loc": "0", "scale": "1", "shape": "(2, 3)"}),
        (random.exponential(2), "_random_exponential", {"lam": "0.5"}),
        (random.gamma(1, 2), "_random_gamma", {"alpha": "1", "beta": "2"}),
        (random.poisson(2), "_random_poisson", {"lam": "2"}),
        (random.randint(0, 5, shape=3), "_random_randint", {"low": "0", "high": "5", "shape": "3"}),
        (random.multinomial(x), "_sample_multinomial", {"get_prob": "True", "dtype": "int32"}),
        (random.shuffle(x), "_shuffle", {}),
        (random.uniform_like(x, low=1), "_random_uniform_like", {"low": "1"}),
    ]:  # fmt: skip
        assert operators(symbol)[-1][::2] == (op, attrs)
    assert random.uniform_like(x, name=None).name == "uniform_like1"
    with pytest.raises(TypeError, match="loc Symbol, scale int"):
        random.normal(x, 1)


def test_functions_have_signatures_and_documentation() -> None:
    import inspect

    signature = inspect.signature(mx.sym.FullyConnected)
    assert list(signature.parameters) == ["data", "weight", "bias", "num_hidden", "no_bias", "flatten", "name", "attr"]
    assert "num_hidden" in mx.sym.FullyConnected.__doc__
    assert mx.sym.Concat.__name__ == "Concat"
    assert {"FullyConnected", "Variable", "relu", "zeros"} <= set(dir(mx.sym))
    assert "_plus" in dir(mx.sym._internal) and "uniform_like" in dir(mx.sym.random)
    for namespace, name in [(mx.sym, "nothing"), (mx.sym.contrib, "nothing"), (mx.sym.random, "nothing")]:
        with pytest.raises(AttributeError, match="nothing"):
            getattr(namespace, name)
    for hidden in ("_plus", "_zeros", "_contrib_arange_like"):
        assert not hasattr(mx.sym, hidden)


# Python operators -----------------------------------------------------------------------------------------------------


def test_python_operators_are_elementwise() -> None:
    x, y = variables("x", "y")
    table = {
        "add": ("elemwise_add", "_plus", "_plus_scalar", "_plusscalar", "_plus_scalar", "_plusscalar"),
        "sub": ("elemwise_sub", "_minus", "_minus_scalar", "_minusscalar", "_rminus_scalar", "_rminusscalar"),
        "mul": ("elemwise_mul", "_mul", "_mul_scalar", "_mulscalar", "_mul_scalar", "_mulscalar"),
        "truediv": ("elemwise_div", "_div", "_div_scalar", "_divscalar", "_rdiv_scalar", "_rdivscalar"),
        "mod": ("_mod", "_mod", "_mod_scalar", "_modscalar", "_rmod_scalar", "_rmodscalar"),
        "pow": ("_power", "_power", "_power_scalar", "_powerscalar", "_rpower_scalar", "_rpower_scalar"),
    }
    for word, (op, name, scalar, scalar_name, reflected, reflected_name) in table.items():
        apply = getattr(operator, word)
        with mx.name.NameManager():
            assert operators(apply(x, y)) == [(op, f"{name}0", {})]
            assert operators(apply(x, 2.5)) == [(scalar, f"{scalar_name}0", {"scalar": "2.5"})]
        with mx.name.NameManager():
            assert operators(apply(3, x)) == [(reflected, f"{reflected_name}0", {"scalar": "3"})]
            assert operators(apply(np.float32(0.1), x)) == [(reflected, f"{reflected_name}1", {"scalar": "0.1"})]
    for word, op in {
        "eq": "_equal", "ne": "_not_equal", "gt": "_greater", "ge": "_greater_equal", "lt": "_lesser",
        "le": "_lesser_equal",
    }.items():  # fmt: skip
        assert operators(getattr(operator, word)(x, y)) == [(op, f"{op}0", {})]
        assert operators(getattr(operator, word)(x, 1)) == [(f"{op}_scalar", f"{op}_scalar0", {"scalar": "1"})]
    assert operators(-x) == [("_mul_scalar", "_mulscalar0", {"scalar": "-1.0"})]
    assert operators(abs(x)) == [("abs", "abs0", {})]


def test_python_operators_refuse() -> None:
    x = mx.sym.Variable("x")
    for other in (None, "a", [1], np.array([1, 2])):
        for apply in (operator.add, operator.eq, operator.lt):
            with pytest.raises(TypeError, match="not supported"):
                apply(x, other)
    with pytest.raises(TypeError, match="//"):
        x // 2  # type: ignore[operator]
    with pytest.raises(TypeError, match="unhashable"):
        {x: 1}  # noqa: B018
    for call in (lambda: bool(x), lambda: x in [mx.sym.Variable("y")], x.asnumpy, x.wait_to_read, x.copy):
        with pytest.raises(NotImplementedForSymbol):
            call()
    assert issubclass(NotImplementedForSymbol, mx.MXNetError)


def test_a_graph_without_heads() -> None:
    empty = mx.sym.load_json('{"nodes": [], "arg_nodes": [], "heads": []}')
    assert (len(empty), empty.name, repr(empty), empty.list_outputs()) == (0, None, "<Symbol group []>", [])
    assert json.loads(empty.tojson())["heads"] == []
