"""What is trained, by MXNet for the goldens and by symjit in the tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.training.run import Case

FACTOR = ("FactorScheduler", {"step": 12, "factor": 0.6})
MULTI = ("MultiFactorScheduler", {"step": [9, 30], "factor": 0.5})
POLY = ("PolyScheduler", {"max_update": 45, "pwr": 2})
COSINE = ("CosineScheduler", {"max_update": 40, "final_lr": 1e-4, "warmup_steps": 6})


def rule(optimizer: str, rate: float, schedule: Any = FACTOR, model: str = "mlp", **options: Any) -> Case:
    """Return a case for one optimizer, with weight decay unless `options` say otherwise."""
    return Case(model, optimizer, {"learning_rate": rate, "wd": 0.01} | options, schedule)


#: Every optimizer that MXNet 1.9.1 can create by name, but for two. SGLD adds noise of its own to every step. And what
#: MXNet cannot run is not here: DCASGD with momentum asks a matrix whether it is true, which MXNet refuses. There is
#: no AdamW among 1.9.1's optimizers, only operators of that name. A bias is fixed with its weight: MXNet with oneDNN
#: computes no gradient of a bias whose weight has none.
OPTIMIZERS: Mapping[str, Case] = {
    "sgd": rule("sgd", 0.2),
    "sgd_momentum": rule("sgd", 0.1, MULTI, momentum=0.9),
    "sgd_clipped": rule("sgd", 0.1, POLY, momentum=0.8, clip_gradient=0.02),
    "sgd_multipliers": rule("sgd", 0.1, model="mlp_multipliers", momentum=0.9),
    "sgd_fixed": Case(
        "mlp", "sgd", {"learning_rate": 0.1, "momentum": 0.9}, fixed=("fc1_weight", "fc1_bias", "fc2_bias")
    ),
    "sgd_begun": rule("sgd", 0.2, begin_num_update=10),
    "sgd_reshaped": Case("mlp", "sgd", {"learning_rate": 0.1, "momentum": 0.9}, cut=5),
    "sgd_rescaled": Case("mlp", "sgd", {"learning_rate": 0.1, "rescale_grad": 0.5}),
    "ccsgd": rule("ccsgd", 0.1, momentum=0.9),
    "nag": rule("nag", 0.1, momentum=0.9),
    "nag_plain": rule("nag", 0.2, COSINE, clip_gradient=0.05),
    "signum": rule("signum", 0.01, momentum=0.9, wd_lh=0.02),
    "signum_plain": rule("signum", 0.01, momentum=0.0),
    "dcasgd": rule("dcasgd", 0.2, lamda=0.5, clip_gradient=0.2),
    "ftml": rule("ftml", 0.02),
    "lars": rule("lars", 0.3, momentum=0.9, eta=0.1),
    "lars_plain": rule("lars", 0.5, MULTI, eta=0.1, eps=1e-6),
    "lars_uncorrected": rule("lars", 0.3, momentum=0.9, eta=0.1, momentum_correction=False),
    "lbsgd": rule("lbsgd", 0.05, momentum=0.9, batch_scale=2, warmup_epochs=3, updates_per_epoch=5),
    "lbsgd_power2": rule("lbsgd", 0.05, warmup_strategy="power2", batch_scale=3, updates_per_epoch=8),
    "lbsgd_sqrt": rule("lbsgd", 0.05, warmup_strategy="sqrt", batch_scale=4, updates_per_epoch=8, begin_epoch=1),
    "lbsgd_lars": rule("lbsgd", 0.02, momentum=0.9, warmup_strategy="lars"),
    "lamb": rule("lamb", 0.02),
    "lamb_bounded": rule("lamb", 0.02, lower_bound=0.5, upper_bound=2.0, clip_gradient=0.05),
    "lamb_uncorrected": rule("lamb", 0.02, bias_correction=False),
    "adam": rule("adam", 0.02),
    "adam_clipped": rule("adam", 0.02, COSINE, beta1=0.8, beta2=0.95, epsilon=1e-6, clip_gradient=0.05),
    "adam_multipliers": rule("adam", 0.02, model="mlp_multipliers"),
    "adam_begun": rule("adam", 0.02, begin_num_update=5),
    "adagrad": rule("adagrad", 0.1, clip_gradient=0.2),
    "adadelta": rule("adadelta", 1.0, wd=0.001, clip_gradient=0.5),
    "adamax": rule("adamax", 0.02, clip_gradient=0.2),
    "nadam": rule("nadam", 0.02),
    "rmsprop": rule("rmsprop", 0.02),
    "rmsprop_clipped": rule("rmsprop", 0.02, clip_gradient=0.2, clip_weights=0.8),
    "rmsprop_centered": rule("rmsprop", 0.01, centered=True, gamma1=0.95, gamma2=0.8),
    "ftrl": rule("ftrl", 0.1, lamda1=0.1, beta=0.001),
    "groupadagrad": rule("groupadagrad", 0.1, model="mlp_matrices", wd=0.0),
    "test": Case("mlp", "test", {"rescale_grad": -0.02}),
}

NETWORKS: Mapping[str, Case] = {
    f"{model}_{name}": Case(model, optimizer, {"learning_rate": rate, "wd": 1e-3} | options, FACTOR)
    for model, rates in {
        "convolutional": (0.05, 0.01),
        "language": (0.2, 0.02),
        "factors": (0.04, 0.03),
    }.items()
    for name, optimizer, rate, options in (
        ("momentum", "sgd", rates[0], {"momentum": 0.9}),
        ("adam", "adam", rates[1], {}),
    )
}


def split(contexts: int, rows: int, model: str = "convolutional", optimizer: str = "sgd", **how: Any) -> Case:
    """Return 20 steps on several contexts."""
    options = {"sgd": {"learning_rate": 0.05, "momentum": 0.9, "wd": 1e-3}, "adam": {"learning_rate": 0.01, "wd": 1e-3}}
    return Case(model, optimizer, options[optimizer], FACTOR, steps=20, rows=rows, contexts=contexts, **how)


#: Batches that divide evenly and that do not: 10 over 4 contexts are 2, 2, 2 and 4 rows, 7 over 2 are 4 and 3.
CONTEXTS: Mapping[str, Case] = {
    "one": split(1, 8),
    "two": split(2, 8),
    "two_device": split(2, 8, kvstore="device"),
    "two_normed": split(2, 9, model="normed"),
    "two_odd": split(2, 7),
    "two_reshaped": split(2, 8, cut=5),
    "two_loaded": split(2, 10, work_load=(3, 1)),
    "two_alone": split(2, 8, kvstore=None),
    "two_adam": split(2, 8, optimizer="adam", kvstore="device"),
    "four": split(4, 8),
    "four_device": split(4, 8, kvstore="device"),
    "four_uneven": split(4, 10),
    "four_loaded": split(4, 10, work_load=(1, 2, 3, 4), kvstore="device"),
    "four_adam": split(4, 10, optimizer="adam"),
    "four_language": split(4, 8, model="language"),
    "four_factors": split(4, 10, model="factors", optimizer="adam", kvstore="device"),
}

GROUPS: Mapping[str, Mapping[str, Case]] = {"optimizers": OPTIMIZERS, "networks": NETWORKS, "contexts": CONTEXTS}
