"""Write ``rnn/``: recurrent cells, their weights, checkpoints and batches of sentences, by MXNet 1.9.1.

Run in the MXNet environment (see README.md): ``python generate_rnn.py``. The cells are in ``rnn_cases.py``.

- ``graphs.json.xz``: ``Symbol.tojson()`` of every cell unrolled, in each layout, with each way of merging the outputs,
  from one symbol and from a list
- ``numbers.npz``: arrays one after the other, flat, under these names:
  - ``outputs:CELL``: what the cell computes (layout NTC, inputs one symbol, outputs as they come) from the arrays that
    ``recipe.py`` draws for their names
  - ``weights:CELL``: what ``unpack_weights`` makes of these arrays, in MXNet's order; ``pack_weights`` gives them again
  - ``batches:NAME``: two epochs of a BucketSentenceIter, data and label of each batch
- ``said.json``: names and shapes of the arrays, descriptions of the batches, encoded sentences, names of exceptions,
  signatures
- ``fused-symbol.json``, ``fused-0003.params``: what ``save_rnn_checkpoint`` writes for a fused cell
"""

from __future__ import annotations

import json
import lzma
import random
import warnings
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
import recipe
import rnn_cases as cells

FOLDER = Path(__file__).resolve().parent / "rnn"


def graph_of(name: str, *choices: Any) -> mx.sym.Symbol:
    """Return the unrolled cell."""
    with mx.name.NameManager():
        return cells.unrolled(mx, cells.CELLS[name](mx), *choices)


def described(descs: list[Any]) -> list[list[Any]]:
    """Return DataDescs as JSON can hold them."""
    return [[d.name, list(d.shape), np.dtype(d.dtype).name, d.layout] for d in descs]


def numbers() -> tuple[dict[str, list[np.ndarray]], dict[str, dict[str, np.ndarray]]]:
    """Return outputs and unpacked weights of all cells."""
    outputs, weights = {}, {}
    for name in cells.CELLS:
        symbol = graph_of(name)
        shapes, _, _ = symbol.infer_shape(data=cells.shape_of(name, "NTC"))
        values = {n: recipe.draw(n, s) for n, s in zip(symbol.list_arguments(), shapes, strict=True)}
        bound = symbol.bind(mx.cpu(), {n: mx.nd.array(v) for n, v in values.items()})
        outputs[name] = [out.asnumpy() for out in bound.forward(is_train=False)]
        if name == "shared":
            continue  # one cell takes away what the other looks for
        with mx.name.NameManager():
            cell = cells.CELLS[name](mx)
        values.pop("data")
        # Other arrays than the bound ones, which oneDNN lays out in its own way.
        unpacked = cell.unpack_weights({n: mx.nd.array(v) for n, v in values.items()})
        weights[name] = {n: v.asnumpy() for n, v in unpacked.items()}
        packed = cell.pack_weights(unpacked)
        assert set(packed) == set(values), name
        for n, value in values.items():
            np.testing.assert_array_equal(packed[n].asnumpy(), value, err_msg=f"{name} {n}")
    return outputs, weights


def batches() -> tuple[dict[str, list[np.ndarray]], dict[str, Any]]:
    """Return the arrays of all batches, and what the iterators say."""
    arrays, said = {}, {}
    for name, arguments in cells.BATCHES.items():
        random.seed(11)
        np.random.seed(12)
        iterator = mx.rnn.BucketSentenceIter(cells.SENTENCES, **arguments)
        arrays[name] = []
        epochs = []
        for epoch in range(2):
            if epoch:
                iterator.reset()
            listed = []
            for batch in iterator:
                arrays[name] += [batch.data[0].asnumpy(), batch.label[0].asnumpy()]
                listed.append([batch.bucket_key, batch.pad, described(batch.provide_data + batch.provide_label)])
            epochs.append(listed)
        said[name] = {
            "default_bucket_key": int(iterator.default_bucket_key),
            "provide": described(iterator.provide_data + iterator.provide_label),
            "batches": epochs,
        }
    return arrays, said


def checkpoint() -> None:
    """Write the checkpoint."""
    name = "fused_lstm"
    symbol = graph_of(name)
    shapes, _, _ = symbol.infer_shape(data=cells.shape_of(name, "NTC"))
    named = zip(symbol.list_arguments(), shapes, strict=True)
    values = {n: mx.nd.array(recipe.draw(n, s)) for n, s in named if n != "data"}
    with mx.name.NameManager():
        cell = cells.CELLS[name](mx)
    mx.rnn.save_rnn_checkpoint(cell, str(FOLDER / "fused"), 3, symbol, values, {})


def main() -> None:
    """Write all files."""
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    texts = {cells.key_of(*graph): graph_of(*graph).tojson() for graph in cells.graphs()}
    with mx.name.NameManager():
        texts["by_hand"] = cells.by_hand(mx).tojson()
    with mx.name.NameManager():
        texts["given_states"] = cells.given_states(mx).tojson()
    packed = json.dumps(texts).encode()
    (FOLDER / "graphs.json.xz").write_bytes(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME))
    outputs, weights = numbers()
    arrays, said = batches()
    flat = {f"outputs:{name}": each for name, each in outputs.items()}
    flat.update((f"weights:{name}", list(each.values())) for name, each in weights.items() if each)
    flat.update((f"batches:{name}", each) for name, each in arrays.items())
    joined = {name: np.concatenate([array.reshape(-1) for array in each]) for name, each in flat.items()}
    np.savez_compressed(FOLDER / "numbers.npz", **joined)
    encoded = {}
    for name, arguments in cells.ENCODINGS.items():
        given = {k: dict(v) if k == "vocab" else v for k, v in arguments.items()}
        encoded[name] = mx.rnn.encode_sentences(cells.TEXT, **given)
    facts = {
        "outputs": {name: [array.shape for array in each] for name, each in outputs.items()},
        "weights": {name: [[n, array.shape] for n, array in each.items()] for name, each in weights.items()},
        "iterators": said,
        "encoded": encoded,
        "errors": {name: cells.error_of(wrong, mx) for name, wrong in cells.WRONG.items()},
        "signatures": cells.signatures(mx),
    }
    lines = [
        json.dumps(kind) + ": {\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in each.items()) + "\n}"
        for kind, each in facts.items()
    ]
    (FOLDER / "said.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    checkpoint()
    print(f"{len(texts)} graphs, {sum(f.stat().st_size for f in FOLDER.iterdir()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
