"""A version over stored pictures: the same answers as the stream's and predict's, beside those that are there."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from jobs.rescore import run
from tests.model.test_shelf import another
from tests.stream.conftest import Pipeline

import inkstream
from inkstream.cli.main import main
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.model.shelf import Shelf
from inkstream.settings import ModelSettings, StreamSettings
from inkstream.stream.rescore import Choice

pytestmark = pytest.mark.services

SAMPLES = Path(inkstream.__file__).parent / "samples"
COUNT = 1_000


def thousand_pictures() -> dict[str, bytes]:
    """Prepared digits, the same on grey paper, and the samples of every kind, broken ones and one of 2 MiB too."""
    golden = load_bundle(shipped_bundle()).golden
    assert golden
    samples = sorted(path for path in SAMPLES.iterdir() if path.suffix != ".md")
    pictures = {f"sample-{path.name}": path.read_bytes() for path in samples}
    pictures["large.jpg"] = (SAMPLES / "photo_01_5.jpg").read_bytes() + bytes(2 << 20)
    rng = np.random.default_rng(8)
    for number in range(COUNT - len(pictures)):
        digit = np.roll(golden.pixels[number % len(golden.pixels)], rng.integers(-2, 3, 2), axis=(0, 1))
        if number % 4 == 0:
            digit = 230 - np.kron(digit, np.ones((3, 3), np.uint8)) // 2 + rng.integers(0, 9, (84, 84), np.uint8)
        pictures[f"made-{number:04d}.png"] = cv2.imencode(".png", digit)[1].tobytes()
    return pictures


def told(pipeline: Pipeline) -> dict[str, tuple[Any, ...]]:
    """image id -> what predictions says: label, the confidence's bits, the prepared picture."""
    return {
        row.image_id: (row.outcome, row.label, np.float32(row.confidence or 0).tobytes(), row.prepared)
        for row in pipeline.rows("predictions")
        if row.model_version != "-"
    }


def test_a_thousand_pictures_get_the_same_answers_from_stream_rescore_and_predict(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    pictures = thousand_pictures()
    settings = pipeline.settings.model_copy(update={"stream": StreamSettings(batch_rows=37)})
    shelved = replace(pipeline, settings=settings)
    shelved.send([(name.encode(), content, {"filename": name}) for name, content in pictures.items()])
    shelved.drain()
    streamed = told(pipeline)
    by_day = {row.image_id: row for row in pipeline.rows("predictions_by_day") if row.model_version != "-"}
    assert len(streamed) > 0.9 * COUNT

    bundle = load_bundle(shipped_bundle())
    reader = Reader(bundle, settings.image)
    names = list(pictures)
    read = [one for start in range(0, COUNT, 7) for one in reader.read([pictures[n] for n in names[start : start + 7]])]
    assert streamed == {
        name: (
            one.outcome,
            one.label,
            np.float32(one.confidence).tobytes(),
            None if one.prepared is None else one.prepared.tobytes(),
        )
        for name, one in zip(names, read, strict=True)
        if one.model_version == bundle.version
    }

    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    assert main(["predict", str(folder), "--csv", str(tmp_path / "predicted.csv")]) == 0
    with (tmp_path / "predicted.csv").open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert len(rows) == COUNT
    for name, (outcome, label, confidence, _) in streamed.items():
        row = rows[name]
        assert (row["outcome"], row["label"] or None) == (outcome, label)
        assert np.float32(row["confidence"]).tobytes() == confidence

    for table in ("predictions", "predictions_by_day"):  # or the version would have answered them already
        pipeline.session.execute(f"TRUNCATE {table}")
    run(pipeline.spark, settings, pipeline.session, bundle.version, Choice())
    assert told(pipeline) == streamed
    again = {row.image_id: row for row in pipeline.rows("predictions_by_day")}
    for name, row in by_day.items():
        same = {"predicted_at": None, "stage_times": None, "ink_share": None}
        assert again[name]._replace(**same) == row._replace(**same)
        assert (again[name].ink_share or 0) == pytest.approx(row.ink_share or 0)


def test_a_rescore_adds_rows_goes_on_where_it_was_ended_and_says_what_changed(pipeline: Pipeline) -> None:
    own = ModelSettings(folder=str(pipeline.folder / "models"))
    settings = pipeline.settings.model_copy(update={"model": own})
    first = Shelf(settings).default.version
    another(pipeline.folder / "second", 3.0)
    second = Shelf(settings).add(pipeline.folder / "second").version
    digits = {f"{source}{n}": (SAMPLES / "clean_08_7.png").read_bytes() for source in "ab" for n in range(10)}
    pipeline.send([(id_.encode(), content, {"source": id_[0], "label": "7"}) for id_, content in digits.items()])
    pipeline.send([(b"a-broken", (SAMPLES / "broken_truncated_jpeg.jpg").read_bytes(), {"source": "a"})])
    pipeline.drain()
    before = {(row.image_id, row.model_version): row for row in pipeline.rows("predictions", ROW)}
    pipeline.session.execute("TRUNCATE changed_days")

    result = run(pipeline.spark, settings, pipeline.session, second, Choice(source="a"))
    assert (result.pictures, result.agreed, result.claimed, result.claimed_new_right) == (10, 10, 10, 10)
    assert len(pipeline.rows("changed_days")) == 1
    written = {row.image_id: row.predicted_at for row in pipeline.rows("predictions") if row.model_version == second}
    assert set(written) == {f"a{n}" for n in range(10)}

    pipeline.session.execute("DELETE FROM predictions WHERE image_id = 'a3' AND model_version = %s", (second,))
    pipeline.session.execute("TRUNCATE predictions_by_day")  # as if it was ended before it wrote those
    pipeline.session.execute("TRUNCATE changed_days")
    run(pipeline.spark, settings, pipeline.session, second, Choice())
    assert {row.image_id for row in pipeline.rows("predictions_by_day")} == set(digits)
    assert len(pipeline.rows("changed_days")) == 1
    run(pipeline.spark, settings, pipeline.session, first, Choice())
    assert run(pipeline.spark, settings, pipeline.session, second, Choice()).pictures == 20
    after = {row.image_id: row.predicted_at for row in pipeline.rows("predictions") if row.model_version == second}
    kept = set(written) - {"a3"}
    assert {id_: after[id_] for id_ in kept} == {id_: written[id_] for id_ in kept}
    assert set(after) == set(digits)

    now = {(row.image_id, row.model_version): row for row in pipeline.rows("predictions", ROW)}
    assert {key: now[key] for key in before} == before
    assert all(now[id_, second].written > now[id_, first].written for id_ in kept)


ROW = "image_id, model_version, outcome, label, confidence, prepared, predicted_at, WRITETIME(outcome) AS written"
