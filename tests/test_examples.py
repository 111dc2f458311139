"""Every example runs, and does what it says."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "examples"
QUICK = ("--steps", "2", "--epochs", "1")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "custom_optimizer.py": QUICK,
    "digits.py": (),
    "finetune.py": QUICK,
    "run_checkpoint.py": (),
    "train_digits.py": QUICK,
    "train_lstm_bucketing.py": QUICK,
}
SLOW = ("custom_optimizer.py", "finetune.py", "train_digits.py", "train_lstm_bucketing.py")  # they compile much


def run(name: str, *arguments: str, folder: pathlib.Path) -> tuple[str, str]:
    """Run an example in a folder, warnings as errors; return what it printed and logged."""
    command = [sys.executable, "-W", "error", str(FOLDER / name), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "False" not in result.stdout
    return result.stdout, result.stderr


def test_every_example_is_tested() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.py")) == sorted(ARGUMENTS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in ARGUMENTS]
)
def test_example(name: str, tmp_path: pathlib.Path) -> None:
    _, log = run(name, *ARGUMENTS[name], folder=tmp_path)
    assert ("Train-" in log) == (ARGUMENTS[name] == QUICK)


@pytest.mark.slow
def test_digits_are_learnt_and_training_resumes_with_the_same_numbers(tmp_path: pathlib.Path) -> None:
    printed, log = run("train_digits.py", folder=tmp_path)
    found = re.search(r"held-out accuracy ([0-9.]+)", printed)
    assert found and float(found[1]) > 0.98
    assert "Speed:" in log
    last = [tmp_path / f"lenet-0015.{ending}" for ending in ("params", "states")]
    wanted = [path.read_bytes() for path in last]
    for path in last:
        path.unlink()
    run("train_digits.py", "--resume", "8", folder=tmp_path)
    assert [path.read_bytes() for path in last] == wanted


@pytest.mark.slow
def test_finetuning_learns(tmp_path: pathlib.Path) -> None:
    printed, _ = run("finetune.py", folder=tmp_path)
    found = re.search(r"odd or even: ([0-9.]+)", printed)
    assert found and float(found[1]) > 0.96


@pytest.mark.slow
def test_optimizers_of_ones_own_learn_alike(tmp_path: pathlib.Path) -> None:
    printed, _ = run("custom_optimizer.py", folder=tmp_path)
    accuracies = [float(found) for found in re.findall(r"held-out accuracy ([0-9.]+)", printed)]
    assert len(accuracies) == 2 and min(accuracies) > 0.95


@pytest.mark.slow
def test_the_character_model_learns_and_writes(tmp_path: pathlib.Path) -> None:
    printed, log = run("train_lstm_bucketing.py", "--epochs", "3", folder=tmp_path)
    perplexities = [float(found) for found in re.findall(r"Train-perplexity=([0-9.]+)", log)]
    assert len(perplexities) == 3 and perplexities[2] < 0.7 * perplexities[0]
    assert "Speed:" in log
    assert len(printed.split("it writes:\n")[1].splitlines()) == 8
