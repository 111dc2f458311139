"""Saving replaces a file in one step, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symjit import model
from symjit import symbol as sym
from symjit.base import MXNetError
from symjit.ndarray import atomic
from symjit.ndarray.atomic import TEMPORARY, write_file
from symjit.ndarray.serialize import dumps, read_arrays, write_arrays

ROOT = Path(__file__).resolve().parent.parent
ENVIRON = os.environ | {"JAX_PLATFORMS": "cpu"}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX files and signals")


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=ENVIRON, capture_output=True, text=True)


def killed(folder: Path, rounds: int, seed: int) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "tests.killed", str(folder), str(rounds), str(seed)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check_killed(report: dict[str, dict[str, float]], rounds: int) -> None:
    assert set(report) == {"nd.save", "Symbol.save", "save_checkpoint", "save_states_file"}
    for found in report.values():
        assert found["killed"] >= rounds
        assert found["versions"] >= 2  # some saves had been completed
        assert found["interrupted"] >= rounds / 10  # and others were being written


def test_a_few_killed_saves_leave_files_that_load(tmp_path: Path) -> None:
    check_killed(killed(tmp_path, 4, 1), 4)


@pytest.mark.slow
def test_210_killed_saves_leave_files_that_load(tmp_path: Path) -> None:
    check_killed(killed(tmp_path, 70, 2), 70)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    write_arrays(path, [np.ones(3)], ["a"])
    before = path.read_bytes()
    program = (
        "import resource, numpy as np\n"
        "from symjit.ndarray.serialize import write_arrays\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"try: write_arrays({str(path)!r}, [np.zeros(1_000_000)])\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    message = run(program).stdout
    assert message == (
        f"MXNetError cannot write {str(path)!r}: File too large. Check the directory, its permissions and its space.\n"
    )
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_steps_of_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content to disk, then the name, then the directory to disk: a crash of the machine leaves old or new."""
    steps = []
    fsync, replace = os.fsync, os.replace
    path = tmp_path / "x.params"

    def noted_fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = os.fstat(descriptor).st_size
        steps.append("directory" if is_directory else f"{size} bytes")
        fsync(descriptor)

    def noted_replace(source: str, target: str) -> None:
        assert os.path.dirname(source) == os.path.dirname(target) == str(tmp_path)
        assert os.path.basename(source).startswith(TEMPORARY)
        steps.append("replace")
        replace(source, target)

    monkeypatch.setattr(atomic.os, "fsync", noted_fsync)
    monkeypatch.setattr(atomic.os, "replace", noted_replace)
    write_file(path, [b"abc", b"de"])
    assert steps == ["5 bytes", "replace", "directory"] and path.read_bytes() == b"abcde"


def test_temporary_files_are_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}0123.tmp").write_bytes(dumps([np.ones(1)], ["arg:a"])[:20])
    x = sym.Variable("x")
    model.save_checkpoint(tmp_path / "net", 1, x, {}, {})
    assert model.load_checkpoint(tmp_path / "net", 1)[0].name == "x"
    assert not [path for path in tmp_path.glob("*.params") if path.name.startswith(TEMPORARY)]
    assert not [path for path in tmp_path.glob("*.json") if path.name.startswith(TEMPORARY)]


def test_nobody_else_reads_the_content_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    path.touch()
    path.chmod(0o600)
    modes = []

    def chunks():
        yield b"secret"
        modes.extend(stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir())
        yield b"more"

    write_file(path, chunks())
    assert modes == [0o600, 0o600] and stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.params"
    path.touch()
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    write_arrays(path, [np.ones(1)])
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 5678, 0o640)


def test_a_file_that_may_not_be_given_away_is_saved_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.params"
    path.touch()
    real = os.stat

    def foreign(name: object, **options: object) -> os.stat_result:
        found = list(real(name, **options))  # type: ignore[call-overload]
        found[4] += name == str(path)
        return os.stat_result(found)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(atomic.os, "stat", foreign)
    monkeypatch.setattr(atomic.os, "chown", refuse)
    write_arrays(path, [np.ones(1)])
    assert len(read_arrays(path).arrays) == 1


def test_a_link_to_nothing_gets_its_file(tmp_path: Path) -> None:
    link = tmp_path / "latest.params"
    link.symlink_to(tmp_path / "net-0001.params")
    write_arrays(link, [np.ones(1)])
    assert link.is_symlink() and (tmp_path / "net-0001.params").is_file()


def test_other_hard_links_keep_the_old_content(tmp_path: Path) -> None:
    path, other = tmp_path / "x.params", tmp_path / "y.params"
    path.write_bytes(b"old")
    os.link(path, other)
    write_arrays(path, [np.ones(1)])
    assert other.read_bytes() == b"old" and path.read_bytes() == dumps([np.ones(1)])


def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    for path in (Path("/proc/nowhere/x.params"), tmp_path / "file" / "x.params"):
        (tmp_path / "file").touch()
        with pytest.raises(MXNetError, match=rf"^cannot write '{path}': .*\. Check the directory, its permissions"):
            write_arrays(path, [np.ones(1)])


def test_a_symbol_that_can_not_be_saved_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net-symbol.json"
    sym.Variable("old").save(path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(MXNetError, match=r"cannot write .*No space left on device"):
        sym.Variable("new").save(path)
    assert sym.load(path).name == "old" and list(tmp_path.iterdir()) == [path]
