"""Evidence in, what is wrong out: a row of kind, partition, offset, image_id and about for each finding.

* lost      a recorded message whose row is missing in a table, or whose answer is missing
* doubled   one message under two ids, or one id and model version twice
* orphan    a row whose message is not in Kafka or is another one's, or a row of a forgotten id
* wrong     tables and answers contradict each other, or an answer has no row
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from inkstream.records import INLINE_BYTES
from inkstream.stream.evidence import Evidence

KINDS = ("lost", "doubled", "orphan", "wrong")
_PLACE = ["partition", "offset"]


def newest_of(messages: DataFrame) -> DataFrame:
    """Each id's newest message: image_id, partition, offset, recorded."""
    age = F.max(F.struct("write_time", "partition", "offset", "recorded")).alias("n")
    return messages.groupBy("image_id").agg(age).select("image_id", "n.partition", "n.offset", "n.recorded")


def find_all(evidence: Evidence) -> DataFrame:
    """All findings of the topics and the tables."""
    kept = evidence.messages.join(evidence.forgotten, "image_id", "left_anti")
    newest = newest_of(kept)
    parts = [
        # A newer one under way may be between two steps of the stream.
        _unstored(evidence, newest.where("recorded")),
        *_unanswered(evidence, kept),
        *_doubled(evidence),
        *_orphans(evidence),
        *_wrong(evidence, newest),
    ]
    found = parts[0]
    for part in parts[1:]:
        found = found.unionByName(part)
    return found.distinct()


def _flag(rows: DataFrame, columns: list[str], name: str) -> DataFrame:
    """The columns, and `name`: true. After a left join it says whether there was such a row."""
    return rows.select(*columns, F.lit(True).alias(name)).distinct()


def _findings(rows: DataFrame, *cases: tuple[str, Column, str | Column]) -> DataFrame:
    """A finding for each case (kind, condition, sentence) that holds for a row; the rows are gone through once."""
    each = [
        F.when(
            condition, F.struct(F.lit(kind).alias("kind"), (F.lit(say) if isinstance(say, str) else say).alias("about"))
        )
        for kind, condition, say in cases
    ]
    return rows.select(*_PLACE, "image_id", F.explode(F.array_compact(F.array(*each))).alias("f")).select(
        "f.kind", *_PLACE, "image_id", "f.about"
    )


def _unstored(evidence: Evidence, live: DataFrame) -> DataFrame:
    held = evidence.images.select(
        "image_id", F.col("partition").alias("p"), F.col("offset").alias("o"), "size_bytes", F.lit(True).alias("held")
    )
    rows = (
        live.join(held, "image_id", "left")
        .join(_flag(evidence.by_day, ["image_id", *_PLACE], "listed"), ["image_id", *_PLACE], "left")
        .join(_flag(evidence.predictions, ["image_id"], "predicted"), "image_id", "left")
        .join(evidence.parts, "image_id", "left")
    )
    same = (F.col("partition") == F.col("p")) & (F.col("offset") == F.col("o"))
    expected, there = F.ceil(F.col("size_bytes") / INLINE_BYTES), F.coalesce("parts", F.lit(0))
    large = F.col("size_bytes") > INLINE_BYTES
    return _findings(
        rows,
        ("lost", F.col("held").isNull(), "no row in images"),
        ("lost", F.col("held") & ~same, "images holds an older upload of the id"),
        ("lost", same & large & (there < expected), F.format_string("%d of %d parts", there, expected)),
        ("lost", F.col("listed").isNull(), "no row in predictions_by_day"),
        ("lost", F.col("predicted").isNull(), "no row in predictions"),
    )


def _unanswered(evidence: Evidence, kept: DataFrame) -> list[DataFrame]:
    if not evidence.answers_complete:
        return []
    without = kept.where("recorded").join(evidence.answers, _PLACE, "left_anti")
    return [_findings(without, ("lost", F.lit(True), "no answer in images.predicted"))]


def _doubled(evidence: Evidence) -> list[DataFrame]:
    found = []
    for table, rows in (("images", evidence.images), ("predictions_by_day", evidence.by_day)):
        ids = rows.groupBy(_PLACE).agg(F.min("image_id").alias("image_id"), F.countDistinct("image_id").alias("n"))
        about = F.format_string(f"%d ids for one message in {table}", "n")
        found.append(_findings(ids, ("doubled", F.col("n") > 1, about)))
    versions = evidence.by_day.groupBy("image_id", "model_version").agg(
        F.max("partition").alias("partition"), F.max("offset").alias("offset"), F.count("*").alias("n")
    )
    about = F.format_string("%d rows of one model version in predictions_by_day", "n")
    return [*found, _findings(versions, ("doubled", F.col("n") > 1, about))]


def _orphans(evidence: Evidence) -> list[DataFrame]:
    named = evidence.messages.select(*_PLACE, F.col("image_id").alias("named"))
    begins = F.create_map(*(F.lit(n) for pair in evidence.begins.items() for n in pair))
    # What retention has taken cannot be judged.
    in_kafka = F.coalesce(F.col("offset") >= begins[F.col("partition")], F.lit(True))
    gone = _flag(evidence.forgotten, ["image_id"], "gone")
    found = []
    for table, rows in (("images", evidence.images), ("predictions_by_day", evidence.by_day)):
        joined = rows.join(named, _PLACE, "left").join(gone, "image_id", "left")
        another = F.format_string(f"a row in {table}; its message is that of %s", "named")
        found.append(
            _findings(
                joined,
                ("orphan", in_kafka & F.col("named").isNull(), f"a row in {table}, and no such message in Kafka"),
                ("orphan", in_kafka & (F.col("named") != F.col("image_id")), another),
                ("orphan", F.col("gone"), f"a row in {table}, and the id is forgotten"),
            )
        )
    nowhere = F.lit(None).cast("int").alias("partition"), F.lit(None).cast("bigint").alias("offset")
    alone = evidence.predictions.join(evidence.forgotten, "image_id", "left_semi").select("image_id", *nowhere)
    return [*found, _findings(alone, ("orphan", F.lit(True), "a row in predictions, and the id is forgotten"))]


def _wrong(evidence: Evidence, newest: DataFrame) -> list[DataFrame]:
    stored = evidence.predictions.select(
        "image_id", "model_version", *(F.col(name).alias(f"_{name}") for name in ("outcome", "label", "confidence"))
    ).withColumn("stored", F.lit(True))
    key = ["image_id", "model_version"]
    by_day = _latest(evidence.by_day, newest).join(stored, key)
    differs = ~(_same("outcome") & _same("label") & _same("confidence"))
    # An answer counts as long as its message is the one that is stored; of a superseded one the row is gone.
    held = evidence.images.select("image_id", F.struct(*_PLACE).alias("held"))
    told = _latest(evidence.answers, newest).join(held, "image_id", "left").join(stored, key, "left")
    contradicts = F.col("stored") & (F.col("held") == F.struct(*_PLACE)) & ~(_same("outcome") & _same("label"))
    alone = F.col("newest").isNotNull() & F.col("held").isNull()
    said = F.format_string("predictions says %s, predictions_by_day %s", _said("_"), _said(""))
    answer = F.format_string("predictions says %s, the answer in Kafka %s", _said("_"), _said(""))
    return [
        _findings(by_day, ("wrong", differs, said)),
        _findings(
            told,
            ("wrong", contradicts, answer),
            ("wrong", alone, "answered in images.predicted, and not stored"),
        ),
    ]


def _latest(rows: DataFrame, newest: DataFrame) -> DataFrame:
    """Without those of which Kafka holds a newer upload: its rows may have come between the reading of two tables."""
    newer = newest.select("image_id", F.struct(*_PLACE).alias("newest"))
    known = rows.join(newer, "image_id", "left")
    return known.where(F.coalesce(F.col("newest") == F.struct(*_PLACE), F.lit(True)))


def _same(name: str) -> Column:
    return F.col(name).eqNullSafe(F.col(f"_{name}"))


def _said(prefix: str) -> Column:
    return F.concat_ws(" ", f"{prefix}outcome", f"{prefix}label")
