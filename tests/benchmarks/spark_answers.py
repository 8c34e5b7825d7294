"""A Spark job for each way to answer uploads that is not ours, and ours without tables; ended by SIGTERM.

batch-udf: predict_batch_udf and Keras, as Spark's documentation shows it, between a step that prepares and one that
makes rows: Spark joins no two such steps, each has a Python process of its own. row-by-row: a plain Python UDF, called
once an event, LiteRT with a batch of one, as in Crayfish (EDBT 2024). ours: the stream's own step, without tables only;
with them it is jobs/predict_stream.py.

Rows go to the three tables through the connector, then answers to Kafka, at least once; with --no-tables answers alone.
All run with the stream's own configuration and its warm Python daemon, which for Keras imports TensorFlow too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cassandra.cluster import Session
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.util import inheritable_thread_target

from benchmarks.spark_answering import (
    ANSWER_DDL,
    PREDICTED_DDL,
    PREPARED_DDL,
    UPLOAD,
    answer_batches,
    answer_one,
    answer_one_alone,
    finish_batches,
    make_predict,
    prepare_batches,
)
from inkstream.records import (
    ANSWER_SCHEMA_VERSION,
    IMAGES,
    PREDICTIONS,
    PREDICTIONS_BY_DAY,
    REJECTED,
    RESULT_DDL,
)
from inkstream.settings import Settings, load_settings
from inkstream.spark import build_session
from inkstream.store.session import await_on_disk, open_session
from inkstream.stream.many import BY_PARTITION, TOGETHER, save_rows
from inkstream.stream.predict import PredictTask
from inkstream.stream.running import broadcast_task
from inkstream.stream.source import SMALL_ROWS, kafka_options, open_uploads

BATCH_SIZE = 512  # of 32, 128, 512 and 1,024 the last two cost Keras the least, within a tenth of one another
Answer = Callable[[DataFrame], DataFrame]  # Kafka's columns in, those of records.RESULT out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["batch-udf", "row-by-row", "ours"])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--no-tables", action="store_true")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    parser.add_argument("--arrow-rows", type=int, default=SMALL_ROWS)
    arguments = parser.parse_args()
    if arguments.way == "ours" and not arguments.no_tables:
        parser.error("ours with tables is jobs/predict_stream.py")
    settings = load_settings()
    more = {"spark.sql.execution.arrow.maxRecordsPerBatch": str(arguments.arrow_rows)}
    if arguments.way == "batch-udf":
        more["spark.python.daemon.module"] = "benchmarks.spark_keras_daemon"
    spark = build_session(settings, f"bench-{arguments.way}", more=more)
    answer = _answer(arguments.way, spark, settings, arguments.batch_size, not arguments.no_tables)
    uploads = open_uploads(spark, settings, "earliest")
    if arguments.no_tables:
        publishing = answers(answer(uploads)).writeStream.format("kafka").options(**_topic(settings, predicted=True))
        publishing.option("checkpointLocation", arguments.checkpoint).start().awaitTermination()
        return 0
    with open_session(settings.cassandra) as session:
        storing = uploads.writeStream.foreachBatch(partial(store_batch, settings, session, answer))
        storing.option("checkpointLocation", arguments.checkpoint).start().awaitTermination()
    return 0


def _answer(way: str, spark: SparkSession, settings: Settings, batch_size: int, stored: bool) -> Answer:
    task = broadcast_task(spark, settings)
    if way == "batch-udf":
        return batch_udf(task, batch_size)
    return row_by_row(task, stored) if way == "row-by-row" else ours(task)


def ours(task: PredictTask) -> Answer:
    """The stream's own step, once over all pictures, whatever their size; answers alone."""

    def answer(uploads: DataFrame) -> DataFrame:
        sized = _plain(uploads).withColumn("size_bytes", F.length("value"))
        return sized.mapInArrow(partial(answer_batches, task), ANSWER_DDL)

    return answer


def row_by_row(task: PredictTask, stored: bool) -> Answer:
    """Called once an event; nondeterministic, so that Spark does not call it again for every column of its row."""
    function, returned = (answer_one, RESULT_DDL) if stored else (answer_one_alone, ANSWER_DDL)
    row = F.udf(partial(function, task), returned).asNondeterministic()
    return lambda uploads: _plain(uploads).select(row(*UPLOAD).alias("row")).select("row.*")


def batch_udf(task: PredictTask, batch_size: int) -> Answer:
    """Prepare, predict, make rows."""
    returned = T._parse_datatype_string(PREDICTED_DDL)
    # Made once: another one would have each worker load the model again.
    predict = predict_batch_udf(make_predict, return_type=returned, batch_size=batch_size, input_tensor_shapes=[[784]])

    def answer(uploads: DataFrame) -> DataFrame:
        prepared = _plain(uploads).mapInArrow(partial(prepare_batches, task), PREPARED_DDL)
        predicted = prepared.select(*UPLOAD, "known", predict("pixels").alias("predicted"))
        return predicted.select(*UPLOAD, "known", "predicted.*").mapInArrow(partial(finish_batches, task), RESULT_DDL)

    return answer


def _plain(uploads: DataFrame) -> DataFrame:
    columns = {
        "value": F.coalesce("value", F.lit(b"")),
        "timestamp_ms": F.unix_millis("timestamp"),
    }
    return uploads.select(*(columns.get(name, F.col(name)).alias(name) for name in UPLOAD))


def store_batch(settings: Settings, session: Session, answer: Answer, batch: DataFrame, _: int) -> None:
    """Every row to every table, then every answer to Kafka, and copies of what was rejected."""
    results = answer(batch).persist()
    rejected = results.where(F.col("outcome") == REJECTED)
    try:
        any_rejected = rejected.count() > 0
        rows = results.coalesce(batch.sparkSession.sparkContext.defaultParallelism)
        tables = [
            ("images", IMAGES, TOGETHER),
            ("predictions", PREDICTIONS, TOGETHER),
            ("predictions_by_day", PREDICTIONS_BY_DAY, BY_PARTITION),
        ]
        _together(*(partial(save_rows, rows, settings.cassandra.keyspace, *table) for table in tables))
        await_on_disk(session)
        _publish(answers(rows), _topic(settings, predicted=True))
        if any_rejected:
            _publish(copies(rejected), _topic(settings, predicted=False))
    finally:
        results.unpersist()


def _together(*writes: Callable[[], None]) -> None:
    """Run the writes side by side; all end before the first error is raised."""
    with ThreadPoolExecutor(len(writes)) as threads:
        for future in [threads.submit(inheritable_thread_target(write)) for write in writes]:
            future.result()


def _publish(messages: DataFrame, options: Mapping[str, str]) -> None:
    messages.write.format("kafka").options(**options).save()


def _topic(settings: Settings, *, predicted: bool) -> dict[str, str]:
    kafka = settings.kafka
    more = {"kafka.acks": "all", "kafka.max.request.size": str(settings.image.max_copy_bytes)}
    topic = kafka.predicted if predicted else kafka.rejected
    return {**kafka_options(kafka), **more, "topic": topic, "includeHeaders": "true"}


def answers(rows: DataFrame) -> DataFrame:
    """What is published of each row."""
    version = F.array(_header("schema-version", F.lit(ANSWER_SCHEMA_VERSION)))
    return rows.select(F.col("image_id").alias("key"), F.col("answer").alias("value"), version.alias("headers"))


def copies(rejected: DataFrame) -> DataFrame:
    """A copy of each rejected upload, with its reason."""
    why = F.array(_header("reason-code", F.col("reason_code")), _header("reason", F.col("reason")))
    headers = F.concat(why, F.coalesce("headers", F.array().cast("array<struct<key:string,value:binary>>")))
    return rejected.select(F.col("image_id").alias("key"), F.col("bytes").alias("value"), headers.alias("headers"))


def _header(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), value.cast("binary").alias("value"))


if __name__ == "__main__":
    sys.exit(main())
