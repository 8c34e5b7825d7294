"""What other Spark jobs than ours do on a worker: uploads in, rows of records.RESULT out, in two ways.

Both prepare pictures and make rows as the stream does. In a module: what a script defines is pickled by value, and a
model that it keeps would be loaded anew for every task.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter, time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.storing import Message, row_of
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.engine import calibrated
from inkstream.model.reading import Reader, _stacked
from inkstream.records import RESULT, Reading
from inkstream.stream.predict import RESULT_SCHEMA, PredictTask, predict_batches, reader_for

# An upload as these take it, and what the first of the three steps adds to it.
UPLOAD = ("key", "value", "headers", "topic", "partition", "offset", "timestamp_ms")
UPLOAD_DDL = (
    "key binary, value binary, headers array<struct<key:string,value:binary>>, topic string, partition int, "
    "offset bigint, timestamp_ms bigint"
)
PREPARED_DDL = f"{UPLOAD_DDL}, known binary, pixels array<float>"
PREDICTED_DDL = "probabilities array<float>, predict_ms float"
# What is left of a row where nothing is stored.
ANSWER = ("image_id", "answer")
ANSWER_DDL = ", ".join(f"{name} {RESULT[name]}" for name in ANSWER)

_readers: dict[str, Reader] = {}


def _reader_of(task: PredictTask) -> Reader:
    """As reader_for, found by the version alone: a row at a time, the hash of all settings would count."""
    if task.version not in _readers:
        _readers[task.version] = reader_for(task)
    return _readers[task.version]


def answer_one(task: PredictTask, *upload: Any) -> tuple[Any, ...]:
    """One upload in, UPLOAD's values; its row out: for a plain Python UDF, which Spark calls once an event."""
    reader = _reader_of(task)
    key, value, headers, *place = upload
    message = Message(None if key is None else bytes(key), bytes(value), headers, *place)
    [reading] = reader.read([message.value])
    return row_of(message, reading, time())


def answer_one_alone(task: PredictTask, *upload: Any) -> tuple[Any, ...]:
    """As answer_one, ANSWER's columns alone."""
    row = dict(zip(RESULT, answer_one(task, *upload), strict=True))
    return tuple(row[name] for name in ANSWER)


def answer_batches(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The stream's own step, ANSWER's columns alone."""
    for batch in predict_batches(task, batches):
        yield batch.select(ANSWER)


def prepare_batches(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Uploads in; the same with what is known of each (pickled) and its pixels, float32 (784,), 0..255, out.

    What was rejected has a blank picture, so that the model's column has no nulls.
    """
    reader = _reader_of(task)
    side = int(np.prod(reader.bundle.input_shape))
    for batch in batches:
        known = [reader._prepare(value) for value in batch.column("value").to_pylist()]
        pixels = np.zeros((len(known), side), np.float32)
        for row, one in zip(pixels, known, strict=True):
            if not isinstance(one, Reading):
                row[:] = one.pixels.reshape(-1)
        lists = pa.ListArray.from_arrays(np.arange(0, pixels.size + 1, side, dtype=np.int32), pixels.reshape(-1))
        columns = [*batch.columns, pa.array([pickle.dumps(one) for one in known], pa.binary()), lists]
        yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names, "known", "pixels"])


def make_predict() -> Callable[[np.ndarray[Any, Any]], Mapping[str, np.ndarray[Any, Any]]]:
    """The shipped bundle's Keras model, for predict_batch_udf; Spark calls this once a worker.

    One thread, as there is a task a core. predict_on_batch: predict makes a data set of each call and takes ten times
    as long.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    bundle = load_bundle(shipped_bundle())
    model = keras.saving.load_model(bundle.keras[0], compile=False)

    def predict(pixels: np.ndarray[Any, Any]) -> Mapping[str, np.ndarray[Any, Any]]:
        started = perf_counter()
        logits = np.asarray(model.predict_on_batch(pixels.reshape(-1, *model.input_shape[1:])))
        probabilities = calibrated(logits, bundle.temperature)
        predict_ms = (perf_counter() - started) * 1000 / len(pixels)
        return {"probabilities": probabilities, "predict_ms": np.full(len(pixels), predict_ms, np.float32)}

    return predict


def finish_batches(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Uploads with what is known of each, probabilities and predict_ms in; rows out."""
    reader = _reader_of(task)
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in (*UPLOAD, "known", "predict_ms")}
        columns["headers"] = [_pairs(headers) for headers in columns["headers"]]
        probabilities = batch.column("probabilities").flatten().to_numpy().reshape(batch.num_rows, -1)
        now = time()
        known = [pickle.loads(one) for one in columns["known"]]
        asked = [number for number, one in enumerate(known) if not isinstance(one, Reading)]
        ready = [known[number] for number in asked]
        answers: Iterator[Reading] = iter(())
        if ready:
            predict_ms = round(columns["predict_ms"][asked[0]], 3)
            answers = reader._answer(ready, _stacked(ready), probabilities[asked], predict_ms)
        rows = [
            row_of(Message(*place), one if isinstance(one, Reading) else next(answers), now)
            for one, place in zip(known, zip(*(columns[name] for name in UPLOAD), strict=True), strict=True)
        ]
        arrays = [
            pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), RESULT_SCHEMA, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=RESULT_SCHEMA)


def _pairs(headers: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, bytes]]:
    return [(header["key"], header["value"]) for header in headers or ()]
