"""Ctrl-C during training, training in threads, and what hooks and callbacks see."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.module.interrupt import whole
from tests.compare import close
from tests.golden import module_runs as runs
from tests.training.modules import Loss, bound, values

# A second `fit` says so, as in MXNet.
pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")


@pytest.fixture(autouse=True)
def hears_ctrl_c() -> Iterator[None]:
    """Python's own handler, which a process does not have that a shell started to ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupting:
    """Sends Ctrl-C to this process at the n-th call."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def interrupted(at: int) -> Any:
    """Return a Module whose training is interrupted between the backward pass and the update of a step."""
    interrupt = Interrupting(at)

    class Module(mx.mod.Module):
        def backward(self, out_grads: Any = None) -> None:
            super().backward(out_grads)
            interrupt()

    module = Module(runs.classifier(mx))
    args, aux = runs.parameters(mx, runs.classifier(mx), {"data": (8, 6), "softmax_label": (8,)})
    with pytest.raises(KeyboardInterrupt):
        module.fit(runs.iterator(mx), arg_params=args, aux_params=aux, optimizer_params=runs.SGD, num_epoch=9)
    return module


@pytest.mark.parametrize("steps", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(5, marks=pytest.mark.slow)])
def test_ctrl_c_leaves_the_parameters_of_the_last_step(steps: int) -> None:
    module = interrupted(steps)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    plain, _ = bound()
    plain.init_optimizer(optimizer_params=runs.SGD)
    data = runs.iterator(mx)
    for number in range(steps):
        if number % 3 == 0:
            data.reset()
        plain.forward_backward(data.next())
        plain.update()
    found, want = values(module), values(plain)
    for name, value in want.items():
        close(found[name], value, 1e-5, name)
    module.fit(runs.iterator(mx), num_epoch=1)  # and it goes on


def flat(module: Any) -> np.ndarray:
    found = runs.collected(module)
    return np.concatenate([found[name].ravel() for name in sorted(found)])


@pytest.mark.slow
def test_ctrl_c_at_any_moment() -> None:
    epochs, settings = 20, {"optimizer_params": {**runs.SGD, "learning_rate": 0.01}}
    settings["arg_params"], settings["aux_params"] = runs.parameters(
        mx, runs.classifier(mx), {"data": (8, 6), "softmax_label": (8,)}
    )
    plain, data = bound()[0], runs.iterator(mx)
    plain.init_optimizer(optimizer_params=settings["optimizer_params"])
    states = [flat(plain)]
    for _ in range(epochs):
        data.reset()
        for batch in data:
            plain.forward_backward(batch)
            plain.update()
            states.append(flat(plain))

    module, rng, stopped = mx.mod.Module(runs.classifier(mx)), Random(1), 0
    module.fit(runs.iterator(mx), runs.iterator(mx), num_epoch=1, **settings)  # compiles
    for _ in range(30):
        module.optimizer_initialized = False
        timer = threading.Timer(rng.uniform(0, 0.15), os.kill, (os.getpid(), signal.SIGINT))
        try:
            timer.start()
            module.fit(runs.iterator(mx), runs.iterator(mx), num_epoch=epochs, force_init=True, **settings)
            timer.cancel()
            timer.join()
        except KeyboardInterrupt:
            stopped += 1
        assert np.abs(np.stack(states) - flat(module)).max(axis=1).min() < 2e-5
    assert stopped > 0


def test_a_second_ctrl_c_is_not_held_back() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt):
        with whole():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the first waits")
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("not here")
    assert reached == ["the first waits"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_ctrl_c_of_a_process() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.interrupted"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    for _ in range(25):
        assert child.stdout.readline() == "batch\n"
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    told = json.loads(out.splitlines()[-1])
    assert told["steps"] >= 25 and told["apart"] < 1e-5 and told["then"] == 3


def test_an_error_does_not_swallow_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        with whole():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError("of the step")
    assert isinstance(caught.value.__context__, ValueError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_program_that_handles_ctrl_c_keeps_its_handler() -> None:
    heard = []
    mine = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with whole():
            os.kill(os.getpid(), signal.SIGINT)
            assert heard == [1]
    finally:
        signal.signal(signal.SIGINT, mine)


def test_training_in_another_thread() -> None:
    module = Loss()
    thread = threading.Thread(target=module.fit, args=(runs.iterator(mx),), kwargs={"num_epoch": 2})
    thread.start()
    thread.join()
    assert module.steps == 6


def test_hooks_surround_the_batches_of_an_epoch() -> None:
    events: list[Any] = []

    class Hooked(Loss):
        def _begin_fit(self, monitor: Any, callbacks: Any) -> None:
            events.append(("begin", monitor, list(callbacks)))

        def _end_fit(self) -> None:
            events.append("end")

    def stop(param: Any) -> None:
        if param.epoch == 1:
            raise KeyError("stop")

    with pytest.raises(KeyError):
        Hooked().fit(runs.iterator(mx), num_epoch=3, batch_end_callback=stop)
    assert events == [("begin", None, [stop]), "end"] * 2


def test_hooks_reach_the_modules_of_a_chain() -> None:
    events: list[str] = []

    class Hooked(Loss):
        def _begin_fit(self, monitor: Any, callbacks: Any) -> None:
            events.append("begin")

        def _end_fit(self) -> None:
            events.append("end")

    mx.mod.SequentialModule().add(Hooked(), take_labels=True).fit(runs.iterator(mx), num_epoch=2)
    assert events == ["begin", "end"] * 2


def test_batches_are_freed_though_callbacks_get_locals() -> None:
    batches: list[Any] = []

    def keep(param: Any) -> None:
        batches.append(weakref.ref(param.locals["data_batch"]))

    module = Loss()
    module.fit(runs.iterator(mx), num_epoch=3, batch_end_callback=keep)
    module._scores = module._labels = None
    gc.collect()
    assert len(batches) == 9 and all(batch() is None for batch in batches)
