"""Train a small LeNet on handwritten digits, save it after each epoch, and go on from any of these checkpoints.

``python examples/train_digits.py`` trains 15 epochs. ``python examples/train_digits.py --resume 4`` goes on after the
fourth of them, with the same numbers as if it had never stopped.
"""

from __future__ import annotations

import argparse
import logging
import pathlib

import digits

import symjit as mx

BATCH = 30  # divides the 360 held-out images, so that none is counted twice


def lenet() -> mx.sym.Symbol:
    x = mx.sym.Variable("data") / 16
    for name, filters in (("conv1", 16), ("conv2", 32)):
        x = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=filters, name=name)
        x = mx.sym.Activation(x, act_type="relu")
        x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="max")
    x = mx.sym.FullyConnected(mx.sym.Flatten(x), num_hidden=128, name="fc1")
    x = mx.sym.Activation(x, act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(x, num_hidden=10, name="fc2"), name="softmax")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--steps", type=int, help="batches in an epoch, for a quick try; by default all there are")
    parser.add_argument("--prefix", default="lenet", help="path of the checkpoints, without their endings")
    parser.add_argument("--resume", type=int, default=0, metavar="EPOCH", help="go on from this checkpoint")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    mx.random.seed(0)  # of the first weights

    # `discard` leaves out what does not fill a batch.
    train = mx.io.NDArrayIter(*digits.load(digits.TRAIN), batch_size=BATCH, last_batch_handle="discard")
    held_out = mx.io.NDArrayIter(*digits.load(digits.HELD_OUT), batch_size=BATCH)
    if options.steps:
        train = mx.io.ResizeIter(train, options.steps)

    arg_params = aux_params = None
    if options.resume:
        module = mx.mod.Module.load(options.prefix, options.resume, load_optimizer_states=True)
        arg_params, aux_params = module.get_params()
    else:
        module = mx.mod.Module(lenet())

    module.fit(
        train,
        held_out,
        eval_metric="acc",
        optimizer="sgd",
        optimizer_params={
            "learning_rate": 0.05,
            "momentum": 0.9,
            "wd": 1e-4,
            # The rate is a tenth after 470 steps, those before the checkpoint included.
            "lr_scheduler": mx.lr_scheduler.FactorScheduler(step=470, factor=0.1, base_lr=0.05),
        },
        initializer=mx.init.Xavier(),
        arg_params=arg_params,
        aux_params=aux_params,
        force_init=True,
        begin_epoch=options.resume,
        num_epoch=options.epochs,
        batch_end_callback=mx.callback.Speedometer(BATCH, frequent=20),
        epoch_end_callback=mx.callback.module_checkpoint(module, options.prefix, save_optimizer_states=True),
    )
    print(f"held-out accuracy {module.score(held_out, 'acc')[0][1]:.4f}")
    print("checkpoint", pathlib.Path(f"{options.prefix}-{options.epochs:04d}.params").resolve())


if __name__ == "__main__":
    main()
