"""What a run's topics and tables take on the disk."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from benchmarks.figures import Incomplete
from benchmarks.place import Place
from inkstream.records import TABLES
from inkstream.store.session import open_session

FLUSH_MS = 1_000
QUIET_S = 4.0  # so long without a change: the flush, and a compaction after it, is over
GIVE_UP_S = 180


def kafka_bytes(place: Place) -> int:
    """Bytes of the place's topics: their messages alone, as the indexes are files of a fixed size with holes."""
    folders = (place.folder / "data").glob(f"kafka*/**/{place.settings.kafka.topic_prefix}*")
    return sum(size_of(folder, "*.log") for folder in folders)


def cassandra_bytes(place: Place) -> int:
    """Bytes of the place's tables, all of them written out. Raises Incomplete where the files never come to rest."""
    keyspace = place.settings.cassandra.keyspace
    folders = list((place.folder / "data").glob(f"cassandra*/data/{keyspace}"))
    with open_session(place.settings.cassandra) as session:
        # CQL has no flush, and the node no port for nodetool: but a table may be told how long rows stay in memory.
        for table in TABLES:
            session.execute(f"ALTER TABLE {table} WITH memtable_flush_period_in_ms = {FLUSH_MS}")
    time.sleep(2 * FLUSH_MS / 1000)
    until, seen, since = time.monotonic() + GIVE_UP_S, -1, time.monotonic()
    while time.monotonic() < until:
        size = sum(size_of(folder, "*") for folder in folders)
        if size != seen:
            seen, since = size, time.monotonic()
        if seen and time.monotonic() - since > QUIET_S:
            return seen
        time.sleep(0.2)
    raise Incomplete(f"the files of keyspace {keyspace} did not come to rest within {GIVE_UP_S} s")


def size_of(folder: Path, pattern: str) -> int:
    """Bytes of the files of that name below the folder; what goes away meanwhile is left out."""
    total = 0
    for path in folder.rglob(pattern):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
