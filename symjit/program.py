"""Program: the compiled functions of a graph.

Forward and backward are two compiled functions. What the backward needs leaves the first and enters the second; those
residuals that are inputs or outputs of the forward are passed by reference, for a compiled function copies what it
returns, and every forward would copy every weight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from symjit.base import MXNetError
from symjit.ir.graph import Entry, Graph, Node
from symjit.ir.infer import Inference
from symjit.ir.lower import Lowered, lower
from symjit.ir.passes.parameters import parameter_names
from symjit.ir.passes.pipeline import for_inference, for_training
from symjit.memory import keep_freed
from symjit.ops.shapes import known, prod
from symjit.preparation import Preparation
from symjit.tuning import choice

__all__ = ["MOST_SHAPES", "Prediction", "Program", "Residuals", "is_inexact", "live_heads", "no_losses", "pull_back"]

#: Sets of input shapes whose compiled programs are kept at a time.
MOST_SHAPES = 4096

# XLA's fusion copies producers into their consumers. In the backward of an unrolled network, a long elementwise chain,
# compile time explodes then: 100 LSTM steps (1,300 nodes) take 40 s, and 3 s without fusion.
_MANY_NODES = 1000
_UNFUSED = {"xla_disable_hlo_passes": "fusion"}

# On CPU XLA hands dot products and convolutions to the library YNN, whose convolutions are slower than XLA's own. Its
# dot products are slower too, but for a right side that is transposed: there XLA's own are 20 times slower at worst.
_OWN_CONVOLUTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
_OWN_PRODUCTS = {"xla_cpu_experimental_ynn_fusion_type": ""}
# In training its sums (over all but the channels) are several times faster than XLA's, and in the backward its
# convolutions twice as slow.
_TRAINING_FORWARD, _TRAINING_OWN_PRODUCTS = (
    {"xla_cpu_experimental_ynn_fusion_type": ",".join(f"LIBRARY_FUSION_TYPE_{kind}" for kind in kinds)}
    for kinds in (
        ("REDUCE", "DOT", "INDIVIDUAL_DOT", "INDIVIDUAL_CONVOLUTION"),
        ("REDUCE", "INDIVIDUAL_CONVOLUTION"),
    )
)
# A step that is one program: those of the backward, and products too where the forward needs them.
_STEP_PRODUCTS = {
    "xla_cpu_experimental_ynn_fusion_type": ",".join(
        f"LIBRARY_FUSION_TYPE_{kind}" for kind in ("REDUCE", "DOT", "INDIVIDUAL_DOT")
    )
}
# XLA packs a transposed right side of more numbers than this slowly, which so many rows on the left make up for.
_LARGE_RIGHT_SIDE, _MANY_ROWS = 1 << 19, 1024
_TRAINING_BACKWARD = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}


@jax.tree_util.register_static
@dataclass(frozen=True)
class _Ref:
    """Stands for a residual that is the `index`-th input or output of the forward."""

    index: int


@dataclass
class Residuals:
    """What leaves the forward for the backward: the leaves of the vjp closure, references in place of inputs."""

    leaves: list[Any]
    treedef: Any


jax.tree_util.register_dataclass(Residuals, data_fields=["leaves"], meta_fields=["treedef"])


def _is_ref(value: Any) -> bool:
    return isinstance(value, _Ref)


class Program:
    """The compiled functions of a graph on one platform.

    The passes run when a function is traced: only then are the shapes known, and once for each of them.

    Attributes:
        graph: the graph.
        platform: ``"cpu"``, ``"gpu"`` or ``"tpu"``.
        lowered: the graph as it was given, as a pure function.
        traces: how often each function was traced; a test's recompile budget reads it.
    """

    def __init__(self, graph: Graph, platform: str = "cpu") -> None:
        self.graph, self.platform = graph, platform
        self.lowered: Lowered = lower(graph)
        entries = [(id(entry.node), entry.index) for entry in graph.heads]
        # Of an output that stands among the heads twice, MXNet takes the last head gradient alone.
        self._overruled = [entry in entries[i + 1 :] for i, entry in enumerate(entries)]
        self.traces: Counter[str] = Counter()
        self._predictions: dict[Any, Prediction] = {}
        self._residuals: dict[tuple[tuple[int, ...], bool], Callable[..., Any]] = {}
        self._backwards: dict[tuple[int, ...], Callable[..., Any]] = {}
        self._taps: dict[tuple[bool, bool], tuple[Callable[..., Any], list[str]]] = {}
        self._gradient_taps: dict[tuple[int, ...], tuple[Callable[..., Any], list[str]]] = {}

    # Options are looked at when they are used, for each value has to be tried.

    @cached_property
    def options(self) -> dict[str, str]:
        """Compile options of an inference forward."""
        return _known(_OWN_CONVOLUTIONS if self.platform == "cpu" else {})

    @cached_property
    def products(self) -> dict[str, str]:
        """Those where all matrix products are laid out for XLA's own code (the fact ``arranged``)."""
        return _known({**_OWN_CONVOLUTIONS, **_OWN_PRODUCTS} if self.platform == "cpu" else {})

    def _forward_options(self, own_products: bool) -> dict[str, str]:
        options = _TRAINING_OWN_PRODUCTS if own_products else _TRAINING_FORWARD
        return _known(options if self.platform == "cpu" else {})

    def suits_own_products(self, specs: Inference) -> bool:
        """Return whether XLA's own matrix products are the faster ones in a training forward on these shapes."""
        for node in self.graph.nodes:
            if node.op is None or node.operator.cast != "low" or node.operator.arranged:
                continue
            out = specs.shape(Entry(node))
            for side in (specs.shape(entry) for entry in node.inputs[1:]):
                if not known(out) or not known(side):
                    return False
                rows = prod(out[:-1]) // max(1, prod(side[:-2]))  # type: ignore[index]
                if rows < _MANY_ROWS and prod(side[-2:]) > _LARGE_RIGHT_SIDE:  # type: ignore[index]
                    return False
        return True

    @cached_property
    def _backward_options(self) -> dict[str, str]:
        many = len(self.graph.nodes) - len(self.graph.variables) > _MANY_NODES
        return _known({**(_TRAINING_BACKWARD if self.platform == "cpu" else {}), **(_UNFUSED if many else {})})

    @cached_property
    def pinned(self) -> dict[str, float]:
        """Arguments that count as a number in training, whatever their arrays hold (the fact ``pinned``)."""
        found: dict[str, float] = {}
        for node in self.graph.nodes:
            if node.op is None or node.operator.pinned is None:
                continue
            inputs = dict(zip(node.operator.input_names(node.params), node.inputs, strict=True))
            for name, value in node.operator.pinned(node.params).items():
                if inputs[name].node.op is None:
                    found[inputs[name].node.name] = value
        return found

    def step_options(self, own_products: bool) -> dict[str, str]:
        """Return the compile options of a training step that is one program.

        Args:
            own_products: what `suits_own_products` says of the shapes.
        """
        if own_products or self.platform != "cpu":
            return self._backward_options
        return {**self._backward_options, **_known(_STEP_PRODUCTS)}

    def prediction(
        self, specs: Mapping[str, tuple[tuple[int, ...], Any]], parameters: frozenset[str] | None = None
    ) -> Prediction:
        """Return the inference forward for variables of these shapes and dtypes.

        Args:
            specs: ``(shape, dtype)`` of every variable.
            parameters: the variables that seldom change; those that operators use as parameters if None.
        """
        parameters = frozenset(parameter_names(self.graph)) if parameters is None else parameters
        key = (tuple(specs.items()), parameters)
        found = self._predictions.get(key)
        if found is None:
            if len(self._predictions) > MOST_SHAPES:
                self._predictions.clear()
            found = self._predictions[key] = Prediction(self, specs, parameters)
        return found

    def _optimized(self, args: Sequence[Any], aux: Sequence[Any]) -> Lowered:
        """Return what a training forward on arrays like these computes."""
        values = zip((*self.lowered.arguments, *self.lowered.aux_states), (*args, *aux), strict=True)
        specs = {name: (x.shape, x.dtype) for name, x in values}
        shapes, dtypes = ({name: spec[i] for name, spec in specs.items()} for i in (0, 1))
        return lower(
            for_training(
                self.graph, shapes, dtypes, self.platform, choice(self.platform, True, self._backward_options)
            )[-1].graph
        )

    def _differentiated(self, args: Sequence[Any], aux: Sequence[Any], key: Any, wanted: Sequence[int]) -> Any:
        """Return the outputs of a training forward, its pullback to the arguments at `wanted`, and the new states."""
        lowered = self._optimized(args, aux)

        def chosen(*values: Any) -> Any:
            full = list(args)
            for position, value in zip(wanted, values, strict=True):
                full[position] = value
            return lowered(full, aux, key, True)

        return jax.vjp(chosen, *(args[i] for i in wanted), has_aux=True)

    def losses(self, args: Sequence[Any], aux: Sequence[Any], key: Any, wanted: Sequence[int]) -> Any:
        """Compute a training forward and the gradients of its losses, as a part of a larger compiled function.

        Args:
            args: the arguments, traced.
            aux: the auxiliary states, traced.
            key: a random key, or None.
            wanted: positions of the arguments whose gradients are computed.

        Returns:
            ``(outputs, new_aux, gradients)``.

        Raises:
            MXNetError: a gradient depends on the head gradient of an output, which is no loss then.
        """
        outputs, vjp, new_aux = self._differentiated(args, aux, key, wanted)
        # XLA would compute parts of the forward again in the loops of the backward: a step of a small residual network
        # took a sixth longer.
        leaves, treedef = jax.tree.flatten(vjp)
        given = {id(x) for x in (*args, *aux)}
        kept = iter(lax.optimization_barrier([x for x in leaves if id(x) not in given]))
        vjp = jax.tree.unflatten(treedef, [x if id(x) in given else next(kept) for x in leaves])
        needed = live_heads(lambda heads: vjp(_cotangents(heads)), outputs, self.graph.output_names)
        if needed:
            raise MXNetError(no_losses(needed))
        return outputs, new_aux, vjp(_cotangents([jnp.zeros_like(x) for x in outputs]))

    @cached_property
    def train(self) -> Callable[..., Any]:
        """``(args, aux, key) -> (outputs, new_aux)`` of a training forward without gradients."""

        def run(args: Any, aux: Any, key: Any) -> Any:
            self.traces["train"] += 1
            return self._optimized(args, aux)(args, aux, key, True)

        return jax.jit(run, compiler_options=self.options)

    def forward_residuals(self, wanted: tuple[int, ...], own_products: bool = False) -> Callable[..., Any]:
        """``(args, aux, key) -> (outputs, new_aux, residuals)`` for gradients of the arguments at `wanted`.

        Args:
            wanted: positions of arguments.
            own_products: what `suits_own_products` says of the shapes.
        """
        if (wanted, own_products) in self._residuals:
            return self._residuals[wanted, own_products]

        def run(args: Any, aux: Any, key: Any) -> Any:
            self.traces["forward"] += 1
            outputs, vjp, new_aux = self._differentiated(args, aux, key, wanted)
            leaves, treedef = jax.tree.flatten(vjp)
            known = {id(x): i for i, x in enumerate((*args, *aux, *outputs, *new_aux))}
            return outputs, new_aux, Residuals([_Ref(known[id(x)]) if id(x) in known else x for x in leaves], treedef)

        if self.platform == "cpu":
            keep_freed()
        made = jax.jit(run, compiler_options=self._forward_options(own_products))
        self._residuals[wanted, own_products] = made
        return made

    def backward(self, adding: tuple[int, ...]) -> Callable[..., Any]:
        """``(residuals, referenced, heads, sums) -> gradients``; those at `adding` have `sums` added to them."""
        if adding in self._backwards:
            return self._backwards[adding]

        def run(residuals: Residuals, referenced: Any, heads: Any, sums: Any) -> Any:
            self.traces["backward"] += 1
            heads = [jnp.zeros_like(h) if skip else h for h, skip in zip(heads, self._overruled, strict=True)]
            grads = list(pull_back(residuals, referenced, heads))
            for position, old in zip(adding, sums, strict=True):
                grads[position] = grads[position].astype(old.dtype) + old
            return grads

        made = self._backwards[adding] = jax.jit(run, compiler_options=self._backward_options)
        return made

    def taps(self, train: bool, inputs: bool) -> tuple[Callable[..., Any], list[str]]:
        """Return ``(args, aux, key) -> values`` of what a monitor sees, and the names, complete after the first call.

        These are the outputs of all operators, with those that are hidden otherwise where they are computed, and with
        `inputs` what goes in: a variable under its own name, and every input as ``<node>_<input>``.
        """
        if (train, inputs) in self._taps:
            return self._taps[train, inputs]
        names: list[str] = []

        def run(args: Any, aux: Any, key: Any) -> Any:
            names.clear()
            values: list[Any] = []
            graph = self.lowered.graph
            variables = zip((*graph.arguments, *graph.aux_states), (*args, *aux), strict=True)
            results: dict[int, Sequence[Any]] = {id(node): (value,) for node, value in variables}

            def show(name: str, value: Any) -> None:
                names.append(name)
                values.append(value)

            def tap(node: Node, outputs: Sequence[Any]) -> None:
                if inputs:
                    for name, entry in zip(node.operator.input_names(node.params), node.inputs, strict=True):
                        value = results[id(entry.node)][entry.index]
                        if entry.node.op is None:
                            show(entry.node.name, value)
                        show(f"{node.name}_{name}", value)
                for i, value in enumerate(outputs):
                    show(node.output_name(i), value)
                results[id(node)] = outputs

            self.lowered(args, aux, key, train, tap=tap)
            return values

        made = self._taps[train, inputs] = jax.jit(run), names
        return made

    def gradient_taps(self, wanted: tuple[int, ...]) -> tuple[Callable[..., Any], list[str]]:
        """Return ``(args, aux, key, heads) -> values`` of the gradients that a monitor sees, and the names.

        These are, from the last operator to the first, the gradients of the inputs of each that depends on an argument
        at `wanted`: what this one use of the input contributes, named as MXNet names it.
        """
        if wanted in self._gradient_taps:
            return self._gradient_taps[wanted]
        graph = self.lowered.graph
        names: list[str] = []
        live = {id(graph.arguments[i]) for i in wanted}
        for node in graph.nodes:
            if any(id(entry.node) in live for entry in node.inputs):
                live.add(id(node))

        def run(args: Any, aux: Any, key: Any, heads: Any) -> Any:
            specs: dict[int, dict[int, Any]] = {}  # by id(node) and position of the input

            def note(node: Node, inputs: list[Any]) -> list[Any]:
                if id(node) in live:
                    kept = [name not in node.operator.aux for name in node.operator.input_names(node.params)]
                    specs[id(node)] = {i: (x.shape, x.dtype) for i, x in enumerate(inputs) if kept[i] and is_inexact(x)}
                return inputs

            jax.eval_shape(lambda: self.lowered(args, aux, key, True, enter=note)[0])

            # The gradient of what is added to an input of one operator is that operator's own part of the gradient.
            def forward(offsets: dict[int, dict[int, Any]]) -> Any:
                def shift(node: Node, inputs: list[Any]) -> list[Any]:
                    mine = offsets.get(id(node), {})
                    return [x + mine[i] if i in mine else x for i, x in enumerate(inputs)]

                return self.lowered(args, aux, key, True, enter=shift)[0]

            zeros = {node: {i: jnp.zeros(*spec) for i, spec in mine.items()} for node, mine in specs.items()}
            given = [jnp.zeros_like(h) if skip else h for h, skip in zip(heads, self._overruled, strict=True)]
            (grads,) = jax.vjp(forward, zeros)[1](_cotangents(given))
            names.clear()
            values = []
            for node in reversed(graph.nodes):
                several = node.op is not None and len(node.inputs) - len(node.operator.aux) > 1
                for i, value in grads.get(id(node), {}).items():
                    names.append(f"{node.name}_backward_output{i if several else ''}")
                    values.append(value)
            return values

        made = self._gradient_taps[wanted] = jax.jit(run), names
        return made


class Prediction:
    """The inference forward of a program for given shapes: parameters are prepared once, then outputs computed.

    Attributes:
        steps: the graph after every pass.
        split: what is compiled, and what prepares its parameters.
        parameters: names of the variables that are prepared from; those outside may change with every call.
        specs: ``(shape, dtype)`` of every variable of the program's graph.
        constant: names of the variables that seldom change, used or not.
    """

    def __init__(
        self, program: Program, specs: Mapping[str, tuple[tuple[int, ...], Any]], parameters: frozenset[str]
    ) -> None:
        self.specs, self.constant = dict(specs), parameters
        shapes, dtypes = ({name: spec[i] for name, spec in specs.items()} for i in (0, 1))
        compiled = for_inference(
            program.graph,
            parameters,
            shapes,
            dtypes,
            program.platform,
            choice(program.platform, False, program.products),
        )
        self.steps, self.split = compiled.steps, compiled.split
        self._lowered = lower(self.split.graph)
        self._preparation = Preparation(self.split.prologue, program.platform)
        #: The variables that the prologue reads, and those of the body, in the order of `__call__`.
        self.parameters = self._preparation.parameters
        self.inputs = [*self._lowered.arguments, *self._lowered.aux_states]
        count = len(self._lowered.arguments)

        def run(values: Sequence[Any], key: Any) -> Any:
            program.traces["predict"] += 1
            return self._lowered(values[:count], values[count:], key, False)[0]

        #: ``(values of `inputs`, key) -> outputs``, compiled.
        heavy = [
            node.operator for node in self.split.graph.nodes if node.op is not None and node.operator.cast == "low"
        ]
        options = program.products if all(operator.arranged for operator in heavy) else program.options
        self.run = jax.jit(run, compiler_options=options)

    def prepare(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return the prepared parameters by name, from the values of `parameters`."""
        if not self.split.names:
            return {}
        return dict(zip(self.split.names, self._preparation(values), strict=True))


def _known(options: Mapping[str, str]) -> dict[str, str]:
    """Return those of the compile options that this jaxlib knows."""
    return {name: value for name, value in options.items() if _understands((name, value))}


@lru_cache(maxsize=8)
def _understands(*options: tuple[str, str]) -> bool:
    """Return whether this jaxlib knows compile options."""
    try:
        jax.jit(lambda: np.float32(0), compiler_options=dict(options)).lower().compile()
    except (RuntimeError, ValueError):
        return False
    return True


def pull_back(residuals: Residuals, referenced: Sequence[Any], heads: Sequence[Any]) -> Any:
    """Return the gradients; `referenced` are the inputs and outputs of the forward."""
    leaves = [referenced[x.index] if _is_ref(x) else x for x in residuals.leaves]
    return jax.tree.unflatten(residuals.treedef, leaves)(_cotangents(heads))


def _cotangents(heads: Sequence[Any]) -> tuple[Any, ...]:
    # To JAX the cotangent of whole numbers is of a dtype of its own that holds nothing.
    return tuple(x if is_inexact(x) else np.zeros(x.shape, jax.dtypes.float0) for x in heads)


def live_heads(pull: Callable[[Any], Any], outputs: Sequence[Any], names: Sequence[str]) -> list[str]:
    """Return the names of the outputs whose head gradients the result of ``pull(heads)`` depends on."""
    jaxpr = jax.make_jaxpr(pull)(list(outputs)).jaxpr
    live = {v for v in jaxpr.outvars if hasattr(v, "aval") and not hasattr(v, "val")}
    for eqn in reversed(jaxpr.eqns):
        if live & set(eqn.outvars):
            live |= {v for v in eqn.invars if not hasattr(v, "val")}
    return [name for name, v in zip(names, jaxpr.invars, strict=True) if v in live]


def no_losses(names: Sequence[str]) -> str:
    """Return the message on outputs whose head gradients are missing."""
    return (
        f"backward: the outputs {list(names)} are no loss functions, so their head gradients are required:"
        " pass out_grads, or end the network in a loss such as make_loss"
    )


def is_inexact(value: Any) -> bool:
    """Return whether an array holds floating-point numbers."""
    return jnp.issubdtype(value.dtype, np.inexact)
