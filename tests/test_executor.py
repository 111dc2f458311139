"""Executors: numbers against NumPy, gradient requests, states, sharing, and how often anything is compiled."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import symjit as mx
from tests.compare import relative_error

RNG = np.random.RandomState(7)


def arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def nds(values: dict[str, np.ndarray]) -> dict[str, mx.NDArray]:
    return {name: mx.nd.array(value, dtype=value.dtype) for name, value in values.items()}


def zeros(values: dict[str, np.ndarray]) -> dict[str, mx.NDArray]:
    return {name: mx.nd.zeros(value.shape, dtype=value.dtype) for name, value in values.items()}


def classifier(hidden: int = 4) -> mx.Symbol:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="fc")
    return mx.sym.SoftmaxOutput(mx.sym.BatchNorm(x, fix_gamma=False, name="bn"), name="softmax")


def affine() -> mx.Symbol:
    return mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=2, name="fc")


def product() -> mx.Symbol:
    return mx.sym.Variable("x") * mx.sym.Variable("y")


def value_of(arrays: Any) -> list[np.ndarray]:
    return [array.asnumpy() for array in arrays]


# Forward and backward against NumPy -----------------------------------------------------------------------------------


def test_forward_and_backward_of_an_affine_map() -> None:
    values = arrays(x=(3, 5), fc_weight=(2, 5), fc_bias=(2,), head=(3, 2))
    head = values.pop("head")
    grads = zeros(values)
    executor = affine().bind(mx.cpu(), nds(values), grads)
    (out,) = executor.forward(is_train=True)
    x, w, b = values["x"], values["fc_weight"], values["fc_bias"]
    assert relative_error(out.asnumpy(), x @ w.T + b) < 1e-6
    executor.backward(mx.nd.array(head))
    want = {"x": head @ w, "fc_weight": head.T @ x, "fc_bias": head.sum(0)}
    for name, gradient in want.items():
        assert relative_error(executor.grad_dict[name].asnumpy(), gradient) < 1e-6, name
        assert executor.grad_dict[name] is grads[name]


def test_softmax_output_needs_no_head_gradient() -> None:
    values = arrays(x=(4, 3))
    label = np.array([0, 2, 1, 1], np.float32)
    executor = mx.sym.SoftmaxOutput(mx.sym.Variable("x"), name="s").bind(
        mx.cpu(), nds({**values, "s_label": label}), {"x": mx.nd.zeros((4, 3))}
    )
    exp = np.exp(values["x"] - values["x"].max(1, keepdims=True))
    probability = exp / exp.sum(1, keepdims=True)
    assert relative_error(executor.forward(is_train=True)[0].asnumpy(), probability) < 1e-6
    executor.backward()
    want = probability - np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    assert relative_error(executor.grad_dict["x"].asnumpy(), want) < 1e-5


def test_an_argument_used_in_many_places() -> None:
    x = mx.sym.Variable("x")
    value = np.array([0.5, -2.0], np.float32)
    executor = (x * x + mx.sym.exp(x) * x).bind(mx.cpu(), [mx.nd.array(value)], [mx.nd.zeros((2,))])
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((2,)))
    assert relative_error(executor.grad_arrays[0].asnumpy(), 2 * value + np.exp(value) * (1 + value)) < 1e-6


def test_a_variable_is_a_network_too() -> None:
    executor = mx.sym.Variable("x").simple_bind(mx.cpu(), x=(2,))
    executor.forward(is_train=True, x=np.array([1, 2], np.float32))
    executor.backward(mx.nd.array([3, 4]))
    assert value_of([executor.outputs[0], executor.grad_dict["x"]])[1].tolist() == [3, 4]


def test_a_network_without_arguments() -> None:
    symbol = mx.sym.zeros((2, 3), name="z") + 1
    assert symbol.eval()[0].asnumpy().tolist() == [[1, 1, 1]] * 2
    for device in (mx.cpu(0), mx.cpu(3)):
        (out,) = symbol.bind(device, []).forward()
        assert (out.context, out.data.devices()) == (device, {device.device})


# Gradient requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_, want",
    [
        ("write", {"x": "write", "y": "write"}),
        ("add", {"x": "add", "y": "add"}),
        ("null", {"x": "null", "y": "null"}),
        (["add", "write"], {"x": "add", "y": "write"}),
        (("null", "add"), {"x": "null", "y": "add"}),
        ({"x": "add", "y": "null"}, {"x": "add", "y": "null"}),
        ({"y": "write"}, {"x": "null", "y": "write"}),
    ],
)
def test_gradient_requests(request_: Any, want: dict[str, str]) -> None:
    values = arrays(x=(2, 3), y=(2, 3))
    start = {name: mx.nd.ones((2, 3)) * 0 + 10 for name in values}
    executor = product().bind(mx.cpu(), nds(values), start, request_)
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((2, 3)))
    for name, other in (("x", "y"), ("y", "x")):
        if want[name] == "null":
            assert executor.grad_dict[name] is None
            assert start[name].asnumpy().tolist() == [[10] * 3] * 2
        else:
            gradient = values[other] * (2 if want[name] == "add" else 1) + (10 if want[name] == "add" else 0)
            np.testing.assert_allclose(executor.grad_dict[name].asnumpy(), gradient, rtol=1e-5)


def test_arguments_without_gradient_arrays() -> None:
    values = arrays(x=(2,), y=(2,))
    one = {"x": mx.nd.zeros((2,))}
    for grads in (one, [one["x"], None]):
        executor = product().bind(mx.cpu(), nds(values), grads)
        assert executor.grad_dict["y"] is None
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((2,)))
        np.testing.assert_array_equal(one["x"].asnumpy(), values["y"])
    assert product().bind(mx.cpu(), nds(values)).grad_arrays == [None, None]
    executor = product().simple_bind(mx.cpu(), grad_req={"y": "write"}, x=(2,), y=(2,))
    assert executor.grad_dict["x"] is None and executor.grad_dict["y"].shape == (2,)


def test_gradients_accumulate_on_loss_heads() -> None:
    executor = classifier().simple_bind(mx.cpu(), grad_req="add", data=(3, 5))
    for name, array in executor.arg_dict.items():
        array[:] = RNG.standard_normal(array.shape).astype(np.float32) if name != "softmax_label" else 1
    executor.forward(is_train=True)
    executor.backward()
    once = executor.grad_dict["fc_weight"].asnumpy()
    assert np.abs(once).max() > 0
    executor.backward()
    np.testing.assert_allclose(executor.grad_dict["fc_weight"].asnumpy(), 2 * once, rtol=1e-5)


def test_whole_numbers_have_no_gradient() -> None:
    index, weight = mx.nd.array([2, 0, 2], dtype="int32"), mx.nd.array(np.arange(8).reshape(4, 2))
    symbol = mx.sym.Embedding(mx.sym.Variable("i"), input_dim=4, output_dim=2, name="e")
    grads = [mx.nd.ones((3,), dtype="int32"), mx.nd.zeros((4, 2))]
    executor = symbol.bind(mx.cpu(), [index, weight], grads)
    assert executor.forward(is_train=True)[0].asnumpy().tolist() == [[4, 5], [0, 1], [4, 5]]
    executor.backward(mx.nd.ones((3, 2)))
    assert grads[0].asnumpy().tolist() == [0, 0, 0]
    assert grads[1].asnumpy().tolist() == [[1, 1], [0, 0], [2, 2], [0, 0]]


def test_outputs_of_whole_numbers_take_no_head_gradient() -> None:
    x = mx.sym.Variable("x")
    symbol = mx.sym.Group([mx.sym.Cast(x, dtype="int32"), x * 2])
    executor = symbol.simple_bind(mx.cpu(), x=(2,))
    executor.forward(is_train=True)
    executor.backward([mx.nd.ones((2,), dtype="int32"), mx.nd.ones((2,))])
    assert executor.grad_arrays[0].asnumpy().tolist() == [2, 2]


# Head gradients -------------------------------------------------------------------------------------------------------


def test_head_gradients_are_required_where_no_loss_is() -> None:
    x = mx.sym.Variable("data")
    plain = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    loss = mx.sym.SoftmaxOutput(plain, name="softmax")

    def bound(symbol: mx.Symbol) -> mx.Executor:
        executor = symbol.simple_bind(mx.cpu(), data=(3, 4))
        executor.forward(is_train=True)
        return executor

    for symbol in (loss, mx.sym.Group([loss, mx.sym.BlockGrad(plain)]), mx.sym.make_loss(mx.sym.sum(plain)), plain > 0):
        bound(symbol).backward()
    with pytest.raises(mx.MXNetError, match=r"\['fc_output'\] are no loss functions.*make_loss"):
        bound(mx.sym.Group([loss, plain])).backward()
    executor = bound(mx.sym.Group([loss, plain]))
    executor.backward([mx.nd.zeros((3, 2)), mx.nd.ones((3, 2))])
    executor.backward({"softmax_output": mx.nd.zeros((3, 2)), "fc_output": mx.nd.ones((3, 2))})


def test_head_gradients_that_do_not_fit() -> None:
    executor = product().simple_bind(mx.cpu(), x=(2, 3), y=(2, 3))
    with pytest.raises(mx.MXNetError, match=r"forward\(is_train=True\)"):
        executor.backward(mx.nd.ones((2, 3)))
    executor.forward(is_train=True)
    with pytest.raises(mx.MXNetError, match=r"'_mul\d+_output' has shape \(3, 3\), not \(2, 3\)"):
        executor.backward(mx.nd.ones((3, 3)))
    with pytest.raises(mx.MXNetError, match="1 outputs, but 2 head gradients"):
        executor.backward([mx.nd.ones((2, 3))] * 2)
    for wrong in ([None], [np.ones((2, 3))]):
        with pytest.raises(TypeError, match="not an NDArray"):
            executor.backward(wrong)
    with pytest.raises(KeyError, match="out_grads has no '_mul"):
        executor.backward({"a": mx.nd.ones((2, 3))})
    executor.backward(mx.nd.ones((2, 3), dtype="float64"))
    executor.forward(is_train=False)
    with pytest.raises(mx.MXNetError, match="the last forward"):
        executor.backward(mx.nd.ones((2, 3)))


# Outputs --------------------------------------------------------------------------------------------------------------


def test_outputs_are_written_again_by_every_forward() -> None:
    executor = product().simple_bind(mx.cpu(), x=(2,), y=(2,))
    assert executor.outputs[0].asnumpy().tolist() == [0, 0]
    held = executor.outputs[0]
    executor.forward(x=mx.nd.array([1, 2]), y=np.array([3, 4], np.float32))
    kept = held.copy()
    assert executor.outputs[0] is held and held.asnumpy().tolist() == [3, 8]
    assert executor.forward(is_train=True, x=mx.nd.array([5, 5])) is executor.outputs
    assert held.asnumpy().tolist() == [15, 20] and kept.asnumpy().tolist() == [3, 8]
    held[:] = 0  # the user may write to it, and the backward still knows what it was
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["y"].asnumpy().tolist() == [5, 5]


def test_arguments_may_change_between_forward_and_backward() -> None:
    executor = product().simple_bind(mx.cpu(), x=(2,), y=(2,))
    executor.forward(is_train=True, x=mx.nd.array([1, 2]), y=mx.nd.array([3, 4]))
    executor.arg_dict["y"][0:1] = 100
    executor.arg_dict["x"] += 1
    executor.backward(mx.nd.ones((2,)))
    assert executor.grad_dict["x"].asnumpy().tolist() == [3, 4]
    assert executor.forward()[0].asnumpy().tolist() == [200, 12]


def test_output_dict() -> None:
    x = mx.sym.Variable("x")
    executor = mx.sym.Group([mx.sym.relu(x, name="a"), mx.sym.abs(x, name="b")]).bind(mx.cpu(), [mx.nd.array([1])])
    executor.forward()
    assert list(executor.output_dict) == ["a_output", "b_output"]
    assert executor.output_dict["b_output"] is executor.outputs[1]
    with pytest.raises(ValueError, match="not unique"):
        mx.sym.Group([x, x]).bind(mx.cpu(), [mx.nd.array([1])]).output_dict  # noqa: B018


def test_forward_refuses() -> None:
    executor = product().simple_bind(mx.cpu(), x=(2,), y=(2,))
    with pytest.raises(TypeError, match="unknown argument 'z'; the arguments are"):
        executor.forward(z=mx.nd.ones((2,)))
    with pytest.raises(ValueError, match=r"Argument x, need: \(2,\), received: \(3,\)"):
        executor.forward(x=mx.nd.ones((3,)))
    with pytest.raises(ValueError, match="must be an NDArray or a NumPy array, not int"):
        executor.forward(x=3)


# Auxiliary states -----------------------------------------------------------------------------------------------------


def test_states_are_committed_by_a_training_forward() -> None:
    bn = mx.sym.BatchNorm(mx.sym.Variable("x"), momentum=0.75, name="bn")
    for request in ("write", "null"):
        executor = bn.simple_bind(mx.cpu(), request, x=(4, 2))
        executor.arg_dict["x"][:] = x = np.array([[0, 1], [4, 1], [0, 3], [4, 3]], np.float32)
        executor.aux_dict["bn_moving_var"][:] = 1
        executor.forward(is_train=False)
        assert value_of(executor.aux_arrays)[0].tolist() == [0, 0]
        states = executor.aux_arrays
        for repeat in (1, 2):
            executor.forward(is_train=True)
            decay = 0.75**repeat
            np.testing.assert_allclose(states[0].asnumpy(), x.mean(0) * (1 - decay), rtol=1e-5)
            np.testing.assert_allclose(states[1].asnumpy(), decay + x.var(0) * (1 - decay), rtol=1e-5)
        executor.aux_dict["bn_moving_mean"][0:1] = 7  # in place, while the backward still refers to the state
        if request == "write":
            executor.backward(mx.nd.ones((4, 2)))
        assert executor.aux_dict["bn_moving_mean"].asnumpy()[0] == 7


def test_dropout_draws_anew_and_only_in_training() -> None:
    executor = mx.sym.Dropout(mx.sym.Variable("x"), p=0.5).simple_bind(mx.cpu(), x=(1000,))
    executor.arg_dict["x"][:] = 1
    assert executor.forward(is_train=False)[0].asnumpy().tolist() == [1] * 1000
    first = executor.forward(is_train=True)[0].asnumpy()
    executor.backward(mx.nd.ones((1000,)))
    np.testing.assert_array_equal(executor.grad_arrays[0].asnumpy(), first)
    assert sorted(set(first)) == [0, 2] and 400 < (first > 0).sum() < 600
    assert not np.array_equal(executor.forward(is_train=True)[0].asnumpy(), first)
    mx.random.seed(3)
    again = executor.forward(is_train=True)[0].asnumpy()
    mx.random.seed(3)
    np.testing.assert_array_equal(executor.forward(is_train=True)[0].asnumpy(), again)


# Binding --------------------------------------------------------------------------------------------------------------


def test_bind_takes_lists_and_dicts() -> None:
    values = nds(arrays(x=(2,), y=(2,)))
    for args in (values, {**values, "unused": values["x"]}, list(values.values()), tuple(values.values())):
        executor = product().bind(mx.cpu(), args)
        assert [a is b for a, b in zip(executor.arg_arrays, values.values(), strict=True)] == [True, True]
        assert list(executor.arg_dict) == ["x", "y"]


def test_bind_refuses() -> None:
    symbol, args = product(), nds(arrays(x=(2,), y=(2,)))
    short, double = mx.nd.ones((3,)), mx.nd.ones((2,), dtype="float64")
    bn = mx.sym.BatchNorm(mx.sym.Variable("x"), name="bn")
    full = nds(arrays(x=(2, 3), bn_gamma=(3,), bn_beta=(3,)))
    mean = mx.nd.zeros((3,))
    cases: list[tuple[type[Exception], str, Any]] = [
        (ValueError, "key `y` is missing in `args`", lambda: symbol.bind(mx.cpu(), {"x": args["x"]})),
        (ValueError, "Length of args.*expected 2.*got 1", lambda: symbol.bind(mx.cpu(), [args["x"]])),
        (ValueError, "Length of args_grad", lambda: symbol.bind(mx.cpu(), args, [args["x"]])),
        (TypeError, "Only accept list of NDArrays or dict", lambda: symbol.bind(mx.cpu(), 3)),
        (TypeError, "'y' is a int", lambda: symbol.bind(mx.cpu(), {**args, "y": 3})),
        (TypeError, "Context type error.*'cpu'", lambda: symbol.bind("cpu", args)),
        (mx.MXNetError, r"elemwise_mul", lambda: symbol.bind(mx.cpu(), {**args, "y": short})),
        (mx.MXNetError, r"float32.*float64", lambda: symbol.bind(mx.cpu(), {**args, "y": double})),
        (ValueError, "grad_req must be in.*'foo'", lambda: symbol.bind(mx.cpu(), args, args, "foo")),
        (ValueError, "grad_req must be in.*'foo'", lambda: symbol.bind(mx.cpu(), args, args, {"x": "foo"})),
        (ValueError, "grad_req: expected 2 items.*got 1", lambda: symbol.bind(mx.cpu(), args, args, ["write"])),
        (TypeError, "grad_req must be a string", lambda: symbol.bind(mx.cpu(), args, args, 3)),
        (mx.MXNetError, r"gradient of 'x' has shape \(3,\)", lambda: symbol.bind(mx.cpu(), args, {"x": short})),
        (ValueError, "Length of aux_states.*expected 2", lambda: bn.bind(mx.cpu(), full)),
        (ValueError, "key `bn_moving_var` is missing in `aux_states`",
         lambda: bn.bind(mx.cpu(), full, aux_states={"bn_moving_mean": mean})),
        (mx.MXNetError, "bn_moving_var|moving_var",
         lambda: bn.bind(mx.cpu(), full, aux_states=[mean, mx.nd.zeros((4,))])),
        (mx.MXNetError, r"argument 'x' lies on cpu\(2\), the executor is to run on cpu\(0\).*as_in_context",
         lambda: symbol.bind(mx.cpu(), {**args, "x": mx.nd.ones((2,), ctx=mx.cpu(2))})),
    ]  # fmt: skip
    for error, message, call in cases:
        with pytest.raises(error, match=message):
            call()


def test_simple_bind_makes_what_is_inferred() -> None:
    executor = classifier().simple_bind(mx.cpu(), data=(2, 3), nothing=(4,))
    shapes = {"data": (2, 3), "fc_weight": (4, 3), "fc_bias": (4,), "bn_gamma": (4,), "bn_beta": (4,)}
    assert {n: a.shape for n, a in executor.arg_dict.items()} == {**shapes, "softmax_label": (2,)}
    assert {n: g.shape for n, g in executor.grad_dict.items()} == {**shapes, "softmax_label": (2,)}
    assert {n: a.asnumpy().tolist() for n, a in executor.aux_dict.items()} == {
        "bn_moving_mean": [0] * 4, "bn_moving_var": [0] * 4,
    }  # fmt: skip
    half = classifier().simple_bind(mx.cpu(), type_dict={"data": "float16"}, data=(2, 3))
    assert half.arg_dict["fc_weight"].dtype is np.float16 and half.arg_dict["bn_gamma"].dtype is np.float32
    placed = product().simple_bind(mx.cpu(5), x=(2,), y=(2,))
    placed.forward(is_train=True)
    placed.backward(mx.nd.ones((2,), ctx=mx.cpu(5)))
    assert {a.data.devices().pop() for a in (*placed.arg_arrays, *placed.outputs, *placed.grad_arrays)} == {
        mx.cpu(5).device
    }


def test_simple_bind_refuses() -> None:
    net = classifier()
    for shapes in ({"data": (0, 3)}, {}, {"nothing": (3,)}):
        with pytest.raises(
            mx.MXNetError, match=r"these shapes can not be inferred.*: 'data' \(.*'softmax_label' \(.*such as data="
        ):
            net.simple_bind(mx.cpu(), **shapes)
    with pytest.raises(mx.MXNetError, match=r"'fc'.*'weight'.*\(4, 3\).*\(5, 5\)"):
        net.simple_bind(mx.cpu(), data=(2, 3), fc_weight=(5, 5))
    with pytest.raises(TypeError, match="shape of 'data' must be a tuple, got 3"):
        net.simple_bind(mx.cpu(), data=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected 6 items"):
        net.simple_bind(mx.cpu(), ["write"], data=(2, 3))
    with pytest.raises(ValueError, match="'bar'"):
        net.simple_bind(mx.cpu(), "bar", data=(2, 3))
    with pytest.raises(mx.MXNetError, match=r"no device gpu\(99\)"):
        net.simple_bind(mx.gpu(99), data=(2, 3))
    with pytest.raises(mx.MXNetError, match="stype_dict"):
        net.simple_bind(mx.cpu(), stype_dict={"data": "dense"}, data=(2, 3))


def test_sharing_with_another_executor() -> None:
    net = classifier()
    first = net.simple_bind(mx.cpu(), data=(4, 3))
    names = ["fc_weight", "bn_gamma"]
    second = net.simple_bind(mx.cpu(), shared_exec=first, shared_arg_names=names, data=(2, 3))
    for name in net.list_arguments():
        assert (second.arg_dict[name] is first.arg_dict[name]) == (name in names), name
        assert (second.grad_dict[name] is first.grad_dict[name]) == (name in names), name
    assert all(a is b for a, b in zip(second.aux_arrays, first.aux_arrays, strict=True))
    alone = net.simple_bind(mx.cpu(), shared_exec=first, data=(4, 3))
    assert not any(a is b for a, b in zip(alone.arg_arrays, first.arg_arrays, strict=True))
    assert not any(a is b for a, b in zip(alone.aux_arrays, first.aux_arrays, strict=True))
    with pytest.raises(mx.MXNetError, match=r"argument 'data' can not be shared: \(2, 3\).*has \(4, 3\)"):
        net.simple_bind(mx.cpu(), shared_exec=first, shared_arg_names=["data"], data=(2, 3))


def test_a_buffer_of_shared_arrays() -> None:
    net, buffer = classifier(), {}
    first = net.simple_bind(mx.cpu(), shared_buffer=buffer, data=(4, 3))
    assert buffer["data"] is first.arg_dict["data"] and buffer["grad of fc_bias"] is first.grad_dict["fc_bias"]
    second = net.simple_bind(mx.cpu(), shared_buffer=buffer, data=(2, 3))
    assert second.arg_dict["fc_weight"] is first.arg_dict["fc_weight"]
    assert second.arg_dict["data"] is buffer["data"] is not first.arg_dict["data"]
    with pytest.raises(ValueError, match="must be dict or None"):
        net.simple_bind(mx.cpu(), shared_buffer=3, data=(2, 3))  # type: ignore[arg-type]


def test_eval() -> None:
    x, y = mx.nd.array([1, 2]), mx.nd.array([3, 4])
    assert product().eval(x=x, y=y)[0].asnumpy().tolist() == [3, 8]
    with mx.cpu(1):
        assert product().eval(x=x.as_in_context(mx.cpu(1)), y=mx.nd.array([3, 4]))[0].context == mx.cpu(1)
    with pytest.raises(ValueError, match="key `y` is missing"):
        product().eval(mx.cpu(), x=x)


# Parameters and reshaping ---------------------------------------------------------------------------------------------


def test_copy_params_from() -> None:
    executor = classifier().simple_bind(mx.cpu(), data=(2, 3))
    weight = mx.nd.ones((4, 3), dtype="float16") * 4
    executor.copy_params_from({"fc_weight": weight}, {"bn_moving_var": mx.nd.ones((4,))})
    assert executor.arg_dict["fc_weight"].asnumpy().tolist() == [[4] * 3] * 4
    assert executor.arg_dict["fc_weight"].dtype is np.float32
    assert executor.aux_dict["bn_moving_var"].asnumpy().tolist() == [1] * 4
    with pytest.raises(ValueError, match="'q' that is not in the arguments"):
        executor.copy_params_from({"q": weight})
    with pytest.raises(ValueError, match="'q' that is not in the aux"):
        executor.copy_params_from({}, {"q": weight})
    executor.copy_params_from({"q": weight}, {"q": weight}, allow_extra_params=True)
    with pytest.raises(mx.MXNetError, match=r"\(1, 3\).*\(4, 3\)"):
        executor.copy_params_from({"fc_weight": mx.nd.ones((1, 3))})


def test_reshape_shares_parameters_and_program() -> None:
    executor = classifier().simple_bind(mx.cpu(), data=(4, 3))
    for array in executor.arg_arrays:
        array[:] = RNG.standard_normal(array.shape).astype(np.float32)
    smaller = executor.reshape(partial_shaping=True, data=(2, 3))
    assert smaller.arg_dict["data"].shape == (2, 3) and smaller.arg_dict["softmax_label"].shape == (2,)
    for name in ("fc_weight", "bn_gamma"):
        assert smaller.arg_dict[name] is executor.arg_dict[name]
        assert smaller.grad_dict[name] is executor.grad_dict[name]
    assert smaller.aux_arrays[0] is executor.aux_arrays[0]
    assert smaller.program is executor.program
    x = RNG.standard_normal((4, 3)).astype(np.float32)
    whole = executor.forward(data=x)[0].asnumpy()
    np.testing.assert_allclose(smaller.forward(data=x[:2])[0].asnumpy(), whole[:2], rtol=1e-5)
    same = executor.reshape(data=(4, 3), softmax_label=(4,))
    assert same.arg_dict["data"] is executor.arg_dict["data"]


def test_reshape_refuses() -> None:
    executor = classifier().simple_bind(mx.cpu(), data=(2, 3))
    for message, shapes in [
        ("'data' grows.*allow_up_sizing=True", {"data": (4, 3)}),
        ("'softmax_label' changes.*partial_shaping=True", {"data": (1, 3)}),
        ("not among the arguments", {"foo": (2, 5)}),
        ("can not be inferred", {"data": (0, 3)}),
        ("can not be inferred", {}),
        ("softmax", {"data": (2, 3), "softmax_label": (3,)}),
    ]:
        with pytest.raises(mx.MXNetError, match=message):
            executor.reshape(**shapes)
    with pytest.raises(mx.MXNetError, match="'fc_weight' grows"):
        executor.reshape(partial_shaping=True, data=(1, 5))
    larger = executor.reshape(partial_shaping=True, allow_up_sizing=True, data=(2, 5))
    assert larger.arg_dict["fc_weight"].shape == (4, 5)


# Monitoring -----------------------------------------------------------------------------------------------------------


def test_monitor_sees_what_mxnets_does() -> None:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc")
    x = mx.sym.Dropout(x, name="drop").reshape((0, 0, 1, 1), name="wide")
    net = mx.sym.SoftmaxOutput(mx.sym.LRN(x, nsize=3, name="lrn"), name="softmax")
    executor = net.simple_bind(mx.cpu(), data=(2, 3))
    executor.arg_dict["fc_bias"][:] = 1
    seen: list[tuple[str, np.ndarray]] = []
    executor.set_monitor_callback(lambda name, array: seen.append((name, array.asnumpy())))
    for train in (False, True):
        seen.clear()
        (out,) = executor.forward(is_train=train)
        # MXNet shows hidden outputs too, here drop_mask and lrn_tmp_norm, which nothing computes in symjit.
        assert [n for n, _ in seen] == ["fc_output", "drop_output", "wide_output", "lrn_output", "softmax_output"]
        np.testing.assert_array_equal(seen[-1][1], out.asnumpy())
        np.testing.assert_array_equal(seen[0][1], np.ones((2, 4), np.float32))
    seen.clear()
    executor.set_monitor_callback(lambda name, array: seen.append((name, array.asnumpy())), monitor_all=True)
    executor.forward(is_train=True)
    assert [name for name, _ in seen] == [
        "data", "fc_data", "fc_weight", "fc_weight", "fc_bias", "fc_bias", "fc_output", "drop_data", "drop_output",
        "wide_data", "wide_output", "lrn_data", "lrn_output", "softmax_data", "softmax_label", "softmax_label",
        "softmax_output",
    ]  # fmt: skip
    executor.backward()
    seen.clear()
    executor.set_monitor_callback(None)
    executor.forward()
    assert seen == []


def test_debug_str_tells_arrays_and_size() -> None:
    text = classifier().simple_bind(mx.cpu(), data=(2, 3)).debug_str()
    assert "arg fc_weight: (4, 3) float32" in text and "aux bn_moving_mean: (4,) float32" in text


# How often things are compiled, and what is copied --------------------------------------------------------------------


def test_recompile_budget() -> None:
    net = classifier()
    executor = net.simple_bind(mx.cpu(), data=(4, 3))
    traces = executor.program.traces
    for step in range(10):
        executor.forward(is_train=True, data=mx.nd.ones((4, 3)) * step)
        executor.backward()
        executor.forward(is_train=False)
    assert traces == {"forward": 1, "backward": 1, "predict": 1}
    again = net.simple_bind(mx.cpu(), data=(4, 3))
    for bound in (again, net.bind(mx.cpu(), executor.arg_dict, executor.grad_dict, "write", executor.aux_dict)):
        assert bound.program is executor.program
        bound.forward(is_train=True)
        bound.backward()
        bound.forward()
    assert traces == {"forward": 1, "backward": 1, "predict": 1}
    other = executor.reshape(partial_shaping=True, data=(2, 3))
    for _ in range(3):
        other.forward(is_train=True)
        other.backward()
        executor.forward()
    assert traces == {"forward": 2, "backward": 2, "predict": 1}
    assert copy_of(net).program is not executor.program


def copy_of(symbol: mx.Symbol) -> mx.Symbol:
    return mx.sym.load_json(symbol.tojson())


@pytest.mark.parametrize(
    ("symbol", "shapes", "own"),
    [
        (affine(), {"x": (3, 5)}, True),
        (mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=1000), {"x": (8, 2048)}, False),
        (mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=1000), {"x": (1024, 2048)}, True),
        (mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=1000), {"x": (8, 512, 2, 2)}, False),
        (mx.sym.batch_dot(mx.sym.Variable("x"), mx.sym.Variable("y")), {"x": (9, 500, 8), "y": (9, 8, 500)}, True),
        (
            mx.sym.batch_dot(mx.sym.Variable("x"), mx.sym.Variable("y")),
            {"x": (9, 500, 1024), "y": (9, 1024, 600)},
            False,
        ),
        (mx.sym.Convolution(mx.sym.Variable("x"), kernel=(1, 1), num_filter=1024), {"x": (1, 1024, 1, 1)}, True),
        (product(), {"x": (8, 2048), "y": (8, 2048)}, True),
    ],
)
def test_whose_products_suit_a_training_forward(symbol: mx.Symbol, shapes: Any, own: bool) -> None:
    executor = symbol.simple_bind(mx.cpu(), **shapes)
    assert executor.program.suits_own_products(executor._inference) is own


def test_an_edited_symbol_is_compiled_again() -> None:
    symbol = affine()
    assert symbol.simple_bind(mx.cpu(), x=(2, 3)).forward()[0].shape == (2, 2)
    symbol._set_attr(num_hidden="5")
    assert symbol.simple_bind(mx.cpu(), x=(2, 3)).forward()[0].shape == (2, 5)


def test_weights_are_not_copied_into_what_backward_keeps() -> None:
    net = mx.sym.Variable("data")
    for i in range(3):
        net = mx.sym.Activation(mx.sym.FullyConnected(net, num_hidden=64, name=f"fc{i}"), act_type="tanh")
    net = mx.sym.SoftmaxOutput(mx.sym.BatchNorm(net, name="bn"), name="softmax")
    executor = net.simple_bind(mx.cpu(), data=(2, 64))
    executor.forward(is_train=True)
    residuals, referenced = executor._pending
    kept = [x.shape for x in residuals.leaves if isinstance(x, jax.Array)]
    assert kept and (64, 64) not in kept and (3, 64, 64) not in kept
    assert any(x is executor.arg_dict["fc1_weight"].data for x in referenced)
    executor.forward(is_train=False)
    assert executor._pending is None


@pytest.mark.parametrize("pairs", [1000, pytest.param(5000, marks=pytest.mark.slow)])
def test_more_nodes_than_python_recurses_are_traced(pairs: int) -> None:
    symbol = mx.sym.Variable("x")
    for _ in range(pairs):
        symbol = mx.sym.tanh(symbol + 1)
    executor = symbol.simple_bind(mx.cpu(), x=(2, 3))
    values = [array.data for array in executor.arg_arrays]
    text = executor.program.prediction({"x": ((2, 3), np.dtype("float32"))}).run.lower(values, None).as_text()
    # Nodes alike are one function.
    assert text.count("stablehlo.tanh") == 1 and text.count("call @tanh(") == pairs


@pytest.mark.slow
def test_a_long_unrolled_network_trains() -> None:
    weight, state = mx.sym.Variable("w"), mx.sym.Variable("x")
    for _ in range(150):
        gate = mx.sym.sigmoid(mx.sym.FullyConnected(state, weight, no_bias=True, num_hidden=3))
        state = gate * state + (1 - gate) * mx.sym.tanh(state)
    assert len(state.graph.nodes) > 1000
    executor = state.simple_bind(mx.cpu(), type_dict={"x": "float64"}, x=(2, 3))
    executor.arg_dict["x"][:] = RNG.standard_normal((2, 3))
    executor.arg_dict["w"][:] = RNG.standard_normal((3, 3))

    def total(shift: float) -> float:
        executor.arg_dict["w"] += shift
        return float(executor.forward(is_train=True)[0].asnumpy().sum())

    step = 1e-5
    slope = (total(step) - total(-2 * step)) / (2 * step)
    total(step)
    executor.backward(mx.nd.ones((2, 3)))
    assert executor.grad_dict["w"].asnumpy().sum() == pytest.approx(slope, rel=1e-5)
    assert executor.program.traces == {"forward": 1, "backward": 1}
