"""Rules about the project itself: which way imports point, what modules are called, what its files never name."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "lib" / "inkstream"

# From the outside in; a module imports its own layer and those after it.
LAYERS = [
    {"jobs", "cli"},
    {"demo", "chaos"},
    {"stream", "report", "gateway", "local", "producer", "spark", "submit", "job_errors", "dataset", "evaluation"},
    {"store", "model"},
    {"image"},
    {"arrow", "records", "times", "settings", "errors"},
]
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager"}
# Spelt in two halves, so that this file does not hold what it looks for.
FORBIDDEN_TEXT = [
    "repo." + "maven",
    "repo1." + "maven",
    "maven" + ".org",
    "files." + "pythonhosted",
    "pypi" + ".org",
    "registry." + "npmjs",
    "deb." + "debian",
    "/work" + "/",
    "../" + "shared",
    "/root" + "/",
]


def python_files() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(ROOT / "jobs").glob("*.py")])


def layer_of(room: str) -> int:
    found = [number for number, rooms in enumerate(LAYERS) if room in rooms]
    assert found, f"{room} has no place in LAYERS"
    return found[0]


def room_of(path: Path) -> str:
    return "jobs" if path.parent == ROOT / "jobs" else path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(source: str) -> Iterator[str]:
    """The rooms of the package that a module's source imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("inkstream."))


def wrong_imports(room: str, source: str) -> list[str]:
    return [found for found in rooms_imported(source) if layer_of(found) < layer_of(room)]


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_inwards_only(path: Path) -> None:
    room = room_of(path)
    if room != "__init__":
        assert wrong_imports(room, path.read_text()) == []


def test_a_wrong_import_would_be_found() -> None:
    assert wrong_imports("image", "def f():\n    from inkstream.store.schema import apply_schema") == ["store"]
    assert wrong_imports("model", "import inkstream.cli.main") == ["cli"]
    assert wrong_imports("cli", "from inkstream import local, settings") == []


def test_jobs_know_nothing_of_each_other() -> None:
    jobs = {path.stem for path in (ROOT / "jobs").glob("*.py")}
    for path in (ROOT / "jobs").glob("*.py"):
        imported = set(re.findall(r"^(?:from|import) ([a-z_]+)", path.read_text(), re.MULTILINE))
        assert imported & jobs == set(), path


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert [
        path for path in python_files() if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES
    ] == []


def test_no_tracked_file_names_a_registry_or_a_place_on_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        found += [(name, text) for text in FORBIDDEN_TEXT if text.encode() in content]
    assert found == []


def test_every_dependency_is_in_its_lock() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = set(
        re.findall(r'^    "([A-Za-z0-9-]+)', project.partition("dependencies = [")[2].partition("\n]")[0], re.M)
    )
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE))
    assert len(named) > 20
    assert named - locked == set()


@pytest.mark.parametrize("name", ["build", "runtime", "train", "notebooks", "bench", "chaos", "sbom", "test", "quix"])
def test_every_locked_package_has_a_checksum(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    packages = re.findall(r"^[a-z0-9-]+==.*\n", text, re.MULTILINE)
    assert packages
    assert all(re.search(re.escape(package) + r"    --hash=sha256:[0-9a-f]{64}", text) for package in packages)
