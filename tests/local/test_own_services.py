"""A folder of a command's own: empty at its start, and nobody else's until its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from inkstream.errors import SetupError
from inkstream.local.own_services import own_folder


def test_what_the_last_run_left_is_gone_and_its_report_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INKSTREAM_LOCAL__FOLDER", str(tmp_path))
    left = tmp_path / "bench" / "data" / "kafka"
    left.mkdir(parents=True)
    report = tmp_path / "bench" / "report.json"
    report.write_text("{}")
    with own_folder("bench") as folder:
        assert folder == tmp_path / "bench"
        assert not left.exists()
        assert report.is_file()


def test_a_second_run_does_not_touch_the_first_ones_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INKSTREAM_LOCAL__FOLDER", str(tmp_path))
    with own_folder("bench") as folder:
        data = folder / "data"
        data.mkdir()
        with pytest.raises(SetupError, match="Another bench runs on "), own_folder("bench"):
            pass
        assert data.is_dir()
