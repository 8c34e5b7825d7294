"""Runs of everything in, conf/jars/<group>.classes.gz out: `python -m inkstream.local.class_lists`, for developers.

The services, a stream on a cluster of one worker and a check of its rows are run in a folder of their own, by a Java
that writes down each class that it loads.
"""

from __future__ import annotations

import gzip
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from inkstream.image.samples import FOLDER
from inkstream.local.class_archives import classes_file
from inkstream.local.java import java_home
from inkstream.settings import home, load_settings

COMMANDS = (
    ("up", "--workers", "1"),
    ("send", str(FOLDER)),
    ("stream", "--once"),
    ("verify",),
    ("down",),
)
# What a command line has that starts a JVM of the group. Spark's launcher lives for half a second, on other jars.
SIGNS = {
    "cassandra": "*org.apache.cassandra.service.*",
    "kafka": "*' kafka.'*",
    "launcher": "*org.apache.spark.launcher.*",
    "spark": "*org.apache.spark.deploy.*|*org.apache.spark.executor.*",
}
GROUPS = ("cassandra", "kafka", "spark")


def main() -> None:
    """Record all lists anew; takes minutes. Raises CalledProcessError where a command fails."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "var").mkdir()
        (folder / "var" / "jars").symlink_to(load_settings().local.path / "jars")
        java = _recording_java(folder)
        environment = {**os.environ, "JAVA_HOME": str(java), "INKSTREAM_LOCAL__FOLDER": str(folder / "var")}
        for command in COMMANDS:
            subprocess.run([str(home() / "submit.sh"), *command], env=environment, check=True)
        for group in GROUPS:
            lists = sorted(folder.glob(f"{group}-*.classes"), key=lambda path: path.stat().st_size, reverse=True)
            lines = dict.fromkeys(line for path in lists for line in _classes(path.read_text().splitlines()))
            text = "".join(f"{line}\n" for line in lines)
            classes_file(group).write_bytes(gzip.compress(text.encode(), mtime=0))
            print(f"{group}: {len(lines):,} classes and forms in {classes_file(group)}")


def _recording_java(folder: Path) -> Path:
    """A Java home of its own in the folder: the one in use, whose `java` writes <group>-<pid>.classes."""
    real, ours = java_home(), folder / "java"
    (ours / "bin").mkdir(parents=True)
    for part in [*real.iterdir(), *(real / "bin").iterdir()]:
        if part.name not in ("bin", "java"):
            (ours / part.relative_to(real)).symlink_to(part)
    cases = "\n".join(f"    {signs}) group={group} ;;" for group, signs in SIGNS.items())
    java = ours / "bin" / "java"
    java.write_text(
        f'#!/bin/sh\ngroup=other\ncase " $*" in\n{cases}\nesac\n'
        f"exec {shlex.quote(str(real / 'bin' / 'java'))} -Xshare:off "
        f'-XX:DumpLoadedClassList={shlex.quote(str(folder))}/$group-$$.classes "$@"\n'
    )
    java.chmod(0o755)
    return ours


def _classes(lines: Iterable[str]) -> Iterator[str]:
    """Without the remarks, and without what names a file of this machine."""
    return (line for line in lines if line and not line.startswith("#") and "source:" not in line)


if __name__ == "__main__":
    main()
