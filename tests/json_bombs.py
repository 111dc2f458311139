"""Symbol JSON texts that make the most memory of their bytes, one pattern each; each takes a number of repetitions."""

from __future__ import annotations

import json
from collections.abc import Callable

__all__ = ["BOMBS"]


def _graph(nodes: str, heads: str = "", version: int = 10901) -> str:
    attrs = f'{{"mxnet_version":["int",{version}]}}'
    return f'{{"nodes":[{nodes}],"arg_nodes":[],"heads":[{heads}],"attrs":{attrs}}}'


def _nodes(text: Callable[[int], str], version: int = 10901) -> Callable[[int], str]:
    """Return a graph of `n` nodes, all of them heads."""

    def make(n: int) -> str:
        return _graph(",".join(map(text, range(n))), ",".join(f"[{i},0]" for i in range(n)), version)

    return make


def _repeated(text: Callable[[int], str]) -> Callable[[int], str]:
    return lambda n: f"[{','.join(map(text, range(n)))}]"


def _variable(attrs: str, name: str = "") -> str:
    return f'{{"op":"null","name":"{name}","inputs":[],"attrs":{{{attrs}}}}}'


def _one_variable(attrs: Callable[[int], str]) -> Callable[[int], str]:
    return lambda n: _graph(_variable(",".join(map(attrs, range(n)))), "[0,0]")


def _one_attribute(character: str, count: int) -> Callable[[int], str]:
    return lambda n: _graph(_variable(f'"__a__":"{character * (count * n)}"'), "[0,0]")


_SHAPES = ("_zeros", "_ones", "_random_uniform", "_random_normal", "_random_gamma", "_random_exponential")


BOMBS: dict[str, Callable[[int], str]] = {
    "empty arrays": _repeated(lambda i: "[]"),
    "arrays of one": _repeated(lambda i: "[0]"),
    "arrays of five": _repeated(lambda i: "[0,0,0,0,0]"),
    "empty objects": _repeated(lambda i: "{}"),
    "objects of one": _repeated(lambda i: '{"":0}'),
    "objects of six": _repeated(lambda i: '{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0}'),
    "deep arrays": _repeated(lambda i: "[" * 100 + "]" * 100),
    "deep objects": _repeated(lambda i: '{"":' * 100 + "0" + "}" * 100),
    "integers": _repeated(lambda i: str(999 + i % 9000)),
    "negative integers": _repeated(lambda i: "-6"),
    "floats": _repeated(lambda i: "1e1"),
    "constants": _repeated(lambda i: "null"),
    "long integers": _repeated(lambda i: "9" * 4000),
    "empty strings": _repeated(lambda i: '""'),
    "short strings": _repeated(lambda i: f'"{i % 90 + 10}"'),
    "wide strings": _repeated(lambda i: '"\u4e2d"'),
    "strings of 17": _repeated(lambda i: '"01234567890123456"'),
    "keys": lambda n: "{" + ",".join(f'"{i}":0' for i in range(n)) + "}",
    "keys and strings": lambda n: "{" + ",".join(f'"{i}":"{i % 90 + 10}"' for i in range(n)) + "}",
    "variables": _nodes(lambda i: '{"op":"null","name":"","inputs":[]}'),
    "variables with attributes": _nodes(lambda i: _variable('"__a__":"12"', str(i))),
    "variables with eleven attributes": _nodes(lambda i: _variable(",".join(f'"a{k}":""' for k in range(11)))),
    "attributes": _one_variable(lambda i: f'"{i}":""'),
    "attributes with values": _one_variable(lambda i: f'"{i}":"{i % 90 + 10}"'),
    "unknown operators": _nodes(lambda i: f'{{"op":"O{i}","name":"n{i}","inputs":[]}}'),
    "links": lambda n: _graph(
        '{"op":"null","name":"","inputs":[]},{"op":"O","name":"","inputs":[' + ",".join(["[0,0]"] * n) + "]}", "[1,0]"
    ),
    "links of large numbers": lambda n: _graph(
        '{"op":"null","name":"","inputs":[]},{"op":"O","name":"","inputs":[' + ",".join(["[0,999,999]"] * n) + "]}",
        "[1,0]",
    ),
    "heads": lambda n: _graph('{"op":"null","name":"","inputs":[]}', ",".join(["[0,0]"] * n)),
    "control dependencies": lambda n: _graph(
        '{"op":"null","name":"","inputs":[]},{"op":"O","name":"","inputs":[],"control_deps":['
        + ",".join("0" * n)
        + "]}",
        "[1,0]",
    ),
    "a chain": lambda n: _graph(
        '{"op":"null","name":"","inputs":[]},'
        + ",".join(f'{{"op":"sqrt","name":"","inputs":[[{i},0]]}}' for i in range(n)),
        f"[{n},0]",
    ),
    "argument numbers": lambda n: (
        '{"nodes":[{"op":"null","name":"","inputs":[]}],"heads":[],"arg_nodes":[' + ",".join("0" * n) + "]}"
    ),
    "row numbers": lambda n: (
        '{"nodes":[],"heads":[],"arg_nodes":[],"node_row_ptr":[' + ",".join(str(i + 300) for i in range(n)) + "]}"
    ),
    "subgraphs": _nodes(
        lambda i: '{"op":"O","name":"","inputs":[],"subgraphs":[{"nodes":[],"arg_nodes":[],"heads":[]}]}'
    ),
    "subgraphs of one node": lambda n: _graph(
        '{"op":"O","name":"","inputs":[],"subgraphs":['
        + ",".join(['{"nodes":[],"arg_nodes":[],"heads":[]}'] * n)
        + "]}",
        "[0,0]",
    ),
    "parsed attributes": _nodes(
        lambda i: f'{{"op":"{_SHAPES[i % 6]}","name":"","inputs":[],"attrs":{{"shape":"{i + 300}"}}}}'
    ),
    "parsed tuples": _nodes(
        lambda i: f'{{"op":"{_SHAPES[i % 6]}","name":"","inputs":[],"attrs":{{"shape":"{i + 300},{"999," * 30}"}}}}'
    ),
    "long tuples": lambda n: _graph(
        f'{{"op":"_zeros","name":"","inputs":[],"attrs":{{"shape":"{"999," * min(n, 60000)}"}}}}', "[0,0]"
    ),
    "parameters of 0.8": _nodes(
        lambda i: f'{{"op":"sum","name":"","param":{{"axis":"{i}"}},"inputs":[]}}', version=800
    ),
    "left out states": _nodes(lambda i: '{"op":"BatchNorm","name":"","inputs":[]}', version=800),
    "left out states with attributes": lambda n: _graph(
        '{"op":"BatchNorm","name":"","inputs":[],"attrs":{'
        + ",".join(f'"__{i}__":""' for i in range(n // 20))
        + "}},"
        + _variable(",".join(f'"{i}":""' for i in range(n))),
        "[0,0],[1,0]",
        800,
    ),
    "a long string": _one_attribute("a", 40),
    "a long string of two bytes": _one_attribute("\u4e2d", 12),
    "a long string of four bytes": _one_attribute("\U0001f600", 10),
    "a long string that is wide at its end": lambda n: _graph(
        _variable(f'"__a__":"{"a" * 40 * n}\U0001f600"'), "[0,0]"
    ),
    "a long string of latin letters": lambda n: _graph(_variable(f'"__a__":"{"a" * 40 * n}\u00e9"'), "[0,0]"),
    "escaped quotes": _one_attribute('\\"', 20),
    "a long string that is wide by an escape": lambda n: _graph(
        _variable(f'"__a__":"{"a" * 40 * n}\\ud83d\\ude00"'), "[0,0]"
    ),
    "short escapes": _repeated(lambda i: json.dumps("\u4e2d")),
}
