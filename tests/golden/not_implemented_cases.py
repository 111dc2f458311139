"""Calls of what MXNet leaves to a program's own classes, by the function of symjit that answers them."""

from __future__ import annotations

from types import ModuleType
from typing import Any


def loss_without_gradient(mx: ModuleType) -> Any:
    module = mx.mod.PythonLossModule()
    module.bind([("data", (2, 3))], [("softmax_label", (2,))])
    module.init_params()
    module.forward(mx.io.DataBatch([mx.nd.ones((2, 3))], [mx.nd.ones((2,))]))
    return module.backward()


def own_optimizer(mx: ModuleType) -> Any:
    return mx.optimizer.Optimizer().update(0, mx.nd.ones((2,)), mx.nd.ones((2,)), None)


CASES = {
    "initializer.base.Initializer._init_weight": lambda mx: mx.init.Initializer()(
        mx.init.InitDesc("fc_weight"), mx.nd.ones((2, 2))
    ),
    "lr_scheduler.LRScheduler.__call__": lambda mx: mx.lr_scheduler.LRScheduler()(1),
    "metric.base.EvalMetric.update": lambda mx: mx.metric.EvalMetric("mine").update([], []),
    "metric.custom.CustomMetric.get_config": lambda mx: mx.metric.CustomMetric(lambda label, pred: 0).get_config(),
    "module.base_module.BaseModule._abstract": lambda mx: mx.mod.BaseModule().forward(None),
    "module.python_module.PythonLossModule._backward_impl": loss_without_gradient,
    "optimizer.optimizer.Optimizer._run": own_optimizer,
    "rnn.cell.BaseRNNCell.__call__": lambda mx: mx.rnn.BaseRNNCell("x_")(None, None),
    "rnn.cell.BaseRNNCell.state_info": lambda mx: mx.rnn.BaseRNNCell("x_").state_info,
    "rnn.fused.FusedRNNCell.__call__": lambda mx: mx.rnn.FusedRNNCell(3)(None, None),
    "rnn.stack.BidirectionalCell.__call__": lambda mx: mx.rnn.BidirectionalCell(
        mx.rnn.RNNCell(3, "l_"), mx.rnn.RNNCell(3, "r_")
    )(None, None),
}


def raised(mx: ModuleType) -> dict[str, str]:
    """Return the type of exception of each call."""
    found = {}
    for name, call in CASES.items():
        try:
            call(mx)
            found[name] = "nothing"
        except Exception as error:
            found[name] = type(error).__name__
    return found
