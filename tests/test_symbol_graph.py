"""The graph behind mx.sym against MXNet 1.9.1: outputs, composition, copies, inference, files, size."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

import symjit as mx
from tests.test_symbol import counters, nodes, op_inputs, variables

__all__ = ["counters"]  # a fixture, for this module too


def network() -> mx.Symbol:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc")
    return mx.sym.SoftmaxOutput(mx.sym.BatchNorm(x, name="bn"), name="softmax")


# Groups, outputs, structure -------------------------------------------------------------------------------------------


def test_groups() -> None:
    x, y = variables("x", "y")
    fc = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    group = mx.sym.Group([x, fc])
    assert (repr(group), repr(x), repr(fc)) == ("<Symbol group [x, fc]>", "<Symbol x>", "<Symbol fc>")
    assert (len(group), group.list_outputs()) == (2, ["x", "fc_output"])
    assert [symbol.name for symbol in group] == ["x", "fc"]
    assert mx.sym.Group([mx.sym.Group([x, y]), x]).list_outputs() == ["x", "y", "x"]
    assert mx.sym.Group((x,)).name == "x"
    for wrong in ([], [1], x, "ab", (s for s in (x, y))):
        with pytest.raises(TypeError, match="Expected a list of symbols"):
            mx.sym.Group(wrong)  # type: ignore[arg-type]


def test_choosing_outputs() -> None:
    x = mx.sym.Variable("x")
    parts = mx.sym.split(x, num_outputs=3, name="s")
    assert parts.list_outputs() == ["s_output0", "s_output1", "s_output2"]
    assert parts["s_output1"].list_outputs() == parts[1].list_outputs() == parts[np.int64(1)].list_outputs()
    assert parts[0:2].list_outputs() == ["s_output0", "s_output1"] and parts[0:2].name == "s"
    assert parts[::2].list_outputs() == ["s_output0", "s_output2"]
    assert json.loads(parts[1].tojson())["heads"] == [[1, 1, 0]]
    assert parts[1].get_internals().list_outputs() == ["x", *parts.list_outputs()]
    with pytest.raises(IndexError, match="3 outputs"):
        parts[3]
    with pytest.raises(mx.MXNetError, match="nonnegative index, got -1"):
        parts[-1]
    with pytest.raises(ValueError, match='Cannot find output that matches name "s"'):
        parts["s"]
    with pytest.raises(ValueError, match='multiple outputs with name "x"'):
        mx.sym.Group([x, x])["x"]
    for wrong in (None, (0, 1), 1.0):
        with pytest.raises(TypeError, match="integer index"):
            parts[wrong]  # type: ignore[index]
    with pytest.raises(TypeError, match="list of symbols"):
        parts[1:1]


def test_hidden_outputs_stay_hidden() -> None:
    x = mx.sym.Variable("x")
    bn = mx.sym.BatchNorm(x, name="bn")
    assert (len(bn), bn.list_outputs()) == (1, ["bn_output"])
    assert bn.get_internals().list_outputs() == [*bn.list_inputs(), "bn_output"]
    assert bn.list_inputs() == ["x", "bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"]
    assert bn.list_arguments() == ["x", "bn_gamma", "bn_beta"]
    shown = mx.sym.BatchNorm(x, output_mean_var=True, name="bn")
    assert shown.list_outputs() == ["bn_output", "bn_mean", "bn_var"]
    assert mx.sym.LayerNorm(x, output_mean_var=True, name="ln").list_outputs() == ["ln_output", "ln_mean", "ln_std"]
    assert mx.sym.topk(x, ret_typ="both", name="t").list_outputs() == ["t_output0", "t_output1"]


def test_children() -> None:
    net, (x, y) = network(), variables("x", "y")

    def children(symbol: mx.Symbol) -> list[str] | None:
        found = symbol.get_children()
        return None if found is None else found.list_outputs()

    assert children(net) == ["bn_output", "softmax_label"]
    assert children(x) is children(mx.sym.Group([x, y])) is children(mx.sym.zeros((2,))) is None
    assert children(x + x) == ["x", "x"]
    fc = net.get_internals()["fc_output"]
    assert children(mx.sym.Group([net, fc])) == ["bn_output", "softmax_label", "data", "fc_weight", "fc_bias"]
    assert children(mx.sym.Group([net, net])) == ["bn_output", "softmax_label"]
    assert children(mx.sym.split(x, num_outputs=2)) == ["x"]


def test_versions_of_states() -> None:
    x, mean = variables("x", "mean")
    first = mx.sym.BatchNorm(x, moving_mean=mean, name="b")
    assert op_inputs(first) == [[[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 1], [4, 0, 1]]]
    reader = first + mean
    assert op_inputs(reader)[1] == [[5, 0, 0], [3, 0, 1]]
    second = mx.sym.BatchNorm(first, moving_mean=mean, name="b2")
    assert op_inputs(second)[1] == [[5, 0, 0], [6, 0, 0], [7, 0, 0], [3, 0, 2], [8, 0, 1]]
    assert json.loads(mx.sym.Group([mean, second]).tojson())["heads"] == [[0, 0, 0], [9, 0, 0]]
    assert json.loads(second.get_internals().tojson())["heads"][3] == [3, 0, 2]
    # Only the operators whose inputs were replaced look at their variables again.
    assert op_inputs(reader(x=mx.sym.Variable("y")))[0][3:] == [[3, 0, 3], [4, 0, 2]]
    assert op_inputs(reader(x=mx.sym.Variable("y")))[1] == [[5, 0, 0], [3, 0, 1]]
    assert op_inputs(reader(name="k")) == op_inputs(reader) == op_inputs(copy.copy(reader))
    with pytest.raises(mx.MXNetError, match=r"'moving_mean' is a state.*must be a variable, but '_plusscalar0'"):
        mx.sym.BatchNorm(x, moving_mean=mean + 1)
    with pytest.raises(mx.MXNetError, match="must be a variable"):
        first(mean=mx.sym.relu(x))


# Composition ----------------------------------------------------------------------------------------------------------


def test_composition_replaces_variables_of_a_copy() -> None:
    x, y = variables("x", "y")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    assert net(data=x).list_arguments() == ["x", "fc_weight", "fc_bias"]
    assert net(fc_weight=y, data=x).list_arguments() == ["x", "y", "fc_bias"]
    assert net(data=net).list_arguments() == ["data", "fc_weight", "fc_bias", "fc_weight", "fc_bias"]
    renamed = net(data=mx.sym.relu(x, name="r"), name="new")
    assert [n["name"] for n in nodes(renamed)] == ["x", "r", "fc_weight", "fc_bias", "new"]
    assert net.name == "fc" and net.list_arguments() == ["data", "fc_weight", "fc_bias"]
    assert net(name="other").list_outputs() == ["other_output"] and net().list_outputs() == ["fc_output"]
    group = mx.sym.Group([net, mx.sym.Variable("data") * 2])(data=y, name="g")
    assert group.list_outputs() == ["g_output", "_mulscalar0_output"]
    assert mx.sym.Group([x, net])(x=y).list_outputs() == ["y", "fc_output"]
    assert x(name="renamed").name == "renamed" and x.name == "x"


def test_composition_replaces_every_variable_of_a_name() -> None:
    # MXNet 1.9.1 leaves both alone, without a word.
    both = mx.sym.Variable("data") + mx.sym.Variable("data")
    assert both(data=mx.sym.Variable("x")).list_arguments() == ["x"]


def test_composition_refuses() -> None:
    x = mx.sym.Variable("x")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    with pytest.raises(mx.MXNetError, match=r"no variable 'foo'.*data, fc_weight, fc_bias"):
        net(foo=x)
    with pytest.raises(mx.MXNetError, match="argument 'data' has 2 outputs"):
        net(data=mx.sym.split(x, num_outputs=2))
    with pytest.raises(mx.MXNetError, match=r"name the variables.*symbol\(data="):
        net(x)
    for call in (lambda: net(data=3), lambda: net(3)):
        with pytest.raises(TypeError, match="Compose expect `Symbol`"):
            call()


def test_copies_are_edited_by_themselves() -> None:
    v = mx.sym.Variable("v")
    for other in (copy.copy(v), copy.deepcopy(v), v(name="w"), pickle.loads(pickle.dumps(v))):
        other._set_attr(__a__="1")
        assert v.list_attr() == {}
    net = network()
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert other.tojson() == net.tojson()


# Inference ------------------------------------------------------------------------------------------------------------


def test_infer_shape() -> None:
    net = network()
    want = ([(2, 3), (4, 3), (4,), (4,), (4,), (2,)], [(2, 4)], [(4,), (4,)])
    assert net.infer_shape(data=(2, 3)) == want
    assert net.infer_shape((2, 3)) == net.infer_shape((2, 3), None, (4,)) == want
    assert net.infer_shape(data=(np.int64(2), 3), bn_moving_mean=(4,)) == want
    x, y = variables("x", "y")
    assert (x + y).infer_shape(x=(2, 0), y=(0, 3)) == ([(2, 3), (2, 3)], [(2, 3)], [])
    assert mx.sym.zeros((2,)).infer_shape() == ([], [(2,)], [])
    v = mx.sym.Variable("v", shape=(2, 3))
    assert v.infer_shape() == ([(2, 3)], [(2, 3)], [])
    assert v.infer_shape(v=(3, 3)) == ([(3, 3)], [(3, 3)], [])


def test_infer_shape_of_what_is_not_known() -> None:
    net, (x, y) = network(), variables("x", "y")
    with pytest.warns(UserWarning, match=r"Cannot decide shape(.|\n)*\tdata: \(\)\n\tfc_weight: \(4, 0\)"):
        assert net.infer_shape() == (None, None, None)
    with pytest.warns(UserWarning, match=r"\tdata: \(0, 3\)\n\tsoftmax_label: \(0,\)"):
        assert net.infer_shape(data=(0, 3)) == (None, None, None)
    assert net.infer_shape_partial(data=(0, 3)) == (
        [(0, 3), (4, 3), (4,), (4,), (4,), (0,)], [(0, 4)], [(4,), (4,)],
    )  # fmt: skip
    # MXNet does not even infer the bias, whose shape follows from num_hidden alone.
    assert net.infer_shape_partial() == ([(), (4, 0), (4,), (), (), ()], [()], [()] * 2)
    assert net.infer_shape_partial(data=()) == net.infer_shape_partial()
    assert mx.sym.Group([x, y]).infer_shape_partial(x=(1,)) == ([(1,), ()], [(1,), ()], [])
    conv = mx.sym.Convolution(x, kernel=(3, 3), num_filter=4)
    assert conv.infer_shape_partial(x=(0, 3, 8, 8)) == ([(0, 3, 8, 8), (4, 3, 3, 3), (4,)], [(0, 4, 6, 6)], [])


def test_infer_shape_refuses() -> None:
    net, (x, y) = network(), variables("x", "y")
    with pytest.raises(mx.MXNetError, match=r"FullyConnected.*'fc'.*'weight'.*\(4, 3\).*\(5, 3\)"):
        net.infer_shape(data=(2, 3), fc_weight=(5, 3))
    with pytest.raises(mx.MXNetError, match=r"elemwise_add.*\(2, 3\)"):
        (x + y).infer_shape(x=(2, 3), y=(3, 2))
    with pytest.raises(mx.MXNetError, match=r"no argument 'foo'; the arguments are: data, .*bn_moving_mean"):
        net.infer_shape(foo=(2, 3))
    with pytest.raises(ValueError, match="either by positional or kwargs"):
        net.infer_shape((2, 3), data=(2, 3))
    for wrong in (3, [2, 3], None):
        with pytest.raises(TypeError, match=r"Arguments need to be shapes.*'data'"):
            net.infer_shape(data=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="float"):
        net.infer_shape(data=(2.0, 3))  # type: ignore[arg-type]
    with pytest.raises(mx.MXNetError, match="7 shapes given by position, but there are 6"):
        net.infer_shape(*[(1,)] * 7)


def test_infer_type() -> None:
    net, (x, y) = network(), variables("x", "y")
    half, single, double = np.float16, np.float32, np.float64
    assert net.infer_type(data="float32") == ([single] * 6, [single], [single] * 2)
    # BatchNorm keeps the parameters of a half-precision network in single precision.
    mixed = ([half, half, half, single, single, half], [half], [single, single])
    assert net.infer_type(data=half) == net.infer_type_partial(fc_weight="float16") == mixed
    assert net.infer_type("float64") == ([double] * 6, [double], [double] * 2)
    assert (x + y).infer_type(x="int32") == ([np.int32] * 2, [np.int32], [])
    assert mx.sym.zeros((2,), dtype="float16").infer_type() == ([], [half], [])
    assert (mx.sym.Variable("v", dtype="float16") + 1).infer_type() == ([half], [half], [])
    assert mx.sym.Cast(x, dtype="int32").infer_type_partial() == ([None], [np.int32], [])


def test_infer_type_of_what_is_not_known_or_wrong() -> None:
    net, (x, y) = network(), variables("x", "y")
    with pytest.warns(UserWarning, match=r"Cannot decide type(.|\n)*\tdata: None\n\tfc_weight: None"):
        assert net.infer_type() == (None, None, None)
    assert net.infer_type_partial() == ([None] * 6, [None], [None] * 2)
    assert mx.sym.Group([x, y]).infer_type_partial(x="int32") == ([np.int32, None], [np.int32, None], [])
    with pytest.raises(mx.MXNetError, match=r"FullyConnected.*'fc'.*float32.*float16"):
        net.infer_type(data="float32", fc_weight="float16")
    with pytest.raises(mx.MXNetError, match="float33"):
        net.infer_type(data="float33")
    with pytest.raises(mx.MXNetError, match="no argument 'foo'"):
        net.infer_type(foo="float32")
    with pytest.raises(ValueError, match="types either by positional"):
        net.infer_type("float32", data="float32")


# Files and listings ---------------------------------------------------------------------------------------------------


def test_save_and_load(tmp_path: Path) -> None:
    net = network()
    path = tmp_path / "net-symbol.json"
    path.write_text("old")
    net.save(str(path))
    assert path.read_text() == net.tojson() and list(tmp_path.iterdir()) == [path]
    assert mx.sym.load(path).tojson() == mx.sym.load_json(net.tojson()).tojson() == net.tojson()
    with pytest.raises(TypeError, match="fname need to be string"):
        net.save(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="fname need to be string"):
        mx.sym.load(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="required to be string"):
        mx.sym.load_json(3)  # type: ignore[arg-type]
    with pytest.raises(mx.MXNetError, match="not valid JSON"):
        mx.sym.load_json("{")
    for path, why in ((tmp_path / "nothing", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(mx.MXNetError, match=rf"^cannot open '{path}': {why}.*Check the path and its permissions"):
            mx.sym.load(path)
    with pytest.raises(mx.MXNetError, match="cannot write"):
        net.save(tmp_path / "no" / "folder")


def test_amp_casts_are_left_out_of_files() -> None:
    x = mx.sym.Variable("x")
    net = mx.sym.relu(mx.sym.amp_cast(x, dtype="float16", name="cast"), name="r")
    assert [n["name"] for n in nodes(net)] == ["x", "r"]
    assert [n["name"] for n in json.loads(net.tojson(remove_amp_cast=False))["nodes"]] == ["x", "cast", "r"]


def test_debug_str() -> None:
    x = mx.sym.Variable("x")
    assert x.debug_str() == "Variable:x\n"
    assert mx.sym.Group([x, mx.sym.Variable("y")]).debug_str() == (
        "Symbol Outputs:\n\toutput[0]=x(0)\n\toutput[1]=y(0)\nVariable:x\nVariable:y\n"
    )
    bn = mx.sym.BatchNorm(mx.sym.split(x, num_outputs=2, name="sp")[1], name="bn")
    assert bn.debug_str() == (
        "Symbol Outputs:\n\toutput[0]=bn(0)\nVariable:x\n--------------------\nOp:SliceChannel, Name=sp\nInputs:\n"
        "\targ[0]=x(0) version=0\nAttrs:\n\tnum_outputs=2\nVariable:bn_gamma\nVariable:bn_beta\n"
        "Variable:bn_moving_mean\nVariable:bn_moving_var\n--------------------\nOp:BatchNorm, Name=bn\nInputs:\n"
        "\targ[0]=sp(1)\n\targ[1]=bn_gamma(0) version=0\n\targ[2]=bn_beta(0) version=0\n"
        "\targ[3]=bn_moving_mean(0) version=1\n\targ[4]=bn_moving_var(0) version=1\n"
    )


def test_unsupported_operators_are_reported_together() -> None:
    text = mx.sym.relu(mx.sym.relu(mx.sym.Variable("x"), name="a"), name="b").tojson()
    symbol = mx.sym.load_json(text.replace('"op": "relu"', '"op": "Odd"'))
    assert symbol.list_arguments() == ["x"]
    with pytest.raises(mx.MXNetError, match=r"Odd x2 \(a, b\)"):
        symbol.infer_shape(x=(2,))


# Size -----------------------------------------------------------------------------------------------------------------


def test_thousands_of_nodes_take_linear_work() -> None:
    """Four times the nodes take about four times the function calls; a clock would measure the machine."""

    def chain(length: int) -> mx.Symbol:
        symbol = mx.sym.Variable("x")
        for _ in range(length // 2):
            symbol = mx.sym.relu(symbol + 1)
        assert symbol.list_arguments() == ["x"]
        assert len(symbol.get_internals().list_outputs()) == length + 1
        assert symbol.infer_shape(x=(2, 3))[1] == [(2, 3)]
        assert symbol(x=mx.sym.Variable("y")).list_inputs() == ["y"]
        assert mx.sym.load_json(symbol.tojson()).list_outputs() == symbol.list_outputs()
        assert copy.copy(symbol).debug_str().count("Op:") == length
        return symbol

    def calls(length: int) -> int:
        count = 0

        def tick(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(tick)
        try:
            chain(length)
        finally:
            sys.setprofile(None)
        return count

    chain(100)  # what is traced once for each operator
    small, large = calls(500), calls(2000)
    assert large < 5 * small, (small, large)
    symbol = chain(4000)
    del symbol  # freed without recursion
