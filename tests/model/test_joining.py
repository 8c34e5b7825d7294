"""Two networks joined to a cascade: who is asked, what is answered, what the bundle says of itself. LiteRT is real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.model.drawings import golden, write_idx

from inkstream.cli.main import main
from inkstream.errors import BundleError
from inkstream.model.bundle import (
    SECOND_FILE,
    Bundle,
    bundle_from_bytes,
    bundle_to_bytes,
    check_golden,
    load_bundle,
    shipped_bundle,
    write_bundle,
)
from inkstream.model.engine import calibrated, open_engine, open_keras_engine
from inkstream.model.examples import Labelled, TrainingData
from inkstream.model.joining import join_bundles

Another = Callable[..., Bundle]


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(shipped_bundle())


@pytest.fixture
def another(shipped: Bundle, tmp_path: Path) -> Another:
    """Writes the shipped network as another bundle: other facts, so other answers."""

    def write(name: str, **changed: Any) -> Bundle:
        facts = shipped.facts.model_copy(update={"cascade": None, **changed})
        return write_bundle(tmp_path / name, facts, tflite=shipped.tflite)

    return write


@pytest.fixture(scope="module")
def data() -> TrainingData:
    pixels, labels = golden()
    faint = (pixels // np.arange(1, 4).repeat(len(pixels) // 3)[:, None, None]).astype(np.uint8)
    return TrainingData(Labelled(pixels, labels), Labelled(faint, labels), Labelled(pixels[::-1], labels[::-1]))


def test_the_second_answers_what_the_first_is_unsure_of_as_it_looks_moved_each_way(
    another: Another, data: TrainingData, tmp_path: Path
) -> None:
    first, second = another("first", temperature=3.0), another("second", temperature=0.7)
    cascade = join_bundles(first, second, data, tmp_path / "both")
    pixels = np.concatenate([data.held.pixels, data.test.pixels])
    one, both = (open_engine(bundle).predict(pixels) for bundle in (first, cascade))
    assert cascade.cascade is not None
    unsure = one.max(axis=1) < np.float32(cascade.cascade.below)
    assert 0 < unsure.sum() < len(pixels) / 5
    assert np.array_equal(both[~unsure], one[~unsure])
    framed = np.pad(pixels[unsure], ((0, 0), (1, 1), (1, 1)))  # the digits leave their edges empty
    moves = ((1, 1), (0, 0), (2, 2))
    looks = [open_engine(second).logits(framed[:, down : down + 28, right : right + 28]) for down, right in moves]
    assert both[unsure] == pytest.approx(calibrated(np.mean(looks, axis=0), cascade.cascade.temperature), abs=1e-5)
    assert not np.allclose(both[unsure], one[unsure], atol=1e-3)
    alone = np.concatenate([open_engine(cascade).predict(pixels[row : row + 1]) for row in range(len(pixels))])
    assert np.array_equal(alone, both)


def test_the_bundle_says_what_it_is_made_of_and_passes_its_golden_set(
    another: Another, data: TrainingData, tmp_path: Path
) -> None:
    first, second = another("first"), another("second", temperature=2.0)
    cascade = join_bundles(first, second, data, tmp_path / "both")
    assert cascade.recipe["name"] == "cascade"
    assert [cascade.recipe[name]["version"] for name in ("first", "second")] == [first.version, second.version]
    assert cascade.metrics["test"]["pictures"] == len(data.test)
    assert 0 <= cascade.metrics["test"]["asked_share"] <= 1
    assert check_golden(cascade, open_engine(cascade)) == 48
    sent = bundle_from_bytes(bundle_to_bytes(cascade))
    assert (sent.version, sent.second, sent.cascade) == (cascade.version, second.tflite, cascade.cascade)
    assert np.array_equal(open_engine(sent).predict(data.test.pixels), open_engine(cascade).predict(data.test.pixels))
    with pytest.raises(BundleError, match=r"no model\.keras"):
        open_keras_engine(cascade)


def test_a_cascade_without_its_second_network_is_refused(another: Another, data: TrainingData, tmp_path: Path) -> None:
    cascade = join_bundles(another("first"), another("second", temperature=2.0), data, tmp_path / "both")
    cut = bundle_to_bytes(cascade)
    with pytest.raises(BundleError, match=SECOND_FILE):
        bundle_from_bytes(cut[: -len(cascade.second) - 4] + bytes(4))
    (tmp_path / "both" / SECOND_FILE).write_bytes(cascade.second[:-1] + b"x")
    with pytest.raises(BundleError, match=f"{SECOND_FILE} is damaged"):
        load_bundle(tmp_path / "both")
    (tmp_path / "both" / SECOND_FILE).unlink()
    with pytest.raises(BundleError, match=f"{SECOND_FILE} cannot be read"):
        load_bundle(tmp_path / "both")


def test_the_command_tells_how_good_the_cascade_is_and_how_it_gets_to_answer(
    another: Another, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    another("first")
    another("second", temperature=2.0)
    for name in ("train", "t10k"):
        write_idx(tmp_path / "idx", name, *golden())
    folders = [str(tmp_path / name) for name in ("first", "second", "idx")]
    assert main(["models", "join", *folders, "--out", str(tmp_path / "both")]) == 0
    said = capsys.readouterr().out
    version = load_bundle(tmp_path / "both").version
    assert version[:12] in said
    assert "asked share" in said
    assert "models promote" in said
    assert main(["models", "join", *folders, "--out", str(tmp_path / "both")]) == 1
    assert "is there already" in capsys.readouterr().err


def test_bundles_that_do_not_fit_are_refused(another: Another, data: TrainingData, tmp_path: Path) -> None:
    fine = another("fine")
    with pytest.raises(BundleError, match="labels of the two bundles differ"):
        join_bundles(fine, another("letters", labels=tuple("abcdefghij")), data, tmp_path / "no")
    with pytest.raises(BundleError, match="preprocess of the two bundles differ"):
        join_bundles(fine, another("colour", preprocess="rgb/1"), data, tmp_path / "no")
    with pytest.raises(BundleError, match="the data has"):
        join_bundles(fine, another("large", input_shape=(32, 32)), data, tmp_path / "no")
    both = join_bundles(fine, another("second", temperature=2.0), data, tmp_path / "both")
    with pytest.raises(BundleError, match="is a cascade already"):
        join_bundles(both, fine, data, tmp_path / "no")
    assert not (tmp_path / "no").exists()
