"""Small models with their parameters and batches, the same in MXNet and in symjit.

Neither is imported: what builds a symbol takes the module as an argument. Parameters and batches are drawn by NumPy's
``RandomState``, which promises the same stream for a seed in every release.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tests.golden.recipe import parameters

#: How many batches make the data set of a model; training goes round and round.
BATCHES = 5

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """One batch of a model.

    Attributes:
        data: the inputs, in the order in which the module is bound to them.
        labels: the labels, likewise.
        bucket: key of the bucket; None where the model has none.
    """

    data: Arrays
    labels: Arrays
    bucket: int | None = None

    def first(self, rows: int) -> Batch:
        """Return the first rows of the batch."""
        data, labels = ({n: v[:rows] for n, v in arrays.items()} for arrays in (self.data, self.labels))
        return Batch(data, labels, self.bucket)


@dataclass(frozen=True)
class Model:
    """A network with a loss and a data set.

    Attributes:
        build: returns the symbol, from the module and the bucket's key.
        draw: returns one batch of `rows` rows, from a random state and the number of the batch.
        loss: the mean loss of a batch, from the module's first output and the batch.
        rows: rows of a batch unless a case asks for another number.
        default_bucket: the key of the largest bucket, for a model with buckets.
    """

    build: Callable[[ModuleType, int | None], Any]
    draw: Callable[[np.random.RandomState, int, int], Batch]
    loss: Callable[[np.ndarray, Batch], float]
    rows: int = 8
    default_bucket: int | None = None

    def batches(self, name: str, rows: int) -> list[Batch]:
        """Return the data set, decided by the model's name and the rows of a batch."""
        rng = np.random.RandomState(zlib.crc32(f"{name}/{rows}".encode()))
        return [self.draw(rng, rows, number) for number in range(BATCHES)]

    def initial(self, mx: ModuleType, batch: Batch) -> tuple[Arrays, Arrays]:
        """Return arguments and auxiliary states to start from, decided by their names and shapes."""
        symbol = self.build(mx, self.default_bucket)
        inputs = {n: v.shape for n, v in (batch.data | batch.labels).items()}
        shapes, _, aux_shapes = symbol.infer_shape(**inputs)
        named = {f"arg:{n}": s for n, s in zip(symbol.list_arguments(), shapes, strict=True) if n not in inputs}
        named |= {f"aux:{n}": s for n, s in zip(symbol.list_auxiliary_states(), aux_shapes, strict=True)}
        values = parameters(named)
        args = {n.partition(":")[2]: v for n, v in values.items() if n.startswith("arg:")}
        aux = {n.partition(":")[2]: v for n, v in values.items() if n.startswith("aux:")}
        return args, aux


def cross_entropy(probabilities: np.ndarray, batch: Batch) -> float:
    """Return the mean of ``-log p[label]``; of a model of sequences, over the words that are not padding (0)."""
    (label,) = batch.labels.values()
    label = label.reshape(-1).astype(int)
    chosen = probabilities.astype(np.float64)[np.arange(label.size), label]
    return float(-np.log(chosen if batch.bucket is None else chosen[label != 0]).mean())


def squared_error(prediction: np.ndarray, batch: Batch) -> float:
    """Return the mean squared difference from the label."""
    (label,) = batch.labels.values()
    return float(np.square(prediction.reshape(-1).astype(np.float64) - label).mean())


def classified(rng: np.random.RandomState, shape: tuple[int, ...], classes: int) -> Batch:
    """Return a batch of normal inputs, labelled by a fixed linear teacher so that there is something to learn."""
    x = rng.standard_normal(shape).astype(np.float32)
    teacher = np.random.RandomState(7).standard_normal((int(np.prod(shape[1:])), classes))
    label = np.argmax(x.reshape(shape[0], -1) @ teacher, axis=1)
    return Batch({"data": x}, {"softmax_label": label.astype(np.float32)})


def mlp(mx: ModuleType, bucket: int | None, bias: bool = True, multipliers: bool = False) -> Any:
    """Three layers: six parameters, more than an optimizer of MXNet updates in one call (four).

    Args:
        mx: the module to build on.
        bucket: not looked at.
        bias: False leaves matrices only, for GroupAdaGrad, which takes no vectors.
        multipliers: give some parameters rates and decays of their own, as attributes.
    """
    x = mx.sym.Variable("data")
    for number, size in enumerate((8, 7, 4), 1):
        own = {}
        if multipliers:
            weight = {1: {"lr_mult": 0.5}, 2: {"wd_mult": 3.0}, 3: {"lr_mult": 2.0, "wd_mult": 0.0}}[number]
            own = {"weight": mx.sym.Variable(f"fc{number}_weight", **weight)}
            own["bias"] = mx.sym.Variable(f"fc{number}_bias", wd_mult=1.5)
        x = mx.sym.FullyConnected(x, num_hidden=size, no_bias=not bias, name=f"fc{number}", **own)
        if number < 3:
            x = mx.sym.Activation(x, act_type="tanh", name=f"tanh{number}")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def normed(mx: ModuleType, bucket: int | None) -> Any:
    """Two layers with BatchNorm between them: the smallest network with moving averages."""
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=6, no_bias=True, name="fc1")
    x = mx.sym.BatchNorm(x, fix_gamma=False, eps=1e-3, name="bn")
    x = mx.sym.FullyConnected(mx.sym.Activation(x, act_type="tanh", name="tanh"), num_hidden=4, name="fc2")
    return mx.sym.SoftmaxOutput(x, name="softmax")


def convolutional(mx: ModuleType, bucket: int | None) -> Any:
    """Two convolutions with BatchNorm, whose gamma is trained in the first and fixed at one in the second.

    The convolutions have no bias: the gradient of a bias before BatchNorm is zero but for rounding, of which Adam
    would make a step as large as any. The activation is smooth and pooling takes means, so that nothing hangs on the
    last bit.
    """
    x = mx.sym.Variable("data")
    for number, filters in enumerate((4, 6), 1):
        x = mx.sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=filters, no_bias=True, name=f"conv{number}")
        x = mx.sym.BatchNorm(x, fix_gamma=number == 2, momentum=0.9, eps=1e-3, name=f"bn{number}")
        x = mx.sym.Activation(x, act_type="softrelu", name=f"relu{number}")
        x = mx.sym.Pooling(x, kernel=(2, 2), stride=(2, 2), pool_type="avg", name=f"pool{number}")
    x = mx.sym.FullyConnected(x, num_hidden=4, name="fc")
    return mx.sym.SoftmaxOutput(x, name="softmax")


WORDS = 10
LENGTHS = (3, 5, 7)


def language(mx: ModuleType, bucket: int | None) -> Any:
    """A language model of ``bucket`` steps: Embedding, an LSTM cell unrolled, softmax over the words, 0 is padding."""
    cell = mx.rnn.LSTMCell(num_hidden=6, prefix="lstm_")
    words = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=WORDS, output_dim=5, name="embed")
    outputs, _ = cell.unroll(bucket, inputs=words, layout="NTC", merge_outputs=True)
    x = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 6)), num_hidden=WORDS, name="pred")
    label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
    return mx.sym.SoftmaxOutput(x, label, use_ignore=True, ignore_label=0, name="softmax")


def sentences(rng: np.random.RandomState, rows: int, number: int) -> Batch:
    """Return sentences that count up from a random word, some of them shorter than the bucket.

    The buckets take turns so that the first batch is of the largest, and each comes back after another one.
    """
    length = (LENGTHS[2], LENGTHS[0], LENGTHS[1], LENGTHS[0], LENGTHS[2])[number]
    words = 1 + (rng.randint(0, WORDS - 1, (rows, 1)) + np.arange(length + 1)) % (WORDS - 1)
    ends = rng.randint(2, length + 1, rows)
    words[np.arange(length + 1) > ends[:, None]] = 0
    x = words.astype(np.float32)
    return Batch({"data": x[:, :-1]}, {"softmax_label": x[:, 1:]}, bucket=length)


USERS, ITEMS = 12, 9


def factors(mx: ModuleType, bucket: int | None) -> Any:
    """Matrix factorization: two embeddings, their inner product and a bias of the item against a score."""
    user, item = mx.sym.Variable("user"), mx.sym.Variable("item")
    left = mx.sym.Embedding(user, input_dim=USERS, output_dim=4, name="user_embed")
    right = mx.sym.Embedding(item, input_dim=ITEMS, output_dim=4, name="item_embed")
    offset = mx.sym.Embedding(item, input_dim=ITEMS, output_dim=1, name="offset")
    score = mx.sym.sum(left * right, axis=1) + mx.sym.Reshape(offset, shape=(-1,))
    return mx.sym.LinearRegressionOutput(score, mx.sym.Variable("score_label"), name="score")


def scores(rng: np.random.RandomState, rows: int, number: int) -> Batch:
    """Return pairs, some of them twice in a batch, with scores of rank one and noise."""
    user, item = rng.randint(0, USERS, rows), rng.randint(0, ITEMS, rows)
    user[1], item[1] = user[0], item[0]
    score = np.sin(user + 1.0) * np.cos(item) + 0.1 * rng.standard_normal(rows)
    data = {"user": user.astype(np.float32), "item": item.astype(np.float32)}
    return Batch(data, {"score_label": score.astype(np.float32)})


def vectors(rng: np.random.RandomState, rows: int, number: int) -> Batch:
    """Return rows of six numbers in four classes."""
    return classified(rng, (rows, 6), 4)


def images(rng: np.random.RandomState, rows: int, number: int) -> Batch:
    """Return images of one channel and 6x6 points in four classes."""
    return classified(rng, (rows, 1, 6, 6), 4)


MODELS: Mapping[str, Model] = {
    "mlp": Model(mlp, vectors, cross_entropy),
    "mlp_matrices": Model(lambda mx, bucket: mlp(mx, bucket, bias=False), vectors, cross_entropy),
    "mlp_multipliers": Model(lambda mx, bucket: mlp(mx, bucket, multipliers=True), vectors, cross_entropy),
    "normed": Model(normed, vectors, cross_entropy),
    "convolutional": Model(convolutional, images, cross_entropy),
    "language": Model(language, sentences, cross_entropy, rows=4, default_bucket=LENGTHS[2]),
    "factors": Model(factors, scores, squared_error, rows=10),
}
