"""The demonstration: handwritten digits, classified by a checkpoint that MXNet 1.9.1 trained."""

from __future__ import annotations

import time
from importlib import resources

import numpy as np

from symjit.context import Context
from symjit.predictor import Predictor

__all__ = ["run"]

EPOCH = 10
_BATCH = 64
_SHOWN = 6
_INK = " .:-=+*#%@"


def run(context: Context) -> int:
    """Load, compile and classify, and print what came out.

    Returns:
        0, or 1 if the accuracy is not the one that MXNet printed.
    """
    with resources.as_file(resources.files(__name__)) as folder:
        started = time.perf_counter()
        predictor = Predictor.load(folder / "digits", EPOCH, context)
        loaded = time.perf_counter() - started
        with np.load(folder / "digits-heldout.npz", allow_pickle=False) as file:
            images, labels = file["images"], file["labels"]
            mxnet_accuracy, mxnet_output = float(file["mxnet_accuracy"]), file["mxnet_probabilities"]
    pixels = images[:, None].astype(np.float32)
    batches = [pixels[i : i + _BATCH] for i in range(0, len(images), _BATCH)]
    started = time.perf_counter()
    predictor(batches[0])
    compiled = time.perf_counter() - started
    times, outputs = [], []
    for batch in batches:
        started = time.perf_counter()
        outputs.append(predictor(batch)[0])
        times.append(time.perf_counter() - started)
    probabilities = np.concatenate(outputs)
    predicted = probabilities.argmax(axis=1)
    accuracy = float(np.mean(predicted == labels))

    print("A convolutional network that MXNet 1.9.1 trained on the UCI handwritten digits, run by symjit.\n")
    print(_drawing(images[:_SHOWN], predicted[:_SHOWN], labels[:_SHOWN]))
    print(f"held-out images          {len(images)}")
    print(f"accuracy, symjit         {accuracy:.4f}")
    print(f"accuracy, MXNet 1.9.1    {mxnet_accuracy:.4f}")
    print(f"largest difference       {np.max(np.abs(probabilities - mxnet_output)):.2g} (of the probabilities)")
    print(f"loading                  {loaded * 1e3:.0f} ms")
    print(f"compiling                {compiled * 1e3:.0f} ms")
    print(f"time per batch of {_BATCH}     {np.median(times) * 1e3:.2f} ms on {context}")
    return 0 if abs(accuracy - mxnet_accuracy) < 1e-6 else 1


def _drawing(images: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> str:
    """Return digits side by side, two characters per pixel, with their labels below."""
    ink = np.clip(images / 16 * (len(_INK) - 1), 0, len(_INK) - 1).round().astype(int)
    rows = ["   ".join("".join(_INK[value] * 2 for value in line) for line in ink[:, row]) for row in range(8)]
    notes = [f"predicted {p}" if p == t else f"predicted {p} ({t}!)" for p, t in zip(predicted, labels, strict=True)]
    return "\n".join([*rows, "", "   ".join(f"{note:16.16s}" for note in notes), ""])
