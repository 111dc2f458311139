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


def scheduler(name: str = "FactorScheduler", **attributes: Any) -> Any:
    made = type(name, (), {})()
    usual = {"step": 2, "factor": 0.5, "count": 0, "base_lr": 0.1, "warmup_steps": 0, "stop_factor_lr": 0.0}
    made.__dict__.update(usual, **attributes)
    return made


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "a method": ("SGD", {"update": 1.0}, r"the saved attributes of SGD have the names of its methods, \['update'\]"),
    "a method of the scheduler": ("SGD", {"lr_scheduler": scheduler(get_warmup_lr=1)}, "the names of its methods"),
    "a number as scheduler": (
        "SGD",
        {"lr_scheduler": 5},
        "a scheduler as the saved lr_scheduler, got 5",
    ),
    "no such scheduler": ("SGD", {"lr_scheduler": scheduler("os")}, "the scheduler os, which is not known here"),
    "a step of 0": ("SGD", {"lr_scheduler": scheduler(step=0)}, "the saved attributes of FactorScheduler are wrong"),
    "a step of text": ("SGD", {"lr_scheduler": scheduler(step="2")}, "the saved attributes of FactorScheduler are"),
    "a rate of text": ("SGD", {"lr_scheduler": scheduler(base_lr="2", warmup_final_lr=0.1)}, "base_lr of FactorSch"),
    "a scheduler far back": ("SGD", {"num_update": 2**59, "lr_scheduler": scheduler()}, "at most 1000000 changes"),
    "a count below 0": ("SGD", {"lr_scheduler": scheduler(count=-(2**60))}, "expected a whole number from 0 on"),
    "steps of text": ("SGD", {"lr_scheduler": scheduler("MultiFactorScheduler", step=["a"])}, "are wrong"),
    "rate": ("SGD", {"lr": "abc"}, "the saved attribute lr of SGD: expected a number or None, got 'abc'"),
    "rates": ("Adam", {"lr": [1]}, "the saved attribute lr of Adam"),
    "momentum": ("SGD", {"momentum": None}, "momentum of SGD: expected a number, got None"),
    "decay": ("Adam", {"beta1": "x"}, "beta1 of Adam: expected a number, got 'x'"),
    "gathered": ("LBSGD", {"cumgrads": {0: {"num_cums": 1}, 1: {"cum_grad": "x"}}}, "expected a dict of sums"),
    "product": ("Nadam", {"m_schedule": {}}, "m_schedule of Nadam: expected a number, got {}"),
    "aggregation": ("SGD", {"aggregate_num": 2.5}, "aggregate_num of SGD: expected a whole number from 0 on, got 2.5"),
    "factors": ("SGD", {"wd_mult": {0: None}}, "wd_mult of SGD: expected a dict of numbers"),
    "names": ("SGD", {"idx2name": {0: 1}}, "idx2name of SGD: expected a dict of names"),
    "counts": ("SGD", {"_all_index_update_counts": {0: 5}}, "expected a dict of dicts of whole numbers"),
    "a count": ("SGD", {"_all_index_update_counts": {0: {0: "a"}}}, "expected a dict of dicts of whole numbers"),
    "counted": ("SGD", {"num_update": "x"}, "num_update of SGD: expected a whole number"),
    "begun": ("SGD", {"begin_num_update": None}, "begin_num_update of SGD: expected a whole number"),
    "a transformation": ("Optax", {}, "of which not all is in the file: begin with an optimizer of that class"),
}


@pytest.mark.parametrize("name", WRONG)
def test_attributes_that_do_not_belong_are_refused(name: str) -> None:
    """They would fail at the next update, or never end."""
    klass, attributes, problem = WRONG[name]
    made = type(klass, (), {})()
    made.__dict__.update(attributes)
    updater = opt.get_updater(opt.SGD())
    with pytest.raises(MXNetError, match=problem):
        updater.set_states(dump_states({}, made))
    assert updater.states == {} and type(updater.optimizer) is opt.SGD and updater.optimizer.lr == 0.01  # as it was


def test_attributes_that_an_older_mxnet_did_not_have() -> None:
    """Before 1.4 the counts were one dict, and a scheduler had no warm-up."""
    made = type("Adam", (), {})()
    older = type("FactorScheduler", (), {})()
    older.__dict__.update(step=2, factor=0.5, count=2, base_lr=0.05, stop_factor_lr=1e-8)
    made.__dict__.update(lr=0.1, beta1=0.5, num_update=4, _index_update_count={0: 4}, lr_scheduler=older)
    updater = opt.get_updater(opt.SGD())
    updater.set_states(dump_states({0: (nd.ones(2), nd.ones(2))}, made))
    weight = nd.ones(2)
    updater(0, nd.ones(2), weight)
    found: Any = updater.optimizer
    assert (found.num_update, found._index_update_count, found.beta1, found.beta2) == (5, {0: 5}, 0.5, 0.999)
    assert found.lr_scheduler.base_lr == 0.025 and found.lr_scheduler.warmup_steps == 0


@pytest.mark.parametrize("name", ["NoSuchOptimizer", "__class__", ""])
def test_an_optimizer_that_is_not_registered_is_refused(name: str) -> None:
    updater = opt.get_updater(opt.SGD())
    with pytest.raises(MXNetError, match="which is not registered here"):
        updater.set_states(dump_states({}, type(name, (), {})()))
