"""Module: the compiled step against steps that run apart, what is donated, what compiles anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.ndarray.array import wrap
from tests.late import late

BATCH, CLASSES = 8, 4


def mlp() -> mx.Symbol:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
    x = mx.sym.Activation(x, act_type="relu", name="relu1")
    x = mx.sym.FullyConnected(x, num_hidden=CLASSES, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def convolutional() -> mx.Symbol:
    x = mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), pad=(1, 1), num_filter=4, no_bias=True, name="conv")
    x = mx.sym.BatchNorm(x, fix_gamma=False, name="bn")
    x = mx.sym.Activation(x, act_type="relu")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=CLASSES, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax")


SHAPES = {"mlp": (BATCH, 10), "convolutional": (BATCH, 2, 6, 6)}
NETWORKS: dict[str, Callable[[], mx.Symbol]] = {"mlp": mlp, "convolutional": convolutional}


def batches(shape: tuple[int, ...], count: int, seed: int = 0) -> list[Any]:
    rng = np.random.RandomState(seed)
    return [
        mx.io.DataBatch(
            data=[mx.nd.array(rng.uniform(-1, 1, shape))], label=[mx.nd.array(rng.randint(0, CLASSES, shape[0]))]
        )
        for _ in range(count)
    ]


def trained(
    name: str = "mlp",
    optimizer: Any = "sgd",
    params: dict[str, Any] | None = None,
    context: Any = None,
    kvstore: Any = "local",
    **bind: Any,
) -> mx.mod.Module:
    """Return a module that is ready to train, its parameters the same every time."""
    symbol, shape = NETWORKS[name](), SHAPES[name]
    module = mx.mod.Module(symbol, context=context or mx.cpu())
    module.bind([("data", shape)], [("softmax_label", shape[:1])], **bind)
    rng = np.random.RandomState(1)
    shapes, _, states = symbol.infer_shape(data=shape)
    args = {
        n: mx.nd.array(rng.uniform(-0.3, 0.3, s))
        for n, s in zip(symbol.list_arguments(), shapes, strict=True)
        if n not in ("data", "softmax_label")
    }
    aux = {
        n: (mx.nd.ones if n.endswith("var") else mx.nd.zeros)(s)
        for n, s in zip(symbol.list_auxiliary_states(), states, strict=True)
    }
    module.init_params(arg_params=args, aux_params=aux)
    given = {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01} if params is None else params
    module.init_optimizer(optimizer=optimizer, optimizer_params=given, kvstore=kvstore)
    return module


def values(module: mx.mod.Module) -> dict[str, np.ndarray]:
    args, aux = module.get_params()
    return {name: x.asnumpy() for name, x in {**args, **aux}.items()}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], tolerance: float = 1e-6) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=tolerance, atol=tolerance, err_msg=name)


def together(module: mx.mod.Module, metric: Any, batch: Any) -> None:
    module.forward_backward(batch)
    module.update()
    module.update_metric(metric, batch.label)


def looking(module: mx.mod.Module, metric: Any, batch: Any) -> None:
    module.forward(batch, is_train=True)
    module.get_outputs()
    module.update_metric(metric, batch.label)
    module.backward()
    module.update()


ADAM = {"learning_rate": 0.01}


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [("mlp", ("adam", ADAM)), ("convolutional", ("sgd", None))],
    ids=["mlp by adam", "convolutional by sgd"],
)
def test_one_program_and_three_give_the_same(name: str, optimizer: tuple[str, Any]) -> None:
    results = []
    for way in (together, looking):
        module, metric = trained(name, *optimizer), mx.metric.create(["acc", "ce"])
        for batch in batches(SHAPES[name], 20):
            way(module, metric, batch)
        results.append((values(module), metric.get_name_value()))
        steps = module._exec_group.execs[0].program.traces["step"]
        assert steps == (1 if way is together else 0)
    assert_same(results[0][0], results[1][0])
    np.testing.assert_allclose([v for _, v in results[0][1]], [v for _, v in results[1][1]], rtol=1e-5)


def test_learning_rates_do_not_recompile() -> None:
    module, metric = trained(), mx.metric.Accuracy()
    for i, batch in enumerate(batches(SHAPES["mlp"], 6)):
        module._optimizer.lr = 0.1 / (i + 1)
        together(module, metric, batch)
    module.get_params()
    assert module._exec_group.execs[0].program.traces["step"] == 1


class Late(mx.io.DataIter):
    """Three batches an epoch, whose data are there later than the batch."""

    def __init__(self) -> None:
        super().__init__(BATCH)
        self.provide_data = [mx.io.DataDesc("data", SHAPES["mlp"])]
        self.provide_label = [mx.io.DataDesc("softmax_label", (BATCH,))]
        self.given: list[Any] = []
        self.left = 3

    def reset(self) -> None:
        self.left = 3

    def next(self) -> Any:
        if not self.left:
            raise StopIteration
        self.left -= 1
        self.given.append(late(np.ones(SHAPES["mlp"])))
        return mx.io.DataBatch([wrap(self.given[-1], mx.cpu())], [mx.nd.zeros((BATCH,))], pad=0)


def test_fit_waits_for_no_batch_but_the_one_before_the_last() -> None:
    data, ready = Late(), []

    def look(param: Any) -> None:
        done = 3 * param.epoch + param.nbatch + 1
        ready.append([x.is_ready() for x in data.given[:done]])

    module = mx.mod.Module(mlp())
    module.fit(data, num_epoch=2, batch_end_callback=[mx.callback.Speedometer(BATCH), look])
    assert len(ready) == 6
    assert not all(batch[-1] for batch in ready[3:])  # the first epoch compiles
    assert all(all(batch[:-2]) for batch in ready)


def test_a_loop_without_metric_compiles_one_step() -> None:
    module = trained()
    for batch in batches(SHAPES["mlp"], 6):
        module.forward_backward(batch)
        module.update()
    module.get_params()
    assert module._exec_group.execs[0].program.traces["step"] == 1


def test_what_is_held_survives() -> None:
    module, metric = trained(params={"learning_rate": 0.1, "momentum": 0.9}), mx.metric.Accuracy()
    data = batches(SHAPES["mlp"], 5)
    together(module, metric, data[0])
    executor = module._exec_group.execs[0]
    held = {
        "weight": executor.arg_dict["fc1_weight"].copy(),
        "jax": executor.arg_dict["fc2_weight"].asjax(),
        "output": module.get_outputs()[0].copy(),
        "gradient": executor.grad_dict["fc1_weight"].copy(),
        "state": module._updater.states[0].copy(),
        "total": metric.state[0],
        **module.get_params()[0],
    }
    before = {name: np.array(x) for name, x in held.items()}
    for batch in data[1:]:
        together(module, metric, batch)
    module.get_outputs()[0].wait_to_read()
    for name, x in held.items():
        np.testing.assert_array_equal(np.array(x), before[name], err_msg=name)
    assert not np.array_equal(values(module)["fc1_weight"], before["weight"])


def test_outputs_and_gradients_are_readable_after_update() -> None:
    fused, apart = trained(), trained()
    batch = batches(SHAPES["mlp"], 1)[0]
    fused.forward_backward(batch)
    fused.update()
    apart.forward(batch, is_train=True)
    outputs = apart.get_outputs()[0].asnumpy()
    apart.backward()
    np.testing.assert_allclose(fused.get_outputs()[0].asnumpy(), outputs, rtol=1e-6)
    wanted = {n: x.asnumpy() for n, x in apart._exec_group.execs[0].grad_dict.items() if x is not None}
    found = {n: x.asnumpy() for n, x in fused._exec_group.execs[0].grad_dict.items() if x is not None}
    assert_same(found, wanted)


def test_a_monitor_may_begin_to_look_while_a_step_is_noted() -> None:
    module, seen = trained(), mx.mon.Monitor(2, pattern="fc1_output")
    module.install_monitor(seen)
    stats = []
    for batch in batches(SHAPES["mlp"], 4):
        seen.tic()
        module.forward_backward(batch)
        module.update()
        stats.append([name for _, name, _ in seen.toc()])
    assert stats == [["fc1_output"], [], ["fc1_output"], []]
    plain = trained()
    for batch in batches(SHAPES["mlp"], 4):
        plain.forward_backward(batch)
        plain.update()
    assert_same(values(module), values(plain))


def test_a_monitor_looks_at_batches_of_other_shapes() -> None:
    module, seen = trained(), mx.mon.Monitor(1, pattern="fc1_output")
    module.install_monitor(seen)
    stats = []
    for rows in (8, 4, 8, 16):
        seen.tic()
        module.forward(mx.io.DataBatch([mx.nd.ones((rows, 10))], [mx.nd.zeros((rows,))]), is_train=False)
        stats.append([name for _, name, _ in seen.toc()])
        module.forward(mx.io.DataBatch([mx.nd.ones((rows, 10))], [mx.nd.zeros((rows,))]), is_train=False)
    assert stats == [["fc1_output"]] * 4  # as in MXNet


def test_a_callback_of_ones_own_sees_gradients_and_ours_do_not_need_them() -> None:
    rng = np.random.RandomState(3)
    data = mx.io.NDArrayIter(rng.uniform(-1, 1, (16, 10)).astype(np.float32), rng.randint(0, CLASSES, 16), BATCH)
    seen: list[float] = []

    def look(param: Any) -> None:
        seen.append(float(np.abs(gradient(param.locals["self"])).sum()))

    def gradient(module: mx.mod.Module) -> np.ndarray:
        return module._exec_group.execs[0].grad_dict["fc1_weight"].asnumpy()

    args, _ = trained().get_params()
    modules = []
    for callbacks in ([], [look]):
        module = mx.mod.Module(mlp())
        data.reset()
        module.fit(
            data, num_epoch=1, arg_params=args, batch_end_callback=[mx.callback.Speedometer(BATCH, 1), *callbacks]
        )
        modules.append(module)
    assert not gradient(modules[0]).any()
    assert len(seen) == 2 and min(seen) > 0
    assert_same(values(modules[0]), values(modules[1]))


def test_a_step_that_is_noted_is_seen_by_modules_that_share_its_parameters() -> None:
    module, twin, shares = trained(), trained(), mx.mod.Module(mlp())
    shares.bind(module.data_shapes, module.label_shapes, shared_module=module)
    batch = batches(SHAPES["mlp"], 1)[0]
    for stepping, reading in ((shares, module), (twin, twin)):
        stepping.forward_backward(batch)
        stepping.update()
        reading.forward(batch, is_train=False)
    np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), twin.get_outputs()[0].asnumpy(), rtol=1e-6)


def test_outputs_may_be_written_to() -> None:
    module = trained()
    for batch in batches(SHAPES["mlp"], 5):
        module.forward_backward(batch)
        module.update()
        module.get_outputs()[0][0] = 7
    assert (module.get_outputs()[0].asnumpy()[0] == 7).all()


def test_other_batch_sizes_rebind_and_compile_once_each() -> None:
    module, metric = trained(), mx.metric.Accuracy()
    for size in (8, 5, 8, 5, 8):
        together(module, metric, batches((size, 10), 1)[0])
    assert module.data_shapes[0].shape == (8, 10)
    assert module._exec_group.execs[0].program.traces["step"] == 2


def test_gradients_of_inputs() -> None:
    module = trained(inputs_need_grad=True)
    batch = batches(SHAPES["mlp"], 1)[0]
    module.forward_backward(batch)
    module.update()
    fused = module.get_input_grads()[0].asnumpy()
    other = trained(inputs_need_grad=True)
    other.forward(batch, is_train=True)
    other.get_outputs()
    other.backward()
    np.testing.assert_allclose(fused, other.get_input_grads()[0].asnumpy(), rtol=1e-5, atol=1e-7)
    assert np.abs(fused).max() > 0


def test_gradients_that_are_added_run_apart() -> None:
    module = trained(grad_req="add", params={"learning_rate": 0.0})
    batch = batches(SHAPES["mlp"], 1)[0]
    for _ in range(3):
        module.forward_backward(batch)
    three = module._exec_group.execs[0].grad_dict["fc1_weight"].asnumpy()
    once = trained()
    once.forward_backward(batch)
    np.testing.assert_allclose(three, 3 * once._exec_group.execs[0].grad_dict["fc1_weight"].asnumpy(), rtol=1e-5)


SLOW = pytest.mark.slow
PLACES = [
    pytest.param("mlp", [0, 0, 1, 1], id="mlp on two devices twice"),
    pytest.param("convolutional", [0, 1], id="convolutional on two devices", marks=SLOW),
    pytest.param("convolutional", [0, 0, 0, 0], id="convolutional on one device"),
    pytest.param("mlp", [0, 1, 2, 3], id="mlp on four devices", marks=SLOW),
    pytest.param("convolutional", [0, 0, 1, 1], id="convolutional on two devices twice", marks=SLOW),
    pytest.param("convolutional", [0, 1, 2, 3], id="convolutional on four devices", marks=SLOW),
]


@pytest.mark.parametrize(("name", "devices"), PLACES)
def test_contexts_step_as_executors_apart(name: str, devices: list[int]) -> None:
    results = []
    for way in (together, looking):
        module = trained(name, context=[mx.cpu(i) for i in devices])
        metric = mx.metric.create("acc")
        for batch in batches(SHAPES[name], 10):
            way(module, metric, batch)
        results.append({**values(module), "metric": np.array(metric.get()[1])})
    assert_same(results[0], results[1], 1e-5)


@pytest.mark.parametrize("devices", [[0, 0, 0], pytest.param([0, 1, 2], marks=SLOW)], ids=str)
def test_uneven_contexts(devices: list[int]) -> None:
    results = []
    for way in (together, looking):
        module = mx.mod.Module(mlp(), context=[mx.cpu(i) for i in devices])
        module.bind([("data", (8, 10))], [("softmax_label", (8,))])
        assert [s.stop - s.start for s in module._exec_group.slices] == [3, 3, 2]
        args, _ = trained().get_params()
        module.init_params(arg_params=args, aux_params={})
        module.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9})
        for batch in batches(SHAPES["mlp"], 5):
            way(module, mx.metric.Accuracy(), batch)
        results.append(values(module))
    assert_same(results[0], results[1], 1e-5)
