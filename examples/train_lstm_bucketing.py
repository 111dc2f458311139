"""Train a character model on Python's own documentation, and let it write.

Lines of text differ in length. Each goes into the shortest bucket that it fits into, and BucketingModule has one
unrolled network for each bucket; all of them share their parameters.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import random
from types import ModuleType

import numpy as np

import symjit as mx

BATCH = 32
BUCKETS = [20, 40, 60, 80]
CELLS = 128
PAD = 0  # fills up the lines of a bucket; characters count from 1


def documentation() -> list[str]:
    """Return the lines of the docstrings of some modules, stripped."""
    modules: list[ModuleType] = [argparse, inspect, logging, random]
    objects = [thing for module in modules for thing in (module, *vars(module).values())]
    methods = [method for thing in objects if inspect.isclass(thing) for method in vars(thing).values()]
    texts = {thing.__doc__ for thing in objects + methods if isinstance(thing.__doc__, str)}
    lines = {line.strip() for text in texts for line in text.splitlines()}
    return sorted(line for line in lines if 4 < len(line) < max(BUCKETS))


def network(characters: int, length: int) -> mx.sym.Symbol:
    """Return the network that predicts, after each character of a line, the next one.

    Its data is (length, batch): a column is a line. That suits a recurrent network, which goes from row to row.
    """
    x = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=characters, output_dim=32, name="embed")
    cell = mx.rnn.FusedRNNCell(CELLS, num_layers=1, mode="lstm", prefix="lstm_")
    outputs, _ = cell.unroll(length, x, layout="TNC", merge_outputs=True)  # (length, batch, CELLS)
    scores = mx.sym.FullyConnected(mx.sym.reshape(outputs, (-1, CELLS)), num_hidden=characters, name="scores")
    label = mx.sym.reshape(mx.sym.Variable("softmax_label"), (-1,))
    return mx.sym.SoftmaxOutput(scores, label, use_ignore=True, ignore_label=PAD, name="softmax")


def write(module: mx.mod.BucketingModule, lines: mx.rnn.BucketSentenceIter, names: dict[int, str]) -> list[str]:
    """Return a batch of lines that the model makes up, character by character."""
    length = lines.default_bucket_key
    capitals = [number for number in names if names[number].isupper()]
    text = np.full((length, BATCH), PAD)
    text[0] = random.choices(capitals, k=BATCH)
    for place in range(1, length):
        batch = mx.io.DataBatch(
            [mx.nd.array(text)],
            [mx.nd.zeros(text.shape)],
            bucket_key=length,
            provide_data=lines.provide_data,
            provide_label=lines.provide_label,
        )
        module.forward(batch, is_train=False)
        # Squared probabilities: the likely characters become more likely.
        chances = module.get_outputs()[0].asnumpy().reshape(length, BATCH, -1)[place - 1] ** 2
        text[place] = [random.choices(range(len(row)), row)[0] for row in chances]
    return ["".join(names.get(number, "") for number in line) for line in text.T]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, help="batches in an epoch, for a quick try; by default all there are")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    random.seed(0)  # order of the batches, and what is written
    np.random.seed(0)  # order of the lines
    mx.random.seed(0)  # of the first weights

    coded, vocabulary = mx.rnn.encode_sentences(documentation(), invalid_label=PAD, start_label=1)
    lines = mx.rnn.BucketSentenceIter(coded, BATCH, buckets=BUCKETS, invalid_label=PAD, layout="TN")
    print(f"{len(coded)} lines, in buckets {[len(rows) for rows in lines.data]}, {len(vocabulary)} characters")

    module = mx.mod.BucketingModule(
        lambda length: (network(len(vocabulary), length), ("data",), ("softmax_label",)),
        default_bucket_key=lines.default_bucket_key,
    )
    module.fit(
        mx.io.ResizeIter(lines, options.steps) if options.steps else lines,
        eval_metric=mx.metric.Perplexity(ignore_label=PAD),
        optimizer="adam",
        optimizer_params={"learning_rate": 0.005},
        initializer=mx.init.Xavier(),
        num_epoch=options.epochs,
        batch_end_callback=mx.callback.Speedometer(BATCH, frequent=20),
    )
    print("it writes:")
    for line in write(module, lines, {number: name for name, number in vocabulary.items() if number != PAD})[:8]:
        print("   ", line)


if __name__ == "__main__":
    main()
