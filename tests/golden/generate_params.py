"""Write ``params/``: array files as MXNet 1.9.1's ``nd.save`` writes them, and their contents as NumPy arrays.

Run in the MXNet environment (see README.md): ``python generate_params.py``.

``expected.npz`` holds for each file F (``F`` is the file's name without ``.params``):

- ``F:names``: the names in order; absent if the file is a list
- ``F:dtypes``, ``F:stypes``: element and storage type of each array, as words
- ``F:i``: array i as NumPy sees it (dense); bfloat16 as its bits in uint16
- ``F:i:data``, ``F:i:indices`` and, for csr, ``F:i:indptr``: the parts of sparse array i
"""

from __future__ import annotations

from pathlib import Path

import mxnet as mx
import numpy as np

FOLDER = Path(__file__).resolve().parent / "params"
BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")


def value(dtype: str, rng: np.random.RandomState) -> np.ndarray:
    """Return a small array that holds the extremes of its type."""
    if dtype == "bool":
        return rng.rand(3, 5) > 0.5
    if dtype.startswith("float"):
        info = np.finfo(dtype)
        ends = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.tiny, info.tiny / 4, info.eps]
        return np.concatenate([ends, rng.standard_normal(3)]).astype(dtype).reshape(2, 3, 2)
    info = np.iinfo(dtype)
    return np.concatenate([[info.min, info.max, 0], rng.randint(0, 100, 9)]).astype(dtype).reshape(4, 3)


def array(x: np.ndarray) -> mx.nd.NDArray:
    """Return ``x`` as an NDArray of the same element type."""
    return mx.nd.array(x, dtype=x.dtype)


def sparse_arrays(rng: np.random.RandomState) -> dict[str, mx.nd.NDArray]:
    """Return row_sparse and csr arrays, with and without stored elements, of two element types."""
    dense = rng.standard_normal((6, 4)).astype(np.float32)
    dense[[0, 2, 3]] = 0
    deep = rng.standard_normal((5, 2, 3)).astype(np.float32)
    deep[1:4] = 0
    scattered = np.where(rng.rand(5, 7) < 0.3, rng.standard_normal((5, 7)), 0)
    return {
        "rows": mx.nd.array(dense).tostype("row_sparse"),
        "rows_deep": mx.nd.array(deep).tostype("row_sparse"),
        "rows_none": mx.nd.sparse.zeros("row_sparse", (4, 3)),
        "rows_double": array(dense.astype(np.float64)).tostype("row_sparse"),
        "csr": mx.nd.array(scattered.astype(np.float32)).tostype("csr"),
        "csr_none": mx.nd.sparse.zeros("csr", (3, 2)),
        "csr_double": array(scattered).tostype("csr"),
        "dense_between": mx.nd.array(dense),
    }


def numpy_shape_arrays() -> dict[str, mx.nd.NDArray]:
    """Return a scalar, empty arrays and a matrix, which are written as version 3 while NumPy shapes are on."""
    shapes = {"scalar": (), "empty": (0,), "empty_middle": (2, 0, 3), "matrix": (2, 3)}
    arrays = {name: (mx.np.ones(shape) * 2.5).as_nd_ndarray() for name, shape in shapes.items()}
    return arrays | {"scalar_long": mx.np.array(7, dtype="int64").as_nd_ndarray()}


def files() -> dict[str, list | dict]:
    """Return the contents of every file written with MXNet's own shapes."""
    rng = np.random.RandomState(0)
    base = mx.nd.arange(24).reshape((4, 6))
    bits = np.array([0x3FC0, 0xC000, 0x4049, 0x7F80, 0x7FC0, 0x0001], np.uint16)
    small = mx.nd.array([1.5])
    with mx.name.NameManager():
        net = mx.gluon.nn.HybridSequential(prefix="net_")
        with net.name_scope():
            net.add(mx.gluon.nn.Dense(2, in_units=3), mx.gluon.nn.BatchNorm(in_channels=2))
    net.initialize(mx.init.One())
    return {
        "list": [array(value(dtype, rng)) for dtype in DTYPES],
        "dict": {dtype: array(value(dtype, rng)) for dtype in DTYPES},
        "list_of_one": [mx.nd.ones((2, 2))],
        "empty": [],
        "bfloat16": {"bits": mx.nd.array(bits.view(BFLOAT16), dtype=BFLOAT16)},
        "checkpoint": {
            "arg:fc_weight": mx.nd.array(rng.standard_normal((2, 3))),
            "arg:fc_bias": mx.nd.zeros((2,)),
            "aux:bn_moving_mean": mx.nd.zeros((2,)),
            "aux:bn_moving_var": mx.nd.ones((2,)),
        },
        "names": {n: small * i for i, n in enumerate(["", " ", "größe", "a:b:c", "arg:", "层/0.weight", "x" * 300])},
        "ranks": {f"rank{n}": mx.nd.array(rng.standard_normal((1, 2, 1, 3, 1, 2)[:n])) for n in range(1, 7)},
        "views": {"row": base[2], "rows": base[1:3], "copy": base[:, 1:3], "flat": base.reshape((-1,))},
        "sparse_dict": sparse_arrays(rng),
        "sparse_list": list(sparse_arrays(rng).values()),
        "gluon_parameters": {k: p.data() for k, p in net._collect_params_with_prefix().items()},
        "gluon_collected": {k: p.data() for k, p in net.collect_params().items()},
    }


def describe(name: str, content: list | dict) -> dict[str, np.ndarray]:
    """Return the entries of ``expected.npz`` for one file."""
    entries: dict[str, np.ndarray] = {}
    if isinstance(content, dict):
        entries[f"{name}:names"] = np.array(list(content), dtype=np.str_)
        content = list(content.values())
    bfloat = [x.dtype == BFLOAT16 for x in content]
    words = ["bfloat16" if b else np.dtype(x.dtype).name for x, b in zip(content, bfloat, strict=True)]
    entries[f"{name}:dtypes"] = np.array(words, dtype=np.str_)
    entries[f"{name}:stypes"] = np.array([x.stype for x in content], dtype=np.str_)
    for i, x in enumerate(content):
        dense = x.asnumpy()
        entries[f"{name}:{i}"] = dense.view(np.uint16) if bfloat[i] else dense
        if x.stype != "default":
            entries[f"{name}:{i}:data"] = x.data.asnumpy()
            entries[f"{name}:{i}:indices"] = x.indices.asnumpy()
        if x.stype == "csr":
            entries[f"{name}:{i}:indptr"] = x.indptr.asnumpy()
    return entries


def save(name: str, content: list | dict) -> dict[str, np.ndarray]:
    """Write one file, see that MXNet reads it back, and return its entries of ``expected.npz``."""
    path = str(FOLDER / f"{name}.params")
    mx.nd.save(path, content)
    entries = describe(name, content)
    again = describe(name, mx.nd.load(path))
    for key, expected in entries.items():
        np.testing.assert_array_equal(again[key], expected, err_msg=key)
    return entries


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    entries: dict[str, np.ndarray] = {}
    for name, content in files().items():
        entries |= save(name, content)
    with mx.util.np_shape(True):
        entries |= save("numpy_shape", numpy_shape_arrays())
    np.savez_compressed(FOLDER / "expected.npz", **entries)
    # Without NumPy shapes an array of rank 0 is written with its data but read as «nothing»: what follows is misread.
    mx.nd.save(str(FOLDER / "rank0_misread.params"), {"scalar": mx.nd.array(3), "after": mx.nd.ones((2,))})
    try:
        print("rank0_misread:", mx.nd.load(str(FOLDER / "rank0_misread.params")))
    except mx.base.MXNetError as error:
        print("rank0_misread:", str(error).splitlines()[-1])
    print(f"{sum(f.stat().st_size for f in FOLDER.iterdir()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
