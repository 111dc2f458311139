"""Callbacks and Monitor: what they log and when they look."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from tests.golden import callback_cases

FOLDER = Path(__file__).parent / "golden" / "metrics"
LOGS = json.loads((FOLDER / "logs.json").read_text())
#: MXNet has no name for the input of Activation.
MONITOR = {
    name: [line.replace("act_input0", "act_data  ") for line in lines]
    for name, lines in json.loads((FOLDER / "monitor.json").read_text()).items()
}


def test_logs() -> None:
    got = callback_cases.logs(mx)
    assert got == LOGS


NUMBER = re.compile(r"-?\d+\.\d*(?:e[-+]\d+)?|nan|inf")


def test_monitor() -> None:
    got = callback_cases.monitored(mx)
    assert list(got) == list(MONITOR)
    for name, want in MONITOR.items():
        assert [NUMBER.sub("#", line) for line in got[name]] == [NUMBER.sub("#", line) for line in want], name
        for ours, theirs in zip(got[name], want, strict=True):
            numbers = [[float(x) for x in NUMBER.findall(line)] for line in (ours, theirs)]
            np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-5, atol=1e-6)


def test_monitor_names_the_node_that_gives_nan() -> None:
    lines = [line.split() for line in MONITOR["fit"]]  # which are ours, see test_monitor
    firsts = [next((name for _, at, name, *rest in lines if at == n and "nan" in rest), None) for n in "123"]
    assert firsts == [None, None, "root_output"]


def test_monitor_costs_nothing_between() -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    exe = net.simple_bind(mx.cpu(), data=(1, 2))
    seen: list[Any] = []
    monitor = mx.mon.Monitor(3, lambda x: seen.append(x.shape) or x.sum(), pattern="fc_output")
    monitor.install(exe)
    counts = []
    for _ in range(7):
        monitor.tic()
        exe.forward()
        counts.append(len(monitor.toc()))
        exe.forward()  # nobody looks
    assert counts == [1, 0, 0, 1, 0, 0, 1] and len(seen) == 3


def test_monitor_wants_arrays() -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    exe = net.simple_bind(mx.cpu(), data=(1, 2))
    monitor = mx.mon.Monitor(1, lambda x: 3.0, pattern="fc_output")
    monitor.install(exe)
    assert monitor.toc() == []
    monitor.tic()
    exe.forward()
    with pytest.raises(AssertionError, match=r"stat_func must return an NDArray.* of 'fc_output' it made float"):
        monitor.toc()


class Watched(mx.metric.Accuracy):
    """Counts how often it is read."""

    reads = 0

    def get(self) -> Any:
        self.reads += 1
        return super().get()


def test_speedometer_reads_what_it_prints() -> None:
    metric, call = Watched(), mx.callback.Speedometer(1, frequent=4)
    with callback_cases.logged() as lines:
        for batch in range(13):
            metric.update([mx.nd.array([1])], [mx.nd.array([1])])
            call(mx.model.BatchEndParam(0, batch, metric, None))
    assert metric.reads == len(lines) == 3


def test_checkpoints(tmp_path: Path) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    args = {"fc_weight": mx.nd.ones((2, 3)), "fc_bias": mx.nd.zeros((2,))}
    save = mx.callback.do_checkpoint(str(tmp_path / "net"), 2)
    for epoch in range(5):
        save(epoch, net, args, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net-0002.params", "net-0004.params", "net-symbol.json"]
    loaded = mx.model.load_checkpoint(str(tmp_path / "net"), 4)
    assert loaded[0].tojson() == net.tojson() and list(loaded[1]) == list(args)

    class Module:
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def save_checkpoint(self, *args: Any) -> None:
            self.calls.append(args)

    module = Module()
    save = mx.callback.module_checkpoint(module, "p", period=0, save_optimizer_states=True)
    save(0)
    save(1, net, args, {})
    assert module.calls == [("p", 1, True), ("p", 2, True)]
