"""A folder takes one demo at a time, and a demo that is told to end ends as with Ctrl-C."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from inkstream.demo.hosting import only_one, stopped_by_signals
from inkstream.errors import SetupError


def test_a_second_demo_on_a_folder_is_refused_until_the_first_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "demo"
    with only_one(folder), pytest.raises(SetupError, match=r"Another demo runs on .*/var"), only_one(folder):
        pass
    with only_one(folder):
        assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("in the way")
    with (
        pytest.raises(SetupError, match=r"var/demo cannot be written \(Not a directory\)"),
        only_one(tmp_path / "var/demo"),
    ):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_once_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stopped_by_signals():
        _kill_twice(number)
    assert signal.getsignal(number) is before


def _kill_twice(number: signal.Signals) -> None:
    try:
        os.kill(os.getpid(), number)
    finally:
        os.kill(os.getpid(), number)  # while it cleans up: not another one
