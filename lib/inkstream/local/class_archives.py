"""The classes that a group's JVMs are known to load in; an archive of them, from which a JVM starts sooner, out.

A JVM maps such a file where it would otherwise find, read and check thousands of classes in jars (class-data sharing,
JEP 310). Which classes, conf/jars/<group>.classes.gz says: `class_lists` records them. An archive fits one Java and the
very files of one class path, so its name has a digest of both. Where none fits, a JVM starts as it would without.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inkstream.errors import SetupError
from inkstream.local.jars import class_path, ensure_jars
from inkstream.local.java import java_home
from inkstream.local.locks import one_by_one
from inkstream.settings import Settings, home

log = logging.getLogger(__name__)

DUMP_S = 600


def classes_file(group: str) -> Path:
    """The list of a group's classes, one a line, in the JVM's own form; it does not exist for every group."""
    return home() / "conf" / "jars" / f"{group}.classes.gz"


def archive_options(settings: Settings, group: str) -> list[str]:
    """What a JVM with the group's class path, or more behind it, is started with; nothing where no archive fits."""
    archive = _archive(settings, group)
    return [f"-XX:SharedArchiveFile={archive}"] if archive.is_file() and archive.stat().st_size else []


def ensure_archives(settings: Settings, *groups: str) -> None:
    """Make the groups' archives that are missing, and fetch their jars before; instant where all are there.

    Takes half a minute, once. Where one cannot be made, the log says why, and JVMs start without it.

    Raises:
        SetupError: a jar cannot be fetched.
    """
    ensure_jars(settings, *groups)
    missing = [group for group in groups if classes_file(group).is_file() and not _archive(settings, group).is_file()]
    if not missing:
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            progress.add_task(f"Making later starts of {', '.join(missing)} quicker (once)", total=None)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda group: _make(settings, group), missing))
    except (OSError, SetupError) as error:
        log.warning("the classes of %s could not be archived: %s", ", ".join(missing), error)


def _make(settings: Settings, group: str) -> None:
    archive = _archive(settings, group)
    with one_by_one(archive.parent, f"{group}.lock"), tempfile.TemporaryDirectory(dir=archive.parent) as made:
        if archive.is_file():
            return
        scratch = Path(made) / "archive"
        done = subprocess.run(
            _dump(settings, group, Path(made), scratch), capture_output=True, text=True, timeout=DUMP_S
        )
        if done.returncode or not scratch.is_file():
            log.warning("the classes of %s could not be archived: %s", group, (done.stdout + done.stderr).strip())
            scratch.write_bytes(b"")  # an empty one: no second attempt
        for old in archive.parent.glob(f"{group}-*"):
            old.unlink()
        scratch.replace(archive)


def _dump(settings: Settings, group: str, folder: Path, archive: Path) -> Sequence[str]:
    """The command that makes an archive; a class of the list that is in no jar is passed over."""
    classes = folder / "classes"
    classes.write_bytes(gzip.decompress(classes_file(group).read_bytes()))
    return [
        str(java_home() / "bin" / "java"),
        "-Xshare:dump",
        "-XX:+UseG1GC",  # the one that can put objects of the heap into it
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        f"-XX:SharedClassListFile={classes}",
        f"-XX:SharedArchiveFile={archive}",
        "-cp",
        class_path(settings, group),
    ]


def _archive(settings: Settings, group: str) -> Path:
    digest = hashlib.sha256((java_home() / "release").read_bytes())
    for entry in class_path(settings, group).split(os.pathsep):
        folder = os.path.realpath(entry.removesuffix("*"))
        digest.update(folder.encode())
        for jar in os.scandir(folder):  # in the order in which the JVM will see them
            if not jar.name.endswith(".jar"):  # nor does `*` stand for it: what a fetch has under way comes and goes
                continue
            state = jar.stat()
            digest.update(f"{jar.name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return settings.local.path / "jars" / "archives" / f"{group}-{digest.hexdigest()[:16]}.jsa"
