"""doctor: jars, the model bundle, the stream's checkpoint, files with secrets."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

from inkstream.errors import BundleError
from inkstream.local.doctor import FINE, WARNING, WRONG, Check, Finding
from inkstream.local.jars import damaged_jars, jars_folder, lock_file, missing_jars
from inkstream.model.bundle import check_golden, load_bundle, shipped_bundle
from inkstream.model.engine import open_engine
from inkstream.settings import Settings, home

OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
_LOG_VERSION = "v1"


def check_jars(settings: Settings) -> Iterator[Finding]:
    """Every jar there, with the lock's checksum."""
    for group in sorted(path.stem for path in lock_file("spark").parent.glob("*.lock")):
        folder = jars_folder(settings, group)
        damaged = [jar.filename for jar in damaged_jars(settings, group)]
        missing = missing_jars(settings, group)
        if damaged:
            advice = f"remove {folder}; the next command that needs them fetches them again"
            yield Finding("jars", WRONG, f"{group}: the checksum of {', '.join(damaged)} is not the lock's", advice)
        elif missing:
            said = f"{group}: {len(missing)} jars are not fetched yet"
            yield Finding("jars", WARNING, said, "nothing to do: the first command that needs them fetches them")
        else:
            yield Finding("jars", FINE, f"{group}: all there, with the lock's checksums")


def check_bundle(settings: Settings) -> Iterator[Finding]:
    """The model whole, and answering its golden set as when it was trained."""
    place = settings.model.bundle or str(shipped_bundle())
    try:
        bundle = load_bundle(place)
        compared = check_golden(bundle, open_engine(bundle))
    except BundleError as error:
        yield Finding("model", WRONG, str(error), "set model.bundle to a whole one, or leave it empty")
        return
    yield Finding("model", FINE, f"{bundle.version[:12]} is whole and passes its {compared} golden pictures")


def check_checkpoint(settings: Settings) -> Iterator[Finding]:
    """The stream's two logs without a gap or a broken file: with one, Spark restarts without end (SPARK-38033)."""
    place = settings.stream.checkpoint or str(settings.local.path / "checkpoints" / "predict_stream")
    if "://" in place and not place.startswith("file:"):
        yield Finding("checkpoint", FINE, f"{place} is not on this machine; it was not looked at")
        return
    folder = Path(place.removeprefix("file://").removeprefix("file:"))
    offsets, commits = (_batches(folder / name) for name in ("offsets", "commits"))
    if not offsets:
        yield Finding("checkpoint", FINE, f"{folder} is new")
        return
    faults = [
        f"{name} lacks batch {gap}" for name, log in (("offsets", offsets), ("commits", commits)) for gap in _gaps(log)
    ]
    if commits and commits[-1] > offsets[-1]:
        faults.append(f"batch {commits[-1]} is committed, the last one begun is {offsets[-1]}")
    if commits and offsets[-1] > commits[-1] + 1:
        faults.append(f"batches from {commits[-1] + 1} to {offsets[-1]} were begun, and only one can be")
    faults += [f"{file} is broken: {why}" for file in _entries(folder) if (why := _broken(file))]
    if faults:
        advice = (
            "stop the stream, move the folder away and start it with a new --checkpoint: it reads the topic again, "
            "which changes nothing that is stored"
        )
        yield Finding("checkpoint", WRONG, f"{folder}: {'; '.join(faults)}", advice)
    else:
        yield Finding("checkpoint", FINE, f"{folder}: batches {offsets[0]}-{offsets[-1]}, without a gap")


def _batches(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit()) if folder.is_dir() else []


def _gaps(log: list[int]) -> list[int]:
    return sorted(set(range(log[0], log[-1] + 1)) - set(log)) if log else []


def _entries(folder: Path) -> list[Path]:
    metadata = [folder / "metadata"] if (folder / "metadata").exists() else []
    return metadata + [folder / name / str(n) for name in ("offsets", "commits") for n in _batches(folder / name)]


def _broken(file: Path) -> str:
    """Why Spark could not read the entry; blank where it can."""
    try:
        lines = file.read_text().splitlines()
        if file.name != "metadata":
            if not lines or lines[0] != _LOG_VERSION:
                return f"it does not begin with {_LOG_VERSION}"
            lines = lines[1:]
            if not lines:
                return "it is cut short"
        for line in lines:
            if line != "-":  # a source that has no place yet
                json.loads(line)
        return ""
    except (OSError, ValueError) as error:
        return str(error)


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Files that hold passwords or private keys are for their owner alone; certificates that are named exist."""
    named = {"kafka.ca_file": settings.kafka.ca_file, "cassandra.ca_file": settings.cassandra.ca_file}
    for setting, value in named.items():
        if value and not Path(value).is_file():
            yield Finding("secrets", WRONG, f"{setting} names {value}, which is no file", "correct the path")
    open_to_others = [path for path in _secret_files(settings) if path.stat().st_mode & OTHERS]
    for path in open_to_others:
        yield Finding("secrets", WRONG, f"{path} can be read by other users", f"chmod 600 {path}")
    if not open_to_others and all(not value or Path(value).is_file() for value in named.values()):
        yield Finding("secrets", FINE, "no file with secrets is open to other users")


def _secret_files(settings: Settings) -> list[Path]:
    places = [home(), home() / "conf", home() / "docker", settings.local.path / "secrets"]
    names = (".env", "*.env", "*.key", "*.jks", "*.p12", "*.keytab", "*.password")
    found = {path for place in places for name in names for path in place.glob(name) if path.is_file()}
    held = settings.local.path / "secrets"
    return sorted(found | {path for path in held.glob("*") if path.is_file() and path.suffix not in (".crt", ".srl")})


CHECKS: dict[str, Check] = {
    "jars": check_jars,
    "model": check_bundle,
    "checkpoint": check_checkpoint,
    "secrets": check_secrets,
}
