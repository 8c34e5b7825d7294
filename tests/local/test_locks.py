"""A folder takes one command of a kind at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from inkstream.errors import SetupError
from inkstream.local.locks import one_by_one, only_one


def test_a_second_demo_on_a_folder_is_refused_until_the_first_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "demo"
    another = pytest.raises(SetupError, match=r"Another demo runs on .*/var; wait for its end, or stop it")
    with only_one(folder, "demo"), another, only_one(folder, "demo"):
        pass
    with only_one(folder, "demo"):
        assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("in the way")
    with (
        pytest.raises(SetupError, match=r"var/demo cannot be written \(Not a directory\)"),
        only_one(tmp_path / "var/demo", "demo"),
    ):
        pass


def test_one_by_one_the_second_waits(tmp_path: Path) -> None:
    came: list[str] = []

    def second() -> None:
        with one_by_one(tmp_path, "up.lock"):
            came.append("second")

    with one_by_one(tmp_path, "up.lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        came.append("first")
    thread.join(10)
    assert came == ["first", "second"]
