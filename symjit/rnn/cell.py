"""What all recurrent cells have: parameters shared by name, begin states, unrolling over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from symjit import ndarray as nd
from symjit import symbol
from symjit.ndarray import NDArray
from symjit.symbol import Symbol

__all__ = ["BaseRNNCell", "RNNParams", "normalized", "taken"]


def normalized(
    length: int | None, inputs: Symbol | Sequence[Symbol], layout: str, merge: bool | None
) -> tuple[Any, int]:
    """Return a sequence as one symbol or as a list of steps, and the axis of time.

    Args:
        length: the number of steps.
        inputs: one symbol with an axis of time, or a symbol for each step.
        layout: the axes of the one symbol, such as ``NTC``.
        merge: True for one symbol, False for a list, None for what `inputs` is.

    Raises:
        AssertionError: there are no inputs, not as many as steps, or a symbol of several outputs is to be split.
    """
    if inputs is None:
        raise AssertionError("unroll: expected a Symbol or a list of Symbols as inputs, got None: make the variables")
    axis = layout.find("T")
    if isinstance(inputs, Symbol):
        if merge is not False:
            return inputs, axis
        if len(inputs.list_outputs()) != 1:
            raise AssertionError(
                f"unroll: the inputs are one symbol of {len(inputs.list_outputs())} outputs, which can not be split"
                " into steps; give list(inputs) if its outputs are the steps"
            )
        return list(symbol.split(inputs, axis=axis, num_outputs=length, squeeze_axis=1)), axis
    if length is not None and len(inputs) != length:
        raise AssertionError(f"unroll: {length} steps need as many inputs, got {len(inputs)}")
    if merge is True:
        return symbol.Concat(*[symbol.expand_dims(each, axis=axis) for each in inputs], dim=axis), axis
    return inputs, axis


def taken(args: dict[str, NDArray], name: str) -> NDArray:
    """Return an array and take it out of `args`.

    Raises:
        KeyError: there is none of this name.
    """
    if name not in args:
        raise KeyError(f"the cell's array {name!r} is missing; there are: {', '.join(args) or 'none'}")
    return args.pop(name)


class RNNParams:
    """Variables by name, which cells share. Source: MXNet ``mx.rnn.RNNParams``.

    Args:
        prefix: what all names begin with.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._params: dict[str, Symbol] = {}

    def get(self, name: str, **kwargs: Any) -> Symbol:
        """Return the variable ``prefix + name``, made with `kwargs` of ``mx.sym.Variable`` if there is none yet."""
        name = self._prefix + name
        if name not in self._params:
            self._params[name] = symbol.Variable(name, **kwargs)
        return self._params[name]


class BaseRNNCell:
    """A recurrent cell, which makes the symbols of its steps. Source: MXNet ``mx.rnn.BaseRNNCell``.

    Args:
        prefix: what the names of nodes begin with, and those of parameters unless `params` are given.
        params: variables shared with other cells; new ones if None.
    """

    _num_hidden: int
    _cells: list[BaseRNNCell]

    def __init__(self, prefix: str = "", params: RNNParams | None = None) -> None:
        self._own_params = params is None
        self._prefix = prefix
        self._params = RNNParams(prefix) if params is None else params
        self._modified = False
        self.reset()

    def reset(self) -> None:
        """Count steps and begin states from zero again, for another graph; unrolling does it by itself."""
        self._init_counter = -1
        self._counter = -1
        for cell in getattr(self, "_cells", ()):
            cell.reset()

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step.

        Args:
            inputs: the step's input, (batch, features).
            states: of the step before, or from `begin_state`.

        Returns:
            The output and the new states.
        """
        raise NotImplementedError(f"{type(self).__name__} has no steps of its own")

    @property
    def params(self) -> RNNParams:
        """The cell's variables. Who asks for them shares them: the cell can then not be given others."""
        self._own_params = False
        return self._params

    @property
    def state_info(self) -> list[Any]:
        """The shape, 0 for the batch, and the ``__layout__`` of each state."""
        raise NotImplementedError(f"{type(self).__name__} does not tell its states")

    @property
    def state_shape(self) -> list[tuple[int, ...]]:
        """The shape of each state, 0 for the batch."""
        return [info["shape"] for info in self.state_info]

    @property
    def _gate_names(self) -> Sequence[str]:
        """Endings of the names under which `unpack_weights` puts the blocks of rows of a weight."""
        return ()

    def _next_step(self) -> str:
        """Count a step, and return what the names of its nodes begin with."""
        self._counter += 1
        return f"{self._prefix}t{self._counter}_"

    def _check_free(self) -> None:
        if self._modified:
            raise AssertionError(
                f"this {type(self).__name__} is inside of a modifier (ZoneoutCell, ResidualCell ...), which works on it"
                " alone: call the modifier instead"
            )

    def begin_state(self, func: Callable[..., Symbol] = symbol.zeros, **kwargs: Any) -> list[Any]:
        """Return the states before the first step, named ``PREFIXbegin_state_0`` and so on.

        Args:
            func: makes a state: ``mx.sym.zeros``, ``mx.sym.uniform``, or ``mx.sym.Variable`` for states that are given
                as inputs. It gets the name, the shape and the ``__layout__``.
            **kwargs: further arguments of `func`.

        Raises:
            AssertionError: the cell is inside of a modifier.
        """
        self._check_free()
        states = []
        for info in self.state_info:
            self._init_counter += 1
            kwargs.update(info or {})
            states.append(func(name=f"{self._prefix}begin_state_{self._init_counter}", **kwargs))
        return states

    def unpack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return `args` with the cell's weights and biases cut into those of the gates.

        ``i2h_weight`` (gates * num_hidden, inputs) of an LSTMCell becomes ``i2h_i_weight``, ``i2h_f_weight`` ...,
        each (num_hidden, inputs); the same for ``h2h_weight`` and the biases.

        Args:
            args: arrays by name, such as ``Module.get_params()[0]``; not changed.

        Raises:
            KeyError: one of the cell's arrays is missing.
            ValueError: one has another number of rows.
        """
        args = dict(args)
        gates, rows = self._gate_names, 0 if not self._gate_names else self._num_hidden
        for group in ("i2h", "h2h") if gates else ():
            arrays = {kind: taken(args, f"{self._prefix}{group}_{kind}") for kind in ("weight", "bias")}
            for kind, array in arrays.items():
                if array.shape[0] != rows * len(gates):
                    raise ValueError(
                        f"{self._prefix}{group}_{kind}: expected {rows * len(gates)} rows ({len(gates)} gates of"
                        f" num_hidden={rows}), got shape {array.shape}"
                    )
            for place, gate in enumerate(gates):
                for kind, array in arrays.items():
                    share = array[place * rows : (place + 1) * rows]
                    args[f"{self._prefix}{group}{gate}_{kind}"] = share.copy()
        return args

    def pack_weights(self, args: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Return `args` with the gates' weights and biases joined: the reverse of `unpack_weights`.

        Raises:
            KeyError: one of the gates' arrays is missing.
        """
        args = dict(args)
        for group in ("i2h", "h2h") if self._gate_names else ():
            for kind in ("weight", "bias"):
                parts = [taken(args, f"{self._prefix}{group}{gate}_{kind}") for gate in self._gate_names]
                args[f"{self._prefix}{group}_{kind}"] = nd.concatenate(parts)
        return args

    def unroll(
        self,
        length: int,
        inputs: Symbol | Sequence[Symbol],
        begin_state: Sequence[Any] | None = None,
        layout: str = "NTC",
        merge_outputs: bool | None = None,
    ) -> tuple[Any, Any]:
        """Add the steps of a sequence.

        Args:
            length: the number of steps.
            inputs: one symbol, (batch, length, ...) for the layout ``NTC`` and (length, batch, ...) for ``TNC``, or a
                list of one symbol for each step, (batch, ...).
            begin_state: states before the first step; from `begin_state` if None.
            layout: the axes of `inputs`, if one symbol, and of the outputs, if merged.
            merge_outputs: True for the outputs as one symbol, False for a list of one for each step, None for what
                costs no further node.

        Returns:
            The outputs and the states after the last step.

        Raises:
            AssertionError: there are no inputs or not as many as steps.
        """
        self.reset()
        steps, _ = normalized(length, inputs, layout, False)
        states = self.begin_state() if begin_state is None else begin_state
        outputs = []
        for step in range(length):
            output, states = self(steps[step], states)
            outputs.append(output)
        return normalized(length, outputs, layout, merge_outputs)[0], states

    def _get_activation(self, inputs: Symbol, activation: str | Callable[..., Symbol], **kwargs: Any) -> Symbol:
        """Apply an activation that is named or called."""
        if isinstance(activation, str):
            return symbol.Activation(inputs, act_type=activation, **kwargs)
        return activation(inputs, **kwargs)
