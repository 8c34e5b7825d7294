from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer

from inkstream.cli.main import main
from inkstream.producer.send import picture_id
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_client
from inkstream.store.topics import create_topics
from webserver import Reply, serve

PNG = b"\x89PNG\r\n\x1a\n"
COMMAND = [sys.executable, "-c", "from inkstream.cli.main import run; run()"]
pytestmark = pytest.mark.services


@pytest.fixture
def kafka(environment: Settings) -> Settings:
    create_topics(environment)
    return environment


def _arrived(settings: Settings) -> dict[str, dict[str, Any]]:
    """All messages of images.uploaded: key -> value and headers."""
    consumer = build_client(KafkaConsumer, settings.kafka, group_id=None, enable_auto_commit=False)
    try:
        consumer.subscribe([settings.kafka.uploaded])
        consumer.poll(timeout_ms=1_000)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(list(consumer.assignment()))
        found = []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            found += [message for messages in consumer.poll(timeout_ms=500).values() for message in messages]
    finally:
        consumer.close()
    return {m.key.decode(): {"value": m.value, **{name: v.decode() for name, v in m.headers}} for m in found}


def test_a_folder_is_sent_and_counted(kafka: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "7").mkdir()
    for name in ("a.png", "b_3.png", "7/c.png"):
        (tmp_path / name).write_bytes(PNG + name.encode())
    assert main(["send", str(tmp_path), "--label-from-name", "--source", "school"]) == 0
    shown = capsys.readouterr().out
    assert [cell.strip() for cell in shown.splitlines()[3].split("│")][1:4] == ["3", "3", "0"]
    arrived = _arrived(kafka)
    assert {m["filename"].partition("/")[2]: m.get("label") for m in arrived.values()} == {
        "a.png": None,
        "b_3.png": "3",
        "7/c.png": "7",
    }
    assert set(arrived) == {
        picture_id("school", str(tmp_path / name), PNG + name.encode()) for name in ("a.png", "b_3.png", "7/c.png")
    }


def test_what_failed_is_named_and_the_exit_status_says_so(
    kafka: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "set\x1b[31m.zip").write_bytes(b"no archive")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    assert main(["send", str(tmp_path)]) == 1
    written = capsys.readouterr()
    assert "failed: set?[31m.zip: the archive is damaged" in written.out
    assert f"failed: {tmp_path.name}/huge.png: it has 1,099,511,627,776 bytes" in written.out
    assert "2 of 3 pictures were not sent" in written.err
    assert len(_arrived(kafka)) == 1


def test_the_pictures_of_a_page_are_sent_each_once(kafka: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    replies = {"/": Reply(b'<img src="a.png"><img src="b.png"><img src="gone.png">')}
    replies |= {"/a.png": Reply(PNG + b"1"), "/b.png": Reply(PNG + b"1")}
    with serve(replies) as site:
        assert main(["collect", f"{site.address}/"]) == 1
        expected = picture_id("127.0.0.1", f"{site.address}/a.png", PNG + b"1")
    assert "gone.png: the server answers 404" in capsys.readouterr().out
    [(key, message)] = _arrived(kafka).items()
    assert (key, message["filename"], message["source"]) == (expected, "a.png", "127.0.0.1")


def test_an_interrupt_lets_what_is_in_flight_arrive_and_reports(kafka: Settings, tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}.png").write_bytes(PNG + str(number).encode())
    with subprocess.Popen(
        [*COMMAND, "send", str(tmp_path), "--rate", "20"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while not _arrived(kafka) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        shown, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")
    sent, acknowledged, failed = (int(cell) for cell in shown.splitlines()[3].split("│")[1:4])
    assert 0 < sent == acknowledged == len(_arrived(kafka)) < 200
    assert failed == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["send", "nowhere"], "nowhere does not exist"),
        (["send", "."], "nothing to send"),
        (["send", ".", "--rate", "0"], "--rate has the value 0"),
        (["send", ".", "--rate", "nan"], "--rate has the value nan"),
        (["collect", "nowhere.html"], "nowhere.html is no file"),
    ],
)
def test_a_wrong_argument_is_named(
    kafka: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    named: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert named in capsys.readouterr().err


def test_a_kafka_out_of_reach_is_one_sentence_within_seconds(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    started = time.monotonic()
    variables = {**os.environ, "INKSTREAM_KAFKA__BOOTSTRAP_SERVERS": address}
    ended = subprocess.run(
        [*COMMAND, "send", str(tmp_path)], capture_output=True, text=True, env=variables, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert f"Kafka cannot be reached at {address}" in ended.stderr
    assert time.monotonic() - started < 20


def test_a_missing_topic_is_one_sentence(environment: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    ended = subprocess.run([*COMMAND, "send", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert f"has no topic {environment.kafka.uploaded!r}; `./submit.sh up` creates it" in ended.stderr
