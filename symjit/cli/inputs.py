"""What commands are given: devices, shapes and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from symjit.context import Context

__all__ = ["Refused", "device_context", "named_shapes", "open_shapes", "read_input"]


class Refused(Exception):
    """An input of the command line that can not be used; the message is the whole report."""


def device_context(name: str | None) -> Context:
    """Return the context of a ``--device``."""
    from symjit.context import Context

    context = Context(name or "cpu", 0)
    context.device  # noqa: B018  a missing device is reported before any work
    return context


def named_shapes(texts: Sequence[str], inputs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of ``--shape`` texts, ``[NAME=]1,3,224,224``; without a name it is the first input's.

    Raises:
        Refused: a text is not a shape.
    """
    found = {}
    for name, (text, shape) in _parsed(texts, inputs).items():
        if None in shape:
            raise Refused(f"--shape {text}: expected numbers such as 1,3,224,224")
        found[name] = shape
    return found


def open_shapes(texts: Sequence[str], inputs: Sequence[str]) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of ``--shape`` texts, in which ``N`` (here None) may stand for the size of the batch.

    Raises:
        Refused: a text is not a shape, or names no input.
    """
    found = {}
    for name, (text, shape) in _parsed(texts, inputs).items():
        if name not in inputs:
            raise Refused(f"--shape {text}: this network has no input {name!r}; it has {', '.join(inputs)}")
        found[name] = shape
    return found


def _parsed(texts: Sequence[str], inputs: Sequence[str]) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    found = {}
    for text in texts:
        name, separator, dims = text.rpartition("=")
        parts = [part.strip() for part in dims.strip("()[] ").replace("x", ",").split(",")]
        try:
            shape = tuple(None if part == "N" else int(part) for part in parts if part)
        except ValueError:
            raise Refused(f"--shape {text}: expected numbers such as 1,3,224,224") from None
        found[name if separator else inputs[0]] = (text, shape)
    return found


def read_input(file: str, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
    """Read an input from a NumPy file or a picture.

    A picture becomes float32 of shape (1, channels, height, width), RGB, values 0 to 255.

    Raises:
        Refused: the file can not be used; the message says why.
        OSError: the file can not be opened.
    """
    suffix = Path(file).suffix.lower()
    if suffix in (".jpg", ".jpeg", ".png", ".bmp"):
        return _read_picture(file, shape)
    if suffix not in (".npy", ".npz"):
        raise Refused(f"{file}: expected a .npy, .npz, .jpg or .png file")
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            value = content
        else:
            with content:
                keys = [key for key in (name, f"in:{name}") if key in content.files]
                if not keys and len(content.files) != 1:
                    raise Refused(f"{file}: none of its arrays {content.files} is called {name!r}")
                value = content[keys[0] if keys else content.files[0]]
    except (ValueError, EOFError) as error:
        raise Refused(f"{file}: not a NumPy file of numbers: {error}") from None
    if value.dtype.kind not in "biuf" and value.dtype.name != "bfloat16":
        raise Refused(f"{file}: holds {value.dtype}, expected numbers")
    if shape is None:
        return value
    try:
        return value.reshape(shape)
    except ValueError:
        raise Refused(f"{file}: an array of shape {value.shape} can not be reshaped to {shape}") from None


def _read_picture(file: str, shape: tuple[int, ...] | None) -> np.ndarray:
    try:
        import cv2
    except ImportError:
        raise Refused(f"{file}: reading pictures needs OpenCV: pip install 'symjit[image]'") from None
    with open(file, "rb") as stream:
        data = np.frombuffer(stream.read(), np.uint8)
    channels = shape[-3] if shape is not None and len(shape) >= 3 else 3
    if shape is not None and (len(shape) not in (3, 4) or channels not in (1, 3) or shape[:-3] not in ((), (1,))):
        raise Refused(f"{file}: the shape of a picture is 1,C,H,W with C = 1 or 3, got {shape}")
    mode = cv2.IMREAD_COLOR if channels == 3 else cv2.IMREAD_GRAYSCALE
    picture = cv2.imdecode(data, mode) if data.size else None
    if picture is None:
        raise Refused(f"{file}: not a picture that OpenCV can read")
    if shape is not None:
        height, width = list(shape)[-2:]
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    if channels == 3:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    planes = picture.reshape(*picture.shape[:2], channels).transpose(2, 0, 1)
    return np.ascontiguousarray(planes, dtype=np.float32)[None]
