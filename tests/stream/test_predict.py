"""The worker's side without Spark: Arrow batches in, Arrow batches out."""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.stream.conftest import huge

import inkstream
from inkstream.model import reading
from inkstream.model.bundle import Bundle, bundle_to_bytes, load_bundle, shipped_bundle
from inkstream.records import DEFERRED, decode_answer
from inkstream.settings import ImageSettings
from inkstream.stream import predict
from inkstream.stream.predict import RESULT_SCHEMA, PredictTask, predict_batches

SAMPLES = Path(inkstream.__file__).parent / "samples"
SEVEN = (SAMPLES / "clean_08_7.png").read_bytes()
PHOTO = (SAMPLES / "photo_03_7.jpg").read_bytes()
HEADER = pa.struct([("key", pa.string()), ("value", pa.binary())])
LIMITS = ImageSettings()


class Broadcast:
    """A broadcast outside of Spark."""

    def __init__(self, value: bytes) -> None:
        self.value = value


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(shipped_bundle())


def task_of(bundle: Bundle, **changes: Any) -> PredictTask:
    plain = {"version": bundle.version, "limits": LIMITS, "threshold": None, "batch_rows": 512}
    return PredictTask(Broadcast(bundle_to_bytes(bundle)), **(plain | changes))


def batch_of(values: list[bytes | None], sizes: list[int] | None = None) -> pa.RecordBatch:
    headers = [[{"key": "filename", "value": b"a.png"}, {"key": "filename", "value": b"\xff"}] for _ in values]
    columns = {
        "key": pa.array([f"id{number}".encode() for number in range(len(values))], pa.binary()),
        "value": pa.array(values, pa.binary()),
        "size_bytes": pa.array(sizes or [len(value or b"") for value in values], pa.int32()),
        "headers": pa.array(headers, pa.list_(HEADER)),
        "topic": pa.array(["t"] * len(values)),
        "partition": pa.array([0] * len(values), pa.int32()),
        "offset": pa.array(range(len(values)), pa.int64()),
        "timestamp_ms": pa.array([1_769_846_400_123] * len(values), pa.int64()),
    }
    return pa.RecordBatch.from_pydict(columns)


def rows_of(task: PredictTask, *batches: pa.RecordBatch) -> list[dict[str, Any]]:
    table = pa.Table.from_batches(list(predict_batches(task, iter(batches))), RESULT_SCHEMA)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_a_row_comes_out_for_every_row_in_order(bundle: Bundle) -> None:
    rows = rows_of(task_of(bundle, batch_rows=2), batch_of([SEVEN, b"junk", PHOTO]), batch_of([b"", SEVEN]))
    assert [row["image_id"] for row in rows] == ["id0", "id1", "id2", "id0", "id1"]
    assert [row["label"] for row in rows] == ["7", None, "7", None, "7"]
    assert all(decode_answer(row["answer"])["id"] == row["image_id"] for row in rows)


def test_the_answer_does_not_depend_on_the_company(bundle: Bundle) -> None:
    alone = rows_of(task_of(bundle), batch_of([PHOTO]))[0]
    among = rows_of(task_of(bundle, batch_rows=33), batch_of([SEVEN] * 40 + [PHOTO] + [SEVEN] * 40))[40]
    for column in ("label", "confidence", "probabilities", "prepared", "why"):
        assert alone[column] == among[column]


def test_bytes_of_the_second_pass_stay_in_kafka(bundle: Bundle) -> None:
    (small,) = rows_of(task_of(bundle, defer=True), batch_of([SEVEN]))
    (large,) = rows_of(task_of(bundle, defer=False), batch_of([SEVEN]))
    assert (small["bytes"], large["bytes"]) == (SEVEN, None)
    assert small["sha256"] == large["sha256"] == hashlib.sha256(SEVEN).hexdigest()


def test_headers_are_kept_of_the_rejected_alone(bundle: Bundle) -> None:
    good, bad = rows_of(task_of(bundle), batch_of([SEVEN, b"junk"]))
    assert good["headers"] is None
    assert bad["headers"] == [{"key": "filename", "value": b"a.png"}, {"key": "filename", "value": b"\xff"}]
    assert bad["filename"] == "\ufffd"


def test_a_sliced_batch_keeps_each_rows_own_headers(bundle: Bundle) -> None:
    whole = batch_of([SEVEN, b"junk", SEVEN])
    (row,) = rows_of(task_of(bundle), whole.slice(1, 1))
    assert (row["image_id"], len(row["headers"])) == ("id1", 2)


def test_a_large_picture_is_left_to_the_second_pass(bundle: Bundle) -> None:
    batch = batch_of([SEVEN, None, None], [len(SEVEN), 70_000, 0])
    first = rows_of(task_of(bundle, defer=True), batch)
    assert [row["outcome"] for row in first] == ["recognised", DEFERRED, "rejected"]
    assert [row["reason_code"] for row in first] == [None, None, "unreadable"]


def test_a_picture_over_the_limit_is_too_large_without_its_bytes(bundle: Bundle) -> None:
    (row,) = rows_of(task_of(bundle), batch_of([None], [LIMITS.max_image_bytes + 1]))
    assert (row["outcome"], row["reason_code"]) == ("rejected", "too_large")
    assert f"{LIMITS.max_image_bytes + 1:,}" in row["reason"]


def test_the_model_is_loaded_once_a_process(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []

    def counted(loaded: Bundle) -> Any:
        loads.append(loaded.version)
        return open_engine(loaded)

    open_engine = reading.open_engine
    monkeypatch.setattr(reading, "open_engine", counted)
    predict._readers.clear()
    for _ in range(3):
        rows_of(task_of(bundle), batch_of([SEVEN]))
    assert loads == [bundle.version]


def test_the_threshold_of_the_settings_comes_before_the_bundles(bundle: Bundle) -> None:
    assert rows_of(task_of(bundle, threshold=1.0), batch_of([PHOTO]))[0]["outcome"] == "uncertain"
    assert rows_of(task_of(bundle, threshold=0.0), batch_of([PHOTO]))[0]["outcome"] == "recognised"


def test_a_worker_ends_itself_over_a_picture_that_takes_too_long(bundle: Bundle) -> None:
    task = task_of(bundle, limits=ImageSettings(decode_limit_s=0.05))

    def work() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # pytest's own limit, as a worker has none
        rows_of(task, batch_of([SEVEN]))  # in time: the alarm is off again afterwards
        time.sleep(0.1)
        rows_of(task, batch_of([huge()]))

    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join(30)
    assert worker.exitcode == -signal.SIGALRM


def test_pictures_read_apart_get_the_same_answers(bundle: Bundle) -> None:
    pictures = [SEVEN, b"broken", PHOTO]
    together, apart = (rows_of(task_of(bundle, apart=apart), batch_of(pictures)) for apart in (False, True))
    for row in (*together, *apart):
        for name in ("stage_times", "predicted_at", "answer"):  # of the clock
            del row[name]
    assert apart == together
