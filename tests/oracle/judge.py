"""What differs between two answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from symjit.ops import registry
from tests.oracle.draw import Request
from tests.oracle.subject import CLEAR, answer

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]

#: Largest difference, relative to the largest magnitude of MXNet's array.
TOLERANCE = {"float16": 2e-2, "float32": 2e-5, "float64": 1e-9, "bfloat16": 5e-2}

_CLEAR = tuple(kind.__name__ for kind in CLEAR)
_KINDS = {"out": "value", "grad": "gradient", "aux": "auxiliary state"}


@dataclass
class Finding:
    """One difference.

    Attributes:
        kind: ``value``, ``gradient``, ``auxiliary state``, ``shape``, ``dtype``, ``outputs``, ``symjit raises``,
            ``MXNet raises``, ``symjit has no gradient``, ``MXNet has no gradient`` or ``unclear exception``.
        detail: what came and what was expected.
        error: the relative error, for differences of numbers.
    """

    kind: str
    detail: str
    error: float = 0.0


def error_of(got: np.ndarray, want: np.ndarray) -> float:
    """Return the largest difference relative to the largest magnitude; infinity where nan and inf differ."""
    if want.dtype.kind in "iub":
        return 0.0 if np.array_equal(got, want) else float("inf")
    got, want = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(got[~finite], want[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    # Below this magnitude it is the rounding of what cancelled that remains: inputs and head gradients are around one.
    scale = max(0.05, float(np.max(np.abs(want[finite]))))
    return float(np.max(np.abs(got[finite] - want[finite]))) / scale


def _worst(got: np.ndarray, want: np.ndarray, most: int = 5) -> str:
    """Return the elements that differ most."""
    with np.errstate(all="ignore"):
        apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
    unlike = ~((got == want) | ((got != got) & (want != want)))
    apart = np.where(unlike, np.where(np.isfinite(apart), apart, np.inf), -1.0).ravel()
    order = [i for i in np.argsort(-apart, kind="stable")[:most] if apart[i] >= 0]
    where = [tuple(map(int, np.unravel_index(i, got.shape))) for i in order]
    return "".join(f"\n{at}: got {got[at]!r}, expected {want[at]!r}" for at in where)


def tolerance(request: Request) -> float:
    """Return what the coarsest of the dtypes that take part allows; float32's where none does."""
    dtypes = {x.dtype.name for x in request.inputs} | {str(v) for v in request.attrs.values()}
    return max((TOLERANCE[dtype] for dtype in dtypes if dtype in TOLERANCE), default=TOLERANCE["float32"])


def noise(request: Request, header: dict[str, Any], got: Answer) -> float:
    """Return how far symjit's numbers move, relatively, when the inputs move by one unit in the last place.

    Where that is as much as two answers differ, the request is ill-conditioned, and nobody is wrong.
    """
    rng, most = np.random.RandomState(1), 0.0
    for _ in range(3):
        moved = [
            np.nextafter(x, np.where(rng.uniform(size=x.shape) < 0.5, -np.inf, np.inf).astype(x.dtype))
            if x.dtype.kind == "f" and (np.trunc(x) != x).any()
            else x
            for x in request.inputs
        ]
        _, arrays = answer(header, moved)
        pairs = [(arrays[k], x) for k, x in got[1].items() if k in arrays and x.dtype.kind == "f"]
        most = max([most, *(error_of(a, b) for a, b in pairs)])
    return most


def judge(request: Request, got: Answer, want: Answer) -> tuple[list[Finding], float]:
    """Return what differs, and the largest relative error of those arrays that agree."""
    (errors, arrays), (want_errors, want_arrays) = got, want
    found = [
        Finding("unclear exception", f"{step}: {text}")
        for step, text in errors.items()
        if text is not None and not text.startswith(_CLEAR)
    ]
    worst = 0.0
    for step in ("predict", "train", "gradient"):
        mine, theirs = errors.get(step), want_errors.get(step)
        gradient = step == "gradient"
        if mine is not None and step in want_errors and theirs is None:
            kind = "symjit has no gradient" if gradient else "symjit raises"
            found.append(Finding(kind, f"{step}: {mine}"))
        elif theirs is not None and step in errors and mine is None:
            kind = "MXNet has no gradient" if gradient else "MXNet raises"
            found.append(Finding(kind, f"{step}: {theirs}"))
    allowed = tolerance(request)
    operator = registry.get(request.op)
    try:
        attrs = operator.parse_attrs(request.attrs)
    except CLEAR:
        attrs = None
    for step in ("predict", "train", "gradient"):
        mine = {k: v for k, v in arrays.items() if k.startswith(f"{step}/")}
        theirs = {k: v for k, v in want_arrays.items() if k.startswith(f"{step}/")}
        if not mine or not theirs:
            continue
        if set(mine) != set(theirs):
            found.append(Finding("outputs", f"{sorted(mine)}, expected {sorted(theirs)}"))
            continue
        drawn = attrs is not None and operator.draws(attrs, step != "predict")
        for name, expected in theirs.items():
            value = mine[name]
            if value.shape != expected.shape:
                found.append(Finding("shape", f"{name}: {value.shape}, expected {expected.shape}"))
            elif value.dtype != expected.dtype:
                found.append(Finding("dtype", f"{name}: {value.dtype}, expected {expected.dtype}"))
            elif not drawn:
                error = error_of(value, expected)
                if error > (allowed if expected.dtype.kind == "f" else 0.0):
                    kind = _KINDS[name.split("/")[1].split(":")[0]]
                    found.append(Finding(kind, f"{name}: error {error:.3g}{_worst(value, expected)}", error))
                else:
                    worst = max(worst, error)
    return found, worst


def same(left: Answer, right: Answer) -> bool:
    """Return whether two answers of MXNet are one."""
    (errors, arrays), (other_errors, other) = left, right
    if {k: v is None for k, v in errors.items()} != {k: v is None for k, v in other_errors.items()}:
        return False
    return set(arrays) == set(other) and all(
        x.shape == other[k].shape and np.array_equal(x, other[k], equal_nan=x.dtype.kind == "f")
        for k, x in arrays.items()
    )
