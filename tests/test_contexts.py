"""Training on several contexts gives MXNet's numbers: slices, BatchNorm of each shard, moving averages."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import symjit as mx
from tests.training import goldens
from tests.training.cases import CONTEXTS, split
from tests.training.run import data_batch, fit, parameters_of, prepared, train

QUICK = {"two_normed"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in CONTEXTS]
)
def test_contexts(name: str) -> None:
    goldens.same(train(mx, CONTEXTS[name]), "contexts", name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "two_adam", "four_loaded"])
def test_fit(name: str) -> None:
    """``fit`` gives all contexts the mean of the moving averages after each epoch; their means stay what they were."""
    _, parameters = fit(mx, CONTEXTS[name])
    want = goldens.group("contexts")[name]
    goldens.same({key: value for key, value in want.items() if key != "noise"} | parameters, "contexts", name)


@pytest.mark.parametrize(
    "name", ["two_normed", *(pytest.param(n, marks=pytest.mark.slow) for n in ("four_uneven", "four_loaded"))]
)
def test_slices(name: str) -> None:
    """Each context computes the rows that MXNet gives it."""
    module, batches = prepared(mx, CONTEXTS[name])
    module.forward(data_batch(mx, batches[0]), is_train=False)
    (parts,) = module.get_outputs(merge_multi_context=False)
    whole = module.get_outputs()[0].asnumpy()
    slices = goldens.facts()["slices"][name]
    assert [part.shape[0] for part in parts] == [end - start for start, end in slices]
    for part, (start, end) in zip(parts, slices, strict=True):
        np.testing.assert_array_equal(part.asnumpy(), whole[start:end])


def test_split_rules() -> None:
    for rows, loads, want in goldens.facts()["split"]:
        if want is None:
            with pytest.raises(ValueError, match="Too many slices"):
                mx.executor_manager._split_input_slice(rows, loads)
        else:
            got = mx.executor_manager._split_input_slice(rows, loads)
            assert [[part.start, part.stop] for part in got] == want, (rows, loads)


ONE_DEVICE = """
import jax
jax.config.update("jax_num_cpu_devices", 1)
import symjit as mx
from tests.training import goldens
from tests.training.cases import CONTEXTS
from tests.training.run import train
assert len(jax.devices("cpu")) == 1
for name in ("two_odd", "four_uneven", "four_adam"):
    goldens.same(train(mx, CONTEXTS[name]), "contexts", name)
"""


@pytest.mark.slow
def test_one_device() -> None:
    """The numbers depend on how many contexts there are, not on how many devices."""
    # As in ordinary use, one CPU device; the tests' own process has eight.
    subprocess.run([sys.executable, "-c", ONE_DEVICE], check=True, timeout=300, env=os.environ)


@pytest.mark.slow
def test_unsynchronised_steps_end() -> None:
    """2,000 steps on eight devices that nobody waits for: more in flight than XLA's collectives stand."""
    module, batches = prepared(mx, split(8, 16, model="mlp"))
    ready = [data_batch(mx, batch) for batch in batches]
    for step in range(2000):
        module.forward_backward(ready[step % len(ready)])
        module.update()
    for name, value in parameters_of(module).items():
        assert np.isfinite(value).all(), name
