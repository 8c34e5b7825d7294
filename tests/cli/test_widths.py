"""What `status` and `quarantine list` show where a terminal is narrow, or there is none."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import pytest

from inkstream.cli.main import main
from inkstream.cli.quarantine import _show_list
from inkstream.store.quarantine import Quarantined

NAME = "scans/2026/january/a-rather-long-name-of-a-picture.png"
REASON = "only 3 of 784 pixels are ink, and a digit has at least 20 of them"
PICTURE = Quarantined("0a1b2c3d" * 4, NAME, datetime(2026, 1, 31, 9, tzinfo=timezone.utc), "blank", REASON, "v1")


@pytest.mark.parametrize("columns", ["80", "200"])
def test_a_rejected_picture_is_readable_at_any_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal of that width
    _show_list([PICTURE], Counter(blank=1))
    shown = capsys.readouterr().out
    assert all(part in shown for part in (PICTURE.image_id, NAME, REASON, "2026-01-31T09:00:00"))


def test_a_pipe_gets_one_line_for_each_rejected_picture(capsys: pytest.CaptureFixture[str]) -> None:
    _show_list([PICTURE, PICTURE], Counter(blank=2))
    lines = [line for line in capsys.readouterr().out.splitlines() if NAME in line]
    assert len(lines) == 2
    assert all(line.startswith(PICTURE.image_id) and line.rstrip().endswith(REASON) for line in lines)


def test_status_breaks_no_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "a-folder-with-a-name-so-long-that-no-column-of-a-table-would-hold-it" / "installation"
    monkeypatch.setenv("INKSTREAM_LOCAL__FOLDER", str(folder))
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["status"]) == 1
    assert f"data {folder}/data/kafka, log {folder}/log/kafka.log\n" in capsys.readouterr().out
