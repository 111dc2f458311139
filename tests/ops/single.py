"""One operator as a graph, and running it through the public interface.

Imports NumPy alone and takes the module as an argument: MXNet writes the goldens and answers the fuzzer with it, symjit
is run the same way.
"""

import json


def graph_json(op, attrs, count):
    """Return the JSON of a graph that is one operator on the variables ``in0, in1 ...``, `count` of them."""
    nodes = [{"op": "null", "name": f"in{i}", "inputs": []} for i in range(count)]
    texts = {key: str(value) for key, value in attrs.items()}
    nodes.append({"op": op, "name": "node", "attrs": texts, "inputs": [[i, 0, 0] for i in range(count)]})
    return json.dumps(
        {
            "nodes": nodes,
            "arg_nodes": list(range(count)),
            "heads": [[count, 0, 0]],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
    )


def run_graph(mx, graph, arrays, wanted, head, train):
    """Return what a graph that is one operator computes: ``out:i``, ``grad:i`` (inputs) and ``aux:i``.

    Args:
        mx: the module that runs it, MXNet or symjit.
        graph: its JSON, of `graph_json`.
        arrays: the inputs.
        wanted: ``number of arguments -> positions`` of the inputs whose gradient is computed.
        head: ``(shape, dtype, index) -> array``, the head gradient of an output.
        train: whether this is a training forward; it is one wherever gradients are wanted.
    """
    symbol = mx.sym.load_json(graph)
    # One head entry of a multi-output node stands for its first output; the internals list all visible ones.
    outputs = [name for name in symbol.get_internals().list_outputs() if name.startswith("node_")]
    if len(outputs) > 1:
        symbol = mx.sym.Group([symbol.get_internals()[name] for name in outputs])
    args, aux = symbol.list_arguments(), symbol.list_auxiliary_states()
    order = [f"in{i}" for i in range(len(arrays))]
    held = {name: mx.nd.array(array, dtype=array.dtype) for name, array in zip(order, arrays, strict=True)}
    wanted = {f"in{i}" for i in wanted(len(args))}
    grads = {name: mx.nd.zeros(held[name].shape, dtype=held[name].dtype) for name in args if name in wanted}
    executor = symbol.bind(
        mx.cpu(),
        {name: held[name] for name in args},
        args_grad=grads,
        grad_req={name: "write" if name in wanted else "null" for name in args},
        aux_states={name: held[name] for name in aux},
    )
    results = executor.forward(is_train=train or bool(wanted))
    found = {f"out:{i}": result.asnumpy() for i, result in enumerate(results)}
    if wanted:
        heads = [mx.nd.array(head(r.shape, r.dtype, i), dtype=r.dtype) for i, r in enumerate(results)]
        executor.backward(heads)
        found.update({f"grad:{order.index(name)}": grads[name].asnumpy() for name in grads})
    if train:
        found.update({f"aux:{i}": held[name].asnumpy() for i, name in enumerate(aux)})
    return found
