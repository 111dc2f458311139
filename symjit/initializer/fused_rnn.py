"""The parameter vector of the operator RNN."""

from __future__ import annotations

import numpy as np

from symjit import ndarray
from symjit.base import MXNetError
from symjit.initializer.base import InitDesc, Initializer, create, register
from symjit.ndarray import NDArray
from symjit.ops.rnn import GATES, Form

__all__ = ["FusedRNN"]


@register
class FusedRNN(Initializer):
    """Initialize the parameter vector of the operator `RNN` part by part, as the cells of an unfused network.

    The parts are called ``l0_i2h_i_weight``: direction ``l`` or ``r`` (backward) and layer, input or state (``h2h``),
    gate (``_i _f _c _o`` of the LSTM, ``_r _z _o`` of the GRU, none of the others), ``weight`` or ``bias``. Each is
    initialized by itself, so that `Xavier` sees matrices (H, I) and (H, H).

    Deviation: `init` may be the text of ``dumps``, also in the text of this one's; in MXNet 1.9.1 that is a KeyError.

    Args:
        init: the initializer of the parts, or its JSON text; that of the network (`InitDesc.global_init`) if None.
        num_hidden: the operator's ``state_size``, H.
        num_layers: its ``num_layers``.
        mode: its ``mode``.
        bidirectional: its ``bidirectional``.
        forget_bias: the value of both biases of an LSTM's forget gate.

    Raises:
        ValueError: when called, the mode is unknown, or there is neither `init` nor an initializer of the network.
        MXNetError: when called, no such network has a vector of this length.
    """

    def __init__(
        self,
        init: Initializer | str | None,
        num_hidden: int,
        num_layers: int,
        mode: str,
        bidirectional: bool = False,
        forget_bias: float = 1.0,
    ) -> None:
        parts: Initializer | None = create(init) if isinstance(init, str) else init
        super().__init__(
            init=None if parts is None else parts.dumps(),
            num_hidden=num_hidden,
            num_layers=num_layers,
            mode=mode,
            bidirectional=bidirectional,
            forget_bias=forget_bias,
        )
        self._init = parts
        self._num_hidden = num_hidden
        self._num_layers = num_layers
        self._mode = mode
        self._bidirectional = bidirectional
        self._forget_bias = forget_bias

    def _init_weight(self, name: str, arr: NDArray) -> None:
        network = getattr(name, "global_init", None)
        inner = self._init if self._init is not None else network
        if inner is None or inner is self:
            raise ValueError(
                f"FusedRNN: nothing says how to initialize the parts of {name}: pass an initializer as init, or call it"
                " with mx.init.InitDesc(name, global_init=...)"
            )
        vector = arr.asnumpy()
        for part_name, part in self._parts(name, vector).items():
            if self._mode == "lstm" and part_name.endswith("_f_bias"):
                part[...] = self._forget_bias
                continue
            piece = ndarray.array(part, ctx=arr.context, dtype=arr.dtype)
            inner(InitDesc(part_name, global_init=network), piece)
            part[...] = piece.asnumpy()
        arr[:] = vector

    def _parts(self, name: str, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of the vector by name, which are views of it, in its order."""
        if self._mode not in GATES:
            raise ValueError(f"FusedRNN: mode must be one of {', '.join(GATES)}, got {self._mode!r}, for {name}")
        form = Form(self._mode, self._num_hidden, self._num_layers, bool(self._bidirectional), None)
        try:
            return form.gates(vector, form.width(vector.size))
        except ValueError as error:
            raise MXNetError(
                f"FusedRNN: {name} has another size than such a network's parameters: {error}. num_hidden, num_layers,"
                " mode and bidirectional must be those of the operator RNN"
            ) from None
