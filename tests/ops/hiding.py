"""Questions about shapes and dtypes: an operator's own, with parts hidden, and wrong ones.

The tests ask symjit and ``tests/golden/generate_infer.py`` asks MXNet the same questions, so this module imports
neither. A question is asked of one graph (`graph_json`): the operator on variables ``in0, in1 ...``, and for each
visible output ``j`` an addition of a variable ``like<j>``, through which a shape or dtype flows back into the operator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

Shape = tuple[int, ...]


def graph_json(op: str, attrs: dict[str, Any], inputs: int, outputs: int) -> str:
    """Return the graph; its heads are the operator's outputs, then the additions."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": f"in{i}", "inputs": []} for i in range(inputs)]
    texts = {key: value if isinstance(value, str) else str(value) for key, value in attrs.items()}
    nodes.append({"op": op, "name": "node", "attrs": texts, "inputs": [[i, 0, 0] for i in range(inputs)]})
    sums = []
    for j in range(outputs):
        like = len(nodes)
        nodes.append({"op": "null", "name": f"like{j}", "inputs": []})
        nodes.append({"op": "elemwise_add", "name": f"sum{j}", "inputs": [[inputs, j, 0], [like, 0, 0]]})
        sums.append([like + 1, 0, 0])
    return json.dumps(
        {
            "nodes": nodes,
            "arg_nodes": [i for i, node in enumerate(nodes) if node["op"] == "null"],
            "heads": [[inputs, j, 0] for j in range(outputs)] + sums,
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )


def shape_questions(inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Iterator[tuple[str, dict[str, Shape]]]:
    """Yield ``(label, shapes given by name)``; 0 is an unknown dimension.

    Labels that begin with ``wrong`` give shapes that contradict the operator, or happen to be another valid set.
    """
    whole = {f"in{i}": shape for i, shape in enumerate(inputs)}
    likes = {f"like{j}": shape for j, shape in enumerate(outputs)}

    def without(shapes: dict[str, Shape], name: str) -> dict[str, Shape]:
        return {key: shape for key, shape in shapes.items() if key != name}

    def changed(shape: Shape, axis: int, dim: int) -> Shape:
        return (*shape[:axis], dim, *shape[axis + 1 :])

    yield "all", whole
    for name, shape in whole.items():
        yield f"hide {name}", without(whole, name)
        yield f"hide {name}, outputs given", {**without(whole, name), **likes}
        for axis in range(len(shape)):
            yield f"hide {name}[{axis}]", {**whole, name: changed(shape, axis, 0)}
            yield f"hide {name}[{axis}], outputs given", {**whole, name: changed(shape, axis, 0), **likes}
            yield f"wrong {name}[{axis}]", {**whole, name: changed(shape, axis, shape[axis] + 1)}
        yield f"wrong {name}: an axis more", {**whole, name: (1, *shape)}
        if len(shape) > 1:
            yield f"wrong {name}: an axis less", {**whole, name: shape[:-1]}
    yield "outputs", likes
    for name, shape in likes.items():
        yield f"{name} alone", {name: shape}
        for axis in range(len(shape)):
            yield f"wrong {name}[{axis}]", {**whole, name: changed(shape, axis, shape[axis] + 1)}
            yield f"outputs but {name}[{axis}]", {**likes, name: changed(shape, axis, 0)}
    if inputs and inputs[0]:
        first = {"in0": inputs[0]}
        yield "data alone", first
        yield "data but its batch", {"in0": changed(inputs[0], 0, 0)}
        yield "every batch hidden", {name: changed(shape, 0, 0) if shape else shape for name, shape in whole.items()}
        yield "data and outputs", {**first, **likes}


def dtype_questions(inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ``(label, dtypes given by name)``."""
    whole = {f"in{i}": dtype for i, dtype in enumerate(inputs)}
    likes = {f"like{j}": dtype for j, dtype in enumerate(outputs)}
    yield "all", whole
    yield "none", {}
    yield "outputs", likes
    for name, dtype in whole.items():
        rest = {key: each for key, each in whole.items() if key != name}
        yield f"hide {name}", rest
        yield f"hide {name}, outputs given", {**rest, **likes}
        yield f"{name} alone", {name: dtype}
        for other in ("float64", "float16", "int32"):
            if dtype != other:
                yield f"wrong {name}: {other}", {**whole, name: other}
    for name, dtype in likes.items():
        yield f"wrong {name}", {**whole, name: "float32" if dtype == "float64" else "float64"}


def show(shape: Sequence[int] | None) -> str:
    """Return a shape as the files of answers write it: ``2,0,4``, and ``?`` where not even the rank is known."""
    return ",".join(map(str, shape)) if shape else "?"


def read(text: str) -> Shape:
    """Return the shape that `show` wrote; ``()`` for an unknown one."""
    return () if text == "?" else tuple(map(int, text.split(",")))
