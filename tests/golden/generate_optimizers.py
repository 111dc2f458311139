"""Write ``optimizers/``: what MXNet 1.9.1's optimizers make of the cases of ``optimizers.py``.

Run in the MXNet environment (see README.md): ``python generate_optimizers.py``.

``golden.npz`` holds for each case one array of all numbers, float64, in the order of ``layout.json``, which lists for
each case ``[key, shape, dtype]`` of every array of the first kept step, or ``[key, null, null]`` for None; the others
have the same. The case ``adamw`` is the operator ``contrib.adamw_update``, since 1.9.1 has no optimizer of that name.
``resume.npz`` holds weights and pickled states, with the optimizer, in the middle of some of them. ``rates.json`` tells
rates and weight decays, ``signatures.json`` the signatures of all constructors and methods.
"""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from math import sqrt
from pathlib import Path

import mxnet as mx
import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

import optimizers  # noqa: E402


def adamw() -> dict:
    """Return weights and states as the operator makes them: the rate is ``eta``, the correction of the bias ``lr``."""
    found = {}
    for i, (name, shape) in optimizers.PARAMETERS.items():
        weight = mx.nd.array(optimizers.draw("weight", (name, shape), "float32"))
        mean, var = mx.nd.zeros(shape), mx.nd.zeros(shape)
        wd = 0.0 if name.endswith("_bias") else 0.03
        for t in range(1, optimizers.STEPS + 1):
            grad = mx.nd.array(optimizers.draw(f"grad{t}", (name, shape), "float32"))
            lr = sqrt(1 - 0.999**t) / (1 - 0.9**t)
            numbers = {"lr": lr, "eta": 0.05, "wd": wd, "clip_gradient": 0.6, "epsilon": 1e-6}
            mx.nd.contrib.adamw_update(weight, grad, mean, var, mx.nd.array([0.5]), out=weight, **numbers)
            if t in optimizers.KEPT:
                found.update(
                    {f"{t}/{i}/w": weight.asnumpy(), f"{t}/{i}/s.0": mean.asnumpy(), f"{t}/{i}/s.1": var.asnumpy()}
                )
    return found


def rates() -> dict:
    """Return the rates and decays of parameters by names, indices and attributes of a symbol."""
    x = mx.sym.Variable("x_weight", lr_mult=0.5, wd_mult=2.0)
    y = mx.sym.Variable("y_bias", wd_mult=0.25)
    symbol = mx.sym.FullyConnected(mx.sym.Variable("data"), x, y, num_hidden=3, name="fc")
    names = {0: "x_weight", 1: "y_bias", 2: "z_gamma", 3: "z_beta", 4: "embedding", 5: "weight"}
    made = {}
    for name in ("sgd", "lars"):
        for case in ("names", "symbol", "set"):
            optimizer = mx.optimizer.create(
                name, learning_rate=0.1, wd=0.01, param_idx2name=names, sym=None if case == "names" else symbol
            )
            if case == "set":
                optimizer.set_lr_mult({"z_beta": 3.0, 4: 5.0})
                optimizer.set_wd_mult({"z_beta": 3.0, 4: 5.0})
            indices = [*names, 6]
            made[f"{name}-{case}"] = [optimizer._get_lrs(indices), optimizer._get_wds(indices)]
    return made


def resume() -> dict:
    """Return weights as ``CASE:INDEX`` and bytes of states as ``CASE`` after half of the steps."""
    made = {}
    for case in optimizers.CASES:
        if case.id in optimizers.RESUMED:
            updater = mx.optimizer.get_updater(optimizers.create(mx, case))
            weights = optimizers.weights(mx, case)
            optimizers.go_on(mx, case, updater, weights, range(1, optimizers.HALF + 1))
            made.update((f"{case.id}:{i}", weight.asnumpy()) for i, weight in weights.items())
            made[case.id] = np.frombuffer(updater.get_states(dump_optimizer=True), np.uint8)
    return made


def signatures() -> dict:
    """Return the parameters of constructors and methods, with defaults."""

    def spelled(function):
        found = inspect.signature(function).parameters.values()
        return [f"{p.kind.name[:3]} {p.name}" + ("" if p.default is p.empty else f"={p.default!r}") for p in found]

    made = {}
    classes = {**mx.optimizer.Optimizer.opt_registry, "optimizer": mx.optimizer.Optimizer}
    for name, klass in sorted(classes.items()):
        made[name] = {"__init__": spelled(klass.__init__)}
    for klass in (mx.optimizer.Optimizer, mx.optimizer.Updater):
        for name in vars(klass):
            if not name.startswith("_") and inspect.isroutine(getattr(klass, name)):
                made.setdefault(klass.__name__.lower(), {})[name] = spelled(getattr(klass, name))
    made["names"] = sorted(mx.optimizer.__all__)
    return made


def main() -> None:
    """Write all files."""
    warnings.simplefilter("ignore")
    numbers, layout = {}, {}
    runs = {case.id: (lambda case=case: optimizers.run(mx, case)) for case in optimizers.CASES}
    for name, run in {**runs, "adamw": adamw}.items():
        found = run()
        found = {key: found[key] for t in optimizers.KEPT for key in found if key.startswith(f"{t}/")}
        layout[name] = [
            [key[2:], None, None] if value is None else [key[2:], list(value.shape), value.dtype.name]
            for key, value in found.items()
            if key.startswith("1/")
        ]
        ordered = [value.astype(np.float64).ravel() for value in found.values() if value is not None]
        numbers[name] = np.concatenate(ordered)
        if not np.isfinite(numbers[name]).all():
            print(name, "is not finite")
    out = FOLDER / "optimizers"
    out.mkdir(exist_ok=True)
    np.savez_compressed(out / "golden.npz", **numbers)
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in layout.items()]
    (out / "layout.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    np.savez_compressed(out / "resume.npz", **resume())
    (out / "signatures.json").write_text(json.dumps(signatures(), indent=0) + "\n")
    (out / "rates.json").write_text(json.dumps(rates(), indent=1) + "\n")


if __name__ == "__main__":
    main()
