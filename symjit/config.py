"""Settings from the environment, and the persistent compilation cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from symjit.base import MXNetError

__all__ = [
    "AGGREGATION",
    "AUTOTUNE",
    "CACHE_DIR",
    "CACHE_SIZE",
    "ENGINE",
    "JSON_MEMORY",
    "KEPT_MEMORY",
    "SETTINGS",
    "Setting",
    "choose_engine",
    "enable_compilation_cache",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """An environment variable with a type.

    Attributes:
        name: the variable.
        default: gives the value when the variable is not set or empty.
        parse: turns its text into a value; a ``ValueError`` tells what was expected.
        doc: what it does, in one line.
    """

    name: str
    default: Callable[[], T]
    parse: Callable[[str], T]
    doc: str

    def get(self) -> T:
        """Return the value as the environment has it now.

        Raises:
            MXNetError: the text in the environment does not parse.
        """
        text = os.environ.get(self.name, "").strip()
        if not text:
            return self.default()
        try:
            return self.parse(text)
        except ValueError as error:
            raise MXNetError(f"environment variable {self.name}={text!r}: {error} ({self.doc})") from None


def _user_cache_dir() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "symjit"


def _mebibytes(text: str) -> int:
    try:
        size = int(text)
    except ValueError:
        size = -1
    if size < 0:
        raise ValueError("expected a whole number of MiB, 0 or more")
    return size


#: Where compiled programs are kept between runs.
CACHE_DIR = Setting(
    "SYMJIT_CACHE_DIR", _user_cache_dir, lambda s: Path(s).expanduser(), "folder of the compilation cache"
)
#: How much room they may take, in MiB; the least recently used go first.
CACHE_SIZE = Setting("SYMJIT_CACHE_SIZE", lambda: 1024, _mebibytes, "size of the compilation cache in MiB, 0 is off")
#: What reading a Symbol JSON file may take beyond the size of the file, in MiB.
JSON_MEMORY = Setting(
    "SYMJIT_JSON_MEMORY", lambda: 64, _mebibytes, "memory in MiB that reading a Symbol JSON file may take"
)
#: How much freed memory a process that trains on CPU keeps for its next step, in MiB.
KEPT_MEMORY = Setting(
    "SYMJIT_KEPT_MEMORY",
    lambda: 1024,
    _mebibytes,
    "freed memory in MiB that a process that trains on CPU keeps, 0 leaves that to the C library",
)


def _tuning(text: str) -> str:
    if text not in ("0", "1", "2"):
        raise ValueError("expected 0, 1 or 2")
    return "off" if text == "0" else "on"


#: Whether strategies (such as how a convolution is computed) are chosen by timing them: ``"on"``; by rules alone:
#: ``"off"``; or by what was timed before and by rules elsewhere: ``"known"``, where the variable is not set.
AUTOTUNE = Setting(
    "MXNET_CUDNN_AUTOTUNE_DEFAULT",
    lambda: "known",
    _tuning,
    "1 or 2 times the strategies of every convolution once and keeps the winners, 0 ignores them",
)


def _engine(text: str) -> str:
    names = ("NaiveEngine", "ThreadedEngine", "ThreadedEnginePerDevice", "ThreadedEnginePerDevicePooled")
    if text not in names:
        raise ValueError(f"expected one of {', '.join(names)}")
    return "naive" if text == "NaiveEngine" else "threaded"


#: Whether CPU programs run in the thread that starts them (``"naive"``), or beside it (``"threaded"``).
ENGINE = Setting(
    "MXNET_ENGINE_TYPE",
    lambda: "threaded",
    _engine,
    "NaiveEngine runs CPU programs in the thread that calls, which is faster for small networks",
)


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("expected a whole number") from None


#: How many parameters SGD, LARS and LAMB take in one call; None where it is not set.
AGGREGATION: Setting[int | None] = Setting(
    "MXNET_OPTIMIZER_AGGREGATION_SIZE", lambda: None, _count, "how many parameters SGD, LARS and LAMB take in one call"
)

#: Every setting, by the name of its environment variable.
SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (CACHE_DIR, CACHE_SIZE, JSON_MEMORY, KEPT_MEMORY, AUTOTUNE, ENGINE, AGGREGATION)
}


def choose_engine() -> None:
    """Do as ``MXNET_ENGINE_TYPE`` says. JAX looks at it when it first looks for devices, so it is called before that.

    Every call returns when its result is there under ``NaiveEngine``, which saves the change of threads: 20 to 30 us
    of every call. GPUs and TPUs stay asynchronous (a deviation from MXNet).

    Raises:
        MXNetError: there is no such engine.
    """
    if ENGINE.get() == "naive":
        import jax

        jax.config.update("jax_cpu_enable_async_dispatch", False)


def enable_compilation_cache() -> Path | None:
    """Keep compiled programs on disk, so that the next process loads them instead of compiling.

    The command line and :class:`symjit.Predictor` call this. It uses JAX's persistent cache, which is keyed by
    program, compile options, device and version. What the user has set wins: a folder given to JAX
    (``JAX_COMPILATION_CACHE_DIR`` or ``jax.config``) stays, a cache switched off stays off. A damaged entry is a
    warning of JAX's and a compilation. Without a writable folder nothing is kept and nothing fails.

    Returns:
        The folder in use, ours or the user's; ``None`` when nothing is kept.

    Raises:
        MXNetError: ``SYMJIT_CACHE_SIZE`` is not a number.
    """
    import jax

    options: Any = jax.config  # its options are attributes that type checkers do not see
    if not options.jax_enable_compilation_cache:
        return None
    if options.jax_compilation_cache_dir:
        return Path(options.jax_compilation_cache_dir)
    size = CACHE_SIZE.get()
    if size == 0:
        return None
    folder = CACHE_DIR.get() / "xla"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    options.update("jax_compilation_cache_max_size", size << 20)
    # JAX keeps what took a second to compile. A small network takes less, and a start of 0.1 s is felt.
    options.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    options.update("jax_compilation_cache_dir", str(folder))
    return folder
