from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from inkstream.errors import BundleError
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.keras_archive import check_keras_archive
from inkstream.model.manifest import Manifest

SHIPPED = (shipped_bundle() / "model.keras").read_bytes()


def edited(change: Any, **members: bytes) -> bytes:
    """The shipped model with its configuration changed and members added."""
    with zipfile.ZipFile(io.BytesIO(SHIPPED)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {**contents, "config.json": json.dumps(config).encode(), **members}.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def first_layer(config: Any) -> Any:
    return config["config"]["layers"][1]


def test_the_shipped_model_is_data() -> None:
    check_keras_archive(SHIPPED, "it")
    check_keras_archive(edited(lambda config: None), "it")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (edited(lambda config: first_layer(config).update(class_name="Lambda")), "holds Python code"),
        (
            edited(lambda config: first_layer(config)["config"].update(f={"class_name": "__lambda__", "config": {}})),
            "holds Python code",
        ),
        (edited(lambda config: first_layer(config).update(module="evil.layers")), "needs evil.layers"),
        (edited(lambda config: None, **{"assets/run.py": b"import os"}), "holds assets/run.py"),
        (SHIPPED[:100], "is no Keras model"),
        (b"", "is no Keras model"),
    ],
)
def test_what_is_more_than_data_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        check_keras_archive(content, "it")


def test_a_bundle_whose_checksums_fit_is_refused_all_the_same(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shipped_bundle(), tmp_path / "copy"))
    evil = edited(lambda config: first_layer(config).update(class_name="Lambda"))
    (copy / "model.keras").write_bytes(evil)
    write_manifest(copy, {"model.keras": hashlib.sha256(evil).hexdigest()})
    with pytest.raises(BundleError, match=r"model\.keras holds Python code"):
        load_bundle(copy)


def test_a_bundle_names_only_its_own_files(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shipped_bundle(), tmp_path / "copy"))
    write_manifest(copy, {"../../secret": "0" * 64})
    with pytest.raises(BundleError, match=r"names '\.\./\.\./secret'"):
        load_bundle(copy)


def write_manifest(folder: Path, files: dict[str, str]) -> None:
    """bundle.json with these checksums and the version that fits it."""
    manifest = Manifest.model_validate_json((folder / "bundle.json").read_bytes())
    draft = manifest.model_copy(update={"files": {**manifest.files, **files}})
    signed = draft.model_copy(update={"version": draft.computed_version()})
    (folder / "bundle.json").write_text(signed.model_dump_json())
