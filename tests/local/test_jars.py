"""Jars: what the lock says and nothing else, whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from inkstream.errors import SetupError
from inkstream.local import jars
from inkstream.local.jars import GROUPS, Jar, damaged_jars, ensure_jars, fetch_jar, lock_file, missing_jars, read_lock
from inkstream.settings import Settings, load_settings

SMALL = "javax.inject:javax.inject:1"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Jar]:
    """Settings with a folder of their own, whose only locked jar is the smallest of Cassandra's (2.5 KB)."""
    line = next(text for text in lock_file("cassandra").read_text().splitlines() if text.startswith(SMALL))
    root = tmp_path / "project"
    (root / "conf" / "jars").mkdir(parents=True)
    (root / "conf" / "jars" / "cassandra.lock").write_text(f"# a comment\n\n{line}\n")
    settings = load_settings()
    monkeypatch.setattr(jars, "home", lambda: root)
    local = settings.local.model_copy(update={"folder": str(root / "var")})
    return settings.model_copy(update={"local": local}), read_lock(lock_file("cassandra"))[0]


@pytest.mark.parametrize("group", GROUPS)
def test_every_line_of_a_lock_is_a_coordinate_and_a_checksum(group: str) -> None:
    locked = read_lock(lock_file(group))
    assert len(locked) > 1
    assert len({jar.filename for jar in locked}) == len(locked)
    assert all(int(jar.sha256, 16) for jar in locked)


def test_the_spark_side_repeats_nothing_that_pyspark_brings() -> None:
    import pyspark

    present = {path.name for path in (Path(pyspark.__file__).parent / "jars").iterdir()}
    artifacts = {name.rpartition("-")[0] for name in present}
    assert [jar.artifact for jar in read_lock(lock_file("spark")) if jar.artifact in artifacts] == []


def test_a_line_that_is_no_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text("group:artifact:1 not-a-checksum\n")
    with pytest.raises(SetupError, match=r"x\.lock has a line .*'group:artifact:1 not-a-checksum'"):
        read_lock(tmp_path / "x.lock")


def test_a_missing_jar_is_fetched_verified_and_nothing_else_stays(small: tuple[Settings, Jar]) -> None:
    settings, jar = small
    folder = jars.jars_folder(settings, "cassandra")
    folder.mkdir(parents=True)
    (folder / "of-an-older-lock-1.0.jar").touch()
    ensure_jars(settings, "cassandra")
    assert [path.name for path in folder.iterdir()] == [jar.filename]
    assert hashlib.sha256((folder / jar.filename).read_bytes()).hexdigest() == jar.sha256
    assert missing_jars(settings, "cassandra") == []


def test_a_jar_with_another_checksum_is_refused_and_not_kept(small: tuple[Settings, Jar], tmp_path: Path) -> None:
    _, jar = small
    folder = tmp_path / "jars"
    folder.mkdir()
    wrong = Jar(jar.group, jar.artifact, jar.version, jar.classifier, "0" * 64)
    with pytest.raises(SetupError, match=rf"{SMALL} was fetched with the checksum {jar.sha256} instead of .*0000"):
        fetch_jar(wrong, folder)
    assert list(folder.iterdir()) == []


def test_a_fetch_carries_on_with_what_is_missing(small: tuple[Settings, Jar], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, jar = small
    folder = jars.jars_folder(settings, "cassandra")
    folder.mkdir(parents=True)
    (folder / ".fetch-cut-short").mkdir()
    assert missing_jars(settings, "cassandra") == [jar]
    ensure_jars(settings, "cassandra")
    inode = (folder / jar.filename).stat().st_ino
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    ensure_jars(settings, "cassandra")
    assert (folder / jar.filename).stat().st_ino == inode


def test_of_two_that_need_a_jar_one_fetches_it(small: tuple[Settings, Jar], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, jar = small
    fetched: list[Jar] = []
    both_look = threading.Barrier(2)

    def slowly(wanted: Jar, folder: Path) -> None:
        fetched.append(wanted)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_look.wait(timeout=1)  # the second comes here only where nothing holds it up
        (folder / wanted.filename).touch()

    monkeypatch.setattr(jars, "fetch_jar", slowly)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: ensure_jars(settings, "cassandra"), range(2)))
    assert fetched == [jar]


def test_without_a_network_the_jar_is_named(small: tuple[Settings, Jar], monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = small
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(SetupError, match=rf"{SMALL} could not be fetched .*check the network"):
        ensure_jars(settings, "cassandra")


def test_a_jar_that_was_altered_later_is_found(small: tuple[Settings, Jar]) -> None:
    settings, jar = small
    folder = jars.jars_folder(settings, "cassandra")
    folder.mkdir(parents=True)
    (folder / jar.filename).write_bytes(b"not a jar")
    assert damaged_jars(settings, "cassandra") == [jar]
