"""Executor: a graph bound to arrays, compiled forward and backward.

A `symjit.program.Program` holds the compiled functions of one graph; executors of the same graph (after
`Executor.reshape`) share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, lru_cache
from typing import Any

import jax
import numpy as np

from symjit import random
from symjit.base import MXNetError
from symjit.context import Context
from symjit.ir.graph import Graph
from symjit.ir.infer import infer
from symjit.ndarray import NDArray, zeros
from symjit.ndarray.array import Bound, wrap
from symjit.ops.shapes import prod
from symjit.program import Prediction, Program, Residuals, is_inexact, live_heads, no_losses, pull_back

__all__ = ["Executor", "check_parameter"]

_GRAD_REQS = ("write", "add", "null")


class Executor:
    """A graph bound to argument, gradient and auxiliary arrays. Source: MXNet ``mx.executor.Executor``.

    Made by ``Symbol.bind`` and ``Symbol.simple_bind``. The first forward of each mode compiles; later ones with the
    same shapes do not.

    Attributes:
        arg_arrays: the arguments, in the order of ``list_arguments``.
        grad_arrays: their gradients, None where none is computed.
        aux_arrays: the auxiliary states.
    """

    def __init__(
        self,
        graph: Graph,
        ctx: Context,
        args: Sequence[NDArray],
        grads: Sequence[NDArray | None],
        grad_reqs: Sequence[str],
        aux: Sequence[NDArray],
        *,
        program: Program | None = None,
        symbol: Any = None,
    ) -> None:
        """Bind `graph`; see ``Symbol.bind`` for the arguments.

        Raises:
            MXNetError: shapes, dtypes or devices do not fit, or an operator is not supported.
        """
        self._program = program or Program(graph, ctx.device.platform)
        self._graph, self._ctx, self._symbol = graph, ctx, symbol
        self._arg_names, self._aux_names = self._program.lowered.arguments, self._program.lowered.aux_states
        self.arg_arrays, self.aux_arrays = list(args), list(aux)
        for request in grad_reqs:
            if request not in _GRAD_REQS:
                raise MXNetError(f"grad_req: expected one of {_GRAD_REQS}, got {request!r}")
        self.grad_arrays: list[NDArray | None] = [
            g if request != "null" else None for g, request in zip(grads, grad_reqs, strict=True)
        ]
        self._grad_reqs = [r if g is not None else "null" for r, g in zip(grad_reqs, self.grad_arrays, strict=True)]
        # Whole numbers have no gradient: the array for it is filled with zeros.
        asked = [i for i, r in enumerate(self._grad_reqs) if r != "null"]
        self._wanted = tuple(i for i in asked if is_inexact(self.arg_arrays[i]))
        self._zeroed = [self.grad_arrays[i] for i in asked if i not in self._wanted and self._grad_reqs[i] == "write"]
        self._adding = tuple(k for k, i in enumerate(self._wanted) if self._grad_reqs[i] == "add")
        self._arg_cells = [x._cell for x in self.arg_arrays]
        self._bound_args, self._bound_aux = Bound(self._arg_cells), Bound([x._cell for x in self.aux_arrays])
        self._draws = {train: self._program.lowered.draws(train) for train in (False, True)}
        # Arrays carry their device along; a graph without any has to be told.
        self._place: AbstractContextManager[Any] | None = nullcontext() if args or aux else None
        self._has_views = any(x._shape is not None for x in (*self.arg_arrays, *self.aux_arrays))
        self._check_names()
        self._check_arrays()
        self._outputs: list[NDArray] | None = None
        self._pending: Any = None
        self._prediction: _Predicting | None = None
        # Shared with the executors that `reshape` makes: who looks at one looks at these too.
        self._watch: list[tuple[Callable[[str, NDArray], Any], bool] | None] = [None]
        self._monitored: tuple[Any, ...] | None = None

    def _check_names(self) -> None:
        seen = Counter([*self._arg_names, *self._aux_names])
        repeated = sorted(name for name, count in seen.items() if count > 1)
        if repeated:
            raise MXNetError(f"arguments must have unique names; these are repeated: {repeated}")

    def _check_arrays(self) -> None:
        named = {**dict(zip(self._arg_names, self.arg_arrays, strict=True)), **self.aux_dict}
        self._inference = infer(
            self._graph,
            {name: x.shape for name, x in named.items()},
            {name: x.dtype for name, x in named.items()},
        )
        for name, grad, arg in zip(self._arg_names, self.grad_arrays, self.arg_arrays, strict=True):
            if grad is not None and grad.shape != arg.shape:
                raise MXNetError(f"the gradient of {name!r} has shape {grad.shape}, its argument {arg.shape}")
        missing = self._inference.missing()
        if missing:
            raise MXNetError(
                f"the shapes of {missing} can not be inferred from the bound arrays: give shape= to the operators that"
                " make arrays from attributes alone"
            )

    @cached_property
    def own_products(self) -> bool:
        """Whether XLA's own matrix products are the faster ones in training on the bound shapes (CPU)."""
        return self._program.suits_own_products(self._inference)

    # Access ----------------------------------------------------------------------------------------------------------

    @property
    def arg_dict(self) -> dict[str, NDArray]:
        """The arguments by name."""
        return dict(zip(self._arg_names, self.arg_arrays, strict=True))

    @property
    def grad_dict(self) -> dict[str, NDArray | None]:
        """The gradients by argument name."""
        return dict(zip(self._arg_names, self.grad_arrays, strict=True))

    @property
    def aux_dict(self) -> dict[str, NDArray]:
        """The auxiliary states by name."""
        return dict(zip(self._aux_names, self.aux_arrays, strict=True))

    @property
    def output_dict(self) -> dict[str, NDArray]:
        """The outputs by name.

        Raises:
            ValueError: two outputs have one name.
        """
        names = self._graph.output_names
        if len(set(names)) != len(names):
            raise ValueError(f"output names are not unique: {names}")
        return dict(zip(names, self.outputs, strict=True))

    @property
    def outputs(self) -> list[NDArray]:
        """The outputs of the last forward; zeros before the first. Every forward writes into the same arrays."""
        if self._outputs is None:
            specs = [self._inference.spec(entry) for entry in self._graph.heads]
            self._outputs = [zeros(spec.shape, self._ctx, spec.dtype) for spec in specs]
        return self._outputs

    @property
    def program(self) -> Program:
        """The compiled functions."""
        return self._program

    # Running ---------------------------------------------------------------------------------------------------------

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[NDArray]:
        """Compute the outputs.

        Args:
            is_train: run in training mode and keep what `backward` needs; auxiliary states are updated now.
            **kwargs: new values of arguments, NDArrays or NumPy arrays of the bound shapes.

        Returns:
            `outputs`.

        Raises:
            TypeError: a name is not an argument's.
            ValueError: a value is no array, or its shape differs from the bound one.
        """
        if kwargs:
            self._feed(kwargs)
        program = self._program
        # What the last training forward kept would otherwise stay until this one has made its own.
        self._pending = self._monitored = None
        if self._has_views:
            args, aux = [x.data for x in self.arg_arrays], [x.data for x in self.aux_arrays]
        else:
            args, aux = self._bound_args.values, self._bound_aux.values
        key = random.next_key(self._ctx) if self._draws[bool(is_train)] else None
        if self._monitor is not None:
            self._show_monitor(is_train, args, aux, key)
        with jax.enable_x64(True), self._place or jax.default_device(self._ctx.device):
            if not is_train:
                if self._prediction is None:
                    self._prediction = _Predicting(self._program, self.arg_dict, self.aux_dict)
                results = self._prediction([*args, *aux], key)
            elif not self._wanted:
                self._forget()
                results, new_aux = program.train(args, aux, key)
                self._commit(new_aux, shared=False)
            else:
                self._forget()
                results, new_aux, residuals = program.forward_residuals(self._wanted, self.own_products)(args, aux, key)
                self._pending = residuals, (*args, *aux, *results, *new_aux)
                if self._monitor is not None:
                    self._monitored = [*args], [*aux], key
                # The references above outlive this call, so nobody may give these buffers away meanwhile.
                for cell in self._arg_cells:
                    cell.shared = True
                self._commit(new_aux, shared=True)
        return self._put_outputs(results, shared=is_train)

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """Compute the gradients of the last ``forward(is_train=True)`` into `grad_arrays`.

        Args:
            out_grads: gradient of each output, an NDArray, a list or a dict by output name; may be left out where
                every output is a loss, whose gradient does not depend on it. For an output that stands among the
                heads more than once the last gradient alone counts, as in MXNet.
            is_train: accepted for compatibility.

        Raises:
            MXNetError: there was no training forward, or a head gradient is needed and not given.
        """
        for array in self._zeroed:
            array[:] = 0  # type: ignore[index]
        if not self._wanted:
            return
        if self._pending is None:
            raise MXNetError("backward: the last forward must have been forward(is_train=True)")
        residuals, referenced = self._pending
        with jax.enable_x64(True):
            heads = self._heads(out_grads, residuals, referenced)
            targets = [self.grad_arrays[i] for i in self._wanted]
            sums = [targets[k].data for k in self._adding]  # type: ignore[union-attr]
            grads = self._program.backward(self._adding)(residuals, referenced, heads, sums)
            if self._monitor is not None and self._monitored is not None:
                run, names = self._program.gradient_taps(self._wanted)
                self._show(names, run(*self._monitored, heads))
        for target, value in zip(targets, grads, strict=True):
            target.assign(value, owned=True)  # type: ignore[union-attr]

    def _put_outputs(self, results: Sequence[Any], *, shared: bool) -> list[NDArray]:
        if self._outputs is None:
            self._outputs = [wrap(x, self._ctx, shared=shared) for x in results]
        else:
            for held, value in zip(self._outputs, results, strict=True):
                held._cell.put(value, shared=shared)
        return self._outputs

    # A step that somebody else compiles -------------------------------------------------------------------------------

    @property
    def wanted(self) -> tuple[int, ...]:
        """Positions of the arguments whose gradients `backward` computes."""
        return self._wanted

    @property
    def adds(self) -> bool:
        """Whether some gradient is added to what is in its array."""
        return bool(self._adding)

    @property
    def draws(self) -> bool:
        """Whether a training forward draws random numbers."""
        return self._draws[True]

    def release(self) -> None:
        """Drop what forwards have kept, so that nothing here refers to the bound arrays' values but their cells."""
        self._pending = None
        self._forget()

    def take(self, outputs: Sequence[Any], new_aux: Sequence[Any], grads: Sequence[Any] | None) -> None:
        """Take over what a step has computed elsewhere from the bound arrays, as `forward` and `backward` leave it.

        Args:
            outputs: the outputs.
            new_aux: the auxiliary states.
            grads: the gradients at `wanted`; None leaves them as they are.
        """
        self._put_outputs(outputs, shared=False)
        self._commit(new_aux, shared=False)
        if grads is not None:
            for array in self._zeroed:
                array[:] = 0  # type: ignore[index]
            for position, value in zip(self._wanted, grads, strict=True):
                self.grad_arrays[position].assign(value, owned=True)  # type: ignore[union-attr]

    def _forget(self) -> None:
        # In training the parameters change before they are prepared for inference again.
        if self._prediction is not None:
            self._prediction.forget()

    def _results(self, referenced: Sequence[Any]) -> Sequence[Any]:
        """Return the outputs of the forward among what its residuals refer to."""
        start = len(self.arg_arrays) + len(self.aux_arrays)
        return referenced[start : start + len(self._graph.heads)]

    def _heads(self, out_grads: Any, residuals: Residuals, referenced: Sequence[Any]) -> list[Any]:
        results = self._results(referenced)
        if out_grads is None:
            needed = self._needed_heads(residuals, referenced)
            if needed:
                raise MXNetError(no_losses(needed))
            return [_zeros_like(x) for x in results]
        if isinstance(out_grads, Mapping):
            missing = [name for name in self._graph.output_names if name not in out_grads]
            if missing:
                raise KeyError(f"backward: out_grads has no {missing[0]!r}; it holds {sorted(out_grads)}")
            out_grads = [out_grads[name] for name in self._graph.output_names]
        given = [out_grads] if isinstance(out_grads, NDArray) else list(out_grads)
        if len(given) != len(results):
            raise MXNetError(f"backward: {len(results)} outputs, but {len(given)} head gradients")
        for name, head, output in zip(self._graph.output_names, given, results, strict=True):
            if not isinstance(head, NDArray):
                raise TypeError(f"backward: the head gradient of {name!r} is a {type(head).__name__}, not an NDArray")
            if head.shape != output.shape:
                raise MXNetError(f"backward: the head gradient of {name!r} has shape {head.shape}, not {output.shape}")
        return [
            head.data if head.data.dtype == output.dtype else head.astype(output.dtype).data
            for head, output in zip(given, results, strict=True)
        ]

    def _needed_heads(self, residuals: Residuals, referenced: Sequence[Any]) -> list[str]:
        """Return the outputs whose head gradient some gradient depends on."""
        if not hasattr(self, "_head_needs"):
            results = self._results(referenced)

            def pull(heads: Any) -> Any:
                return pull_back(residuals, referenced, heads)

            self._head_needs = live_heads(pull, results, self._graph.output_names)
        return self._head_needs

    def _commit(self, new_aux: Sequence[Any], *, shared: bool) -> None:
        for state, value in zip(self.aux_arrays, new_aux, strict=True):
            if state._shape is None:
                state._cell.put(value, shared=shared)
            else:
                state.assign(value, owned=not shared)

    def _feed(self, values: Mapping[str, Any]) -> None:
        held = self.arg_dict
        for name, value in values.items():
            if name not in held:
                raise TypeError(f"forward: unknown argument {name!r}; the arguments are {self._arg_names}")
            if not isinstance(value, (NDArray, np.ndarray)):
                raise ValueError(f"forward: {name!r} must be an NDArray or a NumPy array, not {type(value).__name__}")
            if value.shape != held[name].shape:
                raise ValueError(
                    f"Shape not match! Argument {name}, need: {held[name].shape}, received: {value.shape};"
                    " use reshape() for other shapes"
                )
            held[name].assign(value)

    # Parameters, shapes, monitoring ----------------------------------------------------------------------------------

    def copy_params_from(
        self,
        arg_params: Mapping[str, NDArray],
        aux_params: Mapping[str, NDArray] | None = None,
        allow_extra_params: bool = False,
    ) -> None:
        """Write parameters into the bound arrays, converting their dtype; all of them, or none after an error.

        Raises:
            ValueError: a name is not bound (unless `allow_extra_params`).
            TypeError: a parameter is no NDArray.
            MXNetError: a shape differs.
        """
        fitting: list[tuple[NDArray, NDArray]] = []
        for given, held, kind in ((arg_params, self.arg_dict, "arguments"), (aux_params or {}, self.aux_dict, "aux")):
            for name, value in given.items():
                if name in held:
                    check_parameter(name, value, held[name])
                    fitting.append((value, held[name]))
                elif not allow_extra_params:
                    raise ValueError(f"Find name {name!r} that is not in the {kind}; allow_extra_params=True skips it")
        for value, array in fitting:
            value.copyto(array)

    def reshape(
        self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: tuple[int, ...]
    ) -> Executor:
        """Return an executor of the same graph for other input shapes; parameters are shared with this one.

        Args:
            partial_shaping: let arguments that are not named change their shape too.
            allow_up_sizing: let arguments become larger than they are now.
            **kwargs: new shapes by argument name.

        Raises:
            MXNetError: the shapes are not consistent, or change without the permission above.
        """
        unknown = [name for name in kwargs if name not in self._arg_names]
        if unknown:
            raise MXNetError(f"reshape: {unknown} are not among the arguments {self._arg_names}")
        # As in MXNet, shapes follow from the named ones alone; everything else is inferred anew.
        found = infer(self._graph, dict(kwargs), {n: x.dtype for n, x in self.arg_dict.items()})
        shapes = {node.name: found.shapes[id(node), 0] for node in self._graph.variables}

        def fit(name: str, old: NDArray, *, named: bool) -> NDArray:
            shape = shapes[name]
            if shape is None or None in shape:
                raise MXNetError(f"reshape: the shape of {name!r} can not be inferred from {dict(kwargs)}")
            if shape == old.shape:
                return old
            if not named and not partial_shaping:
                raise MXNetError(
                    f"reshape: the shape of {name!r} changes from {old.shape} to {shape} though it was not given;"
                    " partial_shaping=True allows that"
                )
            if prod(shape) > old.size and not allow_up_sizing:
                raise MXNetError(
                    f"reshape: {name!r} grows from {old.shape} to {shape}; allow_up_sizing=True allows that"
                )
            return zeros(shape, self._ctx, old.dtype)  # type: ignore[arg-type]

        args = [fit(n, x, named=n in kwargs) for n, x in zip(self._arg_names, self.arg_arrays, strict=True)]
        aux = [fit(n, x, named=False) for n, x in zip(self._aux_names, self.aux_arrays, strict=True)]
        grads = [
            g if g is None or g.shape == a.shape else zeros(a.shape, self._ctx, g.dtype)
            for g, a in zip(self.grad_arrays, args, strict=True)
        ]
        made = Executor(
            self._graph, self._ctx, args, grads, self._grad_reqs, aux, program=self._program, symbol=self._symbol
        )
        made._watch = self._watch
        return made

    def set_monitor_callback(self, callback: Callable[[str, NDArray], Any] | None, monitor_all: bool = False) -> None:
        """Call ``callback(name, array)`` with every operator's outputs during each forward; None stops it.

        During each backward it is called with the gradients of every operator's inputs, as ``<node>_backward_output``,
        with a number if there are several.

        Args:
            callback: the function.
            monitor_all: show arguments, auxiliary states and the operators' inputs too.

        Executors that `reshape` has made of this one call it too. The values come from second compiled functions that
        run beside forward and backward, so this costs time.
        """
        self._watch[0] = None if callback is None else (callback, monitor_all)

    @property
    def _monitor(self) -> tuple[Callable[[str, NDArray], Any], bool] | None:
        return self._watch[0]

    def _show_monitor(self, is_train: bool, args: Any, aux: Any, key: Any) -> None:
        run, names = self._program.taps(is_train, self._monitor[1])  # type: ignore[index]
        with jax.enable_x64(True), self._place or jax.default_device(self._ctx.device):
            values = run(args, aux, key)
        self._show(names, values)

    def _show(self, names: Sequence[str], values: Sequence[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            self._monitor[0](name, wrap(value, self._ctx, shared=True))  # type: ignore[index]

    def debug_str(self) -> str:
        """Return a description of the graph and its arrays."""
        rows = [f"Executor on {self._ctx}: {len(self._graph.nodes)} nodes"]
        for kind, names, arrays in (
            ("arg", self._arg_names, self.arg_arrays),
            ("aux", self._aux_names, self.aux_arrays),
        ):
            rows += [f"  {kind} {n}: {x.shape} {np.dtype(x.dtype).name}" for n, x in zip(names, arrays, strict=True)]
        total = sum(x.size * np.dtype(x.dtype).itemsize for x in (*self.arg_arrays, *self.aux_arrays))
        rows.append(f"Total {total / 2**20:.4g} MB allocated for arguments and states")
        return "\n".join(rows)


class _Predicting:
    """An executor's inference forward: prepared parameters are kept until one that they come from changes."""

    def __init__(self, program: Program, args: Mapping[str, NDArray], aux: Mapping[str, NDArray]) -> None:
        named = {**args, **aux}
        self._prediction: Prediction = program.prediction({n: (x.shape, np.dtype(x.dtype)) for n, x in named.items()})
        place = {name: i for i, name in enumerate(named)}
        self._sources = [place[name] for name in self._prediction.parameters]
        place |= {name: len(named) + i for i, name in enumerate(self._prediction.split.names)}
        self._inputs = [place[name] for name in self._prediction.inputs]
        self._from: list[Any] = []
        self._prepared: list[Any] = []

    def __call__(self, values: Sequence[Any], key: Any) -> Any:
        """Return the outputs; `values` are those of all arguments and auxiliary states."""
        sources = [values[i] for i in self._sources]
        if len(sources) != len(self._from) or any(a is not b for a, b in zip(sources, self._from, strict=True)):
            self._prepared = []  # frees them before their successors are made
            self._prepared = list(self._prediction.prepare(sources).values())
            self._from = sources
        every = [*values, *self._prepared]
        return self._prediction.run([every[i] for i in self._inputs], key)

    def forget(self) -> None:
        """Free the prepared parameters."""
        self._from, self._prepared = [], []


def _zeros_like(value: jax.Array) -> jax.Array:
    return _blank(value.shape, np.dtype(value.dtype), next(iter(value.devices())))


@lru_cache(maxsize=256)
def _blank(shape: tuple[int, ...], dtype: Any, device: Any) -> jax.Array:
    return jax.device_put(np.zeros(shape, dtype), device)


def check_parameter(name: str, value: Any, array: NDArray) -> None:
    """Check that a parameter may be written into an array of the network.

    Raises:
        TypeError: it is no NDArray.
        MXNetError: its shape is another one.
    """
    if not isinstance(value, NDArray):
        raise TypeError(f"parameter {name!r} must be an NDArray, got {type(value).__name__}; mx.nd.array makes one")
    if value.shape != array.shape:
        raise MXNetError(
            f"parameter {name!r} has shape {value.shape}, the network takes {array.shape}: is it of another network, or"
            " is the data of another size?"
        )
