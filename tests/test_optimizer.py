"""``mx.optimizer`` against MXNet 1.9.1, and what goes beyond it."""

from __future__ import annotations

import copy
import inspect
import json
import pathlib
import pickle
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import symjit as mx
from symjit.ndarray import NDArray
from symjit.ops import optim
from symjit.optimizer.rule import Rule, run
from tests.compare import close
from tests.golden import optimizers

FOLDER = pathlib.Path(__file__).resolve().parent / "golden" / "optimizers"
LAYOUT = json.loads((FOLDER / "layout.json").read_text())

# Of the largest element; of float16 it is one unit in the last place. MXNet takes norms of the float16 weights where we
# take those of their float32 copies.
TOLERANCE = {"float32": 2e-6, "float64": 2e-6, "float16": 1.5e-3, "copy": 5e-5}


@pytest.fixture(scope="module")
def golden() -> Any:
    with np.load(FOLDER / "golden.npz") as file:
        return {name: file[name] for name in file.files}


def compare(found: dict[str, Any], layout: list[Any], numbers: np.ndarray, float32: str = "float32") -> None:
    position = 0
    for step in optimizers.KEPT:
        for key, shape, dtype in layout:
            got = found.pop(f"{step}/{key}")
            if shape is None:
                assert got is None
                continue
            assert got.dtype == dtype, key
            want = numbers[position : position + got.size].reshape(shape)
            position += got.size
            close(
                got.astype(np.float64), want, TOLERANCE[float32 if dtype == "float32" else dtype], f"step {step}, {key}"
            )
    assert position == len(numbers)
    assert not found


def slow(value: Any) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


def rows() -> list[Any]:
    """Return the cases; those are slow ones that compile anew, but for the first of each optimizer."""
    made, programs, names = [], set(), set()
    for case in optimizers.CASES:
        with warnings.catch_warnings(action="ignore"):
            optimizer = optimizers.create(mx, case)
        program = (optimizer.rule(), case.dtype, case.route, case.only)
        fast = program in programs or case.name not in names
        if fast and program[0] is not None:
            programs.add(program)
            names.add(case.name)
        made.append(pytest.param(case, id=case.id, marks=() if fast else pytest.mark.slow))
    return made


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", rows())
def test_golden(case: optimizers.Case, golden: Any) -> None:
    float32 = "copy" if case.dtype == "float16" else "float32"
    compare(optimizers.run(mx, case), LAYOUT[case.id], golden[case.id], float32)


def test_adamw(golden: Any) -> None:
    case = optimizers.Case(
        "adamw", "adamw", {"learning_rate": 0.05, "wd": 0.03, "clip_gradient": 0.6, "rescale_grad": 0.5}
    )
    compare(optimizers.run(mx, case), LAYOUT["adamw"], golden["adamw"])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("writer", ["mxnet", "symjit"])
@pytest.mark.parametrize("name", [*optimizers.RESUMED[:2], *(slow(name) for name in optimizers.RESUMED[2:])])
def test_resume(name: str, writer: str, golden: Any) -> None:
    """What goes on from saved states and a saved optimizer ends where MXNet ends that never stopped."""
    case = next(case for case in optimizers.CASES if case.id == name)
    if writer == "mxnet":
        with np.load(FOLDER / "resume.npz") as file:
            states = file[name].tobytes()
            weights = {i: mx.nd.array(file[f"{name}:{i}"], dtype=case.dtype) for i in case.only}
        present = mx.optimizer.create("sgd")
    else:
        before, weights = mx.optimizer.get_updater(optimizers.create(mx, case)), optimizers.weights(mx, case)
        optimizers.go_on(mx, case, before, weights, range(1, optimizers.HALF + 1))
        states = before.get_states(dump_optimizer=True)
        present = mx.optimizer.create(case.name)
    updater = mx.optimizer.get_updater(present)
    updater.set_states(states)
    assert type(updater.optimizer).__name__.lower() == case.name
    found = optimizers.go_on(mx, case, updater, weights, range(optimizers.HALF + 1, optimizers.STEPS + 1))
    last = found[f"{optimizers.STEPS}/0/w"]
    assert last is not None
    position = len(golden[name]) * (len(optimizers.KEPT) - 1) // len(optimizers.KEPT)
    want = golden[name][position : position + last.size].reshape(last.shape)
    close(last.astype(np.float64), want, TOLERANCE[case.dtype], "the first weight")


def test_states_without_the_optimizer() -> None:
    optimizer = mx.optimizer.Optax(optax.sgd(0.1, momentum=0.9))
    updater = mx.optimizer.get_updater(optimizer)
    weight, grad = arrays((3,), (3,))
    updater("w", grad, weight)
    other = mx.optimizer.get_updater(optimizer)
    other.set_states(updater.get_states())
    assert other.optimizer is optimizer
    copied = weight.copy()
    updater("w", grad, weight)
    other("w", grad, copied)
    np.testing.assert_array_equal(weight.asnumpy(), copied.asnumpy())
    updater.set_states(updater.get_states(dump_optimizer=True))
    assert updater.optimizer is not optimizer and updater.optimizer.tx is optimizer.tx  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["sgd", "lars"])
@pytest.mark.parametrize("case", ["names", "symbol", "set"])
def test_rates(name: str, case: str) -> None:
    x = mx.sym.Variable("x_weight", lr_mult=0.5, wd_mult=2.0)
    y = mx.sym.Variable("y_bias", wd_mult=0.25)
    symbol = mx.sym.FullyConnected(mx.sym.Variable("data"), x, y, num_hidden=3, name="fc")
    names = {0: "x_weight", 1: "y_bias", 2: "z_gamma", 3: "z_beta", 4: "embedding", 5: "weight"}
    optimizer: Any = mx.optimizer.create(
        name, learning_rate=0.1, wd=0.01, param_idx2name=names, sym=None if case == "names" else symbol
    )
    if case == "set":
        optimizer.set_lr_mult({"z_beta": 3.0, 4: 5.0})
        optimizer.set_wd_mult({"z_beta": 3.0, 4: 5.0})
    want = json.loads((FOLDER / "rates.json").read_text())[f"{name}-{case}"]
    assert [optimizer._get_lrs([*names, 6]), optimizer._get_wds([*names, 6])] == want


def test_modules() -> None:
    assert mx.optimizer.optimizer.Adam is mx.optimizer.Adam
    assert not hasattr(mx.optimizer.optimizer, "AdamZ")


def test_signatures() -> None:
    want = json.loads((FOLDER / "signatures.json").read_text())
    assert set(want.pop("names")) <= set(mx.optimizer.__all__)
    classes: dict[str, Any] = {**mx.optimizer.Optimizer.opt_registry, "optimizer": mx.optimizer.Optimizer}
    for name, methods in want.items():
        klass = mx.optimizer.Updater if name == "updater" else classes[name]
        for method, parameters in methods.items():
            found = inspect.signature(getattr(klass, method)).parameters.values()
            got = [f"{p.kind.name[:3]} {p.name}" + ("" if p.default is p.empty else f"={p.default!r}") for p in found]
            assert got == parameters, f"{name}.{method}"


# How an update goes ---------------------------------------------------------------------------------------------------


def arrays(*shapes: tuple[int, ...], seed: int = 0) -> list[NDArray]:
    rng = np.random.RandomState(seed)
    return [mx.nd.array(rng.standard_normal(shape)) for shape in shapes]


def test_identity() -> None:
    """Weights and states stay the arrays that they are; what was read before stays as it was."""
    optimizer = mx.optimizer.Adam()
    weight, grad = arrays((3, 4), (3, 4))
    state: Any = optimizer.create_state(0, weight)
    row, before, held = weight[1], weight.copy(), weight.asjax()
    optimizer.update(0, weight, grad, state)
    assert not np.allclose(row.asnumpy(), before.asnumpy()[1])
    np.testing.assert_array_equal(row.asnumpy(), weight.asnumpy()[1])
    np.testing.assert_array_equal(np.asarray(held), before.asnumpy())
    assert state[0].asnumpy().any() and state[1].asnumpy().any()


def test_held_states() -> None:
    """States that a user holds survive the updates after it."""
    optimizer = mx.optimizer.Adam()
    weight, grad = arrays((3, 4), (3, 4))
    state: Any = optimizer.create_state(0, weight)
    held = []
    for _ in range(4):
        optimizer.update(0, weight, grad, state)
        held.append((state[0].asjax(), state[1].copy(), state[0].asnumpy(), state[1].asnumpy()))
    state = (state[0], state[0])  # one array twice
    optimizer.update(0, weight, grad, state)
    for mean, var, *want in held:
        np.testing.assert_array_equal(np.asarray(mean), want[0])
        np.testing.assert_array_equal(var.asnumpy(), want[1])


def test_views() -> None:
    whole, grad = arrays((4, 3), (2, 3))
    want = whole.asnumpy()
    mx.optimizer.SGD(learning_rate=0.5).update(0, whole[1:3], grad, None)
    want[1:3] -= 0.5 * grad.asnumpy()
    np.testing.assert_allclose(whole.asnumpy(), want, rtol=1e-6)


def test_nothing_is_shared() -> None:
    """States that are equal to the weight are arrays of their own."""
    for name in ("test", "dcasgd"):
        optimizer = mx.optimizer.create(name)
        weight, grad = arrays((3,), (3,))
        state: Any = optimizer.create_state(0, weight)
        optimizer.update(0, weight, grad, state)
        weight[:] = 7
        leaf = state if name == "test" else state[1]
        assert not (leaf.asnumpy() == 7).any()


def test_rates_do_not_recompile() -> None:
    traces = []

    def counted(weight: Any, grad: Any, *, lr: Any) -> tuple[Any]:
        traces.append(lr)
        return (weight - lr * grad,)

    rule = Rule(counted, ("lr",), (0,))
    shapes = [(3,)] * 40
    weights, grads = arrays(*shapes), arrays(*shapes, seed=1)
    want = [w.asnumpy() - 10 * i * g.asnumpy() for i, (w, g) in enumerate(zip(weights, grads, strict=True))]
    for step in range(5):
        run(rule, weights, grads, [None] * 40, [{"lr": float(i * step)} for i in range(40)])
    np.testing.assert_allclose([w.asnumpy() for w in weights], want, rtol=1e-5, atol=1e-4)
    assert len(traces) < 10  # of all parameters, since they have one shape
    first, second = (mx.optimizer.SGD(learning_rate=lr, clip_gradient=c).rule() for lr, c in ((0.1, None), (0.2, 1.0)))
    assert first == second and hash(first) == hash(second)
    assert first != mx.optimizer.SGD(momentum=0.9).rule()


@pytest.mark.parametrize("name", sorted(mx.optimizer.Optimizer.opt_registry))
def test_hyper(name: str) -> None:
    """Every index has the same numbers, those that the rule takes among them."""
    optimizer: Any = mx.optimizer.create(name, **({"tx": optax.sgd(0.1)} if name == "optax" else {}))
    made = optimizer.advance(["a", 1])
    assert made[0].keys() == made[1].keys() >= set(optimizer.rule().numbers)
    assert all(isinstance(value, int | float) for value in made[0].values())
    assert optimizer.rule().pack(made).shape == (2, len(optimizer.rule().numbers))


def test_lists() -> None:
    weights, grads = arrays((3,), (2, 2)), arrays((3,), (2, 2), seed=1)
    copies = [w.copy() for w in weights]
    optimizer = mx.optimizer.SGD(momentum=0.5, learning_rate=0.1)
    states = [optimizer.create_state(i, w) for i, w in enumerate(weights)]
    optimizer.update([0, 1], weights, grads, states)
    assert optimizer.num_update == 1
    for i, (w, g) in enumerate(zip(copies, grads, strict=True)):
        single = mx.optimizer.SGD(momentum=0.5, learning_rate=0.1)
        single.update(i, w, g, single.create_state(i, w))
        np.testing.assert_array_equal(w.asnumpy(), weights[i].asnumpy())


def test_advance() -> None:
    """LARS looks at the last rate once in a call: with lists of four for four parameters, singly for the first."""
    scheduler = mx.lr_scheduler.MultiFactorScheduler(step=[1], factor=0.5, base_lr=0.2)
    lars = mx.optimizer.LARS(momentum=0.8, lr_scheduler=scheduler)
    twin = copy.deepcopy(lars)
    for optimizer, size, corrected in ((lars, None, 4), (twin, 1, 1)):
        optimizer.advance(range(6), size)
        momenta = [numbers["momentum"] for numbers in optimizer.advance(range(6), size)]
        assert momenta == [0.4] * corrected + [0.8] * (6 - corrected)


@pytest.mark.parametrize(("name", "dtype"), [("sgd", "float16"), ("adam", "bfloat16")])
def test_master_copies(name: str, dtype: str) -> None:
    optimizer = mx.optimizer.create(name, learning_rate=1e-4, multi_precision=True)
    weight = mx.nd.ones((2, 3), dtype=dtype)
    grad = mx.nd.ones((2, 3), dtype=dtype)
    state: Any = optimizer.create_state_multi_precision(0, weight)
    master = state[1] if name == "sgd" else state[0]
    for _ in range(50):
        optimizer.update_multi_precision(0, weight, grad, state)
    np.testing.assert_allclose(master.asnumpy(), 1 - 50e-4, rtol=1e-5)
    np.testing.assert_array_equal(weight.asnumpy(), master.astype(dtype).asnumpy())
    with pytest.warns(UserWarning, match="multi_precision=True"):
        mx.optimizer.create(name).create_state_multi_precision(0, weight)


def test_dcasgd_momentum() -> None:
    """MXNet fails with a momentum; the formula of its documentation."""
    optimizer = mx.optimizer.DCASGD(momentum=0.9, lamda=0.3, learning_rate=0.1, wd=0.01)
    (weight,) = arrays((5,))
    state = optimizer.create_state(0, weight)
    w, previous, mom = weight.asnumpy(), weight.asnumpy(), np.zeros(5, np.float32)
    for step in range(4):
        (grad,) = arrays((5,), seed=step + 1)
        optimizer.update(0, weight, grad, state)
        g = grad.asnumpy()
        mom = 0.9 * mom - 0.1 * (g + 0.01 * w + 0.3 * g * g * (w - previous))
        previous, w = w, w + mom
        close(weight.asnumpy(), w, 1e-5, f"step {step}")


def test_sgld_noise() -> None:
    """A seed decides the noise, which has the spread of the rate and differs between parameters."""
    optimizer = mx.optimizer.SGLD(learning_rate=0.04, wd=0.1, rescale_grad=0.5, clip_gradient=1.0)
    made = []
    for _ in range(2):
        mx.random.seed(3)
        weights = [mx.nd.full((20000,), 2.0), mx.nd.full((20000,), 2.0)]
        mx.optimizer.get_updater(optimizer)([0, 1], [mx.nd.full((20000,), 4.0)] * 2, weights)
        made.append([weight.asnumpy() for weight in weights])
    np.testing.assert_array_equal(made[0], made[1])
    assert not (made[0][0] == made[0][1]).all()
    noise = made[0][0] - (2.0 - 0.02 * (1.0 + 0.2))
    assert abs(noise.mean()) < 4 * 0.2 / np.sqrt(noise.size)
    assert abs(noise.std() / 0.2 - 1) < 0.03


# The registry and a user's own ----------------------------------------------------------------------------------------


def test_own_optimizer() -> None:
    """A subclass in NDArray code, as one writes it for MXNet."""

    class Slow(mx.optimizer.Optimizer):
        def create_state(self, index: Any, weight: Any) -> Any:
            return mx.nd.zeros(weight.shape, weight.context, dtype=weight.dtype)

        def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
            self._update_count(index)
            lr, wd = self._get_lr(index), self._get_wd(index)
            grad = mx.nd.clip(grad * self.rescale_grad, -1.0, 1.0) + wd * weight
            state[:] = 0.5 * state + grad
            weight[:] -= lr * state

    try:
        mx.optimizer.Optimizer.register(Slow)
        with pytest.warns(UserWarning, match="replaces"):
            mx.optimizer.register(Slow)
        optimizer: Any = mx.optimizer.create("SLOW", learning_rate=0.1, wd=0.5, multi_precision=True)
    finally:
        mx.optimizer.Optimizer.opt_registry.pop("slow")
    assert type(optimizer) is Slow and optimizer.rule() is None
    updater = mx.optimizer.get_updater(optimizer)
    for dtype in ("float32", "float16"):
        weight, grad = mx.nd.ones((3,), dtype=dtype), mx.nd.ones((3,), dtype=dtype)
        updater(dtype, grad, weight)
        updater([dtype], [grad], [weight])
        np.testing.assert_allclose(weight.asnumpy(), 0.85 - 0.1 * (0.75 + 1 + 0.425), rtol=1e-3)
    assert optimizer.num_update == 2


def test_overridden_update() -> None:
    """A subclass of a built-in that overrides `update` has no rule, and is handed one parameter at a time."""
    seen = []

    class Watched(mx.optimizer.SGD):
        def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
            seen.append(index)
            super().update(index, weight, grad, state)

    optimizer = Watched(learning_rate=1.0)
    weights, grads = arrays((3,), (2,)), [mx.nd.zeros((3,)), mx.nd.zeros((2,))]
    mx.optimizer.get_updater(optimizer)([0, 1], grads, weights)
    assert optimizer.rule() is None and seen == [0, 1]


def test_an_index_that_occurs_twice() -> None:
    weights, grads = arrays((3,)), arrays((3,), (3,), seed=1)
    copied = weights[0].copy()
    mx.optimizer.get_updater(mx.optimizer.Adam())([0, 0], grads, weights * 2)
    updater = mx.optimizer.get_updater(mx.optimizer.Adam())
    for grad in grads:
        updater(0, grad, copied)
    np.testing.assert_array_equal(weights[0].asnumpy(), copied.asnumpy())


def test_pickle() -> None:
    optimizer = mx.optimizer.Adam(learning_rate=0.5, param_dict={0: object()})
    copied = pickle.loads(pickle.dumps(optimizer))
    assert copied.lr == 0.5 and copied.param_dict == {}
    assert copy.deepcopy(optimizer).beta2 == 0.999


def test_counts() -> None:
    optimizer = mx.optimizer.SGD(begin_num_update=3)
    optimizer._update_count([0, 1])
    optimizer._update_count(1)
    assert optimizer.num_update == 5
    optimizer._set_current_context(1)
    optimizer._update_count(0)
    assert (optimizer._all_index_update_counts, optimizer.num_update) == ({0: {0: 4, 1: 5}, 1: {0: 4}}, 5)


def test_scheduler_and_rate() -> None:
    scheduler = mx.lr_scheduler.FactorScheduler(step=1, factor=0.5, base_lr=0.3)
    with pytest.warns(UserWarning, match="replaces the base_lr"):
        optimizer = mx.optimizer.SGD(learning_rate=0.2, lr_scheduler=scheduler)
    assert optimizer.learning_rate == 0.2 and mx.optimizer.SGD().learning_rate == 0.01
    with pytest.raises(UserWarning, match="lr_scheduler"):
        optimizer.set_learning_rate(1.0)


# Errors ---------------------------------------------------------------------------------------------------------------


def test_errors() -> None:
    weight, grad = arrays((3, 2), (3, 2))
    adam = mx.optimizer.Adam()
    with pytest.raises(ValueError, match=r"Cannot find optimizer nothing.*adam"):
        mx.optimizer.create("nothing")
    with pytest.raises(AssertionError, match=r"register: expected a subclass .*len"):
        mx.optimizer.register(len)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError):
        mx.optimizer.Optimizer().update(0, weight, grad, None)
    with pytest.raises(mx.MXNetError, match=r"state of 2 arrays, got no state.*another optimizer"):
        adam.update(0, weight, grad, None)
    with pytest.raises(mx.MXNetError, match=r"shape \(3, 2\), its gradient \(2, 3\)"):
        adam.update(0, weight, mx.nd.ones((2, 3)), adam.create_state(0, weight))
    with pytest.raises(mx.MXNetError, match=r"does not belong to a weight of shape \(3, 2\)"):
        adam.update(0, weight, grad, (mx.nd.ones((4, 3, 2)), mx.nd.ones((4, 3, 2))))
    with pytest.raises(mx.MXNetError, match="2, 1, 1, 1"):
        adam.update([0, 1], [weight], [grad], [None])
    with pytest.raises(AssertionError, match="ndarray"):
        adam.update(0, weight, grad.asnumpy(), None)
    with pytest.raises(mx.MXNetError, match="create_state_multi_precision"):
        low = mx.nd.ones((2,), dtype="float16")
        mx.optimizer.SGD(multi_precision=True).update_multi_precision(0, low, low, None)
    with pytest.raises(AssertionError, match="weight decay"):
        mx.optimizer.contrib.GroupAdaGrad(wd=0.1).advance([0])
    with pytest.raises(AssertionError, match="two dimensions"):
        mx.optimizer.contrib.GroupAdaGrad().create_state(0, mx.nd.ones((3,)))
    updater = mx.optimizer.get_updater(adam)
    with pytest.raises(mx.MXNetError, match=r"index 'b' has shape \(3, 2\), its gradient \(3,\); nothing was updated"):
        updater(["a", "b"], [grad, mx.nd.ones((3,))], [weight, weight])
    assert updater.states == {} and "b" not in adam._index_update_count
    with pytest.raises(mx.MXNetError, match="2 indices"):
        mx.optimizer.get_updater(adam)([0, 1], [grad], [weight])
    with pytest.raises(AssertionError, match="param_idx2name"):
        mx.optimizer.SGD(param_idx2name=["a"])  # type: ignore[arg-type]
    np.testing.assert_array_equal(weight.asnumpy(), arrays((3, 2))[0].asnumpy())


# optax ----------------------------------------------------------------------------------------------------------------


def test_optax() -> None:
    tx = optax.sgd(optax.linear_schedule(0.1, 0.0, 5), momentum=0.9)
    optimizer: Any = mx.optimizer.create("optax", tx=tx, rescale_grad=0.5, param_idx2name={0: "w", 1: "b"})
    optimizer.set_lr_mult({"b": 0.0})
    updater = mx.optimizer.get_updater(optimizer)
    weights = arrays((3, 2), (2,))
    update = jax.jit(tx.update)
    want, still = weights[0].asjax(), weights[1].asnumpy()
    state = tx.init(want)
    for step in range(6):
        grads = arrays((3, 2), (2,), seed=step + 1)
        updater([0, 1], grads, weights)
        with jax.numpy_dtype_promotion("standard"):
            updates, state = update(grads[0].asjax() * 0.5, state, want)
        want = optax.apply_updates(want, updates)
    close(weights[0].asnumpy(), np.asarray(want), 1e-6, "weight")
    np.testing.assert_array_equal(weights[1].asnumpy(), still)


def _weights_alone(params: Any) -> Any:
    return {name: name.endswith("_weight") for name in params}


#: Each sees all parameters as one tree.
TRANSFORMATIONS: dict[str, Any] = {
    "global norm": lambda: optax.chain(optax.clip_by_global_norm(0.3), optax.sgd(0.1, momentum=0.9)),
    "mask by name": lambda: optax.chain(
        optax.masked(optax.add_decayed_weights(0.3), _weights_alone),
        optax.masked(optax.trace(0.9), _weights_alone),
        optax.scale_by_learning_rate(optax.cosine_decay_schedule(0.1, 5)),
    ),
    "noise": lambda: optax.chain(optax.add_noise(0.1, 0.5, jax.random.key(3)), optax.sgd(0.1)),
    "labels": lambda: optax.multi_transform(
        {"a": optax.sgd(0.1, momentum=0.9), "b": optax.adam(0.05)},
        lambda params: {name: "a" if name.endswith("_weight") else "b" for name in params},
    ),
    "numbers in the state": lambda: optax.inject_hyperparams(optax.adamw)(
        learning_rate=optax.linear_schedule(0.1, 0.0, 4), weight_decay=optax.linear_schedule(0.5, 0.0, 3)
    ),
    "several steps": lambda: optax.MultiSteps(optax.adam(0.1), 2),
    "no sum of parts": lambda: optax.flatten(optax.sgd(0.1, momentum=0.9)),
}


@pytest.mark.parametrize("name", [x if x == "global norm" else slow(x) for x in TRANSFORMATIONS])
def test_optax_sees_all_parameters(name: str) -> None:
    """Steps are those of optax on a dict by name; the states go through a file in the middle."""
    tx, names = TRANSFORMATIONS[name](), {0: "a_weight", 7: "a_bias", 8: "b_weight"}
    optimizer = mx.optimizer.Optax(tx, param_idx2name=names)
    updater = mx.optimizer.get_updater(optimizer)
    weights = arrays((3, 2), (2,), (3, 2))
    want = {n: w.asjax() for n, w in zip(names.values(), weights, strict=True)}
    with jax.numpy_dtype_promotion("standard"):
        state = tx.init(want)
        for step in range(4):
            grads = arrays((3, 2), (2,), (3, 2), seed=step + 1)
            updater(list(names), grads, weights)
            given = {n: g.asjax() for n, g in zip(names.values(), grads, strict=True)}
            updates, state = jax.jit(tx.update)(given, state, want)
            want = optax.apply_updates(want, updates)
            if step == 1:
                saved = updater.get_states()
                updater = mx.optimizer.get_updater(optimizer)
                updater.set_states(saved)
    for key, weight in zip(names.values(), weights, strict=True):
        close(weight.asnumpy(), np.asarray(want[key]), 1e-5, key)  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.parametrize("contexts", [1, 2])
def test_optax_in_fit(contexts: int) -> None:
    """A step of a module hands over all parameters by their names; the loss is that of a linear regression."""
    tx = optax.chain(optax.clip_by_global_norm(0.2), TRANSFORMATIONS["mask by name"]())
    data, label, weight, bias = (x.asnumpy() for x in arrays((12, 3), (12, 2), (2, 3), (2,)))
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    module = mx.mod.Module(
        mx.sym.LinearRegressionOutput(x, name="out"),
        label_names=["out_label"],
        context=[mx.cpu(i) for i in range(contexts)],
    )
    module.fit(
        mx.io.NDArrayIter(data, label, batch_size=4, label_name="out_label"),
        eval_metric="mse",
        optimizer=mx.optimizer.Optax(tx, rescale_grad=1 / 4),
        arg_params={"fc_weight": mx.nd.array(weight), "fc_bias": mx.nd.array(bias)},
        num_epoch=2,
    )
    want: Any = {"fc_weight": jnp.asarray(weight), "fc_bias": jnp.asarray(bias)}
    with jax.numpy_dtype_promotion("standard"):
        state = tx.init(want)
        for step in range(6):
            rows = slice(step % 3 * 4, step % 3 * 4 + 4)
            # The gradient of half the squared error, over the outputs of a sample.
            error = (data[rows] @ want["fc_weight"].T + want["fc_bias"] - label[rows]) / 2
            grads = {"fc_weight": error.T @ data[rows] / 4, "fc_bias": error.sum(axis=0) / 4}
            updates, state = tx.update(grads, state, want)
            want = optax.apply_updates(want, updates)
    for name, value in module.get_params()[0].items():
        close(value.asnumpy(), np.asarray(want[name]), 1e-5, name)


@pytest.mark.slow
def test_optax_dtypes() -> None:
    for dtype in ("float16", "float64"):
        optimizer = mx.optimizer.Optax(optax.adam(0.125), multi_precision=True)
        weight = mx.nd.ones((3,), dtype=dtype)
        mx.optimizer.get_updater(optimizer)(0, mx.nd.ones((3,), dtype=dtype), weight)
        assert weight.dtype == np.dtype(dtype)
        np.testing.assert_allclose(weight.asnumpy(), 0.875, rtol=1e-6)


def test_optax_errors() -> None:
    with pytest.raises(TypeError, match="GradientTransformation"):
        mx.optimizer.Optax("adam")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="learning_rate"):
        mx.optimizer.Optax(optax.sgd(0.1), learning_rate=0.1)
    weight, grad = arrays((3,), (3,))
    with pytest.raises(mx.MXNetError, match=r"for w a state of .*another transformation"):
        mx.optimizer.Optax(optax.adam(0.1), param_idx2name={0: "w"}).update(0, weight, grad, (weight,))
    with pytest.raises(mx.MXNetError, match=r"missing 1 required .*'value'.*cannot be used here"):
        mx.optimizer.get_updater(mx.optimizer.Optax(optax.contrib.reduce_on_plateau()))(0, grad, weight)


@pytest.mark.parametrize("compiled", [slow(False), True])
@pytest.mark.parametrize("name", ["nadam", slow("dcasgd")])
def test_transformation(name: str, compiled: bool) -> None:
    """An optimizer as a transformation takes the steps of an Updater, whoever decides the rate."""
    scheduler = mx.lr_scheduler.FactorScheduler(step=2, factor=0.5, base_lr=0.1)
    optimizer = mx.optimizer.create(name, wd=0.1, rescale_grad=0.5, learning_rate=0.1, lr_scheduler=scheduler)
    tx = optimizer.transformation()
    weights = arrays((3, 2), (2,))
    params = {"a": weights[0].asjax(), "b": weights[1].asjax()}
    state: Any = tx.init(params)
    update = jax.jit(tx.update) if compiled else tx.update
    updater = mx.optimizer.get_updater(optimizer)
    for step in range(5):
        grads = arrays((3, 2), (2,), seed=step + 1)
        updates, state = update({"a": grads[0].asjax(), "b": grads[1].asjax()}, state, params)
        params = optax.apply_updates(params, updates)
        updater([0, 1], grads, weights)
    close(np.asarray(params["a"]), weights[0].asnumpy(), 1e-5, "a")  # type: ignore[index]
    close(np.asarray(params["b"]), weights[1].asnumpy(), 1e-5, "b")  # type: ignore[index]


def test_transformation_goes_back() -> None:
    """An earlier state gives what it gave."""
    scheduler = mx.lr_scheduler.FactorScheduler(step=1, factor=0.5, base_lr=0.1)
    tx = mx.optimizer.SGD(lr_scheduler=scheduler).transformation()
    update = jax.jit(tx.update)
    params = jnp.ones((2,), jnp.float32)
    states, made = [tx.init(params)], []
    for _ in range(3):
        updates, state = update(params, states[-1], params)
        states.append(state)
        made.append(np.asarray(updates))
    np.testing.assert_array_equal(np.asarray(update(params, states[1], params)[0]), made[1])
    with pytest.raises(ValueError, match="needs the parameters"):
        tx.update(params, states[0])
    with pytest.raises(mx.MXNetError, match=r"outside of jax\.jit"):
        jax.jit(tx.init)(params)


def test_rules_are_complete() -> None:
    """Every rule of `symjit.ops.optim` is that of an optimizer."""
    used = set()
    for name, klass in mx.optimizer.Optimizer.opt_registry.items():
        for extra in (
            {},
            {"momentum": 0.9},
            {"momentum": 0.0},
            {"centered": True},
            {"warmup_strategy": "lars"},
            {"warmup_strategy": "lars", "momentum": 0.9},
        ):
            if name != "optax" and set(extra) <= set(inspect.signature(klass).parameters):
                used.add(klass(**extra)._rule(False).fn.__name__)  # type: ignore[union-attr]
    assert used == set(optim.__all__)
