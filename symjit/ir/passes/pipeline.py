"""The passes in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from symjit.ir.graph import Graph
from symjit.ir.infer import infer
from symjit.ir.passes.fold import fold_affine
from symjit.ir.passes.idle import drop_idle
from symjit.ir.passes.layout import channels_last
from symjit.ir.passes.parameters import Split, hoist
from symjit.ir.passes.repeated import merge_repeated
from symjit.ir.passes.shapes import settle_shapes
from symjit.ir.passes.slices import slice_batch
from symjit.ir.passes.strategy import Choice, choose_strategies, heuristic

__all__ = ["Compiled", "Step", "for_inference", "for_training"]

# Where convolutions with the channels last are the faster ones. cuDNN and the TPU compiler choose layouts themselves.
_LAST_IS_FASTER = ("cpu",)

# Where what one layer hands to the next may stay in the caches.
_CACHES_DECIDE = ("cpu",)


class Step(NamedTuple):
    """What one pass did: its name and the graph after it."""

    name: str
    graph: Graph


class Compiled(NamedTuple):
    """A graph after all passes.

    Attributes:
        split: the graph to compile and the prologue that computes its parameters.
        steps: the graph after every pass, the one before them first.
    """

    split: Split
    steps: tuple[Step, ...]


def for_inference(
    graph: Graph,
    parameters: Collection[str],
    shapes: Mapping[str, Any],
    dtypes: Mapping[str, Any],
    platform: str,
    choice: Choice | None = None,
) -> Compiled:
    """Optimise an inference graph.

    Args:
        graph: the graph.
        parameters: names of the variables whose values seldom change.
        shapes: shapes of all variables.
        dtypes: dtypes of all variables.
        platform: what it will run on.
        choice: how strategies are chosen; by the operators' own heuristics if None.
    """

    def specs(of: Graph) -> Any:
        return infer(of, shapes, dtypes, train=False, trust=True)

    def fold(of: Graph) -> Graph:
        return fold_affine(of, parameters, specs(of))

    passes: list[tuple[str, Callable[[Graph], Graph]]] = [
        ("settle shapes", lambda of: settle_shapes(of, specs)),
        ("drop idle nodes", drop_idle),
        ("merge repeated nodes", merge_repeated),
        ("fold affine maps", fold),
        *_arranging(specs, platform, choice, False),
    ]
    if platform in _CACHES_DECIDE:
        passes.insert(-1, ("slice the batch", lambda of: slice_batch(of, parameters, specs(of), shapes, dtypes)))
    steps = [Step("as given", graph)]
    for name, run in passes:
        steps.append(Step(name, run(steps[-1].graph)))
    return Compiled(hoist(steps[-1].graph, parameters), tuple(steps))


def for_training(
    graph: Graph,
    shapes: Mapping[str, Any],
    dtypes: Mapping[str, Any],
    platform: str,
    choice: Choice | None = None,
) -> tuple[Step, ...]:
    """Optimise a graph whose parameters change with every step: nothing is folded. See `for_inference`."""

    def specs(of: Graph) -> Any:
        return infer(of, shapes, dtypes, trust=True)

    steps = [Step("as given", graph), Step("settle shapes", settle_shapes(graph, specs))]
    for name, run in _arranging(specs, platform, choice, True):
        steps.append(Step(name, run(steps[-1].graph)))
    return tuple(steps)


def _arranging(
    specs: Callable[[Graph], Any], platform: str, choice: Choice | None, train: bool
) -> list[tuple[str, Callable[[Graph], Graph]]]:
    """Return the passes that arrange what is computed, without changing what is."""
    chosen = choice or heuristic(platform, train)
    passes: list[tuple[str, Callable[[Graph], Graph]]] = []
    if platform in _LAST_IS_FASTER:
        passes.append(("channels last", lambda of: channels_last(of, specs(of), train=train)))
    passes.append(("choose strategies", lambda of: choose_strategies(of, specs(of), platform, chosen, train=train)))
    return passes
