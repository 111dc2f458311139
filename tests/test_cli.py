"""The ``symjit`` command."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import symjit as mx
from symjit.cli import main
from symjit.cli.predict import difference

#: A kind of device that this machine has not got: none has both.
ABSENT = "tpu" if mx.num_gpus() else "gpu"
DEMO = pathlib.Path(mx.__file__).resolve().parent / "demo"
PREFIX = str(DEMO / "digits")


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Return ``(exit code, standard output, standard error)``."""
    code = main(list(argv))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def golden(tmp_path: pathlib.Path) -> pathlib.Path:
    """MXNet's answers for the demonstration's images."""
    with np.load(DEMO / "digits-heldout.npz") as file:
        images, probabilities = file["images"], file["mxnet_probabilities"]
    path = tmp_path / "golden.npz"
    np.savez(path, **{"in:data": images[:40, None].astype(np.float32), "out:0": probabilities[:40]})
    return path


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "demo")
    assert code == 0
    lines = {line[:24].strip(): line[24:].strip() for line in out.splitlines()}
    assert lines["accuracy, symjit"] == lines["accuracy, MXNet 1.9.1"]
    assert float(lines["accuracy, symjit"]) > 0.98
    assert "predicted" in out and "time per batch" in out and "compiling" in out


def test_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "inspect", PREFIX, "--epoch", "10")
    assert code == 0
    assert "MXNet 1.9.1" in out and "Convolution" in out and "missing: none" in out and "left over: none" in out
    assert any(line.split()[:2] == ["data", "data"] for line in out.splitlines())
    assert any(line.split()[:2] == ["label", "softmax_label"] for line in out.splitlines())


def test_inspect_escapes_names(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    """A name in a file can not move the cursor of the terminal."""
    evil = "\x1b[2Jweight"
    net = mx.sym.FullyConnected(mx.sym.var("data"), mx.sym.var(evil), no_bias=True, num_hidden=2, name="fc\x1b[1A")
    net.save(str(tmp_path / "x-symbol.json"))
    mx.nd.save(str(tmp_path / "x-0000.params"), {"arg:left\x07over": mx.nd.ones((1,))})
    code, out, _ = run(capsys, "inspect", str(tmp_path / "x"), "--epoch", "0")
    assert code == 0 and "\x1b" not in out and "\x07" not in out
    assert repr(evil) in out and repr("left\x07over") in out


def test_inspect_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "inspect", PREFIX, "--epoch", "10", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["version"] == 10901
    assert report["parameters"]["dtypes"] == {"float32": report["parameters"]["arrays"]}
    assert report["operators"]["SoftmaxOutput"] == {"count": 1, "supported": True}
    assert [row["role"] for row in report["inputs"]] == ["data", "label"]
    assert json.loads(run(capsys, "inspect", PREFIX, "--json")[1])["epochs"] == [10]


@pytest.mark.parametrize("inputs", [1, 4])
def test_inspect_a_graph_that_can_not_run(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, inputs: int
) -> None:
    nodes = [{"op": "null", "name": f"x{i}", "inputs": []} for i in range(inputs)]
    links = [[i, 0] for i in range(inputs)]
    nodes.append({"op": "FullyConnected", "name": "fc", "attrs": {"num_hidden": "3"}, "inputs": links})
    graph = {"nodes": nodes, "arg_nodes": [], "heads": [[inputs, 0]], "attrs": {"mxnet_version": ["int", 10901]}}
    (tmp_path / "net-symbol.json").write_text(json.dumps(graph))
    code, out, err = run(capsys, "inspect", str(tmp_path / "net"))
    assert code == 0 and "FullyConnected" in out and not err


def test_verify(capsys: pytest.CaptureFixture[str], golden: pathlib.Path) -> None:
    code, out, _ = run(capsys, "verify", PREFIX, "--epoch", "10", "--golden", str(golden))
    assert code == 0 and "all outputs agree" in out and "softmax_output" in out


def test_verify_finds_a_difference(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    prefix, golden = f"{tmp_path}/net", f"{tmp_path}/golden.npz"
    mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=5, no_bias=True, name="fc").save(f"{prefix}-symbol.json")
    data, weight = (np.random.RandomState(i).uniform(size=(5, 5)).astype(np.float32) for i in range(2))
    mx.nd.save(f"{prefix}-0000.params", {"arg:fc_weight": mx.nd.array(weight)})
    answer = data @ weight.T
    answer[3, 4] += 0.01
    np.savez(golden, **{"in:data": data, "out:0": answer})
    code, out, _ = run(capsys, "verify", prefix, "--golden", golden)
    assert code == 1 and "FAIL" in out
    assert run(capsys, "verify", prefix, "--golden", golden, "--rtol", "0.1")[0] == 0


def test_difference_handles_what_is_not_finite() -> None:
    nan, inf = float("nan"), float("inf")
    assert difference(np.array([nan, inf, 1.0]), np.array([nan, inf, 1.0])) == (0.0, 0.0)
    assert difference(np.array([1.0]), np.array([nan]))[0] == inf
    assert difference(np.array([0.5, 2.0]), np.array([0.0, 2.0])) == (0.5, 0.25)


def test_predict(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, golden: pathlib.Path) -> None:
    output = tmp_path / "out.npz"
    argv = ["predict", PREFIX, "--epoch", "10", "--input", f"data={golden}", "--top", "3", "--output", str(output)]
    code, out, _ = run(capsys, *argv)
    assert code == 0
    assert "softmax_output (40, 10) float32" in out and "32 more rows" in out
    with np.load(output) as file, np.load(golden) as want:
        np.testing.assert_allclose(file["out:0"], want["out:0"], atol=1e-5)


def test_predict_reshapes_arrays(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 64), np.float32))
    code, out, _ = run(
        capsys, "predict", PREFIX, "--epoch", "10", "--input", f"data={tmp_path}/x.npy", "--shape", "2,1,8,8"
    )
    assert code == 0 and "(2, 10)" in out


def test_predict_reads_pictures(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    cv2 = pytest.importorskip("cv2")
    with np.load(DEMO / "digits-heldout.npz") as file:
        image, label = file["images"][0], int(file["labels"][0])
    cv2.imwrite(str(tmp_path / "digit.png"), image)
    code, out, _ = run(
        capsys,
        "predict", PREFIX, "--epoch", "10", "--input", f"data={tmp_path}/digit.png", "--shape", "1,1,8,8", "--top", "1",
    )  # fmt: skip
    assert code == 0
    assert f"[0] {label}:" in out


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["inspect", "no/such"], "cannot open 'no/such-symbol.json': No such file"),
        (["predict", PREFIX, "--epoch", "9", "--input", "data=x.npy"], "digits-0009.params"),
        (["predict", PREFIX, "--epoch", "10", "--input", "image=x.npy"], "no input 'image'"),
        (["predict", PREFIX, "--epoch", "10", "--input", "data=x.txt"], "expected a .npy"),
        (["predict", PREFIX, "--epoch", "10", "--input", "data=gone.npy"], "gone.npy: No such file"),
        (["predict", PREFIX, "--epoch", "10", "--input", "data=x.npy", "--shape", "a,b"], "expected numbers"),
        (["verify", PREFIX, "--epoch", "10", "--golden", f"{PREFIX}-symbol.json"], "not a NumPy"),
        (["predict", PREFIX, "--epoch", "10", "--device", ABSENT, "--input", "data=x.npy"], f"no device {ABSENT}(0)"),
    ],
)
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], argv: list[str], text: str) -> None:
    code, out, err = run(capsys, *argv)
    assert code == 2 and out == ""
    assert err.startswith("symjit: ") and text in err
    assert len(err.strip().splitlines()) == 1


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(mx.MXNetError, match="such-symbol"):
        main(["inspect", "no/such", "--debug"])


def test_wrong_shapes_name_the_operator(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 8, 8), np.float32))
    code, _, err = run(capsys, "predict", PREFIX, "--epoch", "10", "--input", f"data={tmp_path}/x.npy")
    assert code == 2 and "Convolution" in err and "(2, 3, 8, 8)" in err


def test_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "symjit", "inspect", "no/such"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
