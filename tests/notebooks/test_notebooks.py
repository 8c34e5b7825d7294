"""The notebooks: run on real Spark, Cassandra and warehouse, in one kernel; kept as people get them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.stream.conftest import await_keyspace

from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.report.generator import generate_rows, store_rows
from inkstream.settings import Settings, home
from inkstream.spark import cassandra_conf
from inkstream.store.schema import apply_schema

NOTEBOOKS = sorted((home() / "notebooks").glob("*.ipynb"))
PICTURES = 300
CELL_S = 300


def _cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def _shown(cell: Any) -> str:
    """What a run cell shows as text."""
    return "\n".join(output["data"]["text/plain"] for output in cell["outputs"] if "data" in output)


def _pictures(run: Any) -> int:
    return sum("image/png" in output.get("data", {}) for cell in run["cells"] for output in cell.get("outputs", []))


@pytest.fixture(scope="module")
def stored(spark: SparkSession, services: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose keyspace holds 300 pictures that two models have answered."""
    settings: Settings = services()
    folder = tmp_path_factory.mktemp("notebooks")
    apply_schema(settings)
    for key, value in cassandra_conf(settings).items():
        spark.conf.set(key, value)
    await_keyspace(spark, settings.cassandra.keyspace)
    for version in (load_bundle(shipped_bundle()).version, "another"):
        store_rows(generate_rows(spark, PICTURES, date(2026, 1, 30), 2, version=version), settings)
    (folder / "jars").symlink_to(settings.local.path / "jars")
    return settings.model_copy(update={"local": settings.local.model_copy(update={"folder": str(folder)})})


@pytest.fixture(scope="module")
def ran(stored: Settings) -> Iterator[dict[str, Any]]:
    """Every notebook, run; by name. One kernel and so one Spark serve them all."""
    nbformat = pytest.importorskip("nbformat", reason="the packages of requirements/notebooks.txt are not installed")
    nbclient = pytest.importorskip("nbclient", reason="the packages of requirements/notebooks.txt are not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _environment(stored).items():
            patch.setenv(name, value)
        notebooks = {path.stem: nbformat.read(path, 4) for path in NOTEBOOKS}
        client = nbclient.NotebookClient(None, timeout=CELL_S, kernel_name="python3")
        # One client for all, and closed: one that is left open knocks for ever at the ended kernel's ports,
        # and the next Spark that is given such a port takes it for its own driver.
        with client.setup_kernel():
            for client.nb in notebooks.values():
                client.execute(cleanup_kc=False)
        yield notebooks


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "INKSTREAM_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "INKSTREAM_CASSANDRA__CONTACT_POINTS": settings.cassandra.contact_points,
        "INKSTREAM_CASSANDRA__PORT": str(settings.cassandra.port),
        "INKSTREAM_CASSANDRA__KEYSPACE": settings.cassandra.keyspace,
        "INKSTREAM_LOCAL__FOLDER": settings.local.folder,
        "INKSTREAM_SPARK__MASTER": "local[2]",
    }


@pytest.mark.services
def test_the_training_data_is_shown(ran: dict[str, Any]) -> None:
    run = ran["1_training_data"]
    assert _shown(run["cells"][2]) == "'62 pictures'"
    assert _pictures(run) == 3


@pytest.mark.services
def test_what_is_stored_is_counted(ran: dict[str, Any]) -> None:
    run = ran["2_predictions"]
    texts = [_shown(cell) for cell in run["cells"] if cell["cell_type"] == "code"]
    assert "2 days brought up to date" in texts[0]
    counted = sum(int(line.split()[-1]) for line in texts[1].splitlines()[1:])
    assert counted == 2 * PICTURES
    assert sum(int(line.split()[2]) for line in texts[2].splitlines()[1:]) == PICTURES
    assert _pictures(run) == 2


@pytest.mark.services
def test_two_models_are_compared(ran: dict[str, Any]) -> None:
    run = ran["3_two_models"]
    texts = [_shown(cell) for cell in run["cells"] if cell["cell_type"] == "code"]
    assert "another" in texts[0]
    assert "pictures were answered by both" in texts[1]
    assert not texts[1].startswith("'0 pictures")
    assert _pictures(run) == 1


@pytest.mark.services
def test_clusters_are_drawn(ran: dict[str, Any]) -> None:
    run = ran["4_clusters"]
    assert "62 pictures in" in "".join(_shown(cell) for cell in run["cells"] if cell["cell_type"] == "code")
    assert _pictures(run) == 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing_and_holds_no_output(path: Path) -> None:
    for cell in _cells(path):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        source = "".join(cell["source"])
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert _cells(path, "markdown")[0]["source"][0].startswith("# ")


def test_there_are_four_notebooks() -> None:
    assert len(NOTEBOOKS) == 4
