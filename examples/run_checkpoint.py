"""Run a checkpoint that MXNet 1.9.1 wrote, in three ways.

``python examples/run_checkpoint.py [PREFIX EPOCH]``; without arguments it takes the checkpoint of ``symjit demo``.
"""

from __future__ import annotations

import pathlib
import sys

import numpy as np

import symjit as mx


def main(prefix: str, epoch: int) -> None:
    # The short way: labels are cut off, any batch size.
    predictor = mx.Predictor.load(prefix, epoch)
    print("inputs", predictor.inputs, "outputs", predictor.outputs)
    symbol, arg_params, aux_params = mx.model.load_checkpoint(prefix, epoch)
    images = np.random.RandomState(0).randint(0, 17, size=(5, 1, 8, 8)).astype(np.float32)
    predicted = predictor(images)[0]

    # MXNet's own way, unchanged.
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=images.shape)
    executor.copy_params_from(arg_params, aux_params)
    output = executor.forward(is_train=False, data=mx.nd.array(images))[0].asnumpy()
    print("Predictor and Executor agree:", np.allclose(predicted, output, rtol=1e-5, atol=1e-6))

    # A part of the network: the features below the classifier.
    internals = symbol.get_internals()
    features = next(name for name in reversed(internals.list_outputs()) if name.startswith("flatten"))
    trunk = internals[features]
    names = trunk.list_arguments()
    inner = trunk.bind(
        mx.cpu(),
        {**{n: arg_params[n] for n in names if n != "data"}, "data": mx.nd.array(images)},
        aux_states={n: aux_params[n] for n in trunk.list_auxiliary_states()},
        grad_req="null",
    )
    print(features, inner.forward()[0].shape)


if __name__ == "__main__":
    here = pathlib.Path(mx.__file__).parent / "demo" / "digits"
    main(sys.argv[1] if len(sys.argv) > 1 else str(here), int(sys.argv[2]) if len(sys.argv) > 2 else 10)
