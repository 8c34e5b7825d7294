"""Days that changed in Cassandra in; the same days of the warehouse, built anew, out.

Each run replaces whole days in one atomic commit of fact_prediction, so nothing is counted twice however often it runs,
late rows and corrections are in, and what was deleted is gone. A day is written down as loaded after its facts: a run
that is cut short between the two builds it again, to the same effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from time import time
from typing import Any

import pandas as pd
from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from inkstream.errors import ServiceError
from inkstream.report.counting import COUNTING, COUNTS, EXAMPLES, choose_examples, count_facts
from inkstream.report.facts import facts_of, few_members, keys_of, read_corrections, read_days
from inkstream.report.warehouse import CATALOG, NAMESPACE
from inkstream.settings import Settings
from inkstream.store.forgotten import without_forgotten
from inkstream.store.tables import read_table

FACTS, LOADED = "fact_prediction", "loaded_days"
REPLACED = (COUNTS, EXAMPLES, FACTS)  # a day at a time
MILLISECONDS_A_DAY = 24 * 3600 * 1000
# What Iceberg says where another run committed first.
CONFLICTS = ("ValidationException", "CommitFailedException", "CommitStateUnknownException")


@dataclass(frozen=True)
class Loaded:
    """What a run did: the UTC days that were built, facts and pictures in them."""

    days: list[date] = field(default_factory=list)
    facts: int = 0
    pictures: int = 0


def load_days(
    spark: SparkSession,
    settings: Settings,
    current_version: str,
    *,
    rebuild: Iterable[date] = (),
    everything: bool = False,
) -> Loaded:
    """Bring the warehouse up to date: the days that changed since they were loaded, and those to rebuild.

    Also built again: days of another time zone, and days with several versions' answers where the current version is
    another one by now.

    Raises:
        ServiceError: Cassandra does not answer, or another run changed the warehouse meanwhile.
    """
    changed = read_table(spark, settings, "changed_days")
    time_zone = settings.report.time_zone
    wanted = _days_to_build(spark, changed, current_version, time_zone, None if everything else list(rebuild))
    days = sorted(wanted)
    if not days:
        return Loaded()
    keyspace = settings.cassandra.keyspace
    rows = without_forgotten(read_days(spark, keyspace, days), settings)
    return build_days(spark, rows, read_corrections(spark, keyspace), wanted, current_version, time_zone)


def build_days(
    spark: SparkSession,
    rows: DataFrame,
    corrections: DataFrame,
    days: dict[date, datetime | None],
    current_version: str,
    time_zone: str,
) -> Loaded:
    """Put the facts of rows (as in predictions_by_day) into the warehouse in the place of those days.

    days: each with the time of its last change, None where nobody wrote one down.
    """
    snapshots = {table: _snapshot_id(spark, table) for table in REPLACED}
    facts = facts_of(rows, corrections, current_version, time_zone).persist(StorageLevel.DISK_ONLY)
    keys, counts = keys_of(facts).persist(), count_facts(facts).persist()
    try:
        _merge_few(spark, few_members(keys), current_version)
        _merge(spark, "dim_source", keys.select("source_key", "source").distinct())
        # The facts last: whoever reads them meanwhile finds every key in its dimension.
        for table, frame in ((COUNTS, counts), (EXAMPLES, choose_examples(facts)), (FACTS, facts)):
            _replace(spark, table, frame, F.col("day").isin(sorted(days)), snapshots[table])
        answers, pictures, versions = _totals(counts)
        now = datetime.now(timezone.utc)
        state = [
            (
                day,
                changed and changed.astimezone(timezone.utc),
                now,
                time_zone,
                current_version,
                versions.get(day, 0),
                COUNTING,
            )
            for day, changed in days.items()
        ]
        _merge(spark, LOADED, _frame(spark, state, spark.table(LOADED).schema))
    except Py4JJavaError as error:
        raise _explained(error) from error
    finally:
        for held in (keys, counts, facts):
            held.unpersist()
    return Loaded(sorted(days), answers, pictures)


def expire_snapshots(spark: SparkSession, keep_days: int) -> None:
    """Let go of what time travel no longer needs: what was forgotten is gone from the files as well."""
    until = int(time() * 1000) - keep_days * MILLISECONDS_A_DAY
    catalog = spark._jvm.org.apache.iceberg.spark.Spark3Util
    for table in (*REPLACED, LOADED):
        loaded = catalog.loadIcebergTable(spark._jsparkSession, f"{CATALOG}.{NAMESPACE}.{table}")
        loaded.expireSnapshots().expireOlderThan(until).retainLast(1).commit()


def _days_to_build(
    spark: SparkSession, changed: DataFrame, current_version: str, time_zone: str, rebuild: list[date] | None
) -> dict[date, datetime | None]:
    """Each day to build, with the time of its last change as it is now; what comes later changes it again.

    rebuild: days to build whatever is known of them; None: all that either side knows.
    """
    loaded = spark.table(LOADED).withColumnRenamed("changed_at", "seen_at")
    both = changed.join(loaded, "day", "full_outer")
    if rebuild is None:
        return {row.day: row.changed_at for row in both.select("day", "changed_at").collect()}
    stale = (
        ~F.col("changed_at").eqNullSafe(F.col("seen_at"))
        | (F.col("time_zone") != time_zone)
        | (F.col("counting") != COUNTING)
        | ((F.col("current_version") != current_version) & (F.col("versions") > 1))
    )
    found = both.where(stale | F.col("day").isin(rebuild)).select("day", "changed_at").collect()
    return dict.fromkeys(rebuild) | {row.day: row.changed_at for row in found}


def _replace(spark: SparkSession, table: str, rows: DataFrame, gone: Column, snapshot: int | None) -> None:
    """Put rows in the place of those that are gone, in one commit; it fails where another run committed meanwhile."""
    writer = rows.select(*spark.table(table).columns).writeTo(table).option("isolation-level", "serializable")
    if snapshot is not None:
        writer = writer.option("validate-from-snapshot-id", str(snapshot))
    writer.overwrite(gone)


def _totals(counts: DataFrame) -> tuple[int, int, dict[date, int]]:
    """How many answers, how many pictures, and each day's number of versions."""
    rows = counts.where(F.col("figure").isin("models", "outcomes"))
    sums = rows.groupBy("day", "figure").agg(F.sum("pictures").alias("n"), F.countDistinct("one").alias("different"))
    models, outcomes = ([row for row in sums.collect() if row.figure == name] for name in ("models", "outcomes"))
    return sum(row.n for row in models), sum(row.n for row in outcomes), {row.day: row.different for row in models}


def _merge(spark: SparkSession, table: str, rows: DataFrame) -> None:
    """Insert the rows whose key (the first column) is new; those that are there take the new values.

    Where nothing is new the table is left alone; else it is written anew: a MERGE reads and plans it twice, which took
    as long as a day's facts.
    """
    snapshot = _snapshot_id(spark, table)
    there = spark.table(table)
    key, *others = there.columns
    same = F.expr(" AND ".join(f"t.{name} <=> n.{name}" for name in there.columns))
    new = rows.select(key, *others).alias("n").join(there.alias("t"), same, "left_anti").persist()
    try:
        if not new.isEmpty():
            kept = there.join(new.select(key), key, "left_anti")
            _replace(spark, table, kept.unionByName(new), F.lit(True), snapshot)
    finally:
        new.unpersist()


def _merge_few(spark: SparkSession, members: DataFrame, current_version: str) -> None:
    """The same for all dimensions that stay small, compared here: a day that brings nothing new plans not one join."""
    for table, found in members.first().asDict().items():
        snapshot = _snapshot_id(spark, table)
        there = spark.table(table)
        before = {row[0]: tuple(row) for row in there.collect()}
        after = before | {row[0]: tuple(row[name] for name in there.columns) for row in found}
        if table == "dim_model":
            after = {key: (key, version, version == current_version) for key, version, _ in after.values()}
        if after != before:
            _replace(spark, table, _frame(spark, after.values(), there.schema), F.lit(True), snapshot)


def _frame(spark: SparkSession, rows: Iterable[tuple[Any, ...]], schema: StructType) -> DataFrame:
    """Rows made here, times with their zone, as a DataFrame: over Arrow, which starts no Python worker (seconds)."""
    return spark.createDataFrame(pd.DataFrame(list(rows), columns=schema.names, dtype=object), schema)


def _snapshot_id(spark: SparkSession, table: str) -> int | None:
    catalog = spark._jvm.org.apache.iceberg.spark.Spark3Util
    snapshot = catalog.loadIcebergTable(spark._jsparkSession, f"{CATALOG}.{NAMESPACE}.{table}").currentSnapshot()
    return None if snapshot is None else int(snapshot.snapshotId())


def _explained(error: Exception) -> Exception:
    if any(name in str(error) for name in CONFLICTS):
        return ServiceError("Another report changed the warehouse at the same time; run it again")
    return error
