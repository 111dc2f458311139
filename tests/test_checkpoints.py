"""Real third-party checkpoints, kept beside the repository: skipped, and said so, where they are not there."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import numpy as np
import pytest

import symjit as mx
from symjit.cli import main

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "shared" / "checkpoints"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/golden.npz"))
#: Checkpoints that compile for long; all but the first two are verified in the slow tests.
LONG = ["mobileface-v3", "mtcnn-det2", "lffd-plate-small", "mobileface-v1", "mtcnn-det4"]

needs_checkpoints = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="../shared/checkpoints is not there: real checkpoints were not verified"
)


def names(slow: list[str]) -> list[Any]:
    """Return the checkpoints as parameters, some of them marked slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in NAMES or ["none"]]


def epoch_of(name: str) -> int:
    """Return the epoch of a checkpoint's only parameter file."""
    (file,) = (FOLDER / name).glob("*.params")
    return int(re.fullmatch(rf"{name}-(\d+)\.params", file.name)[1])


@needs_checkpoints
def test_there_are_checkpoints() -> None:
    assert len(NAMES) >= 11


@needs_checkpoints
@pytest.mark.parametrize("name", names(LONG[2:]))
def test_verify(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``symjit verify`` finds every output within 1e-4 of MXNet's."""
    folder = FOLDER / name
    code = main(["verify", str(folder / name), "--epoch", str(epoch_of(name)), "--golden", str(folder / "golden.npz")])
    printed = capsys.readouterr()
    assert code == 0, printed.out + printed.err
    assert "all outputs agree" in printed.out


@needs_checkpoints
@pytest.mark.parametrize("name", names(LONG))
def test_executor_gives_the_same(name: str) -> None:
    """MXNet's own way, load_checkpoint and simple_bind, gives the same numbers as Predictor."""
    folder = FOLDER / name
    with np.load(folder / "golden.npz") as file:
        golden = {key: file[key] for key in file.files}
    symbol, args, aux = mx.model.load_checkpoint(str(folder / name), epoch_of(name))
    inputs = {key[3:]: value for key, value in golden.items() if key.startswith("in:")}
    shapes = {key: value.shape for key, value in inputs.items() if key in symbol.list_arguments()}
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", **shapes)
    executor.copy_params_from(args, aux, allow_extra_params=True)
    outputs = executor.forward(is_train=False, **{key: inputs[key] for key in shapes})
    for i, value in enumerate(outputs):
        want = golden[f"out:{i}"]
        assert np.max(np.abs(value.asnumpy() - want)) <= 1e-4 * max(np.max(np.abs(want)), 1e-30)


@needs_checkpoints
def test_unsupported_operators_are_named_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A binary network is refused with one line that names all of its operators, with counts."""
    prefix = FOLDER / "bmxnet-mnist-64" / "bmxnet-mnist-64"
    code = main(["predict", str(prefix), "--epoch", "1", "--input", "data=missing.npy"])
    printed = capsys.readouterr()
    assert code == 2
    assert len(printed.err.strip().splitlines()) == 1
    for operator in ("QConvolution", "QFullyConnected", "QActivation"):
        assert re.search(rf"{operator} x\d+", printed.err), printed.err
    assert main(["inspect", str(prefix), "--epoch", "1"]) == 0
    assert capsys.readouterr().out.count("NOT SUPPORTED") == 3


@needs_checkpoints
def test_legacy_fixtures() -> None:
    """MXNet's own old files: JSON of 0.8 with hidden states and attributes, arrays of V0."""
    symbol = mx.sym.load(str(FOLDER / "legacy-fixtures" / "save_000800.json"))
    assert len(symbol.list_auxiliary_states()) == 2
    arrays = mx.nd.load(str(FOLDER / "legacy-fixtures" / "legacy_ndarray.v0"))
    assert len(arrays) == 6
    for value in arrays:
        np.testing.assert_array_equal(value.asnumpy(), np.arange(128, dtype=np.float32))
