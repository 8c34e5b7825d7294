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
_COLUMNS = ("kind", "partition", "offset", "image_id", "about")


def newest_of(messages: DataFrame) -> DataFrame:
    """Each id's newest message: image_id, partition, offset, recorded."""
    age = F.max(F.struct("write_time", "partition", "offset", "recorded")).alias("n")
    return messages.groupBy("image_id").agg(age).select("image_id", "n.partition", "n.offset", "n.recorded")


def find_all(evidence: Evidence) -> DataFrame:
    """All findings of the topics and the tables."""
    kept = evidence.messages.join(evidence.forgotten, "image_id", "left_anti")
    newest = newest_of(kept)
    live = newest.where("recorded").persist()  # a newer one under way may be between two steps of the stream
    parts = [
        *_lost(evidence, kept, live),
        *_doubled(evidence),
        *_orphans(evidence),
        *_wrong(evidence, newest),
    ]
    found = parts[0]
    for part in parts[1:]:
        found = found.unionByName(part)
    return found.distinct()


def _as(kind: str, about: str | Column) -> list[Column]:
    text = F.lit(about) if isinstance(about, str) else about
    given = {"kind": F.lit(kind), "about": text}
    return [given[name].alias(name) if name in given else F.col(name) for name in _COLUMNS]


def _lost(evidence: Evidence, kept: DataFrame, live: DataFrame) -> list[DataFrame]:
    rows = evidence.images.select(
        "image_id", F.col("partition").alias("p"), F.col("offset").alias("o"), "size_bytes", F.lit(True).alias("there")
    )
    held = live.join(rows, "image_id", "left")
    same = (F.col("partition") == F.col("p")) & (F.col("offset") == F.col("o"))
    expected = F.ceil(F.col("size_bytes") / INLINE_BYTES)
    in_parts = held.where(same & (F.col("size_bytes") > INLINE_BYTES)).join(evidence.parts, "image_id", "left")
    by_day = evidence.by_day.select("image_id", *_PLACE)
    answered = [
        live.join(by_day, ["image_id", *_PLACE], "left_anti").select(_as("lost", "no row in predictions_by_day"))
    ]
    answered += [
        live.join(evidence.predictions, "image_id", "left_anti").select(_as("lost", "no row in predictions")),
        held.where("there is null").select(_as("lost", "no row in images")),
        held.where(F.col("there") & ~same).select(_as("lost", "images holds an older upload of the id")),
        in_parts.where(F.coalesce("parts", F.lit(0)) < expected).select(
            _as("lost", F.format_string("%d of %d parts", F.coalesce("parts", F.lit(0)), expected))
        ),
    ]
    if evidence.answers_complete:
        without = kept.where("recorded").join(evidence.answers, _PLACE, "left_anti")
        answered.append(without.select(_as("lost", "no answer in images.predicted")))
    return answered


def _doubled(evidence: Evidence) -> list[DataFrame]:
    found = []
    for table, rows in (("images", evidence.images), ("predictions_by_day", evidence.by_day)):
        ids = rows.groupBy(_PLACE).agg(F.min("image_id").alias("image_id"), F.countDistinct("image_id").alias("n"))
        about = F.format_string(f"%d ids for one message in {table}", "n")
        found.append(ids.where("n > 1").select(_as("doubled", about)))
    versions = evidence.by_day.groupBy("image_id", "model_version").agg(
        F.max("partition").alias("partition"), F.max("offset").alias("offset"), F.count("*").alias("n")
    )
    about = F.format_string("%d rows of one model version in predictions_by_day", "n")
    return [*found, versions.where("n > 1").select(_as("doubled", about))]


def _orphans(evidence: Evidence) -> list[DataFrame]:
    named = evidence.messages.select(*_PLACE, F.col("image_id").alias("named"))
    begins = F.create_map(*(F.lit(n) for pair in evidence.begins.items() for n in pair))
    # What retention has taken cannot be judged.
    in_kafka = F.coalesce(F.col("offset") >= begins[F.col("partition")], F.lit(True))
    found = []
    for table, rows in (("images", evidence.images), ("predictions_by_day", evidence.by_day)):
        joined = rows.where(in_kafka).join(named, _PLACE, "left")
        found += [
            joined.where("named is null").select(_as("orphan", f"a row in {table}, and no such message in Kafka")),
            joined.where("named <> image_id").select(
                _as("orphan", F.format_string(f"a row in {table}; its message is that of %s", "named"))
            ),
            rows.join(evidence.forgotten, "image_id", "left_semi").select(
                _as("orphan", f"a row in {table}, and the id is forgotten")
            ),
        ]
    nowhere = F.lit(None).cast("int").alias("partition"), F.lit(None).cast("bigint").alias("offset")
    alone = evidence.predictions.join(evidence.forgotten, "image_id", "left_semi").select("image_id", *nowhere)
    return [*found, alone.select(_as("orphan", "a row in predictions, and the id is forgotten"))]


def _wrong(evidence: Evidence, newest: DataFrame) -> list[DataFrame]:
    stored = evidence.predictions.select(
        "image_id", "model_version", *(F.col(name).alias(f"_{name}") for name in ("outcome", "label", "confidence"))
    )
    key = ["image_id", "model_version"]
    by_day = _latest(evidence.by_day, newest).join(stored, key)
    differs = ~(_same("outcome") & _same("label") & _same("confidence"))
    # An answer counts as long as its message is the one that is stored; of a superseded one the row is gone.
    held = evidence.images.select("image_id", *_PLACE)
    current = _latest(evidence.answers, newest).join(held, ["image_id", *_PLACE])
    contradicts = current.join(stored, key).where(~(_same("outcome") & _same("label")))
    alone = (
        evidence.answers.join(newest.select("image_id", *_PLACE), ["image_id", *_PLACE], "left_semi")
        .join(evidence.images, "image_id", "left_anti")
        .join(evidence.forgotten, "image_id", "left_anti")
    )
    said = F.format_string("predictions says %s, predictions_by_day %s", _said("_"), _said(""))
    answer = F.format_string("predictions says %s, the answer in Kafka %s", _said("_"), _said(""))
    return [
        by_day.where(differs).select(_as("wrong", said)),
        contradicts.select(_as("wrong", answer)),
        alone.select(_as("wrong", "answered in images.predicted, and not stored")),
    ]


def _latest(rows: DataFrame, newest: DataFrame) -> DataFrame:
    """Without those of which Kafka holds a newer upload: its rows may have come between the reading of two tables."""
    newer = newest.select("image_id", F.struct(*_PLACE).alias("newest"))
    known = rows.join(newer, "image_id", "left")
    return known.where(F.coalesce(F.col("newest") == F.struct(*_PLACE), F.lit(True))).drop("newest")


def _same(name: str) -> Column:
    return F.col(name).eqNullSafe(F.col(f"_{name}"))


def _said(prefix: str) -> Column:
    return F.concat_ws(" ", f"{prefix}outcome", f"{prefix}label")
