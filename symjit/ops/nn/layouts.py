"""Layout strings such as ``NCHW``: which axis of an image is the batch, which the channel, which are spatial."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

__all__ = ["DEFAULT_LAYOUTS", "image_layout", "moved_layout", "per_axis", "spatial_axes"]

#: MXNet's layout by number of spatial axes, where the attribute says nothing.
DEFAULT_LAYOUTS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


def image_layout(layout: str | None, spatial: int) -> str:
    """Return the layout of data with `spatial` spatial axes.

    Raises:
        ValueError: there is no such layout, or it has another number of axes.
    """
    if spatial not in DEFAULT_LAYOUTS:
        raise ValueError(f"expected 1, 2 or 3 spatial axes, got {spatial}")
    found = layout or DEFAULT_LAYOUTS[spatial]
    if len(found) != spatial + 2:
        raise ValueError(f"layout {found} has {len(found) - 2} spatial axes, the kernel has {spatial}")
    return found


def spatial_axes(layout: str) -> tuple[int, ...]:
    """Return the positions of the spatial axes."""
    return tuple(i for i, letter in enumerate(layout) if letter not in "NC")


def moved_layout(layout: str | None, perm: Sequence[int], known: Collection[str]) -> dict[str, Any] | None:
    """Return the ``layout`` attribute for data permuted by `perm`, or None where no layout of `known` says it.

    Parameters that have data's rank (a convolution's weight) move by the same permutation.
    """
    if len(perm) - 2 not in DEFAULT_LAYOUTS:
        return None
    old = image_layout(layout, len(perm) - 2)
    new = "".join(old[axis] for axis in perm)
    return {"layout": new} if new in known or new == DEFAULT_LAYOUTS[len(perm) - 2] else None


def per_axis(name: str, values: tuple[int, ...], spatial: int, default: int) -> tuple[int, ...]:
    """Return one value of an attribute per spatial axis; an empty attribute means the default, which is the least too.

    Raises:
        ValueError: the attribute has another number of values, or one below the least.
    """
    if not values:
        return (default,) * spatial
    if min(values) < default:
        raise ValueError(f"{name} must hold values of {default} or more, got {values}")
    if len(values) != spatial:
        raise ValueError(f"{name} {values} has {len(values)} values, expected {spatial}: one per kernel axis")
    return values
