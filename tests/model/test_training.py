"""Training pictures, and a whole training made small. What the shipped bundle reached stands in its metrics."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import needs_tensorflow
from tests.model.drawings import drawings, golden

from inkstream.errors import BundleError, SettingError
from inkstream.image.normalise import PREPROCESS, is_prepared, normalise
from inkstream.model.augment import SHEET, augment
from inkstream.model.batches import open_batches
from inkstream.model.bundle import check_golden, load_bundle, shipped_bundle
from inkstream.model.drawn import WAYS, draw
from inkstream.model.engine import open_engine
from inkstream.model.examples import NO_DIGIT, Labelled, TrainingData, joined, split_held
from inkstream.model.fitting import Plan, Step
from inkstream.model.imitations import prepared_imitations
from inkstream.model.keras_models import logits_of
from inkstream.model.learning_curve import LEARNING_CURVE
from inkstream.model.manifest import Facts
from inkstream.model.recipes import recipe_named
from inkstream.model.strangers import prepared_strangers
from inkstream.model.training import _converted, recorded_recipe, run_folder, train_bundle
from inkstream.settings import home

Array = np.ndarray[Any, Any]


def test_augmented_pictures_are_the_same_for_the_same_seed_and_other_than_before() -> None:
    pixels, _ = golden()
    before = pixels.copy()
    one, same, other = (augment(pixels, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one.shape, one.dtype) == (pixels.shape, np.uint8)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(pixels, before)


def test_most_augmented_pictures_are_still_read() -> None:
    pixels, labels = golden()
    answers = open_engine(load_bundle(shipped_bundle())).predict(augment(pixels, np.random.default_rng(3)))
    assert (answers.argmax(axis=1) == labels).mean() >= 0.9


def test_no_ink_of_an_augmented_picture_gets_into_its_neighbours() -> None:
    pixels = np.zeros((30 * SHEET + 1, 28, 28), np.uint8)
    pixels[::2] = 255
    made = augment(pixels, np.random.default_rng(4))
    assert made[1::2].max() < 100  # noise alone
    assert (made[::2].max(axis=(1, 2)) > 200).all()


@pytest.mark.parametrize("digit", sorted(WAYS))
def test_every_way_of_drawing_a_digit_is_read(digit: int) -> None:
    engine = open_engine(load_bundle(shipped_bundle()))
    rng = np.random.default_rng(digit)
    pictures = np.stack([normalise(draw(digit, rng)).pixels for _ in range(30)])
    assert all(is_prepared(picture) for picture in pictures)
    assert (engine.predict(pictures).argmax(axis=1) == digit).mean() >= 0.9


def test_imitations_are_prepared_repeatable_and_labelled() -> None:
    pixels, labels = golden()
    made: list[int] = []
    one, truths = prepared_imitations(pixels, labels, 60, 5, made.append)
    same, _ = prepared_imitations(pixels, labels, 60, 5, lambda _: None)
    assert np.array_equal(one, same)
    assert made == list(range(1, 61))
    assert len(one) >= 57
    answers = open_engine(load_bundle(shipped_bundle())).predict(one)
    assert (answers.argmax(axis=1) == truths).mean() >= 0.85


def test_what_is_no_digit_is_prepared_and_repeatable() -> None:
    made: list[int] = []
    pixels = prepared_strangers(40, 5, made.append)
    assert np.array_equal(pixels, prepared_strangers(40, 5, lambda _: None))
    assert made == list(range(1, 41))
    assert 28 <= len(pixels) <= 40
    assert not np.array_equal(pixels[:20], prepared_strangers(40, 6, lambda _: None)[:20])


@needs_tensorflow
@pytest.mark.filterwarnings("ignore")
def test_of_what_is_no_digit_a_network_learns_that_it_does_not_know() -> None:
    import keras

    extra = joined([drawings(30, 4), Labelled(drawings(30, 5).pixels, np.full(30, NO_DIGIT))])
    data = TrainingData(drawings(20, 1), drawings(2, 2), drawings(2, 3), extra)
    batches = open_batches(keras, data, 3, size=80, seed=1, augmented=False, epochs=1)
    answers = batches[0][1]
    assert answers.dtype == np.float32
    assert (answers == np.float32(1 / 3)).all(axis=1).sum() == 30
    assert (answers.max(axis=1) == 1).sum() == 50
    recorded = recorded_recipe(data, Plan().settled())
    assert (recorded["imitations"], recorded["strangers"]) == (30, 30)


def test_the_last_pictures_of_each_label_are_held_back_and_not_learnt_from() -> None:
    labels = np.repeat([1, 0, 1, 2], [30, 50, 100, 20])
    everything = Labelled(np.arange(200 * 784, dtype=np.uint32).reshape(200, 28, 28), labels)
    learnt, held = split_held(everything)
    assert (len(learnt), len(held)) == (180, 20)
    places = {label: list(held.pixels[held.labels == label][:, 0, 0] // 784) for label in (0, 1, 2)}
    assert places == {0: list(range(75, 80)), 1: list(range(167, 180)), 2: [198, 199]}
    assert len(np.unique(np.concatenate([learnt.pixels, held.pixels])[:, 0, 0])) == 200
    assert np.array_equal(labels[learnt.pixels[:, 0, 0] // 784], learnt.labels)


def test_of_few_pictures_each_label_that_can_spare_one_has_one_held_back() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2])
    learnt, held = split_held(Labelled(np.arange(6, dtype=np.uint8).reshape(6, 1, 1), labels))
    assert (learnt.pixels.ravel().tolist(), held.pixels.ravel().tolist()) == ([0, 2, 3, 4], [1, 5])


def test_of_many_pictures_five_thousand_are_held_back() -> None:
    everything = Labelled(np.zeros((80_000, 1, 1), np.uint8), np.arange(80_000) % 10)
    assert [len(part) for part in split_held(everything)] == [75_000, 5_000]


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(SettingError, match=r"'soup'.*cnn"):
        recipe_named("soup")


@needs_tensorflow
@pytest.mark.filterwarnings("ignore")
def test_a_small_training_ends_with_a_bundle_that_knows_its_digits(tmp_path: Path) -> None:
    import keras

    learnt, held, test = drawings(600, 1), drawings(150, 2), drawings(100, 3)
    steps: list[Step] = []
    bundle = train_bundle(
        TrainingData(learnt, held, test, drawings(40, 4)),
        ["0", "1", "2"],
        Plan(epochs=4, seed=3, augmented=False, batch=16),
        tmp_path / "bundle",
        steps.append,
    )
    assert bundle.metrics["test"]["accuracy"] >= 0.9
    assert bundle.recipe["imitations"] == 40
    assert bundle.metrics["quantised_apart"] < 1e-2
    assert len(bundle.networks[0]) < 2 * keras.saving.load_model(bundle.keras[0]).count_params()  # a byte each
    assert check_golden(bundle, open_engine(bundle)) == 48
    assert steps[-1].epoch == 3
    assert steps[-1].end is not None
    assert bundle.metrics["epochs"] == 4
    assert (run_folder(tmp_path / "bundle") / LEARNING_CURVE).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BundleError, match="immutable"):
        train_bundle(TrainingData(learnt, held, test), ["0", "1", "2"], Plan(), tmp_path / "bundle", steps.append)


@needs_tensorflow
@pytest.mark.filterwarnings("ignore")
def test_weights_that_eight_bits_are_too_few_for_are_refused(tmp_path: Path) -> None:
    from keras import Input, Model, layers

    inputs = Input((28, 28))
    network = Model(inputs, layers.Dense(3)(layers.Rescaling(1 / 255)(layers.Flatten()(inputs))))
    kernel = np.zeros((784, 3), np.float32)
    kernel[0] = 3000.0  # so all that a class sees, and the others do not, is rounded away
    kernel[400, 1] = 8.0
    network.layers[-1].set_weights([kernel, np.zeros(3, np.float32)])
    pixels = np.zeros((64, 28, 28), np.uint8)
    pixels[:, 14, 8] = 255
    draft = Facts(
        labels=("0", "1", "2"),
        preprocess=PREPROCESS,
        input_shape=(28, 28),
        temperature=1.0,
        threshold=0.5,
        metrics={},
        recipe={},
        created="2026-01-01T00:00:00+00:00",
    )
    logits = logits_of(network, pixels)
    assert _converted(network, draft, pixels, logits, quantised=False)[1].keys() == {"litert_keras_apart"}
    with pytest.raises(BundleError, match="8-bit weights LiteRT's answers differ"):
        _converted(network, draft, pixels, logits, quantised=True)


def test_the_job_names_a_folder_without_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sys.path.insert(0, str(home() / "jobs"))
    try:
        import train_model
    finally:
        sys.path.pop(0)
    assert train_model.main(["--data", str(tmp_path), "--out", str(tmp_path / "bundle")]) == 2
    assert "train-images" in capsys.readouterr().err
