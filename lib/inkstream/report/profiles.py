"""The day's answers in, kinds of users out: sources with a like mix of labels, hours, confidence and rejections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.records import REJECTED, UNCERTAIN
from inkstream.report.clusters import best_fit, choose_k, find_elbow
from inkstream.settings import Settings
from inkstream.store.tables import read_table

FEWEST_PICTURES = 10  # of a source, to say anything of it
FEWEST_SOURCES = 4
MOST_KINDS = 6
TRIES = 3
HOURS = 24


@dataclass(frozen=True)
class Kind:
    """Sources of one kind. Shares are 0..1: labels and hours sum to 1 where there is any; the means are by source."""

    sources: int
    pictures: int
    labels: dict[str, float]
    hours: list[float]
    confidence: float
    rejected: float
    uncertain: float
    largest: str  # the source with the most pictures


def stored_answers(spark: SparkSession, settings: Settings, model_version: str) -> DataFrame:
    """The answers by day of a model version, and the rejections that never reached a model."""
    table = read_table(spark, settings, "predictions_by_day")
    columns = ("source", "outcome", "label", "confidence", "uploaded_at")
    return table.filter(F.col("model_version").isin(model_version, "-")).select(*columns)


def profile_sources(answers: DataFrame, labels: Sequence[str]) -> DataFrame:
    """One row per source with enough pictures: its name, how many, and `profile`, array<double> of shares 0..1.

    The profile: the mix of labels among the labelled, the mix of hours (UTC), the mean confidence, the share rejected,
    the share uncertain.
    """
    labelled = F.sum(F.when(F.col("label").isNotNull(), 1).otherwise(0))

    def share(condition: Column, of: Column) -> Column:
        return F.coalesce(F.sum(F.when(condition, 1.0).otherwise(0.0)) / F.when(of > 0, of), F.lit(0.0))

    by_label = [share(F.col("label") == label, labelled) for label in labels]
    by_hour = [share(F.hour("uploaded_at") == hour, F.count("*")) for hour in range(HOURS)]
    outcomes = [share(F.col("outcome") == outcome, F.count("*")) for outcome in (REJECTED, UNCERTAIN)]
    confidence = F.coalesce(F.avg(F.when(F.col("outcome") != REJECTED, F.col("confidence"))), F.lit(0.0))
    return (
        answers.filter(F.col("source").isNotNull())
        .groupBy("source")
        .agg(F.count("*").alias("pictures"), F.array(*by_label, *by_hour, confidence, *outcomes).alias("profile"))
        .filter(F.col("pictures") >= FEWEST_PICTURES)
    )


def find_kinds(profiles: DataFrame, labels: Sequence[str]) -> list[Kind]:
    """Sources clustered by their profiles, the commonest kind first; [] where there are too few sources."""
    frame = profiles.withColumn("features", array_to_vector(F.col("profile").cast("array<double>"))).persist()
    try:
        sources = frame.count()
        if sources < FEWEST_SOURCES:
            return []
        candidates = find_elbow(frame, "profile", range(2, MOST_KINDS + 1), sources)
        if not candidates:  # all alike
            return []
        return _kinds(best_fit(frame, choose_k(candidates), TRIES).transform(frame), labels)
    finally:
        frame.unpersist()


def _kinds(transformed: DataFrame, labels: Sequence[str]) -> list[Kind]:
    size = len(labels) + HOURS + 3
    averages = [F.avg(F.col("profile")[place]) for place in range(size)]
    rows = (
        transformed.groupBy("prediction")
        .agg(
            F.count("*").alias("sources"),
            F.sum("pictures").alias("pictures"),
            F.array(*averages).alias("means"),
            F.max_by("source", "pictures").alias("largest"),
        )
        .collect()
    )
    kinds = []
    for row in rows:
        means, end = list(row["means"]), len(labels)
        confidence, rejected, uncertain = means[end + HOURS :]
        mix = dict(zip(labels, means[:end], strict=True))
        hours = means[end : end + HOURS]
        kinds.append(Kind(row["sources"], row["pictures"], mix, hours, confidence, rejected, uncertain, row["largest"]))
    return sorted(kinds, key=lambda kind: (-kind.sources, -kind.pictures))


def describe(kind: Kind) -> str:
    """What sets the kind apart, in a line for people."""
    said = []
    label, share = max(kind.labels.items(), key=lambda item: item[1])
    said.append(f"mostly {label} ({share:.0%})" if share > 0.3 else "all labels")
    start = max(range(HOURS), key=lambda hour: sum(kind.hours[(hour + step) % HOURS] for step in range(6)))
    within = sum(kind.hours[(start + step) % HOURS] for step in range(6))
    said.append(
        f"{within:.0%} between {start:02}:00 and {(start + 6) % HOURS:02}:00 UTC" if within > 0.5 else "at all hours"
    )
    said.append(f"{kind.rejected:.0%} rejected")
    said.append(f"{kind.uncertain:.0%} uncertain")
    return ", ".join(said)
