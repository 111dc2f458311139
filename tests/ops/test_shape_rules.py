"""Shape rules: right whatever they are told, and strong where MXNet's are."""

from __future__ import annotations

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from symjit.ops import registry
from symjit.ops.registry import known_inputs
from symjit.ops.shapes import unify
from tests.ops.case import Case
from tests.ops.conftest import all_cases, golden


def deduce(name: str, attrs: dict, inputs: list, outputs: list) -> tuple[list, list]:
    """Return what a rule makes of partial shapes, unified with them."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    found = operator.shape_rule(parsed, known_inputs(operator, parsed, inputs, outputs))
    out = found.get("out")
    out = list(out) if isinstance(out, list) else [out]
    ins = found.get("args") if operator.variadic else [found.get(n) for n in operator.input_names(parsed)]
    ins = list(ins or [None] * len(inputs))
    out += [None] * (len(outputs) - len(out))
    pairs = [*zip(inputs, ins, strict=True), *zip(outputs, out, strict=True)]
    merged = [unify(*pair) for pair in pairs]
    return merged[: len(inputs)], merged[len(inputs) :]


ROWS = [
    (family, case)
    for family, case in all_cases()
    if family in ("matrix", "join", "slicing", "sorting", "indexing", "dot") and registry.get(case.op).shape_rule
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{family}-{case.id}" for family, case in ROWS])
def test_nothing_wrong_is_deduced(row: tuple[str, Case]) -> None:
    """With dimensions hidden at random, what a rule deduces never contradicts the whole shapes."""
    family, case = row
    operator, want = registry.get(case.op), golden(family, case.id)
    attrs = operator.parse_attrs(case.attrs)
    inputs = [tuple(a.shape) for a in case.arrays()]
    outputs = [tuple(want[f"out:{i}"].shape) for i in range(operator.num_visible(attrs))]
    hidden = [None] * (operator.num_outputs(attrs) - len(outputs))
    rng = np.random.RandomState(zlib.crc32(case.id.encode()) & 0x7FFFFFFF)

    def hide(shape: tuple[int, ...], share: float) -> tuple[int | None, ...] | None:
        if rng.uniform() < share / 2:
            return None
        return tuple(None if rng.uniform() < share else dim for dim in shape)

    for share in (0.0, 0.2, 0.3, 0.5, 0.6, 0.8, 1.0):
        partial = [hide(shape, share) for shape in inputs], [hide(shape, share) for shape in outputs]
        found = deduce(case.op, case.attrs, partial[0], partial[1] + hidden)
        for got, shape in zip(found[0] + found[1], inputs + outputs, strict=False):
            assert got is None or all(x in (None, y) for x, y in zip(got, shape, strict=True)), f"{partial} -> {found}"


N = None

#: operator, attributes, inputs, outputs, deduced inputs, deduced outputs
DEDUCTIONS = [
    ("Reshape", {"shape": (0, -1)}, [(N, 3, 4)], [N], [(N, 3, 4)], [(N, 12)]),
    ("Reshape", {"shape": (-1, 12)}, [(N, 3, 4)], [N], [(N, 3, 4)], [(N, 12)]),
    ("Reshape", {"shape": (-3, 0)}, [(N, 3, 4)], [N], [(N, 3, 4)], [(N, 4)]),
    ("Reshape", {"shape": (-2, 1)}, [(N, 3, 4)], [N], [(N, 3, 4)], [(N, 3, 4, 1)]),
    ("Reshape", {"shape": (0, -4, 2, -1)}, [(N, 6)], [N], [(N, 6)], [(N, 2, 3)]),
    ("Reshape", {"shape": (-4, -1, 2, 0)}, [(N, 12)], [N], [(N, 12)], [(N, 2, 12)]),
    ("Reshape", {"shape": (0, -1)}, [(N, 3, 4)], [(2, N)], [(2, 3, 4)], [(2, 12)]),
    ("Reshape", {"shape": (-3, 0)}, [(N, 3, 4)], [(6, 4)], [(2, 3, 4)], [(6, 4)]),
    ("Reshape", {"shape": (2, -1)}, [(4, N)], [(2, 6)], [(4, 3)], [(2, 6)]),
    ("Reshape", {"shape": (8, 3)}, [(N, 4)], [N], [(6, 4)], [(8, 3)]),
    ("Reshape", {"shape": (5, -1, 0)}, [N], [N], [N], [(5, N, N)]),
    ("Reshape", {"shape": (-1, 0), "reverse": True}, [(N, 5, 4)], [N], [(N, 5, 4)], [(N, 4)]),
    ("Reshape", {"shape": (-1, 0), "reverse": True}, [(N, 5, N)], [(50, 4)], [(10, 5, 4)], [(50, 4)]),
    ("Reshape", {"target_shape": (0, 12), "keep_highest": True}, [(N, 3, 4)], [(2, N)], [(2, 3, 4)], [(2, 12)]),
    ("Flatten", {}, [(N, 3, 4)], [N], [(N, 3, 4)], [(N, 12)]),
    ("Flatten", {}, [(N, N, 4)], [(2, 12)], [(2, 3, 4)], [(2, 12)]),
    ("transpose", {"axes": (1, 0, 2)}, [N], [(1, N, 3)], [(N, 1, 3)], [(1, N, 3)]),
    ("transpose", {}, [(1, N, 3)], [N], [(1, N, 3)], [(3, N, 1)]),
    ("expand_dims", {"axis": 0}, [N], [(1, N, 3)], [(N, 3)], [(1, N, 3)]),
    ("squeeze", {"axis": 1}, [(N, N, 2)], [(3, N)], [(3, 1, 2)], [(3, 2)]),
    ("SwapAxis", {"dim1": 0, "dim2": -1}, [(N, 1, 2)], [(N, N, 3)], [(3, 1, 2)], [(2, 1, 3)]),
    ("reshape_like", {}, [(N, 3)], [N], [(4, 3), (2, 6)], [(2, 6)]),
    ("depth_to_space", {"block_size": 2}, [N], [(N, 1, 2, 4)], [(N, 4, 1, 2)], [(N, 1, 2, 4)]),
    ("Concat", {"num_args": 2}, [(N, 3), (2, 4)], [N], [(2, 3), (2, 4)], [(2, 7)]),
    ("Concat", {"num_args": 2}, [N, (2, 4)], [(2, 6)], [(2, 2), (2, 4)], [(2, 6)]),
    ("stack", {"num_args": 2, "axis": 1}, [N, (N, 4)], [(2, N, N)], [(2, 4)] * 2, [(2, 2, 4)]),
    ("SliceChannel", {"num_outputs": 2}, [(N, 4)], [N, (3, N)], [(3, 4)], [(3, 2)] * 2),
    ("SliceChannel", {"num_outputs": 2, "squeeze_axis": True}, [N], [(3,), N], [(3, 2)], [(3,)] * 2),
    ("slice", {"begin": (N, 1), "end": (N, 3)}, [(N, 4)], [(5, N)], [(5, 4)], [(5, 2)]),
    ("slice_axis", {"axis": 1, "begin": 0, "end": 2}, [(N, N)], [(3, N)], [(3, N)], [(3, 2)]),
    ("slice_like", {"axes": (1,)}, [(N, 4), (N, 3)], [(7, N)], [(7, 4), (N, 3)], [(7, 3)]),
    ("Crop", {"num_args": 2}, [(N, 3, 4, 4), (2, 5, 2, 2)], [N], [(N, 3, 4, 4), (2, 5, 2, 2)], [(N, 3, 2, 2)]),
    ("Embedding", {"input_dim": 5, "output_dim": 2}, [(N, 4), N], [N], [(N, 4), (5, 2)], [(N, 4, 2)]),
    ("Embedding", {"input_dim": 5, "output_dim": 2}, [N, N], [(3, 4, 2)], [(3, 4), (5, 2)], [(3, 4, 2)]),
    ("take", {}, [(5, 2), (N, 4)], [N], [(5, 2), (N, 4)], [(N, 4, 2)]),
    ("take", {"axis": 1}, [(N, 5), N], [(3, 4)], [(3, 5), (4,)], [(3, 4)]),
    ("pick", {}, [(5, 3), N], [N], [(5, 3), (5,)], [(5,)]),
    ("pick", {"keepdims": True}, [(N, 3), (5, 1)], [N], [(5, 3), (5, 1)], [(5, 1)]),
    ("one_hot", {"depth": 3}, [(N,)], [N], [(N,)], [(N, 3)]),
    ("gather_nd", {}, [(2, N, 4), (2, 7)], [N], [(2, N, 4), (2, 7)], [(7, 4)]),
    ("topk", {"k": 2, "ret_typ": "both"}, [(N, 3)], [(5, N), N], [(5, 3)], [(5, 2), (N, 2)]),
    ("sort", {}, [(N, 3)], [N, N], [(N, 3)], [(N, 3)] * 2),
    ("dot", {}, [(N, 2), (2, 4)], [(3, N)], [(3, 2), (2, 4)], [(3, 4)]),
    ("dot", {"transpose_b": True}, [(3, N), (4, 2)], [N], [(3, 2), (4, 2)], [(3, 4)]),
    ("batch_dot", {}, [(N, 2, 4), (5, 4, 3)], [N], [(5, 2, 4), (5, 4, 3)], [(5, 2, 3)]),
    ("tile", {"reps": (1, 2)}, [(N, 2)], [(3, 4)], [(3, 2)], [(3, 4)]),
    ("repeat", {"repeats": 2, "axis": 1}, [(N, 2)], [N], [(N, 2)], [(N, 4)]),
    ("_sample_uniform", {"shape": (3,)}, [(N,), (2,)], [N], [(2,), (2,)], [(2, 3)]),
]


@pytest.mark.parametrize(("name", "attrs", "inputs", "outputs", "all_inputs", "all_outputs"), DEDUCTIONS)
def test_deductions(name, attrs, inputs, outputs, all_inputs, all_outputs) -> None:
    """Partial shapes flow through an operator in both directions."""
    inputs = inputs + all_inputs[len(inputs) :]  # those left out are given whole
    assert deduce(name, attrs, inputs, outputs) == (all_inputs, all_outputs)


#: operator, attributes, input shapes, part of the message
REFUSED = [
    ("Reshape", {"shape": (5, -1)}, [(2, 3, 4)], "24 elements can not be divided"),
    ("Reshape", {"shape": (4, 5)}, [(2, 3, 4)], "24 elements, .* has 20"),
    ("Reshape", {"shape": (0, 0, 0)}, [(2, 3)], "no dimension left"),
    ("Reshape", {"shape": (-1, -1)}, [(2, 3)], "one -1"),
    ("Reshape", {"shape": (-4, -1, -1)}, [(2,)], "two sizes"),
    ("Reshape", {"shape": (-5,)}, [(2,)], "no code"),
    ("Reshape", {"shape": (0, -2), "reverse": True}, [(2, 3)], "no dimension left"),
    ("Reshape", {"target_shape": (0, 0)}, [(2, 3)], "one 0"),
    ("Reshape", {}, [(2, 3)], "attribute shape"),
    ("transpose", {"axes": (0, 0, 1)}, [(2, 3, 4)], "no permutation"),
    ("expand_dims", {"axis": 4}, [(2, 3, 4)], "out of range"),
    ("squeeze", {"axis": 1}, [(1, 3)], "squeeze"),
    ("squeeze", {"axis": (0, -3)}, [(1, 3, 1)], "twice"),
    ("SwapAxis", {"dim1": 3}, [(2, 3, 4)], "out of range"),
    ("reshape_like", {"rhs_end": 9}, [(2, 3), (6,)], "no range"),
    ("depth_to_space", {"block_size": 2}, [(1, 6, 1, 1)], "multiple of 4"),
    ("space_to_depth", {"block_size": 2}, [(1, 1, 2, 3)], "multiple of 2"),
    ("depth_to_space", {"block_size": 2}, [(4, 1, 1)], "4 dimensions"),
    ("diag", {"k": 9}, [(2, 3)], "no diagonal"),
    ("Concat", {"num_args": 2}, [(2, 3), (3, 3)], "concatenate"),
    ("Concat", {"num_args": 2}, [(2,), (3,)], "out of range"),
    ("stack", {"num_args": 2}, [(2,), (3,)], "shape"),
    ("SliceChannel", {"num_outputs": 2}, [(2, 3)], "2 equal parts"),
    ("SliceChannel", {"num_outputs": 1, "squeeze_axis": True}, [(2, 3)], "squeeze_axis"),
    ("_split_v2", {"indices": (1, 2)}, [(2, 3)], "begin with 0"),
    ("_split_v2", {"indices": (0, 2), "squeeze_axis": True}, [(2, 3)], "squeeze_axis"),
    ("tile", {"reps": (0,)}, [(2, 3)], "positive"),
    ("repeat", {"repeats": 2, "axis": 3}, [(2, 3)], "out of range"),
    ("Pad", {"mode": "edge", "pad_width": (0, 0)}, [(2, 3)], "4 sizes"),
    ("Pad", {"mode": "reflect", "pad_width": (0, 0, 3, 0)}, [(2, 3)], "at most 2"),
    ("slice", {"begin": (0, 0), "end": (1,)}, [(2, 3)], "equal lengths"),
    ("slice", {"begin": (0,), "end": (1,), "step": (0,)}, [(2, 3)], "must not hold 0"),
    ("slice", {"begin": (0,) * 3, "end": (1,) * 3}, [(2, 3)], "3 axes"),
    ("slice_axis", {"axis": 1, "begin": 0, "end": 9}, [(2, 3)], "no range"),
    ("slice_axis", {"axis": 1, "begin": 2, "end": 2}, [(2, 3)], "no range"),
    ("slice_axis", {"axis": 1, "begin": -5, "end": 2}, [(2, 3)], "no range"),
    ("slice_like", {}, [(2, 3), (2,)], "equal ranks"),
    ("slice_like", {}, [(2, 3), (2, 4)], "less than 4"),
    ("slice_like", {"axes": (-1,)}, [(2, 3, 4), (2, 3)], "none of the 2 axes"),
    ("Crop", {"num_args": 1, "h_w": (5, 3)}, [(1, 1, 4, 4)], "does not fit"),
    ("Crop", {"num_args": 1, "h_w": (3, 3), "offset": (2, 0)}, [(1, 1, 4, 4)], "does not fit"),
    ("Crop", {"num_args": 1}, [(1, 1, 4, 4)], "at least 1"),
    ("Crop", {"num_args": 1, "h_w": (2, 2)}, [(1, 4, 4)], "4 dimensions"),
    ("_slice_assign", {"begin": (1,), "end": (2,)}, [(2, 3), (1, 2)], "shape of the slice"),
    ("take", {"axis": 2}, [(2, 3), (1,)], "out of range"),
    ("pick", {"axis": None}, [(2, 3), (2,)], "axis"),
    ("pick", {}, [(2, 3), (3,)], "reshape"),
    ("batch_take", {}, [(2, 3, 4), (2,)], "2 dimensions"),
    ("gather_nd", {}, [(2, 3), (3, 2)], "3 coordinates"),
    ("gather_nd", {}, [(2,), (2,)], "at least 2"),
    ("scatter_nd", {"shape": (5,)}, [(4,), (1, 2)], "must have the shape"),
    ("topk", {"k": 4}, [(2, 3)], "k=4"),
    ("dot", {}, [(2, 3), (2, 3)], "dot_general"),
    ("dot", {"transpose_a": True}, [(3,), (3,)], "vectors"),
    ("batch_dot", {}, [(3, 4), (4, 5)], "rank of at least 3"),
    ("batch_dot", {}, [(1, 3, 4), (2, 4, 5)], "dot_general"),
]


@pytest.mark.parametrize(("name", "attrs", "shapes", "message"), REFUSED)
def test_wrong_shapes_are_refused(name, attrs, shapes, message) -> None:
    """An impossible shape raises an error that says why, at the latest when the operator is traced."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    with jax.enable_x64(True), pytest.raises((ValueError, TypeError), match=message):
        jax.eval_shape(lambda *xs: operator.call(parsed, xs), *(jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes))


@pytest.mark.parametrize("keepdims", [False, True])
def test_pick_with_a_kept_axis(keepdims: bool) -> None:
    """The index of `pick` may keep the picked axis with size 1."""
    operator = registry.get("pick")
    attrs = operator.parse_attrs({"keepdims": keepdims})
    data, index = jnp.arange(6, dtype=jnp.float32).reshape(3, 2), jnp.array([[0], [1], [1]], jnp.float32)
    (picked,), _ = operator.call(attrs, [data, index])
    assert picked.shape == ((3, 1) if keepdims else (3,))
    np.testing.assert_array_equal(np.ravel(picked), [0, 3, 5])


#: operator, attributes, input shape(s) with a symbolic batch "b", output shapes
SYMBOLIC = [
    ("Reshape", {"shape": (0, -1)}, ["b,3,4"], ["(b, 12)"]),
    ("Reshape", {"shape": (-1, 12)}, ["b,3,4"], ["(b, 12)"]),
    ("Reshape", {"shape": (-3, 4)}, ["b,3,4"], ["(3*b, 4)"]),
    ("Reshape", {"shape": (-1, 2)}, ["b,4"], ["(2*b, 2)"]),
    ("Flatten", {}, ["b,3,4"], ["(b, 12)"]),
    ("slice", {"begin": (None, 1), "end": (None, 3)}, ["b,4"], ["(b, 2)"]),
    ("slice", {"begin": (None, None), "end": (None, None), "step": (-1, 2)}, ["b,4"], ["(b, 2)"]),
    ("slice_axis", {"axis": 0, "begin": 1, "end": None}, ["b,4"], ["(b - 1, 4)"]),
    ("slice_like", {}, ["b,4", "b,3"], ["(b, 3)"]),
    ("SliceChannel", {"num_outputs": 2}, ["b,4"], ["(b, 2)", "(b, 2)"]),
    ("Concat", {"num_args": 2}, ["b,4", "b,3"], ["(b, 7)"]),
    ("reshape_like", {}, ["b,4", "b,2,2"], ["(b, 2, 2)"]),
    ("shape_array", {}, ["b,4"], ["(2,)"]),
    ("size_array", {}, ["b,4"], ["(1,)"]),
    ("tile", {"reps": (2, 1)}, ["b,4"], ["(2*b, 4)"]),
    ("repeat", {"repeats": 2}, ["b,4"], ["(8*b,)"]),
    ("reverse", {"axis": 0}, ["b,4"], ["(b, 4)"]),
    ("Pad", {"mode": "reflect", "pad_width": (0, 0, 1, 1)}, ["b,4"], ["(b, 6)"]),
    ("depth_to_space", {"block_size": 2}, ["b,4,2,2"], ["(b, 1, 4, 4)"]),
    ("Crop", {"num_args": 1, "h_w": (2, 2)}, ["b,1,4,4"], ["(b, 1, 2, 2)"]),
    ("Embedding", {"input_dim": 4, "output_dim": 3}, ["b,2", "4,3"], ["(b, 2, 3)"]),
    ("take", {}, ["b,3", "b"], ["(b, 3)"]),
    ("pick", {}, ["b,3", "b"], ["(b,)"]),
    ("one_hot", {"depth": 2}, ["b"], ["(b, 2)"]),
    ("gather_nd", {}, ["b,3", "1,b"], ["(b, 3)"]),
    ("topk", {"k": 2, "ret_typ": "both"}, ["b,3"], ["(b, 2)", "(b, 2)"]),
    ("topk", {"k": 2, "ret_typ": "mask"}, ["b,3"], ["(b, 3)"]),
    ("sort", {"axis": 0}, ["b,3"], ["(b, 3)", "(b, 3)"]),
    ("dot", {}, ["b,3", "3,2"], ["(b, 2)"]),
    ("batch_dot", {}, ["b,3,4", "b,4,2"], ["(b, 3, 2)"]),
    ("_slice_assign_scalar", {"begin": (None, 1), "end": (None, 2)}, ["b,3"], ["(b, 3)"]),
]


@pytest.mark.parametrize(("name", "attrs", "shapes", "outputs"), SYMBOLIC)
def test_symbolic_batch(name, attrs, shapes, outputs) -> None:
    """The operators trace with a batch size of `jax.export`'s symbols."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    scope = jax.export.SymbolicScope()
    structs = [jax.ShapeDtypeStruct(jax.export.symbolic_shape(shape, scope=scope), jnp.float32) for shape in shapes]
    with jax.enable_x64(True):
        exported = jax.export.export(jax.jit(lambda *xs: operator.call(parsed, xs)[0]))(*structs)
    assert [str(aval.shape) for aval in exported.out_avals] == outputs


#: operator, attributes, input shapes of one rank, permutation of the axes
RELAID = [
    ("transpose", {"axes": (1, 0, 2, 3)}, [(2, 3, 4, 5)]),
    ("SwapAxis", {"dim1": 1, "dim2": -1}, [(2, 3, 4, 5)]),
    ("Concat", {"num_args": 2}, [(2, 3, 4, 5), (2, 1, 4, 5)]),
    ("SliceChannel", {"num_outputs": 3}, [(2, 3, 4, 5)]),
    ("_split_v2", {"indices": (0, 1)}, [(2, 3, 4, 5)]),
    ("tile", {"reps": (2, 1, 3)}, [(2, 3, 4, 5)]),
    ("repeat", {"repeats": 2, "axis": 1}, [(2, 3, 4, 5)]),
    ("reverse", {"axis": (1, 3)}, [(2, 3, 4, 5)]),
    ("Pad", {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 2, 3, 4)}, [(2, 3, 4, 5)]),
    ("slice", {"begin": (0, 1), "end": (2, 3), "step": (1, 2)}, [(2, 3, 4, 5)]),
    ("slice_axis", {"axis": -2, "begin": 1, "end": 3}, [(2, 3, 4, 5)]),
    ("slice_like", {"axes": (1, 2)}, [(2, 3, 4, 5), (1, 2, 3, 4)]),
    ("_slice_assign", {"begin": (0, 1), "end": (2, 3)}, [(2, 3, 4, 5), (2, 2, 4, 5)]),
    ("_slice_assign_scalar", {"scalar": 3.0, "begin": (0, 1), "end": (2, 3)}, [(2, 3, 4, 5)]),
    ("sort", {"axis": 1}, [(2, 3, 4, 5)]),
    ("argsort", {"axis": 1}, [(2, 3, 4, 5)]),
    ("topk", {"axis": 1, "k": 2, "ret_typ": "both"}, [(2, 3, 4, 5)]),
]


@pytest.mark.parametrize("perm", [(0, 2, 3, 1), (3, 0, 2, 1)])
@pytest.mark.parametrize(("name", "attrs", "shapes"), RELAID)
def test_layout_rules(name, attrs, shapes, perm) -> None:
    """On permuted data, the changed attributes give the permuted result."""
    operator = registry.get(name)
    parsed = operator.parse_attrs(attrs)
    changed = operator.relayout(parsed, perm)
    rng = np.random.RandomState(0)
    inputs = [rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32) for shape in shapes]
    with jax.enable_x64(True):
        plain, _ = operator.call(parsed, [jnp.array(x) for x in inputs])
        turned, _ = operator.call(changed, [jnp.array(x.transpose(perm)) for x in inputs])
    for one, other in zip(plain, turned, strict=True):
        np.testing.assert_array_equal(np.asarray(one).transpose(perm), np.asarray(other))


def test_layouts_that_can_not_follow() -> None:
    """Where an operator drops, adds or flattens axes there is no such change."""
    for name, attrs in [
        ("Reshape", {"shape": (0, -1)}),
        ("Flatten", {}),
        ("SliceChannel", {"num_outputs": 2, "squeeze_axis": True}),
        ("repeat", {"repeats": 2}),
        ("topk", {"axis": None}),
        ("stack", {"num_args": 2}),
    ]:
        operator = registry.get(name)
        assert operator.relayout(operator.parse_attrs(attrs), (0, 2, 3, 1)) is None


@pytest.mark.parametrize(
    ("name", "attrs", "kept"),
    [
        ("Reshape", {"shape": (0, -1)}, True),
        ("Reshape", {"shape": (-2, 1)}, True),
        ("Reshape", {"shape": (-1, 4)}, False),
        ("Reshape", {"shape": (0, -1), "reverse": True}, False),
        ("Reshape", {"target_shape": (0, 4), "keep_highest": True}, True),
        ("Concat", {"num_args": 2}, True),
        ("Concat", {"num_args": 2, "dim": 0}, False),
        ("transpose", {"axes": (0, 2, 1)}, True),
        ("transpose", {}, False),
        ("slice", {"begin": (None, 1), "end": (None, 2)}, True),
        ("slice", {"begin": (0, 1), "end": (2, 2)}, False),
        ("slice", {"begin": (None,), "end": (None,), "step": (-1,)}, False),
        ("slice_axis", {"axis": 1, "begin": 0, "end": 1}, True),
        ("squeeze", {}, False),
        ("take", {}, True),
        ("take", {"axis": 1}, False),
    ],
)
def test_rows(name, attrs, kept) -> None:
    """Whether rows stay apart depends on the attributes."""
    operator = registry.get(name)
    assert operator.keeps_rows(operator.parse_attrs(attrs)) is kept


def test_output_names() -> None:
    """Names and hidden outputs are those of MXNet's lists and files."""
    for name, attrs, names, visible in [
        ("SliceChannel", {"num_outputs": 1}, ("output0",), 1),
        ("_split_v2", {"indices": (0,)}, ("output",), 1),
        ("topk", {}, ("output",), 1),
        ("topk", {"ret_typ": "value"}, ("output0", "output1"), 1),
        ("topk", {"ret_typ": "both"}, ("output0", "output1"), 2),
        ("sort", {}, ("output0", "output1"), 1),
        ("argsort", {}, ("output",), 1),
        ("_sample_multinomial", {"get_prob": True}, ("output0", "output1"), 2),
    ]:
        operator = registry.get(name)
        parsed = operator.parse_attrs(attrs)
        assert (operator.output_names(parsed), operator.num_visible(parsed)) == (names, visible)
