"""Write ``networks/``: whole small networks, run by MXNet 1.9.1.

Run in the MXNet environment (see README.md): ``python generate_networks.py [name ...]``.

Every network gives ``NAME.json`` (``Symbol.tojson()``, byte for byte) and ``NAME.npz`` with these entries, float32:

- ``arg:X``, ``aux:X``: the values put in; ``head:i``: the head gradient of output i given to ``backward``
- ``out_predict:i``: outputs of ``forward(is_train=False)``; ``out_train:i``: of ``forward(is_train=True)``
- ``grad:X``: gradient of every argument that has one (labels, indices and lengths do not; nor does what only the
  branch of a cond reads that was not taken: MXNet leaves its gradient unwritten, which is to say whatever it was)
- ``new_aux:X``: auxiliary states after ``forward(is_train=True)`` and ``backward``
- ``noise``: the largest difference between this float32 run and a float64 run of the same network in MXNet, each
  array's divided by its largest absolute value (by 0.01 if that is less: some gradients are zero but for rounding).
  It is below 3e-6, so 1e-5 can be asked of a re-implementation. Where MXNet has no float64 kernel (``FLOAT32_ONLY``)
  it is the difference from a run whose float inputs are all moved by about half a unit in the last place.

The networks are in ``networks_*.py``, which take the module to build on as an argument: a re-implementation can build
them too, each under a fresh ``NameManager``, and must write the same JSON.

Inputs are drawn from ``RandomState(seed)``; the seed is the first one, counting up from the name's CRC, with which no
input of a relu, clip, abs or max pooling lies near a kink or a tie, where the gradient would hang on the last bit.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from pathlib import Path

import mxnet as mx
import networks_convolutional
import networks_sequential
import numpy as np
from network import Network

FOLDER = Path(__file__).resolve().parent / "networks"
NETWORKS = networks_convolutional.NETWORKS | networks_sequential.NETWORKS
MARGIN = 2e-4
NOISE = 3e-6
FLOAT32_ONLY = {"CTCLoss", "Crop", "InstanceNorm", "Pad", "_cond"}


def draw(name: str, shape: tuple[int, ...], rng: np.random.RandomState) -> np.ndarray:
    """Return a value for one argument or auxiliary state, scaled by what its name says it is."""
    x = rng.standard_normal(shape)
    if name.endswith("moving_var"):
        return 1 + 0.3 * np.abs(x)
    if name.endswith("gamma"):
        return (0.25 if "relu" in name else 1) + 0.1 * x
    if name.endswith(("bias", "beta", "moving_mean")):
        return 0.2 * x
    if name.endswith("parameters"):
        return 0.4 * x
    if name.endswith("weight") and len(shape) > 1:
        return x * np.sqrt(1.5 / np.prod(shape[1:]))
    return x


def values_of(network: Network, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[np.ndarray]]:
    """Return arguments, auxiliary states and head gradients, float32."""
    symbol = network.symbol
    rng = np.random.RandomState(seed)
    given = {n: np.shape(v) for n, v in network.values.items()}
    shapes, out_shapes, aux_shapes = symbol.infer_shape_partial(**{**given, **network.shapes})
    args = {}
    for name, shape in zip(symbol.list_arguments(), shapes, strict=True):
        if name in network.values:
            args[name] = np.asarray(network.values[name], np.float32)
            assert args[name].shape == shape, (name, args[name].shape, shape)
        elif name in network.labels:
            args[name] = rng.randint(0, network.labels[name], shape).astype(np.float32)
            if network.ignored is not None:
                args[name].flat[::5] = network.ignored
        else:
            args[name] = draw(name, shape, rng).astype(np.float32)
    names = symbol.list_auxiliary_states()
    aux = {n: draw(n, s, rng).astype(np.float32) for n, s in zip(names, aux_shapes, strict=True)}
    if () in out_shapes:  # a while_loop or a cond: MXNet knows after it has run
        executor = symbol.bind(mx.cpu(), {n: mx.nd.array(v) for n, v in args.items()}, grad_req="null")
        out_shapes = [out.shape for out in executor.forward()]
    heads = [rng.standard_normal(s).astype(np.float32) for s in out_shapes]
    return args, aux, heads


def prelu_slopes(symbol: mx.sym.Symbol) -> list[str]:
    """Return the variables that are the slope of a PReLU."""
    nodes = json.loads(symbol.tojson())["nodes"]
    found = [n for n in nodes if n["op"] == "LeakyReLU" and n["attrs"].get("act_type") == "prelu"]
    return [nodes[n["inputs"][1][0]]["name"] for n in found]


def run(network: Network, args: dict, aux: dict, heads: list, dtype: str) -> dict[str, np.ndarray]:
    """Run the network in both modes and return everything it computes."""
    symbol = network.symbol
    if dtype == "float64":
        # Operators that make arrays (the begin states of a cell) name their type in the graph.
        symbol = mx.sym.load_json(symbol.tojson().replace('"dtype": "float32"', '"dtype": "float64"'))

    def put(arrays: dict) -> dict:
        return {n: mx.nd.array(v, dtype=dtype) for n, v in arrays.items()}

    result = {}
    executor = symbol.bind(mx.cpu(), args=put(args), aux_states=put(aux), grad_req="null")
    for i, out in enumerate(executor.forward(is_train=False)):
        result[f"out_predict:{i}"] = out.asnumpy()

    wanted = [n for n in args if n not in network.labels and n not in network.values]
    gradients = put({n: np.full_like(args[n], np.nan) for n in wanted})
    executor = symbol.bind(mx.cpu(), args=put(args), args_grad=gradients, aux_states=put(aux))
    for i, out in enumerate(executor.forward(is_train=True)):
        result[f"out_train:{i}"] = out.asnumpy()
    executor.backward([mx.nd.array(h, dtype=dtype) for h in heads])
    for name in prelu_slopes(symbol):
        # MXNet may write PReLU's data gradient over the gradient that comes in before it has computed that of the
        # slope, which is then too small by the slope itself. Where nobody wants a data gradient it is right.
        alone = put({name: np.full_like(args[name], np.nan)})
        single = symbol.bind(mx.cpu(), args=put(args), args_grad=alone, grad_req={name: "write"}, aux_states=put(aux))
        single.forward(is_train=True)
        single.backward([mx.nd.array(h, dtype=dtype) for h in heads])
        gradients[name] = alone[name]
    for name, gradient in gradients.items():
        value = gradient.asnumpy()
        if np.isnan(value).all():
            # The argument of a branch that was not taken.
            print(f"MXNet leaves the gradient of {name} unwritten ({dtype})")
        else:
            result[f"grad:{name}"] = value
    result |= {f"new_aux:{n}": a.asnumpy() for n, a in executor.aux_dict.items()}
    return result


def second_run(network: Network, args: dict, aux: dict, heads: list, seed: int) -> dict[str, np.ndarray]:
    """Return what the rounding errors of the first run are measured against."""
    operators = {node["op"] for node in json.loads(network.symbol.tojson())["nodes"]}
    if not operators & FLOAT32_ONLY:
        return run(network, args, aux, heads, "float64")
    rng = np.random.RandomState(seed)

    def nudge(name: str, x: np.ndarray) -> np.ndarray:
        if name in network.labels or name in network.values:
            return x
        return (x * (1 + 2.0**-24 * rng.uniform(-1.5, 1.5, x.shape))).astype(np.float32)

    args = {n: nudge(n, v) for n, v in args.items()}
    return run(network, args, {n: nudge(n, v) for n, v in aux.items()}, heads, "float32")


def distance(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Return the largest difference of any array, divided by that array's largest value."""
    worst = 0.0
    for name, value in expected.items():
        assert np.isfinite(got[name]).all() and np.isfinite(value).all(), name
        worst = max(worst, float(np.abs(got[name] - value).max() / max(np.abs(value).max(), 1e-2)))
    return worst


def pooling_margin(x: np.ndarray, attrs: dict[str, str]) -> float:
    """Return the smallest gap between the two largest values of any window; windows of zeros (after a relu) pass."""
    if attrs.get("global_pool") == "True":
        return np.inf
    kernel, stride, pad = (
        [int(v) for v in attrs.get(k, default).strip("()").split(",")]
        for k, default in (("kernel", ""), ("stride", "(1, 1)"), ("pad", "(0, 0)"))
    )
    # Filling up to a whole kernel on the right covers both rounding conventions.
    fill = [(0, 0), (0, 0), *((p, p + k) for p, k in zip(pad, kernel, strict=True))]
    x = np.pad(x, fill, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    top = np.sort(windows.reshape(-1, kernel[0] * kernel[1]), axis=1)[:, -2:]
    top = top[np.isfinite(top[:, 1]) & (top[:, 1] != 0)]
    return float((top[:, 1] - top[:, 0]).min())


def kinks(op: str, attrs: dict[str, str]) -> tuple[float, ...]:
    """Return where the derivative of an operator jumps."""
    if op == "clip":
        return float(attrs["a_min"]), float(attrs["a_max"])
    if op == "smooth_l1":
        edge = float(attrs["scalar"]) ** -2
        return -edge, edge
    smooth = (op == "Activation" and attrs["act_type"] != "relu") or attrs.get("act_type") == "gelu"
    return (0.0,) if op in {"Activation", "LeakyReLU", "relu", "abs"} and not smooth else ()


def margin(network: Network, args: dict, aux: dict, train: bool) -> float:
    """Return how far the nearest input of a kinked operator is from its kink."""
    variables = {*network.symbol.list_inputs()}
    internals = mx.sym.Group([e for e in network.symbol.get_internals() if e.name not in variables])
    executor = internals.bind(
        mx.cpu(),
        args={n: mx.nd.array(v) for n, v in args.items()},
        aux_states={n: mx.nd.array(v) for n, v in aux.items()},
        grad_req="null",
    )
    values: dict[str, list[mx.nd.NDArray]] = {}
    for entry, value in zip(internals, executor.forward(is_train=train), strict=True):
        values.setdefault(entry.name, []).append(value)
    nodes = json.loads(network.symbol.tojson())["nodes"]
    nearest = np.inf
    for node in nodes:
        attrs = node.get("attrs", {})
        points = kinks(node["op"], attrs)
        pooled = attrs.get("pool_type") == "max"
        if not points and not pooled:
            continue
        source, index, *_ = node["inputs"][0]
        source = nodes[source]["name"]
        x = values[source][index].asnumpy() if source in values else args[source]
        if pooled:
            nearest = min(nearest, pooling_margin(x, attrs))
        nearest = min(nearest, *(float(np.abs(x - point).min()) for point in points), np.inf)
    return nearest


def generate(name: str) -> int:
    """Write the two files of one network and return their size."""
    with mx.name.NameManager():  # automatic names count from zero
        network = NETWORKS[name](mx)
    first = zlib.crc32(name.encode()) % 1000
    for seed in range(first, first + 1000):
        args, aux, heads = values_of(network, seed)
        nearest = min(margin(network, args, aux, train) for train in (False, True))
        if nearest < MARGIN:
            continue
        result = run(network, args, aux, heads, "float32")
        noise = distance(result, second_run(network, args, aux, heads, seed))
        if noise < NOISE:
            break
        print(f"{name}: seed {seed} has noise {noise:.1e}")
    else:
        raise RuntimeError(f"{name}: no seed keeps away from the kinks; make the network smaller")
    arrays = {f"arg:{n}": v for n, v in args.items()} | {f"aux:{n}": v for n, v in aux.items()}
    arrays |= {f"head:{i}": h for i, h in enumerate(heads)} | result
    for key, value in arrays.items():
        assert value.dtype == np.float32, (key, value.dtype)
    FOLDER.mkdir(exist_ok=True)
    files = FOLDER / f"{name}.json", FOLDER / f"{name}.npz"
    files[0].write_text(network.symbol.tojson())
    np.savez_compressed(files[1], noise=np.float64(noise), **arrays)
    size = sum(f.stat().st_size for f in files)
    print(f"{name}: seed {seed}, margin {nearest:.1e}, noise {noise:.1e}, {size / 1024:.0f} KiB")
    return size


def main() -> None:
    """Generate the networks named on the command line, or all."""
    if os.environ.get("MXNET_SUBGRAPH_BACKEND") != "NONE":
        raise SystemExit("set MXNET_SUBGRAPH_BACKEND=NONE: fused oneDNN kernels would answer instead of the operators")
    # MXNet 1.9.1 adds eight or more gradients of one value in place, and gets the sum wrong (its sum of the heads'
    # own gradients differs); a larger cap makes it add them as it adds seven.
    os.environ["MXNET_EXEC_INPLACE_GRAD_SUM_CAP"] = "1000"
    total = sum(generate(name) for name in sys.argv[1:] or NETWORKS)
    print(f"{total / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
