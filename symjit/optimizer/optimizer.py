"""The base class of optimizers: rates, multipliers, counts, the registry. MXNet: ``mx.optimizer.Optimizer``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from symjit import config
from symjit import ndarray as nd
from symjit.base import MXNetError, shown
from symjit.ndarray import NDArray
from symjit.optimizer.rule import LOW_PRECISION, Rule, run

if TYPE_CHECKING:
    from collections.abc import Callable

    import optax

__all__ = ["Optimizer", "create", "register"]


class Optimizer:
    """Updates weights by their gradients. Source: MXNet ``mx.optimizer.Optimizer``.

    An optimizer is host numbers plus a pure rule. `rule` returns the rule, `hyper` the numbers of this step for one
    parameter; they enter the compiled code as arguments, so a changing learning rate compiles nothing. A subclass may
    as well override `create_state` and `update` in NDArray code, as in MXNet; `rule` is None then.

    Weights of float16 and bfloat16 are computed in float32 and rounded once, with `multi_precision` or without it.

    Args:
        rescale_grad: gradients are multiplied by it, usually one over the batch size.
        param_idx2name: name of the parameter of each index; decides multipliers.
        wd: weight decay, the factor of the L2 penalty.
        clip_gradient: bound of the magnitude of each element of the rescaled gradient; None for none.
        learning_rate: the rate; that of the scheduler if None, 0.01 if there is no scheduler either. With a scheduler
            it becomes its ``base_lr``.
        lr_scheduler: gives the rate from the number of updates.
        sym: the symbol whose variables' ``__lr_mult__`` and ``__wd_mult__`` are multipliers.
        begin_num_update: the number of updates done before.
        multi_precision: keep a float32 copy of float16 (and bfloat16) weights in the state, and update that.
        param_dict: Gluon parameters by index, whose ``lr_mult`` and ``wd_mult`` come first.

    Attributes:
        num_update: the largest number of updates of any index.
        aggregate_num: how many parameters MXNet updates in one call, 0 for one by one.
    """

    #: Classes by their names in lower case.
    opt_registry: ClassVar[dict[str, type[Optimizer]]] = {}

    # Attributes that updates change beside the counts: the checkpoint of a module keeps them.
    _progress: ClassVar[tuple[str, ...]] = ()

    # Where the state of a low-precision weight holds the float32 copy: (copy, state), or (state, copy) where it is 1.
    _master = 0

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[Any, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: Mapping[Any, Any] | None = None,
    ) -> None:
        self.rescale_grad = rescale_grad
        self.lr_scheduler = lr_scheduler
        if lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        self.lr = learning_rate
        if lr_scheduler is not None and learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            warnings.warn(
                f"learning_rate={learning_rate} replaces the base_lr={lr_scheduler.base_lr} of the lr_scheduler",
                UserWarning,
                stacklevel=3,
            )
            lr_scheduler.base_lr = learning_rate
        self.wd = wd
        self.lr_mult: dict[Any, float] = {}
        self.wd_mult: dict[Any, float] = {}
        self.begin_num_update = begin_num_update
        self.num_update = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.clip_gradient = clip_gradient
        self.multi_precision = multi_precision
        self.aggregate_num = 0
        if param_idx2name is not None and not isinstance(param_idx2name, dict):
            kind = type(param_idx2name).__name__
            raise AssertionError(f"param_idx2name: expected a dict of indices to names, got {kind}")
        self.idx2name: dict[Any, str] = dict(param_idx2name or {})
        self.sym_info: Any = () if sym is None else (sym.attr_dict(), sym.list_arguments())
        self.param_dict: Any = param_dict if param_dict else {}
        self.allow_np_array = False
        self.set_lr_mult({})
        self.set_wd_mult({})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "param_dict"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.param_dict = {}  # whoever owns the parameters sets them again

    # The registry -----------------------------------------------------------------------------------------------------

    @staticmethod
    def register(klass: type) -> type:
        """Register a class under its name in lower case; returns it, so that this is a decorator.

        Raises:
            AssertionError: it is no class.
        """
        if not isinstance(klass, type):
            raise AssertionError(f"register: expected a subclass of Optimizer, got {shown(klass)}")
        name = klass.__name__.lower()
        former = Optimizer.opt_registry.get(name)
        if former is not None:
            warnings.warn(
                f"the optimizer {klass.__module__}.{klass.__name__} replaces"
                f" {former.__module__}.{former.__name__} under the name {name!r}",
                UserWarning,
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """Return an optimizer of a registered name, in any case, made with these arguments.

        Raises:
            ValueError: there is none of that name.
        """
        try:
            klass = Optimizer.opt_registry[name.lower()]
        except KeyError:
            known = ", ".join(sorted(Optimizer.opt_registry))
            raise ValueError(f"Cannot find optimizer {name}: expected one of {known}") from None
        return klass(**kwargs)

    # Rates and multipliers --------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> Any:
        """The learning rate now, before multipliers."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Set the learning rate.

        Raises:
            UserWarning: a scheduler decides the rate. MXNet raises this class as an exception.
        """
        if self.lr_scheduler is not None:
            raise UserWarning("set_learning_rate: the lr_scheduler of this optimizer decides its learning rate")
        self.lr = lr

    def set_lr_scale(self, args_lrscale: Any) -> None:
        """Raise DeprecationWarning; `set_lr_mult` took its place in MXNet."""
        raise DeprecationWarning("set_lr_scale is gone; use set_lr_mult")

    def set_lr_mult(self, args_lr_mult: Mapping[Any, float]) -> None:
        """Set factors of the learning rate by name or index; those of the symbol's attributes hold for the others."""
        self.lr_mult = {**self._attributes("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult: Mapping[Any, float]) -> None:
        """Set factors of the weight decay by name or index.

        For the others those of the symbol's attributes hold, else 0 for a parameter whose name in `param_idx2name` ends
        neither in ``_weight`` nor in ``_gamma``, else 1.
        """
        exempt = dict.fromkeys((n for n in self.idx2name.values() if not self._decays(n)), 0.0)
        self.wd_mult = {**exempt, **self._attributes("__wd_mult__"), **args_wd_mult}

    @staticmethod
    def _decays(name: str) -> bool:
        return name.endswith(("_weight", "_gamma"))

    def _attributes(self, key: str) -> dict[Any, float]:
        if not self.sym_info:
            return {}
        attrs, arguments = self.sym_info
        return {name: float(attrs[name][key]) for name in arguments if key in attrs.get(name, {})}

    def _multiplied(self, value: Any, index: Any, kind: str) -> Any:
        multipliers = getattr(self, kind)
        if index in self.param_dict:
            return value * getattr(self.param_dict[index], kind)
        if index in multipliers:
            return value * multipliers[index]
        return value * multipliers.get(self.idx2name[index], 1.0) if index in self.idx2name else value

    def _get_lrs(self, indices: Sequence[Any]) -> list[Any]:
        lr = self.learning_rate
        return [self._multiplied(lr, index, "lr_mult") for index in indices]

    def _get_lr(self, index: Any) -> Any:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Any]) -> list[Any]:
        return [self._multiplied(self.wd, index, "wd_mult") for index in indices]

    def _get_wd(self, index: Any) -> Any:
        return self._get_wds([index])[0]

    # Counts -----------------------------------------------------------------------------------------------------------

    def _set_current_context(self, device_id: int) -> None:
        """Count the following updates for this device: each counts for itself."""
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        """Count an update of an index, or of a list of them."""
        for idx in index if isinstance(index, (tuple, list)) else [index]:
            count = self._index_update_count.get(idx, self.begin_num_update) + 1
            self._index_update_count[idx] = count
            self.num_update = max(count, self.num_update)

    # States -----------------------------------------------------------------------------------------------------------

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Return what is kept of a parameter between updates: None, an NDArray, or a tuple of such.

        Args:
            index: the parameter's index.
            weight: the parameter.
        """

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """Return the state of a parameter; with `multi_precision` that of a low-precision one holds a float32 copy."""
        if np.dtype(weight.dtype) in LOW_PRECISION:
            if self.multi_precision:
                master = weight.astype("float32")
                inner = self.create_state(index, master)
                return (master, inner) if self._master == 0 else (inner, master)
            warnings.warn(
                f"{type(self).__name__} rounds a {np.dtype(weight.dtype).name} weight after every update, so that small"
                " steps are lost; multi_precision=True keeps a float32 copy of it",
                UserWarning,
                stacklevel=2,
            )
        return self.create_state(index, weight)

    # Updates ----------------------------------------------------------------------------------------------------------

    def rule(self, multi_precision: bool | None = None, indices: Sequence[Any] = ()) -> Rule | None:
        """Return the pure form of this optimizer, or None where a subclass overrides `update`.

        Args:
            multi_precision: whether states are those of `create_state_multi_precision`; as the optimizer says if None.
            indices: the parameters that it is for; most rules are the same for all.
        """
        order = type(self).__mro__
        place = {name: next(i for i, c in enumerate(order) if name in vars(c)) for name in _OVERRIDES}
        if place["_rule"] > min(place["update"], place["update_multi_precision"]):
            return None
        made = self._rule(self.multi_precision if multi_precision is None else multi_precision)
        return None if made is None else self._named(made, indices)

    def _rule(self, multi_precision: bool) -> Rule | None:
        """Return the rule that `update` runs; a class that has one overrides this and `hyper`."""
        return None

    def _named(self, rule: Rule, indices: Sequence[Any]) -> Rule:
        """Return the rule for these parameters."""
        return rule

    def _made(
        self,
        fn: Callable[..., Any],
        multi_precision: bool,
        states: int | tuple[int, ...],
        numbers: str,
        draws: bool = False,
    ) -> Rule:
        """Return a rule of this optimizer; `numbers` are names parted by blanks."""
        master = self._master if multi_precision else None
        return Rule(fn, tuple(numbers.split()), (states,) if isinstance(states, int) else states, master, draws)

    def hyper(self, index: Any) -> dict[str, float]:
        """Return the numbers of this step for one parameter, under the names of `Rule.numbers`.

        It is called once for each index and step, after the update has been counted; `advance` does both.
        """
        return self._common(index)

    def hypers(self, indices: Sequence[Any]) -> list[dict[str, float]]:
        """Return `hyper` of each index, for updates that MXNet does in one call."""
        return [self.hyper(index) for index in indices]

    def advance(self, indices: Sequence[Any], size: int | None = None) -> list[dict[str, float]]:
        """Count one update of each parameter and return the numbers of each, in the order in which MXNet does it.

        Args:
            indices: the parameters of a step.
            size: how many of them MXNet updates in one call, as the optimizer says if None. A KVStore takes one by one.
        """
        size = max(1, self.aggregate_num if size is None else size)
        made: list[dict[str, float]] = []
        for start in range(0, len(indices), size):
            chunk = list(indices[start : start + size])
            self._update_count(chunk)
            made += self.hypers(chunk)
        return made

    def _common(self, index: Any) -> dict[str, float]:
        """Return the numbers of nearly every rule."""
        return {
            "lr": self._get_lr(index),
            "wd": self._get_wd(index),
            "rescale_grad": self.rescale_grad,
            "clip_gradient": bound(self.clip_gradient),
        }

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Update a parameter and its state in place.

        Args:
            index: the parameter's index, or a list of them; then the other arguments are lists as well.
            weight: the parameter.
            grad: its gradient.
            state: what `create_state` returned.

        Raises:
            NotImplementedError: the class has no rule and does not override this method.
            AssertionError: weight or gradient is no NDArray.
            MXNetError: gradient or state do not belong to the weight.
        """
        self._run(index, weight, grad, state, False)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Do as `update`, with the state that `create_state_multi_precision` returned."""
        if self.rule() is not None:
            self._run(index, weight, grad, state, self.multi_precision)
            return
        for i, w, g, s in zip(*_lists(index, weight, grad, state), strict=True):
            if self.multi_precision and np.dtype(w.dtype) in LOW_PRECISION:
                master, inner = s[self._master], s[1 - self._master]
                self.update(i, master, g.astype("float32"), inner)
                w[:] = master.astype(w.dtype)
            else:
                self.update(i, w, g, s)

    def transformation(self) -> optax.GradientTransformation:
        """Return an optax transformation that runs this optimizer's rule; its ``update`` needs the parameters.

        The leaves of the parameters, in the order of ``jax.tree.leaves``, are the indices 0, 1 ... See
        `symjit.optimizer.transformation`.

        Raises:
            MXNetError: there is no pure rule.
        """
        from symjit.optimizer.transformation import transformation

        return transformation(self)

    def _run(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        rule = self._rule(multi_precision)
        if rule is None:
            raise NotImplementedError(f"{type(self).__name__} does not define update()")
        indices, weights, grads, states = _lists(index, weight, grad, state)
        self._update_count(indices)
        run(self._named(rule, indices), weights, grads, states, self.hypers(indices))


_OVERRIDES = ("_rule", "update", "update_multi_precision")


def bound(clip: float | None) -> float:
    """Return the bound that MXNet's compiled rules use: None, zero and less are none."""
    return clip if clip is not None and clip > 0 else inf


def _lists(index: Any, weight: Any, grad: Any, state: Any) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """Return the arguments of `Optimizer.update` as lists of one length."""
    if isinstance(index, (tuple, list)):
        made = list(index), list(weight), list(grad), list(state)
    else:
        made = [index], [weight], [grad], [state]
    if len({len(part) for part in made}) != 1:
        lengths = ", ".join(str(len(part)) for part in made)
        raise MXNetError(f"update: expected as many weights, gradients and states as indices, got {lengths}")
    for array in (*made[1], *made[2]):
        if not isinstance(array, NDArray):
            raise AssertionError(f"update: weights and gradients must be NDArrays, got {type(array).__name__}")
    return made


def aggregation(default: int) -> int:
    """Return how many parameters are updated in one call, as the environment says."""
    size = config.AGGREGATION.get()
    return default if size is None else size


def zeros_like(weight: NDArray, dtype: Any = None) -> NDArray:
    """Return zeros of a weight's shape, context and dtype, or of another dtype."""
    return nd.zeros(weight.shape, weight.context, dtype=dtype or weight.dtype)


def __getattr__(name: str) -> Any:
    # In MXNet this module holds the classes, which are in modules by their kind here.
    import symjit.optimizer as package

    if name in package.__all__:
        return getattr(package, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


register = Optimizer.register
create = Optimizer.create_optimizer
