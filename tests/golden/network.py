"""What is to be known of a network to run it; imports neither MXNet nor symjit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Network:
    """A symbol with the inputs to run it on.

    Attributes:
        symbol: the network.
        shapes: shape of each input; the rest is inferred.
        labels: number of classes of each label input: whole numbers 0..n-1 are drawn, no gradient is asked for.
        values: inputs given outright; no gradient is asked for.
        ignored: a label value that takes the place of every fifth label.
    """

    symbol: Any
    shapes: Mapping[str, tuple[int, ...]]
    labels: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    ignored: int | None = None
