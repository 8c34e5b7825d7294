from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cassandra.cluster import Session
from tests.model.test_shelf import another

from inkstream.cli.main import main
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.shelf import Shelf
from inkstream.records import bucket_of, day_of
from inkstream.settings import Settings, load_settings
from inkstream.store.registry import version_in_use
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session

pytestmark = pytest.mark.services
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def session(environment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    monkeypatch.setenv("INKSTREAM_MODEL__FOLDER", str(tmp_path / "models"))
    apply_schema(environment)
    with open_session(environment.cassandra) as session:
        yield session


def store(session: Session, image_id: str, version: str, label: str, confidence: float, outcome: str) -> None:
    columns = "day, bucket, uploaded_at, image_id, model_version, label, confidence, outcome, claimed_label"
    values = (day_of(NOON), bucket_of(NOON, image_id), NOON, image_id, version, label, confidence, outcome, "7")
    session.execute(f"INSERT INTO predictions_by_day ({columns}) VALUES ({', '.join(['%s'] * 9)})", values)
    session.execute("INSERT INTO changed_days (day, changed_at) VALUES (%s, %s)", (day_of(NOON), NOON))


def test_a_bundle_is_promoted_by_its_folder_and_taken_back(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_bundle(shipped_bundle()).version
    second = another(tmp_path / "mine").version
    assert main(["models", "promote", str(tmp_path / "mine")]) == 0
    assert version_in_use(session, load_settings()) == second
    assert main(["models", "promote", second[:8]]) == 1
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "current" in lines[second[:12]]
    assert "current" not in lines[first[:12]]
    assert main(["models", "rollback"]) == 0
    assert version_in_use(session, load_settings()) == first
    assert main(["models", "history"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[-3:]] == ["promote", "promote", "rollback"]


def test_a_bundle_that_fails_its_golden_set_is_not_promoted(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from inkstream.model.bundle import Golden, write_bundle

    good = another(tmp_path / "good")
    assert good.golden
    wrong = replace(good.golden, probabilities=good.golden.probabilities[::-1].copy())
    write_bundle(
        tmp_path / "bad",
        good.facts,
        networks=good.networks,
        golden=Golden(wrong.pixels, wrong.probabilities),
    )
    assert main(["models", "promote", str(tmp_path / "bad")]) == 1
    assert "fails its golden set" in capsys.readouterr().err
    assert version_in_use(session, load_settings()) == load_bundle(shipped_bundle()).version
    assert len(Shelf(load_settings()).versions()) == 1


def test_a_shadow_is_compared_and_what_is_in_doubt_is_queued(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_bundle(shipped_bundle()).version
    second = another(tmp_path / "mine").version
    assert main(["models", "compare"]) == 2
    assert main(["models", "shadow", str(tmp_path / "mine")]) == 0
    for image_id, old, new in (("same", "7", "7"), ("other", "7", "1"), ("better", "1", "7")):
        store(session, image_id, first, old, 0.99, "recognised")
        store(session, image_id, second, new, 0.5, "uncertain" if image_id == "better" else "recognised")
    store(session, "unsure", first, "4", 0.6, "uncertain")
    store(session, "corrected", first, "4", 0.4, "uncertain")
    for image_id, label in (("other", "1"), ("corrected", "9")):
        statement = "INSERT INTO corrections (image_id, corrected_at, label) VALUES (%s, %s, %s)"
        session.execute(statement, (image_id, NOON, label))
    capsys.readouterr()

    assert main(["models", "compare"]) == 0
    said = capsys.readouterr().out
    assert "say the same of 1 of 3 pictures (33.33%)" in said
    assert f"Of 1 corrected by people: {first[:12]} has 0 right, {second[:12]} 1." in said
    assert f"Of 2 labelled by their uploaders: {first[:12]} has 1 right, {second[:12]} 2." in said

    assert main(["models", "queue", "--csv", "-"]) == 0
    rows = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == ["better", "unsure"]
