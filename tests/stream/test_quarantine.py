"""What was rejected, through the commands: listed, shown, exported, answered again; and forgotten."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.stream.conftest import TABLES, Pipeline

import inkstream
from inkstream.cli.main import main

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
LONG = SEVEN + bytes(2_000)


@pytest.fixture
def strict(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline whose limit is 1 KiB, and the commands in an environment that leads to it."""
    settings = pipeline.settings
    for name, value in {
        "DEBUG": "",
        "KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "CASSANDRA__CONTACT_POINTS": settings.cassandra.contact_points,
        "CASSANDRA__PORT": str(settings.cassandra.port),
        "CASSANDRA__KEYSPACE": settings.cassandra.keyspace,
    }.items():
        monkeypatch.setenv(f"INKSTREAM_{name}", value)
    image = settings.image.model_copy(update={"max_image_bytes": 1024})
    pipeline.settings = settings.model_copy(update={"image": image})
    return pipeline


def relax(pipeline: Pipeline) -> None:
    image = pipeline.settings.image.model_copy(update={"max_image_bytes": 1 << 20})
    pipeline.settings = pipeline.settings.model_copy(update={"image": image})


def test_what_a_limit_kept_out_is_replayed_under_its_id_and_with_its_history(
    strict: Pipeline, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    headers = {"filename": "seven.png", "source": "phone", "label": "7", "uploaded-at": "2026-02-01T08:00:00.123Z"}
    strict.send([(b"long", LONG, headers), (None, LONG, {}), (b"broken", b"\x00 no picture", {}), (b"fine", SEVEN, {})])
    strict.drain()
    before = {row.image_id: row for row in strict.rows("images")}
    [placed] = [id_ for id_ in before if id_.startswith("kafka:")]

    assert main(["quarantine", "list"]) == 0
    listed = capsys.readouterr().out
    assert "3 pictures in quarantine" in listed
    assert "too_large" in listed
    assert main(["quarantine", "list", "--reason", "too_large", "--csv", str(tmp_path / "list.csv")]) == 0
    with (tmp_path / "list.csv").open() as file:
        assert {row["image_id"] for row in csv.DictReader(file)} == {"long", placed}
    assert main(["quarantine", "show", "long", "--save", str(tmp_path / "saved")]) == 0
    shown = capsys.readouterr().out
    assert "too_large: The file has" in shown
    assert "▀" in shown
    assert (tmp_path / "saved").read_bytes() == LONG
    assert main(["quarantine", "show", "broken"]) == 0
    assert "It cannot be shown" in capsys.readouterr().out
    assert main(["quarantine", "export", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "too_large" / "long.png").read_bytes() == LONG
    assert (tmp_path / "out" / "index.csv").read_text().count("\n") == 4

    assert main(["quarantine", "replay", "--reason", "too_large"]) == 0
    relax(strict)
    strict.drain()
    after = {row.image_id: row for row in strict.rows("images")}
    assert set(after) == set(before)
    kept = ("filename", "source", "claimed_label", "uploaded_at", "bytes", "sha256")
    for id_ in ("long", placed):
        assert [getattr(after[id_], name) for name in kept] == [getattr(before[id_], name) for name in kept]
        assert (after[id_].partition, after[id_].offset) != (before[id_].partition, before[id_].offset)
    answers = {row.image_id: (row.outcome, row.label) for row in strict.rows("predictions")}
    assert answers["long"] == answers[placed] == ("recognised", "7")
    assert len(strict.rows("predictions_by_day")) == len(strict.rows("predictions")) == 4
    replayed = [dict(message.headers) for message in strict.messages(strict.settings.kafka.uploaded)]
    assert sorted(headers["replay-of"] for headers in replayed if "replay-of" in headers) == sorted(
        [b"long", placed.encode()]
    )

    assert main(["forget", "--source", "phone", "--yes"]) == 0
    assert "1 pictures forgotten" in capsys.readouterr().out
    strict.drain("again")
    assert all("long" not in {row.image_id for row in strict.rows(table, "image_id")} for table in TABLES)


def test_what_is_asked_for_wrongly_is_named(strict: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        ("quarantine", "list", "--reason", "ugly"): (2, "--reason has the value 'ugly'"),
        ("quarantine", "replay"): (2, "Say which pictures"),
        ("quarantine", "replay", "a", "--all"): (2, "Say which pictures"),
        ("quarantine", "replay", "nobody"): (1, "nobody is not stored"),
        ("quarantine", "show", "nobody"): (1, "nobody is not stored"),
        ("quarantine", "export", str(Path(__file__).parent)): (2, "is not empty"),
        ("forget",): (2, "Say which pictures"),
        ("forget", "a", "--source", "phone"): (2, "Say which pictures"),
        ("forget", "--before", "soon"): (2, "--before has the value 'soon'"),
        ("forget", "a"): (2, "give --yes"),
    }
    for arguments, (status, sentence) in wrong.items():
        assert main(list(arguments)) == status, arguments
        assert sentence in " ".join(capsys.readouterr().err.split())
    assert main(["forget", "--source", "nobody"]) == 0
    assert "nothing was changed" in capsys.readouterr().out
