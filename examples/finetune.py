"""Put a new head on a network that MXNet trained, and train the head alone.

The checkpoint of ``symjit demo`` tells ten digits apart. ``python examples/finetune.py`` cuts off its last layer and
trains another one, which tells odd digits from even ones. All other parameters stay as MXNet left them.
"""

from __future__ import annotations

import argparse
import logging

import digits
import numpy as np

import symjit as mx

BATCH = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, help="batches in an epoch, for a quick try; by default all there are")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    mx.random.seed(0)  # of the first weights of the head

    symbol, arg_params, aux_params = mx.model.load_checkpoint(digits.DEMO / "digits", 10)
    print("layers:", [name for name in symbol.get_internals().list_outputs() if name.endswith("_output")])

    # The features below the old head, and a new head on them.
    features = symbol.get_internals()["flatten_output"]
    head = mx.sym.FullyConnected(features, num_hidden=2, name="parity")
    network = mx.sym.SoftmaxOutput(head, name="softmax")
    frozen = [name for name in features.list_arguments() if name != "data"]

    # The pixels' scaling is part of the network. Labels: 0 for even digits, 1 for odd ones.
    def batches(path) -> mx.io.NDArrayIter:
        images, labels = digits.load(path)
        return mx.io.NDArrayIter(images, labels % 2, batch_size=BATCH, last_batch_handle="discard")

    train = batches(digits.TRAIN)
    module = mx.mod.Module(network, fixed_param_names=frozen)
    module.fit(
        mx.io.ResizeIter(train, options.steps) if options.steps else train,
        batches(digits.HELD_OUT),
        eval_metric="acc",
        optimizer="adam",
        optimizer_params={"learning_rate": 0.01},
        initializer=mx.init.Xavier(),
        arg_params=arg_params,
        aux_params=aux_params,
        allow_missing=True,  # the new head is in no checkpoint: the initializer makes it
        num_epoch=options.epochs,
        batch_end_callback=mx.callback.Speedometer(BATCH, frequent=20),
    )
    print(f"held-out accuracy, odd or even: {module.score(batches(digits.HELD_OUT), 'acc')[0][1]:.4f}")

    # The moving statistics of BatchNorm are auxiliary states, no parameters: they go on following the data.
    trained, _ = module.get_params()
    same = all(np.array_equal(trained[name].asnumpy(), arg_params[name].asnumpy()) for name in frozen)
    print(f"the {len(frozen)} frozen parameters are unchanged: {same}")


if __name__ == "__main__":
    main()
