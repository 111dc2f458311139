"""Callables that stand where an initializer does: values from a file, and a choice by name."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence

from symjit import ndarray
from symjit.base import shown
from symjit.initializer.base import Callee
from symjit.ndarray import NDArray

__all__ = ["Load", "Mixed"]


class Load:
    """Take initial values from a file or a dict.

    Args:
        param: names and arrays, or the name of a file that holds them; ``arg:`` and ``aux:`` before a name are dropped.
        default_init: what initializes the names that are not there.
        verbose: whether to log, at level INFO, where each value came from.

    Raises:
        AssertionError: there are no names; when called, a shape differs, or a name is missing and there is no
            `default_init`.
    """

    def __init__(
        self,
        param: str | os.PathLike[str] | Mapping[str, NDArray],
        default_init: Callee | None = None,
        verbose: bool = False,
    ) -> None:
        found = ndarray.load(param) if isinstance(param, (str, os.PathLike)) else param
        if not isinstance(found, Mapping):
            what = f"{param} holds" if found is not param else "param is"
            raise AssertionError(
                f"Load: expected a dict of names and NDArrays, but {what} a {type(found).__name__}; save it as"
                " mx.nd.save(file, {name: array})"
            )
        self.param = {name[4:] if name.startswith(("arg:", "aux:")) else name: arr for name, arr in found.items()}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name: str, arr: NDArray) -> None:
        """Write the value of this name."""
        loaded = self.param.get(name)
        if loaded is not None:
            if arr.shape != loaded.shape:
                raise AssertionError(
                    f"Load: {name} has shape {arr.shape}, but the array to load has shape {loaded.shape}:"
                    " take the name out of the dict to initialize it by default_init"
                )
            arr[:] = loaded
        elif self.default_init is None:
            raise AssertionError(
                f"Load: {name} is not among the loaded parameters, and there is no default initializer: pass"
                " default_init=mx.init.Xavier(), or load a file that holds it"
            )
        else:
            self.default_init(name, arr)
        if self.verbose:
            logging.info("Initialized %s by %s", name, "default" if loaded is None else "loading")


class Mixed:
    """Choose an initializer by regular expressions; the first that matches at the beginning of the name decides.

    Args:
        patterns: the expressions.
        initializers: as many initializers.

    Raises:
        AssertionError: there are more of one than of the other.
        ValueError: when called, nothing matches the name.
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Callee]) -> None:
        if len(patterns) != len(initializers):
            raise AssertionError(
                f"Mixed: expected one initializer for each pattern, got {len(patterns)} patterns and"
                f" {len(initializers)} initializers"
            )
        self.map = list(zip(map(re.compile, patterns), initializers, strict=True))

    def __call__(self, name: str, arr: NDArray) -> None:
        """Call the initializer of the first expression that matches."""
        for prog, init in self.map:
            if prog.match(name):
                init(name, arr)
                return
        raise ValueError(
            f"Mixed: no pattern matches {name}: add '.*' as the last one, with an initializer for the rest. There are"
            f" {shown([prog.pattern for prog, _ in self.map])}"
        )
