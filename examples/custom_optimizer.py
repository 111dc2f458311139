"""Train with an optimizer that is not part of MXNet: one's own, and the same one from optax.

The optimizer is Lion (Chen et al. 2023, https://arxiv.org/abs/2302.06675): a step of fixed length in the direction of
the sign of a moving mean of the gradients. ``python examples/custom_optimizer.py`` trains both and compares them.
"""

from __future__ import annotations

import argparse
import logging

import digits
import numpy as np
import optax

import symjit as mx

BATCH = 30
RATE = 0.001


@mx.optimizer.register
class Lion(mx.optimizer.Optimizer):
    """One's own optimizer, in NDArray code. Registered, it has a name: ``optimizer="lion"``."""

    def __init__(self, beta1: float = 0.9, beta2: float = 0.99, **kwargs) -> None:
        super().__init__(**kwargs)
        self.beta1, self.beta2 = beta1, beta2

    def create_state(self, index, weight):
        return mx.nd.zeros(weight.shape, weight.context, dtype=weight.dtype)

    def update(self, index, weight, grad, state) -> None:
        self._update_count(index)  # schedulers and multipliers go by the count of updates
        lr, wd = self._get_lr(index), self._get_wd(index)
        grad = grad * self.rescale_grad  # gradients are summed over the batch
        direction = mx.nd.sign(self.beta1 * state + (1 - self.beta1) * grad)
        weight[:] = weight - lr * (direction + wd * weight)
        state[:] = self.beta2 * state + (1 - self.beta2) * grad


def network() -> mx.sym.Symbol:
    x = mx.sym.Variable("data") / 16
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=128, name="fc1")
    x = mx.sym.Activation(x, act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10, name="fc2"), name="softmax")


def train(optimizer, optimizer_params: dict, options: argparse.Namespace) -> mx.mod.Module:
    mx.random.seed(0)  # the same first weights each time
    batches = mx.io.NDArrayIter(*digits.load(digits.TRAIN), batch_size=BATCH, last_batch_handle="discard")
    module = mx.mod.Module(network())
    module.fit(
        mx.io.ResizeIter(batches, options.steps) if options.steps else batches,
        eval_metric="acc",
        optimizer=optimizer,
        optimizer_params=optimizer_params,
        initializer=mx.init.Xavier(),
        num_epoch=options.epochs,
        batch_end_callback=mx.callback.Speedometer(BATCH, frequent=20),
    )
    return module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--steps", type=int, help="batches in an epoch, for a quick try; by default all there are")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    print("one's own:")
    own = train("lion", {"learning_rate": RATE}, options)
    print("optax.lion:")
    # An optimizer made by hand has to be told to divide the gradients by the size of the batch.
    wrapped = mx.optimizer.Optax(optax.lion(RATE, weight_decay=0), rescale_grad=1 / BATCH)
    other = train(wrapped, {}, options)

    held_out = mx.io.NDArrayIter(*digits.load(digits.HELD_OUT), batch_size=BATCH)
    for name, module in (("one's own", own), ("optax.lion", other)):
        print(f"{name:12s} held-out accuracy {module.score(held_out, 'acc')[0][1]:.4f}")
    weights = [module.get_params()[0]["fc1_weight"].asnumpy() for module in (own, other)]
    print(f"largest difference between their weights {np.abs(weights[0] - weights[1]).max():.2g}")


if __name__ == "__main__":
    main()
