"""The stream job as a process of the local folder: what the demo starts, and `demo --keep` leaves running."""

from __future__ import annotations

import os
import re
from pathlib import Path

from inkstream.errors import InkstreamError
from inkstream.local.java import java_home
from inkstream.local.process import EmbeddedService
from inkstream.settings import Settings

JOB = "predict_stream"
SAID = re.compile(r"^error: (.+)$", re.MULTILINE)


class StreamEnded(InkstreamError):
    """The stream job ended by itself; its sentence and its exit status are taken over."""

    def __init__(self, sentence: str, exit_status: int) -> None:
        super().__init__(sentence)
        self.exit_status = exit_status


class Stream(EmbeddedService):
    """Has no port: it is ready when it answers the first picture, and the caller waits for that."""

    name = "stream"

    def __init__(self, settings: Settings, folder: Path, *, bound: bool = False) -> None:
        super().__init__(settings, folder, bound=bound)
        if self.log_file.is_file():
            self._log_start = self.log_file.stat().st_size  # what earlier ones said does not count

    @property
    def data_folder(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def work_folder(self) -> Path:
        """The caller's own, as `./submit.sh stream` has it: relative paths in the settings mean the same."""
        return Path.cwd()

    def command(self) -> list[str]:
        from inkstream.local.jars import class_path
        from inkstream.submit import submit_line

        arguments = ["--debug"] if os.environ.get("INKSTREAM_DEBUG") else []
        jars = class_path(self.settings, "spark")
        return submit_line(self.settings, JOB, arguments, jars, self.settings.spark.master)

    def environment(self) -> dict[str, str]:
        """The environment of spark-submit, with the addresses of services that only their caller knows."""
        from inkstream.submit import submit_environment

        return {
            **submit_environment(java_home()),
            "INKSTREAM_KAFKA__BOOTSTRAP_SERVERS": self.settings.kafka.servers,
            "INKSTREAM_CASSANDRA__CONTACT_POINTS": ",".join(self.settings.cassandra.hosts),
            "INKSTREAM_CASSANDRA__PORT": str(self.settings.cassandra.port),
        }

    def answers(self) -> bool:
        """Whether it runs: it speaks no protocol of its own."""
        return self.is_running()

    def check(self) -> None:
        """Raises StreamEnded where it does not run any more."""
        if self.is_running():
            return
        ended = self.exit_status or 0
        status = ended if ended > 0 else 1
        sentences = SAID.findall(self._said())
        if sentences:
            raise StreamEnded(f"{sentences[-1]} (said the stream; its log is {self.log_file})", status)
        raise StreamEnded(
            f"The stream {_how(ended)} without saying why; its log {self.log_file} ends with:\n{self._tail()}",
            status,
        )

    def _said(self) -> str:
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")


def _how(exit_status: int) -> str:
    return f"was ended by signal {-exit_status}" if exit_status < 0 else f"ended with status {exit_status}"
