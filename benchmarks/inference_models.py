"""The networks that ``inference.py`` times, made by MXNet 1.9.1: checkpoint, inputs, its outputs, and ONNX.

``PATH_OF_MXNETS_PYTHON benchmarks/inference_models.py FOLDER [--checkpoints DIR] [--models a,b] [--batch 1,8]``

It runs in the interpreter that has MXNet 1.9.1 (and, for ONNX, ``onnx<1.15``), so it imports nothing of symjit. For
every network it leaves in FOLDER ``NAME-symbol.json`` and ``NAME-0000.params``, and for every batch size
``NAME-bN.npz`` (arrays ``in:<input>`` and ``out:<i>``), ``NAME-bN.onnx`` and ``NAME-bN.json``, which holds the paths
and, where the export failed, why. What is there already is kept.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import zlib
from typing import Any

# The answers that the others are compared with are those of the plain operators: fusion is wrong on some networks.
os.environ["MXNET_SUBGRAPH_BACKEND"] = "NONE"

import mxnet as mx
import numpy as np

#: Networks of Gluon's model zoo: our name, the zoo's name, the side of the picture.
ZOO = {
    "resnet18": ("resnet18_v1", 224),
    "resnet50": ("resnet50_v1", 224),
    "vgg16": ("vgg16", 224),
    "mobilenet": ("mobilenet1.0", 224),
    "squeezenet": ("squeezenet1.0", 224),
    "inception-v3": ("inceptionv3", 299),
    "densenet121": ("densenet121", 224),
}
#: Checkpoints of other people: our name, the epoch of the file, the shape of one row of the data.
CHECKPOINTS = {
    "mobileface-v1": (0, (1, 112, 112)),
    "lffd-plate-small": (0, (3, 160, 192)),
}
MLP, LSTM = "mlp", "lstm"
#: Batch sizes of a network, where they are not `BATCHES`.
OWN_BATCHES = {LSTM: (1, 32), MLP: (1, 64)}
BATCHES = (1, 8)
MLP_LAYERS = (784, 128, 64, 10)
VOCABULARY, WIDTH, STEPS, LAYERS = 2000, 200, 35, 2


def seed(name: str) -> np.random.RandomState:
    """Return the random numbers of a network: the same in every run."""
    return np.random.RandomState(zlib.crc32(name.encode()))


def make_zoo(name: str, prefix: str) -> None:
    """Write a network of the zoo with random weights that keep activations finite.

    Moving statistics come from a batch and are then perturbed, and so are scales and shifts, so that folding a
    BatchNorm has something to get wrong.
    """
    kind, side = ZOO[name]
    rng = seed(name)
    mx.random.seed(1)
    net = mx.gluon.model_zoo.vision.get_model(kind)
    net.initialize(mx.init.MSRAPrelu(slope=0))
    net.hybridize()
    data = mx.nd.array(rng.standard_normal((4, 3, side, side)))
    net(data[:1]).wait_to_read()
    parameters = net.collect_params()
    states = [p for p in parameters.values() if p.name.endswith(("running_mean", "running_var"))]
    for p in parameters.values():
        if p.name.endswith("gamma"):
            p.set_data(mx.nd.array(rng.uniform(0.5, 1.5, p.shape)))
        elif p.name.endswith(("beta", "bias")):
            p.set_data(mx.nd.array(rng.normal(0, 0.1, p.shape)))
        elif p in states:
            p.set_data(mx.nd.zeros(p.shape))
    if states:
        with mx.autograd.record():
            found = net(data)
        found.backward()  # MXNet updates the moving statistics here
        # The states were zero and the momentum is 0.9, so they hold a tenth of the batch's statistics.
        for p in states:
            value = p.data().asnumpy() * 10
            if p.name.endswith("var"):
                value = value * rng.uniform(0.7, 1.4, p.shape) + 1e-3
            else:
                value = value + rng.normal(0, 0.1, p.shape)
            p.set_data(mx.nd.array(value))
    net.export(prefix)


def make_symbol(symbol: Any, prefix: str, name: str, **shapes: tuple[int, ...]) -> None:
    """Write a network that is given as a Symbol, with random weights of a sensible scale."""
    rng = seed(name)
    params = {}
    for argument, shape in zip(symbol.list_arguments(), symbol.infer_shape(**shapes)[0], strict=True):
        if argument in shapes:
            continue
        fan = WIDTH if "rnn" in argument else shape[-1]
        scale = 0.1 if argument.endswith("bias") else 1 / math.sqrt(fan)
        params[f"arg:{argument}"] = mx.nd.array(rng.normal(0, scale, shape))
    symbol.save(f"{prefix}-symbol.json")
    mx.nd.save(f"{prefix}-0000.params", params)


def mlp() -> Any:
    """Return a network of fully connected layers."""
    x = mx.sym.var("data")
    for i, width in enumerate(MLP_LAYERS[1:], 1):
        x = mx.sym.FullyConnected(x, num_hidden=width, name=f"fc{i}")
        x = mx.sym.Activation(x, act_type="relu", name=f"relu{i}") if width != MLP_LAYERS[-1] else x
    return mx.sym.softmax(x, name="softmax")


def lstm() -> Any:
    """Return a language model: embedding, the fused LSTM, a fully connected layer over the vocabulary."""
    x = mx.sym.Embedding(mx.sym.var("data"), input_dim=VOCABULARY, output_dim=WIDTH, name="embed")
    x = mx.sym.swapaxes(x, dim1=0, dim2=1)
    states = {"state": mx.sym.var("state"), "state_cell": mx.sym.var("state_cell")}
    sizes = {"mode": "lstm", "state_size": WIDTH, "num_layers": LAYERS}
    # The exporter takes no RNN that keeps its last states to itself.
    x = mx.sym.RNN(x, mx.sym.var("rnn_parameters"), **states, **sizes, state_outputs=True, name="rnn")[0]
    x = mx.sym.reshape(x, shape=(-1, WIDTH))
    return mx.sym.FullyConnected(x, num_hidden=VOCABULARY, name="decoder")


def input_shapes(name: str, batch: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's inputs."""
    if name in ZOO:
        return {"data": (batch, 3, ZOO[name][1], ZOO[name][1])}
    if name in CHECKPOINTS:
        return {"data": (batch, *CHECKPOINTS[name][1])}
    if name == MLP:
        return {"data": (batch, MLP_LAYERS[0])}
    state = (LAYERS, batch, WIDTH)
    return {"data": (batch, STEPS), "state": state, "state_cell": state}


def make_inputs(name: str, batch: int) -> dict[str, np.ndarray]:
    """Return the inputs of a network."""
    rng = seed(f"{name} {batch}")
    inputs = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in input_shapes(name, batch).items()}
    if name == LSTM:
        inputs["data"] = rng.randint(0, VOCABULARY, inputs["data"].shape).astype(np.float32)
    return inputs


def run(prefix: str, epoch: int, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return MXNet's outputs."""
    symbol, args, aux = mx.model.load_checkpoint(prefix, epoch)
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", **{n: x.shape for n, x in inputs.items()})
    executor.copy_params_from(args, aux, allow_extra_params=True)
    found = executor.forward(is_train=False, **{n: mx.nd.array(x) for n, x in inputs.items()})
    return [x.asnumpy() for x in found]


def export(prefix: str, epoch: int, inputs: dict[str, np.ndarray], path: str) -> str | None:
    """Write the model as ONNX with MXNet's exporter; return why that failed, or None."""
    try:
        import onnx
        from mxnet import onnx as exporter

        # With a path the exporter reads the file itself and knows old ones less well.
        symbol, args, aux = mx.model.load_checkpoint(prefix, epoch)
        exporter.export_model(
            symbol, {**args, **aux}, [x.shape for x in inputs.values()], np.float32, path, run_shape_inference=False
        )
        model = onnx.load(path)
        # The exporter lists weights as inputs too. onnxruntime folds and fuses only what can not be fed.
        weights = {x.name for x in model.graph.initializer}
        # It writes operators of set 13, whatever newer set the installed onnx has made it declare.
        model.opset_import[0].version = min(13, model.opset_import[0].version)
        kept = [x for x in model.graph.input if x.name not in weights]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        onnx.save(model, path)
        return None
    except Exception as error:  # whatever the exporter can not do is a row of the table, not the end of the run
        if os.path.exists(path):
            os.remove(path)
        text = str(error).strip().splitlines()
        return f"{type(error).__name__}: {text[0] if text else ''}"[:120]


def make(name: str, batch: int, folder: str, checkpoints: str | None) -> dict[str, Any] | None:
    """Make what is missing of one network at one batch size and return its description."""
    epoch = 0
    if name in CHECKPOINTS:
        if checkpoints is None:
            return None
        epoch = CHECKPOINTS[name][0]
        prefix = os.path.join(os.path.abspath(checkpoints), name, name)
    else:
        prefix = os.path.join(folder, name)
    if name in ZOO and not os.path.exists(f"{prefix}-0000.params"):
        make_zoo(name, prefix)
    elif name in (MLP, LSTM) and not os.path.exists(f"{prefix}-0000.params"):
        make_symbol({MLP: mlp, LSTM: lstm}[name](), prefix, name, **input_shapes(name, 1))
    stem = os.path.join(folder, f"{name}-b{batch}")
    if os.path.exists(f"{stem}.json"):
        with open(f"{stem}.json") as file:
            return json.load(file)
    inputs = make_inputs(name, batch)
    outputs = run(prefix, epoch, inputs)
    if not all(np.isfinite(x).all() for x in outputs):
        raise SystemExit(f"{name}: MXNet's outputs are not finite")
    np.savez(
        f"{stem}.npz", **{f"in:{n}": x for n, x in inputs.items()}, **{f"out:{i}": x for i, x in enumerate(outputs)}
    )
    failure = export(prefix, epoch, inputs, f"{stem}.onnx")
    described = {
        "name": name,
        "batch": batch,
        "prefix": prefix,
        "epoch": epoch,
        "arrays": f"{stem}.npz",
        "onnx": None if failure else f"{stem}.onnx",
        "not exported": failure,
    }
    with open(f"{stem}.json", "w") as file:
        json.dump(described, file, indent=1)
    return described


def main() -> None:
    """Make the networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--checkpoints")
    parser.add_argument("--models", default=",".join([*ZOO, *CHECKPOINTS, LSTM, MLP]))
    parser.add_argument("--batch", help="batch sizes for all networks, as 1,8")
    chosen = parser.parse_args()
    folder = os.path.abspath(chosen.folder)
    os.makedirs(folder, exist_ok=True)
    for name in chosen.models.split(","):
        own = OWN_BATCHES.get(name, BATCHES)
        for batch in map(int, chosen.batch.split(",")) if chosen.batch else own:
            found = make(name, batch, folder, chosen.checkpoints)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
