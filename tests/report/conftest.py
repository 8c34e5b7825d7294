"""A warehouse of one test: tables in Cassandra, and an Iceberg catalog in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cassandra.cluster import Session
from pyspark.sql import DataFrame, SparkSession
from tests.stream.conftest import await_keyspace

from inkstream.report.generator import VERSION, store_rows
from inkstream.report.loading import Loaded, load_days
from inkstream.report.warehouse import open_warehouse
from inkstream.settings import Settings
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


@pytest.fixture
def warehouse(spark: SparkSession, settings: Settings, tmp_path: Path) -> Iterator[Warehouse]:
    apply_schema(settings)
    mine = own_settings(settings, tmp_path)
    own = spark.newSession()
    for key, value in cassandra_conf(settings).items():
        own.conf.set(key, value)
        spark.conf.set(key, value)  # the connector asks the thread's active session
    await_keyspace(own, settings.cassandra.keyspace)
    open_warehouse(own, mine)
    with open_session(settings.cassandra) as session:
        yield Warehouse(own, mine, session)
