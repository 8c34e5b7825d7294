"""Kafka against Cassandra: every offset that the stream recorded, accounted for once. Reads only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cassandra.cluster import Session
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from inkstream.model.reading import Reader
from inkstream.model.shelf import Shelf
from inkstream.records import NO_MODEL, Reading
from inkstream.settings import Settings
from inkstream.store.pictures import read_bytes
from inkstream.store.registry import version_in_use
from inkstream.stream.evidence import Evidence, Ranges, gather
from inkstream.stream.findings import KINDS, find_all, newest_of

SHOWN = 20  # findings by name; the rest is counted
TOLERANCE = 1e-4  # of confidence, between kinds of machine
READ_AT_ONCE = 16


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. kind: of findings.KINDS; partition and offset are None where no message is known."""

    kind: str
    partition: int | None
    offset: int | None
    image_id: str
    about: str


@dataclass
class Account:
    """One partition: offsets recorded, and what became of them, in messages or rows.

    skipped: offsets between two recorded ranges, which no run of the stream read. aged: recorded messages that
    retention has taken, and that cannot be judged. repeated: answers that came again; topics are at least once.
    """

    partition: int
    first: int
    until: int
    recorded: int = 0
    stored: int = 0
    superseded: int = 0
    forgotten: int = 0
    aged: int = 0
    skipped: int = 0
    repeated: int = 0
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))


@dataclass(frozen=True)
class Verdict:
    """All partitions, how many answers were computed again, the findings' number and the first of them."""

    topic: str
    accounts: list[Account]
    recomputed: int
    total: int
    findings: list[Finding]


def verify(spark: SparkSession, session: Session, settings: Settings, sample: int) -> Verdict:
    """Compare everything; `sample` pictures are computed again from the bytes that Cassandra holds.

    Raises:
        ServiceError: Kafka or Cassandra does not answer, or the stream has recorded nothing yet.
        BundleError: the settings' model is damaged.
    """
    evidence = gather(spark, session, settings)
    try:
        found = find_all(evidence).persist()
        recomputed, differing = recompute(session, settings, evidence, sample)
        accounts = _accounts(evidence)
        total = len(differing)
        for row in found.groupBy("kind", "partition").count().collect():
            _count(accounts, row["kind"], row["partition"], row["count"])
            total += row["count"]
        for finding in differing:
            _count(accounts, finding.kind, finding.partition, 1)
        ordered = found.orderBy("kind", "partition", "offset", "image_id")
        first = ordered.limit(SHOWN).collect() if total > len(differing) else []
        findings = [Finding(*(row[name] for name in Finding.__dataclass_fields__)) for row in first]
        return Verdict(evidence.topic, list(accounts.values()), recomputed, total, [*findings, *differing][:SHOWN])
    finally:
        evidence.release()


def recompute(session: Session, settings: Settings, evidence: Evidence, sample: int) -> tuple[int, list[Finding]]:
    """Answer a sample of the stored pictures again with the current model; how many, and which came out differently.

    Only answers of that model can be compared, and rejections before any model (whose limits are the settings').
    """
    bundle = Shelf(settings).load(version_in_use(session, settings))
    reader = Reader(bundle, settings.image, None if settings.model.threshold < 0 else settings.model.threshold)
    comparable = evidence.by_day.where(
        F.col("model_version").isin(bundle.version, NO_MODEL)
        # What outlived its time or memory once may not do so again.
        & (F.coalesce("reason_code", F.lit("")) != "decode_failed")
    )
    chosen = comparable.orderBy(F.xxhash64("image_id")).limit(sample).collect()
    findings, compared = [], 0
    for start in range(0, len(chosen), READ_AT_ONCE):
        rows = chosen[start : start + READ_AT_ONCE]
        stored = [(row, read_bytes(session, row["image_id"])) for row in rows]
        there = [(row, content) for row, content in stored if content is not None]
        compared += len(there)
        readings = reader.read([content for _, content in there], apart=True)
        for (row, _), reading in zip(there, readings, strict=True):
            if not _agrees(row, reading) and _still_holds(session, row):
                about = f"computed again it is {_say(reading.outcome, reading.label)}"
                about += f", stored is {_say(row['outcome'], row['label'])}"
                findings.append(Finding("wrong", row["partition"], row["offset"], row["image_id"], about))
    return compared, findings


def _agrees(row: Any, reading: Reading) -> bool:
    if (row["outcome"], row["label"], row["model_version"]) != (reading.outcome, reading.label, reading.model_version):
        return False
    return bool(np.isclose(row["confidence"] or 0.0, reading.confidence, rtol=0, atol=TOLERANCE))


def _still_holds(session: Session, row: Any) -> bool:
    """Whether the bytes are still those of the row's message: a newer upload of the id may have come meanwhile."""
    held = session.execute("SELECT partition, offset FROM images WHERE image_id = %s", (row["image_id"],)).one()
    return held is not None and (held.partition, held.offset) == (row["partition"], row["offset"])


def _say(outcome: str, label: str | None) -> str:
    return outcome if label is None else f"{outcome} {label}"


def _accounts(evidence: Evidence) -> dict[int, Account]:
    accounts = {partition: _account(partition, evidence.ranges) for partition in sorted(evidence.ranges)}
    for partition, account in accounts.items():
        begin = evidence.begins.get(partition, 0)
        account.aged = sum(max(0, min(until, begin) - start) for start, until in evidence.ranges[partition])
    place = ["image_id", "partition", "offset"]
    rows = (
        evidence.messages.where("recorded")
        .join(evidence.forgotten.withColumn("gone", F.lit(True)), "image_id", "left")
        .join(newest_of(evidence.messages).select(*place, F.lit(True).alias("newest")), place, "left")
        .join(evidence.images.select(*place, F.lit(True).alias("held")), place, "left")
    )
    kept = F.col("gone").isNull()
    counted = {
        "recorded": F.lit(True),
        "forgotten": ~kept,
        "superseded": kept & F.col("newest").isNull(),
        "stored": kept & F.col("held"),
    }
    counts = rows.groupBy("partition").agg(*(F.count_if(is_one).alias(name) for name, is_one in counted.items()))
    for row in counts.collect():
        for name in counted:
            setattr(accounts[row["partition"]], name, row[name])
    repeats = evidence.answers.groupBy("partition", "offset").count().groupBy("partition")
    for row in repeats.agg(F.sum(F.col("count") - 1).alias("repeats")).collect():
        if row["partition"] in accounts:
            accounts[row["partition"]].repeated = row["repeats"]
    return accounts


def _account(partition: int, ranges: Ranges) -> Account:
    spans = ranges.get(partition, [])
    first, until = (spans[0][0], spans[-1][1]) if spans else (0, 0)
    return Account(partition, first, until, skipped=until - first - sum(end - start for start, end in spans))


def _count(accounts: dict[int, Account], kind: str, partition: int | None, number: int) -> None:
    """Add to a partition's findings; those of a message that nobody knows are the first partition's."""
    key = min(accounts) if partition is None else partition
    if key not in accounts:
        accounts[key] = _account(key, {})
    accounts[key].found[kind] += number
