"""Stored images through a Keras model as Spark's documentation of predict_batch_udf shows it: rows of a version out.

What `jobs/rescore.py` does, by somebody who has the project's decoder, normaliser, bundle and tables, but not its job.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from inkstream.errors import Rejected
from inkstream.image.decode import decode
from inkstream.image.normalise import normalise
from inkstream.model.bundle import Bundle, load_bundle
from inkstream.model.engine import calibrated
from inkstream.records import BUCKETS_AN_HOUR, PREDICTIONS, PREDICTIONS_BY_DAY, RECOGNISED, UNCERTAIN, encode_json
from inkstream.settings import ImageSettings, load_settings
from inkstream.spark import build_session
from inkstream.store.tables import CONNECTOR, read_table

ROWS = 512
PREPARED = "pixels array<float>, prepared binary, why string, ink_share float"
ANSWERED = T.StructType().add("probabilities", T.ArrayType(T.FloatType())).add("at", T.DoubleType())
BEST = "int(array_position(answer.probabilities, array_max(answer.probabilities)))"  # F's takes no column for the value


def prepared_pictures(batches: Iterator[pd.Series]) -> Iterator[pd.DataFrame]:
    """Bytes of pictures in; the model's input and what the tables hold of it out, nothing where there is no picture."""
    limits = ImageSettings()
    for batch in batches:
        yield pd.DataFrame(
            [_prepared(data, limits) for data in batch], columns=["pixels", "prepared", "why", "ink_share"]
        )


def _prepared(data: bytes, limits: ImageSettings) -> tuple[Any, ...]:
    try:
        one = normalise(decode(data, limits).pixels)
    except Rejected:
        return (None, None, None, None)
    pixels = one.pixels
    return (pixels.astype(np.float32).ravel(), pixels.tobytes(), encode_json(one.why).decode(), pixels.mean() / 255.0)


@dataclass(frozen=True)
class Predictor:
    """Spark calls it once in a Python worker, and what it returns for each batch."""

    keras: str
    temperature: float

    def __call__(self) -> Callable[[np.ndarray[Any, Any]], dict[str, np.ndarray[Any, Any]]]:
        import keras

        model = keras.saving.load_model(self.keras, compile=False)

        def predict(pixels: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
            shaped = pixels.reshape(-1, *model.input_shape[1:])
            logits = model.predict(shaped, batch_size=len(shaped), verbose=0)
            return {"probabilities": calibrated(logits, self.temperature), "at": np.full(len(pixels), time.time())}

        return predict


def answered(images: DataFrame, bundle: Bundle) -> DataFrame:
    """Rows of `images` in; the columns of `predictions` and of `predictions_by_day` out."""
    side = int(np.prod(bundle.input_shape))
    predict = predict_batch_udf(
        Predictor(str(bundle.keras[0]), bundle.temperature),
        return_type=ANSWERED, batch_size=ROWS, input_tensor_shapes=[[side]],
    )  # fmt: skip
    prepare = F.pandas_udf(prepared_pictures, PREPARED)
    rows = images.withColumn("picture", prepare("bytes")).drop("bytes").where("picture.pixels IS NOT NULL")
    rows = rows.withColumn("answer", predict("picture.pixels"))
    probabilities = F.col("answer.probabilities")
    labels = F.array(*map(F.lit, bundle.labels))
    columns: dict[str, Column] = {
        "model_version": F.lit(bundle.version),
        "confidence": F.array_max(probabilities),
        "label": F.element_at(labels, F.expr(BEST)),
        "outcome": F.when(F.array_max(probabilities) >= bundle.threshold, RECOGNISED).otherwise(UNCERTAIN),
        "probabilities": F.to_json(F.map_from_arrays(labels, probabilities)),
        "reason_code": F.lit(None).cast("string"),
        "reason": F.lit(None).cast("string"),
        "stage_times": F.lit(None).cast("string"),
        "why": F.col("picture.why"),
        "prepared": F.col("picture.prepared"),
        "ink_share": F.col("picture.ink_share"),
        "predicted_at": F.timestamp_micros((F.col("answer.at") * 1e6).cast("long")),
        "day": F.to_date("uploaded_at"),
        "bucket": (
            F.hour("uploaded_at") * BUCKETS_AN_HOUR + F.crc32(F.col("image_id").cast("binary")) % BUCKETS_AN_HOUR
        ).cast("int"),
    }
    return rows.withColumns(columns)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", help="its folder")
    bundle = load_bundle(parser.parse_args(argv).bundle)
    settings = load_settings()
    spark = build_session(settings, "rescore-udf")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(ROWS))
    rows = answered(read_table(spark, settings, "images"), bundle).persist()
    for table, names in (("predictions", PREDICTIONS), ("predictions_by_day", PREDICTIONS_BY_DAY)):
        writer = rows.select(*names).write.format(CONNECTOR).mode("append")
        writer.options(table=table, keyspace=settings.cassandra.keyspace).save()
    spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
