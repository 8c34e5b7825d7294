from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.report.conftest import Warehouse, opened_warehouse, own_settings

from inkstream.report.facts import read_days
from inkstream.report.figures import Figures, read_figures
from inkstream.report.generator import VERSION, generate_rows, mark_days
from inkstream.report.loading import load_days
from inkstream.report.warehouse import TABLES
from inkstream.settings import Settings
from inkstream.store.forgotten import forget, without_forgotten

pytestmark = pytest.mark.services

FIRST = date(2026, 1, 30)


def count(warehouse: Warehouse, table: str = "answers") -> int:
    return int(warehouse.frame(f"SELECT count(*) AS n FROM {table}").n[0])


def tables(warehouse: Warehouse) -> dict[str, list[str]]:
    """Every row of every table, but for when a day was loaded."""
    names = [name for name in TABLES if name != "loaded_days"]
    return {name: sorted(map(str, warehouse.spark.table(name).collect())) for name in names}


def test_every_answer_is_a_fact_and_a_second_run_has_nothing_to_do(warehouse: Warehouse) -> None:
    rows = generate_rows(warehouse.spark, 300, FIRST, days=3)
    warehouse.store(rows)
    loaded = warehouse.load()
    assert [day.isoformat() for day in loaded.days] == ["2026-01-30", "2026-01-31", "2026-02-01"]
    assert (loaded.facts, loaded.pictures, count(warehouse)) == (300, 300, 300)

    stored = rows.withColumn("hour", F.hour("uploaded_at")).drop("uploaded_at", "predicted_at").toPandas()
    stored = stored.sort_values("image_id").reset_index(drop=True)
    found = warehouse.predictions()
    for column in ("image_id", "label", "outcome", "source"):
        assert found[column].tolist() == stored[column].tolist()
    assert found.truth.tolist() == stored.claimed_label.tolist()
    assert found.hour.tolist() == stored.hour.tolist()
    assert set(found.truth_by.dropna()) == {"claim"}

    assert warehouse.load().days == []
    before = tables(warehouse)
    again = warehouse.load(everything=True)
    assert again.facts == 300
    after = tables(warehouse)
    assert before.keys() == after.keys()
    for name, rows_before in before.items():
        assert rows_before == after[name], name


def test_only_the_day_that_changed_is_built_and_late_rows_are_merged(warehouse: Warehouse) -> None:
    warehouse.store(generate_rows(warehouse.spark, 200, FIRST, days=2))
    warehouse.load()
    warehouse.store(generate_rows(warehouse.spark, 5, FIRST, seed=2))
    loaded = warehouse.load()
    assert [day.isoformat() for day in loaded.days] == ["2026-01-30"]
    assert count(warehouse) == read_figures(warehouse.spark).pictures == 205
    files = warehouse.frame("SELECT DISTINCT partition.day AS day FROM warehouse.inkstream.fact_prediction.files")
    assert len(files) == 2


def test_of_the_stored_answers_only_the_partitions_of_the_days_are_read(warehouse: Warehouse) -> None:
    rows = without_forgotten(
        read_days(warehouse.spark, warehouse.settings.cassandra.keyspace, [FIRST]), warehouse.settings
    )
    plan = rows._jdf.queryExecution().executedPlan().toString()
    assert "Cassandra Direct Join" in plan
    assert "Scan predictions_by_day" not in plan


def test_a_second_model_adds_answers_and_no_pictures(warehouse: Warehouse) -> None:
    warehouse.store(generate_rows(warehouse.spark, 100, FIRST))
    warehouse.load()
    warehouse.store(generate_rows(warehouse.spark, 100, FIRST, version="better"))
    warehouse.load()
    assert count(warehouse, "predictions") == 200
    assert count(warehouse) == 100
    assert set(warehouse.frame("SELECT model_version FROM answers").model_version) == {VERSION}
    figures = read_figures(warehouse.spark)
    assert figures.pictures == 100
    assert dict(zip(figures["models"].model_version, figures["models"].answers, strict=True)) == {
        VERSION: 100,
        "better": 100,
    }

    loaded = warehouse.load("better")  # promoted: the days with several versions are built again
    assert len(loaded.days) == 1
    assert set(warehouse.frame("SELECT model_version FROM answers").model_version) == {"better"}
    assert warehouse.frame("SELECT model_version FROM dim_model WHERE is_current").model_version.tolist() == ["better"]
    assert warehouse.load("better").days == []


@dataclass
class Changes:
    """A day that was loaded; then one of its pictures corrected, and loaded; then two others gone, and loaded."""

    warehouse: Warehouse
    picture: Any
    wrong: str
    loaded: pd.DataFrame
    corrected: pd.DataFrame
    figures: Figures
    gone: set[str]


@pytest.fixture(scope="module")
def changes(
    spark: SparkSession, services: Callable[[], Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Changes]:
    with opened_warehouse(spark, services(), tmp_path_factory.mktemp("changes")) as warehouse:
        warehouse.store(generate_rows(warehouse.spark, 60, FIRST))
        warehouse.load()
        loaded = warehouse.predictions()
        query = "SELECT day, bucket, uploaded_at, image_id FROM predictions_by_day LIMIT 2"
        deleted, forgotten = warehouse.session.execute(query).all()
        gone = {deleted.image_id, forgotten.image_id}
        picture = loaded[(loaded.outcome == "recognised") & ~loaded.image_id.isin(gone)].iloc[0]
        wrong = str((int(picture.label) + 1) % 10)
        statement = 'INSERT INTO corrections (image_id, corrected_at, label, "by") VALUES (%s, %s, %s, %s)'
        for at, label in ((datetime(2026, 2, 1), picture.label), (datetime(2026, 2, 2), wrong)):
            warehouse.session.execute(statement, (picture.image_id, at, label, "somebody"))
        mark_days(warehouse.spark.createDataFrame([(FIRST,)], "day date"), warehouse.settings.cassandra.keyspace)
        warehouse.load()
        corrected, figures = warehouse.predictions(), read_figures(warehouse.spark)

        where = "day = %s AND bucket = %s AND uploaded_at = %s AND image_id = %s"
        warehouse.session.execute(f"DELETE FROM predictions_by_day WHERE {where}", deleted)
        forget(warehouse.session, [forgotten.image_id], "by id", datetime(2026, 2, 1))
        # Without its row in images nobody knew where its others are: one is left, and the mark is enough.
        stored = {row.image_id for row in warehouse.session.execute("SELECT image_id FROM predictions_by_day")}
        assert forgotten.image_id in stored
        warehouse.load(rebuild=[FIRST])
        yield Changes(warehouse, picture, wrong, loaded, corrected, figures, gone)


def test_a_correction_becomes_the_truth(changes: Changes) -> None:
    before, after, picture = changes.loaded, changes.corrected, changes.picture
    assert len(after) == 60
    row = after[after.image_id == picture.image_id].iloc[0]
    assert (row.truth, row.truth_by, row.is_right) == (changes.wrong, "correction", False)
    others = after.image_id != picture.image_id
    assert after[others].equals(before[others])
    by = changes.figures["accuracy"].set_index("truth_by")
    assert (changes.figures.pictures, by.pictures["correction"], by.right["correction"]) == (60, 1, 0)
    assert picture.image_id in set(changes.figures["mistakes"].image_id)


def test_what_is_deleted_or_forgotten_is_gone_after_the_next_run_and_time_travel_still_shows_it(
    changes: Changes,
) -> None:
    warehouse = changes.warehouse
    assert count(warehouse) == 58
    assert changes.gone.isdisjoint(warehouse.predictions().image_id)
    history = warehouse.frame(
        "SELECT snapshot_id FROM warehouse.inkstream.fact_prediction.history ORDER BY made_current_at"
    )
    first = history.snapshot_id[0]
    assert count(warehouse, f"fact_prediction VERSION AS OF {first}") == 60


def test_days_and_hours_are_those_of_the_reports_time_zone(warehouse: Warehouse) -> None:
    warehouse.store(generate_rows(warehouse.spark, 100, FIRST))
    warehouse.load()
    there = own_settings(warehouse.settings, warehouse.settings.local.path, time_zone="Asia/Tokyo")
    assert load_days(warehouse.spark, there, VERSION).days == [FIRST]
    found = warehouse.frame("SELECT unix_timestamp(uploaded_at) AS seconds, date, hour FROM answers")
    local = pd.to_datetime(found.seconds, unit="s", utc=True).dt.tz_convert("Asia/Tokyo")
    assert found.hour.tolist() == local.dt.hour.tolist()
    assert found.date.tolist() == local.dt.date.tolist()
    assert found.date.nunique() == 2
