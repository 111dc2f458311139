"""Train the demonstration model with MXNet 1.9.1 and write ``symjit/demo/``.

Run in the MXNet environment (see README.md). scikit-learn is not part of it, so export the data set first, with any
Python that has scikit-learn::

    python -c "import numpy as np; from sklearn.datasets import load_digits; d = load_digits(); \
np.savez_compressed('digits.npz', images=d.images.astype('uint8'), labels=d.target.astype('uint8'))"

and then::

    python generate_digits.py digits.npz

The run is seeded. Weights are the same from run to run on one machine; another CPU may differ in the last digits,
which is why the trained file is kept rather than made again.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import mxnet as mx
import numpy as np

EPOCHS = 10
BATCH = 32
TRAIN_IMAGES = 1437
DEMO = Path(__file__).resolve().parents[2] / "symjit" / "demo"


def conv_block(data: mx.sym.Symbol, filters: int, name: str) -> mx.sym.Symbol:
    """Return convolution 3x3, BatchNorm and ReLU on top of ``data``."""
    x = mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=f"{name}_conv")
    x = mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-5, momentum=0.9, name=f"{name}_bn")
    return mx.sym.Activation(x, act_type="relu", name=f"{name}_relu")


def network() -> mx.sym.Symbol:
    """Return the classifier of 8x8 digits; the scaling of the 0..16 pixels is part of it."""
    x = mx.sym.Variable("data") / 16
    x = conv_block(x, 16, "stage1a")
    x = conv_block(x, 32, "stage1b")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max", name="pool1")
    x = conv_block(x, 48, "stage2")
    x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg", name="pool2")
    x = mx.sym.Flatten(x, name="flatten")
    x = mx.sym.Dropout(x, p=0.25, name="dropout")
    x = mx.sym.FullyConnected(x, num_hidden=10, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def main() -> None:
    """Train, save the checkpoint and write the held-out images with MXNet's answers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=Path, help="the .npz file with images (1797, 8, 8) and labels (1797,)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    with np.load(options.digits) as file:
        images, labels = file["images"], file["labels"]
    order = np.random.RandomState(2023).permutation(len(images))
    train, held_out = np.sort(order[:TRAIN_IMAGES]), np.sort(order[TRAIN_IMAGES:])
    x = images.astype(np.float32)[:, None]
    y = labels.astype(np.float32)

    mx.random.seed(7)
    np.random.seed(7)
    # 1,437 is no multiple of the batch: drop the ragged tail, so that no sample is counted twice.
    feed = mx.io.NDArrayIter(x[train], y[train], batch_size=BATCH, shuffle=True, last_batch_handle="discard")
    module = mx.mod.Module(network(), context=mx.cpu())
    steps = TRAIN_IMAGES // BATCH
    schedule = mx.lr_scheduler.CosineScheduler(max_update=EPOCHS * steps, base_lr=0.1, final_lr=0.001)
    module.fit(
        feed,
        num_epoch=EPOCHS,
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "wd": 5e-4, "lr_scheduler": schedule},
        initializer=mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2),
        eval_metric="acc",
    )
    DEMO.mkdir(parents=True, exist_ok=True)
    prefix = DEMO / "digits"
    module.save_checkpoint(str(prefix), EPOCHS)

    # Ask the saved files, not the module in memory: they are what a user has.
    symbol, arguments, auxiliary = mx.model.load_checkpoint(str(prefix), EPOCHS)
    fresh = mx.mod.Module(symbol, context=mx.cpu())
    fresh.bind(data_shapes=[("data", (len(held_out), 1, 8, 8))], for_training=False)
    fresh.set_params(arguments, auxiliary)
    fresh.forward(mx.io.DataBatch([mx.nd.array(x[held_out])]), is_train=False)
    probabilities = fresh.get_outputs()[0].asnumpy()
    accuracy = float((probabilities.argmax(axis=1) == labels[held_out]).mean())
    np.savez_compressed(
        DEMO / "digits-heldout.npz",
        images=images[held_out],
        labels=labels[held_out],
        mxnet_probabilities=probabilities,
        mxnet_accuracy=np.float64(accuracy),
    )
    print(f"held-out accuracy {accuracy:.4f} on {len(held_out)} images")


if __name__ == "__main__":
    main()
