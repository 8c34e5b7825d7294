"""A warehouse of one test: tables in Cassandra, and an Iceberg catalog in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cassandra.cluster import Session
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.stream.conftest import await_keyspace

from inkstream.report.generator import VERSION, generate_rows, store_rows
from inkstream.report.loading import Loaded, build_days, load_days
from inkstream.report.warehouse import open_warehouse
from inkstream.settings import Settings, load_settings
from inkstream.spark import cassandra_conf
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session

COLUMNS = "image_id, model_version, label, outcome, truth, truth_by, is_right, is_preferred, date, hour, source"


@dataclass
class Warehouse:
    """Cassandra and a warehouse behind a few verbs."""

    spark: SparkSession
    settings: Settings
    session: Session

    def store(self, rows: DataFrame) -> None:
        """Rows as in predictions_by_day into Cassandra, their days marked."""
        store_rows(rows, self.settings)

    def load(self, version: str = VERSION, **options: Any) -> Loaded:
        return load_days(self.spark, self.settings, version, **options)

    def frame(self, query: str) -> pd.DataFrame:
        return self.spark.sql(query).toPandas()

    def predictions(self) -> pd.DataFrame:
        return self.frame(f"SELECT {COLUMNS} FROM predictions ORDER BY image_id, model_version")


def own_settings(settings: Settings, folder: Path, **report: Any) -> Settings:
    """The settings with their local folder in the test's own."""
    return settings.model_copy(
        update={
            "local": settings.local.model_copy(update={"folder": str(folder)}),
            "report": settings.report.model_copy(update=report),
        }
    )


def interpreting(spark: SparkSession) -> SparkSession:
    """A session that compiles no plan and plans once: of a few hundred rows that takes longer than the running."""
    session = spark.newSession()
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    session.conf.set("spark.sql.adaptive.enabled", "false")
    return session


@contextmanager
def opened_warehouse(spark: SparkSession, settings: Settings, folder: Path) -> Iterator[Warehouse]:
    """Tables and catalog that nobody else has."""
    apply_schema(settings)
    mine = own_settings(settings, folder)
    own = interpreting(spark)
    for key, value in cassandra_conf(settings).items():
        own.conf.set(key, value)
        spark.conf.set(key, value)  # the connector asks the thread's active session
    await_keyspace(own, settings.cassandra.keyspace)
    open_warehouse(own, mine)
    with open_session(settings.cassandra) as session:
        yield Warehouse(own, mine, session)


@pytest.fixture
def warehouse(spark: SparkSession, settings: Settings, tmp_path: Path) -> Iterator[Warehouse]:
    with opened_warehouse(spark, settings, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def generated(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[SparkSession, pd.DataFrame]:
    """A warehouse of 3,000 pictures, two models and some corrections; and its rows as pandas sees them."""
    session = open_warehouse(interpreting(spark), own_settings(load_settings(), tmp_path_factory.mktemp("warehouse")))
    today = datetime.now(timezone.utc).date()
    first = generate_rows(session, 3_000, today - timedelta(days=2), days=3)
    rows = first.union(generate_rows(session, 1_000, today - timedelta(days=2), days=3, version="second"))
    wrong = first.where("label IS NOT NULL AND crc32(image_id) % 10 = 0")
    corrections = wrong.select("image_id", F.expr("string((int(label) + 1) % 10)").alias("corrected"))
    days = {row.day: None for row in rows.select("day").distinct().collect()}
    build_days(session, rows, corrections, days, VERSION, "UTC")
    plain = rows.withColumn("hour", F.hour("uploaded_at")).drop("uploaded_at", "predicted_at").toPandas()
    plain = plain.merge(corrections.toPandas(), "left", "image_id")
    plain["truth"] = plain.corrected.fillna(plain.claimed_label)
    plain["right"] = plain.label == plain.truth
    return session, plain
