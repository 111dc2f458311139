"""Write ``legacy/``: symbol files of old dialects, made by hand, and what MXNet 1.9.1 makes of them.

Run in the MXNet environment (see README.md), after ``generate_json.py``: ``python generate_legacy.py``.

``RULE.CASE.in.json`` is the old file, ``RULE.CASE.out.json`` is ``load_json(text).tojson()``, byte for byte. Every
output is a fixed point (loading and saving it again changes nothing). A case without an output is refused by MXNet,
and ``refused.json`` holds what it says. RULE is one of:

- ``fix_parsing``: files of any other version; ``ctx_group``, ``lr_mult``, ``wd_mult``, ``force_mirroring`` and
  ``mirror_stage`` move from the parameters of an operator to attributes ``__key__`` of it or of its variables
- ``aux_000800_000900``: missing inputs, the auxiliary states among them, become variables
- ``init_000903_000904``: variables get the initial value that their operator wants
- ``argmax_000904_000905``: ``axis=-1`` of argmax and argmin meant «over all»
- ``amp_cast``: casts of automatic mixed precision are left out on saving
- ``dialect``: the same nets as each generation of MXNet spelled them; aliases, spellings, and keys of the file itself
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mxnet as mx

FOLDER = Path(__file__).resolve().parent / "legacy"


class Node(NamedTuple):
    """One node: operator, name, inputs (node number, or node and output), parameters and the user's attributes."""

    op: str
    name: str
    inputs: Sequence[int | tuple[int, int]] = ()
    params: Mapping[str, str] = {}
    user: Mapping[str, str] = {}


def var(name: str, **user: str) -> Node:
    """Return a variable."""
    return Node("null", name, user=user)


def file(
    nodes: Sequence[Node], heads: Sequence[int] | None = None, version: int | None = None, **extra: object
) -> dict:
    """Return the nodes as the MXNet of that version wrote them; None is 0.8 and before, which wrote no version."""
    key = "attrs" if version is not None and version >= 10000 else "attr"

    def entry(e: int | tuple[int, int]) -> list[int]:
        pair = list(e) if isinstance(e, tuple) else [e, 0]
        return pair if version is None else [*pair, 0]

    written = []
    for node in nodes:
        item: dict[str, object] = {"op": node.op}
        if version is None:
            item["param"] = dict(node.params)
        item |= {"name": node.name, "inputs": [entry(e) for e in node.inputs]}
        attributes = dict(node.user) if version is None else {**node.params, **node.user}
        if version is None:
            item["backward_source_id"] = -1
        if attributes:
            item[key] = attributes
        written.append(item)
    arguments = [i for i, node in enumerate(nodes) if node.op == "null"]
    result = {"nodes": written, "arg_nodes": arguments, "heads": [entry(e) for e in heads or [len(nodes) - 1]]}
    if version is not None:
        result["attrs"] = {"mxnet_version": ["int", version]}
    return result | extra


def dense(params: Mapping[str, str], user: Mapping[str, str], **variables: Mapping[str, str]) -> list[Node]:
    """Return a small net: FullyConnected on data, with attributes on the operator and on its variables."""
    names = ("data", "fc_weight", "fc_bias")
    inputs = [var(n, **variables.get(n, {})) for n in names]
    return [*inputs, Node("FullyConnected", "fc", (0, 1, 2), {"num_hidden": "3", **params}, user)]


HIDDEN = {"ctx_group": "dev1", "lr_mult": "0.1", "wd_mult": "2", "force_mirroring": "1", "mirror_stage": "3"}
NORM_ARGS = [var("data"), var("bn_gamma"), var("bn_beta")]
NORM_ALL = [*NORM_ARGS, var("bn_moving_mean"), var("bn_moving_var")]


def fix_parsing() -> dict[str, dict]:
    """Return the cases of hidden keys."""
    norm = Node("BatchNorm", "bn", (0, 1, 2, 3, 4), {"eps": "0.001"}, {"gamma_wd_mult": "0", "beta_lr_mult": "3"})
    two = [var("data"), var("w"), Node("FullyConnected", "a", (0, 1), {"num_hidden": "3", "no_bias": "1"})]
    second = {"data_lr_mult": "5", "weight_lr_mult": "0.5"}
    chain = [*two, Node("FullyConnected", "b", (2, 1), {"num_hidden": "3", "no_bias": "True"}, second)]
    return {
        **{f"exact_{v or 800:06}": file(dense({}, HIDDEN), version=v) for v in (None, 900, 903, 904, 905, 1100)},
        **{f"exact_{v:06}": file(dense({}, HIDDEN), version=v) for v in (10000, 10200, 10500, 10901, 20000)},
        "exact_in_param": file(dense(HIDDEN, {})),
        "exact_twice": file(dense({}, {"lr_mult": "0.1", "__lr_mult__": "0.7"}), version=905),
        "dunder_stays": file(dense({}, {"__lr_mult__": "0.1", "__mood__": "calm"}), version=905),
        "suffix": file(dense({}, {"weight_lr_mult": "0.1", "bias_wd_mult": "2", "data_ctx_group": "d"}), version=905),
        "suffix_000800": file(dense({}, {"weight_lr_mult": "0.1", "bias_wd_mult": "2"})),
        "suffix_over_own": file(
            dense({}, {"weight_lr_mult": "0.1"}, fc_weight={"__lr_mult__": "9"}, fc_bias={"lr_mult": "8"}), version=905
        ),
        "suffix_batchnorm": file([*NORM_ALL, norm], version=903),
        "suffix_of_operator_input": file(chain, version=905),
        "suffix_shared_weight": file([*chain[:3], chain[3]._replace(user={"weight_lr_mult": "0.5"})], version=905),
        "suffix_unknown_input": file(dense({}, {"foo_lr_mult": "0.1"}), version=905),
        "prefix": file(dense({}, {"lr_mult_weight": "0.1"}), version=905),
        "variable": file(
            dense({}, {}, data={**HIDDEN, "mood": "calm", "weight_lr_mult": "4", "__wd_mult__": "1"}), version=905
        ),
        "variable_010901": file(dense({}, {}, data={"lr_mult": "2", "mood": "calm"}), version=10901),
        "unknown_key": file(dense({}, {"mood": "calm"}), version=905),
        "unknown_key_000800": file(dense({}, {"mood": "calm"})),
        "bad_value": file(dense({"num_hidden": "many"}, {}), version=905),
        "bad_value_long": file(dense({"num_hidden": "3L"}, {}), version=905),
    }


def auxiliary() -> dict[str, dict]:
    """Return the cases of missing inputs."""
    norm = Node("BatchNorm", "bn", (0, 1, 2), {"eps": "0.001", "fix_gamma": "False"}, {"lr_mult": "3"})
    conv = {"kernel": "(3, 3)", "num_filter": "4", "stride": "(1,1)", "pad": "(1,1)"}
    net = [
        *(var(n) for n in ("data", "conv_weight", "conv_bias", "bn_gamma", "bn_beta")),
        Node("Convolution", "conv", (0, 1, 2), conv),
        Node("BatchNorm", "bn", (5, 3, 4), {"eps": "0.001", "momentum": "0.9", "fix_gamma": "True"}),
        Node("Activation", "relu", (6,), {"act_type": "relu"}),
        Node("BatchNorm", "bn2", (7, 3, 4)),
        var("softmax_label"),
        Node("Softmax", "softmax", (8, 9)),
    ]
    one = [var("data"), Node("FullyConnected", "fc", (0,), {"num_hidden": "3"}, {"ctx_group": "dev1"})]
    return {
        "batchnorm": file([*NORM_ARGS, norm]),
        "batchnorm_net": file(net),
        "batchnorm_data_only": file([var("data"), norm._replace(inputs=(0,))]),
        "batchnorm_000900": file([*NORM_ARGS, norm], version=900),
        "dense_data_only": file(one),
        "dense_data_only_no_bias": file([one[0], one[1]._replace(params={"num_hidden": "3", "no_bias": "1"})]),
        "prelu_data_only": file([var("data"), Node("LeakyReLU", "act", (0,), {"act_type": "prelu"})]),
        "leaky_data_only": file([var("data"), Node("LeakyReLU", "act", (0,), {"act_type": "leaky"})]),
        "softmax_no_label": file([var("data"), Node("SoftmaxOutput", "softmax", (0,))]),
        "sparse_regularizer": file([var("data"), Node("IdentityAttachKLSparseReg", "kl", (0,))]),
        "embedding": file(
            [var("data"), Node("Embedding", "embed", (0,), {"input_dim": "5", "output_dim": "2"}, {"lr_mult": "2"})]
        ),
    }


def initial() -> dict[str, dict]:
    """Return the cases of initial values."""
    norm = Node("BatchNorm", "bn", (0, 1, 2, 3, 4), {"eps": "0.001"})
    own = [*NORM_ARGS, var("m", __init__='["one", {}]'), var("v"), norm]
    prelu = [var("data"), var("slope"), Node("LeakyReLU", "act", (0, 1), {"act_type": "prelu"})]
    up = {"scale": "2", "sample_type": "bilinear", "num_filter": "3", "num_args": "2"}
    rnn = {"state_size": "3", "num_layers": "1", "mode": "lstm", "state_outputs": "False", "p": "0"}
    return {
        **{f"batchnorm_{v or 800:06}": file([*NORM_ALL, norm], version=v) for v in (None, 900, 903, 904, 10000)},
        "own_init_stays": file(own, version=903),
        "prelu": file(prelu, version=903),
        "leaky": file([prelu[0], Node("LeakyReLU", "act", (0,), {"act_type": "leaky"})], version=903),
        "upsampling": file([var("data"), var("w"), Node("UpSampling", "up", (0, 1), up)], version=903),
        "rnn": file([*(var(n) for n in ("data", "p", "h", "c")), Node("RNN", "rnn", (0, 1, 2, 3), rnn)], version=903),
        "sparse_regularizer": file(
            [var("data"), var("kl_avg"), Node("IdentityAttachKLSparseReg", "kl", (0, 1))], version=903
        ),
    }


def argmax() -> dict[str, dict]:
    """Return the cases of argmax and argmin; sum, whose axis keeps its meaning, beside them."""
    nodes = [var("data")]
    for op, name, params in (
        ("argmax", "max_last", {"axis": "-1"}),
        ("argmin", "min_last", {"axis": "-1", "keepdims": "1"}),
        ("argmax", "max_one", {"axis": "1"}),
        ("argmax", "max_two", {"axis": "-2"}),
        ("argmax", "max_all", {}),
        ("argmax_channel", "channel", {}),
        ("sum", "sum_last", {"axis": "-1"}),
    ):
        nodes.append(Node(op, name, (0,), params))
    heads = range(1, len(nodes))
    return {f"{v or 800:06}": file(nodes, heads, version=v) for v in (None, 900, 904, 905, 10000)}


def amp_cast() -> dict[str, dict]:
    """Return nets with the casts that automatic mixed precision puts in."""
    nodes = [
        var("data"),
        var("w"),
        Node("amp_cast", "data_amp_cast", (0,), {"dtype": "float16"}),
        Node("amp_cast", "w_amp_cast", (1,), {"dtype": "float16"}),
        Node("FullyConnected", "fc", (2, 3), {"num_hidden": "3", "no_bias": "True"}),
        Node("amp_cast", "fc_amp_cast", (4,), {"dtype": "float32"}),
        var("other"),
        Node("amp_multicast", "both", (6, 5), {"num_outputs": "2"}),
        Node("elemwise_add", "sum", ((7, 1), (7, 0))),
        Node("amp_cast", "last", (8,), {"dtype": "float32"}),
    ]
    return {
        "head_too": file(nodes, version=10901),
        "inside": file(nodes[:-1], version=10901),
        "head_multicast": file(nodes[:8], [(7, 0), (7, 1)], version=10901),
        "010500": file(nodes[:-1], version=10500),
        "twice": file(
            [
                var("x"),
                *(Node("amp_cast", f"c{i}", (i,), {"dtype": "float32"}) for i in range(2)),
                Node("relu", "r", (2,)),
            ],
            version=10901,
        ),
    }


def lstm(names: Mapping[str, str]) -> list[Node]:
    """Return two steps of an LSTM and a softmax, with the operator names of a generation."""
    plus, times = names["plus"], names["times"]
    nodes = [var(n) for n in ("data", "i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias", "init_h", "init_c")]
    number = {node.name: i for i, node in enumerate(nodes)}

    def add(op: str, name: str, inputs: Sequence[str | tuple[str, int]], **params: str) -> str:
        pairs = [(number[e[0]], e[1]) if isinstance(e, tuple) else number[e] for e in inputs]
        user = {"ctx_group": "layer0"} if op == "FullyConnected" else {}
        nodes.append(Node(op, name, pairs, params, user))
        number[name] = len(nodes) - 1
        return name

    steps = add("SliceChannel", "steps", ["data"], num_outputs="2", axis="1", squeeze_axis="True")
    h, c = "init_h", "init_c"
    outputs = []
    for t in range(2):
        i2h = add("FullyConnected", f"t{t}_i2h", [(steps, t), "i2h_weight", "i2h_bias"], num_hidden="12")
        h2h = add("FullyConnected", f"t{t}_h2h", [h, "h2h_weight", "h2h_bias"], num_hidden="12")
        total = add(plus, f"t{t}_gates", [i2h, h2h])
        parts = add("SliceChannel", f"t{t}_slice", [total], num_outputs="4")
        gates = [
            add("Activation", f"t{t}_{g}", [(parts, i)], act_type="tanh" if g == "c" else "sigmoid")
            for i, g in enumerate("ifco")
        ]
        kept = add(times, f"t{t}_kept", [gates[1], c])
        c = add(plus, f"t{t}_cell", [kept, add(times, f"t{t}_new", [gates[0], gates[2]])])
        h = add(times, f"t{t}_out", [gates[3], add("Activation", f"t{t}_tanh", [c], act_type="tanh")])
        outputs.append(h)
    joined = add("Concat", "joined", outputs, num_args="2", dim="0")
    for name in ("fc_weight", "fc_bias", "softmax_label"):
        nodes.append(var(name))
        number[name] = len(nodes) - 1
    score = add("FullyConnected", "fc", [joined, "fc_weight", "fc_bias"], num_hidden="5")
    add("SoftmaxOutput", "softmax", [score, "softmax_label"], grad_scale="1", use_ignore="False")
    return nodes


def dialect() -> dict[str, dict]:
    """Return the same net as each generation spelled it, and the odd keys and spellings of old files."""
    old, new = {"plus": "_Plus", "times": "_Mul"}, {"plus": "elemwise_add", "times": "elemwise_mul"}
    pair = [var("a"), var("b")]
    binary = ("_Plus", "_Minus", "_Mul", "_Div", "_Power", "_Maximum", "_Minimum", "_plus", "_add", "_sub", "_Hypot")
    aliases = [*pair, *(Node(op, f"{op}_x", (0, 1)) for op in binary)]
    for op, params in (
        *((f"_{word}Scalar", {"scalar": "1.5"}) for word in ("Plus", "Minus", "RMinus", "Mul", "Div", "RDiv", "Power")),
        ("SwapAxis", {"dim1": "0", "dim2": "1"}),
        ("Flatten", {}),
        ("Reshape", {"target_shape": "(0, 6)"}),
        ("Reshape", {"shape": "(0,-1)"}),
        ("Cast", {"dtype": "float64"}),
        ("sum_axis", {"axis": "1"}),
        ("max_axis", {"axis": "(1,)", "keepdims": "1"}),
        ("broadcast_plus", {}),
        ("broadcast_axes", {"axis": "0", "size": "3"}),
        ("crop", {"begin": "(0,0)", "end": "(1,1)"}),
        ("flip", {"axis": "0"}),
        ("identity", {}),
        ("stop_gradient", {}),
        ("Dropout", {"p": "0.5"}),
        ("uniform", {"shape": "(2,)"}),
    ):
        inputs = (0, 1) if op == "broadcast_plus" else () if op == "uniform" else (0,)
        aliases.append(Node(op, f"{op}_{len(aliases)}", inputs, params))
    several = [
        *pair,
        Node("ElementWiseSum", "es", (0, 1), {"num_args": "2"}),
        Node("Concat", "cc", (0, 1, 2), {"num_args": "3", "dim": "1"}),
        Node("SequenceMask", "sm", (3,), {"use_sequence_length": "False"}),
        Node("Softmax", "soft", (4, 1), {"multi_output": "0"}),
    ]
    spelled = [
        *(var(n) for n in ("data", "w", "b")),
        Node(
            "Convolution",
            "conv",
            (0, 1, 2),
            {"kernel": "(3L, 3L)", "stride": "[2,2]", "pad": "(1,1)", "num_filter": "8", "no_bias": "0"},
        ),
        Node("Pooling", "pool", (3,), {"kernel": "(2,2)", "pool_type": "max", "global_pool": "true"}),
        Node("Activation", "act", (4,), {"act_type": "relu"}),
        Node("clip", "clip", (5,), {"a_min": "0", "a_max": "inf"}),
        Node("transpose", "t", (6,), {"axes": "( 0 , 2 , 3 , 1 )"}),
        Node(
            "Convolution",
            "cudnn",
            (3, 1, 2),
            {"kernel": "(1,1)", "num_filter": "8", "cudnn_tune": "None", "layout": "None"},
        ),
    ]
    both = {"nodes": [], "arg_nodes": [0, 1, 2], "heads": [[3, 0]]}
    for node in dense({}, {}):
        both["nodes"].append({"op": node.op, "name": node.name, "inputs": [[i, 0] for i in node.inputs]})
    both["nodes"][3] |= {"param": {"num_hidden": "3", "no_bias": "False"}, "attr": {"num_hidden": "7"}}
    base = file(dense({}, {}), version=10300)
    loop = json.loads((FOLDER.parent / "json" / "control_flow_foreach.json").read_text(encoding="utf-8"))
    loop["attrs"]["mxnet_version"][1] = 10300
    step = loop["nodes"][5]["subgraphs"][0]["nodes"][2]
    step["attrs"] |= {"__lr_mult__": "2"}
    hidden_loop = json.loads(json.dumps(loop))
    hidden_loop["nodes"][5]["subgraphs"][0]["nodes"][2]["attrs"] |= {"lr_mult": "2"}
    return {
        "lstm_000800": file(lstm(old)),
        "lstm_000905": file(lstm(new), version=905),
        "lstm_001000": file(lstm(new), version=1000),
        "lstm_010200": file(lstm(new), version=10200),
        "aliases_000800": file(aliases, range(2, len(aliases))),
        "aliases_010000": file(aliases, range(2, len(aliases)), version=10000),
        "variadic_000800": file(several),
        "spellings_000800": file(spelled, [7, 8]),
        "param_and_attr": both,
        "node_row_ptr": base | {"node_row_ptr": [0, 1, 2, 3, 4]},
        "no_node_row_ptr": base,
        "control_deps": base | {"nodes": [*base["nodes"][:3], base["nodes"][3] | {"control_deps": [0]}]},
        "other_graph_attrs": base | {"attrs": {"mxnet_version": ["int", 10300], "note": ["str", "by hand"]}},
        "unknown_node_key": base | {"nodes": [*base["nodes"][:3], base["nodes"][3] | {"colour": "red"}]},
        "unknown_graph_key": base | {"colour": "red"},
        "wrong_arg_nodes": base | {"arg_nodes": [0, 1]},
        "unused_nodes": file([var("unused"), *(n._replace(inputs=[i + 1 for i in n.inputs]) for n in dense({}, {}))]),
        "order_not_topological_names": file(
            [*pair, Node("relu", "r", (1,)), Node("_plus", "s", (2, 0))], [3, 2], 10300
        ),
        "head_of_several": file(
            [*pair[:1], Node("SliceChannel", "s", (0,), {"num_outputs": "3"})], [(1, 2), (1, 0)], 10300
        ),
        "subgraph_010300": loop,
        "subgraph_hidden_key_010300": hidden_loop,
        "unknown_operator": file([var("a"), Node("NoSuchOperator", "n", (0,))], version=10300),
        "v1_operators": file(
            [
                *(var(n) for n in ("data", "w", "b", "g", "t")),
                Node("Convolution_v1", "c", (0, 1, 2), {"kernel": "(3,3)", "num_filter": "4"}),
                Node("BatchNorm_v1", "n", (5, 3, 4)),
                Node("Pooling_v1", "p", (6,), {"kernel": "(2,2)", "pool_type": "max"}),
            ]
        ),
    }


RULES = {
    "fix_parsing": fix_parsing,
    "aux_000800_000900": auxiliary,
    "init_000903_000904": initial,
    "argmax_000904_000905": argmax,
    "amp_cast": amp_cast,
    "dialect": dialect,
}


def reason(message: str) -> str:
    """Return the sentence of an error that says what is wrong, without stack, times and places in the source."""
    lines = [line for line in message.splitlines() if line.strip() and not line.startswith(("Traceback", "  File"))]
    said = next((line for line in lines if "Unknown field" in line), lines[0])
    return re.sub(r".*\S+\.(?:cc|h):\d+: ", "", said.removeprefix("MXNetError: ")).split(", Possible")[0].strip()


def main() -> None:
    """Write all pairs."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    refused = {}
    pairs = 0
    for rule, cases in RULES.items():
        for case, content in cases().items():
            text = json.dumps(content, indent=1)
            (FOLDER / f"{rule}.{case}.in.json").write_text(text + "\n")
            try:
                symbol = mx.sym.load_json(text)
            except mx.base.MXNetError as error:
                refused[f"{rule}.{case}"] = reason(str(error))
                continue
            output = symbol.tojson()
            assert mx.sym.load_json(output).tojson() == output, (rule, case)
            (FOLDER / f"{rule}.{case}.out.json").write_text(output)
            pairs += 1
    (FOLDER / "refused.json").write_text(json.dumps(refused, indent=1) + "\n")
    size = sum(f.stat().st_size for f in FOLDER.iterdir())
    print(f"{pairs} pairs, {len(refused)} refused, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
