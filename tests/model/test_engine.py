from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkstream.errors import BundleError, Rejected
from inkstream.image.decode import decode
from inkstream.image.normalise import normalise
from inkstream.model.bundle import load_bundle, shipped_bundle, write_bundle
from inkstream.model.engine import Engine, calibrated, open_engine, open_keras_engine
from inkstream.settings import ImageSettings

Array = np.ndarray[Any, Any]
SAMPLES = Path(sys.modules["inkstream"].__path__[0]) / "samples"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(load_bundle(shipped_bundle()))


@pytest.fixture(scope="module")
def pixels() -> Array:
    """uint8 (512, 28, 28): the golden digits, each shifted and dimmed in its own way."""
    golden = load_bundle(shipped_bundle()).golden
    assert golden is not None
    rng = np.random.default_rng(7)
    rows = [
        (np.roll(golden.pixels[n % len(golden.pixels)], rng.integers(-2, 3, 2), (0, 1)) * rng.uniform(0.6, 1)).astype(
            np.uint8
        )
        for n in range(512)
    ]
    return np.stack(rows)


@pytest.mark.parametrize("rows", [1, 5, 7, 32, 33, 100])
def test_a_rows_answer_has_the_same_bits_in_any_company(engine: Engine, pixels: Array, rows: int) -> None:
    together = engine.predict(pixels)
    apart = np.concatenate([engine.predict(pixels[start : start + rows]) for start in range(0, len(pixels), rows)])
    assert together.dtype == np.float32
    assert together.tobytes() == apart.tobytes()


def test_two_engines_and_many_threads_give_the_same_bits(engine: Engine, pixels: Array) -> None:
    expected = engine.predict(pixels).tobytes()
    assert open_engine(engine.bundle).predict(pixels).tobytes() == expected
    with ThreadPoolExecutor(4) as pool:
        assert {answer.tobytes() for answer in pool.map(engine.predict, [pixels] * 8)} == {expected}


def test_rows_are_probabilities(engine: Engine, pixels: Array) -> None:
    answers = engine.predict(pixels)
    assert answers.shape == (512, 10)
    assert answers.min() >= 0
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-6)


def test_no_pictures_give_no_rows(engine: Engine, pixels: Array) -> None:
    assert engine.predict(pixels[:0]).shape == (0, 10)


@pytest.mark.parametrize("wrong", [np.zeros((2, 28, 28), np.float32), np.zeros((28, 28), np.uint8)])
def test_another_array_is_refused(engine: Engine, wrong: Array) -> None:
    with pytest.raises(ValueError, match="uint8"):
        engine.predict(wrong)


def test_calibration_divides_the_logits() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 100.0]], np.float32)
    assert np.allclose(calibrated(logits, 2.0), [[np.e / (np.e + 1), 1 / (np.e + 1)], [0, 1]])
    assert calibrated(logits, 4.0)[0, 0] < calibrated(logits, 1.0)[0, 0]


def test_a_model_that_does_not_fit_its_description_is_refused(tmp_path: Path) -> None:
    shipped = load_bundle(shipped_bundle())
    two = write_bundle(
        tmp_path / "two",
        shipped.facts.model_copy(update={"labels": ("a", "b")}),
        networks=shipped.networks,
    )
    with pytest.raises(BundleError, match="10 classes"):
        open_engine(two)
    none = write_bundle(tmp_path / "none", shipped.facts, networks=[b"no model"] * len(shipped.networks))
    with pytest.raises(BundleError, match="cannot be loaded"):
        open_engine(none)


def test_predicting_imports_neither_tensorflow_nor_pandas() -> None:
    code = (
        "import sys, numpy as np; from inkstream.model.bundle import *; from inkstream.model.engine import *;"
        "open_engine(load_bundle(shipped_bundle())).predict(np.zeros((1, 28, 28), np.uint8));"
        "assert not {'tensorflow', 'keras', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_keras_gives_the_same_answers(engine: Engine, pixels: Array) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed (the train extra)", exc_type=ImportError)
    answers = open_keras_engine(engine.bundle).predict(pixels[:70])
    expected = engine.predict(pixels[:70])
    assert np.array_equal(answers.argmax(axis=1), expected.argmax(axis=1))
    apart = np.abs(answers - expected)
    assert apart.max() < 0.1  # its weights are not rounded to 8 bits
    assert apart.mean() < 1e-3


def test_the_shipped_samples_are_read() -> None:
    engine = open_engine(load_bundle(shipped_bundle()))
    files = sorted(path for path in SAMPLES.iterdir() if path.stem[-2:-1] == "_" and path.stem[-1].isdigit())
    assert len(files) >= 40
    wrong = [path.name for path in files if _label_of(path, engine) != path.stem[-1]]
    assert len(wrong) <= len(files) // 20, wrong


def _label_of(path: Path, engine: Engine) -> str | None:
    try:
        prepared = normalise(decode(path.read_bytes(), ImageSettings()).pixels)
    except Rejected:
        return None
    return engine.bundle.labels[int(engine.predict(prepared.pixels[None]).argmax())]
