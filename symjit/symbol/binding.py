"""From a symbol and arrays, or shapes, to an executor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symjit.base import MXNetError
from symjit.context import Context, current_context
from symjit.executor import Executor
from symjit.ir.graph import Entry, Graph
from symjit.ir.infer import Inference, infer
from symjit.ndarray import NDArray, zeros
from symjit.ops.shapes import known, show

if TYPE_CHECKING:
    from symjit.symbol.symbol import Symbol

__all__ = ["bind", "evaluate", "simple_bind"]

GradReq = str | Sequence[str] | Mapping[str, str]
_REQUESTS = ("null", "write", "add")
_STORAGE = ("default", "row_sparse", "csr", "undefined")


def bind(
    symbol: Symbol,
    ctx: Context,
    args: Any,
    args_grad: Any,
    grad_req: GradReq,
    aux_states: Any,
) -> Executor:
    """Return an executor on given arrays; see ``Symbol.bind``."""
    _check_context(ctx)
    names, states = symbol.list_arguments(), symbol.list_auxiliary_states()
    arguments = _arrays("args", args, names)
    grads: list[Any] = [None] * len(names) if args_grad is None else _arrays("args_grad", args_grad, names, True)
    aux = _arrays("aux_states", [] if aux_states is None else aux_states, states)
    for kind, listed, arrays in (("argument", names, arguments), ("gradient", names, grads), ("state", states, aux)):
        for name, array in zip(listed, arrays, strict=True):
            if array is not None and array.context.device != ctx.device:
                raise MXNetError(
                    f"bind: the {kind} {name!r} lies on {array.context}, the executor is to run on {ctx}:"
                    f" move it with as_in_context({ctx})"
                )
    requests = _requests(grad_req, names)
    program = symbol.program(ctx.device.platform)
    return Executor(symbol.graph, ctx, arguments, grads, requests, aux, program=program, symbol=symbol)


def simple_bind(
    symbol: Symbol,
    ctx: Context,
    grad_req: GradReq,
    type_dict: Mapping[str, Any] | None,
    stype_dict: Mapping[str, str] | None,
    shared_arg_names: Sequence[str] | None,
    shared_exec: Executor | None,
    shared_buffer: dict[str, NDArray] | None,
    shapes: Mapping[str, Any],
) -> Executor:
    """Return an executor on new arrays; see ``Symbol.simple_bind``."""
    _check_context(ctx)
    if shared_buffer is not None and not isinstance(shared_buffer, dict):
        raise ValueError("shared_buffer in simple_bind must be dict or None")
    for name, stype in (stype_dict or {}).items():
        if stype not in _STORAGE:
            raise MXNetError(f"simple_bind: stype_dict[{name!r}]: expected one of {_STORAGE}, got {stype!r}")
    for name, shape in shapes.items():
        if not isinstance(shape, (tuple, list)):
            raise TypeError(f"simple_bind: the shape of {name!r} must be a tuple, got {shape!r}")
    graph = symbol.graph
    requests = _requests(grad_req, symbol.list_arguments())
    found = infer(graph, {name: tuple(shape) for name, shape in shapes.items()}, type_dict)
    inputs = {node.name: found.shape(Entry(node)) for node in graph.variables}
    missing = [name for name, shape in inputs.items() if not known(shape)]
    if missing:
        listed = ", ".join(f"{name!r} {show(inputs[name])}" for name in missing)
        strange = [name for name in shapes if name not in inputs]
        raise MXNetError(
            f"simple_bind: these shapes can not be inferred from {dict(shapes) or 'nothing'}: {listed}. Give more of"
            f" them, such as {missing[0]}=(...)" + (f"; {strange} are no inputs of this symbol" if strange else "")
        )
    source = _Arrays(graph, ctx, found, shared_arg_names or (), shared_exec, shared_buffer)
    args = [source.argument(node.name, Entry(node)) for node in graph.arguments]
    grads = [
        None if request == "null" else source.gradient(node.name, Entry(node))
        for node, request in zip(graph.arguments, requests, strict=True)
    ]
    aux = [source.state(node.name, Entry(node)) for node in graph.aux_states]
    return Executor(graph, ctx, args, grads, requests, aux, program=symbol.program(ctx.device.platform), symbol=symbol)


def evaluate(symbol: Symbol, ctx: Context | None, args: Mapping[str, NDArray]) -> list[NDArray]:
    """Return the outputs for given arguments; see ``Symbol.eval``."""
    return bind(symbol, ctx or current_context(), args, None, "null", None).forward()


class _Arrays:
    """Where the arrays of an executor come from: another executor, a buffer of earlier arrays, or zeros."""

    def __init__(
        self,
        graph: Graph,
        ctx: Context,
        found: Inference,
        shared_names: Sequence[str],
        shared: Executor | None,
        buffer: dict[str, NDArray] | None,
    ) -> None:
        self.ctx, self.found, self.buffer = ctx, found, buffer
        self.shared_names = set(shared_names) if shared is not None else set()
        known = {node.name for node in graph.arguments}
        self.args = {} if shared is None else {k: v for k, v in shared.arg_dict.items() if k in known}
        self.grads = {} if shared is None else shared.grad_dict
        # As in MXNet, states go with the parameters: without shared_arg_names nothing is shared.
        self.aux = {} if shared is None or not self.shared_names else shared.aux_dict

    def argument(self, name: str, entry: Entry) -> NDArray:
        """Return the array of an argument."""
        if name in self.shared_names and name in self.args:
            return self._fitting("argument", name, entry, self.args[name])
        return self._buffered(name, entry)

    def gradient(self, name: str, entry: Entry) -> NDArray:
        """Return the array of an argument's gradient."""
        if name in self.shared_names:
            held = self.grads.get(name)
            return self._zeros(entry) if held is None else self._fitting("gradient", name, entry, held)
        return self._buffered(f"grad of {name}", entry)

    def state(self, name: str, entry: Entry) -> NDArray:
        """Return the array of an auxiliary state."""
        if name in self.aux:
            return self._fitting("auxiliary state", name, entry, self.aux[name])
        return self._zeros(entry)

    def _zeros(self, entry: Entry) -> NDArray:
        spec = self.found.spec(entry)
        return zeros(spec.shape, self.ctx, spec.dtype)

    def _fits(self, entry: Entry, array: NDArray) -> bool:
        spec = self.found.spec(entry)
        return array.shape == spec.shape and array.dtype == spec.dtype and array.context.device == self.ctx.device

    def _fitting(self, kind: str, name: str, entry: Entry, array: NDArray) -> NDArray:
        if not self._fits(entry, array):
            spec = self.found.spec(entry)
            raise MXNetError(
                f"simple_bind: the {kind} {name!r} can not be shared: {spec.shape} {spec.dtype.name} on {self.ctx} is"
                f" needed, shared_exec has {array.shape} {array.dtype.__name__} on {array.context}"
            )
        return array

    def _buffered(self, name: str, entry: Entry) -> NDArray:
        held = None if self.buffer is None else self.buffer.get(name)
        if held is not None and self._fits(entry, held):
            return held
        made = self._zeros(entry)
        if self.buffer is not None:
            self.buffer[name] = made
        return made


def _check_context(ctx: Any) -> None:
    if not isinstance(ctx, Context):
        raise TypeError(f"Context type error: expected a Context such as mx.cpu(), got {ctx!r}")


def _arrays(kind: str, given: Any, names: list[str], optional: bool = False) -> list[Any]:
    """Return arrays in the order of `names`, None in place of those that are not there if `optional`."""
    if isinstance(given, Mapping):
        if not optional:
            missing = [name for name in names if name not in given]
            if missing:
                raise ValueError(f"key `{missing[0]}` is missing in `{kind}`; it holds {sorted(given)}")
        arrays = [given.get(name) for name in names]
    elif isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                f"Length of {kind} does not match the number of arguments: expected {len(names)} for {names},"
                f" got {len(given)}"
            )
        arrays = list(given)
    else:
        raise TypeError(f"{kind}: Only accept list of NDArrays or dict of str to NDArray, got {type(given).__name__}")
    for name, array in zip(names, arrays, strict=True):
        if not (isinstance(array, NDArray) or (optional and array is None)):
            raise TypeError(
                f"{kind}: Only accept list of NDArrays or dict of str to NDArray: {name!r} is a {type(array).__name__}"
            )
    return arrays


def _requests(grad_req: GradReq, names: list[str]) -> list[str]:
    """Return what is to be done with the gradient of each argument."""
    if isinstance(grad_req, str):
        found = [grad_req] * len(names)
    elif isinstance(grad_req, Mapping):
        found = [grad_req.get(name, "null") for name in names]
    elif isinstance(grad_req, (list, tuple)):
        found = list(grad_req)
        if len(found) != len(names):
            raise ValueError(f"grad_req: expected {len(names)} items for the arguments {names}, got {len(found)}")
    else:
        raise TypeError(f"grad_req must be a string, a list or a dict, got {type(grad_req).__name__}")
    for request in (grad_req, *found) if isinstance(grad_req, str) else found:
        if request not in _REQUESTS:
            raise ValueError(f"grad_req must be in {_REQUESTS}, got {request!r}")
    return found
