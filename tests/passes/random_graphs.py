"""Random image networks: what layers of real ones do to layouts, folding and sharing, in any order."""

from __future__ import annotations

from hypothesis import strategies as st

import symjit as mx
from symjit.ir.graph import Graph

#: The input of every network.
SHAPE = (2, 4, 9, 9)


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """Draw a network on ``data`` of shape `SHAPE`: layers with skips, joins and a head of some kind."""
    layers = [mx.sym.var("data")]
    for number in range(draw(st.integers(1, 7))):
        below = draw(st.sampled_from(layers[-3:]))
        layers.append(_layer(draw, below, layers, f"n{number}"))
    heads = [_head(draw, layers[-1])]
    if draw(st.booleans()):
        heads.append(draw(st.sampled_from(layers[1:])))
    return mx.sym.Group(heads).graph


def _shape(symbol: mx.sym.Symbol) -> tuple[int, ...]:
    return symbol.infer_shape(data=SHAPE)[1][0]


def _layer(draw: st.DrawFn, x: mx.sym.Symbol, layers: list[mx.sym.Symbol], name: str) -> mx.sym.Symbol:
    channels, size = _shape(x)[1], _shape(x)[2]
    kind = draw(st.sampled_from(["conv", "conv", "norm", "norm", "act", "pool", "add", "concat", "drop", "other"]))
    if kind == "conv":
        kernel = draw(st.sampled_from([1, 3] if size > 2 else [1]))
        groups = draw(st.sampled_from([g for g in (1, 2, 4) if channels % g == 0]))
        make = draw(st.sampled_from([mx.sym.Convolution, mx.sym.Convolution, mx.sym.Deconvolution]))
        return make(
            x,
            kernel=(kernel, kernel),
            pad=(draw(st.integers(0, kernel // 2)),) * 2,
            stride=(draw(st.integers(1, 2)),) * 2,
            num_filter=draw(st.sampled_from([4, 8])),
            num_group=groups,
            no_bias=draw(st.booleans()),
            name=name,
        )
    if kind == "norm":
        return mx.sym.BatchNorm(x, fix_gamma=draw(st.booleans()), eps=0.01, name=name)
    if kind == "act":
        return draw(
            st.sampled_from(
                [
                    lambda: mx.sym.Activation(x, act_type="tanh"),
                    lambda: mx.sym.LeakyReLU(x, act_type="prelu", name=name),
                    lambda: mx.sym.softmax(x, axis=1),
                    lambda: mx.sym.clip(x, a_min=-1, a_max=2),
                ]
            )
        )()
    if kind == "pool":
        return mx.sym.Pooling(
            x,
            kernel=(2, 2) if size > 1 else (1, 1),
            stride=(2, 2),
            pool_type=draw(st.sampled_from(["max", "avg"])),
            pooling_convention=draw(st.sampled_from(["valid", "full"])),
        )
    partners = [other for other in layers if _shape(other)[2:] == _shape(x)[2:]]
    if kind == "add":
        partners = [other for other in partners if _shape(other) == _shape(x)]
        return x + draw(st.sampled_from(partners))
    if kind == "concat":
        return mx.sym.Concat(x, draw(st.sampled_from(partners)), dim=1)
    if kind == "drop":
        return mx.sym.Dropout(x, p=0.5)
    return draw(
        st.sampled_from(
            [
                lambda: mx.sym.mean(x, axis=1, keepdims=True),
                lambda: mx.sym.broadcast_mul(x, mx.sym.Pooling(x, global_pool=True, pool_type="avg", kernel=(1, 1))),
                lambda: mx.sym.transpose(x, axes=(0, 1, 3, 2)),
                lambda: mx.sym.slice_axis(x, axis=1, begin=1, end=channels),
                lambda: mx.sym.InstanceNorm(x, name=name),
                lambda: mx.sym.identity(x),
            ]
        )
    )()


def _head(draw: st.DrawFn, x: mx.sym.Symbol) -> mx.sym.Symbol:
    kind = draw(st.sampled_from(["none", "dense", "pooled", "mean"]))
    if kind == "dense":
        return mx.sym.BatchNorm(mx.sym.FullyConnected(x, num_hidden=3, name="fc"), fix_gamma=False, name="last")
    if kind == "pooled":
        return mx.sym.Flatten(mx.sym.Pooling(x, global_pool=True, kernel=(1, 1), pool_type="avg"))
    return mx.sym.mean(x, axis=(2, 3)) if kind == "mean" else x
