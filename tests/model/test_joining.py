"""Networks joined to a cascade: who is asked, what is answered, what the bundle says of itself. LiteRT is real."""

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
    TFLITE_FILES,
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

SECOND_FILE = TFLITE_FILES[1]

Another = Callable[..., Bundle]


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_bundle(shipped_bundle())


@pytest.fixture
def another(shipped: Bundle, tmp_path: Path) -> Another:
    """Writes one of the shipped networks as another bundle: other facts, so other answers."""

    def write(name: str, network: int = 0, **changed: Any) -> Bundle:
        facts = shipped.facts.model_copy(update={"cascade": (), **changed})
        return write_bundle(tmp_path / name, facts, networks=[shipped.networks[network]])

    return write


@pytest.fixture(scope="module")
def data() -> TrainingData:
    pixels, labels = golden()
    faint = (pixels // np.arange(1, 4).repeat(len(pixels) // 3)[:, None, None]).astype(np.uint8)
    return TrainingData(Labelled(pixels, labels), Labelled(faint, labels), Labelled(pixels[::-1], labels[::-1]))


def test_the_second_answers_what_the_first_is_unsure_of_and_looks_again_where_it_is_unsure_too(
    another: Another, data: TrainingData, tmp_path: Path
) -> None:
    first, second = another("first", temperature=3.0), another("second", temperature=2.5)
    cascade = join_bundles([first, second], data, tmp_path / "both")
    pixels = np.concatenate([data.held.pixels, data.test.pixels])
    one, both = (open_engine(bundle).predict(pixels) for bundle in (first, cascade))
    (step,) = cascade.cascade
    unsure = one.max(axis=1) < np.float32(step.below)
    assert 0 < unsure.sum() < len(pixels) / 5
    assert np.array_equal(both[~unsure], one[~unsure])
    framed = np.pad(pixels[unsure], ((0, 0), (1, 1), (1, 1)))  # the digits leave their edges empty
    moves = ((1, 1), (0, 0), (2, 2))
    looks = [open_engine(second).logits(framed[:, down : down + 28, right : right + 28]) for down, right in moves]
    glance, mean = calibrated(looks[0], 2.5), calibrated(np.mean(looks, axis=0), 2.5)
    again = glance.max(axis=1) < np.float32(step.again)
    assert again.any()
    assert both[unsure] == pytest.approx(np.where(again[:, None], mean, glance), abs=1e-5)
    assert not np.allclose(both[unsure][again], glance[again], atol=1e-3)
    alone = np.concatenate([open_engine(cascade).predict(pixels[row : row + 1]) for row in range(len(pixels))])
    assert np.array_equal(alone, both)


def test_of_three_the_last_answers_what_the_two_before_it_are_unsure_of(
    another: Another, data: TrainingData, tmp_path: Path
) -> None:
    first, second, third = (another(f"{n}", n, temperature=t) for n, t in enumerate((3.0, 2.8, 0.05)))
    three = join_bundles([first, second, third], data, tmp_path / "three")
    pixels = np.concatenate([data.held.pixels, data.test.pixels])
    one, two, last, answered = (open_engine(bundle).predict(pixels) for bundle in (first, second, third, three))
    asked = one.max(axis=1) < np.float32(three.cascade[0].below)
    passed_on = asked & (two.max(axis=1) < np.float32(three.cascade[1].below))
    assert 0 < passed_on.sum() < asked.sum() < len(pixels) / 5
    assert three.cascade[0].again == 0  # the last alone looks again
    assert np.array_equal(answered[~asked], one[~asked])
    assert np.array_equal(answered[asked & ~passed_on], two[asked & ~passed_on])
    sure = passed_on & (last.max(axis=1) >= np.float32(three.cascade[1].again))
    assert sure.any()
    assert np.array_equal(answered[sure], last[sure])
    sent = bundle_from_bytes(bundle_to_bytes(three))
    assert (sent.networks, sent.cascade) == (three.networks, three.cascade)
    assert np.array_equal(open_engine(sent).predict(pixels), answered)


def test_the_bundle_says_what_it_is_made_of_and_passes_its_golden_set(
    another: Another, data: TrainingData, tmp_path: Path
) -> None:
    first, second = another("first"), another("second", temperature=2.0)
    cascade = join_bundles([first, second], data, tmp_path / "both")
    assert cascade.recipe["name"] == "cascade"
    assert [network["version"] for network in cascade.recipe["networks"]] == [first.version, second.version]
    assert cascade.metrics["test"]["pictures"] == len(data.test)
    assert 0 <= cascade.metrics["test"]["asked_second_share"] <= 1
    assert check_golden(cascade, open_engine(cascade)) == 48
    sent = bundle_from_bytes(bundle_to_bytes(cascade))
    assert (sent.version, sent.networks, sent.cascade) == (cascade.version, cascade.networks, cascade.cascade)
    assert np.array_equal(open_engine(sent).predict(data.test.pixels), open_engine(cascade).predict(data.test.pixels))
    with pytest.raises(BundleError, match=r"no model\.keras"):
        open_keras_engine(cascade)


def test_a_cascade_without_its_second_network_is_refused(another: Another, data: TrainingData, tmp_path: Path) -> None:
    cascade = join_bundles([another("first"), another("second", temperature=2.0)], data, tmp_path / "both")
    cut = bundle_to_bytes(cascade)
    second = cascade.networks[1]
    with pytest.raises(BundleError, match="1 networks instead of 2"):
        bundle_from_bytes(cut[: -len(second) - 4])
    with pytest.raises(BundleError, match=f"{SECOND_FILE} of the broadcast bundle is damaged"):
        bundle_from_bytes(cut[: -len(second) - 4] + bytes(4))
    (tmp_path / "both" / SECOND_FILE).write_bytes(second[:-1] + b"x")
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
    assert "asked second share" in said
    assert "models promote" in said
    assert main(["models", "join", *folders, "--out", str(tmp_path / "both")]) == 1
    assert "is there already" in capsys.readouterr().err


def test_bundles_that_do_not_fit_are_refused(another: Another, data: TrainingData, tmp_path: Path) -> None:
    fine = another("fine")
    with pytest.raises(BundleError, match="labels of the bundles differ"):
        join_bundles([fine, another("letters", labels=tuple("abcdefghij"))], data, tmp_path / "no")
    with pytest.raises(BundleError, match="preprocess of the bundles differ"):
        join_bundles([fine, another("colour", preprocess="rgb/1")], data, tmp_path / "no")
    with pytest.raises(BundleError, match="the data has"):
        join_bundles([fine, another("large", input_shape=(32, 32))], data, tmp_path / "no")
    both = join_bundles([fine, another("second", temperature=2.0)], data, tmp_path / "both")
    with pytest.raises(BundleError, match="is a cascade already"):
        join_bundles([both, fine], data, tmp_path / "no")
    with pytest.raises(BundleError, match="4 bundles make no cascade"):
        join_bundles([fine] * 4, data, tmp_path / "no")
    assert not (tmp_path / "no").exists()
