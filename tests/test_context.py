"""Contexts: what MXNet 1.9.1 answers to the same expressions, and the devices behind them."""

from __future__ import annotations

import copy
import pickle
import threading

import jax
import numpy as np
import pytest

from symjit.base import MXNetError
from symjit.context import (
    Context,
    cpu,
    cpu_pinned,
    current_context,
    gpu,
    gpu_memory_info,
    num_gpus,
    num_tpus,
    tpu,
)

without_gpu = pytest.mark.skipif(num_gpus() > 0, reason="says what happens without a GPU")


@pytest.mark.parametrize(
    ("context", "text", "typeid", "number"),
    [
        (cpu(), "cpu(0)", 1, 0),
        (cpu(2), "cpu(2)", 1, 2),
        (cpu(-1), "cpu(-1)", 1, -1),
        (gpu(1), "gpu(1)", 2, 1),
        (cpu_pinned(1), "cpu_pinned(1)", 3, 1),
        (Context("cpu_shared", 1), "cpu_shared(1)", 5, 1),
        (tpu(3), "tpu(3)", 6, 3),
        (Context("gpu", np.int64(2)), "gpu(2)", 2, 2),
        (Context(gpu(3)), "gpu(3)", 2, 3),
        (Context(gpu(3), 5), "gpu(3)", 2, 3),  # MXNet ignores the number next to a Context
    ],
)
def test_fields(context, text, typeid, number):
    assert (str(context), repr(context)) == (text, text)
    assert (context.device_typeid, context.device_id) == (typeid, number)
    assert context.device_type == text.partition("(")[0] == Context.devtype2str[typeid]
    assert type(context.device_id) is int


def test_value_semantics():
    assert cpu() == cpu(0) and cpu() != cpu(1) and cpu() != gpu() and cpu() != "cpu(0)"
    assert len({cpu(), cpu(0), gpu(), gpu(1)}) == 3
    assert pickle.loads(pickle.dumps(gpu(1))) == copy.copy(gpu(1)) == copy.deepcopy(gpu(1)) == gpu(1)
    with pytest.raises(AttributeError):
        cpu().device_id = 3
    with pytest.raises(TypeError):
        cpu() < cpu(1)  # noqa: B015


@pytest.mark.parametrize("args", [("npu",), ("cpu", "0"), ("cpu", 1.5), (1, 0), (None,)])
def test_refused(args):
    with pytest.raises(MXNetError, match="expected"):
        Context(*args)


def test_current_context_nests():
    assert current_context() == cpu(0)
    outer = gpu(1)
    with outer as entered:
        assert entered is outer and current_context() is outer
        with cpu(3):
            with outer:  # the same object again
                assert current_context() == gpu(1)
            assert current_context() == cpu(3)
        assert current_context() == gpu(1)
    assert current_context() == cpu(0)
    with pytest.raises(ValueError), gpu(1):
        raise ValueError
    assert current_context() == cpu(0)


def test_current_context_is_per_thread():
    seen = []
    with gpu(1):
        thread = threading.Thread(target=lambda: seen.append(current_context()))
        thread.start()
        thread.join()
    assert seen == [cpu(0)]


def test_default_ctx_is_deprecated_and_works():
    with cpu(5):  # puts the default back at its end
        with pytest.warns(DeprecationWarning, match="current_context"):
            Context.default_ctx = cpu(4)
        assert current_context() == cpu(4)
        with pytest.warns(DeprecationWarning, match="current_context"):
            assert Context.default_ctx == cpu(4)
    assert current_context() == cpu(0)


def test_device_of_a_cpu():
    devices = jax.local_devices(backend="cpu")
    assert [cpu(i).device for i in range(len(devices))] == devices
    # Any number will do, as in MXNet.
    for context in (cpu(len(devices)), cpu(1000), cpu(-1), cpu_pinned(), Context("cpu_shared")):
        assert context.device == devices[0]
    assert cpu(3).device is cpu(3).device


def test_from_device_round_trip():
    for i, device in enumerate(jax.local_devices(backend="cpu")):
        assert Context.from_device(device) == cpu(i)
    for device in jax.local_devices():
        assert Context.from_device(device).device == device


@without_gpu
def test_missing_gpu():
    assert num_gpus() == 0
    with pytest.raises(MXNetError, match=r"no device gpu\(1\): this process sees 0 GPU devices.*symjit\[cuda13\]"):
        _ = gpu(1).device
    with pytest.raises(MXNetError, match="0 GPU devices"):
        gpu_memory_info(0)


@pytest.mark.skipif(num_gpus() == 0, reason="needs a GPU")
def test_gpu():
    devices = jax.local_devices(backend="gpu")
    assert [gpu(i).device for i in range(num_gpus())] == devices
    assert Context.from_device(devices[0]) == gpu(0)
    free, total = gpu_memory_info(0)
    assert 0 < free <= total
    with pytest.raises(MXNetError, match=f"sees {len(devices)} GPU"):
        _ = gpu(len(devices)).device


@pytest.mark.skipif(num_tpus() > 0, reason="says what happens without a TPU")
def test_missing_tpu():
    with pytest.raises(MXNetError, match=r"no device tpu\(0\): this process sees 0 TPU devices.*symjit\[tpu\]"):
        _ = tpu().device


def test_empty_cache():
    cpu().empty_cache()
