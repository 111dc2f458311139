"""Checkpoints of modules: what belongs together goes on with the same bits, what does not is refused without harm."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.base import MXNetError
from symjit.ndarray.serialize import dumps
from symjit.optimizer.states import dump_states, load_states_file
from tests.killed_training import EPOCHS

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "states"
MOMENTUM = {"learning_rate": 0.1, "momentum": 0.9}


# A machine that dies --------------------------------------------------------------------------------------------------


def check_killed(folder: Path, optimizer: str, points: list[str]) -> dict[str, Any]:
    """Compare a training that was killed at these points with one that was not: every file of every epoch."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.killed_training", str(folder), optimizer, *points],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    whole, killed = folder / "whole", folder / "killed"
    endings = [f"{epoch:04d}.{ending}" for epoch in range(1, EPOCHS + 1) for ending in ("params", "states")]
    for name in ("net-symbol.json", *(f"net-{ending}" for ending in endings)):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    first, last = (load_states_file(whole / f"net-{epoch:04d}.states") for epoch in (1, EPOCHS))
    assert first.facts is not None and last.facts is not None
    assert (first.facts["num_update"], last.facts["num_update"]) == (6, 6 * EPOCHS)
    return json.loads(done.stdout)


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes")


@needs_fork
def test_training_that_is_killed_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    """Killed when the parameters have their name and the states have not: the epoch before is gone on from."""
    report = check_killed(tmp_path, "adam", ["2:k6"])
    assert report["from"] == 1 and len(report["refused"]) == 1
    assert report["refused"][0].startswith("FileNotFoundError") and "saved with them and to its end" in str(report)


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nadam", "lars"])
def test_training_that_is_killed_at_any_step_of_a_save(optimizer: str, tmp_path: Path) -> None:
    points = ["1:b3", "1:k4", "2:b0", "2:b5", *(f"2:k{step}" for step in range(9)), "3:b2", "3:k8"]
    assert check_killed(tmp_path, optimizer, points) == {"from": 3, "refused": []}


# Files that belong together -------------------------------------------------------------------------------------------


def network(hidden: int = 4) -> mx.sym.Symbol:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="fc1")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")


def begun(module: mx.mod.Module, optimizer: Any = "sgd", params: Any = None, **options: Any) -> mx.mod.Module:
    module.bind([("data", (4, 5))], [("softmax_label", (4,))])
    if not module.params_initialized:
        mx.random.seed(3)
        module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer=optimizer, optimizer_params=MOMENTUM if params is None else params, **options)
    return module


def trained(optimizer: Any = "sgd", params: Any = None, steps: int = 2, hidden: int = 4) -> mx.mod.Module:
    module = begun(mx.mod.Module(network(hidden)), optimizer, params)
    train(module, steps)
    return module


def train(module: mx.mod.Module, steps: int = 1) -> None:
    for step in range(steps):
        data = np.random.RandomState(step).rand(4, 5)
        module.forward_backward(mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array([0, 1, 2, 0])]))
        module.update()


def values(module: mx.mod.Module) -> list[bytes]:
    args, aux = module.get_params()
    return [array.asnumpy().tobytes() for array in (*args.values(), *aux.values())]


def content(module: mx.mod.Module) -> bytes:
    """Return all that the optimizer has."""
    updater: Any = module._updater
    return updater.get_states(dump_optimizer=True)


PLAIN = {"learning_rate": 0.1}
LARGE = type("SGD", (), {})()
LARGE.__dict__.update(lr=0.5, momentum=0.9, update=1)
WEIGHT = mx.nd.ones((4, 5))


def saved(states: dict[Any, Any], optimizer: Any, **facts: Any) -> bytes:
    return dump_states(states, optimizer, {"num_update": 2, "counts": {}, **facts})


OTHERS: dict[str, tuple[bytes, str]] = {
    "another optimizer": (
        saved({0: (WEIGHT, WEIGHT)}, mx.optimizer.Adam()),
        "expected states of SGD, got those of Adam. Load the checkpoint without optimizer states, or with",
    ),
    "another of the same layout": (
        saved({0: WEIGHT}, mx.optimizer.AdaGrad()),
        "expected states of SGD, got those of AdaGrad",
    ),
    "other settings": (
        saved({0: None}, mx.optimizer.SGD()),
        r"parameter 'fc1_weight' of shape \(4, 5\): expected a state '\(4, 5\)' of SGD with its .* got None",
    ),
    "another network": (
        saved({0: mx.nd.ones((7, 5))}, mx.optimizer.SGD()),
        r"parameter 'fc1_weight' of shape \(4, 5\): expected a state '\(4, 5\)' of SGD .* got '\(7, 5\)'",
    ),
    "another optimizer's of MXNet": (
        (GOLDEN / "adam.states").read_bytes(),
        "parameter 'fc1_weight' of shape .*expected a state",
    ),
    "a larger network": (
        dump_states({4: mx.nd.ones((3,))}),
        r"a state of the parameter 4, but the network has \['fc1_weight', 'fc1_bias', 'fc2_weight', 'fc2_bias'\]",
    ),
    "names of another network": (
        dump_states({"fc1_weight": WEIGHT, "fc3_bias": None}),
        "a state of the parameter 'fc3_bias', but the network has",
    ),
    "parameters": (dumps([np.ones(3)], ["arg:x"]), "expected optimizer states, but these are other arrays"),
    "half a file": (dump_states({0: WEIGHT})[:-9], "cut short or damaged"),
    "a trap": (pickle.dumps(print), "which was not imported"),
    "an optimizer that hides methods": (dump_states({}, LARGE), "have the names of its methods"),
    "no counts": (
        dump_states({}, mx.optimizer.SGD(), {"num_update": 3}),
        r"the saved progress of SGD lacks \['counts'\]",
    ),
    "counts of something else": (
        saved({}, mx.optimizer.SGD(), counts={0: "a"}),
        "expected the counts of updates, got {0: 'a'}",
    ),
    "a negative count": (
        saved({}, mx.optimizer.SGD(), num_update=-3),
        "num_update of SGD: expected a whole number from 0 on, got -3",
    ),
}


@pytest.fixture(scope="module")
def ready() -> mx.mod.Module:
    return trained()


@pytest.mark.parametrize("name", OTHERS)
def test_other_states_are_refused(name: str, ready: mx.mod.Module, tmp_path: Path) -> None:
    data, problem = OTHERS[name]
    path = str(tmp_path / "x.states")
    Path(path).write_bytes(data)
    before = content(ready)
    with pytest.raises(MXNetError, match=problem) as caught:
        ready.load_optimizer_states(path)
    assert str(caught.value).startswith(path)
    assert content(ready) == before


def test_a_module_that_refused_states_goes_on(tmp_path: Path) -> None:
    (tmp_path / "x.states").write_bytes(OTHERS["another network"][0])
    module, control = trained(), trained()
    with pytest.raises(MXNetError, match="expected a state"):
        module.load_optimizer_states(tmp_path / "x.states")
    train(module)
    train(control)
    assert values(module) == values(control) and content(module) == content(control)


def test_a_scheduler_that_would_never_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.states").write_bytes(saved({}, mx.optimizer.SGD(), num_update=2**58))
    scheduler = mx.lr_scheduler.FactorScheduler(step=1, factor=0.9)
    module = begun(mx.mod.Module(network()), params={"lr_scheduler": scheduler})
    with pytest.raises(MXNetError, match="at most 1000000 changes of the rate"):
        module.load_optimizer_states(tmp_path / "x.states")


@pytest.mark.filterwarnings("ignore:Parameters already initialized")
def test_states_that_do_not_load_are_not_done_without(tmp_path: Path) -> None:
    """`fit` fails again when it is called again, instead of training with no states."""
    prefix = str(tmp_path / "net")
    trained().save_checkpoint(prefix, 1)
    data = mx.io.NDArrayIter(np.ones((4, 5), np.float32), np.zeros(4), batch_size=4)
    module = mx.mod.Module.load(prefix, 1, load_optimizer_states=True)
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"saved with them and to its end: '.*net-0001\.states'"):
            module.fit(data, begin_epoch=1, num_epoch=2)
    assert not module.optimizer_initialized
    trained().save_checkpoint(prefix, 1, save_optimizer_states=True)
    module.fit(data, optimizer_params=MOMENTUM, begin_epoch=1, num_epoch=2)


def test_states_beside_parameters_of_another_training_are_refused(tmp_path: Path) -> None:
    """As a kill leaves them that comes between the two files, where there were files of these names."""
    prefix = str(tmp_path / "net")
    trained().save_checkpoint(prefix, 1, save_optimizer_states=True)
    whole = begun(mx.mod.Module.load(prefix, 1, load_optimizer_states=True))
    trained(steps=3).save_params(f"{prefix}-0001.params")
    module = mx.mod.Module.load(prefix, 1, load_optimizer_states=True)
    with pytest.raises(MXNetError, match=r"net-0001\.states: these states were not saved with the parameters beside"):
        begun(module)
    assert not module.optimizer_initialized
    # Whoever knows better can.
    module = begun(mx.mod.Module.load(prefix, 1))
    module.load_optimizer_states(f"{prefix}-0001.states")
    assert content(module) == content(whole)


def test_a_network_beside_parameters_of_another_is_refused(tmp_path: Path) -> None:
    prefix = str(tmp_path / "net")
    trained().save_checkpoint(prefix, 1, save_optimizer_states=True)
    network(7).save(f"{prefix}-symbol.json")
    with pytest.raises(MXNetError, match=r"parameter 'fc1_weight' has shape \(4, 5\), the network takes \(7, 5\)"):
        begun(mx.mod.Module.load(prefix, 1, load_optimizer_states=True))


@pytest.mark.parametrize("contexts", [(1, 2), (2, 1), pytest.param((2, 2), marks=pytest.mark.slow)])
def test_states_suit_other_numbers_of_contexts(contexts: tuple[int, int], tmp_path: Path) -> None:
    """One context goes by index, several by name, as in MXNet; which then loses the states between them."""
    prefix = str(tmp_path / "net")
    modules = [mx.mod.Module(network(), context=[mx.cpu(0)] * contexts[0])]
    train(begun(modules[0], "adam", PLAIN), 2)
    modules[0].save_checkpoint(prefix, 1, save_optimizer_states=True)
    modules.append(mx.mod.Module.load(prefix, 1, True, context=[mx.cpu(0)] * contexts[1]))
    begun(modules[1], "adam", PLAIN)
    for module in modules:
        train(module)
    updater: Any = modules[1]._updater
    assert set(updater.states) == ({0, 1, 2, 3} if contexts[1] == 1 else set(network().list_arguments()[1:-1]))
    first, second = (module.get_params()[0] for module in modules)
    for name, array in first.items():
        np.testing.assert_allclose(array.asnumpy(), second[name].asnumpy(), rtol=1e-5, atol=1e-7)


def test_each_context_alone_has_states_of_its_own(tmp_path: Path) -> None:
    module = begun(mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(0)]), kvstore=None)
    train(module, 2)
    module.save_optimizer_states(tmp_path / "x.states")
    other = begun(mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(0)]), kvstore=None)
    other.load_optimizer_states(tmp_path / "x.states")
    assert content(other) == content(module)
    with pytest.raises(MXNetError, match=r"parameter 'fc\d_\w+' of shape"):
        trained().load_optimizer_states(tmp_path / "x.states")


@pytest.mark.parametrize(("begin", "counted"), [(0, 2), (7, 7)])
def test_the_number_of_updates_comes_from_the_file_or_from_the_program(
    begin: int, counted: int, tmp_path: Path
) -> None:
    trained("adam", PLAIN).save_optimizer_states(tmp_path / "x.states")
    module = begun(mx.mod.Module(network()), "adam", {**PLAIN, "begin_num_update": begin})
    module.load_optimizer_states(tmp_path / "x.states")
    optimizer: Any = module._optimizer
    assert optimizer.num_update == counted
    train(module)
    assert optimizer.num_update == counted + 1 and set(optimizer._index_update_count.values()) == {counted + 1}


def test_an_optimizer_in_the_file_is_trained_with(tmp_path: Path) -> None:
    """As in MXNet, where the updater gets another optimizer."""
    saved, module, control = trained("sgd", {"learning_rate": 0.5}), trained("sgd", PLAIN), trained("sgd", PLAIN)
    (tmp_path / "x.states").write_bytes(content(saved))
    module.load_optimizer_states(tmp_path / "x.states")
    before = np.concatenate([np.frombuffer(each, np.float32) for each in values(control)])
    train(module)
    train(control)
    slow, fast = (np.concatenate([np.frombuffer(x, np.float32) for x in values(m)]) for m in (control, module))
    np.testing.assert_allclose(fast - before, 5 * (slow - before), rtol=1e-4, atol=1e-7)


# Parameters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "problem"),
    [
        ({"fc2_weight": None}, RuntimeError, "fc2_weight is not presented"),
        ({"fc2_weight": (3, 5)}, MXNetError, r"'fc2_weight' has shape \(3, 5\), the network takes \(3, 4\)"),
    ],
)
def test_parameters_of_another_network_change_nothing(
    change: dict[str, Any], error: type[Exception], problem: str, tmp_path: Path
) -> None:
    module = trained()
    before = values(module)
    given = {f"arg:{name}": mx.nd.zeros(array.shape) for name, array in module.get_params()[0].items()}
    for name, shape in change.items():
        del given[f"arg:{name}"]
        if shape is not None:
            given[f"arg:{name}"] = mx.nd.zeros(shape)
    mx.nd.save(tmp_path / "x.params", given)
    with pytest.raises(error, match=problem):
        module.load_params(tmp_path / "x.params")
    assert values(module) == before


def test_an_optimizer_that_can_not_be_made_leaves_the_old_one() -> None:
    module = trained()
    before = module._optimizer, module._updater, module._kvstore
    with pytest.raises(ValueError, match="Cannot find optimizer nowhere"):
        module.init_optimizer(optimizer="nowhere", force_init=True)
    assert (module._optimizer, module._updater, module._kvstore) == before and module.optimizer_initialized
    train(module)
