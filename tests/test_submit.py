"""submit.sh: what it does before, and instead of, a set-up."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """submit.sh and its locks in a folder of their own, with a command line that prints what it was given."""
    project = tmp_path / "a project"
    shutil.copytree(ROOT / "requirements", project / "requirements")
    shutil.copy(ROOT / "submit.sh", project)
    command = project / ".venv" / "bin" / "inkstream"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "home=$INKSTREAM_HOME path=${PYTHONPATH-none}" "$@"\nexit 7\n')
    command.chmod(0o755)
    locks = [(project / "requirements" / name).read_bytes() for name in ("build.txt", "runtime.txt")]
    checksum = subprocess.run(["cksum"], input=b"".join(locks), capture_output=True).stdout.decode().strip()
    (project / ".venv" / "installed").write_text(f"{checksum} {project}\n")
    return project


def _run(script: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *arguments], capture_output=True, text=True, cwd="/", env={**os.environ, **variables}
    )


def test_it_hands_arguments_and_exit_status_over(copy: Path) -> None:
    done = _run(copy / "submit.sh", "send", "two words", PYTHONPATH="/elsewhere")
    assert done.stdout == f"home={copy} path=none send two words\n"
    assert done.returncode == 7


def test_it_works_through_a_symlink(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "ink").symlink_to(copy / "submit.sh")
    assert _run(tmp_path / "ink", "x").stdout == f"home={copy} path=none x\n"


def test_without_a_fitting_python_it_says_so(copy: Path, tmp_path: Path) -> None:
    (copy / ".venv" / "installed").unlink()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cat", "cksum", "dirname", "readlink"):
        (programs / name).symlink_to(str(shutil.which(name)))
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)
    done = _run(copy / "submit.sh", "demo", PATH=str(programs))
    assert done.returncode == 2
    assert "needs Python 3.10, 3.11 or 3.12 with its venv module, and none is on the PATH" in done.stderr


def test_without_a_network_it_names_what_could_not_be_had_and_carries_on_later(copy: Path) -> None:
    (copy / ".venv" / "installed").unlink()
    done = _run(copy / "submit.sh", "demo", PIP_NO_INDEX="1", PIP_FIND_LINKS="/nowhere")
    assert done.returncode == 1
    assert "error: could not install the build tools (No matching distribution found for" in done.stderr
    assert "Traceback" not in done.stderr
    assert (copy / ".venv" / "unfinished").exists()
    assert not (copy / ".venv" / "installed").exists()


def test_the_second_call_takes_under_two_seconds() -> None:
    assert (ROOT / ".venv" / "installed").exists(), "run the tests with ./submit.sh test"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = _run(ROOT / "submit.sh", "--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    # Of the processor's time: the clock would measure what else the machine has to do.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
