from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inkstream.errors import BundleError, SettingError
from inkstream.model.bundle import Bundle, Golden, load_bundle, shipped_bundle, write_bundle
from inkstream.model.engine import open_engine
from inkstream.model.shelf import Shelf
from inkstream.settings import ModelSettings, Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings().model_copy(update={"model": ModelSettings(folder=str(tmp_path / "models"))})


def another(folder: Path, temperature: float = 2.0) -> Bundle:
    """The shipped model with another temperature: another version, with golden answers of its own."""
    shipped = load_bundle(shipped_bundle())
    assert shipped.golden
    facts = shipped.facts.model_copy(update={"temperature": temperature})
    pixels = shipped.golden.pixels
    answers = open_engine(replace(shipped, temperature=temperature)).predict(pixels)
    return write_bundle(folder, facts, networks=shipped.networks, golden=Golden(pixels, answers))


def test_a_bundle_that_was_put_there_is_found_by_the_beginning_of_its_version(
    settings: Settings, tmp_path: Path
) -> None:
    shelf = Shelf(settings)
    bundle = another(tmp_path / "new")
    assert shelf.add(tmp_path / "new").version == bundle.version
    assert set(shelf.versions()) == {bundle.version, shelf.default.version}
    assert shelf.load(shelf.find(bundle.version[:8])).temperature == 2.0
    assert shelf.add(tmp_path / "new").version == bundle.version


def test_a_bundle_that_was_trained_into_the_folder_by_a_name_is_no_version_before_it_is_put_there(
    settings: Settings, tmp_path: Path
) -> None:
    shelf = Shelf(settings)
    (tmp_path / "models").mkdir()
    bundle = another(tmp_path / "models" / "mine")
    assert list(shelf.versions()) == [shelf.default.version]
    shelf.add(tmp_path / "models" / "mine")
    assert set(shelf.versions()) == {bundle.version, shelf.default.version}


def test_the_shipped_bundle_and_the_settings_one_are_there_without_being_put(
    settings: Settings, tmp_path: Path
) -> None:
    bundle = another(tmp_path / "mine")
    own = settings.model_copy(update={"model": settings.model.model_copy(update={"bundle": str(tmp_path / "mine")})})
    shelf = Shelf(own)
    assert shelf.default.version == bundle.version
    assert shelf.load(load_bundle(shipped_bundle()).version).keras


def test_a_copy_that_was_cut_short_is_no_bundle_and_is_made_again(settings: Settings, tmp_path: Path) -> None:
    shelf = Shelf(settings)
    bundle = another(tmp_path / "new")
    shelf.add(tmp_path / "new")
    (tmp_path / "models" / bundle.version / "bundle.json").unlink()
    assert bundle.version not in shelf.versions()
    with pytest.raises(BundleError, match="holds no bundle of version"):
        shelf.load(bundle.version)
    shelf.add(tmp_path / "new")
    assert shelf.load(bundle.version).version == bundle.version


def test_a_bundle_in_a_folder_of_another_version_is_refused(settings: Settings, tmp_path: Path) -> None:
    bundle = another(tmp_path / "models" / ("f" * 64))
    with pytest.raises(BundleError, match=f"holds version {bundle.version[:12]}"):
        Shelf(settings).load("f" * 64)


@pytest.mark.parametrize("text", ["ffff", "f", ""])
def test_a_version_that_nobody_knows_is_named_with_those_that_are(settings: Settings, text: str) -> None:
    with pytest.raises(SettingError, match=load_bundle(shipped_bundle()).version[:12]):
        Shelf(settings).find(text)
