"""``mx.sym``: symbols, and the operator functions that make them.

Operator functions are derived from the registry on first use; see `symjit.symbol.functions`.
"""

from __future__ import annotations

from typing import Any

from symjit.ops.surface import Namespace as _Namespace
from symjit.symbol import random as random
from symjit.symbol.creation import arange as arange
from symjit.symbol.creation import eye as eye
from symjit.symbol.creation import full as full
from symjit.symbol.creation import hypot as hypot
from symjit.symbol.creation import linspace as linspace
from symjit.symbol.creation import maximum as maximum
from symjit.symbol.creation import minimum as minimum
from symjit.symbol.creation import ones as ones
from symjit.symbol.creation import pow as pow
from symjit.symbol.creation import power as power
from symjit.symbol.creation import split_v2 as split_v2
from symjit.symbol.creation import zeros as zeros
from symjit.symbol.functions import surface as _surface
from symjit.symbol.operators import NotImplementedForSymbol as NotImplementedForSymbol
from symjit.symbol.symbol import Group as Group
from symjit.symbol.symbol import Symbol as Symbol
from symjit.symbol.symbol import Variable as Variable
from symjit.symbol.symbol import load as load
from symjit.symbol.symbol import load_json as load_json
from symjit.symbol.symbol import var as var

contrib = _Namespace(_surface, "contrib")
linalg = _Namespace(_surface, "linalg")
_internal = _Namespace(_surface, "_internal")
op = _Namespace(_surface, "")


def __getattr__(name: str) -> Any:
    found = _surface.attribute("", name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_surface.listing("")})
