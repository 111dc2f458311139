"""Runs Apache MXNet 1.x models and programs on JAX/XLA: ``import symjit as mx``."""

from __future__ import annotations

from symjit import attribute as attribute
from symjit import base as base
from symjit import callback as callback
from symjit import context as context
from symjit import executor as executor
from symjit import executor_manager as executor_manager
from symjit import initializer as initializer
from symjit import io as io
from symjit import lr_scheduler as lr_scheduler
from symjit import metric as metric
from symjit import model as model
from symjit import module as module
from symjit import monitor as monitor
from symjit import name as name
from symjit import ndarray as ndarray
from symjit import optimizer as optimizer
from symjit import predictor as predictor
from symjit import random as random
from symjit import registry as registry
from symjit import rnn as rnn
from symjit import symbol as symbol
from symjit.attribute import AttrScope as AttrScope
from symjit.base import MXNetError as MXNetError
from symjit.context import Context as Context
from symjit.context import cpu as cpu
from symjit.context import cpu_pinned as cpu_pinned
from symjit.context import current_context as current_context
from symjit.context import gpu as gpu
from symjit.context import gpu_memory_info as gpu_memory_info
from symjit.context import num_gpus as num_gpus
from symjit.context import num_tpus as num_tpus
from symjit.context import tpu as tpu
from symjit.executor import Executor as Executor
from symjit.ndarray import NDArray as NDArray
from symjit.ndarray import waitall as waitall
from symjit.predictor import Predictor as Predictor
from symjit.symbol import Symbol as Symbol

__version__ = "0.1.0.dev0"

#: The MXNet release whose behaviour is reproduced, and the number that saved graphs carry.
__mxnet_version__ = "1.9.1"

#: MXNet's short names of its modules.
nd, sym, rnd, init, mon, mod = ndarray, symbol, random, initializer, monitor, module

# MXNet has the distributions of mx.nd.random under mx.random too, whose file here knows no arrays.
for _name in ndarray.random.__all__:
    setattr(random, _name, getattr(ndarray.random, _name))
