"""The executors of a module, one for each context, and how batches come in and results go out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symjit import ndarray as nd
from symjit.base import MXNetError
from symjit.context import Context, cpu
from symjit.executor import Executor
from symjit.executor_manager import split_input_slice
from symjit.io import DataDesc
from symjit.metric import EvalMetric
from symjit.ndarray import NDArray
from symjit.optimizer import Updater
from symjit.symbol import Symbol

__all__ = ["ExecutorGroup"]


class ExecutorGroup:
    """Executors of one symbol, which share a batch among them. Source: MXNet ``DataParallelExecutorGroup``.

    Attributes:
        execs: the executors, one for each context.
        slices: the part of a batch that each of them gets; None where no input has a batch axis.
        batch_size: rows of a batch.
        param_names: arguments that are parameters.
        param_arrays: for each of these, its array on every context.
        grad_arrays: their gradients likewise, None where none is computed.
        aux_arrays: the auxiliary states likewise.
        state_arrays: the arguments that are states likewise.
    """

    def __init__(
        self,
        symbol: Symbol,
        contexts: Sequence[Context],
        workload: Sequence[float],
        data_shapes: Sequence[DataDesc],
        label_shapes: Sequence[DataDesc] | None,
        param_names: Sequence[str],
        for_training: bool,
        inputs_need_grad: bool,
        shared_group: ExecutorGroup | None = None,
        fixed_param_names: Sequence[str] = (),
        grad_req: str | Sequence[str] | Mapping[str, str] = "write",
        state_names: Sequence[str] = (),
    ) -> None:
        """Bind executors; see `symjit.module.Module.bind`.

        Raises:
            MXNetError: shapes contradict each other, or a context is left without rows.
            KeyError: the labels that are given have other names than those of the network.
            AssertionError: the network needs labels to train, and there are none.
        """
        self.symbol, self.contexts, self.workload = symbol, list(contexts), list(workload)
        self.param_names, self.state_names = list(param_names), list(state_names)
        self.arg_names, self.aux_names = symbol.list_arguments(), symbol.list_auxiliary_states()
        self.output_names = symbol.list_outputs()
        self.for_training, self.inputs_need_grad = for_training, inputs_need_grad
        self.grad_req = _requests(
            grad_req if for_training else "null",
            self.arg_names,
            self.param_names,
            [x.name for x in data_shapes] if inputs_need_grad else [],
            fixed_param_names,
        )
        self.output_layouts = [
            DataDesc.get_batch_axis(symbol[i].attr("__layout__")) for i in range(len(self.output_names))
        ]
        self._shared_buffers: list[dict[str, NDArray]] = (
            shared_group._shared_buffers if shared_group is not None else [{} for _ in contexts]
        )
        self._default_execs: list[Executor] | None = None
        self._check_labels([x.name for x in data_shapes], label_shapes)
        self.execs: list[Executor] = []
        self._bind(data_shapes, label_shapes, shared_group)

    # Shapes -----------------------------------------------------------------------------------------------------------

    def _check_labels(self, data_names: Sequence[str], label_shapes: Sequence[DataDesc] | None) -> None:
        if label_shapes is None:
            return  # as a program says that does without them
        fed = {*data_names, *self.param_names, *self.state_names}
        wanted = [name for name in self.arg_names if name not in fed]
        given = [x.name for x in label_shapes]
        unknown = [name for name in given if name not in self.arg_names]
        if wanted and unknown:
            raise KeyError(
                f"bind: the network has no label {unknown}, it takes {wanted}: name the iterator's labels so, as in"
                " NDArrayIter(..., label_name=), and pass label_names= to the module"
            )
        if wanted and self.for_training and not given:
            raise AssertionError(
                f"bind: the network needs the labels {wanted} to train, and the iterator gives none: make it with"
                " labels, as in NDArrayIter(data, label)"
            )

    def _bind(
        self,
        data_shapes: Sequence[DataDesc],
        label_shapes: Sequence[DataDesc] | None,
        shared_group: ExecutorGroup | None = None,
    ) -> None:
        self.batch_size: int | None = None
        self.slices: list[slice] | None = None
        self.data_layouts = self._decide_slices(data_shapes)
        self.label_layouts = [] if label_shapes is None else self._decide_slices(label_shapes)
        types = {x.name: x.dtype for x in (*data_shapes, *(label_shapes or ()))}
        # What the graph says of the dtype of an input wins over the iterator, as in MXNet.
        noted = self.symbol.attr_dict()
        for x in data_shapes:
            if noted.get(x.name, {}).get("__dtype__", "-1") != "-1":
                del types[x.name]
        made: list[Executor] = []
        for i, context in enumerate(self.contexts):
            shapes: dict[str, Any] = dict(self._sliced_shapes(data_shapes, self.data_layouts, i))
            shapes |= self._sliced_shapes(label_shapes or (), self.label_layouts, i)
            if self._default_execs is not None:
                made.append(self._default_execs[i].reshape(allow_up_sizing=True, **shapes))
                continue
            made.append(
                self.symbol.simple_bind(
                    ctx=context,
                    grad_req=self.grad_req,
                    type_dict=types,
                    shared_arg_names=self.param_names,
                    shared_exec=None if shared_group is None else shared_group.execs[i],
                    shared_buffer=self._shared_buffers[i],
                    **shapes,
                )
            )
        self.execs = made
        self.data_shapes, self.label_shapes = list(data_shapes), None if label_shapes is None else list(label_shapes)
        self.data_names = [x.name for x in data_shapes]
        self.label_names = [x.name for x in label_shapes or ()]
        self._collect()

    def _decide_slices(self, shapes: Sequence[DataDesc]) -> list[int]:
        axes = [DataDesc.get_batch_axis(x.layout) for x in shapes]
        for (name, shape), axis in zip(shapes, axes, strict=True):
            if axis == -1:
                continue
            if axis >= len(shape):
                raise IndexError(f"{name} has shape {shape}, in which there is no axis {axis} for the rows of a batch")
            if self.batch_size is None:
                self.batch_size = shape[axis]
                self.slices = split_input_slice(shape[axis], self.workload)
            elif shape[axis] != self.batch_size:
                raise AssertionError(
                    f"all data must have the same batch size: batch_size = {self.batch_size}, but {name} has shape"
                    f" {shape}"
                )
        return axes

    def _sliced_shapes(self, shapes: Sequence[DataDesc], axes: Sequence[int], i: int) -> dict[str, tuple[int, ...]]:
        found = {}
        for (name, shape), axis in zip(shapes, axes, strict=True):
            sizes = list(shape)
            if axis >= 0 and self.slices is not None:
                sizes[axis] = self.slices[i].stop - self.slices[i].start
            found[name] = tuple(sizes)
        return found

    def _collect(self) -> None:
        place = {name: i for i, name in enumerate(self.arg_names)}
        self.param_arrays = [[e.arg_arrays[place[name]] for e in self.execs] for name in self.param_names]
        self.grad_arrays = [[e.grad_arrays[place[name]] for e in self.execs] for name in self.param_names]
        self.state_arrays = [[e.arg_arrays[place[name]] for e in self.execs] for name in self.state_names]
        self.aux_arrays = [[e.aux_arrays[i] for e in self.execs] for i in range(len(self.aux_names))]
        self.input_grad_arrays = [
            [e.grad_arrays[place[name]] for e in self.execs] for name in self.data_names if name in place
        ]

    def reshape(self, data_shapes: Sequence[DataDesc], label_shapes: Sequence[DataDesc] | None) -> None:
        """Bind for other shapes of the inputs; parameters stay."""
        same = _described(data_shapes) == _described(self.data_shapes)
        if same and _described(label_shapes) == _described(self.label_shapes):
            return
        if self._default_execs is None:
            self._default_execs = list(self.execs)
        before = self.batch_size, self.slices, self.data_layouts, self.label_layouts
        try:
            self._bind(data_shapes, label_shapes)
        except Exception as error:
            self.batch_size, self.slices, self.data_layouts, self.label_layouts = before
            if isinstance(error, MXNetError):
                raise MXNetError(
                    f"the module is bound for {_named(self.data_shapes, self.label_shapes)} and can not take"
                    f" {_named(data_shapes, label_shapes)}: only the batch size may differ, in data and labels alike"
                    f" ({error})"
                ) from None
            raise

    def output_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Return names and shapes of the outputs for the whole batch."""
        found = []
        for name, output, axis in zip(self.output_names, self.execs[0].outputs, self.output_layouts, strict=True):
            shape = list(output.shape)
            if axis >= 0 and shape and self.batch_size is not None:
                shape[axis] = self.batch_size
            found.append((name, tuple(shape)))
        return found

    # Parameters -------------------------------------------------------------------------------------------------------

    def set_params(
        self, arg_params: Mapping[str, NDArray], aux_params: Mapping[str, NDArray] | None, allow_extra: bool = False
    ) -> None:
        """Write parameters and states into the executors."""
        for executor in self.execs:
            executor.copy_params_from(arg_params, aux_params, allow_extra_params=allow_extra)

    def by_index(self, *, named: bool) -> dict[Any, tuple[str, NDArray]]:
        """Return name and array of each parameter by the index that an optimizer knows it by: a number, or its name."""
        found: dict[Any, tuple[str, NDArray]] = {}
        for i, (name, block) in enumerate(zip(self.param_names, self.param_arrays, strict=True)):
            found |= {name if named else i * len(block) + k: (name, array) for k, array in enumerate(block)}
        return found

    def get_params(self, arg_params: dict[str, NDArray], aux_params: dict[str, NDArray]) -> None:
        """Write the parameters and states into arrays on the CPU, averaged over the contexts."""
        for names, blocks, target in (
            (self.param_names, self.param_arrays, arg_params),
            (self.aux_names, self.aux_arrays, aux_params),
        ):
            for name, block in zip(names, blocks, strict=True):
                value = block[0]
                if len(block) > 1:
                    value = block[0].copyto(cpu())
                    for other in block[1:]:
                        value = value + other.copyto(cpu())
                    value = value / len(block)
                value.astype(target[name].dtype, copy=False).copyto(target[name])

    # Batches ----------------------------------------------------------------------------------------------------------

    def load(self, batch: Any) -> None:
        """Write a batch, or a list of one batch for each context, into the executors."""
        if isinstance(batch, list):
            if len(batch) != len(self.execs):
                raise MXNetError(f"a list of {len(batch)} batches for {len(self.execs)} contexts: each takes one")
            for i, name in enumerate(self.data_names):
                self._load_each(name, [part.data[i] for part in batch])
            if self.label_names and getattr(batch[0], "label", None):
                for i, name in enumerate(self.label_names):
                    self._load_each(name, [part.label[i] for part in batch])
            return
        for name, value, axis in zip(self.data_names, batch.data, self.data_layouts, strict=False):
            self._load_sliced(name, value, axis)
        if self.label_names and getattr(batch, "label", None):
            for name, value, axis in zip(self.label_names, batch.label, self.label_layouts, strict=False):
                self._load_sliced(name, value, axis)

    def _load_each(self, name: str, values: Sequence[Any]) -> None:
        for executor, value in zip(self.execs, values, strict=True):
            _write(executor, name, value)

    def _load_sliced(self, name: str, value: Any, axis: int) -> None:
        for i, executor in enumerate(self.execs):
            _write(executor, name, self.part(value, axis, i))

    def part(self, value: Any, axis: int, i: int) -> Any:
        """Return the part of an array that the `i`-th context gets."""
        if axis < 0 or self.slices is None or len(self.execs) == 1:
            return value
        rows = self.slices[i]
        if axis == 0:
            return value[rows]
        value = value if isinstance(value, NDArray) else nd.array(value)
        return nd.slice_axis(value, axis=axis, begin=rows.start, end=rows.stop)

    # Running ----------------------------------------------------------------------------------------------------------

    def forward(self, is_train: bool) -> None:
        """Run on what is loaded."""
        for executor in self.execs:
            executor.forward(is_train=is_train)

    def backward(self, out_grads: Sequence[NDArray] | NDArray | None = None) -> None:
        """Compute the gradients of the last training forward."""
        if out_grads is None:
            for executor in self.execs:
                executor.backward()
            return
        heads = [out_grads] if isinstance(out_grads, NDArray) else list(out_grads)
        heads = [head if isinstance(head, NDArray) else nd.array(head) for head in heads]
        for i, (executor, context) in enumerate(zip(self.execs, self.contexts, strict=True)):
            parts = [
                self.part(head, axis, i).as_in_context(context)
                for head, axis in zip(heads, self.output_layouts, strict=False)
            ]
            executor.backward(parts)

    def update(self, updater: Updater, *, alone: bool) -> None:
        """Update the parameters by the gradients in their arrays.

        Args:
            updater: updates lists of parameters: by index, or by name where contexts work together.
            alone: each context goes by its own gradients, instead of by their sum.

        Raises:
            AssertionError: there are no gradients.
        """
        blocks = zip(self.param_names, self.param_arrays, self.grad_arrays, strict=True)
        trained = [(i, *block) for i, block in enumerate(blocks) if block[2][0] is not None]
        if not trained:
            if not self.for_training:
                raise AssertionError("update: re-bind with for_training=True to train")
            return
        pinned = self.execs[0].program.pinned
        for _, name, weights, _ in trained:
            if name in pinned:
                for weight in weights:
                    weight[:] = pinned[name]
        count = len(self.execs)
        if alone:
            for k in range(count):
                updater(
                    [index * count + k for index, *_ in trained],
                    [grads[k] for *_, grads in trained],
                    [weights[k] for _, _, weights, _ in trained],
                )
            return
        sums = [_sum(grads) for *_, grads in trained]
        updater([name for _, name, _, _ in trained], sums, [weights[0] for _, _, weights, _ in trained])
        for _, _, weights, _ in trained:
            for weight in weights[1:]:
                weights[0].copyto(weight)

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the outputs of the last forward, joined over the contexts or in a list for each."""
        found = [[e.outputs[i] for e in self.execs] for i in range(len(self.output_names))]
        return _merged(found, self.output_layouts) if merge_multi_context else found

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """Return the gradients of the data, joined over the contexts or in a list for each."""
        return _merged(self.input_grad_arrays, self.data_layouts) if merge_multi_context else self.input_grad_arrays

    def set_states(self, states: Sequence[Any] | None, value: float | None) -> None:
        """Write into the states: an array or a list of one for each context, for each of them, or one number."""
        if states is not None:
            if value is not None:
                raise AssertionError("set_states: pass states or value, not both")
            for name, given in zip(self.state_names, states, strict=True):
                if isinstance(given, (list, tuple)):
                    self._load_each(name, given)
                else:
                    self._load_sliced(name, given, 0)
            return
        if value is None:
            raise AssertionError("set_states: pass states or value")
        for block in self.state_arrays:
            for array in block:
                array[:] = value

    def update_metric(self, metric: EvalMetric, labels: Sequence[Any], pre_sliced: bool) -> None:
        """Update a metric context by context, as MXNet does: what it counts once for an update counts for each."""
        for i, executor in enumerate(self.execs):
            metric.update_dict(
                dict(zip(self.label_names, self.label_parts(labels, pre_sliced, i), strict=False)),
                dict(zip(self.output_names, executor.outputs, strict=True)),
            )

    def label_parts(self, labels: Sequence[Any], pre_sliced: bool, i: int) -> list[Any]:
        """Return the labels of the `i`-th context."""
        if pre_sliced:
            return list(labels[i] or ())
        return [self.part(label, axis, i) for label, axis in zip(labels or (), self.label_layouts, strict=False)]


def _sum(arrays: Sequence[Any]) -> Any:
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array.as_in_context(total.context)
    return total


def _write(executor: Executor, name: str, value: Any) -> None:
    held = executor.arg_dict.get(name)
    if held is None:
        return  # an input that the symbol does not use
    if tuple(value.shape) != held.shape:
        raise MXNetError(f"input {name!r}: the module is bound for shape {held.shape}, the batch has {value.shape}")
    held.assign(value)


def _named(*inputs: Sequence[DataDesc] | None) -> str:
    return ", ".join(f"{x.name} {tuple(x.shape)}" for shapes in inputs for x in shapes or ())


def _described(shapes: Sequence[DataDesc] | None) -> list[Any] | None:
    return None if shapes is None else [(x.name, tuple(x.shape)) for x in shapes]


def _merged(blocks: Sequence[Sequence[Any]], axes: Sequence[int]) -> list[Any]:
    found = []
    for block, axis in zip(blocks, axes, strict=True):
        if axis < 0 or len(block) == 1:
            found.append(block[0])
        else:
            found.append(nd.concat(*(x.as_in_context(block[0].context) for x in block), dim=axis))
    return found


def _requests(
    grad_req: str | Sequence[str] | Mapping[str, str],
    arguments: Sequence[str],
    params: Sequence[str],
    data: Sequence[str],
    fixed: Sequence[str],
) -> dict[str, str]:
    """Return the request of every argument: of parameters that are not fixed, and of data where it is asked for."""
    if isinstance(grad_req, (list, tuple)):
        if len(grad_req) != len(arguments):
            raise AssertionError(f"grad_req: {len(grad_req)} requests for the {len(arguments)} arguments {arguments}")
        return dict(zip(arguments, grad_req, strict=True))
    if not isinstance(grad_req, (str, Mapping)):
        raise ValueError(f"grad_req must be a string, a list or a dict, got {type(grad_req).__name__}")
    usual = grad_req if isinstance(grad_req, str) else "write"
    found = {name: usual if (name in params and name not in fixed) or name in data else "null" for name in arguments}
    return found if isinstance(grad_req, str) else {**found, **grad_req}
