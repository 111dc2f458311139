"""ResNet-50 of MXNet's Gluon model zoo: exported JSON, parameters by recipe, MXNet's answers."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest

import symjit as mx
from tests.compare import close
from tests.golden.recipe import draw, parameters

FOLDER = pathlib.Path(__file__).resolve().parent / "golden" / "resnet50"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A checkpoint of 100 MB, as MXNet's ``export`` leaves it."""
    folder = tmp_path_factory.mktemp("resnet50")
    shapes = json.loads((FOLDER / "resnet50_v1-shapes.json").read_text())
    mx.nd.save(str(folder / "net-0000.params"), {n: mx.nd.array(v) for n, v in parameters(shapes).items()})
    (folder / "net-symbol.json").write_bytes((FOLDER / "resnet50_v1-symbol.json").read_bytes())
    return folder / "net"


def test_predictor(prefix: pathlib.Path) -> None:
    with np.load(FOLDER / "resnet50_v1.npz") as file:
        want = file["output"]
        x = draw(str(file["input_name"]), tuple(file["input_shape"]))
    predictor = mx.Predictor.load(prefix, 0)
    assert predictor.inputs == ["data"]
    close(predictor(x)[0], want, 1e-5, "output")


@pytest.mark.slow
def test_executor(prefix: pathlib.Path) -> None:
    with np.load(FOLDER / "resnet50_v1.npz") as file:
        want = file["output"]
        x = draw(str(file["input_name"]), tuple(file["input_shape"]))
    symbol, args, aux = mx.model.load_checkpoint(str(prefix), 0)
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=x.shape)
    executor.copy_params_from(args, aux)
    close(executor.forward(data=mx.nd.array(x))[0].asnumpy(), want, 1e-5, "output")
    executor.forward()
    assert dict(executor.program.traces) == {"predict": 1}
