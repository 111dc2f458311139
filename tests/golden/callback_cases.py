"""What callbacks and Monitor are asked, here and in MXNet: the module is an argument. NumPy only."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what is logged as INFO."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def logs(mx: Any) -> dict[str, list[str]]:
    """Return what each callback logs in two epochs of seven batches; every look at the clock takes a second."""
    callback = mx.callback
    callbacks = {
        "speedometer": lambda: callback.Speedometer(32, frequent=2),
        "speedometer_keeps": lambda: callback.Speedometer(32, 3, auto_reset=False),
        "speedometer_every": lambda: callback.Speedometer(batch_size=5, frequent=1),
        "log_train_metric": lambda: callback.log_train_metric(3),
        "log_train_metric_resets": lambda: callback.log_train_metric(period=2, auto_reset=True),
        "progress": lambda: callback.ProgressBar(7),
        "progress_short": lambda: callback.ProgressBar(total=6, length=10),
        "validation": callback.LogValidationMetricsCallback,
    }
    metrics = {
        "none": lambda: None,
        "acc": lambda: mx.metric.create("acc"),
        "two": lambda: mx.metric.create(["acc", "mae"]),
    }
    found = {}
    for (name, make), (kind, metric) in itertools.product(callbacks.items(), metrics.items()):
        if (kind == "none" and name.startswith("progress")) or (kind != "none" and name.startswith("progress_")):
            continue
        ticks = itertools.count(100)
        clock = SimpleNamespace(time=lambda ticks=ticks: float(next(ticks)))
        with logged() as lines, mock.patch.object(callback, "time", clock):
            call, value = make(), metric()
            for epoch in range(2):
                if value is not None:
                    value.reset()
                for batch in range(7):
                    if value is not None:
                        labels = mx.nd.array(np.arange(4) % 2)
                        value.update([labels], [mx.nd.array((np.arange(4) * (batch + 1)) % 3 % 2)])
                    call(mx.model.BatchEndParam(epoch=epoch, nbatch=batch, eval_metric=value, locals=None))
        found[f"{name} {kind}"] = lines
    return found


def monitored(mx: Any) -> dict[str, Any]:
    """Return what several Monitors collect, as texts with numbers of four digits."""
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, num_hidden=4, name="fc")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn")
    net = mx.sym.SoftmaxOutput(mx.sym.Activation(net, act_type="tanh", name="act"), name="softmax")
    monitors = {
        "all": lambda: mx.mon.Monitor(1),
        "sorted": lambda: mx.mon.Monitor(1, sort=True),
        "weights": lambda: mx.monitor.Monitor(1, pattern=".*weight|.*output"),
        "inputs": lambda: mx.mon.Monitor(1, monitor_all=True),
        "interval": lambda: mx.mon.Monitor(2, pattern="fc"),
        "shapes": lambda: mx.mon.Monitor(1, lambda x: mx.nd.array(x.shape), pattern="bn|fc"),
        "several": lambda: mx.mon.Monitor(1, lambda x: [mx.nd.max(x), mx.nd.min(x)], "fc.*|softmax_o"),
    }
    found = {}
    for name, make in monitors.items():
        exe = net.simple_bind(mx.cpu(), data=(2, 3), softmax_label=(2,))
        for key, array in exe.arg_dict.items():
            array[:] = np.sin(np.arange(array.size) + len(key)).reshape(array.shape)
        exe.aux_dict["bn_moving_var"][:] = 1
        monitor = make()
        monitor.install(exe)
        with logged() as lines:
            for _ in range(3):
                monitor.tic()
                exe.forward(is_train=name != "inputs")
                if name != "inputs":  # MXNet would show what goes into the gradients of its operators, too
                    exe.backward()
                monitor.toc_print()
        found[name] = lines
    found["fit"] = monitored_fit(mx)
    return found


def monitored_fit(mx: Any) -> list[str]:
    """Return what a Monitor logs in `fit` on three batches, the last of which has a negative number under a root.

    Without gradients: of those that nobody wants MXNet shows memory that nobody has written.
    """
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc1")
    net = mx.sym.FullyConnected(mx.sym.sqrt(net, name="root"), num_hidden=2, name="fc2")
    module = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
    rows = np.arange(1, 13, dtype=np.float32).reshape(6, 2)
    rows[5] *= -1
    weights = {
        "fc1_weight": mx.nd.array([[1, 0.5], [0.25, 1]]),
        "fc1_bias": mx.nd.zeros((2,)),
        "fc2_weight": mx.nd.array([[0.1, 0.2], [0.3, -0.1]]),
        "fc2_bias": mx.nd.zeros((2,)),
    }
    data = mx.io.NDArrayIter(rows, np.array([0, 1, 1, 0, 1, 0], np.float32), 2)
    with logged() as lines:
        module.fit(
            data,
            num_epoch=1,
            arg_params=weights,
            optimizer_params={"learning_rate": 0.01},
            monitor=mx.mon.Monitor(1, pattern="(?!.*backward)"),
        )
    return [line for line in lines if line.startswith("Batch:")]
