"""What a process frees stays with it once it trains; each case is a process of its own."""

import os
import subprocess
import sys

import pytest

from symjit.base import MXNetError
from symjit.memory import keep_freed

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(os, "confstr") or "CS_GNU_LIBC_VERSION" not in os.confstr_names,
    reason="the C library is not glibc",
)

# Blocks past the 32 MiB that glibc would map on their own; pages of 4 KiB.
_FAULTS = """
import resource
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        b"x" * (48 << 20)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 5
"""


def run(code, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "SYMJIT_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS + code], env={**clean, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_freed_memory_stays():
    before, did, _, after = run(
        "from symjit.memory import keep_freed\nprint(faults(), keep_freed(), faults(), faults(), sep='\\n')"
    )
    assert int(before) > 10_000 and did == "True" and int(after) < 100


@pytest.mark.parametrize(
    ("name", "text"),
    [("SYMJIT_KEPT_MEMORY", "0"), ("MALLOC_TRIM_THRESHOLD_", "1000000"), ("GLIBC_TUNABLES", "glibc.malloc.perturb=0")],
)
def test_the_user_decides(monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    assert not keep_freed.__wrapped__()


def test_training_keeps_and_inference_does_not():
    network = """
import symjit as mx
from symjit.memory import keep_freed
executor = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2).simple_bind(mx.cpu(), data=(1, 2))
for train in (False, True):
    executor.forward(is_train=train)
    print(keep_freed.cache_info().currsize)
"""
    assert run(network) == ["0", "1"]


def test_a_setting_that_is_no_number(monkeypatch):
    monkeypatch.setenv("SYMJIT_KEPT_MEMORY", "all")
    with pytest.raises(MXNetError, match="SYMJIT_KEPT_MEMORY='all': expected a whole number of MiB"):
        keep_freed.__wrapped__()
