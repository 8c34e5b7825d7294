"""What a network is to learn of another one's answers; a training with a teacher. TensorFlow is real."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import needs_tensorflow
from tests.model.drawings import drawings, golden

from inkstream.errors import BundleError, SettingError
from inkstream.model.batches import open_batches
from inkstream.model.bundle import load_bundle, shipped_bundle, write_bundle
from inkstream.model.engine import open_engine
from inkstream.model.examples import NO_DIGIT, Labelled, TrainingData
from inkstream.model.fitting import Plan
from inkstream.model.teaching import TAUGHT, Teacher
from inkstream.model.training import train_bundle

DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher([load_bundle(shipped_bundle())], DIGITS, (28, 28))


def test_what_is_learnt_is_the_truth_and_a_softer_form_of_the_teachers_answer(teacher: Teacher) -> None:
    pixels, _ = golden()
    own = open_engine(load_bundle(shipped_bundle())).predict(pixels)
    sevens = np.eye(10, dtype=np.float32)[np.full(len(pixels), 7)]
    wanted = teacher.answers(pixels, sevens)
    assert wanted.dtype == np.float32
    assert wanted.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    taught = (wanted - (1 - TAUGHT) * sevens) / TAUGHT
    assert np.array_equal(taught.argmax(axis=1), own.argmax(axis=1))
    assert (taught.max(axis=1) < own.max(axis=1)).all()
    for row, sure in zip(taught, own, strict=True):  # by the square root, as the temperature is 2
        first, second = np.argsort(-sure)[:2]
        assert row[first] / row[second] == pytest.approx(np.sqrt(sure[first] / sure[second]), rel=0.05)
    assert len(teacher.answers(pixels[:0], sevens[:0])) == 0


@pytest.mark.parametrize(
    ("labels", "shape", "said"),
    [(["a", "b"], (28, 28), "the data has a, b"), (DIGITS, (32, 32, 3), r"for \(32, 32, 3\)")],
)
def test_a_teacher_of_something_else_is_refused(labels: list[str], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        Teacher([load_bundle(shipped_bundle())], labels, shape)


def test_of_several_teachers_the_mean_answer_is_learnt(tmp_path: Path) -> None:
    one = load_bundle(shipped_bundle())
    unsure = one.facts.model_copy(update={"temperature": 4 * one.temperature})
    other = write_bundle(tmp_path / "unsure", unsure, networks=one.networks)
    pixels, _ = golden()
    truths = np.eye(10, dtype=np.float32)[np.full(len(pixels), 7)]
    root = np.sqrt((open_engine(one).predict(pixels) + open_engine(other).predict(pixels)) / 2)
    wanted = (1 - TAUGHT) * truths + TAUGHT * root / root.sum(axis=1, keepdims=True)
    assert Teacher([one, other], DIGITS, (28, 28)).answers(pixels, truths) == pytest.approx(wanted, abs=1e-5)
    letters = one.facts.model_copy(update={"labels": tuple("abcdefghij")})
    with pytest.raises(BundleError, match="answers a, b, c"):
        Teacher([one, write_bundle(tmp_path / "letters", letters, networks=one.networks)], DIGITS, (28, 28))


@needs_tensorflow
@pytest.mark.filterwarnings("ignore")
def test_the_teacher_is_asked_about_the_augmented_digits_and_not_about_what_is_none(teacher: Teacher) -> None:
    import keras

    extra = Labelled(drawings(30, 5).pixels, np.full(30, NO_DIGIT))
    data = TrainingData(drawings(50, 1), drawings(2, 2), drawings(2, 3), extra)
    batches = open_batches(keras, data, 10, size=80, seed=1, augmented=True, epochs=1, teacher=teacher)
    shown, wanted = batches[0]
    none = (wanted == np.float32(0.1)).all(axis=1)
    assert none.sum() == 30
    one_hot = open_batches(keras, data, 10, size=80, seed=1, augmented=True, epochs=1)[0][1]
    assert np.array_equal(wanted[~none], teacher.answers(shown[~none].astype(np.uint8), one_hot[~none]))


@needs_tensorflow
@pytest.mark.filterwarnings("ignore")
def test_a_training_says_who_taught_it_and_goes_on_with_the_same_teacher_only(tmp_path: Path) -> None:
    data = TrainingData(drawings(300, 1), drawings(60, 2), drawings(60, 3))
    labels = ["0", "1", "2"]
    plan = Plan("dense", epochs=3, augmented=False, batch=16)
    first = train_bundle(data, labels, plan, tmp_path / "first", lambda _: None)
    taught = train_bundle(data, labels, plan, tmp_path / "taught", lambda _: None, taught_by=[first])
    assert "teachers" not in first.recipe
    assert taught.recipe["teachers"] == [first.version]
    assert taught.metrics["test"]["accuracy"] >= 0.8

    (tmp_path / "taught").rename(tmp_path / "elsewhere")
    with pytest.raises(SettingError, match="teacher"):
        train_bundle(data, labels, plan, tmp_path / "taught", lambda _: None, taught_by=[first, taught])
