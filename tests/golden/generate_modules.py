"""Write ``modules/``: what the Module family of MXNet 1.9.1 computes, says and looks like.

Run in the MXNet environment (see README.md): ``python generate_modules.py``.

``NAME.npz`` is a run of `module_runs`: its arrays, and ``events``. ``signatures.json`` holds the public attributes of
each class: its methods with their parameters, null for a property. ``bucketing-*`` and ``bucketing.buckets`` are the
checkpoint that ``BucketingModule.save_checkpoint`` writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mxnet as mx
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.golden.module_runs import RUNS, save_bucketing, signatures  # noqa: E402

FOLDER = HERE / "modules"


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
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
