"""The autotuner: winners are found, kept, shared and never trusted blindly."""

from __future__ import annotations

import json
import multiprocessing
import pathlib
import time

import jax
import numpy as np
import pytest

import symjit as mx
from symjit import tuning
from symjit.ir.graph import Node
from symjit.tuning import Tuner

SPECS = [jax.ShapeDtypeStruct((1, 6, 6, 4), np.float32), jax.ShapeDtypeStruct((4, 3, 3, 4), np.float32)]


def convolution(filters: int = 4) -> Node:
    attrs = {"kernel": "(3, 3)", "pad": "(1, 1)", "num_filter": str(filters), "no_bias": "True", "layout": "NHWC"}
    data, weight = mx.sym.var("data"), mx.sym.var("weight")
    return mx.sym.Convolution(data, weight, name="conv", **attrs).graph.heads[0].node


@pytest.fixture
def races(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace the clock: the candidate that comes first in the alphabet wins; collect who ran."""
    seen: list[list[str]] = []

    def race(candidates, node, specs, options):
        seen.append(sorted(candidates))
        return {name: float(i) for i, name in enumerate(sorted(candidates))}

    monkeypatch.setattr(tuning, "_race", race)
    return seen


def measure(tuner: Tuner, node: Node, train: bool = False) -> str | None:
    return tuner.measure(node, SPECS, "cpu", train, {})


def test_a_race_is_run_and_won(tmp_path: pathlib.Path) -> None:
    tuner = Tuner("a device", tmp_path)
    winner = measure(tuner, convolution())
    assert winner in {"default", *convolution().operator.strategies}
    assert tuner.measured == 1 and tuner.winner(convolution(), SPECS, False) == winner


def test_the_fastest_wins(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of real candidates, one of which sleeps."""
    candidates = tuning._candidates

    def with_a_slow_one(node, specs, platform, train):
        found = candidates(node, specs, platform, train)
        fast = found["default"]

        def slow(*inputs):
            jax.debug.callback(lambda: time.sleep(0.02))
            return fast.run(*inputs)

        return {
            name: fast if name == "winograd" else fast._replace(run=slow) for name in [*list(found)[:1], "winograd"]
        }

    monkeypatch.setattr(tuning, "_candidates", with_a_slow_one)
    assert measure(Tuner("a device", tmp_path), convolution()) == "winograd"


def test_winners_are_kept_for_the_next_process(tmp_path: pathlib.Path, races: list[list[str]]) -> None:
    winner = measure(Tuner("Some CPU @ 3 GHz", tmp_path), convolution())
    later = Tuner("Some CPU @ 3 GHz", tmp_path)
    assert later.winner(convolution(), SPECS, False) == winner == races[0][0]
    assert measure(later, convolution()) == winner and later.measured == 0
    # Other attributes, another mode and another device are other questions.
    assert later.winner(convolution(8), SPECS, False) is later.winner(convolution(), SPECS, True) is None
    assert Tuner("other", tmp_path).winner(convolution(), SPECS, False) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2, "winners": {}}', '{"version": 1, "winners": {"a": 1}}']
)
def test_a_damaged_file_is_written_anew(tmp_path: pathlib.Path, races: list[list[str]], text: str) -> None:
    path = Tuner("device", tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.warns(UserWarning, match="ignored and written anew"):
        tuner = Tuner("device", tmp_path)
    with pytest.warns(UserWarning, match="ignored and written anew"):
        measure(tuner, convolution())
    assert Tuner("device", tmp_path).winner(convolution(), SPECS, False) == races[0][0]


def test_a_folder_that_can_not_be_written_is_a_warning(tmp_path: pathlib.Path, races: list[list[str]]) -> None:
    (tmp_path / "strategies").write_text("a file where the folder should be")
    with pytest.warns(UserWarning):
        tuner = Tuner("device", tmp_path)
        assert measure(tuner, convolution()) == races[0][0]


def _write_some(folder: pathlib.Path, first: int) -> None:
    tuner = Tuner("device", folder)
    for number in range(first, first + 10):
        tuner._keep(f"question {number}", "xla")


def test_processes_share_the_file(tmp_path: pathlib.Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write_some, args=(tmp_path, 10 * n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    kept = json.loads(Tuner("device", tmp_path).path.read_bytes())["winners"]
    assert set(kept) == {f"question {n}" for n in range(20)}


def test_settings(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, races: list[list[str]]) -> None:
    """Unset: what is known, else the rules. 1: measured. 0: the rules alone."""
    monkeypatch.setenv("SYMJIT_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("MXNET_CUDNN_AUTOTUNE_DEFAULT", raising=False)
    node = convolution()
    rule = node.operator.choose(node.params, SPECS, "cpu", False)

    def chosen() -> str | None:
        return tuning.choice("cpu", False, {})(node, SPECS)

    assert chosen() == rule and not races
    monkeypatch.setenv("MXNET_CUDNN_AUTOTUNE_DEFAULT", "1")
    winner = chosen()
    assert len(races) == 1 and (winner or "default") == races[0][0] != rule
    monkeypatch.delenv("MXNET_CUDNN_AUTOTUNE_DEFAULT")
    assert chosen() == winner and len(races) == 1
    monkeypatch.setenv("MXNET_CUDNN_AUTOTUNE_DEFAULT", "0")
    assert chosen() == rule
    monkeypatch.setenv("MXNET_CUDNN_AUTOTUNE_DEFAULT", "yes")
    with pytest.raises(mx.MXNetError, match="expected 0, 1 or 2"):
        chosen()


def test_a_tuned_network_gives_the_same(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In inference and, where candidates are timed while JAX traces, in training."""
    monkeypatch.setenv("SYMJIT_CACHE_DIR", str(tmp_path))
    net = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), pad=(1, 1), num_filter=4, name="conv")
    net = mx.sym.make_loss(mx.sym.sum(mx.sym.square(net)))
    results = []
    for mode in ("0", "1"):
        monkeypatch.setenv("MXNET_CUDNN_AUTOTUNE_DEFAULT", mode)
        executor = mx.sym.load_json(net.tojson()).simple_bind(mx.cpu(), data=(1, 4, 6, 6))
        for i, array in enumerate(executor.arg_arrays):
            array[:] = np.random.RandomState(i).standard_normal(array.shape)
        predicted = executor.forward(is_train=False)[0].asnumpy()
        executor.forward(is_train=True)
        executor.backward()
        results.append([predicted, *(g.asnumpy() for g in executor.grad_arrays)])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)
    assert len(list((tmp_path / "strategies").glob("*.json"))) == 1
