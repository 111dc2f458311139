"""Cases of ``symjit/ops/nn/pool.py``."""

import numpy as np

from tests.ops.case import CLOSER, CORNER, SINGLE, Case, Draw


def pool(tag, shape, *, op="Pooling", low=-1.0, high=1.0, dtype="float32", **attrs):
    """Return a case whose data has no ties."""
    # MXNet's old operator multiplies averages by a float32.
    wide = {"tol": {"float64": 1e-7, "float16": 5e-3}, "reason": f"{SINGLE}; in float16 {CLOSER}"}
    return Case(op, [Draw(shape, low, high, dtype, spread=True)], attrs, tag, **(wide if op == "Pooling_v1" else {}))


TIES = np.array([[[[1, 1, 0], [1, 2, 2], [2, 2, 1]]]], np.float32)
NEGATIVE = -np.arange(1, 7, dtype=np.float32).reshape(1, 1, 1, 6)
MIXED = np.array([[[[-1, 2, -3, 0, 0, 4]]]], np.float32)

CASES = [
    # type x convention x padding
    pool("max", (2, 3, 5, 6), kernel=(2, 3)),
    pool("max-strided", (2, 3, 7, 6), kernel=(3, 2), stride=(2, 2), pad=(1, 0)),
    pool("max-full", (1, 2, 6, 7), kernel=(3, 3), stride=(2, 3), pad=(1, 1), pooling_convention="full"),
    pool("max-full-fits", (1, 2, 5, 5), kernel=(3, 3), stride=(2, 2), pooling_convention="full"),
    pool("max-overlapping", (1, 2, 5, 5), kernel=(3, 3), stride=(1, 1), pad=(1, 1)),
    pool("max-gaps", (1, 2, 7, 7), kernel=(2, 2), stride=(3, 3)),
    pool("avg", (2, 3, 5, 6), kernel=(2, 3), pool_type="avg"),
    pool("avg-pad", (1, 2, 6, 7), kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg"),
    pool(
        "avg-pad-excluded",
        (1, 2, 6, 7),
        kernel=(3, 3),
        stride=(2, 2),
        pad=(1, 1),
        pool_type="avg",
        count_include_pad=False,
    ),
    # float64 does not go through oneDNN, whose gradient contradicts its forward pass here
    pool(
        "avg-full",
        (1, 2, 6, 7),
        dtype="float64",
        kernel=(3, 3),
        stride=(2, 2),
        pool_type="avg",
        pooling_convention="full",
    ),
    pool(
        "avg-full-pad",
        (1, 2, 6, 5),
        kernel=(3, 2),
        stride=(2, 2),
        pad=(1, 1),
        pool_type="avg",
        pooling_convention="full",
        count_include_pad=True,
    ),
    pool(
        "avg-full-pad-excluded",
        (1, 2, 6, 5),
        kernel=(3, 2),
        stride=(2, 2),
        pad=(1, 1),
        pool_type="avg",
        pooling_convention="full",
        count_include_pad=False,
    ),
    pool("sum", (2, 2, 5, 6), kernel=(3, 2), stride=(2, 1), pad=(1, 0), pool_type="sum"),
    pool("sum-full", (1, 2, 6, 6), kernel=(3, 3), stride=(2, 2), pool_type="sum", pooling_convention="full"),
    pool("lp1", (1, 2, 5, 5), kernel=(2, 2), pool_type="lp", p_value=1),
    pool("lp2", (1, 2, 5, 5), kernel=(2, 2), pad=(1, 1), stride=(2, 2), pool_type="lp", p_value=2),
    pool("lp3", (1, 2, 5, 5), low=0.1, kernel=(2, 2), pool_type="lp", p_value=3),
    pool("lp2-full", (1, 2, 6, 6), kernel=(3, 3), stride=(2, 2), pool_type="lp", p_value=2, pooling_convention="full"),
    # A root has no slope at zero: MXNet passes nothing.
    *(
        Case(
            "Pooling",
            [MIXED],
            {"kernel": (1, 2), "pool_type": "lp", "p_value": p},
            f"lp{p}-zero",
            numeric=False,
            reason=CORNER,
        )
        for p in (1, 2, 3)
    ),
    # whole images
    *(
        pool(f"global-{kind}", (2, 3, 3, 4), low=0.1, global_pool=True, pool_type=kind, p_value=2)
        for kind in ("max", "avg", "sum", "lp")
    ),
    pool(
        "global-ignores-the-rest",
        (1, 2, 3, 4),
        global_pool=True,
        kernel=(2, 2),
        stride=(2, 2),
        pad=(1, 1),
        pool_type="avg",
        pooling_convention="full",
    ),
    pool("global-1d", (2, 3, 4), global_pool=True, kernel=(1,), pool_type="avg"),
    pool("global-3d", (1, 2, 2, 3, 2), global_pool=True, kernel=(1, 1, 1), pool_type="max"),
    pool("global-nhwc", (2, 3, 4, 2), global_pool=True, pool_type="avg", layout="NHWC"),
    # ranks and layouts
    *(
        pool(f"1d-{kind}", (2, 3, 8), kernel=(3,), stride=(2,), pad=(1,), pool_type=kind)
        for kind in ("max", "avg", "sum")
    ),
    *(
        pool(f"3d-{kind}", (1, 2, 4, 5, 4), kernel=(2, 3, 2), stride=(2, 1, 2), pad=(1, 1, 0), pool_type=kind)
        for kind in ("max", "avg", "sum")
    ),
    pool("3d-full", (1, 1, 4, 5, 4), kernel=(3, 2, 2), stride=(2, 2, 3), pool_type="avg", pooling_convention="full"),
    pool("nchw", (1, 2, 4, 4), kernel=(2, 2), layout="NCHW"),
    pool("ncw", (1, 2, 5), kernel=(2,), layout="NCW"),
    pool("ncdhw", (1, 2, 3, 2, 3), kernel=(2, 1, 2), layout="NCDHW"),
    *(
        pool(f"nhwc-{kind}", (1, 5, 4, 2), kernel=(3, 2), stride=(2, 1), pad=(1, 1), pool_type=kind, layout="NHWC")
        for kind in ("max", "avg", "sum")
    ),
    pool("nwc", (2, 7, 3), kernel=(3,), stride=(2,), layout="NWC"),
    pool("nwc-full", (2, 6, 3), kernel=(3,), stride=(2,), layout="NWC", pool_type="avg", pooling_convention="full"),
    pool("ndhwc", (1, 4, 3, 5, 2), kernel=(2, 2, 2), stride=(1, 1, 2), layout="NDHWC", pool_type="avg"),
    # 'same' wants three zeros for pad in MXNet 1.9.1, a slip of its check
    *(
        pool(
            f"same-{kind}",
            (1, 7, 2),
            low=0.1,
            kernel=(3,),
            stride=(2,),
            pad=(0, 0, 0),
            pool_type=kind,
            p_value=2,
            pooling_convention="same",
            layout="NWC",
        )
        for kind in ("max", "avg", "sum", "lp")
    ),
    pool("same-even", (1, 6, 2), kernel=(4,), stride=(3,), pad=(0, 0, 0), pooling_convention="same", layout="NWC"),
    pool("same-gaps", (1, 8, 1), kernel=(2,), stride=(4,), pad=(0, 0, 0), pooling_convention="same", layout="NWC"),
    # ties, padding below all values, windows that hold nothing
    Case("Pooling", [TIES], {"kernel": (2, 2)}, "ties", numeric=False, reason=CORNER),
    Case("Pooling", [TIES], {"global_pool": True}, "ties-global", numeric=False, reason=CORNER),
    Case(
        "Pooling", [TIES], {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2)}, "ties-pad", numeric=False, reason=CORNER
    ),
    Case(
        "Pooling",
        [TIES.reshape(1, 3, 3, 1)],
        {"kernel": (2, 2), "layout": "NHWC"},
        "ties-nhwc",
        numeric=False,
        reason=CORNER,
    ),
    Case("Pooling", [NEGATIVE], {"kernel": (1, 2), "pad": (0, 1)}, "negative"),
    Case(
        "Pooling",
        [NEGATIVE],
        {"kernel": (1, 1), "stride": (1, 4), "pooling_convention": "full"},
        "empty-max",
        numeric=False,
        reason=CORNER,
    ),
    Case(
        "Pooling",
        [NEGATIVE],
        {"kernel": (1, 1), "stride": (1, 4), "pooling_convention": "full", "pool_type": "avg"},
        "empty-avg",
    ),
    pool("one-pixel", (1, 1, 1, 1), kernel=(1, 1)),
    # dtypes
    *(
        pool(
            f"float16-{kind}",
            (1, 2, 5, 5),
            dtype="float16",
            kernel=(2, 2),
            stride=(2, 2),
            pool_type=kind,
            p_value=2,
        )
        for kind in ("max", "avg", "sum", "lp")
    ),
    *(
        pool(f"float64-{kind}", (1, 2, 5, 5), dtype="float64", kernel=(3, 3), pad=(1, 1), pool_type=kind)
        for kind in ("max", "avg")
    ),
    pool("ignored", (1, 1, 4, 4), kernel=(2, 2), cudnn_off=True),
    # the operator of old files
    pool("max", (2, 3, 5, 6), op="Pooling_v1", kernel=(2, 3), stride=(2, 2)),
    pool("max-pad", (1, 2, 5, 6), op="Pooling_v1", low=0.1, kernel=(3, 3), pad=(1, 1), stride=(2, 2)),
    pool("max-full", (1, 2, 6, 6), op="Pooling_v1", kernel=(3, 3), stride=(2, 2), pooling_convention="full"),
    pool("avg", (1, 2, 5, 6), op="Pooling_v1", kernel=(3, 3), pad=(1, 1), stride=(2, 2), pool_type="avg"),
    pool(
        "avg-full",
        (1, 2, 6, 6),
        op="Pooling_v1",
        kernel=(3, 3),
        pad=(1, 1),
        stride=(2, 2),
        pool_type="avg",
        pooling_convention="full",
    ),
    pool("sum", (1, 2, 5, 6), op="Pooling_v1", kernel=(2, 2), pool_type="sum"),
    *(
        pool(f"global-{kind}", (1, 2, 3, 4), op="Pooling_v1", global_pool=True, pool_type=kind)
        for kind in ("max", "avg", "sum")
    ),
    Case("Pooling_v1", [TIES], {"kernel": (2, 2)}, "ties", numeric=False, reason=CORNER),
    Case(
        "Pooling_v1",
        [TIES],
        {"kernel": (3, 3), "pad": (1, 1), "stride": (2, 2)},
        "ties-pad",
        numeric=False,
        reason=CORNER,
    ),
    Case("Pooling_v1", [NEGATIVE], {"kernel": (1, 2), "pad": (0, 1)}, "zero-padding"),
    Case(
        "Pooling_v1",
        [NEGATIVE],
        {"kernel": (1, 1), "stride": (1, 4), "pooling_convention": "full"},
        "empty",
        grad=False,
    ),
]
