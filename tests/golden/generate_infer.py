"""Write what MXNet 1.9.1 infers: shapes and dtypes of every row of ``tests/ops/cases/``, with parts hidden or wrong.

Runs in the MXNet environment only (see ``tests/golden/README.md``); ``generate_ops.py`` runs it for what it writes::

    python tests/golden/generate_infer.py [FAMILY ...]

``tests/golden/infer/FAMILY.json`` holds for each case ``shapes`` and ``dtypes``, those of the outputs; ``answers``, all
different answers; and ``shape`` and ``dtype``, the numbers of the answers to the questions of ``tests/ops/hiding.py``,
in their order. An answer is ``IN;IN>OUT;OUT``, ``?`` where not known, or ``!`` followed by the class of the exception,
or ``!crash`` where the process ended. The cases for which MXNet has no golden output are asked as well; ``null`` stands
for a case that MXNet refuses with all shapes known.
"""

import importlib
import json
import pathlib
import pkgutil
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
CASES = HERE.parent / "ops" / "cases"

from tests.ops.hiding import dtype_questions, graph_json, shape_questions, show  # noqa: E402


def answer(question):
    """Return the text of an answer; `question` returns two lists of texts."""
    try:
        inputs, outputs = question()
    except Exception as error:  # the class of the exception is the answer
        return f"!{type(error).__name__}"
    return f"{';'.join(inputs)}>{';'.join(outputs)}"


class Subject:
    """One case as a symbol of MXNet."""

    def __init__(self, case):
        import mxnet as mx

        arrays = case.arrays()
        self.names = [f"in{i}" for i in range(len(arrays))]
        one = mx.sym.load_json(graph_json(case.op, case.attrs, len(arrays), 1))
        self.outputs = sum(name.startswith("node_") for name in one.get_internals().list_outputs())
        self.symbol = mx.sym.load_json(graph_json(case.op, case.attrs, len(arrays), self.outputs))
        self.shapes = [tuple(array.shape) for array in arrays]
        self.dtypes = [array.dtype.name for array in arrays]
        whole = self.infer("shape", {name: s for name, s in zip(self.names, self.shapes, strict=True) if s})
        self.out_shapes = whole[1]
        dtypes = self.infer("type", dict(zip(self.names, self.dtypes, strict=True)))[1]
        self.out_dtypes = ["float32" if dtype == "?" else dtype for dtype in dtypes]

    def infer(self, kind, given):
        """Return what is inferred of the inputs and of the outputs, as tuples or names."""
        arguments, outputs, states = getattr(self.symbol, f"infer_{kind}_partial")(**given)
        found = dict(zip(self.symbol.list_arguments(), arguments, strict=True))
        found.update(zip(self.symbol.list_auxiliary_states(), states, strict=True))
        write = (lambda x: x or ()) if kind == "shape" else (lambda x: "?" if x is None else np.dtype(x).name)
        return [write(found[name]) for name in self.names], [write(x) for x in outputs[: self.outputs]]

    def questions(self):
        """Yield the kind and the function that answers, one for each question."""
        for _, given in shape_questions(self.shapes, self.out_shapes):
            yield "shape", lambda given=given: [map(show, x) for x in self.infer("shape", given)]
        for _, given in dtype_questions(self.dtypes, self.out_dtypes):
            yield "dtype", lambda given=given: self.infer("type", given)


def work(family, skip, path):
    """Answer the questions of a family but the first `skip`, a line of the file at `path` for each."""
    with open(path, "w") as file:
        number = 0
        for case in importlib.import_module(f"tests.ops.cases.{family}").CASES:
            try:
                subject = Subject(case)
            except Exception as error:  # what MXNet refuses as a whole has nothing to hide
                print(f"{family}: {case.id}: {str(error).splitlines()[0]}", file=sys.stderr)
                if number >= skip:
                    file.write(json.dumps([case.id, "head", None]) + "\n")
                number += 1
                continue
            head = {"shapes": subject.out_shapes, "dtypes": subject.out_dtypes}
            if number >= skip:
                file.write(json.dumps([case.id, "head", head]) + "\n")
            number += 1
            for kind, question in subject.questions():
                if number >= skip:
                    file.write(json.dumps([case.id, kind, answer(question)]) + "\n")
                    file.flush()
                number += 1


def ask(family):
    """Return the lines of `work`, begun again past every question that ends the process."""
    lines, path = [], HERE / f"{family}.answers"
    while True:
        ended = subprocess.run([sys.executable, __file__, "--work", family, str(len(lines)), str(path)], check=False)
        lines += [json.loads(line) for line in path.read_text().splitlines()]
        path.unlink()
        if ended.returncode == 0:
            return lines
        print(f"{family}: the process ended with {ended.returncode} after {lines[-1]}", file=sys.stderr)
        lines.append([lines[-1][0], "shape", "!crash"])


def main(wanted):
    """Write the named families, or all."""
    (HERE / "infer").mkdir(exist_ok=True)
    for info in pkgutil.iter_modules([str(CASES)]):
        if wanted and info.name not in wanted:
            continue
        found = {}
        for case_id, kind, value in ask(info.name):
            if kind == "head":
                found[case_id] = value and {**value, "answers": [], "shape": [], "dtype": []}
                continue
            answers = found[case_id]["answers"]
            if value not in answers:
                answers.append(value)
            found[case_id][kind].append(answers.index(value))
        rows = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in found.items()]
        (HERE / "infer" / f"{info.name}.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")
        asked = sum(len(value["shape"]) + len(value["dtype"]) for value in found.values() if value)
        print(f"{info.name}: {len(found)} cases, {asked} questions")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main(set(sys.argv[1:]))
