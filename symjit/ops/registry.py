"""The operator registry: one declaration per operator, and the facts that inference and the passes read.

An operator is a pure JAX function. Its positional parameters are the tensor inputs, its keyword-only parameters are
the attributes; ``key``, ``train`` and ``subgraphs`` are reserved and injected. Everything else follows from the
declaration: ``mx.nd`` and ``mx.sym`` functions, JSON loading, inference, documentation and the test tables.
"""

from __future__ import annotations

import inspect
import typing
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Literal

import jax

from symjit.base import MXNetError, shown
from symjit.ops.attrs import AttrType, attr_type
from symjit.ops.shapes import Known, Rule, known

if typing.TYPE_CHECKING:
    from symjit.ops.derived import Affine, Folding, Strategy

__all__ = ["REQUIRED", "Attr", "Op", "get", "is_derived", "lookup", "names", "op", "ops", "register_derived"]

REQUIRED: Any = inspect.Parameter.empty

_RESERVED = ("key", "train", "subgraphs")

# Characters of an attribute's text: what is parsed at all, and what the cache of parsed attributes keeps.
_LONGEST_TEXT = 1 << 20
_LONGEST_REMEMBERED = 128

Cast = Literal["float32", "any", "low"]
Names = Sequence[str]
OnAttrs = Callable[[Any], Any]


class Attr(typing.NamedTuple):
    """One declared attribute: its name, type and default (`REQUIRED` when it has none)."""

    name: str
    type: AttrType
    default: Any


# Hundreds of operators are declared whenever symjit is imported, and few of their attributes' names and types differ.


@cache
def _attrs_class(names: tuple[str, ...]) -> Any:
    return namedtuple("Attrs", names)


class Op:
    """An operator: a function with typed attributes and the facts beside it.

    Attributes:
        name: the name stored in JSON; `aliases` resolve to it.
        inputs: names of the tensor inputs in order; ``()`` for a variadic operator.
        count: for a variadic operator, the attribute that holds the number of inputs.
        attrs: declared attributes by name.
        params: inputs that are learned parameters (deduced shapes, exempt from the batch axis).
        aux: inputs that are auxiliary states; the function then returns ``(outputs, new_aux)``.
        ignored: attributes that are accepted and have no effect here (``workspace``, ``cudnn_tune`` ...).
        init: the ``__init__`` attribute of inputs that MXNet gives one, as JSON text.
        role: what an input is for, ``{"label": "label"}``.
        cast: ``"low"`` gains from low precision, ``"any"`` tolerates it, ``"float32"`` needs full precision.
        rows: whether output row i depends on row i of the inputs alone; a bool or a function of the attributes.
        idle: ``attrs -> bool``, whether an inference forward returns the first input as it is.
        affine, absorbs, strategies: see `symjit.ops.derived`.
        choose: ``(attrs, specs, platform, train) -> name`` of the strategy that measurements favour, None for the
            default.
        channels_last: whether it is faster with the channels last, on platforms where that matters.
        arranged: whether no matrix product of it has a transposed right side.
        numpy: whether NumPy arrays give it NumPy arrays, without JAX; only where no gradient is asked for.
        pinned: ``attrs -> {input: number}``, parameters that count as a number whatever they hold; training writes it
            into them.
        vectors: inputs of rank 1 that stand along axis 1 of the data, in an operator of any layout.
        needs_key: whether the function takes a random key; `draws` tells when it looks at it.
        sized: for an operator without inputs whose users may decide its shape: ``(attrs, shape) -> attrs`` that give
            that shape; `is_open` tells when it is needed.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        aliases: Names,
        *,
        params: Names,
        aux: Names,
        absent: Callable[[Any], Names] | None,
        inputs: Callable[[Any], Names] | None,
        count: str,
        outputs: int | OnAttrs,
        visible: int | OnAttrs | None,
        output_names: Callable[[Any], Names] | None,
        ignored: Names,
        init: Mapping[str, str] | None,
        role: Mapping[str, str] | None,
        infer_as: Callable[[Any], tuple[str, dict[str, str]]] | None,
        cast: Cast,
        layout: Literal["opaque", "agnostic"],
        rows: bool | Callable[[Any], bool],
        draws: Callable[[Any, bool], bool] | None,
        sized: Callable[[Any, tuple[int, ...]], Any] | None,
    ) -> None:
        self.fn = fn
        self.name = name
        self.aliases = tuple(aliases)
        self.__doc__ = inspect.getdoc(fn)
        self.__name__ = fn.__name__
        self._read_signature(fn)
        self.count = count if self.variadic else ""
        self.params, self.aux = frozenset(params), tuple(aux)
        self._absent, self._inputs = absent, inputs
        self._outputs, self._visible, self._output_names = outputs, visible, output_names
        self.ignored = tuple(ignored)
        self.init = dict(init or {})
        self.role = dict(role or {})
        self.infer_as = infer_as
        self.cast = cast
        self._layout_rule: Callable[[Any, tuple[int, ...]], Mapping[str, Any] | None] | None = None
        self.layout_kind: str = layout
        self._rows = rows
        self._draws = draws
        self.sized = sized
        self.shape_rule: Rule | None = None
        self.dtype_rule: Rule | None = None
        self.grad_rule: Callable[..., Any] | None = None
        # What passes read beside the above; see `symjit.ops.derived` and the methods below.
        self.affine: Affine | None = None
        self.absorbs: dict[str, Folding] = {}
        self.strategies: dict[str, Strategy] = {}
        self.choose: Callable[[Any, Sequence[Any], str, bool], str | None] | None = None
        self.idle: OnAttrs | None = None
        self.channels_last = self.arranged = self.numpy = False
        self.vectors: tuple[str, ...] = ()
        self.pinned: Callable[[Any], Mapping[str, float]] | None = None
        unknown = [n for n in (*params, *aux, *self.init, *self.role) if not self.variadic and n not in self.inputs]
        if unknown:
            raise TypeError(f"operator {name}: {unknown} are not among its inputs {self.inputs}")
        if self.variadic and self.count not in self.attrs:
            raise TypeError(f"operator {name} takes *{self.inputs}: it needs the attribute {self.count!r}")
        self.parse = lru_cache(maxsize=4096)(self._parse)

    def _read_signature(self, fn: Callable[..., Any]) -> None:
        types = inspect.get_annotations(fn, eval_str=True)
        inputs: list[str] = []
        attrs: dict[str, Attr] = {}
        self.variadic = False
        self.optional_inputs: set[str] = set()
        reserved: set[str] = set()
        for parameter in inspect.signature(fn).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                self.variadic = True
            elif parameter.kind is not parameter.KEYWORD_ONLY:
                inputs.append(parameter.name)
                if parameter.default is not parameter.empty:
                    self.optional_inputs.add(parameter.name)
            elif parameter.name in _RESERVED:
                reserved.add(parameter.name)
            else:
                attrs[parameter.name] = Attr(parameter.name, attr_type(types[parameter.name]), parameter.default)
        self.inputs = tuple(inputs)
        self.attrs = attrs
        self.needs_key, self.needs_train = "key" in reserved, "train" in reserved
        self.needs_subgraphs = "subgraphs" in reserved
        self.dynamic = tuple(name for name, attr in attrs.items() if attr.type.dynamic)
        self.Attrs = _attrs_class(tuple(attrs))

    def __repr__(self) -> str:
        return f"<Op {self.name}>"

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        """Call the plain function; for operators built from one another."""
        return self.fn(*inputs, **attrs)

    # Rules -----------------------------------------------------------------------------------------------------------

    def shape(self, rule: Rule) -> Rule:
        """Attach the shape rule ``(attrs, known shapes) -> deductions``."""
        self.shape_rule = rule
        return rule

    def dtype(self, rule: Rule) -> Rule:
        """Attach the dtype rule ``(attrs, known dtypes) -> deductions``; without one all inputs have one dtype."""
        self.dtype_rule = rule
        return rule

    def grad(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Attach MXNet's own gradient.

        The rule is ``rule(attrs, heads, *, inputs, outputs)``; it names only those of ``inputs`` and ``outputs`` that
        it needs (they are kept between forward and backward) and returns one gradient per input, ``None`` for zero.
        """
        self._grad_needs = frozenset(inspect.signature(rule).parameters) & {"inputs", "outputs"}
        self.grad_rule = rule
        return rule

    def layout(self, rule: Callable[[Any, tuple[int, ...]], Mapping[str, Any] | None]) -> Callable[..., Any]:
        """Attach the layout rule ``(attrs, perm) -> attribute changes``.

        ``perm[i]`` is the logical axis that stands at position ``i``; the result makes the operator compute the same
        on data so permuted, ``None`` means that it can not.
        """
        self.layout_kind = "channel"
        self._layout_rule = rule
        return rule

    def relayout(self, attrs: Any, perm: tuple[int, ...]) -> Any:
        """Return the attributes for data permuted by `perm`, or None where the operator can not follow."""
        if self.layout_kind == "agnostic":
            return attrs
        if self._layout_rule is None:
            return None
        changes = self._layout_rule(attrs, perm)
        return None if changes is None else attrs._replace(**changes)

    # Facts that depend on the attributes -----------------------------------------------------------------------------

    def parse_attrs(self, raw: Mapping[str, Any], *, passing: bool = False) -> Any:
        """Return the typed attributes of Python values or JSON strings.

        Keys of the form ``__x__`` belong to the node, not to the operator, and are passed over. What was parsed is
        remembered; of what is `passing`, such as the nodes of a file that is being read, only little.

        Raises:
            MXNetError: an attribute is unknown, missing or out of range; the message names operator and attribute.
        """
        items = tuple((k, _hashable(v)) for k, v in raw.items() if not (k[:2] == "__" and k[-2:] == "__"))
        for _, value in items:
            if isinstance(value, str) and len(value) > _LONGEST_REMEMBERED:
                return self._parse(items)  # what `parse` remembers stays in memory, and a file may be full of such
        return _parse_passing(self, items) if passing else self.parse(items)

    def _parse(self, items: tuple[tuple[str, Any], ...]) -> Any:
        values: dict[str, Any] = {}
        for name, value in items:
            attr = self.attrs.get(name)
            if attr is None:
                if name in self.ignored:
                    continue
                valid = ", ".join([*self.attrs, *self.ignored]) or "none"
                raise MXNetError(
                    f"{self.name}: unknown attribute {shown(name)} = {shown(value)}; the valid ones are: {valid}"
                )
            try:
                if isinstance(value, str) and len(value) > _LONGEST_TEXT:
                    raise ValueError(f"expected at most {_LONGEST_TEXT} characters, got {len(value)}: {shown(value)}")
                values[name] = attr.type.parse(value)
            except ValueError as error:
                raise MXNetError(f"{self.name}: attribute {name!r}: {error}") from None
        for name, attr in self.attrs.items():
            if name not in values:
                if attr.default is REQUIRED:
                    raise MXNetError(f"{self.name}: the attribute {name!r} ({attr.type.doc}) is required and not given")
                values[name] = attr.default
        return self.Attrs(**values)

    def format_attrs(self, attrs: Any) -> dict[str, str]:
        """Return the attributes that differ from their defaults, as JSON strings."""
        return {
            name: attr.type.format(getattr(attrs, name))
            for name, attr in self.attrs.items()
            if getattr(attrs, name) != attr.default
        }

    def input_names(self, attrs: Any) -> tuple[str, ...]:
        """Return the names of the inputs that these attributes call for, auxiliary states included."""
        if self._inputs is not None:
            return tuple(self._inputs(attrs))
        if self.variadic:
            return tuple(f"arg{i}" for i in range(getattr(attrs, self.count)))
        if self._absent is None:
            return self.inputs
        absent = self._absent(attrs)
        return tuple(name for name in self.inputs if name not in absent)

    def num_outputs(self, attrs: Any) -> int:
        """Return the number of outputs, hidden ones included."""
        return self._outputs(attrs) if callable(self._outputs) else self._outputs

    def num_visible(self, attrs: Any) -> int:
        """Return the number of outputs that a user sees."""
        if self._visible is None:
            return self.num_outputs(attrs)
        return self._visible(attrs) if callable(self._visible) else self._visible

    def output_names(self, attrs: Any) -> tuple[str, ...]:
        """Return the name of every output: ``output``, or ``output0, output1 ...``, or the operator's own."""
        if self._output_names is not None:
            return tuple(self._output_names(attrs))
        total = self.num_outputs(attrs)
        return ("output",) if total == 1 else tuple(f"output{i}" for i in range(total))

    def draws(self, attrs: Any, train: bool) -> bool:
        """Return whether a forward draws random numbers, so that it must be given a key."""
        return self.needs_key and (self._draws is None or bool(self._draws(attrs, train)))

    def is_open(self, attrs: Any) -> bool:
        """Return whether these attributes leave the shape of the result, or a part of it, to its users."""
        if self.sized is None or self.shape_rule is None:
            return False
        return not known(self.shape_rule(attrs, Known())["out"])

    def keeps_rows(self, attrs: Any) -> bool:
        """Return whether output row i depends on row i of the batched inputs alone."""
        return bool(self._rows(attrs)) if callable(self._rows) else self._rows

    # Running it ------------------------------------------------------------------------------------------------------

    def call(
        self,
        attrs: Any,
        inputs: Sequence[Any],
        *,
        key: Any = None,
        train: bool = False,
        subgraphs: Sequence[Callable[..., Any]] = (),
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Run the operator on JAX arrays.

        Args:
            attrs: what `parse_attrs` returned; dynamic attributes may be traced values.
            inputs: the inputs of `input_names`, in that order.
            key: a JAX random key, where `draws` says so.
            train: whether this is a training forward.
            subgraphs: the callables of a control-flow operator.

        Returns:
            ``(outputs, new_aux)``, both tuples; `new_aux` follows `aux`.
        """
        present = self.input_names(attrs)
        if len(inputs) != len(present):
            raise MXNetError(f"{self.name}: expected {len(present)} inputs {present}, got {len(inputs)}")
        fn = self.fn
        reserved: dict[str, Any] = {}
        if self.needs_train:
            reserved["train"] = train
        if self.needs_subgraphs:
            reserved["subgraphs"] = subgraphs
        if self.grad_rule is not None:
            outputs = self._call_with_gradient(fn, attrs, inputs, key, reserved)
        else:
            if self.needs_key:
                reserved["key"] = key
            outputs = fn(*self._positional(present, inputs), **attrs._asdict(), **reserved)
        if self.aux:
            outputs, new_aux = outputs
        else:
            new_aux = ()
        return (tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)), tuple(new_aux)

    def _positional(self, present: tuple[str, ...], inputs: Sequence[Any]) -> Sequence[Any]:
        if self.variadic or present == self.inputs:
            return inputs
        given = dict(zip(present, inputs, strict=True))
        return [given.get(name) for name in self.inputs]

    def _call_with_gradient(
        self, fn: Callable[..., Any], attrs: Any, inputs: Sequence[Any], key: Any, reserved: dict[str, Any]
    ) -> Any:
        # Traced attribute values and the key are arguments of the custom rule: a closure over tracers would leak them.
        present = self.input_names(attrs)
        dynamic = {name: getattr(attrs, name) for name in self.dynamic}
        rule = typing.cast(Callable[..., Any], self.grad_rule)

        def primal(inputs: Any, dynamic: Any, key: Any) -> Any:
            extra = {"key": key} if self.needs_key else {}
            return fn(*self._positional(present, inputs), **{**attrs._asdict(), **dynamic}, **reserved, **extra)

        def forward(inputs: Any, dynamic: Any, key: Any) -> Any:
            outputs = primal(inputs, dynamic, key)
            kept = {"inputs": inputs, "outputs": outputs}
            return outputs, (dynamic, key, {name: kept[name] for name in self._grad_needs})

        def backward(residuals: Any, heads: Any) -> Any:
            dynamic, _, kept = residuals
            if "outputs" in kept and not isinstance(kept["outputs"], (tuple, list)):
                kept = {**kept, "outputs": (kept["outputs"],)}
            heads = tuple(heads) if isinstance(heads, (tuple, list)) else (heads,)
            grads = tuple(rule(attrs._replace(**dynamic), heads, **kept))
            return grads, None, None

        function = jax.custom_vjp(primal)
        function.defvjp(forward, backward)
        return function(tuple(inputs), dynamic, key)

    def signature_attrs(self) -> Iterator[Attr]:
        """Yield the attributes that a caller may set, in order: all but a variadic operator's count."""
        return (attr for attr in self.attrs.values() if attr.name != self.count)


@lru_cache(maxsize=1024)
def _parse_passing(operator: Op, items: tuple[tuple[str, Any], ...]) -> Any:
    return operator._parse(items)


_OPS: dict[str, Op] = {}
_PRIMARY: dict[str, Op] = {}
_DERIVED: dict[str, Op] = {}


def op(
    name: str,
    *aliases: str,
    params: Names = (),
    aux: Names = (),
    absent: Callable[[Any], Names] | None = None,
    inputs: Callable[[Any], Names] | None = None,
    count: str = "num_args",
    outputs: int | OnAttrs = 1,
    visible: int | OnAttrs | None = None,
    output_names: Callable[[Any], Names] | None = None,
    ignored: Names = (),
    init: Mapping[str, str] | None = None,
    role: Mapping[str, str] | None = None,
    infer_as: Callable[[Any], tuple[str, dict[str, str]]] | None = None,
    cast: Cast = "float32",
    layout: Literal["opaque", "agnostic"] = "opaque",
    rows: bool | Callable[[Any], bool] = False,
    draws: Callable[[Any, bool], bool] | None = None,
    sized: Callable[[Any, tuple[int, ...]], Any] | None = None,
) -> Callable[[Callable[..., Any]], Op]:
    """Declare an operator; the arguments are the facts that `Op` documents.

    Args:
        name: MXNet's primary name, the one its files hold.
        *aliases: further names of the same operator.
        params: inputs that are learned parameters.
        aux: inputs that are auxiliary states.
        absent: inputs that these attributes leave out.
        inputs: all input names, where they depend on the attributes otherwise.
        count: the attribute that counts the inputs of a variadic operator.
        outputs: number of outputs.
        visible: number of outputs that a user sees.
        output_names: names of the outputs.
        ignored: attributes without effect here.
        init: ``__init__`` text of inputs.
        role: what inputs are for.
        infer_as: for a loss head, ``attrs -> (operator, attributes)``: what it is at inference, with the data as input.
        cast: which precision it tolerates.
        layout: ``"agnostic"`` if any permutation of the axes commutes with it.
        rows: whether it treats the rows of a batch one by one.
        draws: ``(attrs, train)``, whether an operator that takes a key looks at it; always, if not given.
        sized: for an operator without inputs, ``(attrs, shape) -> attrs`` with the shape that its users decided put in.

    Raises:
        TypeError: a name is taken or a fact names an input that does not exist (at import time).
    """

    def declare(fn: Callable[..., Any]) -> Op:
        made = Op(
            fn,
            name,
            aliases,
            params=params,
            aux=aux,
            absent=absent,
            inputs=inputs,
            count=count,
            outputs=outputs,
            visible=visible,
            output_names=output_names,
            ignored=ignored,
            init=init,
            role=role,
            infer_as=infer_as,
            cast=cast,
            layout=layout,
            rows=rows,
            draws=draws,
            sized=sized,
        )
        for each in (name, *aliases):
            if each in _OPS:
                raise TypeError(f"the operator name {each!r} is registered twice")
            _OPS[each] = made
        _PRIMARY[name] = made
        return made

    return declare


def get(name: str) -> Op:
    """Return the operator of a name or alias.

    Raises:
        MXNetError: there is none.
    """
    found = _OPS.get(name)
    if found is None:
        raise MXNetError(f"unknown or unsupported operator {shown(name)}; see docs/operators.md for the supported ones")
    return found


def lookup(name: str) -> Op | None:
    """Return the operator of a name or alias, or None; of a derived one too."""
    return _OPS.get(name) or _DERIVED.get(name)


def is_derived(name: str) -> bool:
    """Return whether a name is that of an operator which passes alone put into graphs."""
    return name in _DERIVED


def register_derived(operator: Op) -> None:
    """Make an operator known to graphs alone (`symjit.ops.derived`): it is in no list of operators.

    Raises:
        TypeError: the name is taken (at import time).
    """
    if operator.name in _DERIVED:
        raise TypeError(f"the operator name {operator.name!r} is registered twice")
    _DERIVED[operator.name] = operator


def names() -> Iterable[str]:
    """Return every registered name, aliases included."""
    return _OPS.keys()


def ops() -> Iterable[Op]:
    """Return every operator once."""
    return _PRIMARY.values()


def known_inputs(operator: Op, attrs: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Known:
    """Return the view that a shape or dtype rule reads."""
    found = Known(zip(operator.input_names(attrs), inputs, strict=True)) if not operator.variadic else Known()
    found.args = list(inputs) if operator.variadic else []
    found.out = list(outputs)
    return found


def _hashable(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()  # a NumPy array or number
    return tuple(value) if isinstance(value, list) else value


table = partial(op, layout="agnostic", rows=True, cast="any")
"""`op` for elementwise operators: any layout, row by row, any precision."""
