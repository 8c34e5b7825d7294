"""The short form of `./submit.sh soak`: a real stream looked at for a few seconds; and the figures made of looks."""

from __future__ import annotations

import csv
import mmap
import os
from pathlib import Path

import pytest
from tests.conftest import SettingsFactory

from inkstream.chaos.soak import FOLDERS, Look, find_jcmd, growth_of, own_memory, soak, write_looks
from inkstream.cli.chaos import _soaked
from inkstream.errors import SetupError
from inkstream.local.services import RunningServices
from inkstream.settings import MIB
from inkstream.store.schema import apply_schema
from inkstream.store.topics import create_topics


@pytest.mark.services
def test_every_process_of_a_running_stream_is_looked_at(
    services: SettingsFactory, embedded: RunningServices, folder: Path
) -> None:
    settings = services()
    create_topics(settings)
    apply_schema(settings)
    seconds: list[float] = []
    soaked = soak(settings, folder, embedded.all, minutes=0.2, rate=20, tell=seconds.append)
    found = {growth.name: growth for growth in soaked.growths}
    jvms = {"Spark's JVM", "Kafka", "Cassandra"}
    assert set(found) == {*jvms, "Python driver", "Python workers", *FOLDERS}
    for name, growth in found.items():
        assert (growth.first.live_heap is not None) == (name in jvms)
        if name in jvms:
            assert 5 * MIB < growth.last.live_heap < growth.last.size
    assert found["checkpoint"].last.files > 0
    assert found["Python workers"].last.files > 0
    assert soaked.sent > 0
    assert seconds == sorted(seconds)
    assert _soaked(soaked).row_count == len(found)
    write_looks(soaked.looks, folder / "looks.csv")
    rows = list(csv.DictReader((folder / "looks.csv").read_text().splitlines()))
    assert len(rows) == sum(map(len, soaked.looks.values()))
    assert {row["name"] for row in rows if row["live_heap"]} == jvms
    assert all(float(row["at_s"]) >= 0 and int(row["size"]) >= 0 for row in rows)


def test_growth_is_the_slope_that_odd_looks_do_not_move() -> None:
    looks = [Look(60.0 * n, (100 + n) * MIB, 20, (50 + 2 * n) * MIB) for n in range(20)]
    looks[7] = Look(looks[7].at_s, 900 * MIB, 20, None)
    growth = growth_of("a process", looks)
    assert growth.size_per_hour == pytest.approx(60 * MIB)
    assert growth.heap_per_hour == pytest.approx(120 * MIB)
    assert (growth.first.size, growth.last.size) == (101 * MIB, 118 * MIB)
    flat = growth_of("a folder", [Look(float(n), 7, 3) for n in range(3)])
    assert (flat.size_per_hour, flat.heap_per_hour) == (0.0, None)


def test_the_files_that_a_process_maps_are_not_its_own_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(64 * MIB))
    with (tmp_path / "file").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        before = own_memory(os.getpid())
        assert not any(mapped[:: mmap.PAGESIZE])
        assert own_memory(os.getpid()) - before < 16 * MIB
        filled = bytearray(64 * MIB)
        filled[:: mmap.PAGESIZE] = b"x" * len(range(0, len(filled), mmap.PAGESIZE))
        assert own_memory(os.getpid()) - before > 48 * MIB
    assert own_memory(2**22 + 1) == 0  # above the largest number of a process


def test_a_java_without_jcmd_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inkstream.chaos.soak.java_home", lambda: folder)
    with pytest.raises(SetupError, match="jcmd is missing"):
        find_jcmd()
