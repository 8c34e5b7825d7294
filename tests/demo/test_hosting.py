"""A demo that is told to end ends as with Ctrl-C."""

from __future__ import annotations

import os
import signal

import pytest

from inkstream.demo.hosting import stopped_by_signals


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
