"""conf/schema.cql in, tables out; each numbered migration is applied once. Rows expire as the settings say."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from cassandra import InvalidRequest
from cassandra.cluster import Session

from inkstream.errors import SchemaError, SettingError
from inkstream.records import TABLES
from inkstream.settings import Settings, home
from inkstream.store.session import await_on_disk, open_session

log = logging.getLogger(__name__)

_MIGRATION = re.compile(r"^-- migration (\d+):.*$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
# What goes after cassandra.keep_days. Corrections and the marks of forgotten ids stay.
EXPIRING = ("images", "image_parts", "predictions", "predictions_by_day")
SECONDS_A_DAY = 24 * 3600
USUAL_COMPACTION = "'SizeTieredCompactionStrategy', 'min_threshold': 8"  # as in conf/schema.cql
WINDOWED_COMPACTION = "'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS'"
WINDOWS = 30  # of the time-window compaction, as its documentation advises: 20 to 30 over what is kept
_STATEMENT_END = re.compile(r";\s*$", re.MULTILINE)


def schema_file() -> Path:
    return home() / "conf" / "schema.cql"


def read_migrations(text: str) -> list[tuple[int, list[str]]]:
    """The schema's text as (number, statements) in ascending order.

    Raises:
        SettingError: the numbers are not 1, 2, 3, ...
    """
    parts = _MIGRATION.split(text)
    numbers = [int(number) for number in parts[1::2]]
    if numbers != list(range(1, len(numbers) + 1)):
        raise SettingError(f"The migrations in {schema_file()} are numbered {numbers}; they must run 1, 2, 3, ...")
    return [
        (number, [part.strip() for part in _STATEMENT_END.split(_COMMENT.sub("", body)) if part.strip()])
        for number, body in zip(numbers, parts[2::2], strict=True)
    ]


def apply_schema(settings: Settings) -> int:
    """Create the keyspace and run the migrations that it has not had; returns how many ran.

    Raises:
        ServiceError: Cassandra cannot be reached.
        SchemaError: the tables that result are not those of records.py.
    """
    cassandra = settings.cassandra
    migrations = read_migrations(schema_file().read_text())
    with open_session(cassandra, keyspace=False) as session:
        if cassandra.keyspace not in session.cluster.metadata.keyspaces:
            session.execute(
                f"CREATE KEYSPACE IF NOT EXISTS {cassandra.keyspace} WITH replication = "
                f"{{'class': 'NetworkTopologyStrategy', '{cassandra.datacenter}': {cassandra.replication_factor}}}"
            )
        session.set_keyspace(cassandra.keyspace)
        had = _applied(session)
        ran = [number for number, statements in migrations if number not in had and _run(session, number, statements)]
        if ran:
            log.info("schema %s: migrations %s applied", cassandra.keyspace, ran)
        check_tables(session, cassandra.keyspace)
        _set_expiry(session, cassandra.keyspace, cassandra.keep_days)
        if ran:
            await_on_disk(session)
    return len(ran)


def expiry_days(session: Session, keyspace: str) -> dict[str, float]:
    """The days after which rows of each expiring table go, 0: never; from the metadata."""
    tables = session.cluster.metadata.keyspaces[keyspace].tables
    return {name: tables[name].options["default_time_to_live"] / SECONDS_A_DAY for name in EXPIRING if name in tables}


def _set_expiry(session: Session, keyspace: str, keep_days: int) -> None:
    """Rows that are written from now on go after so many days; those that are there keep the time they were given."""
    for table, days in expiry_days(session, keyspace).items():
        if days == keep_days:
            continue
        changes = [f"default_time_to_live = {keep_days * SECONDS_A_DAY}"]
        if table == "predictions_by_day":  # in the order of time: a whole file expires at once
            size = max(1, keep_days // WINDOWS)
            windows = f"{WINDOWED_COMPACTION}, 'compaction_window_size': {size}"
            changes.append(f"compaction = {{'class': {windows if keep_days else USUAL_COMPACTION}}}")
        session.execute(f"ALTER TABLE {table} WITH {' AND '.join(changes)}")
        log.info("%s.%s: rows go after %s", keyspace, table, f"{keep_days} days" if keep_days else "no time")


def _applied(session: Session) -> set[int]:
    statement = "SELECT number FROM schema_migrations"
    try:
        return {row.number for row in session.execute(statement)}
    except InvalidRequest:  # the very first time
        session.execute("CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, applied_at timestamp)")
        return {row.number for row in session.execute(statement)}


def _run(session: Session, number: int, statements: list[str]) -> bool:
    for statement in statements:
        session.execute(statement)
    session.execute("INSERT INTO schema_migrations (number, applied_at) VALUES (%s, toTimestamp(now()))", [number])
    return True


def check_tables(session: Session, keyspace: str) -> None:
    """Raises SchemaError where a table lacks a column that records.py declares, or has it with another type."""
    session.cluster.refresh_keyspace_metadata(keyspace)
    tables = session.cluster.metadata.keyspaces[keyspace].tables
    for name, columns in TABLES.items():
        if name not in tables:
            raise SchemaError(f"Table {keyspace}.{name} does not exist; `./submit.sh up` creates it")
        stored = {column: meta.cql_type for column, meta in tables[name].columns.items()}
        for column, cql_type in columns.items():
            if stored.get(column) != cql_type:
                raise SchemaError(
                    f"Column {keyspace}.{name}.{column} is {stored.get(column, 'missing')}, expected {cql_type}; "
                    "was the table made by another version? Drop it or migrate it in conf/schema.cql"
                )
