"""The demo as a person runs it: in a folder of its own, on services that it starts and ends itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from inkstream.demo.cards import SOURCE, build_cards
from inkstream.local.ports import free_port
from inkstream.local.services import running_services
from inkstream.settings import Settings, load_settings
from inkstream.store.session import open_session

COMMAND = str(Path(sys.executable).with_name("inkstream"))
TABLES = ("images", "predictions", "predictions_by_day")


def processes_of(folder: Path) -> list[str]:
    """The processes that know the folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != os.getpid():
            found.append(line)
    return found


@pytest.mark.services
def test_the_demo_answers_every_sample_checks_its_rows_and_leaves_nothing_running(folder: Path) -> None:
    environment = {**os.environ, "INKSTREAM_LOCAL__FOLDER": str(folder)}
    done = subprocess.run([COMMAND, "demo"], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert processes_of(folder) == []

    cards = build_cards()
    shown = {line.split()[0] for line in done.stdout.splitlines() if re.search(r" s (\w+)$", line)}
    assert shown == {card.sample.name for card in cards}
    assert f"{len(cards)} pictures sent, {len(cards)} answered" in done.stdout
    assert "./submit.sh up" in done.stdout

    page = (folder / "demo" / "report.html").read_text()
    assert str(folder / "demo" / "report.html") in done.stdout
    assert all(card.sample.name in page for card in cards)
    assert "Every picture has its answer" in page
    with_digit = [card for card in cards if card.sample.truth is not None]
    assert page.count('alt="what the model saw"') >= len(with_digit)

    with running_services(load_settings(), folder, kafka=False) as running:
        _check_rows(running.settings, {card.image_id for card in cards}, len(with_digit))


def _check_rows(settings: Settings, ids: set[str], digits: int) -> None:
    with open_session(settings.cassandra) as session:
        for table in TABLES:
            rows = [row.image_id for row in session.execute(f"SELECT image_id FROM {table}")]
            assert sorted(rows) == sorted(ids), table
        assert {row.source for row in session.execute("SELECT source FROM images")} == {SOURCE}
        labels = [row.label for row in session.execute("SELECT label FROM predictions") if row.label]
        assert len(labels) >= 0.9 * digits


def test_services_elsewhere_that_do_not_answer_are_named(folder: Path) -> None:
    port = free_port()
    elsewhere = {
        "INKSTREAM_LOCAL__FOLDER": str(folder),
        "INKSTREAM_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "INKSTREAM_CASSANDRA__CONTACT_POINTS": "127.0.0.1",
        "INKSTREAM_CASSANDRA__PORT": str(port),
    }
    done = subprocess.run(
        [COMMAND, "demo"], env={**os.environ, **elsewhere}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert f"Kafka is at 127.0.0.1:{port}, as the settings say" in done.stdout
    assert re.fullmatch(rf"error: Kafka cannot be reached at 127\.0\.0\.1:{port} .*\n", done.stderr)
    assert processes_of(folder) == []
