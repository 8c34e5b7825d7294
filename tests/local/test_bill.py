"""The bill of materials: valid CycloneDX, and all that the locks name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from inkstream.cli.main import main
from inkstream.local.bill import bill_of_materials
from inkstream.local.jars import GROUPS, lock_file, read_lock
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.settings import home


def test_the_bill_is_valid_and_names_every_locked_package_jar_and_the_model() -> None:
    bill = bill_of_materials()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill) is None
    found = {part["bom-ref"]: part for part in json.loads(bill)["components"]}

    lock = (home() / "requirements" / "runtime.txt").read_text()
    packages = set(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", lock, re.MULTILINE))
    jars = {jar for group in GROUPS for jar in read_lock(lock_file(group))}
    model = load_bundle(shipped_bundle()).version
    assert set(found) == (
        {f"pypi:{name}@{version}" for name, version in packages}
        | {f"maven:{jar.coordinate}" for jar in jars}
        | {f"model:{model}"}
    )
    hashes = {ref: {entry["content"] for entry in part["hashes"]} for ref, part in found.items()}
    assert set.union(*(hashes[ref] for ref in found if ref.startswith("pypi:"))) == set(
        re.findall(r"--hash=sha256:(\w{64})", lock)
    )
    assert all(hashes[f"maven:{jar.coordinate}"] == {jar.sha256} for jar in jars)
    assert all(part["purl"].startswith("pkg:") for ref, part in found.items() if ref != f"model:{model}")


def test_the_command_writes_the_bill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sbom", str(tmp_path / "bill.json")]) == 0
    assert json.loads((tmp_path / "bill.json").read_text())["bomFormat"] == "CycloneDX"
    assert main(["sbom", str(tmp_path / "missing" / "bill.json")]) == 2
    assert "cannot be written (No such file or directory); name another file" in capsys.readouterr().err
