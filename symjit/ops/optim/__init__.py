"""Update rules of optimizers: pure functions of a weight, its gradient and its states.

Each is ``rule(weight, grad, *states, **numbers) -> (weight, *states)``. All arrays of a call have one floating dtype;
the numbers are scalars of that dtype (traced ones, so that a new learning rate compiles nothing). `clip_gradient` is
the bound of the gradient's magnitude, infinity for none.

MXNet has two kinds of rules. Its compiled ones get ``beta`` as float32 and subtract that from one; those that it wrote
in Python subtract in double precision first. ``1 - 0.999`` differs in the fifth digit between the two, so the second
kind takes what the decay leaves as a number of its own, ``rest``.
"""

from symjit.ops.optim.adaptive import (
    adadelta,
    adagrad,
    adam,
    adamax,
    adamw,
    ftml,
    ftrl,
    group_adagrad,
    nadam,
    rmsprop,
    rmsprop_centered,
)
from symjit.ops.optim.descent import dcasgd, dcasgd_mom, nag, plain_sum, sgd, sgd_mom, sgld, signum
from symjit.ops.optim.layerwise import lamb, lars, lars_mom, lbsgd

__all__ = [
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "dcasgd",
    "dcasgd_mom",
    "ftml",
    "ftrl",
    "group_adagrad",
    "lamb",
    "lars",
    "lars_mom",
    "lbsgd",
    "nadam",
    "nag",
    "plain_sum",
    "rmsprop",
    "rmsprop_centered",
    "sgd",
    "sgd_mom",
    "sgld",
    "signum",
]
