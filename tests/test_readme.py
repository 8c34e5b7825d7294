"""What the README shows is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from inkstream.settings import Settings, home
from inkstream.store.kafka_client import build_client
from inkstream.store.topics import create_topics

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
