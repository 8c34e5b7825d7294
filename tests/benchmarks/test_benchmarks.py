"""The benchmarks' bookkeeping against known numbers, and one tiny drain on real services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from benchmarks import drain
from benchmarks.__main__ import BENCHMARKS, chosen
from benchmarks.broken import broken_among
from benchmarks.cold import loads_in
from benchmarks.contenders import Contender, plain, spark
from benchmarks.counting_daemon import counted
from benchmarks.disk import cassandra_bytes, kafka_bytes
from benchmarks.drain import ROW_BY_ROW, WARM_UP, Waiting, drain_once, turns
from benchmarks.figures import (
    OURS,
    Case,
    Incomplete,
    Outcome,
    check_complete,
    comparable,
    percentiles,
    report_of,
    warm_rate,
)
from benchmarks.latency import BATCH
from benchmarks.options import Options, pictures_of
from benchmarks.place import Place
from benchmarks.processes import DRIVER, JVM, OTHER, WORKER, kind_of
from benchmarks.rescore import check_rows
from benchmarks.scale import Look, between
from benchmarks.showing import draw, show
from benchmarks.spark_answering import UPLOAD, answer_one, answer_one_alone, finish_batches, prepare_batches
from benchmarks.storing import Answerer, Message
from inkstream.cli.bench import NAMES
from inkstream.image.samples import FOLDER
from inkstream.local.services import RunningServices
from inkstream.model.bundle import bundle_to_bytes, load_bundle, shipped_bundle
from inkstream.producer.pictures import Picture
from inkstream.records import RESULT
from inkstream.settings import ImageSettings, Settings
from inkstream.store.session import open_session
from inkstream.stream.predict import PredictTask, reader_for
from inkstream.stream.progress import Progress
from inkstream.stream.sink import BatchReport

RATES = Case(
    "a drain",
    "warm_per_s",
    True,
    {
        OURS: [{"warm_per_s": 900.0}, {"warm_per_s": 300.0}, {"warm_per_s": 800.0}],
        "other": [{"warm_per_s": 300.0}, {"warm_per_s": 150.0}, {"warm_per_s": 200.0}],
    },
)


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    assert RATES.medians(OURS) == {"warm_per_s": 800.0}
    assert RATES.ratio("other") == 3.0  # of 3, 2 and 4; that of the medians would be 4


def test_of_a_time_the_smaller_one_is_better() -> None:
    times = Case("a latency", "p50_s", False, {OURS: [{"p50_s": 0.2}], "other": [{"p50_s": 0.5}]})
    assert times.ratio("other") == 2.5


def test_the_others_are_compared_with_the_base_where_that_is_not_ours() -> None:
    sizes = {"1 x": [{"ms": 2.0}], "2 x": [{"ms": 3.0}]}
    case = Case("a cost", "ms", False, sizes, base="1 x")
    assert (case.ratio("2 x"), case.as_json()["contenders"]["1 x"]["ours_is_better_by"]) == (1.5, None)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles([float(n) for n in range(100, 0, -1)]) == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}
    assert set(percentiles([7.0]).values()) == {7.0}


def test_the_warm_rate_begins_when_the_warm_up_is_answered() -> None:
    cold = [1000.0 * n for n in range(100)]  # 100 in 99 s
    warm = [99_000.0 + 10 * n for n in range(1, 202)]  # 201 in 2.01 s; one of them is the slack
    assert round(warm_rate([*warm, *cold], 100), 3) == round(200 / 2.01, 3)


def test_the_stages_are_read_from_the_streams_own_line(caplog: pytest.LogCaptureFixture) -> None:
    report = BatchReport(3, rows=7, seconds={"batch": 0.5, "predict": 0.1, "find": 0.02, "tables": 0.2, "topics": 0.1})
    with caplog.at_level("INFO", "inkstream.stream.progress"):
        Progress(Settings.model_construct(), quiet=True).batch_done(report)
    found = BATCH.search(caplog.text)
    assert found is not None
    assert found.groupdict() == {
        "rows": "7", "batch": "0.50", "predict": "0.10", "find": "0.02", "tables": "0.20", "topics": "0.10",
    }  # fmt: skip


def test_a_run_that_lost_a_row_has_failed() -> None:
    ids = {"a", "b", "c"}
    check_complete(ids, {"images": ["c", "b", "a", "a"]})  # an answer may come twice
    with pytest.raises(Incomplete, match="images lacks 1 of 3 uploads, b for one"):
        check_complete(ids, {"images": ["a", "c", "c"]})
    with pytest.raises(Incomplete, match="images has 1 ids that were not sent, x for one"):
        check_complete(ids, {"images": ["a", "b", "c", "x"]})


def test_what_an_image_costs_is_what_was_spent_between_two_looks() -> None:
    first, second = Look(1_000, 5.0, 3.0, 1.0, 2.0, 700.0), Look(3_000, 9.0, 4.0, 1.5, 5.0, 720.0)
    assert between(first, second) == {
        "stream_cpu_ms": 0.5, "kafka_cpu_ms": 0.25, "cassandra_cpu_ms": 1.5, "wall_ms": 2.0, "memory_mib": 720.0,
    }  # fmt: skip


def test_a_worker_is_a_child_of_the_daemon() -> None:
    daemon = ["/venv/bin/python", "-m", "inkstream.stream.daemon"]
    java = ["/java/bin/java", "-cp", "jars/*", "org.apache.spark.deploy.SparkSubmit", "jobs/predict_stream.py"]
    assert kind_of(java, []) == JVM
    assert (kind_of(daemon, java), kind_of(daemon, daemon)) == (OTHER, WORKER)
    assert kind_of(["/venv/bin/python", "/here/jobs/predict_stream.py", "--quiet"], java) == DRIVER


def test_loads_of_the_model_are_the_lines_that_workers_wrote(tmp_path: Path) -> None:
    loads, log = tmp_path / "loads", tmp_path / "stream.log"
    log.write_text("batch 0: 7 rows in 0.50 s (predict 0.1, find 0.0, tables 0.2, topics 0.1), rejected 0\n")
    with pytest.raises(Incomplete, match="no worker told of a load"):
        loads_in(loads, log)
    load = counted(bytes.decode, str(loads))
    assert [load(b"a"), load(b"b")] == ["a", "b"]
    with loads.open("a") as file:
        file.write("another\n")
    assert loads_in(loads, log) == {"model_loads": 3, "workers": 2, "most_in_a_worker": 2, "micro_batches": 1}


def test_a_plain_consumer_that_is_slow_makes_a_run_not_comparable() -> None:
    assert comparable(850, 1000)
    assert not comparable(849, 1000)


def test_the_report_holds_every_round_with_its_medians_and_ratios(tmp_path: Path) -> None:
    outcome = Outcome("drain", "how", [RATES], ["the rest"])
    report = json.loads(json.dumps(report_of([outcome], {"quick": True})))
    assert report["quick"] is True
    [case] = report["benchmarks"]["drain"]["cases"]
    assert case["contenders"]["other"] == {
        "median": {"warm_per_s": 200.0},
        "ours_is_better_by": 3.0,
        "rounds": [{"warm_per_s": 300.0}, {"warm_per_s": 150.0}, {"warm_per_s": 200.0}],
    }
    assert case["contenders"][OURS]["ours_is_better_by"] is None
    draw([outcome], tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_of_many_figures_has_a_row_for_each_and_cuts_no_name() -> None:
    figures = {f"figure_number_{number}_s": float(number) for number in range(14)}
    case = Case("100 images/s", "figure_number_0_s", False, {OURS: [figures], "plain consumer x1": [figures]})
    console = Console(width=100, record=True)
    show(Outcome("latency", "how", [case]), console)
    lines = console.export_text().splitlines()
    assert any("InkStream" in line and "plain consumer x1" in line for line in lines)
    assert any(line.count("13") == 3 and "figure number 13 s" in line for line in lines)


def test_a_quick_run_takes_a_few_benchmarks_unless_others_are_named() -> None:
    assert chosen([], quick=False) == list(BENCHMARKS)
    assert set(chosen([], quick=True)) < set(BENCHMARKS)
    assert chosen(["scale"], quick=True) == ["scale"]


def test_the_command_names_the_benchmarks_that_there_are() -> None:
    assert tuple(BENCHMARKS) == NAMES


@pytest.mark.services
def test_a_plain_consumer_drains_every_upload_into_every_table(
    embedded: RunningServices, settings: Settings, tmp_path: Path
) -> None:
    place = Place(embedded, settings, tmp_path, pictures_of(None)).named(settings.cassandra.keyspace)
    expected = place.fill(50)
    figures, spent = drain_once(place, plain(1), expected, 10)
    assert figures["warm_per_s"] > 0
    assert spent
    assert {group.partition(":")[0] for group in spent} <= {"Cassandra", "Kafka", "Python workers", "Python driver"}
    version = load_bundle(shipped_bundle()).version
    assert len(check_rows(place, version, expected)) == 2 * len(expected)
    with pytest.raises(Incomplete, match="predictions of version another lacks 50 of 50 uploads"):
        check_rows(place, "another", expected)
    there = replace(place, folder=embedded.settings.local.path)
    sent = sum(path.stat().st_size for path in place.pictures) / len(place.pictures) * len(expected)
    assert sent < kafka_bytes(there) < 20 * sent
    assert sent < cassandra_bytes(there) < 100 * sent
    with open_session(place.settings.cassandra) as session:
        session.execute("DELETE FROM predictions WHERE image_id = %s", [min(expected)])
    with pytest.raises(Incomplete, match=f"predictions lacks 1 of 50 uploads, {min(expected)} for one"):
        place.check(expected, list(expected))


@pytest.mark.services
def test_a_spark_job_that_is_not_ours_drains_every_upload_into_every_table(
    embedded: RunningServices, settings: Settings, tmp_path: Path
) -> None:
    place = Place(embedded, settings, tmp_path, pictures_of(None)).named(settings.cassandra.keyspace)
    figures, _ = drain_once(place, spark(ROW_BY_ROW, "row-by-row"), place.fill(50), 10)
    assert figures["warm_per_s"] > 0


def test_each_round_begins_with_another_contender_and_the_first_not_with_ours() -> None:
    work = [OURS, "one", "two"]
    assert [turns(work, number, 4) for number in range(4)] == [
        ["one", "two", OURS], ["two", OURS, "one"], [OURS, "one", "two"], ["one", "two", OURS],
    ]  # fmt: skip
    seven = [OURS, *range(6)]
    assert [turns(seven, number, 3).index(OURS) for number in range(3)] == [6, 4, 2]


def test_a_comparison_takes_the_turns_and_says_who_has_fewer_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, int, tuple[str, ...]]] = []

    def drain_it(
        _: Any, contender: Contender, expected: set[str], __: int, tables: Any
    ) -> tuple[dict[str, float], dict[str, float]]:
        taken.append((contender.name, len(expected), tuple(tables)))
        return {"warm_per_s": 1.0, "cold_per_s": 1.0}, {"Kafka": float(len(taken))}

    monkeypatch.setattr(drain, "drain_once", drain_it)
    many, fewer = (Waiting(Any, {str(n) for n in range(WARM_UP + size)}) for size in (30, 10))  # type: ignore[arg-type]
    work = [(Contender(OURS, lambda _: []), many), (Contender("slow", lambda _: []), fewer)]
    options = Options(False, 2, [], lambda _: None)
    case = drain.compare(options, "a case", 2, work, tables=(), profiled=True)
    ours, slow = (OURS, WARM_UP + 30, ()), ("slow", WARM_UP + 10, ())
    assert taken == [slow, ours, ours, slow]
    assert list(case.rounds) == [OURS, "slow"]
    assert case.notes == [
        "40,000 to warm up, then 30",
        "slow: 40,000 to warm up, then 10; its cold_per_s is of those",
    ]
    assert case.spent == {OURS: [{"Kafka": 2.0}, {"Kafka": 3.0}], "slow": [{"Kafka": 1.0}, {"Kafka": 4.0}]}


def test_the_other_spark_jobs_make_the_rows_that_the_plain_consumer_makes() -> None:
    settings = Settings()
    samples = ["clean_01_0.png", "broken_pdf.pdf", "photo_01_5.jpg"]
    headers = [("filename", b"a.png"), ("source", b"bench")]
    messages = [
        Message(f"id{number}".encode(), (FOLDER / name).read_bytes(), headers, "uploads", 0, number, 1_700_000_000_000)
        for number, name in enumerate(samples)
    ]
    bundle = load_bundle(shipped_bundle())
    task = PredictTask(SimpleNamespace(value=bundle_to_bytes(bundle)), bundle.version, ImageSettings(), None, 512)

    def predicted(prepared: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What predict_batch_udf does between the two steps, with LiteRT for Keras."""
        for batch in prepared:
            pixels = np.array(batch.column("pixels").to_pylist(), np.uint8).reshape(-1, 28, 28)
            probabilities = pa.array(list(reader_for(task).engine.predict(pixels)), pa.list_(pa.float32()))
            columns = [*batch.columns, probabilities, pa.array([1.0] * len(pixels), pa.float32())]
            yield pa.RecordBatch.from_arrays(columns, [*batch.schema.names, "probabilities", "predict_ms"])

    pairs = [[{"key": key, "value": value} for key, value in message.headers] for message in messages]
    uploads = {name: [getattr(message, name) for message in messages] for name in UPLOAD} | {"headers": pairs}
    [batch] = finish_batches(task, predicted(prepare_batches(task, iter([pa.RecordBatch.from_pydict(uploads)]))))
    by_row = [dict(zip(RESULT, answer_one(task, *message), strict=True)) for message in messages]
    wanted = [_lasting(row) for row in Answerer(settings).rows(messages)]
    assert [row["outcome"] for row in wanted] == ["recognised", "rejected", "recognised"]
    assert [_lasting(row) for row in by_row] == wanted
    assert [answer_one_alone(task, *message)[0] for message in messages] == ["id0", "id1", "id2"]
    names = ("image_id", "label", "reason_code", "sha256", "prepared", "why", "bucket", "write_time", "width", "bytes")
    stepwise = batch.select(names).to_pylist()
    assert [{**row, "why": row["why"] and row["why"].encode()} for row in stepwise] == [
        {name: row[name] for name in names} for row in wanted
    ]


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what differs from one reading to the next: clocks."""
    return {name: value for name, value in row.items() if name not in ("predicted_at", "stage_times", "answer")}


def test_every_hundredth_is_broken_and_every_id_its_own() -> None:
    sound, bad = Picture("a.png", "a", b"a"), Picture("b.png", "b", b"b")
    mixed = broken_among([sound], [bad], 300)
    assert [number for number, picture in enumerate(mixed) if picture.filename == "b.png"] == [0, 100, 200]
    assert len({picture.path for picture in mixed}) == 300
    assert {picture.filename for picture in broken_among([sound], [], 300)} == {"a.png"}
