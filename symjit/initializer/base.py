"""What every initializer is: a name decides, an array is written; and the registry of their names."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from math import sqrt
from typing import Any, TypeVar

import numpy as np

from symjit import ndarray, random, registry
from symjit.base import shown
from symjit.initializer.values import bilinear, fill
from symjit.ndarray import NDArray

__all__ = ["Callee", "InitDesc", "Initializer", "alias", "create", "register"]

#: What is called with a description and an array.
Callee = Callable[[Any, NDArray], Any]


class InitDesc(str):
    """The name of a variable, with what else decides its initial value.

    Args:
        name: the name.
        attrs: the variable's attributes, as ``Symbol.attr_dict()`` has them; ``__init__`` is looked at.
        global_init: the initializer of the whole network, for initializers that handle a part and leave the rest to it;
            the first initializer that is called with the description, if None.
    """

    attrs: dict[str, str]
    global_init: Callee | None

    def __new__(cls, name: str, attrs: dict[str, str] | None = None, global_init: Callee | None = None) -> InitDesc:
        """Return the name as a string with these attributes."""
        made = super().__new__(cls, name)
        made.attrs = attrs or {}
        made.global_init = global_init
        return made


class Initializer:
    """Base class: what happens to a variable follows from its name.

    A subclass defines ``_init_weight(name, array)``, and may redefine what happens to the other endings:

    ================================ ==========================  ==========
    name ends with                   method                      writes
    ================================ ==========================  ==========
    ``weight``                       ``_init_weight``
    ``bias``                         ``_init_bias``              0
    ``gamma``                        ``_init_gamma``             1
    ``beta``                         ``_init_beta``              0
    ``min``                          ``_init_zero``              0
    ``max``                          ``_init_one``               1
    ``weight_quantize``              ``_init_quantized_weight``  one random integer of -127 ... 126, everywhere
    ``bias_quantize``                ``_init_quantized_bias``    0
    anything else                    ``_init_default``           raises
    ================================ ==========================  ==========

    Two initializers are equal if they are of one class and were made with the same arguments.

    Args:
        **kwargs: the arguments of the subclass's constructor: `dumps` writes them, equality compares them.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs
        self._verbose = False
        self._print_func: Callable[[NDArray], str] | None = None

    def set_verbosity(self, verbose: bool = False, print_func: Callable[[NDArray], str] | None = None) -> Initializer:
        """Switch the log line for each initialized variable on or off, and return this initializer.

        Args:
            verbose: whether to log, at level INFO.
            print_func: makes the text of the line from the array; its root mean square if None.
        """
        self._verbose = verbose
        self._print_func = _root_mean_square if print_func is None else print_func
        return self

    def _verbose_print(self, desc: str, init: str, arr: NDArray) -> None:
        if self._verbose and self._print_func:
            # On the root logger, as in MXNet: programs that call logging.basicConfig see it.
            logging.info("Initialized %s as %s: %s", desc, init, self._print_func(arr))

    def dumps(self) -> str:
        """Return the JSON text ``["class name", {arguments}]``, from which `create` makes an equal initializer."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, desc: InitDesc | str, arr: NDArray) -> None:
        """Write the initial value of a variable.

        Args:
            desc: the variable. A plain string works as in MXNet before 0.9, with a warning: attributes are not known
                then, and names of MXNet's own layers decide more.
            arr: where to write; it keeps its dtype and device.

        Raises:
            ValueError: the name has no known ending.
            AssertionError: ``__init__`` names a class that is not registered.
        """
        if not isinstance(desc, InitDesc):
            self._legacy_init(desc, arr)
            return
        if desc.global_init is None:
            desc.global_init = self
        own = desc.attrs.get("__init__", "")
        if own:
            _own(desc, own)._init_weight(desc, arr)
            self._verbose_print(desc, own, arr)
            return
        for ending, method in _ENDINGS:
            if desc.endswith(ending):
                getattr(self, method)(desc, arr)
                self._verbose_print(desc, ending, arr)
                return
        self._init_default(desc, arr)

    def _legacy_init(self, name: str, arr: NDArray) -> None:
        warnings.warn(
            "an initializer was called with a plain string, which is deprecated: pass mx.init.InitDesc(name)",
            DeprecationWarning,
            stacklevel=3,
        )
        if not isinstance(name, str):
            raise TypeError(f"an initializer is called with an InitDesc and an NDArray; the first was {shown(name)}")
        if not isinstance(arr, NDArray):
            raise TypeError(f"an initializer writes to an NDArray, got {type(arr).__name__}: make one with mx.nd.array")
        for start, ending, method in _LEGACY:
            if name.startswith(start) and name.endswith(ending):
                getattr(self, method)(name, arr)
                return
        self._init_default(name, arr)

    def _init_bilinear(self, _: str, arr: NDArray) -> None:
        arr[:] = bilinear(arr.shape)

    def _init_loc_bias(self, _: str, arr: NDArray) -> None:
        if arr.shape[0] != 6:
            raise AssertionError(f"the bias of a localisation network holds 6 numbers, got an array of {arr.shape}")
        arr[:] = np.array([1.0, 0, 0, 0, 1.0, 0])

    def _init_zero(self, _: str, arr: NDArray) -> None:
        fill(arr, 0.0)

    def _init_one(self, _: str, arr: NDArray) -> None:
        fill(arr, 1.0)

    def _init_bias(self, _: str, arr: NDArray) -> None:
        fill(arr, 0.0)

    def _init_quantized_bias(self, _: str, arr: NDArray) -> None:
        fill(arr, 0)

    def _init_gamma(self, _: str, arr: NDArray) -> None:
        fill(arr, 1.0)

    def _init_beta(self, _: str, arr: NDArray) -> None:
        fill(arr, 0.0)

    def _init_weight(self, name: str, arr: NDArray) -> None:
        """Write the initial value of a weight, or of a variable whose attribute names this initializer."""
        raise NotImplementedError(f"{type(self).__name__} must override _init_weight(name, array), for {name}")

    def _init_quantized_weight(self, _: str, arr: NDArray) -> None:
        fill(arr, random.next_generator().integers(-127, 127))

    def _init_default(self, name: str, _: NDArray) -> None:
        raise ValueError(
            f"no initialization pattern fits {name}: the name ends with none of"
            f" {', '.join(ending for ending, _ in _ENDINGS)}. Say how to initialize it, by"
            f" mx.sym.Variable({name!r}, init=mx.init.Zero()) or by a pattern of mx.init.Mixed, or give its value in"
            " arg_params"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self._kwargs == other._kwargs


#: The first ending that a name has decides; programs redefine the methods in subclasses.
_ENDINGS = (
    ("weight", "_init_weight"),
    ("bias", "_init_bias"),
    ("gamma", "_init_gamma"),
    ("beta", "_init_beta"),
    ("min", "_init_zero"),
    ("max", "_init_one"),
    ("weight_quantize", "_init_quantized_weight"),
    ("bias_quantize", "_init_quantized_bias"),
)

#: What the beginning and the ending of a plain string decide, the first that fits.
_LEGACY = (
    ("upsampling", "", "_init_bilinear"),
    ("stn_loc", "weight", "_init_zero"),
    ("stn_loc", "bias", "_init_loc_bias"),
    ("", "bias", "_init_bias"),
    ("", "gamma", "_init_gamma"),
    ("", "beta", "_init_beta"),
    ("", "weight", "_init_weight"),
    ("", "moving_mean", "_init_zero"),
    ("", "moving_var", "_init_one"),
    ("", "moving_inv_var", "_init_zero"),
    ("", "moving_avg", "_init_zero"),
    ("", "min", "_init_zero"),
    ("", "max", "_init_one"),
)


def _root_mean_square(arr: NDArray) -> str:
    return str((ndarray.norm(arr) / sqrt(arr.size)).asscalar())


def _own(desc: InitDesc, text: str) -> Initializer:
    """Return the initializer that a variable's attribute states."""
    try:
        return create(text)
    except (AssertionError, TypeError, ValueError) as error:
        error.add_note(f"This is the attribute __init__ of the variable {desc}: {shown(text)}")
        raise


_register = registry.get_register_func(Initializer, "initializer")
alias = registry.get_alias_func(Initializer, "initializer")
create = registry.get_create_func(Initializer, "initializer")

_Class = TypeVar("_Class", bound=type[Initializer])


def register(klass: _Class) -> _Class:
    """Register a subclass of `Initializer` under its name in lower case, for `create` and ``__init__``; a decorator.

    Example::

        @mx.init.register
        @mx.init.alias("halves")
        class Half(mx.init.Initializer):
            def _init_weight(self, name, array):
                array[:] = 0.5

        weight = mx.sym.Variable("scale", init="half")

    Raises:
        AssertionError: it is no such subclass.
    """
    _register(klass)
    return klass
