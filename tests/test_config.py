"""Settings, and the compilation cache. What JAX does with it is tried in fresh processes: it keeps one for each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from symjit import config
from symjit.base import MXNetError

OPTIONS = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
)

PROGRAM = """
import jax, jax.numpy as jnp
from symjit.config import enable_compilation_cache
print(enable_compilation_cache())
def f(x):
    for i in range(10):
        x = jnp.tanh(x @ x) + x / (i + 1)
    return x
print(float(jax.jit(f)(jnp.eye(8, dtype=jnp.float32)).sum()))
"""


@pytest.fixture
def options(monkeypatch, tmp_path):
    """A function that reads JAX's options; they and the environment are put back afterwards."""
    before = {name: getattr(jax.config, name) for name in OPTIONS}
    monkeypatch.setenv("SYMJIT_CACHE_DIR", str(tmp_path / "ours"))
    monkeypatch.setenv("SYMJIT_CACHE_SIZE", "3")
    yield lambda: {name: getattr(jax.config, name) for name in OPTIONS}
    for name, value in before.items():
        jax.config.update(name, value)


def run(folder: Path) -> tuple[str, str]:
    """What a fresh process prints, and what it says on stderr."""
    environ = os.environ | {"SYMJIT_CACHE_DIR": str(folder), "SYMJIT_CACHE_SIZE": "3"}
    environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def test_size(monkeypatch):
    monkeypatch.setenv("SYMJIT_CACHE_SIZE", " 12 ")
    assert config.CACHE_SIZE.get() == 12
    monkeypatch.setenv("SYMJIT_CACHE_SIZE", "")
    assert config.CACHE_SIZE.get() == 1024
    for text in ("-1", "1GB", "1.5"):
        monkeypatch.setenv("SYMJIT_CACHE_SIZE", text)
        with pytest.raises(MXNetError, match=f"SYMJIT_CACHE_SIZE='{text}': expected a whole number of MiB"):
            config.CACHE_SIZE.get()


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SYMJIT_CACHE_DIR", str(tmp_path))
    assert config.CACHE_DIR.get() == tmp_path
    monkeypatch.delenv("SYMJIT_CACHE_DIR")
    assert config.CACHE_DIR.get().name == "symjit"


def test_every_setting_is_listed():
    settings = {value.name: value for value in vars(config).values() if isinstance(value, config.Setting)}
    assert settings == config.SETTINGS


def test_cache_is_bounded(options, tmp_path):
    assert config.enable_compilation_cache() == tmp_path / "ours" / "xla"
    assert options() == dict(zip(OPTIONS, (True, str(tmp_path / "ours" / "xla"), 3 << 20, 0.1), strict=True))
    assert config.enable_compilation_cache() == tmp_path / "ours" / "xla"  # and again


def test_the_users_folder_stays(options, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "user"))
    before = options()
    assert config.enable_compilation_cache() == tmp_path / "user"
    assert options() == before
    assert not (tmp_path / "ours").exists()


def test_the_user_may_switch_it_off(options, monkeypatch):
    monkeypatch.setenv("SYMJIT_CACHE_SIZE", "0")
    before = options()
    assert config.enable_compilation_cache() is None
    assert options() == before
    monkeypatch.setenv("SYMJIT_CACHE_SIZE", "3")
    jax.config.update("jax_enable_compilation_cache", False)
    assert config.enable_compilation_cache() is None


def test_a_folder_that_cannot_be_made_is_no_error(options, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SYMJIT_CACHE_DIR", str(tmp_path / "file" / "below"))
    before = options()
    assert config.enable_compilation_cache() is None
    assert options() == before


def test_cache_is_used_and_survives_damage(tmp_path):
    def entries():
        return {path: path.read_bytes() for path in (tmp_path / "xla").glob("jit_f-*-cache")}

    first, _ = run(tmp_path)
    kept = entries()
    assert len(kept) == 1
    assert run(tmp_path) == (first, "")
    assert entries() == kept
    for path in kept:
        path.write_bytes(b"damaged")
    again, stderr = run(tmp_path)
    assert again == first
    assert "compilation cache" in stderr


@pytest.mark.parametrize(
    ("engine", "threads"),
    [("NaiveEngine", "one"), pytest.param("ThreadedEngine", "several", marks=pytest.mark.slow), (None, "several")],
)
def test_engine_decides_where_programs_run(engine, threads):
    """Under NaiveEngine a call returns when its result is there, so a program never runs beside Python."""
    environment = {k: v for k, v in os.environ.items() if k != "MXNET_ENGINE_TYPE"}
    done = subprocess.run(
        [sys.executable, "-c", SLOW_PROGRAM],
        env={**environment, "JAX_PLATFORMS": "cpu", **({} if engine is None else {"MXNET_ENGINE_TYPE": engine})},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == threads


#: A call that returns at once leaves the work to another thread.
SLOW_PROGRAM = """
import jax, jax.numpy as jnp
import symjit as mx
x = mx.nd.ones((900, 900)).asjax()
run = jax.jit(lambda x: x @ x @ x @ x @ x @ x)
jax.block_until_ready(run(x))
print("one" if all(run(x).is_ready() for _ in range(5)) else "several")
"""


def test_unknown_engine(monkeypatch):
    monkeypatch.setenv("MXNET_ENGINE_TYPE", "Naive")
    with pytest.raises(MXNetError, match="MXNET_ENGINE_TYPE='Naive': expected one of NaiveEngine, ThreadedEngine"):
        config.choose_engine()
