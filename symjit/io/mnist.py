"""``MNISTIter``: batches of images in idx files."""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from collections.abc import Iterator
from math import prod
from typing import Any, BinaryIO, cast

import numpy as np

from symjit.base import MXNetError
from symjit.context import Context
from symjit.files import recognized, unreadable
from symjit.io.batches import DataBatch
from symjit.io.loading import MXDataIter, given
from symjit.ndarray.creation import placed
from symjit.ndarray.mapped import fresh

__all__ = ["MNISTIter"]

_GZIP = b"\x1f\x8b"
# Deflate makes at most this many bytes of one, so a longer claim is a lie and nothing is allocated for it.
_MOST_FROM_ONE = 1032


class MNISTIter(MXDataIter):
    """Iterate over images and labels in idx files, as MNIST has them. Source: MXNet ``mx.io.MNISTIter``.

    Images are float32 in [0, 1): bytes divided by 256. Examples that do not fill a batch are dropped.

    Args:
        image: file of the images, (n, rows, columns) bytes.
        label: file of the labels, (n,) bytes.
        batch_size: number of examples in a batch.
        shuffle: whether to shuffle, once, when the iterator is made; all epochs have this order.
        flat: whether a batch is ``(batch_size, rows * columns)``, instead of ``(batch_size, 1, rows, columns)``.
        seed: of the shuffling; the order is the one that MXNet makes of it.
        silent: whether to log nothing.
        num_parts: cut the examples into so many parts.
        part_index: the part that is read.
        prefetch_buffer: taken and not used: `PrefetchingIter` loads ahead.
        ctx: taken and not used: batches are on ``mx.cpu()``.
        dtype: None or ``float32``.
        data_name: name of the input.
        label_name: name of the label.
        **unknown: other parameters are ignored, as in MXNet.

    Raises:
        MXNetError: a parameter is wrong; a file can not be read, is no idx file, ends too early, or claims more than it
            can hold; there are fewer labels than images, or fewer images than a batch has.

    Deviations from MXNet: the files may be compressed by gzip. Logging goes to Python's ``logging``.
    """

    def __init__(
        self,
        *,
        image: Any = "./train-images-idx3-ubyte",
        label: Any = "./train-labels-idx1-ubyte",
        batch_size: Any = 128,
        shuffle: Any = True,
        flat: Any = False,
        seed: Any = 0,
        silent: Any = False,
        num_parts: Any = 1,
        part_index: Any = 0,
        prefetch_buffer: Any = 4,
        ctx: Any = "cpu",
        dtype: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **unknown: Any,
    ) -> None:
        self._size, mixed, self._flat, seed, quiet, parts, part, _, dtype = given(
            "MNISTIter",
            batch_size=batch_size,
            shuffle=shuffle,
            flat=flat,
            seed=seed,
            silent=silent,
            num_parts=num_parts,
            part_index=part_index,
            prefetch_buffer=prefetch_buffer,
            dtype=dtype,
        )
        if dtype not in (None, "float32"):
            raise MXNetError(f"MNISTIter: dtype {dtype} is not supported: expected float32")
        if part >= parts:
            raise MXNetError(f"MNISTIter: part_index: expected less than num_parts = {parts}, got {part}")
        self._images = _read(os.fspath(image), 3, part, parts)
        self._labels = _read(os.fspath(label), 1, part, parts)
        if len(self._labels) != len(self._images):
            raise MXNetError(
                f"MNISTIter: expected as many labels as images, got {len(self._images)} images in {image!r} and "
                f"{len(self._labels)} labels in {label!r}"
            )
        if mixed:
            order = _shuffled(len(self._images), seed)
            self._images, self._labels = self._images[order], self._labels[order]
        self._at = 0
        super().__init__(data_name, label_name)
        if not quiet:
            logging.info(
                "MNISTIter: load %d images, shuffle=%d, shape=%s",
                len(self._images),
                mixed,
                self.provide_data[0].shape,
            )

    def _nothing(self) -> str:
        return f"{len(self._images)} images are fewer than batch_size = {self._size}"

    def _rewind(self) -> None:
        self._at = 0

    def _load(self) -> DataBatch | None:
        start, stop = self._at, self._at + self._size
        if stop > len(self._images):
            return None
        self._at = stop
        rows, columns = self._images.shape[1:]
        data = fresh((self._size, rows * columns) if self._flat else (self._size, 1, rows, columns), np.float32)
        np.multiply(self._images[start:stop].reshape(data.shape), np.float32(1 / 256), out=data)
        arrays = [data, self._labels[start:stop].astype(np.float32)]
        data, label = placed(arrays, Context("cpu"), owned=True)
        return DataBatch([data], [label], pad=0, index=np.zeros(self._size, np.uint64))  # MXNet does not number them


def _read(path: str, axes: int, part: int, parts: int) -> np.ndarray:
    """Return a part of the unsigned bytes in an idx file of so many axes."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if not packed:
                return _read_from(file, path, axes, part, parts, size, size)
            with gzip.open(file) as inside:
                return _read_from(cast(BinaryIO, inside), path, axes, part, parts, size * _MOST_FROM_ONE, size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise MXNetError(f"{path}: the gzip data is damaged or ends too early: {error}") from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def _read_from(file: BinaryIO, path: str, axes: int, part: int, parts: int, most: int, size: int) -> np.ndarray:
    head = file.read(4 + 4 * axes)
    magic = bytes([0, 0, 8, axes])
    if head[:4] != magic:
        what, advice = recognized(head) or (f"{len(head)} bytes" if len(head) < 4 else head[:4].hex(" "), "")
        raise MXNetError(
            f"{path}, offset 0: expected the header {magic.hex(' ')} of an idx file of bytes with {axes} "
            f"ax{'e' if axes > 1 else 'i'}s, got {what}. {advice}".rstrip()
        )
    if len(head) < 4 + 4 * axes:
        raise MXNetError(f"{path}: the file ends in its header, after {len(head)} of {4 + 4 * axes} bytes")
    shape = tuple(int.from_bytes(head[4 * i : 4 * i + 4], "big") for i in range(1, axes + 1))
    each = prod(shape[1:])
    if len(head) + prod(shape) > most:
        raise MXNetError(
            f"{path}, offset 4: the header claims {' x '.join(map(str, shape))} = {prod(shape)} bytes, the file has "
            f"{size} bytes{' of gzip data' if most > size else ''}: it is cut off or damaged"
        )
    start = int(shape[0] / parts * part)
    stop = int(shape[0] / parts * (part + 1))
    skipped = len(head) + _skip(file, start * each)
    values = np.empty((stop - start, *shape[1:]), np.uint8)
    want = values.reshape(-1).data
    got = 0
    while got < len(want) and (more := file.readinto(want[got : got + (1 << 24)])):  # type: ignore[attr-defined]
        got += more
    if got < len(want):
        raise MXNetError(
            f"{path}, offset {skipped + got}: the file ends here, the header claims {' x '.join(map(str, shape))} bytes"
        )
    if stop == shape[0]:
        file.read(1)  # at its end gzip data is compared with its checksum
    return values


def _skip(file: BinaryIO, count: int) -> int:
    if file.seekable():
        file.seek(count, os.SEEK_CUR)
    return count


def _shuffled(count: int, seed: int) -> np.ndarray:
    """Return the order that ``std::shuffle`` with the engine ``std::mt19937(seed)`` gives in MXNet's build."""
    order = list(range(count))
    numbers = _mersenne_twister(seed)
    for at in range(1, count):
        # std::uniform_int_distribution(0, at): as many equal intervals, what lies beyond the last is drawn again.
        width = 0xFFFFFFFF // (at + 1)
        drawn = next(numbers)
        while drawn >= width * (at + 1):
            drawn = next(numbers)
        other = drawn // width
        order[at], order[other] = order[other], order[at]
    return np.array(order, np.int64)


def _mersenne_twister(seed: int) -> Iterator[int]:
    """Yield the 32-bit numbers of the engine; NumPy has the same one, seeded alike."""
    _, key, position, *_ = np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=True)
    engine = np.random.MT19937()
    state: Any = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}
    engine.state = state
    while True:
        yield from engine.random_raw(4096).tolist()
