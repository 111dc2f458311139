"""How results are compared with references."""

from __future__ import annotations

import numpy as np


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """Return the largest difference, relative to the largest magnitude of the reference; shape and dtype must agree."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    assert got.dtype == want.dtype, f"dtype {got.dtype}, expected {want.dtype}"
    if want.size == 0:
        return 0.0
    got, want = got.astype(np.float64), want.astype(np.float64)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    if not finite.any():
        return 0.0
    return float(np.max(np.abs(got[finite] - want[finite])) / max(1e-3, np.max(np.abs(want[finite]))))


def close(got: np.ndarray, want: np.ndarray, tol: float, what: str) -> None:
    """Assert that two arrays agree in shape, dtype and value."""
    error = relative_error(got, want)
    assert error <= tol, f"{what}: relative error {error:.3g} > {tol:.3g}\ngot  {got!r}\nwant {want!r}"
