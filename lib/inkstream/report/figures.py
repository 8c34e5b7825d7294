"""The view `answers` in; every figure of the page out, as small pandas frames: nothing here grows with the data.

Each is one aggregation in SQL, run by Spark; a test holds each to the same figure worked out by pandas over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd
from pyspark.sql import SparkSession

TOP = 10
BINS = 20  # of the confidence histogram, and of the drift's
CALIBRATION_BINS = 10
STAGES = ("queued", "decode", "normalise", "predict")
SHOWN_PICTURES = 12
KNOWN = "truth IS NOT NULL AND label IS NOT NULL"

QUERIES = {
    "days": """
        SELECT date, count(*) AS pictures,
               count_if(outcome = 'recognised') AS recognised, count_if(outcome = 'uncertain') AS uncertain,
               count_if(outcome = 'rejected') AS rejected
        FROM page GROUP BY date ORDER BY date""",
    "sources": """
        SELECT coalesce(source, '(none)') AS source, count(*) AS pictures,
               avg(int(outcome = 'rejected')) AS rejected, avg(int(is_right)) AS right
        FROM page GROUP BY 1 ORDER BY pictures DESC, 1 LIMIT {top}""",
    "kinds": """
        SELECT file_kind AS kind, count(*) AS pictures, avg(int(outcome = 'rejected')) AS rejected
        FROM page GROUP BY 1 ORDER BY pictures DESC, 1 LIMIT {top}""",
    "hours": "SELECT hour, count(*) AS pictures FROM page GROUP BY hour ORDER BY hour",
    "labels": """
        SELECT label, count(*) AS pictures, count(*) / sum(count(*)) OVER () AS share, avg(confidence) AS confidence
        FROM page WHERE label IS NOT NULL GROUP BY label ORDER BY label""",
    "outcomes": """
        SELECT outcome, reason_code, count(*) AS pictures, count(*) / sum(count(*)) OVER () AS share
        FROM page GROUP BY outcome, reason_code ORDER BY pictures DESC, outcome, reason_code""",
    "confidences": """
        SELECT least(int(floor(confidence * {bins})), {bins} - 1) AS bin, count(*) AS pictures
        FROM page WHERE confidence IS NOT NULL GROUP BY 1 ORDER BY 1""",
    "accuracy": f"""
        SELECT truth_by, count(*) AS pictures, count_if(is_right) AS right, avg(int(is_right)) AS accuracy
        FROM page WHERE {KNOWN} GROUP BY truth_by ORDER BY truth_by""",
    "confusion": f"SELECT truth, label, count(*) AS pictures FROM page WHERE {KNOWN} GROUP BY 1, 2 ORDER BY 1, 2",
    "calibration": f"""
        SELECT least(int(floor(confidence * {{calibration_bins}})), {{calibration_bins}} - 1) AS bin,
               count(*) AS pictures, avg(confidence) AS confidence, avg(int(is_right)) AS accuracy
        FROM page WHERE {KNOWN} GROUP BY 1 ORDER BY 1""",
    "models": """
        SELECT model_version, count(*) AS answers, avg(confidence) AS confidence,
               avg(int(outcome = 'uncertain')) AS uncertain, avg(int(is_right)) AS accuracy
        FROM page_all GROUP BY 1 ORDER BY answers DESC, 1 LIMIT {top}""",
    "ink": """
        SELECT least(int(floor(ink_share * 2 * {bins})), {bins} - 1) AS bin, count(*) AS pictures
        FROM page WHERE ink_share IS NOT NULL AND label IS NOT NULL GROUP BY 1 ORDER BY 1""",
    "stages": " UNION ALL ".join(
        f"""SELECT '{stage}' AS stage, count({stage}_ms) AS pictures, percentile_approx({stage}_ms, 0.5, 10000) AS p50,
            percentile_approx({stage}_ms, 0.9, 10000) AS p90, percentile_approx({stage}_ms, 0.99, 10000) AS p99
            FROM page"""
        for stage in STAGES
    ),
    "mistakes": f"""
        SELECT image_id, model_version, filename, source, truth, truth_by, label, confidence
        FROM page WHERE {KNOWN} AND NOT is_right ORDER BY confidence DESC, image_id LIMIT {{shown}}""",
    "rejections": """
        SELECT image_id, filename, source, reason_code FROM (
            SELECT *, row_number() OVER (PARTITION BY reason_code ORDER BY uploaded_at DESC, image_id) AS place
            FROM page WHERE outcome = 'rejected')
        WHERE place <= 2 ORDER BY reason_code, place LIMIT {shown}""",
}


@dataclass(frozen=True)
class Figures:
    """first, last: the local days that are covered. frames: by the names in QUERIES."""

    first: date | None
    last: date | None
    frames: dict[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.frames[name]

    @property
    def pictures(self) -> int:
        return int(self["days"].pictures.sum())

    def count(self, outcome: str) -> int:
        return int(self["days"][outcome].sum())


def read_figures(spark: SparkSession, first: date | None = None, last: date | None = None) -> Figures:
    """All figures over the local days from first to last, both included; None: as far as there are any."""
    wanted = [f"date >= DATE'{first}'"] if first else []
    wanted += [f"date <= DATE'{last}'"] if last else []
    chosen = spark.table("predictions").where(" AND ".join(wanted) or "true")
    held = chosen.persist()
    try:
        held.createOrReplaceTempView("page_all")
        held.where("is_preferred").createOrReplaceTempView("page")
        numbers = {"top": TOP, "bins": BINS, "calibration_bins": CALIBRATION_BINS, "shown": SHOWN_PICTURES}
        frames = {name: spark.sql(query.format(**numbers)).toPandas() for name, query in QUERIES.items()}
    finally:
        held.unpersist()
    days = frames["days"].date.tolist()
    return Figures(days[0] if days else first, days[-1] if days else last, frames)


def expected_calibration_error(calibration: pd.DataFrame) -> float | None:
    """The mean distance of confidence and accuracy over the bins, weighted by pictures; None without any."""
    total = calibration.pictures.sum()
    if not total:
        return None
    apart = (calibration.confidence - calibration.accuracy).abs()
    return float((apart * calibration.pictures).sum() / total)
