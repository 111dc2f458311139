"""Sentences as numbers, and in batches of one length. MXNet: ``mx.rnn.io``."""

from __future__ import annotations

import bisect
import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from symjit import ndarray as nd
from symjit.io import DataBatch, DataDesc, DataIter

__all__ = ["BucketSentenceIter", "encode_sentences"]

_log = logging.getLogger(__name__)


def encode_sentences(
    sentences: Sequence[Sequence[Any]],
    vocab: dict[Any, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Any = "\n",
    start_label: int = 0,
    unknown_token: Any = None,
) -> tuple[list[list[int]], dict[Any, int]]:
    """Replace tokens by numbers. Source: MXNet ``mx.rnn.encode_sentences``.

    Without a vocabulary every new token gets the next number. With one, and `unknown_token`, every token that is not
    in it counts as `unknown_token`, which (as in MXNet) each time gets the next number, counted from `start_label`:
    give one vocabulary that has all tokens if the numbers have to mean one thing each.

    Args:
        sentences: lists of tokens.
        vocab: numbers by token; changed where `unknown_token` gets one.
        invalid_label: the number of `invalid_key`, which no token gets.
        invalid_key: stands in a new vocabulary for the end of a sentence.
        start_label: the first number.
        unknown_token: what stands for tokens that are not in `vocab`.

    Returns:
        The sentences as lists of numbers, and the vocabulary.

    Raises:
        AssertionError: a token is not in the given vocabulary, and there is no `unknown_token`.
    """
    new_vocab = vocab is None
    vocab = {invalid_key: invalid_label} if vocab is None else vocab
    label = start_label
    coded = []
    for sentence in sentences:
        numbers = []
        for word in sentence:
            if word not in vocab:
                if not new_vocab and not unknown_token:
                    raise AssertionError(f"Unknown token {word}: add it to the vocabulary, or give unknown_token")
                if label == invalid_label:
                    label += 1
                if unknown_token:
                    word = unknown_token
                vocab[word] = label
                label += 1
            numbers.append(vocab[word])
        coded.append(numbers)
    return coded, vocab


class BucketSentenceIter(DataIter):
    """Batches of sentences of about one length, for language models; the label of each token is the next token.

    Source: MXNet ``mx.rnn.BucketSentenceIter``. A sentence goes into the shortest bucket that it fits into, filled up
    with `invalid_label`; one that fits into none is left out, of which a logged warning tells (MXNet prints it). What
    does not fill a batch is left out too, other sentences in each epoch. Python's `random` shuffles the batches and
    ``numpy.random`` the sentences of a bucket, at the beginning and in `reset`: with both seeded as for MXNet the
    batches are MXNet's.

    Args:
        sentences: lists of numbers, as from `encode_sentences`.
        batch_size: sentences in a batch.
        buckets: lengths of buckets; if None or empty, every length that at least a batch of sentences has.
        invalid_label: the number that fills up sentences, and the label of the last token; -1 is 255 in uint8.
        data_name: name of the data.
        label_name: name of the label.
        dtype: dtype of both. `provide_data` says float32 of every one, as in MXNet.
        layout: ``NT`` for (batch, length), ``TN`` for (length, batch).

    Raises:
        ValueError: there is no bucket with sentences, one of length 0, or the layout has no batch in it.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: Sequence[int] | None = None,
        invalid_label: int = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: Any = "float32",
        layout: str = "NT",
    ) -> None:
        super().__init__()
        lengths = [len(sentence) for sentence in sentences]
        if not buckets:
            counts = np.bincount(np.asarray(lengths, np.int64))
            buckets = [length for length, count in enumerate(counts) if count >= batch_size]
        buckets = sorted(buckets)
        # Wraps around in an unsigned dtype, as MXNet's -1 does.
        self._filler = np.asarray(invalid_label).astype(dtype)
        held: list[list[np.ndarray]] = [[] for _ in buckets]
        discarded = 0
        for sentence in sentences:
            place = bisect.bisect_left(buckets, len(sentence))
            if place == len(buckets):
                discarded += 1
                continue
            row = np.full((buckets[place],), self._filler)
            row[: len(sentence)] = sentence
            held[place].append(row)
        if discarded:
            _log.warning("%d sentences are longer than the largest bucket and left out", discarded)
        self.buckets = [length for length, rows in zip(buckets, held, strict=True) if rows]
        self.data = [np.asarray(rows, dtype=dtype) for rows in held if rows]
        if not self.buckets:
            raise ValueError(
                f"BucketSentenceIter: no bucket has a sentence: {len(sentences)} sentences, batch_size={batch_size},"
                f" buckets of length {buckets}; give buckets at least as long as the sentences"
            )
        if not self.buckets[0]:
            raise ValueError("BucketSentenceIter: there is a bucket of length 0: leave empty sentences out")
        self.batch_size = batch_size
        self.data_name = data_name
        self.label_name = label_name
        self.dtype = dtype
        self.invalid_label = invalid_label
        self.nddata: list[nd.NDArray] = []
        self.ndlabel: list[nd.NDArray] = []
        self.major_axis = layout.find("N")
        self.layout = layout
        self.default_bucket_key = max(self.buckets)
        if self.major_axis not in (0, 1):
            raise ValueError(f"Invalid layout {layout}: expected NT (batch first) or TN (time first)")
        shape = (batch_size, self.default_bucket_key)[:: 1 if self.major_axis == 0 else -1]
        self.provide_data = self._described(data_name, shape)
        self.provide_label = self._described(label_name, shape)
        self.idx = [
            (place, start)
            for place, rows in enumerate(self.data)
            for start in range(0, len(rows) - batch_size + 1, batch_size)
        ]
        self.curr_idx = 0
        self.reset()

    def _described(self, name: str, shape: tuple[int, ...]) -> list[DataDesc]:
        return [DataDesc(name=name, shape=shape, layout=self.layout)]

    def reset(self) -> None:
        """Shuffle batches and sentences and begin anew."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        for rows in self.data:
            np.random.shuffle(rows)
        self.nddata, self.ndlabel = [], []
        for rows in self.data:
            labels = np.full_like(rows, self._filler)
            labels[:, :-1] = rows[:, 1:]
            self.nddata.append(nd.array(rows, dtype=self.dtype))
            self.ndlabel.append(nd.array(labels, dtype=self.dtype))

    def next(self) -> DataBatch:
        """Return the next batch, whose `bucket_key` is its length.

        Raises:
            StopIteration: there are no more.
        """
        if self.curr_idx == len(self.idx):
            raise StopIteration
        bucket, start = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (held[bucket][start : start + self.batch_size] for held in (self.nddata, self.ndlabel))
        if self.major_axis == 1:
            data, label = data.T, label.T
        return DataBatch(
            [data],
            [label],
            pad=0,
            bucket_key=self.buckets[bucket],
            provide_data=self._described(self.data_name, data.shape),
            provide_label=self._described(self.label_name, label.shape),
        )
