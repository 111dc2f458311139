"""The operators, one declaration each; importing this package registers all of them."""

from __future__ import annotations

import importlib

#: The families, in no particular order; each module registers its operators when it is imported.
FAMILIES = (
    "symjit.ops.elemwise",
    "symjit.ops.nn.dense",
)

for _family in FAMILIES:
    importlib.import_module(_family)
