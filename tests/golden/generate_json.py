"""Write ``json/``: symbols of ``symbols.py`` as MXNet 1.9.1 spells them, and what it says of them.

Run in the MXNet environment (see README.md): ``python generate_json.py``.

``NAME.json`` is ``Symbol.tojson()``, byte for byte. ``expected.json`` holds for each name: arguments, outputs,
auxiliary_states, internals (``get_internals().list_outputs()``), children (``get_children().list_outputs()``),
attr_dict and, for the shapes in ``given`` and type float32, what ``infer_shape_partial`` and ``infer_type_partial``
return; a shape of [] is unknown (MXNet cannot tell what comes out of while_loop and cond before it runs them).
``gluon_export.json`` is the symbol that ``HybridBlock.export`` writes for a small Gluon net.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import mxnet as mx
import numpy as np
from symbols import BUILDERS

FOLDER = Path(__file__).resolve().parent / "json"
GIVEN = {
    "scope_attributes": {"data": (5, 7)},
    "variable_attributes": {},
    "group_of_internals": {"data": (2, 3, 8, 8)},
    "several_outputs": {"data": (4, 6)},
    "control_flow_foreach": {"data": (4, 2, 5), "scale": (4, 2, 3), "state1": (2,)},
    "control_flow_while": {"i": (1,), "total": (1,)},
    "control_flow_cond": {"a": (3, 4), "b": (3, 5), "then_fc_weight": (2, 4), "then_fc_bias": (2,)},
    "control_flow_nested": {"data": (4, 3), "state": (3,)},
    "python_operators": {"a": (2, 3)},
    "automatic_names": {"data": (3, 5)},
    "composition": {"data": (3, 2)},
    "attribute_spellings": {"data": (2, 3, 9, 9)},
    "dtype_attributes": {"data": (3, 2)},
    "awkward_names": {'say "data"\\n': (2,)},
    "gluon_export": {"data": (2, 3, 8, 8)},
}


def gluon_symbol() -> mx.sym.Symbol:
    """Return the exported symbol of a Gluon net with convolution, BatchNorm, pooling, dense layers and a residual."""
    nn = mx.gluon.nn

    class Net(nn.HybridSequential):
        """Four layers."""

    with mx.name.NameManager():
        net = Net(prefix="net_")
        with net.name_scope():
            net.add(nn.Conv2D(4, 3, padding=1, use_bias=False), nn.BatchNorm(), nn.Activation("relu"))
            net.add(nn.MaxPool2D(), nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(5, activation="tanh"), nn.Dense(2))
    net.initialize()
    net.hybridize()
    net(mx.nd.zeros(GIVEN["gluon_export"]["data"]))
    with TemporaryDirectory() as folder:
        net.export(str(Path(folder) / "net"))
        return mx.sym.load(str(Path(folder) / "net-symbol.json"))


def describe(symbol: mx.sym.Symbol, given: dict[str, tuple[int, ...]]) -> dict:
    """Return what MXNet says of a symbol, as JSON can hold it; an unknown type is null, an unknown shape is []."""
    children = symbol.get_children()
    shapes = symbol.infer_shape_partial(**given)
    types = symbol.infer_type_partial(**dict.fromkeys(given, np.float32))

    def named(kinds: tuple) -> dict:
        names = symbol.list_arguments(), symbol.list_outputs(), symbol.list_auxiliary_states()
        return {
            key: dict(zip(names[i], values or [None] * len(names[i]), strict=True))
            for i, (key, values) in enumerate(zip(("arguments", "outputs", "auxiliary_states"), kinds, strict=True))
        }

    return {
        "arguments": symbol.list_arguments(),
        "outputs": symbol.list_outputs(),
        "auxiliary_states": symbol.list_auxiliary_states(),
        "internals": symbol.get_internals().list_outputs(),
        "children": None if children is None else children.list_outputs(),
        "attr_dict": symbol.attr_dict(),
        "given": given,
        "shapes": named(shapes),
        "types": named(tuple([t and np.dtype(t).name for t in kind or []] for kind in types)),
    }


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    expected = {}
    for name in [*BUILDERS, "gluon_export"]:
        with mx.name.NameManager():
            symbol = BUILDERS[name](mx) if name in BUILDERS else gluon_symbol()
        text = symbol.tojson()
        assert mx.sym.load_json(text).tojson() == text, name
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
        try:
            expected[name] = describe(symbol, GIVEN[name])
        except mx.base.MXNetError as error:
            raise RuntimeError(name) from error
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    (FOLDER / "expected.json").write_text(text + "\n", encoding="utf-8")
    print(f"{len(expected)} symbols, {sum(f.stat().st_size for f in FOLDER.iterdir()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
