from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from inkstream.cli import predict as predict_module
from inkstream.cli.main import main
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.settings import ImageSettings

COLUMNS = ["file", "label", "confidence", "outcome", "reason"]


def _one(path: Path) -> Path:
    """A drawn 1: black on white."""
    picture = Image.new("L", (100, 100), 255)
    ImageDraw.Draw(picture).line([(52, 20), (48, 80)], fill=0, width=9)
    picture.save(path)
    return path


def _rows(text: str) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    assert list(reader.fieldnames or []) == COLUMNS
    return rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`pics` in the current folder: a digit, a broken picture, a text, a hidden file, one in a folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "pics"
    (path / "deep" / "er").mkdir(parents=True)
    whole = _one(path / "one.png").read_bytes()
    (path / "broken.png").write_bytes(whole[:60])
    (path / "deep" / "er" / "note.txt").write_text("words")
    (path / "deep" / "one").write_bytes(whole)
    (path / ".hidden").write_bytes(b"")
    return path


def test_a_row_for_every_regular_file_whatever_its_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "pics", "--csv", "-"]) == 0
    rows = {row["file"]: row for row in _rows(capsys.readouterr().out)}
    files = ["pics/.hidden", "pics/broken.png", "pics/deep/er/note.txt", "pics/deep/one", "pics/one.png"]
    assert list(rows) == files
    for file in ("pics/one.png", "pics/deep/one"):
        assert (rows[file]["label"], rows[file]["outcome"], rows[file]["reason"]) == ("1", "recognised", "")
        assert 0.5 < float(rows[file]["confidence"]) <= 1
    rejected = {file: rows[file]["reason"].partition(": ")[0] for file in rows if rows[file]["outcome"] == "rejected"}
    assert rejected == {
        "pics/.hidden": "unreadable",
        "pics/broken.png": "unreadable",
        "pics/deep/er/note.txt": "unsupported_format",
    }
    for file in rejected:
        assert (rows[file]["label"], rows[file]["confidence"]) == ("", "0.0")
        assert len(rows[file]["reason"].partition(": ")[2]) > 10


@pytest.mark.parametrize("typed", ["pics", "pics/", "./pics", "../{parent}/pics", "{absolute}"])
def test_a_file_is_named_as_its_folder_was_typed(folder: Path, capsys: pytest.CaptureFixture[str], typed: str) -> None:
    argument = typed.format(parent=folder.parent.name, absolute=folder)
    assert main(["predict", argument, "--csv", "-"]) == 0
    names = [row["file"] for row in _rows(capsys.readouterr().out)]
    assert f"{argument.rstrip('/')}/deep/one" in names
    assert all(name.startswith(argument) for name in names)


def test_a_confidence_is_the_shortest_text_of_the_number_that_the_model_gave(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "pics/one.png", "--csv", "-"]) == 0
    [row] = _rows(capsys.readouterr().out)
    [reading] = Reader(load_bundle(shipped_bundle()), ImageSettings()).read([(folder / "one.png").read_bytes()])
    assert reading.probabilities is not None
    assert row["confidence"] == str(np.float32(max(reading.probabilities.values())))


def test_csv_goes_into_a_file_which_is_no_picture_of_its_own_folder(folder: Path) -> None:
    assert main(["predict", "pics", "--csv", "pics/out.csv"]) == 0
    first = (folder / "out.csv").read_bytes()
    assert main(["predict", "pics", "--csv", "pics/out.csv"]) == 0
    assert (folder / "out.csv").read_bytes() == first
    assert len(_rows(first.decode())) == 5


def test_json_is_one_array_with_the_same_answers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "pics", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [list(row) for row in rows] == [COLUMNS] * 5
    assert [row["label"] for row in rows] == [None, None, None, "1", "1"]
    assert all(isinstance(row["confidence"], float) for row in rows)


def test_json_of_nothing_is_an_empty_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_why_adds_what_the_normaliser_did(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "pics/one.png", "--json", "--why"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["why"]["polarity"] == "dark_on_light"
    assert main(["predict", "pics/one.png", "--csv", "-", "--why"]) == 0
    [line] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert list(line) == [*COLUMNS, "why"]
    assert json.loads(line["why"]) == row["why"]


def test_without_a_format_people_get_a_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "pics"]) == 0
    shown = capsys.readouterr().out
    assert "pics/deep/one" in shown
    assert shown.splitlines()[-1] == "5 pictures: 2 recognised, 3 rejected"


def test_a_name_cannot_send_commands_to_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a\x1b[31m.png").write_bytes(b"")
    assert main(["predict", str(tmp_path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_name_that_is_no_utf_8_comes_back_as_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with open(os.fsencode(tmp_path) + b"/in/\xff.png", "wb"):  # noqa: PTH123
        pass
    assert main(["predict", str(tmp_path / "in"), "--csv", str(tmp_path / "out.csv")]) == 0
    assert b"/in/\xff.png," in (tmp_path / "out.csv").read_bytes()
    assert main(["predict", str(tmp_path / "in")]) == 0


def test_a_huge_file_is_too_large_and_its_bytes_are_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    assert main(["predict", str(tmp_path), "--csv", "-"]) == 0
    [row] = _rows(capsys.readouterr().out)
    assert row["reason"].startswith("too_large: ")


def test_answers_do_not_depend_on_how_many_files_are_read_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", "pics", "--csv", "-"])
    at_once = capsys.readouterr().out
    monkeypatch.setattr(predict_module, "CHUNK_FILES", 1)
    main(["predict", "pics", "--csv", "-"])
    assert capsys.readouterr().out == at_once


def test_a_threshold_of_the_settings_makes_answers_uncertain(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INKSTREAM_MODEL__THRESHOLD", "1.0")
    assert main(["predict", "pics/one.png", "--csv", "-"]) == 0
    [row] = _rows(capsys.readouterr().out)
    assert (row["label"], row["outcome"]) == ("1", "uncertain")


def test_a_file_that_cannot_be_opened_has_its_row_and_fails_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = list(predict_module._find(["pics"], None))
    (folder / "deep" / "one").unlink()  # gone after it was listed
    monkeypatch.setattr(predict_module, "_find", lambda *_, **__: listed)
    assert main(["predict", "pics", "--csv", "-"]) == 1
    written = capsys.readouterr()
    rows = {row["file"]: row["reason"] for row in _rows(written.out)}
    assert len(rows) == 5
    assert rows["pics/deep/one"] == "unreadable: The file cannot be opened: No such file or directory."
    assert "1 of 5 files could not be opened" in written.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["pics", "--csv", "a.csv", "--json"], "--csv and --json"),
        (["pics", "--csv", "no/such/folder.csv"], "no/such/folder.csv"),
        (["pics", "--csv", "pics"], "--csv has the value pics"),
        (["pics", "--model", "nowhere"], "--model has the value nowhere"),
    ],
)
def test_a_wrong_argument_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], named: str
) -> None:
    assert main(["predict", *arguments]) == 2
    message = capsys.readouterr().err
    assert named in message
    assert "Traceback" not in message


def test_neither_tensorflow_nor_spark_nor_a_service_is_touched(folder: Path) -> None:
    code = (
        "import sys; from inkstream.cli.main import main; status = main(['predict', 'pics', '--csv', 'o.csv']);"
        "sys.exit(status or ','.join(set(sys.modules) & {'tensorflow', 'keras', 'pyspark', 'kafka', 'cassandra'}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")
