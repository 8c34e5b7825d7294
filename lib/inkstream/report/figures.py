"""The warehouse's counts of each day in; every figure of the page out, as small pandas frames.

What is counted is in report/counting.py. Nothing here grows with the data, but for one row a day. A test holds each
figure to the same worked out by pandas over the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.records import OUTCOMES
from inkstream.report.counting import BILLION, COUNTS, EXAMPLES, MEASURES, SHOWN_MISTAKES, STEP
from inkstream.report.facts import STAGES

TOP = 10
CALIBRATION_BINS = 10  # two of the bins that confidences are counted by
SHOWN_PICTURES = 12
LARGEST = ("sources", "kinds", "models")  # of these the largest alone leave Spark: there may be any number
NUMBERED = ("hours", "confidences", "ink", *STAGES)

# The columns of a figure, each with the column of the sums (and of their rates) that it is.
COLUMNS = {
    "sources": {"source": "one", "pictures": "pictures", "rejected": "rejected_share", "right": "accuracy"},
    "kinds": {"kind": "one", "pictures": "pictures", "rejected": "rejected_share"},
    "hours": {"hour": "one", "pictures": "pictures"},
    "labels": {"label": "one", "pictures": "pictures", "share": "share", "confidence": "mean_confidence"},
    "outcomes": {"outcome": "one", "reason_code": "other", "pictures": "pictures", "share": "share"},
    "confidences": {"bin": "one", "pictures": "pictures"},
    "accuracy": {"truth_by": "one", "pictures": "known", "right": "right", "accuracy": "accuracy"},
    "confusion": {"truth": "one", "label": "other", "pictures": "pictures"},
    "models": {
        "model_version": "one",
        "answers": "pictures",
        "confidence": "mean_confidence",
        "uncertain": "uncertain_share",
        "accuracy": "accuracy",
    },
    "ink": {"bin": "one", "pictures": "pictures"},
}
MISTAKE = ("image_id", "model_version", "filename", "source", "truth", "truth_by", "label", "confidence")
REJECTION = ("image_id", "filename", "source", "reason_code")


@dataclass(frozen=True)
class Figures:
    """first, last: the local days that are covered. frames: those of COLUMNS, days, calibration, stages, examples."""

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
    where = " AND ".join(wanted) or "true"
    figures = figures_of(spark.table(COUNTS).where(where), spark.table(EXAMPLES).where(where))
    return figures if figures.first else Figures(first, last, figures.frames)


def figures_of(counts: DataFrame, examples: DataFrame) -> Figures:
    """All figures of the rows of COUNTS and EXAMPLES."""
    sums = _sums(counts).toPandas()
    mistakes = examples.where("figure = 'mistakes'").orderBy(F.desc("confidence"), "image_id").limit(SHOWN_MISTAKES)
    frames = {
        **_frames_of(sums.groupby(["figure", "one", "other"], dropna=False, as_index=False)[list(MEASURES)].sum()),
        "days": _days(sums[sums.figure == "outcomes"]),
        "mistakes": mistakes.select(*MISTAKE).toPandas(),
        "rejections": _rejections(examples).select(*REJECTION).toPandas(),
    }
    days = frames["days"].date.tolist()
    return Figures(days[0] if days else None, days[-1] if days else None, frames)


def expected_calibration_error(calibration: pd.DataFrame) -> float | None:
    """The mean distance of confidence and accuracy over the bins, weighted by pictures; None without any."""
    total = calibration.pictures.sum()
    if not total:
        return None
    apart = (calibration.confidence - calibration.accuracy).abs()
    return float((apart * calibration.pictures).sum() / total)


def _sums(counts: DataFrame) -> DataFrame:
    """The counts over the days, outcomes for each date apart; of LARGEST the first TOP."""
    date_ = F.when(F.col("figure") == "outcomes", F.col("date")).alias("date")
    sums = counts.groupBy("figure", "one", "other", date_).agg(*(F.sum(name).alias(name) for name in MEASURES))
    place = F.expr("row_number() OVER (PARTITION BY figure ORDER BY pictures DESC, one)")
    largest = sums.where(F.col("figure").isin(*LARGEST)).withColumn("place", place).where(F.col("place") <= TOP)
    return sums.where(~F.col("figure").isin(*LARGEST)).unionByName(largest.drop("place"))


def _rejections(examples: DataFrame) -> DataFrame:
    """The latest two of each reason over all days."""
    place = F.expr("row_number() OVER (PARTITION BY reason_code ORDER BY uploaded_at DESC, image_id)")
    chosen = examples.where("figure = 'rejections'").withColumn("place", place).where("place <= 2")
    return chosen.orderBy("reason_code", "place").limit(SHOWN_PICTURES)


def _frames_of(sums: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each figure of COLUMNS, calibration and stages, of the sums over all days."""
    rates = sums.assign(
        rejected_share=sums.rejected / sums.pictures,
        uncertain_share=sums.uncertain / sums.pictures,
        accuracy=sums.right / sums.known,
        mean_confidence=sums.confidence / BILLION / sums.answered,
        share=sums.pictures / sums.groupby("figure").pictures.transform("sum"),
    )
    rows = {name: rates[rates.figure == name] for name in (*COLUMNS, *STAGES)}
    rows |= {name: rows[name].assign(one=rows[name].one.astype(int)) for name in NUMBERED}
    rows["sources"] = rows["sources"].replace({"one": {"": "(none)"}})
    return {
        **{name: _chosen(rows[name], name, columns) for name, columns in COLUMNS.items()},
        "calibration": _calibration(rows["confidences"]),
        "stages": pd.DataFrame([_times(stage, rows[stage]) for stage in STAGES]),
    }


def _chosen(rows: pd.DataFrame, name: str, columns: dict[str, str]) -> pd.DataFrame:
    ordered = rows.sort_values(["one", "other"])
    if name in (*LARGEST, "outcomes"):
        ordered = ordered.sort_values("pictures", ascending=False, kind="stable")
    return pd.DataFrame({column: ordered[source] for column, source in columns.items()}).reset_index(drop=True)


def _days(outcomes: pd.DataFrame) -> pd.DataFrame:
    """date, pictures and how many of each outcome, of the outcomes by date."""
    by_day = outcomes.pivot_table(index="date", columns="one", values="pictures", aggfunc="sum", fill_value=0)
    by_day = by_day.reindex(columns=list(OUTCOMES), fill_value=0).astype(int)
    by_day.insert(0, "pictures", by_day.sum(axis=1))
    return by_day.rename_axis(columns=None).reset_index()


def _calibration(confidences: pd.DataFrame) -> pd.DataFrame:
    """bin (of CALIBRATION_BINS), pictures with a truth, their mean confidence, the share that is right."""
    wide = confidences.assign(bin=confidences.one // 2).groupby("bin", as_index=False)
    sums = wide[["known", "known_confidence", "right"]].sum().query("known > 0")
    return pd.DataFrame(
        {
            "bin": sums.bin,
            "pictures": sums.known,
            "confidence": sums.known_confidence / BILLION / sums.known,
            "accuracy": sums.right / sums.known,
        }
    ).reset_index(drop=True)


def _times(stage: str, bins: pd.DataFrame) -> dict[str, Any]:
    """How many pictures were timed, and under how many milliseconds half, 90 % and 99 % of them stayed."""
    ordered = bins.sort_values("one")
    below = ordered.pictures.cumsum().to_numpy()
    total = int(below[-1]) if len(below) else 0

    def under(share: float) -> float:
        if not total:
            return float("nan")
        place = np.searchsorted(below, share * (total - 1), side="right")
        return float(STEP ** (ordered.one.to_numpy()[place] + 0.5))  # the middle of its bin

    return {"stage": stage, "pictures": total, "p50": under(0.5), "p90": under(0.9), "p99": under(0.99)}
