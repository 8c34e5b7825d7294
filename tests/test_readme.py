"""What the README shows is run as it stands, and what it says of commands, settings and files is so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
import typer
from kafka import KafkaConsumer

from inkstream.cli import predict, results
from inkstream.cli.main import app
from inkstream.records import REASON_CODES, TABLES, UPLOAD_HEADERS
from inkstream.settings import NOT_SETTINGS, PREFIX, SECRETS, Settings, home
from inkstream.store.kafka_client import build_client
from inkstream.store.topics import create_topics, topic_configs
from inkstream.stream.progress import StreamMetrics

HEADING = "## Send from your own program"


def _python_blocks(heading: str) -> list[str]:
    section = (home() / "README.md").read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


@pytest.mark.services
def test_the_producer_of_the_readme_sends_what_the_stream_reads(settings: Settings, tmp_path: Path) -> None:
    [program] = _python_blocks(HEADING)
    kafka = settings.kafka
    create_topics(settings)
    # The README's program sends to the topic of an installation without a prefix; here each test has its own.
    assert program.count('"images.uploaded"') == 1
    (tmp_path / "program.py").write_text(program.replace("images.uploaded", kafka.uploaded))
    contents = {"small.png": b"small", "large.jpg": bytes(10 << 20)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, "program.py", kafka.bootstrap_servers, *contents]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    consumer = build_client(
        KafkaConsumer, kafka, auto_offset_reset="earliest", group_id=None, consumer_timeout_ms=10_000
    )
    try:
        consumer.subscribe([kafka.uploaded])
        messages = [next(consumer) for _ in contents]
    finally:
        consumer.close()
    assert {dict(message.headers)["filename"].decode(): message.value for message in messages} == contents
    assert all(re.fullmatch(rb"[0-9a-f]{32}", message.key) for message in messages)


def _readme() -> str:
    return (home() / "README.md").read_text()


def _section(heading: str) -> str:
    level = heading.partition(" ")[0]
    _, found, rest = _readme().partition(f"\n{heading}\n")
    assert found, heading
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def _table(heading: str, first: str) -> list[list[str]]:
    """The rows of the section's table whose first column is called so, each a list of cells."""
    _, found, rest = _section(heading).partition(f"\n| {first} |")
    assert found, first
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def _quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _names(heading: str, first: str) -> list[str]:
    return [_quoted(row[0])[0] for row in _table(heading, first)]


def _tracked() -> list[PurePosixPath]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=home(), capture_output=True, text=True, check=True).stdout
    return [PurePosixPath(name) for name in listed.split("\0") if name]


def _tree() -> Iterator[tuple[PurePosixPath, bool, str]]:
    """Yield (path, whether it is a folder, what is said of it) of the README's tree."""
    [tree] = re.findall(r"^```text\n(.*?)^```$", _section("## Layout"), re.DOTALL | re.MULTILINE)
    folders: list[str] = []
    for line in tree.splitlines():
        indent, name, about = re.fullmatch(r"( *)(\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        folders[len(indent) // 2 :] = [name]
        yield PurePosixPath("".join(folders)), name.endswith("/"), about


def test_the_tree_is_the_real_tree() -> None:
    real: dict[PurePosixPath, set[PurePosixPath]] = {}
    for file in _tracked():
        if file.name not in ("__init__.py", "py.typed") and not file.parts[0].startswith("."):
            for path in (file, *file.parents[:-1]):
                real.setdefault(path.parent, set()).add(path)
    shown: dict[PurePosixPath, set[PurePosixPath]] = {}
    for path, is_folder, about in _tree():
        shown.setdefault(path.parent, set()).add(path)
        assert (path in real) == is_folder, path
        named = re.findall(r"\b[a-z_-]+\.(?:py|toml|cql|conf|sh)\b", about) if is_folder else []
        assert {path / name for name in named} - real.get(path, set()) == set(), path
    assert len(shown) >= 4
    assert shown == {folder: real[folder] for folder in shown}


def test_every_file_that_is_named_exists() -> None:
    rows = _table("### Where to change what", "to change")
    assert len(rows) > 8
    for _, where in rows:
        folder = PurePosixPath()
        for name in _quoted(where):
            if "/" in name:
                folder = PurePosixPath(name).parent
            if re.search(r"/|\.(py|toml|cql|conf)$", name):
                assert [place for place in (home() / name, home() / folder / name) if place.exists()], name
    for link in re.findall(r"\]\(([^)#]+)\)", _readme()):
        assert "://" in link or (home() / link).is_file(), link


def test_every_command_that_is_named_exists_and_none_is_left_out() -> None:
    commands = set(typer.main.get_group(app).commands)  # type: ignore[attr-defined]
    texts = [_readme(), (home() / "CONTRIBUTING.md").read_text()]
    named = {name for text in texts for name in re.findall(r"\./submit\.sh (?:--debug )?([a-z]+)", text)}
    assert named >= {"demo", "test"}
    assert named - commands == set()
    assert {name.split()[0] for name in _names("## Use it", "command")} == commands


def test_every_option_that_is_named_exists() -> None:
    for name, about in _table("## Use it", "command"):
        command = typer.main.get_group(app).commands[_quoted(name)[0].split()[0]]  # type: ignore[attr-defined]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", about)) - options == set(), name


def test_the_columns_of_the_csv_files_are_those_that_are_written() -> None:
    told = {
        _quoted(name)[0].split()[0]: _quoted(about.partition("CSV columns: ")[2])
        for name, about in _table("## Use it", "command")
        if "CSV columns: " in about
    }
    assert told == {"predict": [",".join(predict.COLUMNS)], "results": [",".join(results.COLUMNS)]}


def test_the_settings_are_those_that_exist_with_their_defaults() -> None:
    defaults = {
        f"{section}.{key}": str(value).lower() if isinstance(value, bool) else str(value)
        for section, values in Settings.model_construct().model_dump().items()
        for key, value in values.items()
        if key not in SECRETS
    }
    table = {_quoted(row[0])[0]: row[1].strip("`").replace("empty", "") for row in _table("## Settings", "setting")}
    assert table == defaults


def test_every_variable_that_is_named_is_a_setting() -> None:
    dumped = Settings.model_construct().model_dump()
    known = {f"{PREFIX}{section}__{key}".upper() for section, values in dumped.items() for key in values}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+[A-Z]\b", _readme()))
    assert len(named) > 8
    assert named - known - NOT_SETTINGS == set()


def test_the_contracts_are_those_of_the_code() -> None:
    topics = _table("### Topics", "topic")
    assert {_quoted(row[0])[0] for row in topics} == set(topic_configs(Settings.model_construct()))
    assert tuple(_quoted(topics[0][3])) == UPLOAD_HEADERS
    assert dict(_rows_of_codes()) == REASON_CODES
    assert set(_names("### Tables", "table")) == set(TABLES)


def _rows_of_codes() -> Iterator[tuple[str, str]]:
    yield from ((_quoted(code)[0], meaning) for code, meaning in _table("### Outcomes", "reason code"))


def test_the_metrics_are_those_that_prometheus_gets() -> None:
    suffixes = {"counter": "_total"}
    served = {
        (metric.name + suffixes.get(metric.type, ""), metric.type) for metric in StreamMetrics().registry.collect()
    }
    assert {(_quoted(row[0])[0].partition("{")[0], row[1]) for row in _table("## Monitoring", "metric")} == served
