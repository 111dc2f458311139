"""One environment for all tests: eight virtual CPU devices, strict dtype promotion, no cache on disk."""

from __future__ import annotations

import os

# Before JAX is imported; subprocesses inherit them. JAX_PLATFORMS=cuda,cpu runs the tests with a GPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["SYMJIT_CACHE_SIZE"] = "0"

import hypothesis
import jax

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The first example of a shape compiles, so a deadline per example would measure XLA.
hypothesis.settings.register_profile("symjit", deadline=None, print_blob=True)
hypothesis.settings.load_profile("symjit")
