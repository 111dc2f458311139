"""The MXNet side of the fuzzer: answers requests on stdin until it ends.

Runs in the MXNet environment only. A request's header holds ``graph`` (JSON of one operator), ``wanted`` (inputs whose
gradient is asked for), ``train`` (whether a training forward is asked for as well) and ``seed`` (of the head
gradients); its arrays are the inputs in order. The answer holds an error text, or None, for each of the steps
``predict``, ``train`` and ``gradient`` that were taken, and arrays ``STEP/out:i``, ``STEP/grad:i``, ``STEP/aux:i``.
"""

import os
import resource
import sys

# Address space, bytes: an operator that asks for more than this gets an error instead of the machine's memory.
LIMIT = 8 << 30


def answer(header, inputs):
    """Return the answer to one request."""
    import mxnet as mx

    from tests.ops.single import run_graph
    from tests.oracle.protocol import head

    errors, arrays = {}, {}

    def step(name, wanted, train):
        def heads(shape, dtype, index):
            return head(header["seed"], shape, dtype, index)

        try:
            found = run_graph(mx, header["graph"], inputs, lambda count: wanted, heads, train)
        except Exception as error:  # whatever MXNet raises is its answer
            errors[name] = f"{type(error).__name__}: {error}"
            return False
        errors[name] = None
        arrays.update({f"{name}/{key}": value for key, value in found.items()})
        return True

    if step("predict", [], False) and header["train"]:
        # The outputs of a training forward come with the gradients, or alone where there are none.
        if not header["wanted"] or not step("gradient", header["wanted"], True):
            step("train", [], True)
    return errors, arrays


def main():
    """Answer until stdin ends."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # MXNet prints to stdout
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from tests.oracle.protocol import pack, unpack

    while True:
        message = unpack(sys.stdin.buffer.read)
        if message is None:
            return
        header, arrays = message
        out.write(pack(*answer(header, list(arrays.values()))))
        out.flush()


if __name__ == "__main__":
    main()
