"""Ten updates of three small parameters by every optimizer, on the module given as ``mx`` (MXNet or symjit).

``generate_optimizers.py`` keeps what MXNet 1.9.1 gets. Neither module is imported here.
"""

from __future__ import annotations

import zlib
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

#: Index, name and shape of the parameters. The first one and the last have a weight decay, but under LARS.
PARAMETERS = {0: ("fc_weight", (3, 4)), 1: ("fc_bias", (4,)), 2: ("bn_gamma", (3,))}
STEPS = 10
KEPT = (1, 2, 10)
HALF = 5


class Case(NamedTuple):
    """An optimizer and how it is driven.

    Attributes:
        id: the name of the case.
        name: the optimizer's.
        arguments: of its constructor.
        scheduler: name and arguments of a scheduler.
        dtype: of the weights and gradients.
        route: ``list`` hands an Updater all parameters at once, ``single`` one by one, ``direct`` calls
            ``update_multi_precision`` of the optimizer itself.
        then: method and argument to call on the optimizer before the first step.
        only: the parameters, by index.
        change: an attribute of the optimizer, and what it is set to after `HALF` steps.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    scheduler: tuple[str, dict[str, Any]] | None = None
    dtype: str = "float32"
    route: str = "list"
    then: tuple[str, Any] | None = None
    only: tuple[int, ...] = (0, 1, 2)
    change: tuple[str, Any] | None = None


_FULL: dict[str, Any] = {"wd": 0.03, "clip_gradient": 0.6, "rescale_grad": 0.5}
_RATE: dict[str, Any] = {"learning_rate": 0.05, **_FULL}
_WARM_UP = ("PolyScheduler", {"max_update": 9, "base_lr": 0.05, "warmup_steps": 4})
_FACTOR = ("FactorScheduler", {"step": 3, "factor": 0.5, "base_lr": 0.05})

_SWITCHES: dict[str, list[dict[str, Any]]] = {
    "sgd": [{}, {"momentum": 0.9}, {"momentum": -0.5}],
    "ccsgd": [{"momentum": 0.9}],
    "nag": [{}, {"momentum": 0.9}, {"momentum": -0.5}],
    "signum": [{}, {"momentum": 0.0}, {"wd_lh": 0.1}, {"momentum": -0.5}],
    "dcasgd": [{}, {"lamda": 0.5}],
    "ftml": [{}, {"beta1": 0.3, "beta2": 0.9, "epsilon": 1e-3}],
    "lars": [{}, {"momentum": 0.9}, {"momentum": 0.9, "momentum_correction": False}, {"eta": 0.1, "eps": 0.01}],
    "lbsgd": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "batch_scale": 3, "warmup_epochs": 1, "updates_per_epoch": 6},
        {"warmup_strategy": "power2", "batch_scale": 2, "updates_per_epoch": 1, "begin_epoch": 1},
        {"warmup_strategy": "sqrt", "batch_scale": 2, "updates_per_epoch": 1},
        {"warmup_strategy": "lars", "momentum": 0.9, "batch_scale": 2},
        {"warmup_strategy": "lars"},
    ],
    "lamb": [{}, {"bias_correction": False}, {"lower_bound": 3.0, "upper_bound": 3.5}, {"beta2": 0.9, "epsilon": 0.1}],
    "adam": [{}, {"beta1": 0.5, "beta2": 0.9, "epsilon": 1e-2}, {"begin_num_update": 5}],
    "adagrad": [{}, {"eps": 0.1}],
    "adadelta": [{}, {"rho": 0.5, "epsilon": 0.01}],
    "adamax": [{}, {"beta1": 0.5, "beta2": 0.9}],
    "nadam": [{}, {"schedule_decay": 0.5, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3}],
    "rmsprop": [
        {},
        {"gamma1": 0.5, "epsilon": 0.1},
        {"clip_weights": 0.8},
        {"centered": True},
        {"centered": True, "gamma1": 0.5, "gamma2": 0.3, "epsilon": 0.1, "clip_weights": 0.8},
    ],
    "ftrl": [{}, {"lamda1": 0.3, "beta": 0.1}],
    "test": [{}],
}


def _spelled(arguments: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in arguments.items())


def _cases() -> list[Case]:
    made = []
    for name, switches in _SWITCHES.items():
        for switch in switches:
            made.append(Case(f"{name}({_spelled(switch)})", name, {**_RATE, **switch}))
        made.append(Case(f"{name}-defaults", name, {}))
        made.append(Case(f"{name}-scheduled", name, {**_FULL, **switches[-1]}, _FACTOR))
    momentum = {"momentum": 0.9}
    made += [
        Case("sgd-single", "sgd", {**_RATE, **momentum}, route="single"),
        Case("lars-single-scheduled", "lars", {**_FULL, **momentum}, _FACTOR, route="single"),
        Case("lars-momentum-scheduled", "lars", {**_FULL, **momentum}, _FACTOR),
        Case("lamb-single", "lamb", {**_RATE, "lower_bound": 3.0}, route="single"),
        Case("lamb-direct", "lamb", {**_RATE, "lower_bound": 3.0}, route="direct"),
        Case("lamb-direct-uncorrected", "lamb", {**_RATE, "bias_correction": False}, route="direct"),
        Case("nadam-direct", "nadam", _RATE, route="direct"),
        Case("adam-clip-zero", "adam", {"clip_gradient": 0.0}),
        Case("adagrad-clip-zero", "adagrad", {"clip_gradient": 0.0, "wd": 0.1}),
        Case("sgd-clip-negative", "sgd", {"clip_gradient": -0.5, "learning_rate": 0.05}),
        Case("sgd-lr_mult", "sgd", _RATE, then=("set_lr_mult", {"fc_bias": 2.0, "fc_weight": 0.5, 2: 3.0})),
        Case("sgd-wd_mult", "sgd", _RATE, then=("set_wd_mult", {"fc_bias": 2.0, 0: 0.0})),
        Case("adam-warm-up", "adam", _RATE, _WARM_UP),
        Case("groupadagrad", "groupadagrad", {**_RATE, "wd": 0.0}, only=(0,)),
        Case("groupadagrad-eps", "groupadagrad", {**_RATE, "wd": 0.0, "eps": 0.1}, only=(0,)),
        Case("sgd-float64", "sgd", {**_RATE, **momentum}, dtype="float64"),
        Case("adam-float64", "adam", _RATE, dtype="float64"),
        Case("nadam-float64", "nadam", _RATE, dtype="float64"),
        Case("lamb-float64", "lamb", _RATE, dtype="float64"),
        Case("sgd-float16", "sgd", {**_RATE, **momentum}, dtype="float16"),
    ]
    low = {"multi_precision": True}
    for name in ("sgd", "nag", "lars", "lbsgd"):
        for extra in ({}, momentum):
            made.append(Case(f"{name}-master({_spelled(extra)})", name, {**_RATE, **low, **extra}, dtype="float16"))
    for name in (
        "adam",
        "lamb",
        "signum",
        "ftml",
        "adamax",
        "nadam",
        "dcasgd",
        "adagrad",
        "rmsprop",
        "ftrl",
        "adadelta",
    ):
        made.append(Case(f"{name}-master", name, {**_RATE, **low}, dtype="float16"))
    for name in ("dcasgd", "adagrad", "adadelta", "adamax", "nadam"):
        made.append(Case(f"{name}-clip-negative", name, {**_RATE, "clip_gradient": -0.2}))
    no_momentum = ("momentum", 0.0)
    for name in ("sgd", "nag", "signum", "lars", "lbsgd"):
        made.append(Case(f"{name}-momentum-ends", name, {**_RATE, **momentum}, change=no_momentum))
    made += [
        Case("sgd-master-momentum-ends", "sgd", {**_RATE, **low, **momentum}, dtype="float16", change=no_momentum),
        Case("sgd-lr-changed", "sgd", _RATE, change=("lr", 0.3)),
        Case("adam-rescale_grad-changed", "adam", _RATE, change=("rescale_grad", 0.1)),
    ]
    return made


CASES = _cases()

#: Cases that are stopped after `HALF` steps and go on from what `get_states(dump_optimizer=True)` gave.
RESUMED = [
    "adam-warm-up",
    "nadam-scheduled",
    "lars-momentum-scheduled",
    "sgd-master(momentum=0.9)",
    "lbsgd(momentum=0.9,batch_scale=3,warmup_epochs=1,updates_per_epoch=6)",
]


def draw(kind: str, parameter: tuple[str, tuple[int, ...]], dtype: str) -> np.ndarray:
    """Return standard normal numbers that depend on the names alone, rounded so that float16 holds them."""
    name, shape = parameter
    rng = np.random.RandomState(zlib.crc32(f"{kind}:{name}".encode()))
    return rng.standard_normal(shape).astype(np.float16).astype(dtype)


def leaves(state: Any, path: str = "s") -> list[tuple[str, np.ndarray | None]]:
    """Return path and value of every array of a state; None stays None."""
    if isinstance(state, (tuple, list)):
        return [leaf for i, part in enumerate(state) for leaf in leaves(part, f"{path}.{i}")]
    return [(path, None if state is None else state.asnumpy())]


def create(mx: ModuleType, case: Case) -> Any:
    """Return the optimizer of a case."""
    arguments: dict[str, Any] = {"param_idx2name": {i: PARAMETERS[i][0] for i in case.only}, **case.arguments}
    if case.scheduler is not None:
        name, options = case.scheduler
        arguments["lr_scheduler"] = getattr(mx.lr_scheduler, name)(**options)
    optimizer = mx.optimizer.create(case.name, **arguments)
    if case.then is not None:
        getattr(optimizer, case.then[0])(case.then[1])
    return optimizer


def run(mx: ModuleType, case: Case) -> dict[str, np.ndarray | None]:
    """Return weights and states of the kept steps, by ``step/index/w`` and ``step/index/s.0``."""
    return go_on(mx, case, mx.optimizer.get_updater(create(mx, case)), weights(mx, case), range(1, STEPS + 1))


def weights(mx: ModuleType, case: Case) -> dict[int, Any]:
    """Return the parameters before the first step."""
    return {i: _array(mx, draw("weight", PARAMETERS[i], case.dtype)) for i in case.only}


def go_on(
    mx: ModuleType, case: Case, updater: Any, weights: dict[int, Any], steps: range
) -> dict[str, np.ndarray | None]:
    """Take these steps, and return what `run` does of them."""
    optimizer, states = updater.optimizer, {}
    if case.route == "direct":
        states = {i: optimizer.create_state_multi_precision(i, weights[i]) for i in case.only}
    found: dict[str, np.ndarray | None] = {}
    for step in steps:
        if case.change is not None and step == HALF + 1:
            setattr(optimizer, *case.change)
        grads = {i: _array(mx, draw(f"grad{step}", PARAMETERS[i], case.dtype)) for i in case.only}
        if case.route == "list":
            updater(list(case.only), [grads[i] for i in case.only], [weights[i] for i in case.only])
        for i in case.only:
            if case.route == "single":
                updater(i, grads[i], weights[i])
            elif case.route == "direct":
                optimizer.update_multi_precision(i, weights[i], grads[i], states[i])
        if step in KEPT:
            now = states or updater.states
            for i in case.only:
                found[f"{step}/{i}/w"] = weights[i].asnumpy()
                found.update((f"{step}/{i}/{path}", value) for path, value in leaves(now[i]))
    return found


def _array(mx: ModuleType, value: np.ndarray) -> Any:
    return mx.nd.array(value, dtype=value.dtype)
