"""Cases of ``symjit/ops/random.py``; the distributions are checked in ``tests/ops/test_random.py``.

The samplers of the gamma and Poisson distributions compile slowly, so their aliases have no rows of their own.
"""

import numpy as np

from tests.ops.case import Case, Draw

#: Probabilities that leave no choice: what is drawn does not depend on the random stream.
CERTAIN = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32)


def drawn(op, inputs=(), tag="", **attrs):
    return Case(op, inputs, attrs, tag, grad=False, reference=lambda *arrays: True, reason="random")


def per_element(op, *bounds, **attrs):
    return drawn(op, [Draw((2, 3), *bound) for bound in bounds], shape=(4,), **attrs)


CASES = [
    drawn("_random_uniform", shape=(2, 3)),
    drawn("_random_uniform", tag="default"),
    drawn("_random_uniform", tag="float64", low=-2.0, high=3.0, shape=(5,), dtype="float64", ctx="cpu(0)"),
    drawn("_random_uniform", tag="float16", shape=(5,), dtype="float16"),
    drawn("uniform", shape=(2,), dtype="None"),
    drawn("random_uniform", shape=2),
    drawn("_random_normal", shape=(2, 3), loc=1.0, scale=2.0),
    drawn("_random_normal", tag="float64", shape=(2, 3), dtype="float64"),
    drawn("_random_normal", tag="float16", shape=(2, 3), dtype="float16"),
    drawn("normal", shape=(2, 3)),
    drawn("random_normal", shape=(2, 3)),
    drawn("_random_gamma", shape=(2, 3), alpha=2.0, beta=0.5),
    drawn("_random_gamma", tag="float16", shape=(2, 3), dtype="float16"),
    drawn("_random_exponential", shape=(2, 3), lam=4.0),
    drawn("random_exponential", shape=(2, 3), dtype="float64"),
    drawn("_random_poisson", shape=(2, 3), lam=4.0),
    drawn("_random_randint", low=-3, high=4, shape=(5,)),
    drawn("random_randint", low=0, high=2**40, shape=(5,), dtype="int64"),
    drawn("_random_uniform_like", [Draw((2, 3))], low=-1.0, high=2.0),
    drawn("_random_uniform_like", [Draw((2, 3), dtype="float16")], "float16"),
    drawn("_random_normal_like", [Draw((2, 3))], loc=1.0, scale=2.0),
    drawn("_random_gamma_like", [Draw((2, 3))], alpha=2.0, beta=0.5),
    drawn("_random_exponential_like", [Draw((2, 3))], lam=4.0),
    drawn("_random_poisson_like", [Draw((2, 3))], lam=4.0),
    per_element("_sample_uniform", (-1, 0), (1, 2)),
    per_element("sample_uniform", (-1, 0), (1, 2), dtype="float64"),
    drawn("_sample_uniform", [Draw((2,), 0, 1, "float16"), Draw((2,), 1, 2, "float16")], "float16"),
    per_element("_sample_normal", (-1, 1), (1, 2)),
    per_element("sample_normal", (-1, 1), (1, 2)),
    per_element("_sample_gamma", (1, 2), (1, 2)),
    per_element("_sample_exponential", (1, 2)),
    per_element("sample_exponential", (1, 2)),
    per_element("_sample_poisson", (1, 2)),
    Case("_sample_multinomial", [CERTAIN], grad=False),
    Case("_sample_multinomial", [CERTAIN[0]], {"dtype": "uint8"}, "vector", grad=False),
    Case("_sample_multinomial", [CERTAIN[0]], {"shape": (2, 2)}, "vector-shape", grad=False),
    Case("_sample_multinomial", [CERTAIN], {"shape": (4,), "dtype": "float64"}, "shape", grad=False),
    Case("_sample_multinomial", [CERTAIN[None]], {"shape": (2,), "dtype": "float32"}, "3d", grad=False),
    Case("_sample_multinomial", [CERTAIN.astype("float16")], {"get_prob": True}, "float16", grad=False),
    Case("_sample_multinomial", [CERTAIN], {"get_prob": True, "shape": (2,), "dtype": "float32"}, "prob"),
    Case("_sample_multinomial", [CERTAIN[1]], {"get_prob": True, "dtype": "float32"}, "vector-prob"),
    drawn("sample_multinomial", [np.full((2, 4), 0.25, np.float32)], shape=(3,), get_prob=True),
    *(drawn(f"_random_{name}", tag="default") for name in ("normal", "gamma", "exponential", "poisson")),
    *(
        drawn(f"_random_{name}_like", [Draw((2, 3))], "default")
        for name in ("normal", "gamma", "exponential", "poisson")
    ),
    drawn("_random_randint", tag="default", low=-3, high=4),
    drawn("_random_poisson", tag="float16", shape=(5,), dtype="float16"),
    *(
        drawn(f"_sample_{name}", [Draw((2,), 1, 2)] * count, "float64", dtype="float64")
        for name, count in {"normal": 2, "gamma": 2, "exponential": 1, "poisson": 1}.items()
    ),
    drawn("_shuffle", [Draw((4, 2))]),
    drawn("shuffle", [Draw((5,), 0, 99, "int32")]),
]
