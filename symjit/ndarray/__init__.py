"""``mx.nd``: imperative arrays and operators.

Operator functions are derived from the registry on first use; see `symjit.ndarray.functions`.
"""

from __future__ import annotations

from typing import Any

from symjit.ndarray import functions as _functions
from symjit.ndarray import random as random
from symjit.ndarray.arithmetic import FUNCTIONS as _FUNCTIONS
from symjit.ndarray.array import NDArray as NDArray
from symjit.ndarray.creation import arange as arange
from symjit.ndarray.creation import array as array
from symjit.ndarray.creation import concatenate as concatenate
from symjit.ndarray.creation import empty as empty
from symjit.ndarray.creation import eye as eye
from symjit.ndarray.creation import from_numpy as from_numpy
from symjit.ndarray.creation import full as full
from symjit.ndarray.creation import linspace as linspace
from symjit.ndarray.creation import load as load
from symjit.ndarray.creation import load_frombuffer as load_frombuffer
from symjit.ndarray.creation import moveaxis as moveaxis
from symjit.ndarray.creation import onehot_encode as onehot_encode
from symjit.ndarray.creation import ones as ones
from symjit.ndarray.creation import save as save
from symjit.ndarray.creation import split_v2 as split_v2
from symjit.ndarray.creation import waitall as waitall
from symjit.ndarray.creation import zeros as zeros

contrib = _functions.Namespace("contrib")
linalg = _functions.Namespace("linalg")
_internal = _functions.Namespace("_internal")
op = _functions.Namespace("")

globals().update(_FUNCTIONS)  # add, subtract ... lesser_equal


def __getattr__(name: str) -> Any:
    found = _functions.function("", name)
    if found is None:
        raise AttributeError(f"module 'symjit.ndarray' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_functions.listing("")})
