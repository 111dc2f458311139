"""What a module starts from: its parameters, its optimizer, and how its contexts share gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit import ndarray as nd
from symjit import optimizer as opt
from symjit.context import Context, cpu
from symjit.executor import check_parameter
from symjit.initializer import InitDesc
from symjit.module.group import ExecutorGroup
from symjit.ndarray import NDArray

__all__ = ["blank", "check_contexts", "fill", "known_kvstore", "made_optimizer"]


def blank(names: Sequence[str], blocks: Sequence[Sequence[NDArray]]) -> dict[str, NDArray]:
    """Return zeros on the CPU by name, like the first array of each block."""
    return {name: nd.zeros(block[0].shape, cpu(), block[0].dtype) for name, block in zip(names, blocks, strict=True)}


def fill(
    kinds: Sequence[tuple[Mapping[str, NDArray], Mapping[str, NDArray] | None]],
    initializer: Callable[[InitDesc, NDArray], Any] | None,
    attributes: Mapping[str, dict[str, str]],
    allow_missing: bool,
) -> None:
    """Write into parameters, in the order of their names, what is given, or what an initializer makes.

    After an error all of them are as they were.

    Args:
        kinds: the parameters, and values of them by name, None if all are left to the initializer; then auxiliary
            states likewise.
        initializer: called with a name and an array that it fills; None leaves the others as they are.
        attributes: attributes of the network's variables.
        allow_missing: leave what is not given to the initializer.

    Raises:
        RuntimeError: a parameter is missing.
        TypeError: what is given is no dict of NDArrays, or the initializer can not be called, or there is neither.
        MXNetError: a parameter has another shape.
    """
    if not (initializer is None or callable(initializer)):
        raise TypeError(
            f"initializer: expected an Initializer such as mx.init.Xavier(), got {initializer!r};"
            " mx.init.create makes one of a name"
        )
    for held, given in kinds:
        if given is not None:
            _check_given(held, given, allow_missing)
        elif held and initializer is None:
            raise TypeError(
                f"no values are given for {sorted(held)[:8]}, and no initializer: pass the one or the other"
            )
    made: list[tuple[NDArray, NDArray]] = []
    for held, given in kinds:
        for name, array in sorted(held.items()):
            if given is not None and name in given:
                made.append((given[name], array))
            elif initializer is not None:
                value = array.copy()
                try:
                    initializer(InitDesc(name, attributes.get(name)), value)
                except Exception as error:
                    error.add_note(f"raised by the initializer of {name}, an array of shape {array.shape}")
                    raise
                made.append((value, array))
    for value, array in made:
        if value is not array:
            value.copyto(array)


def _check_given(held: Mapping[str, NDArray], given: Any, allow_missing: bool) -> None:
    if not isinstance(given, Mapping):
        raise TypeError(f"parameters are given as a dict of NDArrays by name, got {type(given).__name__}")
    for name, array in sorted(held.items()):
        if name in given:
            check_parameter(name, given[name], array)
        elif not allow_missing:
            raise RuntimeError(
                f"{name} is not presented: the parameters given have no such array. They hold"
                f" {sorted(given)[:8]}; allow_missing=True leaves it to the initializer"
            )


def made_optimizer(
    optimizer: str | opt.Optimizer, params: Any, symbol: Any, group: ExecutorGroup, alone: bool
) -> opt.Optimizer:
    """Return the optimizer of a name, or one that is made already and knows the parameters' names from now on.

    Args:
        optimizer: a name or an object.
        params: arguments of the constructor, for a name.
        symbol: the network, whose attributes hold multipliers.
        group: has the parameters and the size of a batch.
        alone: whether each context goes by its own gradients.

    Raises:
        ValueError: there is no optimizer of that name.
        AssertionError: `optimizer` is neither.
    """
    count = len(group.contexts) if alone else 1
    names = {i * count + k: name for k in range(count) for i, name in enumerate(group.param_names)}
    rescale = 1.0 / group.batch_size  # type: ignore[operator]
    if isinstance(optimizer, str):
        given = dict(params)
        given.setdefault("rescale_grad", rescale)
        return opt.create(optimizer, sym=symbol, param_idx2name=names, **given)
    if not isinstance(optimizer, opt.Optimizer):
        raise AssertionError(f"init_optimizer: expected a name or an Optimizer, got {type(optimizer).__name__}")
    if optimizer.rescale_grad != rescale:
        warnings.warn(
            "Optimizer created manually outside Module but rescale_grad is not normalized to"
            f" 1.0/batch_size/num_workers ({optimizer.rescale_grad} vs. {rescale}). Is this intended?",
            stacklevel=3,
        )
    if not optimizer.idx2name:
        optimizer.idx2name = names
    return optimizer


def check_contexts(count: int, group2ctxs: Any, shared: Any, kind: type) -> None:
    """Check that what is given for the contexts of a module fits their number.

    Args:
        count: how many contexts there are.
        group2ctxs: contexts of groups of operators; they change nothing.
        shared: a module whose parameters are shared, or None.
        kind: its class.

    Raises:
        AssertionError: `group2ctxs` is neither a dict by group nor a list of one dict for each context, or its length
            is another; `shared` is not of that class, is not bound, has no parameters, or has fewer contexts.
    """
    if isinstance(group2ctxs, Mapping):
        lengths = {name: 1 if isinstance(x, Context) else len(x) for name, x in group2ctxs.items()}
        wrong = {name: length for name, length in lengths.items() if length not in (1, count)}
        if wrong:
            raise AssertionError(f"group2ctxs: expected one context or {count} for each group, got {wrong}")
    elif group2ctxs is not None and not (isinstance(group2ctxs, list) and len(group2ctxs) == count):
        given = f"{len(group2ctxs)} of them" if isinstance(group2ctxs, list) else type(group2ctxs).__name__
        raise AssertionError(
            f"group2ctxs: expected a dict of contexts by group, or a list of {count} dicts, one for each context, got"
            f" {given}"
        )
    if shared is None:
        return
    if not isinstance(shared, kind) or not (shared.binded and shared.params_initialized):
        raise AssertionError(f"bind: the shared module must be a bound {kind.__name__} that has its parameters")
    if len(shared._context) < count:
        raise AssertionError(f"bind: the shared module has {len(shared._context)} contexts, this one {count}")


def known_kvstore(kvstore: Any, contexts: int) -> Any:
    """Return what `kvstore` stands for; between the contexts of one process all of them sum gradients.

    Args:
        kvstore: its name, or None.
        contexts: how many contexts there are; one alone needs none, whatever the name.

    Raises:
        TypeError: it is neither.
        ValueError: there is none of that name.
    """
    known = ("local", "local_update_cpu", "local_allreduce_cpu", "local_allreduce_device", "device", "nccl")
    if kvstore is not None and not isinstance(kvstore, str):
        raise TypeError(f"init_optimizer: kvstore must be the name of one or None, got {type(kvstore).__name__}")
    if kvstore is None or contexts == 1:
        return None
    if kvstore not in known:
        raise ValueError(f"init_optimizer: unknown kvstore {kvstore!r}; within a process there are {', '.join(known)}")
    return kvstore
