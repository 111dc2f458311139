"""What the metrics are asked, here and in MXNet: batches of labels and predictions, and resets between them.

NumPy only. Arrays are drawn from ``RandomState`` seeded by the case's name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One metric and what is done with it.

    Attributes:
        name: unique.
        metric: name under ``mx.metric``.
        kwargs: arguments of its constructor.
        steps: ``(labels, preds)``, lists of arrays or single arrays for ``update``, dicts for ``update_dict``; or
            ``"reset"``, ``"reset_local"``.
    """

    name: str
    metric: str
    kwargs: dict[str, Any]
    steps: list[Any]


CASES: list[Case] = []
Draw = Callable[[np.random.RandomState, tuple[int, ...]], np.ndarray]


def case(name: str, metric: str, steps: Sequence[Any], /, **kwargs: Any) -> None:
    """Add a case; a step that is a function makes its batch from a random state."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    CASES.append(Case(name, metric, kwargs, [step(rng) if callable(step) else step for step in steps]))


def batch(label: tuple[Draw, tuple[int, ...]], pred: tuple[Draw, tuple[int, ...]], pairs: int = 1) -> Any:
    """Return a step that draws `pairs` labels and as many predictions."""

    def step(rng: np.random.RandomState) -> Any:
        labels = [label[0](rng, label[1]) for _ in range(pairs)]
        return labels, [pred[0](rng, pred[1]) for _ in range(pairs)]

    return step


def classes(number: int, dtype: Any = np.float32) -> Draw:
    return lambda rng, shape: rng.randint(0, number, shape).astype(dtype)


def some(*values: float) -> Draw:
    return lambda rng, shape: rng.choice(np.array(values, np.float32), shape)


def scores(rng: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    x = rng.uniform(0.05, 1, shape)
    return (x / x.sum(axis=min(1, x.ndim - 1), keepdims=True)).astype(np.float32)


def numbers(rng: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def of(draw: Draw, dtype: Any) -> Draw:
    return lambda rng, shape: draw(rng, shape).astype(dtype)


def exactly(labels: Any, preds: Any) -> Any:
    """Return the step of these very values."""
    to = [[np.array(x, np.float32) for x in side] for side in (labels, preds)]
    return to[0], to[1]


def alone(label: tuple[Draw, tuple[int, ...]], pred: tuple[Draw, tuple[int, ...]]) -> Any:
    """Return a step whose arrays do not stand in lists."""
    return lambda rng: (label[0](rng, label[1]), pred[0](rng, pred[1]))


def around(*batches: Any) -> list[Any]:
    """Return batches of which the local totals are reset in between, then everything."""
    return [batches[0], batches[-1], "reset_local", batches[0], batches[-1], "reset", batches[-1]]


# Classification -------------------------------------------------------------------------------------------------------

c2, c3, c5 = classes(2), classes(3), classes(5)

case("acc", "Accuracy", around(batch((c5, (4,)), (scores, (4, 5))), batch((c5, (7,)), (scores, (7, 5)))))
case("acc_column", "Accuracy", around(batch((c5, (6, 1)), (scores, (6, 5)))))
case("acc_classes", "Accuracy", around(batch((c2, (9,)), (c2, (9,)))))
case("acc_classes_column", "Accuracy", [batch((c2, (9, 1)), (c2, (9, 1)))])
case("acc_truncated", "Accuracy", [exactly([[0, 1, 2, -1.5]], [[0.9, 1.2, 1.99, -1.1]])])
case("acc_axis_1_of_3", "Accuracy", around(batch((c3, (4, 6)), (scores, (4, 3, 6)))))
case("acc_axis_last", "Accuracy", around(batch((c3, (4, 6)), (numbers, (4, 6, 3)))), axis=-1)
case("acc_axis_0", "Accuracy", [batch((c3, (6,)), (numbers, (3, 6)))], axis=0)
case("acc_axis_none", "Accuracy", [batch((c5, (1,)), (numbers, (1, 5)))], axis=None)
case("acc_flat_labels", "Accuracy", [batch((c3, (24,)), (numbers, (4, 3, 6)))])
case("acc_pairs", "Accuracy", around(batch((c5, (4,)), (scores, (4, 5)), 3)))
case("acc_alone", "Accuracy", [alone((c5, (4,)), (scores, (4, 5)))])
case("acc_int", "Accuracy", [batch((classes(4, np.int32), (8,)), (scores, (8, 4)))])
case("acc_half", "Accuracy", [batch((c5, (8,)), (of(scores, np.float16), (8, 5)))])
case("acc_ties", "Accuracy", [exactly([[0, 1, 2]], [[[1, 1, 1], [0, 2, 2], [3, 0, 3]]])])
case("acc_same_shape_scores", "Accuracy", [batch((c2, (3, 4)), (numbers, (3, 4)))])
case("acc_names", "Accuracy", [batch((c5, (4,)), (scores, (4, 5)))], name="mine", output_names=["o"], label_names=["l"])
case("acc_fewer_labels", "Accuracy", [batch((c5, (3,)), (scores, (4, 5)))])
case("acc_one_dimension", "Accuracy", [batch((c2, (4, 1)), (c2, (4,)))])
case("acc_axis_out_of_range", "Accuracy", [batch((c2, (4,)), (scores, (4, 2)))], axis=5)
case("acc_lists_differ", "Accuracy", [lambda r: ([c2(r, (4,))], [scores(r, (4, 2)), scores(r, (4, 2))])])
case("acc_alone_differ", "Accuracy", [alone((c5, (3,)), (scores, (4, 5)))])

case("top2", "TopKAccuracy", around(batch((c5, (6,)), (scores, (6, 5))), batch((c5, (9,)), (scores, (9, 5)))), top_k=2)
case("top3_pairs", "TopKAccuracy", around(batch((classes(10), (12,)), (numbers, (12, 10)), 2)), top_k=3)
case("top_all", "TopKAccuracy", [batch((c5, (6,)), (scores, (6, 5)))], top_k=5)
case("top_column", "TopKAccuracy", [batch((c5, (6, 1)), (scores, (6, 5)))], top_k=2)
case("top_outside", "TopKAccuracy", [exactly([[-1, 7, 2]], [[[1, 2, 3], [3, 2, 1], [1, 3, 2]]])], top_k=2)
case("top_nan", "TopKAccuracy", [exactly([[1, 1, 2]], [[[np.nan, 2, 3], [1, np.nan, 0], [3, 2, 1]]])], top_k=2)
case("top_half", "TopKAccuracy", [batch((c5, (6,)), (of(scores, np.float16), (6, 5)))], top_k=3)
case("top_name", "TopKAccuracy", [batch((c5, (6,)), (scores, (6, 5)))], top_k=2, name="mine")
case("top_too_many", "TopKAccuracy", [batch((c5, (6,)), (scores, (6, 5)))], top_k=6)
case("top_one", "TopKAccuracy", [])
case("top_fraction", "TopKAccuracy", [batch((c5, (6,)), (scores, (6, 5)))], top_k=2.5)
case("top_three_dimensions", "TopKAccuracy", [batch((c5, (6,)), (scores, (6, 5, 2)))], top_k=2)
case("top_fewer_labels", "TopKAccuracy", [batch((c5, (4,)), (scores, (6, 5)))], top_k=2)
case("top_wide_labels", "TopKAccuracy", [batch((c5, (6, 2)), (scores, (6, 5)))], top_k=2)
case("top_sorted_vector", "TopKAccuracy", [exactly([[0, 1, 3, 2]], [[0.1, 0.2, 0.3, 0.4]])], top_k=2)

for kind in ("F1", "MCC"):
    for average in ("macro", "micro"):
        case(
            f"{kind}_{average}", kind,
            around(batch((c2, (8,)), (scores, (8, 2))), batch((c2, (5,)), (scores, (5, 2)))), average=average,
        )  # fmt: skip
        case(f"{kind}_{average}_pairs", kind, around(batch((c2, (8,)), (scores, (8, 2)), 2)), average=average)
        case(f"{kind}_{average}_column", kind, around(batch((c2, (6, 1)), (scores, (6, 2)))), average=average)
        case(f"{kind}_{average}_ones", kind, [exactly([[1, 1]], [[[0, 1], [0, 1]]])], average=average)
        case(f"{kind}_{average}_zeros", kind, [exactly([[0, 0]], [[[1, 0], [1, 0]]])], average=average)
        case(f"{kind}_{average}_wrong", kind, [exactly([[0, 1]], [[[0, 1], [1, 0]]])], average=average)
    case(f"{kind}_three_scores", kind, [batch((c2, (8,)), (scores, (8, 3)))])
    case(f"{kind}_deep", kind, [batch((c2, (4, 5)), (scores, (4, 2, 5)))])
    case(f"{kind}_other_labels", kind, [exactly([[3, 1, 3]], [[[0, 1], [0, 1], [1, 0]]])])
    case(f"{kind}_three_classes", kind, [exactly([[0, 1, 2]], [[[0, 1], [0, 1], [1, 0]]])])
    case(f"{kind}_vector", kind, [batch((c2, (8,)), (c2, (8,)))])
    case(f"{kind}_fewer_labels", kind, [batch((c2, (7,)), (scores, (8, 2)))])
    case(f"{kind}_no_broadcast", kind, [batch((c2, (8, 3)), (scores, (8, 2)))])
    case(f"{kind}_lists_differ", kind, [lambda r: ([], [scores(r, (4, 2))])])
    case(f"{kind}_empty_lists", kind, [([], [])])

case("pcc", "PCC", around(batch((c5, (20,)), (scores, (20, 5))), batch((c5, (12,)), (scores, (12, 5)))))
case("pcc_two", "PCC", around(batch((c2, (20,)), (scores, (20, 2)))))
case("pcc_classes", "PCC", around(batch((classes(12), (30,)), (classes(9), (30,)))))
case("pcc_column", "PCC", [batch((c5, (20, 1)), (scores, (20, 5)))])
case("pcc_class_column", "PCC", [batch((c5, (20, 1)), (c3, (20, 1)))])
case("pcc_rows", "PCC", around(batch((c3, (8, 6)), (scores, (8, 3, 6)))))
case("pcc_class_rows", "PCC", [batch((c3, (8, 6)), (c3, (8, 6)))])
case("pcc_broadcast_rows", "PCC", [batch((c3, (8, 1)), (scores, (8, 3, 6)))])
case("pcc_labels_beyond", "PCC", around(batch((classes(9), (20,)), (scores, (20, 3))), batch((c3, (9,)), (c3, (9,)))))
case("pcc_negative", "PCC", [batch((c5, (20,)), (scores, (20, 5))), batch((some(-1, 0, 1), (20,)), (scores, (20, 5)))])
case("pcc_too_negative", "PCC", [exactly([[-9, 1]], [[[0, 1], [1, 0]]])])
case("pcc_longer_labels", "PCC", [batch((c5, (25,)), (scores, (20, 5)))])
case("pcc_longer_preds", "PCC", [batch((c5, (15,)), (scores, (20, 5)))])
case("pcc_one_class", "PCC", [exactly([[1, 1]], [[[0, 1], [1, 0]]]), batch((c2, (6,)), (scores, (6, 2)))])
case("pcc_pairs", "PCC", around(batch((c5, (20,)), (scores, (20, 5)), 2)))
case("pcc_no_global", "PCC", around(batch((c5, (20,)), (scores, (20, 5)))), has_global_stats=False)
case("pcc_vector", "PCC", [batch((c5, (20, 1)), (c5, (20,)))])
case("pcc_no_broadcast", "PCC", [batch((c3, (8, 5)), (scores, (8, 3, 6)))])

# Likelihood -----------------------------------------------------------------------------------------------------------

for ignored in (None, 0, -1):
    steps = around(batch((c5, (8,)), (scores, (8, 5))), batch((c5, (3, 4)), (scores, (12, 5))))
    case(f"ppl_{ignored}", "Perplexity", steps, ignore_label=ignored)
case("ppl_some_ignored", "Perplexity", around(batch((some(-1, 0, 2), (20,)), (scores, (20, 3)))), ignore_label=-1)
case("ppl_all_ignored", "Perplexity", [batch((some(2), (5,)), (scores, (5, 3)))], ignore_label=2)
case("ppl_outside", "Perplexity", [exactly([[-3, 9, 1]], [[[0.2, 0.8]] * 3])], ignore_label=None)
case("ppl_zero", "Perplexity", [exactly([[0, 1]], [[[0, 1], [0.5, 0.5]]])], ignore_label=None)
case("ppl_nan", "Perplexity", [exactly([[0, 1]], [[[np.nan, 1], [0.5, 0.5]]])], ignore_label=None)
case("ppl_nan_ignored", "Perplexity", [exactly([[0, 1]], [[[np.nan, 1], [0.5, 0.5]]])], ignore_label=0)
case("ppl_pairs", "Perplexity", around(batch((c5, (8,)), (scores, (8, 5)), 2)), ignore_label=1)
case("ppl_int", "Perplexity", [batch((classes(5, np.int32), (8,)), (scores, (8, 5)))], ignore_label=1)
case("ppl_double", "Perplexity", [batch((c5, (8,)), (of(scores, np.float64), (8, 5)))], ignore_label=None)
case("ppl_axis", "Perplexity", [batch((c5, (5,)), (scores, (5, 5)))], ignore_label=None, axis=0)
case("ppl_axis_too_short", "Perplexity", [batch((c5, (6,)), (scores, (6, 5)))], ignore_label=None, axis=0)
case("ppl_axis_out_of_range", "Perplexity", [batch((c5, (6,)), (scores, (6, 5)))], ignore_label=None, axis=2)
case("ppl_axis_none", "Perplexity", [batch((c5, (6,)), (scores, (6, 5)))], ignore_label=None, axis=None)
case("ppl_whole_numbers", "Perplexity", [batch((c5, (6,)), (some(1, 3, 9), (6, 5)))], ignore_label=None)
for dtype in (np.int32, np.uint8):
    whole = batch((c5, (6,)), (of(some(1, 3, 9), dtype), (6, 5)))
    case(f"ppl_{dtype.__name__}", "Perplexity", [whole], ignore_label=0)
case("ppl_deep", "Perplexity", [batch((c5, (4, 6)), (numbers, (4, 6, 5)))], ignore_label=None)
case("ppl_vector", "Perplexity", [batch((c5, (1,)), (scores, (5,)))], ignore_label=None)
case("ppl_fewer_labels", "Perplexity", [batch((c5, (7,)), (scores, (8, 5)))], ignore_label=None)
case("ppl_lists_differ", "Perplexity", [lambda r: ([], [scores(r, (4, 2))])], ignore_label=None)

for kind in ("CrossEntropy", "NegativeLogLikelihood"):
    case(kind, kind, around(batch((c5, (8,)), (scores, (8, 5))), batch((c5, (3,)), (scores, (3, 5)))))
    case(f"{kind}_column", kind, [batch((c5, (8, 1)), (scores, (8, 5)))])
    case(f"{kind}_pairs", kind, around(batch((c5, (8,)), (scores, (8, 5)), 2)))
    case(f"{kind}_eps", kind, [exactly([[0, 1]], [[[0, 1], [0.5, 0.5]]])], eps=1e-3)
    case(f"{kind}_zero", kind, [exactly([[0, 1]], [[[0, 1], [0.5, 0.5]]])])
    case(f"{kind}_negative", kind, [batch((some(-1, -2, 1), (8,)), (scores, (8, 5)))])
    case(f"{kind}_deep", kind, [batch((c3, (8,)), (scores, (8, 3, 4)))])
    case(f"{kind}_double", kind, [batch((c5, (8,)), (of(scores, np.float64), (8, 5)))])
    case(f"{kind}_outside", kind, [exactly([[0, 2]], [[[0.5, 0.5], [0.5, 0.5]]])])
    case(f"{kind}_fewer_labels", kind, [batch((c5, (7,)), (scores, (8, 5)))])
    case(f"{kind}_vector", kind, [batch((c5, (8,)), (scores, (8,)))])

# Numbers --------------------------------------------------------------------------------------------------------------

for kind in ("MAE", "MSE", "RMSE"):
    case(kind, kind, around(batch((numbers, (8,)), (numbers, (8,))), batch((numbers, (3,)), (numbers, (3, 1)))))
    case(f"{kind}_matrix", kind, around(batch((numbers, (8, 3)), (numbers, (8, 3)))))
    case(f"{kind}_broadcast", kind, [batch((numbers, (8,)), (numbers, (8, 3)))])
    case(f"{kind}_broadcast_preds", kind, [batch((numbers, (8, 3)), (numbers, (8,)))])
    case(f"{kind}_deep", kind, [batch((numbers, (3, 4)), (numbers, (2, 3, 4)))])
    case(f"{kind}_pairs", kind, around(batch((numbers, (8,)), (numbers, (8,)), 2)))
    case(f"{kind}_int", kind, [batch((classes(9, np.int32), (8,)), (numbers, (8,)))])
    case(f"{kind}_ints", kind, [batch((classes(9, np.int32), (8,)), (classes(9, np.int32), (8,)))])
    case(f"{kind}_bytes", kind, [batch((classes(9, np.uint8), (8,)), (classes(9, np.uint8), (8,)))])
    case(f"{kind}_half", kind, [batch((of(numbers, np.float16), (8,)), (of(numbers, np.float16), (8,)))])
    case(f"{kind}_large", kind, [batch((numbers, (1000, 7)), (numbers, (1000, 7)))])
    case(f"{kind}_no_broadcast", kind, [batch((numbers, (8,)), (numbers, (7,)))])
    case(f"{kind}_lists_differ", kind, [lambda r: ([], [numbers(r, (4, 2))])])

for average in ("macro", "micro"):
    case(
        f"pearson_{average}", "PearsonCorrelation",
        around(batch((numbers, (8,)), (numbers, (8,))), batch((numbers, (3, 4)), (numbers, (3, 4)))), average=average,
    )  # fmt: skip
    case(
        f"pearson_{average}_pairs",
        "PearsonCorrelation",
        around(batch((numbers, (8,)), (numbers, (8,)), 2)),
        average=average,
    )
    case(f"pearson_{average}_same", "PearsonCorrelation", [exactly([[1, 2, 3]], [[1, 2, 3]])], average=average)
    case(f"pearson_{average}_flat", "PearsonCorrelation", [exactly([[1, 2, 3]], [[2, 2, 2]])], average=average)
    case(f"pearson_{average}_one", "PearsonCorrelation", [exactly([[1]], [[2]])], average=average)
case("pearson_shapes", "PearsonCorrelation", [batch((numbers, (8,)), (numbers, (8, 1)))])

for kind in ("Loss", "Torch", "Caffe"):
    case(kind, kind, around(batch((c2, (8,)), (numbers, (8,))), batch((c2, (3,)), (numbers, (3, 4)))))
case("loss_pairs", "Loss", around(batch((c2, (8,)), (numbers, (8,)), 2)))
case("loss_fewer_labels", "Loss", [lambda r: ([], [numbers(r, (4, 2)), numbers(r, (1,))])])
case("loss_alone", "Loss", [lambda r: (None, numbers(r, (4, 2)))])
case("loss_half", "Loss", [batch((c2, (8,)), (of(numbers, np.float16), (300,)))])
case("loss_counts_on", "Loss", [exactly([[0]], [[x]]) for x in (2**24, 1, 1)])
case("loss_int", "Loss", [batch((c2, (8,)), (classes(9, np.int32), (8,)))])

# Several, one's own, and by name --------------------------------------------------------------------------------------


def mean_absolute(label: np.ndarray, pred: np.ndarray) -> float:
    return float(np.abs(label - pred).mean())


def absolute_and_count(label: np.ndarray, pred: np.ndarray) -> tuple[float, int]:
    return float(np.abs(label - pred).sum()), label.size


def named(labels: dict[str, tuple[Draw, tuple[int, ...]]], preds: dict[str, tuple[Draw, tuple[int, ...]]]) -> Any:
    """Return a step that updates by name."""

    def step(rng: np.random.RandomState) -> Any:
        return tuple({name: draw(rng, shape) for name, (draw, shape) in side.items()} for side in (labels, preds))

    return step


scored = batch((c2, (8,)), (scores, (8, 2)))
vectors = named({"a": (numbers, (8,)), "b": (numbers, (8,))}, {"x": (numbers, (8,)), "y": (numbers, (8,))})
case("composite", "CompositeEvalMetric", around(scored), metrics=["acc", "f1", "ce"])
case("composite_empty", "CompositeEvalMetric", around(scored))
case(
    "composite_of_dicts",
    "CompositeEvalMetric",
    [scored],
    metrics=[{"metric": "accuracy", "axis": 1, "name": "m"}, "f1"],
)
case(
    "composite_named",
    "CompositeEvalMetric",
    around(vectors),
    metrics=["mae", "mse"],
    label_names=["b"],
    output_names=["x"],
)
case("mae_named", "MAE", around(vectors), label_names=["b"], output_names=["x"])
case("mae_twice", "MAE", [vectors], label_names=["b", "a", "a"], output_names=["x", "y", "x"])
case("mae_all", "MAE", [vectors])
case("mae_missing", "MAE", [vectors], label_names=["c"])
case("mae_no_dict", "MAE", [lambda r: ({"a": numbers(r, (4,))}, [numbers(r, (4,))])], output_names=["x"])
case("mae_one_of_two", "MAE", [vectors], output_names=["x"])
for kind, keyword in (("CustomMetric", "feval"), ("np", "numpy_feval")):
    for function in (mean_absolute, absolute_and_count):
        case(
            f"{kind}_{function.__name__}", kind, around(batch((numbers, (8,)), (numbers, (8,)), 2)),
            **{keyword: function},
        )  # fmt: skip
    two = lambda r: ([numbers(r, (4,))], [numbers(r, (4,)), numbers(r, (1,))])  # noqa: E731
    case(f"{kind}_extra", kind, [two], **{keyword: mean_absolute, "allow_extra_outputs": True, "name": "mine"})
    case(f"{kind}_too_many", kind, [two], **{keyword: mean_absolute})


def arrays(side: Any, make: Callable[[np.ndarray], Any]) -> Any:
    """Return labels or predictions with each array handed to `make`."""
    if isinstance(side, dict):
        return {name: make(x) for name, x in side.items()}
    return [make(x) for x in side] if isinstance(side, list) else None if side is None else make(side)


def run(metric: Any, step: Any, make: Callable[[np.ndarray], Any]) -> None:
    """Do one step with a metric."""
    if isinstance(step, str):
        getattr(metric, step)()
    else:
        update = metric.update_dict if isinstance(step[0], dict) else metric.update
        update(arrays(step[0], make), arrays(step[1], make))
