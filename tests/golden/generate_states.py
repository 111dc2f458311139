"""Write ``states/``: optimizer states as MXNet 1.9.1 saves them, and what they hold.

Run in the MXNet environment (see README.md): ``python generate_states.py``.

``expected.npz`` holds ``F:i``, array i of the file F (its name without ``.states``) as NumPy sees it, dense, and
``tree``: JSON that says for each file what it holds. In it ``{"array": i}`` is array i, ``{"tuple": [...]}`` a tuple,
``{"dict": [[key, value], ...]}`` a dict, ``{"object": NAME, "attributes": ...}`` an optimizer or a scheduler.

For the files that begin with ``dump_`` it also holds how training goes on with them: ``F:weight:i`` is parameter i of
`weights` when the file was written, ``F:gradient:i`` the gradient of the next update, ``F:next:i`` the parameter after.
"""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np

FOLDER = Path(__file__).resolve().parent / "states"


class Tree:
    """What one file holds, and its arrays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.arrays: dict[str, np.ndarray] = {}

    def of(self, value: Any) -> Any:
        """Return a value in JSON's types."""
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, mx.nd.NDArray):
            self.arrays[f"{self.name}:{len(self.arrays)}"] = value.asnumpy()
            return {"array": len(self.arrays) - 1}
        if isinstance(value, dict):
            return {"dict": [[key, self.of(each)] for key, each in value.items()]}
        if isinstance(value, list):
            return [self.of(each) for each in value]
        if isinstance(value, tuple):
            return {"tuple": [self.of(each) for each in value]}
        attributes = {key: each for key, each in vars(value).items() if key != "param_dict"}
        return {"object": type(value).__name__, "attributes": self.of(attributes)}


def network(dtype: str) -> mx.sym.Symbol:
    """Return a network of four parameters; in float16, for which MXNet has no matrix product on the CPU, of two."""
    x = mx.sym.Variable("data", dtype=dtype)
    if dtype == "float16":
        scale, bias = mx.sym.Variable("scale_weight", shape=(1, 3)), mx.sym.Variable("scale_bias", shape=(1, 3))
        return mx.sym.SoftmaxOutput(mx.sym.broadcast_add(mx.sym.broadcast_mul(x, scale), bias), name="softmax")
    x = mx.sym.Activation(mx.sym.FullyConnected(x, num_hidden=4, name="fc1"), act_type="tanh")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=2, name="fc2"), name="softmax")


def trained(optimizer: str, dtype: str = "float32", **options: Any) -> mx.mod.Module:
    """Return a Module after three updates."""
    mx.random.seed(1)
    rng = np.random.RandomState(2)
    module = mx.mod.Module(network(dtype), logger=logging.getLogger("quiet"))
    data = [mx.io.DataDesc("data", (5, 3), dtype=dtype)]
    module.bind(data, [mx.io.DataDesc("softmax_label", (5,), dtype=dtype)])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer=optimizer, optimizer_params=options)
    for _ in range(3):
        x = mx.nd.array(rng.standard_normal((5, 3)), dtype=dtype)
        y = mx.nd.array(rng.randint(0, 2, 5), dtype=dtype)
        module.forward_backward(mx.io.DataBatch([x], [y]))
        module.update()
    return module


def updated(optimizer: mx.optimizer.Optimizer, weights: dict[Any, mx.nd.NDArray], times: int = 3) -> Any:
    """Return an Updater after some updates with gradients drawn anew."""
    rng = np.random.RandomState(3)
    updater = mx.optimizer.get_updater(optimizer)
    for _ in range(times):
        for index, weight in weights.items():
            gradient = mx.nd.array(rng.standard_normal(weight.shape), dtype=weight.dtype)
            if weight.stype == "row_sparse":
                gradient[1:3] = 0
            updater(index, gradient.tostype(weight.stype), weight)
    return updater


#: One file each, with its options.
OPTIMIZERS = {
    "adadelta": {"wd": 0.01},
    "adagrad": {"wd": 0.01},
    "adamax": {},
    "dcasgd": {"wd": 0.01},
    "ftml": {},
    "ftrl": {},
    "lamb": {"wd": 0.01},
    "lars": {"momentum": 0.9},
    "nag": {"momentum": 0.9},
    "rmsprop": {"centered": True},
    "sgd": {"momentum": 0.9, "wd": 0.01},
    "signum": {},
}


def continued(name: str, updater: Any, values: dict[Any, mx.nd.NDArray]) -> dict[str, np.ndarray]:
    """Return the parameters, gradients of one more update, and the parameters after it."""
    rng = np.random.RandomState(5)
    found = {}
    for i, (index, weight) in enumerate(values.items()):
        gradient = mx.nd.array(rng.standard_normal(weight.shape), dtype=weight.dtype)
        found[f"{name}:weight:{i}"] = weight.asnumpy()
        found[f"{name}:gradient:{i}"] = gradient.asnumpy()
        updater(index, gradient, weight)
        found[f"{name}:next:{i}"] = weight.asnumpy()
    return found


def weights(dtype: str = "float32") -> dict[Any, mx.nd.NDArray]:
    """Return parameters, of which one has a name instead of an index."""
    return {
        0: mx.nd.ones((2, 3), dtype=dtype),
        7: mx.nd.ones((4,), dtype=dtype),
        "größe": mx.nd.ones((1, 2), dtype=dtype),
    }


def trainer() -> mx.gluon.Trainer:
    """Return a Gluon Trainer after two steps."""
    mx.random.seed(4)
    net = mx.gluon.nn.Dense(2, in_units=3, prefix="dense_")
    net.initialize()
    schedule = mx.lr_scheduler.FactorScheduler(1, 0.5, base_lr=0.1)
    options = {"momentum": 0.9, "wd": 0.01, "lr_scheduler": schedule}
    found = mx.gluon.Trainer(net.collect_params(), "sgd", options, kvstore=None)
    for _ in range(2):
        with mx.autograd.record():
            loss = net(mx.nd.ones((4, 3))).sum()
        loss.backward()
        found.step(4)
    return found


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    trees: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}

    def note(name: str, held: Any, content: bytes | None = None) -> None:
        if content is not None:
            (FOLDER / f"{name}.states").write_bytes(content)
        tree = Tree(name)
        trees[name] = tree.of(held)
        arrays.update(tree.arrays)

    modules = {
        "sgd": trained("sgd"),
        "sgd_momentum": trained("sgd", momentum=0.9),
        "sgd_half": trained("sgd", "float16", momentum=0.9, multi_precision=True),
        "adam": trained("adam"),
        "rmsprop": trained("rmsprop"),
        "rmsprop_centered": trained("rmsprop", centered=True),
        "nadam": trained("nadam"),
        "ftrl": trained("ftrl"),
        "dcasgd": trained("dcasgd"),
    }
    for name, module in modules.items():
        module.save_optimizer_states(str(FOLDER / f"{name}.states"))
        note(name, module._updater.states)

    schedule = mx.lr_scheduler.MultiFactorScheduler([1, 10], 0.5, base_lr=0.2, warmup_steps=1, warmup_begin_lr=0.01)
    names = {0: "a_weight", 7: "b_bias"}
    scheduled = mx.optimizer.Adam(lr_scheduler=schedule, clip_gradient=2, param_idx2name=names)
    dumped = {
        "dump_adam": (scheduled, "float32"),
        "dump_nadam": (mx.optimizer.Nadam(wd=np.float32(0.25), begin_num_update=5), "float32"),
        "dump_lbsgd": (mx.optimizer.LBSGD(momentum=0.9, batch_scale=2, warmup_strategy="lars"), "float32"),
        "dump_half": (mx.optimizer.Adam(multi_precision=True), "float16"),
        "dump_double": (mx.optimizer.Adam(), "float64"),
        **{f"dump_{name}": (mx.optimizer.create(name, **OPTIMIZERS[name]), "float32") for name in OPTIMIZERS},
    }
    for name, (optimizer, dtype) in dumped.items():
        values = weights(dtype)
        updater = updated(optimizer, values)
        note(name, (updater.states, updater.optimizer), updater.get_states(dump_optimizer=True))
        arrays.update(continued(name, updater, values))
    gluon = trainer()
    gluon.save_states(str(FOLDER / "trainer.states"))
    note("trainer", (gluon._updaters[0].states, gluon._optimizer))

    sparse = mx.nd.ones((6, 2)).tostype("row_sparse")
    mixed = updated(mx.optimizer.SGD(momentum=0.9), {0: sparse, 1: mx.nd.ones((3,))}, 1)
    note("sparse", mixed.states, mixed.get_states())
    rows = mx.nd.array(np.diag(np.arange(4))).tostype("csr")
    flags = {1: mx.nd.array([1, 0, 1], dtype="int32"), -2: mx.nd.ones((400, 3), dtype="uint8"), 3: None}
    states = {**mixed.states, **flags, "m": (rows, [None, mx.nd.full((2,), np.nan)]), "n": (0.5, np.float32(3), True)}
    optimizer = mx.optimizer.Adam(lr_scheduler=schedule, wd=np.float64(1e-4), param_idx2name=names)
    for protocol in range(6):
        note(f"protocol_{protocol}", (states, optimizer), pickle.dumps((states, optimizer), protocol))

    arrays["tree"] = np.array(json.dumps(trees))
    np.savez_compressed(FOLDER / "expected.npz", **arrays)
    print(f"{sum(f.stat().st_size for f in FOLDER.iterdir()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
