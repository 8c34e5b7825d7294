"""Kafka's images.uploaded in, a streaming DataFrame of uploads out (at least once; the checkpoint holds the place)."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery

from inkstream.errors import SettingError
from inkstream.settings import KafkaSettings, Settings, StreamSettings

# Pictures up to this travel with the fast pass, thousands of rows to an Arrow batch; larger ones are read again in a
# pass of their own, a few at a time. Spark 3.5 cuts Arrow batches by rows alone, and a thousand phone pictures are
# gigabytes. So a batch holds at most SMALL_ROWS * SMALL_BYTES or LARGE_ROWS * image.max_image_bytes.
SMALL_BYTES = 64 * 1024
SMALL_ROWS = 1024
LARGE_ROWS = 2

# The columns of Spark's Kafka source that are used.
UPLOADS_DDL = (
    "key binary, value binary, headers array<struct<key: string, value: binary>>, "
    "topic string, partition int, offset bigint, timestamp timestamp"
)

# What a worker is given of an upload.
UPLOAD_COLUMNS = ("key", "value", "size_bytes", "headers", "topic", "partition", "offset", "timestamp_ms")
_OFFSET = re.compile(r'"(\d+)":(\d+)')  # of a partition, as Spark prints the places of its Kafka source
_SIZE = "coalesce(length(value), 0)"


def open_uploads(spark: SparkSession, settings: Settings, start: str) -> DataFrame:
    """The topic as a stream of key, value, headers, topic, partition, offset, timestamp; Kafka's own column types.

    `start` is "earliest", "latest" or an RFC 3339 time; it counts at a first start only, then the checkpoint does.
    """
    return (
        spark.readStream.format("kafka")
        .options(**kafka_options(settings.kafka), **source_options(settings.kafka, settings.stream), **start_at(start))
        .load()
    )


def uploads_of(batch: DataFrame, settings: Settings, *, large: bool) -> DataFrame:
    """A micro-batch as the worker takes it, with UPLOAD_COLUMNS.

    Small pass: every row, the values of large ones left out. Large pass: only those, the value left out over the limit.
    """
    most = settings.image.max_image_bytes if large else SMALL_BYTES
    rows = large_pictures(batch) if large else batch
    columns = {
        "value": f"if({_SIZE} <= {most}, value, NULL)",
        "size_bytes": _SIZE,
        "timestamp_ms": "unix_millis(timestamp)",
    }
    # Texts: each Column is a dozen calls of the JVM, and this is done for every micro-batch.
    return rows.selectExpr(*(f"{columns.get(name, name)} AS {name}" for name in UPLOAD_COLUMNS))


def rows_under_way(query: StreamingQuery | None) -> int | None:
    """How many messages the micro-batch has that the query is busy with; None where it does not know.

    That is so in the first one after a start, whose beginning may be a word such as "earliest".
    """
    if query is None:
        return None
    engine = query._jsq.streamingQuery()
    begin, end = (
        _OFFSET.findall(offsets.toString()) for offsets in (engine.committedOffsets(), engine.availableOffsets())
    )
    if len(begin) != len(end):
        return None
    return sum(int(offset) for _, offset in end) - sum(int(offset) for _, offset in begin)


def large_pictures(batch: DataFrame) -> DataFrame:
    """The messages of a micro-batch that the large pass reads, as they are."""
    return batch.where(f"length(value) > {SMALL_BYTES}")


def source_options(kafka: KafkaSettings, stream: StreamSettings) -> dict[str, str]:
    """Options of the Kafka source alone."""
    return {
        "subscribe": kafka.uploaded,
        "includeHeaders": "true",
        "maxOffsetsPerTrigger": str(stream.max_offsets_per_trigger),
        "failOnDataLoss": str(stream.on_data_loss == "fail").lower(),
        # How long a broker waits for more bytes. 5 ms instead of 500: upload to row 191 instead of 342 ms (median);
        # none instead of 5: at a hundred a second 187-205, not 221-243. A micro-batch's messages are all there already.
        "kafka.fetch.max.wait.ms": "0",
        # Brokers that are away for a minute are waited for; then the stream says so and ends. Kafka's and Spark's own
        # times add up to minutes.
        "kafka.default.api.timeout.ms": "20000",
        "kafka.request.timeout.ms": "15000",
        "kafkaConsumer.pollTimeoutMs": "60000",
    }


def kafka_options(kafka: KafkaSettings) -> dict[str, str]:
    """Options that Spark's Kafka source and sink share: addresses, TLS, SASL."""
    options = {"kafka.bootstrap.servers": kafka.servers, "kafka.security.protocol": kafka.security_protocol}
    if kafka.security_protocol.endswith("SSL") and kafka.ca_file:
        options |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": kafka.ca_file}
    if kafka.security_protocol.startswith("SASL"):
        module = "plain.PlainLoginModule" if kafka.sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        login = f'username="{_quoted(kafka.username)}" password="{_quoted(kafka.password.get_secret_value())}"'
        options |= {
            "kafka.sasl.mechanism": kafka.sasl_mechanism,
            "kafka.sasl.jaas.config": f"org.apache.kafka.common.security.{module} required {login};",
        }
    return options


def _quoted(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", text)


def start_at(start: str) -> dict[str, str]:
    """ "earliest", "latest" or an RFC 3339 time as the source's options.

    Raises:
        SettingError: it is none of these.
    """
    if start in ("earliest", "latest"):
        return {"startingOffsets": start}
    try:
        moment = datetime.fromisoformat(start.replace("Z", "+00:00"))
    except ValueError as error:
        raise SettingError(
            f"--from has the value {start!r}; it takes earliest, latest or a time such as 2026-01-31T08:00:00Z"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return {
        "startingTimestamp": str(int(moment.timestamp() * 1000)),
        # A time after the last message is no mistake: the stream then waits for the next one.
        "startingOffsetsByTimestampStrategy": "latest",
    }
