"""The benchmarks run, compare and write their page; with symjit alone, so without ratios."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import symjit as mx

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "benchmarks" / "inference.py"
WIDTHS = (12, 8, 4)


def write_mlp(folder: pathlib.Path) -> None:
    """Write the checkpoint, inputs, NumPy's outputs and the description that MXNet would have written."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((3, WIDTHS[0]), dtype=np.float32)
    symbol, wanted, params = mx.sym.var("data"), data, {}
    for i, (width, before) in enumerate(zip(WIDTHS[1:], WIDTHS, strict=False)):
        weight, bias = rng.standard_normal((width, before), dtype=np.float32), np.full(width, 0.5, np.float32)
        params |= {f"arg:fc{i}_weight": mx.nd.array(weight), f"arg:fc{i}_bias": mx.nd.array(bias)}
        symbol = mx.sym.Activation(mx.sym.FullyConnected(symbol, num_hidden=width, name=f"fc{i}"), act_type="relu")
        wanted = np.maximum(wanted @ weight.T + bias, 0)
    prefix = str(folder / "mlp")
    symbol.save(f"{prefix}-symbol.json")
    mx.nd.save(f"{prefix}-0000.params", params)
    np.savez(f"{prefix}-b3.npz", **{"in:data": data, "out:0": wanted})  # pyright: ignore[reportArgumentType]
    case = {"name": "mlp", "batch": 3, "prefix": prefix, "epoch": 0, "arrays": f"{prefix}-b3.npz"}
    (folder / "mlp-b3.json").write_text(json.dumps({**case, "onnx": None, "not exported": "nobody tried"}))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="holding a process to a core is Linux's")
def test_inference_with_symjit_alone(tmp_path: pathlib.Path) -> None:
    write_mlp(tmp_path)
    page = tmp_path / "page.md"
    options = "--models mlp --batch 3 --cores 1 --rounds 2 --seconds 0.01".split()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--work", str(tmp_path), "--write", str(page), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert (row["name"], row["batch"], row["cores"]) == ("mlp", 3, 1)
    ours = row["results"]["symjit"]
    assert ours["ms"] > 0
    assert ours["error"] < 1e-6
    assert row["results"]["onnxruntime"] == {"failed": "not exported: nobody tried"}
    text = page.read_text()
    assert "There was no peer." in text
    assert "- mlp b3: onnxruntime: not exported: nobody tried" in text


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="holding a process to a core is Linux's")
def test_training_with_symjit_alone(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Benchmarks\n\n## Inference\n\nkept\n")
    script = SCRIPT.with_name("train.py")
    options = f"--only MLP --cores 1 --rounds 2 --write {page}".split()
    done = subprocess.run(
        [sys.executable, str(script), *options], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("# Benchmarks\n\n## Inference\n\nkept\n\n## Training\n")
    assert f"symjit {mx.__version__}" in text
    assert "| MLP b64 | - |" in text


def test_sections(tmp_path: pathlib.Path, beside: None) -> None:
    """A section takes the place of its predecessor, and leaves the others alone."""
    from page import write_section  # pyright: ignore[reportMissingImports]

    path = tmp_path / "page.md"
    for text in ("## A\n\none\n\n### A1\n", "## B\n\ntwo\n", "## A\n\nthree\n\n"):
        write_section(str(path), text)
    assert path.read_text() == "# Benchmarks\n\n## A\n\nthree\n\n## B\n\ntwo\n"


def test_report_of_training(beside: None) -> None:
    import train  # pyright: ignore[reportMissingImports]

    def row(name: str, cores: int, ratio: float) -> dict:
        ms = {"symjit": 2.0, "MXNet": 2 * ratio}
        return {"name": name, "cores": cores, "ms": ms, "peer": "MXNet", "ratio": ratio, "apart": 0.0}

    text = train.render([row("a", 1, 4.0), row("b", 1, 1.0), row("a", 2, 0.5), row("b", 2, 0.5)], {"MXNet": "1.9.1"})
    assert "| a | 4.00 (MXNet) | 0.50 (MXNet) |" in text
    assert "| geometric mean | 2.00 | 0.50 |" in text
    assert "| worst | 1.00 | 0.50 |" in text
    assert "| a | 2 | 8 | 2 | 1 |" in text
    assert "Versions: MXNet 1.9.1." in text


def test_report(beside: None) -> None:
    """Ratios are over the fastest peer whose outputs are right."""
    import inference_report as report  # pyright: ignore[reportMissingImports]

    def row(name: str, cores: int, wrong: float, other: float, ours: float) -> dict:
        results = {
            "MXNet": {"ready": "1.9.1", "ms": wrong, "error": 0.5},
            "onnxruntime": {"ready": "1.31.1", "ms": other, "error": 1e-6},
            "symjit": {"ready": "0", "ms": ours, "error": 1e-6},
        }
        return {"name": name, "batch": 1, "cores": cores, "results": results}

    rows = [row("a", 1, 1.0, 4.0, 2.0), row("a", 2, 1.0, 4.0, 8.0)]
    assert [report.ratio(r) for r in rows] == [2.0, 0.5]
    assert report.peer(rows[0]) == ("onnxruntime", 4.0)
    wrong = row("b", 1, 1.0, 4.0, 2.0)
    wrong["results"]["symjit"]["error"] = 1e-3
    assert report.ratio(wrong) is None
    text = report.render(rows, [{"cores": 1, "seconds": {"symjit, warm cache": 0.5}}])
    assert "| all | 2 of 2 | 1.00 | 0.50 (a, batch 1, 2 cores) |" in text
    assert "| a, batch 1 | 2.00 (onnxruntime) | 0.50 (onnxruntime) |" in text
    assert "- a b1: MXNet: outputs differ from MXNet's by 5.0e-01, so its time does not count" in text
    assert "1.000*" in text
    assert "| symjit, warm cache | 0.50 |" in text
