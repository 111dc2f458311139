"""``mx.nd``: imperative arrays and operators.

Operator functions are derived from the registry on first use; see `symjit.ndarray.functions`.
"""

from __future__ import annotations

from typing import Any

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
from symjit.ndarray.functions import surface as _surface
from symjit.ops.surface import Namespace as _Namespace

contrib = _Namespace(_surface, "contrib")
linalg = _Namespace(_surface, "linalg")
_internal = _Namespace(_surface, "_internal")
op = _Namespace(_surface, "")

globals().update(_FUNCTIONS)  # add, subtract ... lesser_equal


def __getattr__(name: str) -> Any:
    found = _surface.attribute("", name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_surface.listing("")})
