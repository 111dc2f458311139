"""Training runs along MXNet's trajectory: losses of 50 steps and the parameters after them, for every optimizer."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import symjit as mx
from tests.training import goldens
from tests.training.cases import NETWORKS, OPTIMIZERS
from tests.training.models import BATCHES
from tests.training.run import fit, train

#: The rest compiles for longer than the everyday suite may take.
QUICK = {"adam"}
QUICK_NETWORKS = {"factors_adam"}


def marked(names, quick):
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.slow]) for name in names]


def test_every_optimizer_is_there() -> None:
    """Every class that MXNet has is trained here; SGLD is random, and these two are no rules of their own."""
    trained = {case.optimizer for case in OPTIMIZERS.values()}
    classes = inspect.getmembers(mx.optimizer, inspect.isclass)
    known = {name.lower() for name, member in classes if issubclass(member, mx.optimizer.Optimizer)}
    assert trained <= known | {"groupadagrad"}
    assert known - trained <= {"optimizer", "sgld", "optax"}


@pytest.mark.parametrize("name", marked(OPTIMIZERS, QUICK))
def test_optimizer(name: str) -> None:
    goldens.same(train(mx, OPTIMIZERS[name]), "optimizers", name)


@pytest.mark.parametrize("name", marked(NETWORKS, QUICK_NETWORKS))
def test_network(name: str) -> None:
    goldens.same(train(mx, NETWORKS[name]), "networks", name)


@pytest.mark.parametrize("name", marked(["sgd_momentum", "adam", "lars"], set()))
def test_looking_in_between_changes_nothing(name: str) -> None:
    """Outputs are read before ``update``, which then is a program of its own."""
    goldens.same(train(mx, OPTIMIZERS[name], between=True), "optimizers", name)


FITTED = {"sgd_momentum": OPTIMIZERS, "nadam": OPTIMIZERS, "convolutional_adam": NETWORKS}
GROUP = {"sgd_momentum": "optimizers", "nadam": "optimizers", "convolutional_adam": "networks"}


@pytest.mark.parametrize("looking", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["alone", "watched"])
@pytest.mark.parametrize("name", marked(FITTED, {"sgd_momentum"}))
def test_fit(name: str, looking: bool) -> None:
    """``fit`` ends where the loop by hand ends, whether or not a callback looks at every batch."""
    seen = []
    callback = (lambda param: seen.append(param.locals["self"].get_outputs()[0].asnumpy())) if looking else None
    losses, parameters = fit(mx, FITTED[name][name], batch_end_callback=callback)
    want = goldens.group(GROUP[name])[name]
    epochs = want["loss"].reshape(-1, BATCHES).mean(axis=1)
    np.testing.assert_allclose(losses, epochs, rtol=0, atol=goldens.TOLERANCE * epochs.max())
    goldens.same({"loss": want["loss"]} | parameters, GROUP[name], name)
    assert len(seen) == (want["loss"].size if looking else 0)
