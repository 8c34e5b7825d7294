"""Cassandra's rows of some days in; facts and the members of their dimensions out, as Spark frames."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from inkstream.records import BUCKETS_A_DAY, PREDICTIONS_BY_DAY, REASON_CODES, REJECTED
from inkstream.store.tables import table_reader

STAGES = ("decode", "normalise", "predict", "queued")
KEY_PARTITIONS = 32  # tasks that look up the buckets of the days
LONGEST_SUFFIX = 8  # what is longer is no suffix of a file's kind
CORRECTION, CLAIM = "correction", "claim"


def read_days(spark: SparkSession, keyspace: str, days: Sequence[date]) -> DataFrame:
    """The rows of predictions_by_day of those days: only their own partitions are read, a bucket at a time."""
    each = F.explode(F.split(F.lit(",".join(map(str, days))), ",").cast("array<date>"))
    keys = spark.range(BUCKETS_A_DAY).select(each.alias("day"), F.col("id").cast("int").alias("bucket"))
    rows = table_reader(spark, keyspace, "predictions_by_day").options(directJoinSetting="on").load()
    return keys.repartition(KEY_PARTITIONS).join(rows, ["day", "bucket"]).select(*PREDICTIONS_BY_DAY)


def read_corrections(spark: SparkSession, keyspace: str) -> DataFrame:
    """The newest correction of each picture: image_id, corrected."""
    rows = table_reader(spark, keyspace, "corrections").load()
    return rows.groupBy("image_id").agg(F.max_by("label", "corrected_at").alias("corrected"))


def facts_of(rows: DataFrame, corrections: DataFrame, current_version: str, time_zone: str) -> DataFrame:
    """The facts of rows as in predictions_by_day, with the texts that the dimensions hold beside their keys.

    Of several answers to a picture the current version's is preferred, else the one predicted last. The ink share is
    the picture's: an answer that has none (a re-score without it) takes that of another.
    """
    local = F.from_utc_timestamp("uploaded_at", time_zone)
    picture = Window.partitionBy("day", "image_id")
    wins = picture.orderBy(
        (F.col("model_version") == current_version).desc(),
        F.col("predicted_at").desc_nulls_last(),
        F.col("model_version"),
    )
    facts = (
        rows.join(corrections, "image_id", "left")
        .withColumns({name: F.expr(f"nullif({name}, '')") for name in ("source", "claimed_label", "corrected")})
        .withColumn("is_preferred", F.row_number().over(wins) == 1)
        .withColumn("ink_share", F.coalesce("ink_share", F.max("ink_share").over(picture)))
        .withColumn("claimed_label", F.coalesce("claimed_label", F.max("claimed_label").over(picture)))
        .withColumn("truth", F.coalesce("corrected", "claimed_label"))
        .withColumn("truth_by", F.when(F.col("corrected").isNotNull(), CORRECTION).when(_known("truth"), CLAIM))
        .withColumn("is_right", F.when(F.col("outcome") != REJECTED, F.col("label") == F.col("truth")))
        .withColumn("date_key", F.to_date(local))
        .withColumn("hour", F.hour(local))
        .withColumn("file_kind", _file_kind())
    )
    for name, texts in KEYS.items():
        facts = facts.withColumn(name, _key(texts))
    times = F.from_json("stage_times", ", ".join(f"{stage}_ms float" for stage in STAGES))
    facts = facts.withColumn("times", times)
    return facts.withColumns({f"{stage}_ms": F.col(f"times.{stage}_ms") for stage in STAGES}).drop("times")


# What each key stands for: the same text gives the same key whenever a day is built.
KEYS = {
    "source_key": ("source",),
    "model_key": ("model_version",),
    "label_key": ("label",),
    "truth_key": ("truth",),
    "outcome_key": ("outcome", "reason_code"),
}


def _key(texts: Sequence[str]) -> Column:
    return F.xxhash64(*(F.coalesce(F.col(text), F.lit("")) for text in texts))


def _known(column: str) -> Column:
    return F.col(column).isNotNull()


def _file_kind() -> Column:
    kind = F.lower(F.regexp_extract("filename", r"\.([A-Za-z0-9]+)$", 1))
    return F.when(F.length(kind).between(1, LONGEST_SUFFIX), kind).otherwise("none")


def keys_of(facts: DataFrame) -> DataFrame:
    """The keys in the facts and what they stand for, each combination once: what the dimensions need, and far less."""
    return facts.select(
        *dict.fromkeys(["date_key", *KEYS, *(text for texts in KEYS.values() for text in texts)])
    ).distinct()


def few_members(keys: DataFrame) -> DataFrame:
    """The members that the keys name, one row: of each dimension that stays small, by its table, an array of structs.

    All but those of dim_source, which may be as many as there are people. Which model is current, the keys do not know.
    """
    both = ((key, *KEYS[key]) for key in ("label_key", "truth_key"))
    labels = (F.struct(F.col(key).alias("label_key"), F.col(text).alias("label")) for key, text in both)
    meaning = F.create_map(*(F.lit(text) for pair in REASON_CODES.items() for text in pair))[F.col("reason_code")]
    members = {
        "dim_date": F.collect_set(F.struct("date_key", *_of_date())),
        "dim_model": F.collect_set(F.struct("model_key", "model_version", F.lit(False).alias("is_current"))),
        "dim_label": F.array_union(*map(F.collect_set, labels)),
        "dim_outcome": F.collect_set(F.struct("outcome_key", "outcome", "reason_code", meaning.alias("meaning"))),
    }
    return keys.agg(*(column.alias(table) for table, column in members.items()))


def _of_date() -> list[Column]:
    day = F.col("date_key")
    weekday = (F.dayofweek(day) + 5) % 7 + 1  # Spark's 1 is Sunday
    return [
        F.year(day).alias("year"),
        F.quarter(day).alias("quarter"),
        F.month(day).alias("month"),
        F.weekofyear(day).alias("iso_week"),
        F.dayofmonth(day).alias("day_of_month"),
        weekday.alias("weekday"),
        F.date_format(day, "EEEE").alias("weekday_name"),
        (weekday >= 6).alias("is_weekend"),
    ]
