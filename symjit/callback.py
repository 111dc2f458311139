"""What a training loop calls at the end of batches and epochs: checkpoints, speed, progress. MXNet: ``mx.callback``."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from symjit.model import save_checkpoint
from symjit.ndarray import NDArray
from symjit.symbol import Symbol

__all__ = [
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]


def module_checkpoint(
    mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False
) -> Callable[..., None]:
    """Return an epoch-end callback that saves a module. Source: MXNet ``mx.callback.module_checkpoint``.

    Args:
        mod: the module; its ``save_checkpoint`` is called.
        prefix: path of the checkpoints without their endings.
        period: save after every this many epochs.
        save_optimizer_states: save what the optimizer has too, so that training can go on from there.
    """
    period = int(max(1, period))

    def save(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        if (iter_no + 1) % period == 0:
            mod.save_checkpoint(prefix, iter_no + 1, save_optimizer_states)

    return save


def do_checkpoint(
    prefix: str, period: int = 1
) -> Callable[[int, Symbol | None, Mapping[str, NDArray], Mapping[str, NDArray] | None], None]:
    """Return an epoch-end callback that saves network and parameters. Source: MXNet ``mx.callback.do_checkpoint``.

    Epoch n is saved as ``prefix-symbol.json`` and ``prefix-NNNN.params`` with NNNN = n + 1, by `save_checkpoint`.

    Args:
        prefix: path of the checkpoints without their endings.
        period: save after every this many epochs.
    """
    period = int(max(1, period))

    def save(iter_no: int, sym: Symbol | None, arg: Mapping[str, NDArray], aux: Mapping[str, NDArray] | None) -> None:
        if (iter_no + 1) % period == 0:
            save_checkpoint(prefix, iter_no + 1, sym, arg, aux)

    return save


def log_train_metric(period: int, auto_reset: bool = False) -> Callable[[Any], None]:
    """Return a batch-end callback that logs the training metric. Source: MXNet ``mx.callback.log_train_metric``.

    The metric is read, and so waited for, in those batches alone.

    Args:
        period: log in every batch whose number is divisible by this.
        auto_reset: reset the local totals of the metric afterwards.
    """

    def log(param: Any) -> None:
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return log


class Speedometer:
    """Log speed and metrics of training now and then; a batch-end callback. Source: MXNet ``mx.callback.Speedometer``.

    The metric is read, and so waited for, in the batches that are logged alone. The first batch of an epoch that it
    sees starts its clock.

    Args:
        batch_size: samples of a batch.
        frequent: log in every batch whose number is divisible by this.
        auto_reset: reset the local totals of the metric afterwards, so that the next values are those since then.
    """

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True) -> None:
        self.batch_size = batch_size
        self.frequent = frequent
        self.init = False
        self.tic = 0.0
        self.last_count = 0
        self.auto_reset = auto_reset

    def __call__(self, param: Any) -> None:
        """Count a batch; `param` is a ``BatchEndParam``."""
        count = param.nbatch
        if self.last_count > count:
            self.init = False
        self.last_count = count
        if not self.init:
            self.init = True
            self.tic = time.time()
        elif count % self.frequent == 0:
            self._log(param, count)
            self.tic = time.time()

    def _log(self, param: Any, count: int) -> None:
        # What was added to the metric is waited for first: its batches belong to the time that they took.
        metric = param.eval_metric
        found = [] if metric is None else metric.get_name_value()
        elapsed = time.time() - self.tic
        speed = self.frequent * self.batch_size / elapsed if elapsed else float("inf")
        if metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, count, speed)
            return
        start = 0
        if self.auto_reset:
            metric.reset_local()
            start = count - self.frequent
        text = "Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + "\t%s=%f" * len(found)
        logging.info(text, param.epoch, start, count, speed, *(part for pair in found for part in pair))


class ProgressBar:
    """Log a bar of how much of the epoch is done; a batch-end callback. Source: MXNet ``mx.callback.ProgressBar``.

    Args:
        total: batches of an epoch.
        length: characters of the whole bar.
    """

    def __init__(self, total: int, length: int = 80) -> None:
        self.bar_len = length
        self.total = total

    def __call__(self, param: Any) -> None:
        """Show the bar; `param` is a ``BatchEndParam``."""
        filled = round(self.bar_len * param.nbatch / float(self.total))
        bar = "=" * filled + "-" * (self.bar_len - filled)
        logging.info("[%s] %s%s\r", bar, math.ceil(100.0 * param.nbatch / float(self.total)), "%")


class LogValidationMetricsCallback:
    """Log the metrics of the validation; an evaluation-end callback.

    Source: MXNet ``mx.callback.LogValidationMetricsCallback``.
    """

    def __call__(self, param: Any) -> None:
        """Log them; `param` is a ``BatchEndParam``."""
        if not param.eval_metric:
            return
        for name, value in param.eval_metric.get_name_value():
            logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)
