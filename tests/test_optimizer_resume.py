"""Training goes on from saved states: MXNet's files with MXNet's numbers, our own with the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

from symjit import ndarray as nd
from symjit import optimizer as opt
from symjit import random
from symjit.base import MXNetError
from symjit.lr_scheduler import FactorScheduler, MultiFactorScheduler
from symjit.optimizer.states import dump_states

GOLDEN = Path(__file__).resolve().parent / "golden" / "states"
EXPECTED = np.load(GOLDEN / "expected.npz")
DUMPED = sorted(path.stem for path in GOLDEN.glob("dump_*.states"))
KEYS: tuple[Any, ...] = (0, 7, "größe")  # of `weights` in the generating script


@pytest.mark.parametrize("name", DUMPED)
@pytest.mark.parametrize("keys", [KEYS[:1], pytest.param(KEYS, marks=pytest.mark.slow)])
def test_training_goes_on_from_a_file_of_mxnet(name: str, keys: tuple[Any, ...]) -> None:
    updater = opt.get_updater(opt.Test())  # the file says what optimizer it is
    updater.set_states((GOLDEN / f"{name}.states").read_bytes())
    tolerance = 1e-3 if "half" in name else 2e-6
    for position, key in enumerate(keys):
        weight, gradient, wanted = (EXPECTED[f"{name}:{part}:{position}"] for part in ("weight", "gradient", "next"))
        found = nd.from_numpy(weight)
        updater(key, nd.from_numpy(gradient), found)
        np.testing.assert_allclose(found.asnumpy(), wanted, rtol=tolerance, atol=tolerance)
        assert not np.array_equal(weight, wanted)


OPTIMIZERS: dict[str, dict[str, Any]] = {name: {} for name in sorted(opt.Optimizer.opt_registry)}
OPTIMIZERS["optax"] = {"tx": optax.adamw(0.1)}
OPTIMIZERS["sgd"] = {"momentum": 0.9, "wd": 0.1, "lr_scheduler": FactorScheduler(2, 0.5, base_lr=0.3)}
OPTIMIZERS["rmsprop"] = {"centered": True, "clip_weights": 0.8}
OPTIMIZERS["adam"] = {"lr_scheduler": MultiFactorScheduler([2, 4], 0.1, base_lr=0.001), "clip_gradient": 0.5}
OPTIMIZERS["lbsgd"] = {"batch_scale": 2, "momentum": 0.9}
OPTIMIZERS["dcasgd"] = {"wd": 0.1}
QUICK = ("adam", "dcasgd", "lbsgd", "nadam", "sgd")  # those whose attributes matter; each compiles something
STEPS = 5


def gradients() -> list[list[nd.NDArray]]:
    rng = np.random.RandomState(1)
    return [[nd.array(rng.standard_normal(shape)) for shape in ((4, 3), (4, 3))] for _ in range(STEPS)]


def run(updater: Any, weights: list[nd.NDArray], steps: range) -> None:
    for step in steps:
        random.seed(step)  # SGLD draws
        for index, (weight, gradient) in enumerate(zip(weights, gradients()[step], strict=True)):
            updater(index, gradient, weight)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in OPTIMIZERS]
)
def test_training_goes_on_with_the_same_bits(name: str) -> None:
    made = opt.create(name, param_idx2name={0: "a_weight", 1: "b_bias"}, **OPTIMIZERS[name])
    updater = opt.get_updater(made)
    weights = [nd.ones((4, 3)), nd.ones((4, 3))]
    run(updater, weights, range(2))
    data = updater.get_states(dump_optimizer=True)
    copies = [weight.copy() for weight in weights]
    run(updater, weights, range(2, STEPS))

    # A transformation can not be saved; all else comes from the file.
    again = opt.get_updater(opt.create(name, **OPTIMIZERS[name]) if name == "optax" else opt.Test())
    again.set_states(data)
    assert type(again.optimizer) is type(made)
    run(again, copies, range(2, STEPS))
    for one, other in zip(weights, copies, strict=True):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())
    assert again.optimizer.num_update == made.num_update == STEPS


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"update": 1.0}, r"the saved attributes of SGD have the names of its methods, \['update'\]"),
        ({"lr_scheduler": FactorScheduler(1), "lr": 0.1, "_update_count": {}}, "the names of its methods"),
    ],
)
def test_attributes_that_would_hide_methods_are_refused(attributes: dict[str, Any], problem: str) -> None:
    made = type("SGD", (), {})()
    made.__dict__.update(attributes)
    updater = opt.get_updater(opt.SGD())
    with pytest.raises(MXNetError, match=problem):
        updater.set_states(dump_states({}, made))
    assert updater.states == {} and isinstance(updater.optimizer, opt.SGD)  # as it was


@pytest.mark.parametrize("name", ["NoSuchOptimizer", "__class__", ""])
def test_an_optimizer_that_is_not_registered_is_refused(name: str) -> None:
    updater = opt.get_updater(opt.SGD())
    with pytest.raises(MXNetError, match="which is not registered here"):
        updater.set_states(dump_states({}, type(name, (), {})()))
