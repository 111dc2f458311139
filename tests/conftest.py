"""One environment for all tests: eight virtual CPU devices, strict dtype promotion, nothing kept or tuned on disk."""

from __future__ import annotations

import os

# Before JAX is imported; subprocesses inherit them. JAX_PLATFORMS=cuda,cpu runs the tests with a GPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["SYMJIT_CACHE_SIZE"] = "0"
os.environ["MXNET_CUDNN_AUTOTUNE_DEFAULT"] = "0"

from collections.abc import Iterator

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The first example of a shape compiles, so a deadline per example would measure XLA.
hypothesis.settings.register_profile("symjit", deadline=None, print_blob=True)
hypothesis.settings.load_profile("symjit")

_TESTS_PER_CACHE = 300
_finished = 0


@pytest.fixture(autouse=True)
def _bounded_memory() -> Iterator[None]:
    """Forget compiled programs now and then: thousands of them, never used again, fill gigabytes."""
    yield
    global _finished
    _finished += 1
    if _finished % _TESTS_PER_CACHE == 0:
        jax.clear_caches()
