"""Write ``resnet50/``: ResNet-50 v1 of MXNet 1.9.1's Gluon model zoo, and its answers with parameters by recipe.

Run in the MXNet environment (see README.md): ``python generate_resnet50.py``.

- ``resnet50_v1-symbol.json``: as ``HybridBlock.export`` writes it
- ``resnet50_v1-shapes.json``: shape of each array of the checkpoint, under ``arg:NAME`` and ``aux:NAME``;
  ``recipe.parameters`` makes the arrays out of it
- ``resnet50_v1.npz``: ``input_name`` and ``input_shape`` (the input is ``recipe.draw(name, shape)``), ``output``
  (2, 1000) float32 of ``forward(is_train=False)``, and ``noise``, the largest difference of ``output`` from a float64
  run in MXNet, divided by the largest value
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import mxnet as mx
import numpy as np
from recipe import draw, parameters

FOLDER = Path(__file__).resolve().parent / "resnet50"
INPUT_NAME, INPUT_SHAPE = "resnet50_v1_input", (2, 3, 224, 224)


def export() -> dict[str, tuple[int, ...]]:
    """Write the symbol and return the shapes of the checkpoint."""
    with mx.name.NameManager():
        net = mx.gluon.model_zoo.vision.resnet50_v1(pretrained=False, prefix="resnetv10_")
    net.initialize()
    net.hybridize()
    net(mx.nd.zeros((1, *INPUT_SHAPE[1:])))
    with TemporaryDirectory() as folder:
        prefix = Path(folder) / "resnet50_v1"
        net.export(str(prefix), epoch=0)
        symbol = (Path(folder) / "resnet50_v1-symbol.json").read_text()
        arrays = mx.nd.load(f"{prefix}-0000.params")
    (FOLDER / "resnet50_v1-symbol.json").write_text(symbol)
    return {name: arrays[name].shape for name in sorted(arrays)}


def run(shapes: dict[str, tuple[int, ...]], dtype: str) -> np.ndarray:
    """Return the outputs in predict mode."""
    symbol = mx.sym.load(str(FOLDER / "resnet50_v1-symbol.json"))
    arrays = {n: mx.nd.array(v, dtype=dtype) for n, v in parameters(shapes).items()}
    held = {kind: {n[4:]: v for n, v in arrays.items() if n.startswith(kind)} for kind in ("arg:", "aux:")}
    held["arg:"]["data"] = mx.nd.array(draw(INPUT_NAME, INPUT_SHAPE), dtype=dtype)
    executor = symbol.bind(mx.cpu(), args=held["arg:"], aux_states=held["aux:"], grad_req="null")
    return executor.forward(is_train=False)[0].asnumpy()


def main() -> None:
    """Write all files."""
    if os.environ.get("MXNET_SUBGRAPH_BACKEND") != "NONE":
        raise SystemExit("set MXNET_SUBGRAPH_BACKEND=NONE: fused oneDNN kernels would answer instead of the operators")
    FOLDER.mkdir(exist_ok=True)
    shapes = export()
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(shape)}" for name, shape in shapes.items())
    (FOLDER / "resnet50_v1-shapes.json").write_text(f"{{\n{lines}\n}}\n")
    output, exact = run(shapes, "float32"), run(shapes, "float64")
    noise = float(np.abs(output - exact).max() / np.abs(exact).max())
    np.savez_compressed(
        FOLDER / "resnet50_v1.npz",
        input_name=np.str_(INPUT_NAME),
        input_shape=np.array(INPUT_SHAPE),
        output=output,
        noise=np.float64(noise),
    )
    print(f"{len(shapes)} arrays, outputs of standard deviation {output.std():.3f}, noise {noise:.1e}")


if __name__ == "__main__":
    main()
