"""FeedForward: data of every kind, and wrong data."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symjit as mx
from tests.compare import close
from tests.golden import module_runs as runs
from tests.training.modules import FOLDER, TOLERANCE

# A second `fit` says so, as in MXNet.
pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")


def feed_forward(**settings: Any) -> Any:
    with pytest.warns(DeprecationWarning, match=r"mxnet\.mod\.Module"):
        return mx.model.FeedForward(runs.classifier(mx), num_epoch=1, **settings)


@pytest.mark.slow
def test_feed_forward_on_arrays_and_files(tmp_path: Path) -> None:
    x, y = runs.rows(40)
    np.random.seed(0)
    mx.random.seed(0)
    with pytest.warns(DeprecationWarning):
        model = mx.model.FeedForward.create(
            runs.classifier(mx),
            x,
            y[:, None],
            num_epoch=20,
            eval_data=(x, y),
            initializer=mx.init.Xavier(),
            numpy_batch_size=8,
            learning_rate=0.2,
            momentum=0.9,
        )
    scores = model.predict(x)
    assert scores.shape == (40, 4) and np.mean(scores.argmax(axis=1) == y) > 0.8
    model.save(str(tmp_path / "model"))
    with pytest.warns(DeprecationWarning):
        loaded = mx.model.FeedForward.load(str(tmp_path / "model"), 20, numpy_batch_size=8)
    assert loaded.begin_epoch == 20
    np.testing.assert_array_equal(loaded.predict(x), scores)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(loaded)).predict(mx.nd.array(x)), scores)
    # Parameters that are exchanged count at once.
    loaded.arg_params["fc2_weight"][:] = 0
    loaded.arg_params["fc2_bias"][:] = 0
    np.testing.assert_allclose(loaded.predict(x), np.full((40, 4), 0.25), rtol=1e-6)


@pytest.mark.slow
def test_feed_forward_of_buckets() -> None:
    data = runs.sentence_iterator(mx)
    args, aux = runs.sentence_parameters(mx)
    with pytest.warns(DeprecationWarning):
        model = mx.model.FeedForward(
            lambda key: runs.sentence_network(mx)(key)[0], num_epoch=2, arg_params=args, aux_params=aux, **runs.SGD
        )
    model.fit(data)
    with np.load(FOLDER / "bucketing.npz") as golden:
        for name, value in {**model.arg_params, **model.aux_params}.items():
            close(value.asnumpy(), golden[name], TOLERANCE, name)


X, Y = runs.rows(8)
FED_WRONG: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda m: m.fit(X), ValueError, "y must be specified"),
    (lambda m: m.fit(X, list(Y)), TypeError, "y must be ndarray"),
    (lambda m: m.fit(X, Y[:5]), ValueError, "8 and 5"),
    (lambda m: m.fit(X, np.zeros((8, 2))), ValueError, "1D or 2D"),
    (lambda m: m.fit([1]), TypeError, "X must be DataIter"),
    (lambda m: m.fit(X, Y, eval_data=3), TypeError, "Eval data must be"),
    (lambda m: m.fit(X, Y, eval_data=(None, Y)), ValueError, "Eval data is NONE"),
    (lambda m: m.predict(X), AssertionError, "call fit"),
]


@pytest.mark.parametrize("row", range(len(FED_WRONG)))
def test_wrong_data_for_feed_forward(row: int) -> None:
    call, kind, text = FED_WRONG[row]
    model = feed_forward()
    with pytest.raises(kind, match=text):
        call(model)


def test_feed_forward_finds_names_that_occur_twice() -> None:
    x = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    x = mx.sym.FullyConnected(x, num_hidden=2, name="fc")
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match='duplicated argument name "fc_weight"'):
        mx.model.FeedForward(x)
