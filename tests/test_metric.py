"""Metrics: MXNet's numbers, names and errors, and that they add up on the device."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import symjit as mx
from symjit.ndarray.array import wrap
from tests.golden import metric_cases
from tests.golden.metric_cases import CASES, Case
from tests.late import late

FOLDER = Path(__file__).parent / "golden" / "metrics"
VALUES = json.loads((FOLDER / "values.json").read_text())
SIGNATURES = json.loads((FOLDER / "signatures.json").read_text())
TOTALS = ("sum_metric", "num_inst", "global_sum_metric", "global_num_inst")


def array(x: np.ndarray) -> mx.NDArray:
    return mx.nd.array(x, dtype=x.dtype)


def made(case: Case) -> Any:
    return getattr(mx.metric, case.metric)(**case.kwargs)


def same(got: Any, want: Any, tol: float) -> None:
    if isinstance(want, list):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            same(a, b, tol)
    elif isinstance(want, str):
        assert (got if isinstance(got, str) else repr(got)) == want
    elif want is None:
        assert got is None
    else:
        assert type(got) in (int, float)
        assert got == pytest.approx(want, rel=tol, abs=tol)


# What MXNet answers ---------------------------------------------------------------------------------------------------


def rank(case: Case) -> tuple[bool, int]:
    """Order cases: those with resets first, then by how many functions they compile."""
    batches = [step for step in case.steps if not isinstance(step, str)]
    return len(case.steps) < 5, len({str(jax.tree.map(np.shape, batch)) for batch in batches})


#: The first case of every metric, and sums beyond float32; the others are slow, but for those refused at once.
QUICK = {min((c for c in CASES if c.metric == case.metric), key=rank).name for case in CASES} | {"loss_counts_on"}


def quick(case: Case) -> bool:
    steps = VALUES[case.name].get("steps")
    refused = not steps or "error" in steps[0]
    return case.name in QUICK or (refused and not case.name.endswith(("_outside", "_three_classes", "_too_negative")))


TABLE = [pytest.param(case, id=case.name, marks=[] if quick(case) else pytest.mark.slow) for case in CASES]

#: What NumPy happens to raise in MXNet where labels have several columns.
OTHER_ERRORS = {"top_wide_labels": "ValueError"}


@pytest.mark.parametrize("case", TABLE)
def test_values(case: Case) -> None:
    want = VALUES[case.name]
    tol = 1e-3 if case.name.endswith("_half") else 1e-6
    if "error" in want:
        with pytest.raises(Exception) as caught:
            made(case)
        assert want["error"] in [kind.__name__ for kind in type(caught.value).__mro__]
        return
    metric = made(case)
    if "error" in want["config"]:
        with pytest.raises(NotImplementedError):
            metric.get_config()
    else:
        assert json.loads(json.dumps(metric.get_config())) == want["config"]
    for step, answer in zip(case.steps, want["steps"], strict=True):
        if "error" in answer:
            with pytest.raises(Exception) as caught:
                metric_cases.run(metric, step, array)
                metric.get()
            assert OTHER_ERRORS.get(case.name, answer["error"]) in [
                kind.__name__ for kind in type(caught.value).__mro__
            ], caught.value
            continue
        metric_cases.run(metric, step, array)
        same(metric.get(), answer["get"], tol)
        same(metric.get_global(), answer["get_global"], tol)
        same([getattr(metric, name, None) for name in TOTALS], answer["totals"], tol)


def described(thing: Any) -> list[list[Any]]:
    parameters = inspect.signature(thing).parameters.items()
    return [[n, p.kind.name, None if p.default is p.empty else repr(p.default)] for n, p in parameters]


#: Methods that MXNet has for its own use, or that are an attribute there.
LEFT_OUT = {
    "metric.PearsonCorrelation": {"update_cov", "update_variance"},
    "metric.CompositeEvalMetric": set(),
}


@pytest.mark.parametrize("where", [name for name in SIGNATURES if not name.endswith("()")])
def test_signatures(where: str) -> None:
    module, name = where.split(".")
    thing = getattr(getattr(mx, module), name)
    assert described(thing) == SIGNATURES[where]
    for method, want in SIGNATURES.get(where + "()", []):
        if method in LEFT_OUT.get(where, ()):
            continue
        got = described(getattr(thing, method))
        names = [row[0] for row in want]
        # MXNet calls the labels that Loss ignores "_".
        assert [row[0] for row in got] == [{"_": "labels"}.get(n, n) for n in names], method
        assert [row[1:] for row in got] == [row[1:] for row in want], method


# On the device --------------------------------------------------------------------------------------------------------

#: One case for every pure function.
PURE = {
    getattr(mx.metric, c.metric)._add: c
    for c in reversed(CASES)
    if c.name in QUICK and hasattr(getattr(mx.metric, c.metric), "_add")
}.values()


@pytest.mark.parametrize("case", PURE, ids=lambda case: case.metric)
def test_pure_form(case: Case) -> None:
    """A program of one's own that calls ``add`` comes to what ``update`` comes to, from the same compiled key."""
    ours, theirs = made(case), made(case)
    accumulation = theirs.accumulation()
    assert accumulation.key == ours.accumulation().key and hash(accumulation.key) == hash(ours.accumulation().key)
    assert [type(x) for x in theirs.state] == [type(x) for x in accumulation.start]
    step = jax.jit(accumulation.add)
    for labels, preds in [s for s in case.steps if not isinstance(s, str)][:2]:
        ours.update(metric_cases.arrays(labels, array), metric_cases.arrays(preds, array))
        with jax.enable_x64(True):
            theirs.state = step(theirs.state, [] if case.metric == "Loss" else labels, preds)
        assert all(isinstance(x, jax.Array) for x in theirs.state)
        assert [x.dtype for x in theirs.state] == [x.dtype for x in accumulation.start]
    same(ours.get(), list(theirs.get()), 1e-12)
    same(ours.get_global(), list(theirs.get_global()), 1e-12)


def test_update_waits_for_nothing() -> None:
    metric = mx.metric.create(["acc", "f1", "pcc", mx.metric.Perplexity(None), "loss"])
    labels, preds = [mx.nd.array([0, 1, 1])], np.array([[0.3, 0.7], [0, 1], [0.4, 0.6]])
    want = [0.6666666666666666, 0.8, float("nan"), 1.7710976, 0.5]

    def is_back_early() -> bool:
        given = late(preds)
        metric.update(labels, [wrap(given, mx.cpu())])
        return not given.is_ready()

    is_back_early()  # compiles
    assert any(is_back_early() for _ in range(5))
    assert metric.get()[1] == pytest.approx(want, rel=1e-6, nan_ok=True)


def test_traces_once() -> None:
    traces = 0

    class Counting(mx.metric.MAE):
        @staticmethod
        def _add(*args: Any) -> Any:
            nonlocal traces
            traces += 1
            return mx.metric.MAE._add(*args)

    first, second = Counting(), Counting()
    for batch in range(3):
        for metric in (first, second):
            metric.update([mx.nd.ones((4,))], [mx.nd.zeros((4,))])
        first.reset_local()
        assert first.get_global() == ("mae", 1.0) and second.num_inst == batch + 1
        second.sum_metric = float(batch + 1)
    assert traces == 1
    first.update([mx.nd.ones((5,))], [mx.nd.zeros((5,))])
    assert traces == 2


def test_arrays_of_numpy_are_copied() -> None:
    label, pred = np.zeros((1 << 16,), np.float32), np.ones((1 << 16,), np.float32)
    metric = mx.metric.MAE()
    for _ in range(5):
        metric.update([label], [pred])
        pred[:] = 7
        pred[:] = 1
    assert metric.get() == ("mae", 1.0)
    metric.update(label, jax.numpy.ones((1 << 16,)))
    assert metric.num_inst == 6
    for wrong in ([0, 1], [None], [3.0]):
        with pytest.raises(TypeError, match="NDArrays or NumPy arrays"):
            metric.update(wrong[:1], wrong[:1])


@pytest.mark.parametrize("name", ["ce", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mse", "loss"))])
def test_bfloat16_is_read_as_float32(name: str) -> None:
    rng = np.random.default_rng(1)
    label = mx.nd.array(rng.integers(0, 4, (64, 4) if name == "mse" else (64,)))
    pred = mx.nd.array(rng.uniform(0.1, 1, (64, 4))).astype("bfloat16")
    short, full = mx.metric.create(name), mx.metric.create(name)
    short.update([label], [pred])
    full.update([label], [pred.astype("float32")])
    assert short.get() == full.get()


def test_devices() -> None:
    metric = mx.metric.Accuracy()
    for i in (0, 3, 1):
        metric.update([mx.nd.array([0, 1])], [mx.nd.array([[1, 0], [1, 0]], ctx=mx.cpu(i))])
        assert metric.state[0].device == mx.cpu(i).device
    assert metric.get() == ("accuracy", 0.5) and metric.num_inst == 6
    mesh = Mesh(np.array(jax.devices()[:4]), ("batch",))
    split = jax.device_put(np.eye(8, dtype=np.float32), NamedSharding(mesh, PartitionSpec("batch")))
    metric.update([mx.nd.arange(8)], [wrap(split, mx.cpu(0))])
    assert metric.get() == ("accuracy", 11 / 14)
    with mx.cpu(2):
        metric.reset()
        metric.update([np.zeros(3, np.float32)], [np.zeros(3, np.float32)])
    assert metric.state[0].device == mx.cpu(2).device


def test_faults_are_told_when_read() -> None:
    metric = mx.metric.CrossEntropy()
    metric.update([mx.nd.array([0, 9])], [mx.nd.ones((2, 2)) / 2])
    for read in (metric.get, metric.get_global, metric.get_name_value):
        with pytest.raises(IndexError, match=r"CrossEntropy: labels are out of bounds .*\(1 since"):
            read()
    metric.reset_local()
    metric.update([mx.nd.array([0, 1])], [mx.nd.ones((2, 2)) / 2])
    assert metric.get() == ("cross-entropy", pytest.approx(math.log(2)))


def test_state_is_settable_and_copied() -> None:
    metric = mx.metric.Accuracy()
    metric.update([mx.nd.array([0, 1])], [mx.nd.array([[1, 0], [1, 0]])])
    assert [float(x) for x in metric.state] == [1, 2, 1, 2]
    for other in (copy.copy(metric), copy.deepcopy(metric), pickle.loads(pickle.dumps(metric))):
        assert other.get() == ("accuracy", 0.5)
        other.update([mx.nd.array([0, 1])], [mx.nd.array([[1, 0], [0, 1]])])
        assert other.get() == ("accuracy", 0.75) and metric.get() == ("accuracy", 0.5)
    metric.state = (3, 4, 5, 6)
    assert metric.get_global() == ("accuracy", 5 / 6) and isinstance(metric.state[0], np.float64)
    metric.sum_metric += 1
    metric.num_inst += 1
    metric.update([mx.nd.array([0, 1])], [mx.nd.array([[1, 0], [0, 1]])])
    assert (metric.sum_metric, metric.num_inst) == (6.0, 7)
    with pytest.raises(ValueError, match="expected 4 values"):
        metric.state = (1, 2)
    metric.num_inst = 1.5
    with pytest.raises(TypeError, match="whole numbers"):
        metric.update([mx.nd.array([0])], [mx.nd.array([0])])


# A user's own ---------------------------------------------------------------------------------------------------------


class Several(mx.metric.EvalMetric):
    """Keeps lists, as many a detection metric does."""

    def __init__(self) -> None:
        super().__init__("several")
        self.seen = 0

    def reset(self) -> None:
        self.num_inst, self.sum_metric = [0, 0], [0.0, 0.0]

    def update(self, labels: Any, preds: Any) -> None:
        self.seen += 1
        for i, (label, pred) in enumerate(zip(labels, preds, strict=True)):
            self.sum_metric[i] += float(np.abs(label.asnumpy() - pred.asnumpy()).sum())
            self.num_inst[i] += label.size

    def get(self) -> Any:
        return ["a", "b"], [s / n for s, n in zip(self.sum_metric, self.num_inst, strict=True)]


class Right(mx.metric.Accuracy):
    """Counts by itself, on top of what Accuracy has."""

    def update(self, labels: Any, preds: Any) -> None:
        self.sum_metric += 2
        self.global_sum_metric += 2
        self.num_inst += 4
        self.global_num_inst += 4
        super().update(labels, preds)


class Named(mx.metric.Accuracy):
    def update_dict(self, label: Any, pred: Any) -> None:
        self.update(list(label.values())[:1], list(pred.values())[:1])


class Bare(mx.metric.EvalMetric):
    def __init__(self) -> None:
        self.name = "bare"
        self.sum_metric, self.num_inst = 3.0, 2


def test_subclasses() -> None:
    several = Several()
    for _ in range(2):
        several.update([mx.nd.ones((2,)), mx.nd.ones((3,))], [mx.nd.zeros((2,)), mx.nd.ones((3,))])
    assert several.get_name_value() == [("a", 1.0), ("b", 0.0)] and several.seen == 2
    assert several.accumulation() is None and several.leaves() == [several]
    right = Right()
    right.update([mx.nd.array([0, 1])], [mx.nd.array([[1, 0], [0, 1]])])
    assert right.get() == ("accuracy", 4 / 6) == right.get_global() and right.accumulation() is None
    named = Named()
    assert named.accumulation() is None and mx.metric.Accuracy().accumulation() is not None
    assert Bare().get() == ("bare", 1.5)
    patched = mx.metric.Accuracy()
    patched.update = lambda labels, preds: None  # type: ignore[method-assign]
    assert patched.accumulation() is None
    with pytest.raises(NotImplementedError, match="EvalMetric must define update"):
        mx.metric.EvalMetric("x").update([], [])

    class Unset(mx.metric.EvalMetric):
        def __init__(self) -> None: ...

    with pytest.raises(AttributeError, match="no attribute 'sum_metric' yet"):
        Unset().sum_metric  # noqa: B018


def test_functions() -> None:
    def spread(label: Any, pred: Any) -> Any:
        assert isinstance(label, np.ndarray) and isinstance(pred, np.ndarray)
        return float(np.abs(label - pred).sum()), label.size

    metric = mx.metric.np(spread)
    assert metric.name == "spread" and metric.accumulation() is None
    metric.update([mx.nd.ones((4,))], [mx.nd.zeros((4,))])
    metric.update(mx.nd.ones((2,)), mx.nd.ones((2,)))
    assert metric.get() == ("spread", 4 / 6) == metric.get_global()
    plain = mx.metric.create(lambda label, pred: 2.0)
    plain.update([mx.nd.ones((4,))] * 2, [mx.nd.zeros((4,))] * 2)
    assert plain.name == "custom(<lambda>)" and (plain.sum_metric, plain.num_inst) == (4.0, 2)
    with pytest.raises(ValueError, match="Shape of labels 1 does not match"):
        plain.update([mx.nd.ones((4,))], [mx.nd.zeros((4,))] * 2)
    extra = mx.metric.np(spread, "mine", allow_extra_outputs=True)
    extra.update([mx.nd.ones((4,))], [mx.nd.zeros((4,)), mx.nd.ones((1,))])
    assert extra.get() == ("mine", 1.0)
    with pytest.raises(NotImplementedError, match="cannot be serialized"):
        extra.get_config()


# Names, composites, registry ------------------------------------------------------------------------------------------


def test_names_choose() -> None:
    one, other = mx.nd.array([1, 1]), mx.nd.array([0, 1])
    labels, preds = {"a": one, "b": other}, {"x": one, "y": other}
    metric = mx.metric.MAE(output_names=["y"], label_names=["a"])
    assert metric.select(labels, preds) == ([one], [other])
    metric.update_dict(labels, preds)
    assert metric.get() == ("mae", 0.5)
    assert mx.metric.MAE().select({"a": 1}, {"x": 2, "y": 3}) == ([1], [2, 3])
    assert mx.metric.MAE(output_names=["y", "x"]).select({"a": 1}, {"x": 2, "y": 3}) == ([1], [3, 2])
    with pytest.raises(KeyError, match="there is no output 'z', only"):
        mx.metric.MAE(output_names=["z"]).update_dict(labels, preds)
    with pytest.raises(ValueError, match="Shape of labels 2"):
        mx.metric.MAE(output_names=["y"]).update_dict(labels, preds)


def test_composite() -> None:
    inner = mx.metric.CompositeEvalMetric(["mse", mx.metric.MAE(name="second")], label_names=["b"])
    metric = mx.metric.CompositeEvalMetric(["mae", inner], output_names=["x"])
    metric.metrics[0].label_names = ["a"]
    assert metric.get() == (["mae", "mse", "second"], [pytest.approx(float("nan"), nan_ok=True)] * 3)
    labels = {"a": mx.nd.array([2]), "b": mx.nd.array([4])}
    metric.update_dict(labels, {"x": mx.nd.array([1]), "y": mx.nd.array([1])})
    assert metric.get_name_value() == [("mae", 1.0), ("mse", 9.0), ("second", 3.0)]
    metric.reset_local()
    assert metric.get_global() == (["mae", "mse", "second"], [1.0, 9.0, 3.0])
    assert str(metric) == "EvalMetric: {'mae': nan, 'mse': nan, 'second': nan}"
    assert metric.leaves() == [metric.metrics[0], *inner.metrics] and metric.accumulation() is None
    chosen = metric.select_leaves({"a": 1, "b": 2}, {"x": 3, "y": 4})
    assert [(c[1], c[2]) for c in chosen] == [([1], [3]), ([2], [3]), ([2], [3])]
    assert [c[0] for c in chosen] == metric.leaves()
    assert metric.get_metric(0) is metric.metrics[0] and isinstance(metric.get_metric(7), ValueError)
    metric.reset()
    assert math.isnan(metric.get_global()[1][0])

    class Own(mx.metric.CompositeEvalMetric):
        def update(self, labels: Any, preds: Any) -> None: ...

    own = Own(["mae"])
    assert own.leaves() == [own] and own.select_leaves({"a": 1}, {"x": 2}) == [(own, [1], [2])]


NAMES = {
    "acc": "Accuracy", "accuracy": "Accuracy", "top_k_accuracy": "TopKAccuracy", "top_k_acc": "TopKAccuracy",
    "topkaccuracy": "TopKAccuracy", "f1": "F1", "mcc": "MCC", "perplexity": "Perplexity", "MAE": "MAE", "mse": "MSE",
    "rmse": "RMSE", "ce": "CrossEntropy", "crossentropy": "CrossEntropy", "nll_loss": "NegativeLogLikelihood",
    "negativeloglikelihood": "NegativeLogLikelihood", "pearsonr": "PearsonCorrelation", "pcc": "PCC", "loss": "Loss",
    "pearsoncorrelation": "PearsonCorrelation", "torch": "Torch", "caffe": "Caffe", "composite": "CompositeEvalMetric",
    "compositeevalmetric": "CompositeEvalMetric",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_create_by_name(name: str) -> None:
    kwargs = {"TopKAccuracy": {"top_k": 3}, "Perplexity": {"ignore_label": None}}.get(NAMES[name], {})
    metric = mx.metric.create(name, **kwargs)
    assert type(metric) is getattr(mx.metric, NAMES[name])
    again = mx.metric.create(**metric.get_config())
    assert type(again) is type(metric)
    # MXNet's TopKAccuracy appends to the name whenever it is made.
    assert again.name == metric.name + ("_3" if NAMES[name] == "TopKAccuracy" else "")


def test_create() -> None:
    given = mx.metric.RMSE()
    metric = mx.metric.create(["acc", given, lambda label, pred: 0, ["mae"], {"metric": "mse", "name": "m"}])
    assert metric.get()[0] == ["accuracy", "rmse", "custom(<lambda>)", "mae", "m"] and metric.metrics[1] is given
    assert mx.metric.create('["accuracy", {"axis": 2}]').axis == 2
    assert mx.metric.create("acc", 0, name="n").axis == 0
    nested = mx.metric.create(["acc", "mae"])
    assert mx.metric.create(**nested.get_config()).get()[0] == ["accuracy", "mae"]
    with pytest.raises(AssertionError, match="nothing"):
        mx.metric.create("nothing")
    with pytest.raises(AssertionError, match="already"):
        mx.metric.create(given, name="x")

    @mx.metric.register
    @mx.metric.alias("my_alias")
    class OfMine(mx.metric.Accuracy): ...

    assert type(mx.metric.create("ofmine")) is OfMine is type(mx.metric.create("my_alias"))


def test_precision_and_recall() -> None:
    metric = mx.metric.F1(average="micro")
    metric.update([mx.nd.array([0, 1, 1, 1])], [mx.nd.array([[0, 1], [0, 1], [1, 0], [0, 1]])])
    found = metric.metrics
    assert (found.precision, found.recall, found.true_positives, found.global_false_negatives) == (2 / 3, 2 / 3, 2, 1)
    assert found.fscore == found.global_fscore == metric.get()[1] and found.total_examples == 4
    metric.reset_local()
    assert (found.precision, found.fscore, found.global_precision, found.global_recall) == (0.0, 0.0, 2 / 3, 2 / 3)
    assert mx.metric.F1().metrics.total_examples == 0
    with pytest.raises(AttributeError, match="nothing"):
        _ = found.nothing


@pytest.mark.slow
def test_many_classes() -> None:
    rng = np.random.default_rng(0)
    label, pred = rng.integers(0, 3000, (2, 50))
    metric = mx.metric.PCC()
    metric.update([mx.nd.array(label)], [mx.nd.one_hot(mx.nd.array(pred), 3000)])
    metric.update([mx.nd.array(label)], [mx.nd.array(label)])
    assert metric.k == max(label.max(), pred.max()) + 1
    confusion = np.zeros((3000, 3000))
    np.add.at(confusion, (np.r_[pred, label], np.r_[label, label]), 1)
    x, y = confusion.sum(1), confusion.sum(0)
    want = (100 * np.trace(confusion) - x @ y) / np.sqrt((1e4 - x @ x) * (1e4 - y @ y))
    assert metric.get() == ("pcc", pytest.approx(want))
    beyond = mx.metric.PCC()
    beyond.update([mx.nd.array(label)], [mx.nd.array(label)])
    with pytest.raises(IndexError, match="1024 and more"):
        beyond.get()
