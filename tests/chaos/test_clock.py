"""A clock that processes go by, stepped while they run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from inkstream.chaos.clock import SEEN_AFTER_S, stepped_clock
from inkstream.local.java import java_command

SCRIPT = "import sys, time\nfor line in sys.stdin: print(time.time(), time.monotonic(), flush=True)"


def test_a_process_goes_by_a_clock_that_is_stepped(tmp_path: Path) -> None:
    before = dict(os.environ)
    with stepped_clock(tmp_path) as clock:
        assert clock is not None
        line = [sys.executable, "-c", SCRIPT]
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

            def asked() -> tuple[float, float]:
                """How far its wall clock and its monotonic one are from this process's own."""
                assert process.stdin
                assert process.stdout
                process.stdin.write("\n")
                process.stdin.flush()
                wall, monotonic = map(float, process.stdout.readline().split())
                return wall - time.time(), monotonic - time.monotonic()

            for seconds in (0.0, 300.0, -300.0, 0.0):
                clock.step(seconds)
                time.sleep(SEEN_AFTER_S + 0.2)
                wall, monotonic = asked()
                assert abs(wall - seconds) < 5
                assert abs(monotonic) < 5
    assert dict(os.environ) == before


def test_a_jvm_that_waits_is_at_rest_under_it(tmp_path: Path) -> None:
    with stepped_clock(tmp_path) as clock:
        assert clock is not None
        line = [java_command(), "-m", "java.rmi/sun.rmi.registry.RegistryImpl", "0"]
        with subprocess.Popen(line, stderr=subprocess.DEVNULL) as waiting:
            try:
                time.sleep(SEEN_AFTER_S)
                clock.step(-120.0)
                time.sleep(SEEN_AFTER_S)
                before = psutil.Process(waiting.pid).cpu_times()
                time.sleep(1.0)
                after = psutil.Process(waiting.pid).cpu_times()
            finally:
                waiting.kill()
        spent = after.user + after.system - before.user - before.system
        assert spent < 0.5, "its threads wake all the time"
