"""Symbol: a tuple of heads of a graph. MXNet: ``mx.sym.Symbol``."""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from symjit import attribute
from symjit.base import MXNetError, dtype_flag, np_dtype
from symjit.context import Context
from symjit.executor import Executor
from symjit.ir import serialize
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.infer import Inference, infer
from symjit.ir.upgrade import attributes
from symjit.ndarray import NDArray
from symjit.ndarray.atomic import write_file
from symjit.ops import registry
from symjit.program import Program
from symjit.symbol import binding, compose
from symjit.symbol.operators import NotImplementedForSymbol, Operators

__all__ = ["Group", "Symbol", "Variable", "load", "load_json", "var"]

_STORAGE = {"undefined": -1, "default": 0, "row_sparse": 1, "csr": 2}

Shapes = tuple[list[tuple[int, ...]] | None, list[tuple[int, ...]] | None, list[tuple[int, ...]] | None]
Types = tuple[list[Any] | None, list[Any] | None, list[Any] | None]


class _Derived:
    """What has been derived from a symbol's nodes: good until some node is edited."""

    def __init__(self, heads: tuple[Entry, ...]) -> None:
        self.edits = _edits[0]
        self.graph = Graph(heads)
        self.output_names: list[str] | None = None
        self.programs: dict[str, Program] = {}


# Nodes are shared between symbols, so an edit of one may concern any symbol.
_edits = [0]


class Symbol(Operators):
    """A description of a computation: one or more outputs of a graph. Source: MXNet ``mx.sym.Symbol``.

    Symbols are made by `Variable`, by the functions of ``mx.sym``, by Python operators (which, unlike NDArray's, do not
    broadcast) and by `load`. They share nodes, which never change but through `_set_attr`.

    Deviations from MXNet: negative shapes and shapes by position are understood by `infer_shape`; a `__call__` that
    names a variable which occurs twice replaces both.
    """

    __slots__ = ("__weakref__", "_derived", "_heads")

    def __init__(self, heads: Sequence[Entry]) -> None:
        self._heads = tuple(heads)
        self._derived: _Derived | None = None

    @classmethod
    def of(cls, node: Node) -> Symbol:
        """Return the symbol of all visible outputs of a node."""
        return cls([Entry(node, i) for i in range(node.num_visible)])

    def _now(self) -> _Derived:
        derived = self._derived
        if derived is None or derived.edits != _edits[0]:
            derived = self._derived = _Derived(self._heads)
        return derived

    @property
    def graph(self) -> Graph:
        """The graph behind this symbol."""
        return self._now().graph

    def program(self, platform: str) -> Program:
        """Return the compiled functions, which all executors of this symbol on one platform share."""
        programs = self._now().programs
        if platform not in programs:
            programs[platform] = Program(self.graph, platform)
        return programs[platform]

    def entry(self, where: str) -> Entry:
        """Return the only output.

        Raises:
            MXNetError: there are several; the message begins with `where`.
        """
        if len(self._heads) != 1:
            raise MXNetError(f"{where} has {len(self._heads)} outputs, {self!r}: choose one, such as symbol[0]")
        return self._heads[0]

    def _node(self) -> Node | None:
        """Return the node of all outputs, None if they come from several, or if there is none."""
        nodes = {id(entry.node): entry.node for entry in self._heads}
        return next(iter(nodes.values())) if len(nodes) == 1 else None

    # What it is ------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self.name is None:
            return f"<Symbol group [{', '.join(entry.node.name for entry in self._heads)}]>"
        return f"<Symbol {self.name}>"

    @property
    def name(self) -> str | None:
        """The name; None for a group."""
        node = self._node()
        return None if node is None else node.name

    def __len__(self) -> int:
        return len(self._heads)

    def __iter__(self) -> Iterator[Symbol]:
        return (Symbol([entry]) for entry in self._heads)

    def __getitem__(self, index: int | str | slice) -> Symbol:
        """Return one output by number or by name, or several by a slice.

        Raises:
            IndexError: the number is too large.
            ValueError: no output has the name, or several have.
            TypeError: the slice holds none, or the index is of another type.
        """
        if isinstance(index, slice):
            return Group([Symbol([entry]) for entry in self._heads[index]])
        if isinstance(index, str):
            found = [i for i, each in enumerate(self._output_names()) if each == index]
            if len(found) != 1:
                problem = f'There are multiple outputs with name "{index}"' if found else None
                raise ValueError(problem or f'Cannot find output that matches name "{index}"')
            return Symbol([self._heads[found[0]]])
        try:
            number = operator.index(index)
        except TypeError:
            raise TypeError(f"Symbol only support integer index to fetch i-th output, got {index!r}") from None
        if number < 0:
            raise MXNetError(f"Symbol only accept nonnegative index, got {number}")
        if number >= len(self._heads):
            raise IndexError(f"index {number} is out of range: {self!r} has {len(self._heads)} outputs")
        return Symbol([self._heads[number]])

    def __copy__(self) -> Symbol:
        return Symbol(compose.duplicate(self._heads))

    def __deepcopy__(self, memo: Any) -> Symbol:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return load_json, (self.tojson(remove_amp_cast=False),)

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol("a Symbol has no truth value: it is computed later; compare with `is`, not ==")

    def __call__(self, *args: Symbol, name: str | None = None, **kwargs: Symbol) -> Symbol:
        """Return a copy of this symbol with other symbols in place of variables.

        Args:
            *args: not supported, as in MXNet: name the variables.
            name: new name of the (first) output's node.
            **kwargs: symbols of one output by the names of the variables that they replace.

        Raises:
            MXNetError: a variable does not exist or the symbol has several outputs.
            TypeError: a value is not a Symbol.
        """
        for value in (*args, *kwargs.values()):
            if not isinstance(value, Symbol):
                raise TypeError(f"Compose expect `Symbol` as arguments, got {value!r}")
        if args:
            raise MXNetError(f"{self!r}: name the variables to be replaced: symbol({self.list_inputs()[0]}=...)")
        entries = {key: value.entry(f"the argument {key!r}") for key, value in kwargs.items()}
        return Symbol(compose.substitute(self._heads, entries, name))

    # Attributes ------------------------------------------------------------------------------------------------------

    def attr(self, key: str) -> str | None:
        """Return an attribute as text, None if there is none or this is a group; ``name`` is the name."""
        node = self._node()
        if node is None:
            return None
        if key == "name":
            return node.name
        return node.attrs.get(key, node.attrs.get(f"__{key}__") if key in compose.HIDDEN else None)

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """Return the attributes of this symbol, without those of its inputs; none for a group.

        Raises:
            DeprecationWarning: `recursive`, as in MXNet; use `attr_dict`.
        """
        if recursive:
            raise DeprecationWarning("Symbol.list_attr with recursive=True has been deprecated. Use attr_dict instead.")
        node = self._node()
        return {} if node is None else _shown(node)

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """Return the attributes of all nodes that have any, by name."""
        found: dict[str, dict[str, str]] = {}
        for node in self.graph.nodes:
            if node.attrs:
                found.setdefault(node.name, {}).update(_shown(node))
        return found

    def _set_attr(self, **kwargs: str) -> None:
        """Set attributes of the node, for all symbols that share it; ``name`` renames it.

        Raises:
            ValueError: a value is not a string.
            MXNetError: this is a group, or the operator does not take the attribute; nothing is changed then.
        """
        for key, value in kwargs.items():
            if not isinstance(value, str):
                raise ValueError(f"Set Attr only accepts string values, got {key}={value!r}")
        node = self._node()
        if node is None:
            raise MXNetError(f"_set_attr: {self!r} is a group: set the attributes of one of its members")
        changes = {compose.stored_key(key): value for key, value in kwargs.items() if key != "name"}
        op = None if node.op is None else registry.lookup(node.op)
        if op is not None:
            try:
                attributes(op, {**node.attrs, **changes})
            except MXNetError as error:
                raise MXNetError(f"node {node.name!r}: {error}") from None
        node.edit(changes, kwargs.get("name"))
        _edits[0] += 1

    # Structure -------------------------------------------------------------------------------------------------------

    def _output_names(self) -> list[str]:
        derived = self._now()
        if derived.output_names is None:
            derived.output_names = derived.graph.output_names
        return derived.output_names

    def list_arguments(self) -> list[str]:
        """Return the names of the variables that are not auxiliary states, in depth-first order."""
        return [node.name for node in self.graph.arguments]

    def list_auxiliary_states(self) -> list[str]:
        """Return the names of the variables that operators update while training."""
        return [node.name for node in self.graph.aux_states]

    def list_inputs(self) -> list[str]:
        """Return the names of all variables."""
        return [node.name for node in self.graph.variables]

    def list_outputs(self) -> list[str]:
        """Return the names of the outputs, such as ``fc1_output``."""
        return list(self._output_names())

    def get_internals(self) -> Symbol:
        """Return the group of all outputs of all nodes; choose one by name, ``net.get_internals()["fc1_output"]``."""
        return Symbol(
            [Entry(node, i, compose.version(node)) for node in self.graph.nodes for i in range(node.num_visible)]
        )

    def get_children(self) -> Symbol | None:
        """Return the group of the inputs of this symbol's nodes, None if they have none."""
        nodes = {id(entry.node): entry.node for entry in self._heads}
        inputs = [entry for node in nodes.values() for entry in node.inputs]
        return Symbol(inputs) if inputs else None

    # Inference -------------------------------------------------------------------------------------------------------

    def infer_shape(self, *args: tuple[int, ...] | None, **kwargs: tuple[int, ...]) -> Shapes:
        """Infer the shapes of all arguments, outputs and auxiliary states.

        Args:
            *args: shapes in the order of `list_arguments`, None where not known.
            **kwargs: shapes by name. 0 is an unknown dimension, ``()`` an unknown shape.

        Returns:
            ``(arg_shapes, out_shapes, aux_shapes)``, three lists of tuples; ``(None, None, None)`` with a warning that
            names what is missing if some shape can not be inferred.

        Raises:
            MXNetError: shapes contradict each other; the message names operator, node, input and both shapes.
        """
        found = self._infer_shapes(args, kwargs)
        if all(0 not in shape and shape for shapes in found for shape in shapes):
            return found
        listed = zip(self.list_arguments(), found[0], strict=True)
        rows = [f"\t{each}: {shape}" for each, shape in listed if 0 in shape or not shape]
        # Where users alone could decide the shape of a result, no argument is to blame.
        rows = rows or [
            f"\t{each}: {shape} (an output)"
            for each, shape in zip(self.list_outputs(), found[1], strict=True)
            if 0 in shape or not shape
        ]
        warnings.warn(
            "Cannot decide shape for the following arguments (0s in shape means unknown dimensions)."
            " Consider providing them as input:\n" + "\n".join(rows),
            stacklevel=2,
        )
        return None, None, None

    def infer_shape_partial(self, *args: tuple[int, ...] | None, **kwargs: tuple[int, ...]) -> Shapes:
        """Infer what follows from the given shapes; see `infer_shape`. Unknown dimensions are 0, unknown shapes ()."""
        return self._infer_shapes(args, kwargs)

    def _infer_shapes(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[tuple[int, ...]]]:
        given = self._named("shapes", args, kwargs)
        for key, shape in given.items():
            if not isinstance(shape, tuple):
                raise TypeError(f"Arguments need to be shapes (tuple), but '{key}' is {type(shape)}.")
        shapes = {key: tuple(operator.index(dim) for dim in shape) for key, shape in given.items()}
        found = infer(self.graph, shapes)

        def listed(entries: Sequence[Entry]) -> list[tuple[int, ...]]:
            return [tuple(dim or 0 for dim in found.shape(entry) or ()) for entry in entries]

        return self._by_kind(listed)

    def infer_type(self, *args: Any, **kwargs: Any) -> Types:
        """Infer the dtypes of all arguments, outputs and auxiliary states.

        Args:
            *args: dtypes in the order of `list_arguments`, None where not known.
            **kwargs: dtypes by name.

        Returns:
            ``(arg_types, out_types, aux_types)``, three lists of NumPy types; ``(None, None, None)`` with a warning
            that names what is missing if some dtype can not be inferred.

        Raises:
            MXNetError: dtypes contradict each other.
        """
        found = self._infer_types(args, kwargs)
        if all(dtype is not None for dtypes in found for dtype in dtypes):
            return found
        missing = [n for n, dtype in zip(self.list_arguments(), found[0], strict=True) if dtype is None]
        warnings.warn(
            "Cannot decide type for the following arguments. Consider providing them as input:\n"
            + "\n".join(f"\t{each}: None" for each in missing),
            stacklevel=2,
        )
        return None, None, None

    def infer_type_partial(self, *args: Any, **kwargs: Any) -> Types:
        """Infer what follows from the dtypes given; see `infer_type`. Unknown dtypes are None."""
        return self._infer_types(args, kwargs)

    def _infer_types(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
        given = self._named("types", args, kwargs)
        dtypes = {key: np_dtype(value) for key, value in given.items()}
        found: Inference = infer(self.graph, dtypes=dtypes, default_dtype=None)

        def listed(entries: Sequence[Entry]) -> list[Any]:
            return [None if dtype is None else dtype.type for dtype in map(found.dtype, entries)]

        return self._by_kind(listed)

    def _by_kind(self, listed: Callable[[Sequence[Entry]], list[Any]]) -> tuple[list[Any], list[Any], list[Any]]:
        graph = self.graph
        arguments, states = [Entry(node) for node in graph.arguments], [Entry(node) for node in graph.aux_states]
        return listed(arguments), listed(graph.heads), listed(states)

    def _named(self, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return shapes or dtypes by name, from either way of giving them."""
        if not args:
            names = dict.fromkeys(self.list_inputs())
            for key in kwargs:
                if key not in names:
                    raise MXNetError(f"there is no argument {key!r}; the arguments are: {', '.join(names) or 'none'}")
            return {key: value for key, value in kwargs.items() if kind == "shapes" or value is not None}
        if kwargs:
            raise ValueError(f"Can only specify known argument {kind} either by positional or kwargs way.")
        names = self.list_arguments()
        if len(args) > len(names):
            raise MXNetError(f"{len(args)} {kind} given by position, but there are {len(names)} arguments: {names}")
        return {key: value for key, value in zip(names, args, strict=False) if value is not None}

    # Files -----------------------------------------------------------------------------------------------------------

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """Return the JSON text that MXNet 1.9.1 writes for this symbol.

        Args:
            remove_amp_cast: leave out the casts that automatic mixed precision put in.
        """
        return serialize.dumps(self.graph, remove_amp_cast=remove_amp_cast)

    def save(self, fname: str | os.PathLike[str], remove_amp_cast: bool = True) -> None:
        """Write the JSON to a file, which is replaced in one step.

        Raises:
            TypeError: `fname` is not a path.
            MXNetError: the file can not be written.
        """
        if not isinstance(fname, (str, os.PathLike)):
            raise TypeError(f"fname need to be string, got {fname!r}")
        write_file(fname, [self.tojson(remove_amp_cast).encode()])

    def debug_str(self) -> str:
        """Return a listing of all nodes with inputs and attributes, as MXNet prints it."""
        if len(self._heads) == 1 and self._heads[0].node.op is None:
            return f"Variable:{self.name}\n"
        rows = ["Symbol Outputs:"]
        rows += [f"\toutput[{i}]={e.node.name}({e.index})" for i, e in enumerate(self._heads)]
        for node in self.graph.nodes:
            if node.op is None:
                rows.append(f"Variable:{node.name}")
                continue
            rows += ["-" * 20, f"Op:{node.op}, Name={node.name}", "Inputs:"]
            for i, entry in enumerate(node.inputs):
                note = f" version={entry.version}" if entry.node.op is None else ""
                rows.append(f"\targ[{i}]={entry.node.name}({entry.index}){note}")
            if node.attrs:
                rows += ["Attrs:", *(f"\t{key}={node.attrs[key]}" for key in sorted(node.attrs))]
            if node.control_deps:
                rows += ["Control deps:", *(f"\tcdep[{i}]={d.name}" for i, d in enumerate(node.control_deps))]
        return "\n".join(rows) + "\n"

    # Running ---------------------------------------------------------------------------------------------------------

    def bind(
        self,
        ctx: Context,
        args: Sequence[NDArray] | Mapping[str, NDArray],
        args_grad: Sequence[NDArray | None] | Mapping[str, NDArray] | None = None,
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
        aux_states: Sequence[NDArray] | Mapping[str, NDArray] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_exec: Executor | None = None,
    ) -> Executor:
        """Return an executor on given arrays.

        Args:
            ctx: the device.
            args: the arguments, in the order of `list_arguments` or by name (further names are passed over).
            args_grad: where gradients are written, likewise; an argument without one gets no gradient.
            grad_req: ``"write"``, ``"add"`` or ``"null"``, for all or one by one; by name, the rest is ``"null"``.
            aux_states: the auxiliary states, in the order of `list_auxiliary_states` or by name.
            group2ctx: accepted; everything runs on `ctx`, with the same results.
            shared_exec: accepted; executors of one symbol share their compiled program anyway.

        Raises:
            ValueError: an array is missing, or the number of arrays differs.
            TypeError: `ctx` is not a Context, or an array not an NDArray.
            MXNetError: shapes, dtypes or devices do not fit.
        """
        return binding.bind(self, ctx, args, args_grad, grad_req, aux_states)

    def simple_bind(
        self,
        ctx: Context,
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
        type_dict: Mapping[str, Any] | None = None,
        stype_dict: Mapping[str, str] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_arg_names: Sequence[str] | None = None,
        shared_exec: Executor | None = None,
        shared_buffer: dict[str, NDArray] | None = None,
        **kwargs: tuple[int, ...],
    ) -> Executor:
        """Return an executor on new arrays of zeros, whose shapes and dtypes are inferred.

        Args:
            ctx: the device.
            grad_req: see `bind`.
            type_dict: dtypes by name; what does not follow from them is float32.
            stype_dict: storage types by name; all arrays are dense here, which changes no result.
            group2ctx: see `bind`.
            shared_arg_names: arguments to be shared, with their gradients and all auxiliary states, with `shared_exec`.
            shared_exec: the executor to share with.
            shared_buffer: arrays of earlier executors by name, which are taken again where shape and dtype are equal;
                those made now are added.
            **kwargs: shapes of inputs by name; other names are passed over.

        Raises:
            MXNetError: shapes or dtypes contradict each other or do not suffice, or a shared array does not fit.
        """
        return binding.simple_bind(
            self, ctx, grad_req, type_dict, stype_dict, shared_arg_names, shared_exec, shared_buffer, kwargs
        )

    def eval(self, ctx: Context | None = None, **kwargs: NDArray) -> list[NDArray]:
        """Compute the outputs for given arguments. Source: MXNet ``Symbol.eval``, whose name it has to have.

        It binds and runs the graph; nothing to do with Python's ``eval``.

        Args:
            ctx: the device; the current context if None.
            **kwargs: the arguments by name.
        """
        return binding.evaluate(self, ctx, kwargs)


def Variable(
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Sequence[int] | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: Any,
) -> Symbol:
    """Return a symbol that stands for an array given later. Source: MXNet ``mx.sym.Variable``.

    Args:
        name: the name.
        attr: attributes, as strings.
        shape: the shape, 0 where unknown, for inference to start from.
        lr_mult: factor of the learning rate.
        wd_mult: factor of the weight decay.
        dtype: the dtype.
        init: the initializer, an object with ``dumps()`` or its text.
        stype: the storage type.
        **kwargs: further attributes, named ``__like_this__``.

    Raises:
        TypeError: the name is not a string.
        ValueError: an attribute is not a string, or its name is not of the form above.
    """
    if not isinstance(name, str):
        raise TypeError(f"Expect a string for variable `name`, got {name!r}")
    attrs: dict[str, Any] = dict(attribute.current().get(attr))
    for key, value in attrs.items():
        if not isinstance(value, str):
            raise ValueError(f"Set Attr only accepts string values, got {key}={value!r}")
    given = {"__shape__": shape, "__lr_mult__": lr_mult, "__wd_mult__": wd_mult}
    given["__dtype__"] = None if dtype is None else dtype_flag(dtype)
    given["__init__"] = init if init is None or isinstance(init, str) else init.dumps()
    if stype is not None:
        if stype not in _STORAGE:
            raise ValueError(f"stype: expected one of {', '.join(_STORAGE)}, got {stype!r}")
        given["__storage_type__"] = _STORAGE[stype]
    attrs.update((key, value) for key, value in given.items() if value is not None)
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise ValueError(
                f"Attribute name={key} is not supported. Additional attributes must start and end with double"
                " underscores, e.g, __yourattr__"
            )
        attrs[key] = value
    return Symbol(
        [Entry(Node(None, name, {compose.stored_key(k): compose.attribute_text(k, v) for k, v in attrs.items()}))]
    )


var = Variable


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """Return one symbol with the outputs of several.

    Raises:
        TypeError: there is none, or one of them is not a Symbol.
    """
    if isinstance(symbols, Symbol) or not isinstance(symbols, Sequence) or not symbols:
        raise TypeError(f"Expected a list of symbols as input, got {symbols!r}")
    if not all(isinstance(each, Symbol) for each in symbols):
        raise TypeError(f"Expected a list of symbols as input, got {list(symbols)!r}")
    return Symbol([entry for each in symbols for entry in each._heads])


def load(fname: str | os.PathLike[str]) -> Symbol:
    """Load a symbol from a JSON file that any version of MXNet wrote.

    Raises:
        TypeError: `fname` is not a path.
        MXNetError: it can not be read or is not a symbol; the message names the file and the place.
    """
    if not isinstance(fname, (str, os.PathLike)):
        raise TypeError(f"fname need to be string, got {fname!r}")
    return Symbol(serialize.load(fname).graph.heads)


def load_json(json_str: str) -> Symbol:
    """Load a symbol from JSON text; see `load`.

    Raises:
        TypeError: `json_str` is not text.
        MXNetError: it is not a symbol.
    """
    if not isinstance(json_str, str):
        raise TypeError(f"json_str required to be string, got {type(json_str).__name__}")
    return Symbol(serialize.loads(json_str).graph.heads)


def _shown(node: Node) -> dict[str, str]:
    """Return a node's attributes, those of `HIDDEN` under both names."""
    shown = dict(node.attrs)
    shown.update((key, shown[f"__{key}__"]) for key in compose.HIDDEN if f"__{key}__" in shown)
    return shown
