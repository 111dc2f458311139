"""Write ``not_implemented.json``: what MXNet 1.9.1 raises where a program has to define something itself.

Run in the MXNet environment (see README.md): ``python generate_not_implemented.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import mxnet as mx
from not_implemented_cases import raised

if __name__ == "__main__":
    path = Path(__file__).with_name("not_implemented.json")
    path.write_text(json.dumps(raised(mx), indent=1) + "\n", encoding="utf-8")
