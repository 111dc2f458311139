"""``mx.optimizer``: how parameters follow their gradients.

Every rule is a pure function of `symjit.ops.optim`; an `Optimizer` adds the numbers of each step.
"""

from __future__ import annotations

from symjit.ndarray import abs as NDabs
from symjit.optimizer import contrib as contrib
from symjit.optimizer import optimizer as optimizer
from symjit.optimizer.adaptive import FTML, AdaDelta, AdaGrad, Adam, Adamax, Ftrl, Nadam, RMSProp
from symjit.optimizer.descent import DCASGD, NAG, SGD, SGLD, Signum, Test, ccSGD
from symjit.optimizer.layerwise import LAMB, LARS, LBSGD
from symjit.optimizer.optimizer import Optimizer, create, register
from symjit.optimizer.rule import Rule
from symjit.optimizer.transformation import Optax
from symjit.optimizer.updater import Updater, get_updater

__all__ = [
    "DCASGD",
    "FTML",
    "LAMB",
    "LARS",
    "LBSGD",
    "NAG",
    "SGD",
    "SGLD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "Adamax",
    "Ftrl",
    "NDabs",
    "Nadam",
    "Optax",
    "Optimizer",
    "RMSProp",
    "Rule",
    "Signum",
    "Test",
    "Updater",
    "ccSGD",
    "contrib",
    "create",
    "get_updater",
    "register",
]
