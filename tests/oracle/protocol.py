"""What the two processes say to each other: messages of a JSON header and arrays, and the head gradients both draw.

Imports NumPy alone, for it runs in the environments of symjit and of MXNet. A message is three parts: two
little-endian 64-bit lengths, a JSON header, and the arrays' bytes one after another. Nothing is pickled.
"""

import json
import struct
import zlib

import numpy as np

_LENGTHS = struct.Struct("<QQ")


def pack(header, arrays):
    """Return a message as bytes.

    Args:
        header: what JSON can hold.
        arrays: arrays by name.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    listed = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    text = json.dumps([header, listed]).encode()
    data = b"".join(array.tobytes() for array in arrays.values())
    return _LENGTHS.pack(len(text), len(data)) + text + data


def unpack(read):
    """Return ``(header, arrays)`` of the next message; None where the stream has ended.

    Args:
        read: ``size -> bytes``, shorter at the end of the stream only.
    """
    start = read(_LENGTHS.size)
    if len(start) < _LENGTHS.size:
        return None
    text_size, data_size = _LENGTHS.unpack(start)
    text, data = read(text_size), read(data_size)
    if len(text) < text_size or len(data) < data_size:
        return None
    header, listed = json.loads(text)
    arrays, at = {}, 0
    for name, dtype, shape in listed:
        count = int(np.prod(shape, dtype=np.int64))
        # A copy, for the view of a bytes object can not be written.
        arrays[name] = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        at += count * np.dtype(dtype).itemsize
    return header, arrays


def head(seed, shape, dtype, index):
    """Return the head gradient that is fed to output `index`."""
    rng = np.random.RandomState(zlib.crc32(f"{seed}/head{index}".encode()) & 0x7FFFFFFF)
    values = rng.uniform(0.5, 1.5, size=shape)
    return (values * 2).astype(dtype) if np.dtype(dtype).kind in "iub" else values.astype(dtype)
