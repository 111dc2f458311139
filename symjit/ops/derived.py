"""Operators that passes put into graphs, and the facts of an operator that they follow from.

No file and no user names these operators: ``BatchNorm@affine`` is what `affine` makes of BatchNorm. Their attributes
are those of the operator that they are derived from, so that a pass hands on a node's attributes as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from symjit.ops.registry import Op, register_derived

__all__ = ["Affine", "Derived", "Folding", "Strategy", "absorbs", "affine", "namespace", "strategy"]

Axis = Callable[[Any, int], int]


class Derived(Op):
    """An operator made from another one's attributes.

    Args:
        base: the operator whose attributes it has.
        suffix: its name is that of `base`, ``@`` and this.
        rule: ``rule(attrs, *inputs) -> outputs``; the names of its parameters after the first are the inputs, and those
            that have a default may be absent.
            All are parameters but for a first one that is also the first input of `base`.
        outputs: number of outputs, or what gives it for attributes.
        absent: inputs that these attributes leave out; by default those that `base` leaves out.
        inputs: gives the names of the inputs for attributes, where their number varies; the rule takes them in order.

    A rule that takes parameters alone has the fact ``numpy``: it prepares parameters, and takes its functions from
    `namespace`.
    """

    def __init__(
        self,
        base: Op,
        suffix: str,
        rule: Callable[..., Any],
        *,
        outputs: int | Callable[[Any], int] = 1,
        absent: Callable[[Any], Sequence[str]] | None = None,
        inputs: Callable[[Any], Sequence[str]] | None = None,
    ) -> None:
        vars(self).update(vars(base))
        self.base, self.rule = base, rule
        self.name, self.aliases = f"{base.name}@{suffix}", ()
        self.__doc__ = inspect.getdoc(rule)
        self.__name__ = rule.__name__
        self.inputs = tuple(inspect.signature(rule).parameters)[1:]
        self.variadic, self.count = False, ""
        self.numpy = self.inputs[:1] != base.inputs[:1]
        named = () if inputs is not None else self.inputs
        self.params, self.aux = frozenset(named[named[:1] == base.inputs[:1] :]), ()
        self.init, self.role, self.infer_as = {}, {}, None
        self.shape_rule = self.dtype_rule = self.grad_rule = None
        self.needs_key = self.needs_train = self.needs_subgraphs = False
        self.sized, self._draws, self._inputs = None, None, inputs
        self._absent = absent or base._absent
        self._outputs, self._visible, self._output_names = outputs, None, None
        self.affine = self.idle = self.choose = None
        self.absorbs, self.strategies = {}, {}
        register_derived(self)

    def call(self, attrs: Any, inputs: Sequence[Any], **_: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Run the rule; see `Op.call`."""
        if self._inputs is None:
            outputs = self.rule(attrs, **dict(zip(self.input_names(attrs), inputs, strict=True)))
        else:
            outputs = self.rule(attrs, *inputs)
        return (tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)), ()


def namespace(array: Any) -> Any:
    """Return the module whose functions make arrays like this one: ``numpy`` or ``jax.numpy``."""
    return np if isinstance(array, (np.ndarray, np.generic)) else jnp


class Affine(NamedTuple):
    """What an operator is at inference: ``scale x + shift`` along one axis of its first input.

    Attributes:
        op: from all inputs but the first to ``(scale, shift)``, two vectors of the shape of the last input.
        apply: from the first input and these two to the result.
        axis: ``(attrs, rank) -> axis``.
    """

    op: Derived
    apply: Derived
    axis: Axis


class Folding(NamedTuple):
    """How an operator's parameters take in an affine map of its result's channels, or of its data's.

    Attributes:
        op: ``(weight, scale, shift[, bias]) -> (weight, bias)``.
        axis: ``(attrs, rank) -> axis`` of the channels; None where these attributes do not allow it.
        changes: attributes (as text) that go with the new parameters.
    """

    op: Derived
    axis: Callable[[Any, int], int | None]
    changes: dict[str, str]


class Strategy(NamedTuple):
    """Another lowering of equal meaning.

    Attributes:
        name: how `explain` and the autotuner call it.
        op: the operator that a node becomes; its weight is what `prepare` makes of the weight.
        prepare: ``weight -> prepared weight``, an operator of its own, so that it runs once where the weight is
            constant; None where the weight is used as it is. All its outputs take the weight's place.
        when: ``(attrs, specs, platform) -> bool``, whether it applies to inputs of these shapes and dtypes.
        trains: whether it may stand in a training graph.
    """

    name: str
    op: Derived
    prepare: Derived | None
    when: Callable[[Any, Sequence[Any], str], bool]
    trains: bool = True


def affine(operator: Op, axis: Axis) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Attach `Affine`: the decorated rule is ``(attrs, *all inputs but the first) -> (scale, shift)``."""

    def apply(a: Any, data: Any, scale: Any, shift: Any) -> Any:
        """Return ``scale data + shift``; a vector stands along the axis."""
        others = [i for i in range(data.ndim) if i != axis(a, data.ndim)]
        return data * jnp.expand_dims(scale, others) + jnp.expand_dims(shift, others)

    def attach(rule: Callable[..., Any]) -> Callable[..., Any]:
        made = Derived(operator, "affine", rule, outputs=2), Derived(operator, "apply", apply)
        made[0].shape_rule = lambda a, s: {"out": [s.get(made[0].inputs[-1])] * 2}
        made[1].shape_rule = lambda a, s: {"out": s.data}
        operator.affine = Affine(*made, axis)
        return rule

    return attach


def absorbs(
    operator: Op, where: Literal["after", "before"], axis: Callable[[Any, int], int | None], **changes: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Attach `Folding` of a map of the result (``"after"`` the operator) or of its data (``"before"`` it).

    The decorated rule is ``rule(attrs, weight, scale, shift, bias=None) -> (weight, bias)``.
    """

    def attach(rule: Callable[..., Any]) -> Callable[..., Any]:
        made = Derived(operator, where, rule, outputs=2)
        if where == "after":
            made.shape_rule = lambda a, s: {"out": [s.weight, s.shift]}
        operator.absorbs[where] = Folding(made, axis, changes)
        return rule

    return attach


def strategy(
    operator: Op,
    name: str,
    when: Callable[[Any, Sequence[Any], str], bool],
    *,
    prepare: Callable[[Any, Any], Any] | None = None,
    arrays: Callable[[Any], int] | None = None,
    trains: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Attach a `Strategy`; the decorated rule is ``rule(attrs, *inputs)`` with the prepared weight.

    Where `prepare` makes several arrays, `arrays` gives their number. No matrix product of it has a transposed right
    side (the fact ``arranged``).
    """

    def attach(rule: Callable[..., Any]) -> Callable[..., Any]:
        if name in operator.strategies:
            raise TypeError(f"operator {operator.name} has a strategy {name!r} already")

        def names(attrs: Any) -> list[str]:
            data, weight, *rest = operator.input_names(attrs)
            return [data, *(f"{weight}{i}" for i in range(arrays(attrs))), *rest]  # type: ignore[misc]

        made = None
        if prepare is not None:
            made = Derived(operator, f"{name}.weight", prepare, outputs=arrays or 1, absent=lambda a: ())
        run = Derived(operator, name, rule, inputs=None if arrays is None else names)
        operator.strategies[name] = Strategy(name, run, made, when, trains)
        operator.strategies[name].op.arranged = True
        return rule

    return attach
