"""A stream that ends by itself says why, in its own words and with its own status."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from inkstream.local.services import down, known_services
from inkstream.local.stream import Stream, StreamEnded
from inkstream.settings import Settings


class Scripted(Stream):
    """The stream's process, with a script in place of spark-submit."""

    script = ""

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.script]


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    plain = Settings()
    return plain.model_copy(
        update={
            "local": plain.local.model_copy(update={"folder": str(tmp_path)}),
            "kafka": plain.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:9"}),
            "cassandra": plain.cassandra.model_copy(update={"contact_points": "127.0.0.1"}),
        }
    )


def run(settings: Settings, script: str) -> Scripted:
    """A stream that ran the script and has ended."""
    stream = Scripted(settings, settings.local.path)
    stream.script = script
    stream.launch()
    until = time.monotonic() + 20
    while stream.is_running() and time.monotonic() < until:
        time.sleep(0.02)
    return stream


def test_the_last_error_sentence_and_the_status_are_taken_over(own: Settings) -> None:
    run(own, "print('error: of an earlier run')").stop()
    stream = run(own, "import sys; print('noise\\nerror: Cassandra is gone', file=sys.stderr); sys.exit(3)")
    with pytest.raises(
        StreamEnded, match=r"^Cassandra is gone \(said the stream; its log is .*stream\.log\)$"
    ) as caught:
        stream.check()
    assert caught.value.exit_status == 3
    stream.stop()


def test_a_stream_that_says_nothing_shows_the_end_of_its_log_only_of_this_run(own: Settings) -> None:
    run(own, "print('error: of an earlier run')").stop()
    stream = run(own, "import os; print('last words', flush=True); os.kill(os.getpid(), 9)")
    with pytest.raises(
        StreamEnded, match=r"was ended by signal 9 without saying why; its log .* ends with:\nlast words$"
    ) as caught:
        stream.check()
    assert caught.value.exit_status == 1
    stream.stop()


def test_a_running_stream_is_known_to_down_and_is_told_where_the_services_are(own: Settings) -> None:
    stream = Scripted(own, own.local.path)
    stream.script = (
        "import os, time; print(os.environ['INKSTREAM_KAFKA__BOOTSTRAP_SERVERS'], os.getcwd(), flush=True); "
        "time.sleep(600)"
    )
    stream.launch()
    try:
        stream.check()
        until = time.monotonic() + 20
        while not stream.log_file.read_text() and time.monotonic() < until:
            time.sleep(0.02)
        assert stream.log_file.read_text() == f"127.0.0.1:9 {Path.cwd()}\n"
        assert [service.name for service in known_services(own) if service.is_running()] == ["stream"]
    finally:
        stopped = down(own)
    assert [service.name for service in stopped] == ["stream"]
    assert not stream.is_running()
