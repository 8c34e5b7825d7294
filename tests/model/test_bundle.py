from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from inkstream.errors import BundleError
from inkstream.image.normalise import PREPROCESS
from inkstream.model.bundle import (
    KERAS_FILES,
    TFLITE_FILES,
    Golden,
    bundle_from_bytes,
    bundle_to_bytes,
    check_golden,
    load_bundle,
    shipped_bundle,
    write_bundle,
)
from inkstream.model.engine import open_engine

FILES = ["bundle.json", *TFLITE_FILES, *KERAS_FILES, "golden/golden.npz"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The shipped bundle where a test may damage it."""
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "copy"))


def test_the_shipped_bundle_is_whole_small_and_of_this_normaliser() -> None:
    bundle = load_bundle(shipped_bundle())
    assert bundle.labels == tuple("0123456789")
    assert bundle.preprocess == PREPROCESS
    assert bundle.input_shape == (28, 28)
    assert 0.5 < bundle.threshold < 1
    assert sum(path.stat().st_size for path in shipped_bundle().rglob("*") if path.is_file()) < 2 << 20


def test_the_shipped_bundle_passes_its_golden_set() -> None:
    bundle = load_bundle(shipped_bundle())
    assert bundle.golden is not None
    assert check_golden(bundle, open_engine(bundle)) == len(bundle.golden.pixels) >= 24


def test_a_bundle_says_what_it_was_trained_and_measured_with() -> None:
    bundle = load_bundle(shipped_bundle())
    assert bundle.metrics["test"]["accuracy"] >= 0.99
    for network in bundle.recipe["networks"]:
        assert {"name", "epochs", "seed", "data_sha256", "version"} <= set(network)


def test_bytes_and_back_is_the_same_bundle() -> None:
    bundle = load_bundle(shipped_bundle())
    again = bundle_from_bytes(bundle_to_bytes(bundle))
    assert (again.version, again.networks, again.labels) == (bundle.version, bundle.networks, bundle.labels)
    assert (again.temperature, again.threshold) == (bundle.temperature, bundle.threshold)
    assert again.keras == ()
    assert again.golden is None


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_anywhere_is_found(copy: Path, name: str) -> None:
    file = copy / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match=name):
        load_bundle(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", 0), ("threshold", 2), ("labels", ["7", "7"]), ("format", 2), ("colour", "red"), ("labels", None)],
)
def test_a_description_that_makes_no_sense_names_its_key(copy: Path, key: str, value: object) -> None:
    manifest = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**manifest, key: value}))
    with pytest.raises(BundleError, match=r"bundle\.json") as caught:
        load_bundle(copy)
    assert key in str(caught.value) or "twice" in str(caught.value)


def test_an_edited_description_is_found(copy: Path) -> None:
    manifest = json.loads((copy / "bundle.json").read_text())
    manifest["threshold"] = 0.1
    (copy / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="was edited"):
        load_bundle(copy)


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere.bundle\.json cannot be read"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("cut", [0, 10, 25, 500, -1])
def test_cut_bytes_are_no_bundle(cut: int) -> None:
    with pytest.raises(BundleError):
        bundle_from_bytes(bundle_to_bytes(load_bundle(shipped_bundle()))[:cut])


def test_a_written_bundle_is_never_written_over(tmp_path: Path) -> None:
    shipped = load_bundle(shipped_bundle())
    written = write_bundle(tmp_path / "new", shipped.facts, networks=shipped.networks, golden=shipped.golden)
    assert load_bundle(tmp_path / "new").version == written.version
    with pytest.raises(BundleError, match="immutable"):
        write_bundle(tmp_path / "new", shipped.facts, networks=shipped.networks)


def test_the_version_is_that_of_the_content(tmp_path: Path) -> None:
    shipped = load_bundle(shipped_bundle())
    facts = shipped.facts
    one = write_bundle(tmp_path / "one", facts, networks=shipped.networks)
    same = write_bundle(tmp_path / "same", facts, networks=shipped.networks)
    other = write_bundle(tmp_path / "other", facts.model_copy(update={"temperature": 2.0}), networks=shipped.networks)
    assert one.version == same.version != other.version


def test_a_folder_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    shipped = load_bundle(shipped_bundle())
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="cannot be written"):
        write_bundle(tmp_path / "file" / "bundle", shipped.facts, networks=shipped.networks)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_another_models_answers_fail_the_golden_set(tmp_path: Path) -> None:
    shipped = load_bundle(shipped_bundle())
    assert shipped.golden is not None
    golden = Golden(shipped.golden.pixels, np.roll(shipped.golden.probabilities, 1, axis=1))
    other = write_bundle(tmp_path / "other", shipped.facts, networks=shipped.networks, golden=golden)
    with pytest.raises(BundleError, match="fails its golden set"):
        check_golden(other, open_engine(other))


def test_a_bundle_without_a_golden_set_cannot_be_checked(tmp_path: Path) -> None:
    shipped = load_bundle(shipped_bundle())
    other = write_bundle(tmp_path / "other", shipped.facts, networks=shipped.networks)
    with pytest.raises(BundleError, match="no golden set"):
        check_golden(other, open_engine(other))
