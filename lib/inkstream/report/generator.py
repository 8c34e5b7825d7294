"""A number in; so many plausible rows of predictions_by_day out, as a Spark frame: for tests and the benchmark.

Each value is made of the seed and the row's number alone, so the same call gives the same rows on any cluster. The
confidences are calibrated: an answer of confidence c agrees with its claimed label c of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.records import BUCKETS_AN_HOUR, PREDICTIONS_BY_DAY, REASON_CODES, RECOGNISED, REJECTED, UNCERTAIN
from inkstream.settings import Settings
from inkstream.store.tables import CONNECTOR

VERSION = "generated"
SOURCES = {"phone": 46, "scanner": 20, "school": 14, "post office": 9, "tablet": 6, "archive": 4, "curl": 1}
KINDS = {"png": 55, "jpg": 35, "heic": 5, "tif": 3, "webp": 2}
MIX = (9.9, 11.2, 9.9, 10.2, 9.7, 9.0, 9.9, 10.4, 9.8, 9.9)  # percent of each digit, as in MNIST
REJECTED_SHARE = 0.03
CLAIMED_SHARE = 0.6
THRESHOLD = 0.9
INK = (0.17, 0.08, 0.15, 0.14, 0.12, 0.13, 0.14, 0.11, 0.15, 0.12)  # mean share of ink of each digit
_BITS = 1 << 40
_TASK_ROWS = 50_000


def generate_rows(
    spark: SparkSession,
    count: int,
    first_day: date,
    days: int = 1,
    *,
    seed: int = 1,
    version: str = VERSION,
    mix: Sequence[float] = MIX,
    ink: float = 1.0,
) -> DataFrame:
    """`count` rows over `days` days from first_day on (UTC), a little more towards the end and by day than by night.

    version: the model that answers; the same seed under another version is a re-score of the same pictures.
    mix: how much of each digit 0-9. ink: a factor on how dark the strokes are.
    """
    numbers = spark.range(0, count, numPartitions=max(2, count // _TASK_ROWS))
    picture = _Picture(seed)
    digit = picture.pick(mix)
    day = F.floor(F.pow(picture.uniform("day"), F.lit(0.85)) * days).cast("int")
    awake = (picture.uniform("hour") + picture.uniform("hours")) * 7 + 7
    hour = F.floor(F.when(picture.uniform("night") < 0.2, picture.uniform("hour") * 24).otherwise(awake)).cast("int")
    answer = _Picture(seed, version)
    confidence = 1 - F.pow(answer.uniform("sure"), F.lit(12.0)) * 0.6
    right = answer.uniform("right") < confidence
    midnight = F.unix_timestamp(F.lit(datetime(first_day.year, first_day.month, first_day.day)).cast("timestamp"))
    seconds = midnight + day * 86_400 + hour * 3600 + picture.uniform("second") * 3600
    rows = (
        numbers.withColumn("image_id", F.md5(F.concat_ws("-", F.lit(seed), "id")))
        .withColumn("uploaded_at", F.timestamp_millis(F.floor(seconds * 1000)))
        .withColumn("day", F.to_date("uploaded_at"))
        .withColumn("bucket", (hour * BUCKETS_AN_HOUR + F.crc32("image_id") % BUCKETS_AN_HOUR).cast("int"))
        .withColumn("rejected", picture.uniform("rejected") < REJECTED_SHARE)
        .withColumn("digit", digit)
        .withColumn("confidence", F.when(~F.col("rejected"), confidence).cast("float"))
        .withColumn("answered", F.when(right, digit).otherwise((digit + 1 + F.floor(answer.uniform("other") * 9)) % 10))
    )
    return rows.select(*_columns(picture, answer, version, ink))


def store_rows(rows: DataFrame, settings: Settings) -> None:
    """Put rows into predictions_by_day, and mark their days as changed."""
    keyspace = settings.cassandra.keyspace
    save(rows, "predictions_by_day", keyspace)
    mark_days(rows.select("day").distinct(), keyspace)


def mark_days(days: DataFrame, keyspace: str) -> None:
    """Say of the days (column day) that they changed now."""
    save(days.withColumn("changed_at", F.lit(datetime.now(timezone.utc))), "changed_days", keyspace)


def save(rows: DataFrame, table: str, keyspace: str) -> None:
    """Append rows to a table of Cassandra."""
    rows.write.format(CONNECTOR).options(table=table, keyspace=keyspace).option(
        "spark.cassandra.output.batch.size.bytes", str(64 * 1024)
    ).mode("append").save()


class _Picture:
    """Random numbers of a row: the same for the same seed, row, name and (where one is given) version."""

    def __init__(self, seed: int, version: str = "") -> None:
        self._of = f"{seed}/{version}"

    def uniform(self, name: str) -> Column:
        """0 <= number < 1."""
        hashed = F.xxhash64(F.lit(f"{self._of}/{name}"), F.col("id"))
        return F.pmod(hashed, F.lit(_BITS)).cast("double") / _BITS

    def pick(self, weights: Sequence[float], name: str = "digit") -> Column:
        """An index into the weights, each as likely as its weight."""
        total, below, steps = sum(weights), 0.0, []
        for weight in weights[:-1]:
            below += weight / total
            steps.append(below)
        uniform = self.uniform(name)
        return sum((F.when(uniform >= step, 1).otherwise(0) for step in steps), F.lit(0))

    def choose(self, weights: Mapping[str, float], name: str) -> Column:
        """One of the keys."""
        names = F.array(*(F.lit(key) for key in weights))
        return names[self.pick(list(weights.values()), name)]

    def milliseconds(self, name: str, median: float) -> Column:
        """A time with a long tail."""
        return F.round(F.exp((self.uniform(name) + self.uniform(name + "'") - 1) * 1.5) * median, 3)


def _columns(picture: _Picture, answer: _Picture, version: str, ink: float) -> list[Column]:
    rejected, digit = F.col("rejected"), F.col("digit")
    reason = picture.choose({code: len(REASON_CODES) - number for number, code in enumerate(REASON_CODES)}, "reason")
    kind = picture.choose(KINDS, "kind")
    medians = {"decode_ms": 0.4, "normalise_ms": 0.9, "predict_ms": 0.1, "queued_ms": 120.0}
    times = F.to_json(F.struct(*(answer.milliseconds(name, median).alias(name) for name, median in medians.items())))
    shares = F.array(*(F.lit(share) for share in INK))
    made = {
        "model_version": F.lit(version),
        "outcome": F.when(rejected, REJECTED).when(F.col("confidence") < THRESHOLD, UNCERTAIN).otherwise(RECOGNISED),
        "label": F.when(~rejected, F.col("answered").cast("string")),
        "reason_code": F.when(rejected, reason),
        "filename": F.concat(F.lit("picture-"), F.col("id"), F.lit("."), kind),
        "source": picture.choose(SOURCES, "source"),
        "topic": F.lit("images.uploaded"),
        "partition": (F.col("id") % 4).cast("int"),
        "offset": F.col("id"),
        "stage_times": times,
        "claimed_label": F.when(picture.uniform("claimed") < CLAIMED_SHARE, digit.cast("string")),
        "ink_share": F.when(
            ~rejected, shares[digit] * ink * (0.6 + 0.4 * (picture.uniform("ink") + picture.uniform("pen")))
        ).cast("float"),
        "predicted_at": F.col("uploaded_at") + F.expr("INTERVAL 1 SECOND"),
    }
    return [made[name].alias(name) if name in made else F.col(name) for name in PREDICTIONS_BY_DAY]
