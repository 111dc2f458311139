"""The operators, one declaration each; importing this package registers all of them."""

from __future__ import annotations

import importlib

#: The families, in no particular order; each module registers its operators when it is imported.
FAMILIES = (
    "symjit.ops.elemwise",
    "symjit.ops.arithmetic",
    "symjit.ops.broadcast",
    "symjit.ops.casting",
    "symjit.ops.create",
    "symjit.ops.reduce",
    "symjit.ops.nn.activation",
    "symjit.ops.nn.conv",
    "symjit.ops.nn.dense",
    "symjit.ops.nn.dropout",
    "symjit.ops.nn.norm",
    "symjit.ops.nn.pool",
    "symjit.ops.ctc",
    "symjit.ops.loss",
    "symjit.ops.rnn",
    "symjit.ops.rnn_strategies",
    "symjit.ops.sequence",
    "symjit.ops.dot",
    "symjit.ops.indexing",
    "symjit.ops.join",
    "symjit.ops.matrix",
    "symjit.ops.random",
    "symjit.ops.slicing",
    "symjit.ops.sorting",
)

for _family in FAMILIES:
    importlib.import_module(_family)
