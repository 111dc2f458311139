"""The handwritten digits that the other examples train on; ``python examples/digits.py`` shows what they are."""

from __future__ import annotations

import pathlib

import numpy as np

import symjit as mx

DEMO = pathlib.Path(mx.__file__).parent / "demo"
TRAIN = pathlib.Path(__file__).parent / "data" / "digits-train.npz"
HELD_OUT = DEMO / "digits-heldout.npz"


def load(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 1, 8, 8) with values 0..16 and labels (N,), both float32, in a fixed random order."""
    with np.load(path) as file:
        images, labels = file["images"], file["labels"]
    order = np.random.RandomState(0).permutation(len(images))
    return images[order, None].astype(np.float32), labels[order].astype(np.float32)


if __name__ == "__main__":
    for path in (TRAIN, HELD_OUT):
        images, labels = load(path)
        print(path.name, images.shape, "how many of each digit:", np.bincount(labels.astype(int)))
