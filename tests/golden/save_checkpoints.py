"""Save checkpoints with symjit, for ``read_back.py`` to run in MXNet 1.9.1.

Run where symjit is installed, from the repository's root: ``python tests/golden/save_checkpoints.py FOLDER``. Then, in
the MXNet environment: ``python tests/golden/read_back.py FOLDER``. The result is recorded in README.md.
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np

import symjit as mx

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))


def save(
    folder: pathlib.Path,
    name: str,
    symbol: mx.Symbol,
    args: dict[str, np.ndarray],
    aux: dict[str, np.ndarray],
    inputs: dict[str, np.ndarray],
) -> None:
    """Save one checkpoint with symjit's outputs beside it."""
    held = {n: mx.nd.from_numpy(v) for n, v in args.items()}
    states = {n: mx.nd.from_numpy(v) for n, v in aux.items()}
    given = {n: mx.nd.from_numpy(v) for n, v in inputs.items()}
    outputs = symbol.bind(mx.cpu(), {**held, **given}, grad_req="null", aux_states=states).forward()
    mx.model.save_checkpoint(folder / name, 1, symbol, held, states)
    arrays = {f"in:{n}": v for n, v in inputs.items()}
    arrays.update({f"out:{i}": v.asnumpy() for i, v in enumerate(outputs)})
    np.savez(folder / f"{name}-0001.npz", **arrays)
    print(f"{name}: {len(held)} arguments, {len(states)} states, {len(outputs)} outputs")


def built_here() -> mx.Symbol:
    """Return a network that symjit composes itself."""
    x = mx.sym.var("data")
    for i, (filters, stride) in enumerate([(8, 1), (16, 2)]):
        y = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), stride=(stride, stride), num_filter=filters, no_bias=True)
        y = mx.sym.Activation(mx.sym.BatchNorm(y, fix_gamma=False), act_type="relu", name=f"act{i}")
        x = mx.sym.concat(y, y * 0.5 + 1, dim=1)
    x = mx.sym.Pooling(x, global_pool=True, pool_type="avg", kernel=(1, 1))
    return mx.sym.softmax(mx.sym.FullyConnected(x, num_hidden=5, name="fc"))


def main(folder: pathlib.Path) -> None:
    """Save every golden network, a new one, and ResNet-50."""
    from tests.golden.recipe import draw, parameters

    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((HERE / "networks").glob("*.json")):
        symbol = mx.sym.load(str(path))
        if symbol.graph.unsupported():
            continue
        with np.load(path.with_suffix(".npz")) as file:
            golden = {key: file[key] for key in file.files}
        args = {n: golden[f"arg:{n}"] for n in symbol.list_arguments()}
        inputs = {n: args.pop(n) for n in list(args) if n == "data" or "label" in n or f"grad:{n}" not in golden}
        save(folder, path.stem, symbol, args, {n: golden[f"aux:{n}"] for n in symbol.list_auxiliary_states()}, inputs)

    symbol, shape = built_here(), (2, 3, 9, 9)
    arg_shapes, _, aux_shapes = symbol.infer_shape(data=shape)
    args = {n: draw(n, s) for n, s in zip(symbol.list_arguments(), arg_shapes, strict=True)}
    aux = {n: draw(n, s) for n, s in zip(symbol.list_auxiliary_states(), aux_shapes, strict=True)}
    save(folder, "built_here", symbol, args, aux, {"data": args.pop("data")})

    shapes = json.loads((HERE / "resnet50" / "resnet50_v1-shapes.json").read_text())
    values = parameters(shapes)
    save(
        folder,
        "resnet50",
        mx.sym.load(str(HERE / "resnet50" / "resnet50_v1-symbol.json")),
        {n[4:]: v for n, v in values.items() if n.startswith("arg:")},
        {n[4:]: v for n, v in values.items() if n.startswith("aux:")},
        {"data": draw("data", (1, 3, 224, 224))},
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python save_checkpoints.py FOLDER")
    main(pathlib.Path(sys.argv[1]))
