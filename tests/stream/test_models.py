"""Which model answers, on a real stream: changed while it runs, kept where the new one fails, shadowed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.model.test_shelf import another
from tests.stream.conftest import Pipeline

import inkstream
from inkstream.errors import BundleError
from inkstream.model.reading import Reader
from inkstream.model.shelf import Shelf
from inkstream.settings import ImageSettings, ModelSettings
from inkstream.store.registry import promote, set_shadow, version_in_use
from inkstream.stream.answering import run
from inkstream.stream.model_watch import ModelWatch
from inkstream.stream.sink import Sink
from inkstream.stream.source import open_uploads

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
PHOTO = (Path(inkstream.__file__).parent / "samples" / "photo_01_5.jpg").read_bytes()
BROKEN = (Path(inkstream.__file__).parent / "samples" / "broken_truncated_jpeg.jpg").read_bytes()


@pytest.fixture
def shelved(pipeline: Pipeline) -> Pipeline:
    """The pipeline with a folder of bundles of its own."""
    own = ModelSettings(folder=str(pipeline.folder / "models"))
    return replace(pipeline, settings=pipeline.settings.model_copy(update={"model": own}))


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_a_running_stream_changes_its_model_loses_nothing_and_keeps_the_old_one_where_the_new_one_fails(
    shelved: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(shelved.settings)
    first = shelf.default.version
    second = shelf.add(_bundle(shelved, "second", 2.0)).version
    damaged = shelf.add(_bundle(shelved, "damaged", 3.0)).version
    tflite = Path(shelf.path) / damaged / "model.tflite"
    tflite.write_bytes(tflite.read_bytes()[:-1] + b"\x01")

    models = ModelWatch(shelved.spark, shelved.settings, shelved.session)
    sink = Sink(shelved.settings, shelved.sink()._ledger, models.first(), shelved.reports.append)
    place = (shelved.folder / "checkpoint").as_uri()
    query = run(open_uploads(shelved.spark, shelved.settings, "earliest"), sink, place, once=False)
    sent = 0

    def answer_some(count: int = 20) -> None:
        nonlocal sent
        shelved.send([(f"id{number}".encode(), SEVEN, {}) for number in range(sent, sent + count)])
        sent += count
        wait_until(lambda: sum(report.rows for report in shelved.reports) >= sent)

    with models.follow(sink):
        answer_some()
        promote(shelved.session, second, "test", first)
        wait_until(lambda: sink.task.version == second)
        answer_some()
        with caplog.at_level(logging.ERROR, "inkstream"):
            promote(shelved.session, damaged, "test", first)
            wait_until(lambda: "is not taken" in caplog.text)
        answer_some()
    query.stop()
    sink.close()

    answers = {answer["id"]: answer["model_version"] for answer in shelved.answers()}
    assert [answers[f"id{number}"] for number in range(sent)] == [first] * 20 + [second] * 40
    assert {row.image_id: row.model_version for row in shelved.rows("predictions")} == answers
    assert shelved.count() == dict.fromkeys(["images", "predictions", "predictions_by_day", "answers"], sent)
    assert f"version {damaged} is not taken" in caplog.text
    assert f"version {second[:12]} goes on answering" in caplog.text
    with pytest.raises(BundleError, match="models rollback"):
        ModelWatch(shelved.spark, shelved.settings, shelved.session).first()


def _bundle(pipeline: Pipeline, name: str, temperature: float) -> Path:
    another(pipeline.folder / name, temperature)
    return pipeline.folder / name


def test_a_shadow_has_rows_and_no_answers_and_ends_no_micro_batch(shelved: Pipeline) -> None:
    shelf = Shelf(shelved.settings)
    first = shelf.default.version
    shadow = shelf.add(_bundle(shelved, "shadow", 2.0)).version
    set_shadow(shelved.session, shadow, "test", first)
    models = ModelWatch(shelved.spark, shelved.settings, shelved.session)
    sink = Sink(shelved.settings, shelved.sink()._ledger, models.first(), shelved.reports.append)
    models.look(sink)
    large = PHOTO + bytes(70_000)  # over the fast pass's limit
    shelved.send([(b"seven", SEVEN, {}), (b"broken", BROKEN, {}), (b"large", large, {}), (b"seven", SEVEN, {})])
    place = (shelved.folder / "checkpoint").as_uri()
    run(open_uploads(shelved.spark, shelved.settings, "earliest"), sink, place, once=True).awaitTermination()
    sink.close()

    assert sink.shadow is not None
    expected = {("seven", first), ("seven", shadow), ("large", first), ("large", shadow), ("broken", "-")}
    for table in ("predictions", "predictions_by_day"):
        rows = [(row.image_id, row.model_version) for row in shelved.rows(table)]
        assert (set(rows), len(rows)) == (expected, 5)
    confidences = {row.model_version: row.confidence for row in shelved.rows("predictions") if row.image_id == "seven"}
    own = {name: Reader(shelf.load(name), ImageSettings()).read([SEVEN])[0].confidence for name in (first, shadow)}
    assert confidences == pytest.approx(own, abs=1e-7)
    assert own[first] != own[shadow]
    assert {answer["model_version"] for answer in shelved.answers()} == {first, "-"}
    assert len(shelved.answers()) == 4
    assert version_in_use(shelved.session, shelved.settings) == first


def test_a_colour_classifier_of_another_project_answers_in_the_same_stream(pipeline: Pipeline) -> None:
    keras = pytest.importorskip("keras", reason="TensorFlow is not installed")
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    from inkstream.model.importing import import_keras_model

    keras.utils.set_random_seed(3)
    pixels = keras.Input((48, 40, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(pixels)
    for _ in range(2):  # ResNet-v2: normalise and activate before each convolution, and add
        y = x
        for _ in range(2):
            y = keras.layers.Conv2D(8, 3, padding="same")(keras.layers.ReLU()(keras.layers.BatchNormalization()(y)))
        x = keras.layers.add([x, y])
    answer = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(pixels, answer).save(pipeline.folder / "flowers.keras")
    names = ["daisy", "rose", "tulip"]
    bundle = import_keras_model(
        pipeline.folder / "flowers.keras",
        names,
        pipeline.folder / "bundle",
        preprocess="rgb/1",
        scale="-1..1",
        threshold=0,
    )
    own = pipeline.settings.model_copy(update={"model": ModelSettings(bundle=str(pipeline.folder / "bundle"))})
    colours = replace(pipeline, settings=own)
    colours.send([(b"photo", PHOTO, {}), (b"seven", SEVEN, {}), (b"broken", BROKEN, {})])
    colours.drain()

    rows = {row.image_id: row for row in colours.rows("predictions")}
    assert (rows["broken"].outcome, rows["broken"].model_version) == ("rejected", "-")
    model = keras.saving.load_model(pipeline.folder / "flowers.keras")
    from inkstream.image.decode import decode
    from inkstream.image.preprocess import resize_rgb

    for name, picture in (("photo", PHOTO), ("seven", SEVEN)):
        prepared = resize_rgb(decode(picture, own.image).pixels, (48, 40, 3)).pixels
        expected = model.predict(prepared[None] / 127.5 - 1.0, verbose=0)[0]
        assert (rows[name].label, rows[name].model_version) == (names[expected.argmax()], bundle.version)
        assert rows[name].confidence == pytest.approx(float(expected.max()), abs=1e-3)
        assert rows[name].prepared is None
