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


@pytest.mark.parametrize(
    ("script", "said", "status"),
    [
        pytest.param(
            "import sys; print('noise\\nerror: Cassandra is gone', file=sys.stderr); sys.exit(3)",
            r"^Cassandra is gone \(said the stream; its log is .*stream\.log\)$",
            3,
            id="its last error sentence and its status are taken over",
        ),
        pytest.param(
            "import os; print('last words', flush=True); os.kill(os.getpid(), 9)",
            r"was ended by signal 9 without saying why; its log .* ends with:\nlast words$",
            1,
            id="one that says nothing shows the end of its log",
        ),
    ],
)
def test_a_stream_that_ended_says_why_of_this_run_only(own: Settings, script: str, said: str, status: int) -> None:
    run(own, "print('error: of an earlier run')").stop()
    stream = run(own, script)
    with pytest.raises(StreamEnded, match=said) as caught:
        stream.check()
    assert caught.value.exit_status == status
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
