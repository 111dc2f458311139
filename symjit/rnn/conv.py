"""Cells whose shares of input and state are convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from symjit import symbol
from symjit.ops.rnn import GATES
from symjit.rnn.cell import BaseRNNCell, RNNParams
from symjit.rnn.recurrent import gru_step, lstm_step
from symjit.symbol import Symbol

__all__ = ["BaseConvRNNCell", "ConvGRUCell", "ConvLSTMCell", "ConvRNNCell"]

Pair = tuple[int, int]
Activation = str | Callable[..., Symbol]

_LEAKY = partial(symbol.LeakyReLU, act_type="leaky", slope=0.2)


class BaseConvRNNCell(BaseRNNCell):
    """The base of convolutional cells; states are images. Source: MXNet ``mx.rnn.BaseConvRNNCell``.

    Args:
        input_shape: shape of one step's input, the batch included, which may be 0.
        num_hidden: channels of the output and of the states.
        h2h_kernel: the state's kernel, odd, so that a padding keeps the size of the state.
        h2h_dilate: the state's dilation.
        i2h_kernel: the input's kernel; with stride, padding and dilation it gives the size of the state.
        i2h_stride: the input's stride.
        i2h_pad: the input's padding.
        i2h_dilate: the input's dilation.
        i2h_weight_initializer: initializer of the input's weight, an object or its name; that of the module if None.
        h2h_weight_initializer: of the state's weight.
        i2h_bias_initializer: of the input's bias.
        h2h_bias_initializer: of the state's bias.
        activation: name of an activation or a function of a symbol and ``name=``.
        prefix: what names begin with.
        params: variables shared with other cells; new ones if None.
        conv_layout: the axes of images.

    Raises:
        AssertionError: a side of the state's kernel is even.
        ValueError: a size of `input_shape` beside the batch is 0.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_hidden: int,
        h2h_kernel: Pair,
        h2h_dilate: Pair,
        i2h_kernel: Pair,
        i2h_stride: Pair,
        i2h_pad: Pair,
        i2h_dilate: Pair,
        i2h_weight_initializer: Any,
        h2h_weight_initializer: Any,
        i2h_bias_initializer: Any,
        h2h_bias_initializer: Any,
        activation: Activation,
        prefix: str = "",
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        if any(side % 2 == 0 for side in h2h_kernel):
            raise AssertionError(f"{type(self).__name__}: the sides of h2h_kernel must be odd, got {h2h_kernel}")
        self._h2h_kernel = h2h_kernel
        self._h2h_pad = tuple(d * (k - 1) // 2 for d, k in zip(h2h_dilate, h2h_kernel, strict=True))
        self._h2h_dilate = h2h_dilate
        self._i2h_kernel = i2h_kernel
        self._i2h_stride = i2h_stride
        self._i2h_pad = i2h_pad
        self._i2h_dilate = i2h_dilate
        self._num_hidden = num_hidden
        self._input_shape = input_shape
        self._conv_layout = conv_layout
        self._activation = activation
        # Without a name: MXNet's automatic names count this convolution.
        image = symbol.Convolution(
            data=symbol.Variable("data"),
            num_filter=num_hidden,
            kernel=i2h_kernel,
            stride=i2h_stride,
            pad=i2h_pad,
            dilate=i2h_dilate,
            layout=conv_layout,
        )
        (found,) = image.infer_shape_partial(data=tuple(input_shape))[1]
        if not all(found[1:]):
            raise ValueError(
                f"{type(self).__name__}: expected input_shape with all sizes but the batch's, got {input_shape}"
            )
        self._state_shape = (0, *found[1:])
        self._iW = self.params.get("i2h_weight", init=i2h_weight_initializer)
        self._hW = self.params.get("h2h_weight", init=h2h_weight_initializer)
        self._iB = self.params.get("i2h_bias", init=i2h_bias_initializer)
        self._hB = self.params.get("h2h_bias", init=h2h_bias_initializer)

    @property
    def _num_gates(self) -> int:
        return len(self._gate_names)

    @property
    def state_info(self) -> list[Any]:
        """Two images, the output and the cell; the size of the batch is 0."""
        return [{"shape": self._state_shape, "__layout__": self._conv_layout} for _ in range(2)]

    def _conv_forward(self, inputs: Symbol, states: Sequence[Symbol], name: str) -> tuple[Symbol, Symbol]:
        """Return the shares of the input and of the state; `name` is what their names begin with."""
        filters = self._num_hidden * self._num_gates
        i2h = symbol.Convolution(
            name=f"{name}i2h",
            data=inputs,
            num_filter=filters,
            kernel=self._i2h_kernel,
            stride=self._i2h_stride,
            pad=self._i2h_pad,
            dilate=self._i2h_dilate,
            weight=self._iW,
            bias=self._iB,
            layout=self._conv_layout,
        )
        h2h = symbol.Convolution(
            name=f"{name}h2h",
            data=states[0],
            num_filter=filters,
            kernel=self._h2h_kernel,
            dilate=self._h2h_dilate,
            pad=self._h2h_pad,
            stride=(1, 1),
            weight=self._hW,
            bias=self._hB,
            layout=self._conv_layout,
        )
        return i2h, h2h

    def _activate(self, x: Symbol, **kwargs: Any) -> Symbol:
        return self._get_activation(x, self._activation, **kwargs)


def _constructor(named: str):
    """Return the constructor of a cell; `named` is the default of `prefix`, all that differs from cell to cell."""

    def __init__(
        self: BaseConvRNNCell,
        input_shape: Sequence[int],
        num_hidden: int,
        h2h_kernel: Pair = (3, 3),
        h2h_dilate: Pair = (1, 1),
        i2h_kernel: Pair = (3, 3),
        i2h_stride: Pair = (1, 1),
        i2h_pad: Pair = (1, 1),
        i2h_dilate: Pair = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Activation = _LEAKY,
        prefix: str = named,
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ) -> None:
        BaseConvRNNCell.__init__(
            self,
            input_shape,
            num_hidden,
            h2h_kernel,
            h2h_dilate,
            i2h_kernel,
            i2h_stride,
            i2h_pad,
            i2h_dilate,
            i2h_weight_initializer,
            h2h_weight_initializer,
            i2h_bias_initializer,
            h2h_bias_initializer,
            activation,
            prefix,
            params,
            conv_layout,
        )

    return __init__


class ConvRNNCell(BaseConvRNNCell):
    """`RNNCell` with convolutions. Source: MXNet ``mx.rnn.ConvRNNCell``.

    The arguments are those of `BaseConvRNNCell`.
    """

    __init__ = _constructor("ConvRNN_")

    @property
    def state_info(self) -> list[Any]:
        """One image, the output of the step before."""
        return super().state_info[:1]

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES["rnn_tanh"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step; see `BaseRNNCell`."""
        step = self._next_step()
        i2h, h2h = self._conv_forward(inputs, states, step)
        output = self._activate(i2h + h2h, name=f"{step}out")
        return output, [output]


class ConvLSTMCell(BaseConvRNNCell):
    """`LSTMCell` with convolutions and any activation in place of tanh.

    Source: Shi et al., https://arxiv.org/abs/1506.04214, without peepholes; MXNet ``mx.rnn.ConvLSTMCell``.

    The arguments are those of `BaseConvRNNCell`.
    """

    __init__ = _constructor("ConvLSTM_")

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES["lstm"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step; see `BaseRNNCell`."""
        step = self._next_step()
        i2h, h2h = self._conv_forward(inputs, states, step)
        return lstm_step(step, i2h, h2h, states, self._activate, axis=self._conv_layout.find("C"))


class ConvGRUCell(BaseConvRNNCell):
    """`GRUCell` with convolutions and any activation in place of tanh. Source: MXNet ``mx.rnn.ConvGRUCell``.

    As in MXNet the gates are cut along the second axis, whatever the layout: ``NHWC`` does not work.

    The arguments are those of `BaseConvRNNCell`.
    """

    __init__ = _constructor("ConvGRU_")

    @property
    def state_info(self) -> list[Any]:
        """One image, the output of the step before."""
        return super().state_info[:1]

    @property
    def _gate_names(self) -> Sequence[str]:
        return GATES["gru"]

    def __call__(self, inputs: Symbol, states: Sequence[Symbol]) -> tuple[Symbol, list[Symbol]]:
        """Add one step; see `BaseRNNCell`."""
        step = self._next_step()
        i2h, h2h = self._conv_forward(inputs, states, step)
        return gru_step(step, i2h, h2h, states, self._activate)
