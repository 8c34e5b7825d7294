"""conf/jars/*.lock in, verified jars in var/jars/<group>/ out.

A jar is fetched into a scratch folder, its SHA-256 compared with the lock's, and only then renamed into place: a file
that is there is whole, so an interrupted fetch carries on where it stopped.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inkstream.errors import SetupError
from inkstream.local.locks import one_by_one
from inkstream.settings import Settings, home

log = logging.getLogger(__name__)

GROUPS = ("spark", "kafka", "cassandra", "report")
THREADS = 12
ATTEMPTS = 3
TIMEOUT_S = 60

Advance = Callable[[], None]


@dataclass(frozen=True)
class Jar:
    """One line of a lock."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def coordinate(self) -> str:
        parts = [self.group, self.artifact, self.version]
        return ":".join([*parts, self.classifier] if self.classifier else parts)

    @property
    def filename(self) -> str:
        return f"{self.artifact}-{self.version}{'-' + self.classifier if self.classifier else ''}.jar"


def lock_file(group: str) -> Path:
    return home() / "conf" / "jars" / f"{group}.lock"


def read_lock(path: Path) -> list[Jar]:
    """The jars that a lock names. Raises SetupError where a line is no `group:artifact:version[:classifier] sha256`."""
    jars = []
    for line in path.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        coordinate, _, sha256 = line.partition(" ")
        parts = coordinate.split(":")
        if len(parts) not in (3, 4) or len(sha256.strip()) != 64:
            raise SetupError(f"{path} has a line that is no `group:artifact:version[:classifier] sha256`: {line!r}")
        jars.append(Jar(parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else "", sha256.strip()))
    return jars


def jars_folder(settings: Settings, group: str) -> Path:
    """Where the group's jars are; behind a link, if there is one, which may be gone when its archive is wanted."""
    return (settings.local.path / "jars").resolve() / group


def missing_jars(settings: Settings, group: str) -> list[Jar]:
    """The locked jars that are not in the group's folder."""
    folder = jars_folder(settings, group)
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return [jar for jar in read_lock(lock_file(group)) if jar.filename not in present]


def damaged_jars(settings: Settings, group: str) -> list[Jar]:
    """The jars in the group's folder whose checksum is not the lock's: every file is read."""
    folder = jars_folder(settings, group)
    present = [jar for jar in read_lock(lock_file(group)) if (folder / jar.filename).is_file()]
    return [jar for jar in present if _sha256(folder / jar.filename) != jar.sha256]


def ensure_jars(settings: Settings, *groups: str) -> None:
    """Fetch what is missing of the groups' jars; instant when nothing is.

    Where another command fetches meanwhile, this one waits: two that fetch the same jar would replace it under a JVM
    that has just begun with it, and an archive of its classes would no longer fit.

    Raises:
        SetupError: a jar cannot be fetched, its checksum is wrong, or the folder cannot be written.
    """
    if not any(missing_jars(settings, group) for group in groups):
        return
    from rich.console import Console
    from rich.progress import Progress

    with one_by_one(settings.local.path / "jars", "fetch.lock"):
        wanted = [(group, jar) for group in groups for jar in missing_jars(settings, group)]
        if not wanted:  # the other command has fetched them
            return
        try:
            for group in groups:
                jars_folder(settings, group).mkdir(parents=True, exist_ok=True)
                _remove_unlocked(settings, group)
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task(
                    f"Fetching jars for {', '.join(dict.fromkeys(g for g, _ in wanted))}", total=len(wanted)
                )
                _fetch_all(settings, wanted, lambda: progress.advance(task))
        except OSError as error:
            raise SetupError(
                f"The jars cannot be stored in {settings.local.path / 'jars'} ({error.strerror or error}); "
                "make the folder writable, or set local.folder in conf/inkstream.toml"
            ) from error


def pyspark_folder() -> Path:
    """Where pyspark is installed, and with it Spark: what SPARK_HOME names."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise SetupError("The package pyspark is not installed; delete .venv and run ./submit.sh again")
    return Path(found.origin).parent


def class_path(settings: Settings, *groups: str) -> str:
    """The class path of the groups' jars, fetched before if need be; those of Spark stand behind pyspark's own.

    For a job it is what spark.driver.extraClassPath and spark.executor.extraClassPath name. Spark adds pyspark's jars
    by itself, but at the end, and an archive of classes serves only a class path that begins with its own.
    """
    ensure_jars(settings, *groups)
    folders = [jars_folder(settings, group) for group in groups]
    if "spark" in groups:
        folders.insert(0, pyspark_folder() / "jars")
    return os.pathsep.join(str(folder / "*") for folder in folders)


def fetch_jar(jar: Jar, folder: Path) -> None:
    """Fetch one jar into a folder, verified, all or nothing.

    Raises:
        SetupError: it cannot be fetched, or its checksum is not the lock's.
    """
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
        path = _download(jar, Path(scratch))
        found = _sha256(path)
        if found != jar.sha256:
            raise SetupError(
                f"The jar {jar.coordinate} was fetched with the checksum {found} instead of the locked {jar.sha256}: "
                "it was not kept; try again, and if it stays so, something on the way alters downloads"
            )
        path.replace(folder / jar.filename)


def _fetch_all(settings: Settings, wanted: Iterable[tuple[str, Jar]], advance: Advance) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(fetch_jar, jar, jars_folder(settings, group)) for group, jar in wanted]
        try:
            for done in as_completed(running):
                done.result()
                advance()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _download(jar: Jar, scratch: Path) -> Path:
    import requests
    from jgo.maven import MavenContext

    artifact = (
        MavenContext(repo_cache=scratch, timeout=TIMEOUT_S)
        .project(jar.group, jar.artifact)
        .at_version(jar.version)
        .artifact(jar.classifier)
    )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return Path(artifact.resolve())
        except (requests.RequestException, RuntimeError) as error:
            log.info("fetching %s, attempt %d: %s", jar.coordinate, attempt, error)
            artifact.cached_path.unlink(missing_ok=True)
            reason = "it is not in the repository" if isinstance(error, RuntimeError) else type(error).__name__
    raise SetupError(
        f"The jar {jar.coordinate} could not be fetched ({reason}); check the network or the proxy and run the same "
        "command again: it carries on with what is missing"
    )


def _remove_unlocked(settings: Settings, group: str) -> None:
    """A jar of an older lock would be on the class path beside the new one, which names the whole folder."""
    locked = {jar.filename for jar in read_lock(lock_file(group))}
    for path in jars_folder(settings, group).glob("*.jar"):
        if path.name not in locked:
            path.unlink()


def _sha256(path: Path) -> str:
    digest: Any = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return str(digest.hexdigest())


if __name__ == "__main__":
    from inkstream.local.jar_locks import main

    main()
