"""Write ``modules/``: what the Module family of MXNet 1.9.1 computes, says and looks like.

Run in the MXNet environment (see README.md): ``python generate_modules.py [calls]`` (``calls``: only ``calls.json``).

``NAME.npz`` is a run of `module_runs`: its arrays, and ``events``. ``signatures.json`` holds the public attributes of
each class: its methods with their parameters, null for a property. ``bucketing-*`` and ``bucketing.buckets`` are the
checkpoint that ``BucketingModule.save_checkpoint`` writes. ``calls.json`` holds what the scenes of
``tests/training/module_calls.py`` and ``family_calls.py`` come to.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.golden.module_runs import RUNS, save_bucketing, signatures  # noqa: E402
from tests.training import family_calls, module_calls  # noqa: E402

FOLDER = HERE / "modules"


def write_calls() -> None:
    """Write what the scenes come to, which has to be the same twice."""
    logging.disable(logging.INFO)
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, scene in {**module_calls.SCENES, **family_calls.SCENES}.items():
            once, twice = (np.array(flat(scene(mx)), dtype=object) for _ in range(2))
            words = [isinstance(x, str) for x in once]
            assert words == [isinstance(x, str) for x in twice] and all(once[words] == twice[words]), name
            numbers = [~np.array(words) & np.array([x is not None for x in once])][0]
            np.testing.assert_allclose(
                once[numbers].astype(float), twice[numbers].astype(float), 1e-4, 1e-5, err_msg=name
            )
            found[name] = scene(mx)
    (FOLDER / "calls.json").write_text(json.dumps(found, default=float) + "\n", encoding="utf-8")


def flat(value: object) -> list[object]:
    """Return the leaves of lists and dicts."""
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in flat(part)]
    return [leaf for part in value for leaf in flat(part)] if isinstance(value, (list, tuple)) else [value]


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    write_calls()
    if sys.argv[1:] == ["calls"]:
        return
    for name, run in RUNS.items():
        arrays, events = run(mx)
        again, same_events = run(mx)
        assert events == same_events, name
        for key, value in arrays.items():
            np.testing.assert_allclose(again[key], value, rtol=1e-5, atol=1e-6, err_msg=f"{name}: {key}")
        np.savez_compressed(FOLDER / f"{name}.npz", events=np.array(events), **arrays)
        print(name, len(events))
    save_bucketing(mx, str(FOLDER / "bucketing"))
    text = json.dumps(signatures(mx), indent=1, sort_keys=True)
    (FOLDER / "signatures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
