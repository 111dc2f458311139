"""Trains in child processes that are killed: ``python -m tests.killed_training FOLDER OPTIMIZER POINT ...``.

A first child trains to the end without being killed. Then, in another folder, one child after the other goes on from
the newest checkpoint that loads, and is killed at the next of the points; the last one is not. A point ``2:b1`` is
after batch 1 of the epoch that would be saved as 2; ``2:k5`` is in the save of that checkpoint, before its step 5. A
save of three files has nine steps: content to disk, new name, folder to disk, for network, parameters and states.

Prints as JSON, for each child of the second folder, the checkpoint that it went on from, and why newer ones were
refused. The files in ``FOLDER/whole`` and ``FOLDER/killed`` are for the caller to compare.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import symjit as mx
from symjit.ndarray import atomic

EPOCHS = 3
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "wd": 0.01},
    "adam": {"wd": 0.01},
    "nadam": {},
    "lars": {"momentum": 0.9, "eta": 1.0},
}


def _network() -> mx.sym.Symbol:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=8, name="fc1")
    x = mx.sym.Activation(mx.sym.BatchNorm(x, fix_gamma=False, name="bn"), act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=3, name="fc2"), name="softmax")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _armed(module: Any, prefix: str, point: str | None) -> tuple[Callable[..., None], Callable[..., None]]:
    """Return callbacks for the ends of batches and of epochs that save, and die at the point."""
    epoch, kind, place = re.fullmatch(r"(\d+):([bk])(\d+)", point or "0:b0").groups()  # type: ignore[union-attr]
    save = mx.callback.module_checkpoint(module, prefix, save_optimizer_states=True)
    steps = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal steps
            if saving and steps == int(place):
                _die()
            steps += 1
            return function(*args)

        return call

    saving = False
    atomic.os.fsync, atomic.os.replace = counted(os.fsync), counted(os.replace)  # type: ignore[attr-defined]

    def batch_end(param: Any) -> None:
        if kind == "b" and (param.epoch + 1, param.nbatch) == (int(epoch), int(place)):
            _die()

    def epoch_end(number: int, *rest: Any) -> None:
        nonlocal saving, steps
        saving, steps = kind == "k" and number + 1 == int(epoch), 0
        save(number, *rest)
        if steps != 9:
            raise AssertionError(f"a save of {steps} steps")

    return batch_end, epoch_end


def _train(folder: Path, optimizer: str, point: str | None) -> dict[str, Any]:
    """Go on from the newest checkpoint that loads, or begin."""
    prefix, refused = str(folder / "net"), []
    random = np.random.RandomState(0)
    data = mx.io.NDArrayIter(random.rand(22, 6).astype(np.float32), random.randint(0, 3, 22), batch_size=4)
    saved = sorted((int(path.stem.split("-")[1]) for path in folder.glob("net-*.params")), reverse=True)
    for epoch in (*saved, 0):
        mx.random.seed(1)
        module = mx.mod.Module.load(prefix, epoch, load_optimizer_states=True) if epoch else mx.mod.Module(_network())
        batch_end, epoch_end = _armed(module, prefix, point)
        try:
            module.fit(
                data,
                optimizer=optimizer,
                optimizer_params={
                    "learning_rate": 0.05,
                    "lr_scheduler": mx.lr_scheduler.FactorScheduler(step=5, factor=0.7, base_lr=0.05, warmup_steps=3),
                    **OPTIMIZERS[optimizer],
                },
                initializer=None if epoch else mx.init.Xavier(),
                begin_epoch=epoch,
                num_epoch=EPOCHS,
                batch_end_callback=batch_end,
                epoch_end_callback=epoch_end,
            )
        except (FileNotFoundError, mx.MXNetError) as error:
            refused.append(f"{type(error).__name__}: {error}")
            continue
        return {"from": epoch, "refused": refused}
    raise AssertionError(refused)


def _child(folder: Path, optimizer: str, point: str | None) -> int:
    """Train in a process of its own; return how it ended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX may warn of threads; the parent has computed nothing
        child = os.fork()
    if child == 0:
        status = 1
        try:
            report = _train(folder, optimizer, point)
            (folder / "report.json").write_text(json.dumps(report))
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Run the command line."""
    folder, optimizer, points = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    whole, killed = folder / "whole", folder / "killed"
    for each in (whole, killed):
        each.mkdir()
    ended = _child(whole, optimizer, None)
    assert ended == 0, f"the first training failed: {ended}"
    for point in points:
        ended = _child(killed, optimizer, point)
        assert os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL, f"not killed at {point}: {ended}"
    ended = _child(killed, optimizer, None)
    assert ended == 0, f"the last training failed: {ended}"
    print((killed / "report.json").read_text())


if __name__ == "__main__":
    main()
