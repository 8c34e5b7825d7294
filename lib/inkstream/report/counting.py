"""The facts of some days in; what the page says of each of those days, counted, out: rows of two small tables.

The page is drawn from these tables alone. A day is counted when it is built, so a run costs what the changed days hold,
however much the warehouse does. All counts are whole numbers: they add up to the same in any order.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from inkstream.report.facts import STAGES

COUNTS, EXAMPLES = "page_counts", "page_examples"
COUNTING = 1  # rises when what is counted changes: days that were counted otherwise are built again
BINS = 20  # of the confidence 0..1, and of the share of ink 0..0.5
SHOWN_MISTAKES = 12
SHOWN_REJECTIONS = 2  # of each reason
STEP = 1.02  # from a bin of times to the next one: what is read off them is right to one percent
SHORTEST_MS = 0.001
BILLION = 1_000_000_000

TABLES = {
    COUNTS: """
        day DATE COMMENT 'the UTC day, as in Cassandra',
        date DATE COMMENT 'the day in the time zone of the report',
        figure STRING COMMENT 'what is counted by: sources, hours, ...',
        one STRING COMMENT 'the source, the hour, ...', other STRING COMMENT 'confusion: label; outcomes: reason_code',
        pictures BIGINT, uncertain BIGINT, rejected BIGINT,
        known BIGINT COMMENT 'those with a label and a truth', right BIGINT COMMENT 'of the known',
        answered BIGINT COMMENT 'those with a confidence',
        confidence BIGINT COMMENT 'billionths, the sum over the answered',
        known_confidence BIGINT COMMENT 'billionths, the sum over the known'""",
    EXAMPLES: """
        day DATE, date DATE, figure STRING COMMENT 'mistakes or rejections',
        image_id STRING, model_version STRING, filename STRING, source STRING, truth STRING, truth_by STRING,
        label STRING, confidence FLOAT, reason_code STRING, uploaded_at TIMESTAMP""",
}
_BILLIONTHS = f"bigint(round(double(confidence) * {BILLION}))"
MEASURES = {
    "pictures": "count(*)",
    "uncertain": "count_if(outcome = 'uncertain')",
    "rejected": "count_if(outcome = 'rejected')",
    "known": "count(is_right)",
    "right": "count_if(is_right)",
    "answered": "count(confidence)",
    "confidence": f"coalesce(sum({_BILLIONTHS}), 0)",
    "known_confidence": f"coalesce(sum(if(is_right IS NULL, null, {_BILLIONTHS})), 0)",
}
# By what each figure counts, in SQL; a picture whose first value is null is left out of it (`least` passes over nulls).
BY = {
    "sources": ("coalesce(source, '')", "null"),
    "kinds": ("file_kind", "null"),
    "hours": ("hour", "null"),
    "labels": ("label", "null"),
    "outcomes": ("outcome", "reason_code"),
    "confidences": (f"if(confidence IS NULL, null, least(floor(double(confidence) * {BINS}), {BINS} - 1))", "null"),
    "accuracy": ("if(is_right IS NULL, null, truth_by)", "null"),
    "confusion": ("if(is_right IS NULL, null, truth)", "label"),
    "ink": (
        f"if(label IS NULL OR ink_share IS NULL, null, least(floor(double(ink_share) * 2 * {BINS}), {BINS} - 1))",
        "null",
    ),
    **{
        stage: (f"floor(ln(if({stage}_ms < {SHORTEST_MS}, {SHORTEST_MS}, {stage}_ms)) / ln({STEP}))", "null")
        for stage in STAGES
    },
}


def count_facts(facts: DataFrame) -> DataFrame:
    """Facts with their texts (facts_of) in; the rows of COUNTS out. `models` counts every answer, the rest pictures."""
    pairs = [_pair(figure, one, other) for figure, (one, other) in BY.items()]
    preferred = facts.where("is_preferred").withColumn("pair", F.explode(F.array(*pairs)))
    every = facts.withColumn("pair", _pair("models", "model_version", "null"))
    return _counted(preferred).unionByName(_counted(every))


def choose_examples(facts: DataFrame) -> DataFrame:
    """Facts with their texts in; the rows of EXAMPLES out: the surest mistakes and the latest rejections."""
    mistakes = _first(
        facts.where("is_preferred AND NOT is_right"), ["day", "date_key"], "confidence DESC, image_id", SHOWN_MISTAKES
    )
    rejections = _first(
        facts.where("is_preferred AND outcome = 'rejected'"),
        ["day", "date_key", "reason_code"],
        "uploaded_at DESC, image_id",
        SHOWN_REJECTIONS,
    )
    both = mistakes.withColumn("figure", F.lit("mistakes")).unionByName(
        rejections.withColumn("figure", F.lit("rejections"))
    )
    return both.withColumnRenamed("date_key", "date")


def _pair(figure: str, one: str, other: str) -> Column:
    return F.struct(
        F.lit(figure).alias("figure"),
        F.expr(f"string({one})").alias("one"),
        F.expr(f"string({other})").alias("other"),
    )


def _counted(pairs: DataFrame) -> DataFrame:
    keys = ("day", F.col("date_key").alias("date"), "pair.figure", "pair.one", "pair.other")
    measures = [F.expr(expression).alias(name) for name, expression in MEASURES.items()]
    return pairs.where("pair.one IS NOT NULL").groupBy(*keys).agg(*measures)


def _first(facts: DataFrame, keys: list[str], order: str, count: int) -> DataFrame:
    place = F.expr(f"row_number() OVER (PARTITION BY {', '.join(keys)} ORDER BY {order})")
    return facts.withColumn("place", place).where(F.col("place") <= count).drop("place")
