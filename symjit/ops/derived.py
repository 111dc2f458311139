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
        outputs: number of outputs.
        absent: inputs that these attributes leave out; by default those that `base` leaves out.

    A rule that takes parameters alone has the fact ``numpy``: it prepares parameters, and takes its functions from
    `namespace`.
    """

    def __init__(
        self,
        base: Op,
        suffix: str,
        rule: Callable[..., Any],
        *,
        outputs: int = 1,
        absent: Callable[[Any], Sequence[str]] | None = None,
    ) -> None:
        vars(self).update(vars(base))
        self.base, self.rule = base, rule
        self.name, self.aliases = f"{base.name}@{suffix}", ()
        self.__doc__ = inspect.getdoc(rule)
        self.__name__ = rule.__name__
        self.inputs = tuple(inspect.signature(rule).parameters)[1:]
        self.variadic, self.count = False, ""
        self.params, self.aux = frozenset(self.inputs[self.inputs[:1] == base.inputs[:1] :]), ()
        self.numpy = self.inputs[:1] != base.inputs[:1]
        self.init, self.role, self.infer_as = {}, {}, None
        self.shape_rule = self.dtype_rule = self.grad_rule = None
        self.needs_key = self.needs_train = self.needs_subgraphs = False
        self.sized, self._draws, self._inputs = None, None, None
        self._absent = absent or base._absent
        self._outputs, self._visible, self._output_names = outputs, None, None
        self.affine = self.idle = self.choose = None
        self.absorbs, self.strategies = {}, {}
        register_derived(self)

    def call(self, attrs: Any, inputs: Sequence[Any], **_: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Run the rule; see `Op.call`."""
        given = dict(zip(self.input_names(attrs), inputs, strict=True))
        outputs = self.rule(attrs, **given)
        return (tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)), ()

    def input_names(self, attrs: Any) -> tuple[str, ...]:
        """Return the names of the inputs that these attributes call for."""
        absent = self._absent(attrs) if self._absent is not None else ()
        return tuple(name for name in self.inputs if name not in absent)


def namespace(array: Any) -> Any:
    """Return the module whose functions make arrays like this one: ``numpy`` or ``jax.numpy``."""
    return np if isinstance(array, (np.ndarray, np.generic)) else jnp


class Affine(NamedTuple):
    """What an operator is at inference: ``scale x + shift`` along one axis of its first input.

    Attributes:
        op: from all inputs but the first to ``(scale, shift)``, two vectors.
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
            constant; None where the weight is used as it is.
        when: ``(attrs, specs, platform) -> bool``, whether it applies to inputs of these shapes and dtypes.
    """

    name: str
    op: Derived
    prepare: Derived | None
    when: Callable[[Any, Sequence[Any], str], bool]


def affine(operator: Op, axis: Axis) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Attach `Affine`: the decorated rule is ``(attrs, *all inputs but the first) -> (scale, shift)``."""

    def apply(a: Any, data: Any, scale: Any, shift: Any) -> Any:
        """Return ``scale data + shift``; a vector stands along the axis."""
        others = [i for i in range(data.ndim) if i != axis(a, data.ndim)]
        return data * jnp.expand_dims(scale, others) + jnp.expand_dims(shift, others)

    def attach(rule: Callable[..., Any]) -> Callable[..., Any]:
        made = Derived(operator, "affine", rule, outputs=2), Derived(operator, "apply", apply)
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
        operator.absorbs[where] = Folding(Derived(operator, where, rule, outputs=2), axis, changes)
        return rule

    return attach


def strategy(
    operator: Op,
    name: str,
    when: Callable[[Any, Sequence[Any], str], bool],
    *,
    prepare: Callable[[Any, Any], Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Attach a `Strategy`; the decorated rule is ``rule(attrs, *inputs)`` with the prepared weight.

    No matrix product of it has a transposed right side (the fact ``arranged``).
    """

    def attach(rule: Callable[..., Any]) -> Callable[..., Any]:
        if name in operator.strategies:
            raise TypeError(f"operator {operator.name} has a strategy {name!r} already")
        made = None if prepare is None else Derived(operator, f"{name}.weight", prepare, absent=lambda a: ())
        operator.strategies[name] = Strategy(name, Derived(operator, name, rule), made, when)
        operator.strategies[name].op.arranged = True
        return rule

    return attach
