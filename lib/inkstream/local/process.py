"""One embedded service: a process known by its pid and start time, with data, log and record in a folder."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import psutil

from inkstream.errors import ServiceError, SetupError
from inkstream.local import guard
from inkstream.local.java import java_home
from inkstream.local.ports import LOOPBACK, demanded_port, free_port, is_free, is_open
from inkstream.settings import Settings

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20
POLL_S = 0.05
START_TIME_TOLERANCE_S = 5
LOG_KEPT_BYTES = 10 << 20
LAST_LINES = 15

# The processes that this one started, by pid: whichever object ends one must also reap it, or a zombie stays.
_children: dict[int, subprocess.Popen[bytes]] = {}


class EmbeddedService:
    """What Kafka, Cassandra and Spark's processes share; a subclass says how to start it and when it is ready.

    A `bound` service ends with the process that started it; one that is not outlives it. `usual` tries the usual ports
    first, else any free ones are taken.
    """

    name = ""
    usual_ports: ClassVar[Mapping[str, int]] = {}
    ready_timeout_s = READY_TIMEOUT_S

    def __init__(self, settings: Settings, folder: Path, *, bound: bool = False, usual: bool = True) -> None:
        self.settings = settings
        self.folder = folder
        self.bound = bound
        self.usual = usual
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        record = self._read_record()
        self.ports: dict[str, int] = record.get("ports", {})

    # What a subclass provides

    def command(self) -> list[str]:
        """The command line of the process; the folders exist and the ports are chosen."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the service answers a request of its own protocol; asked once its port is open."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Variables that the process needs beside this one's own."""
        return {}

    def usual_port(self, role: str) -> int:
        """The port to try first; 0 for any."""
        return self.usual_ports[role]

    def demanded_ports(self) -> dict[str, int]:
        """The ports that can be no others, because the settings demand them, checked to be free."""
        return {}

    # What is known of it

    @property
    def data_folder(self) -> Path:
        return self.folder / "data" / self.name

    @property
    def work_folder(self) -> Path:
        """Where the process is started."""
        return self.data_folder

    @property
    def log_file(self) -> Path:
        return self.folder / "log" / f"{self.name}.log"

    @property
    def record_file(self) -> Path:
        return self.folder / "run" / f"{self.name}.json"

    @property
    def host(self) -> str:
        return LOOPBACK

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.ports['port']}" if self.ports else ""

    @property
    def pid(self) -> int | None:
        process = self.process()
        return process.pid if process else None

    @property
    def state(self) -> str:
        """`running`, `dead` (started once, ended by itself) or `stopped`."""
        if self.is_running():
            return "running"
        return "dead" if self.record_file.exists() else "stopped"

    @property
    def exit_status(self) -> int | None:
        """How the process ended; None while it runs, and where another process started it."""
        child = _children.get(self._read_record().get("pid", 0))
        return child.poll() if child else None

    def process(self) -> psutil.Process | None:
        """The process that was started here; None where it does not run."""
        record = self._read_record()
        if "pid" not in record:
            return None
        if record["pid"] in _children and _children[record["pid"]].poll() is not None:
            return None
        try:
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["started"]) < START_TIME_TOLERANCE_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def is_running(self) -> bool:
        return self.process() is not None

    # What is done to it

    def start(self) -> None:
        """Start it and wait until it answers; nothing where it runs already.

        Raises:
            SetupError: a folder cannot be written, a demanded port is taken, or Java is missing.
            ServiceError: the process ended, or did not answer in time.
        """
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Start the process without waiting for it. Raises as `start`."""
        if self.is_running():
            return
        self.choose_ports()
        self._make_folders()
        command = self.command()
        with self.log_file.open("ab") as log_to:
            self._log_start = log_to.tell()
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log_to,
                stderr=subprocess.STDOUT,
                cwd=self.work_folder,
                env={**os.environ, "JAVA_HOME": str(java_home()), **self.environment()},
                start_new_session=True,
            )
        _children[child.pid] = child
        self._write_record(child.pid)
        if self.bound:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", guard.__file__, str(child.pid)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )

    def choose_ports(self) -> None:
        """Settle its ports: the demanded ones, those of before, the usual ones or any. Raises SetupError as `start`."""
        self.ports = {**self._free_ports(), **self.demanded_ports()}

    def await_ready(self) -> None:
        """Wait until it answers. Raises ServiceError where the process ends or time runs out."""
        until = time.monotonic() + self.ready_timeout_s
        while not (is_open(self.ports["port"], self.host) and self.answers()):
            if not self.is_running():
                raise ServiceError(
                    f"{self.name} ended while starting; its log {self.log_file} ends with:\n{self._tail()}"
                )
            if time.monotonic() > until:
                raise ServiceError(
                    f"{self.name} runs but did not answer on {self.endpoint} within {self.ready_timeout_s} s; "
                    f"its log {self.log_file} ends with:\n{self._tail()}"
                )
            time.sleep(POLL_S)

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        process = self.process()
        if process:
            process.terminate()

    def stop(self) -> None:
        """End it cleanly, by force after a while; only the process that was started here."""
        process = self.process()
        if process:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except psutil.TimeoutExpired:
                log.warning("%s did not end within %d s; killing it", self.name, STOP_TIMEOUT_S)
                process.kill()
                process.wait(STOP_TIMEOUT_S)
        self._reap()
        self.record_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL). A later `start` takes up the same ports and data."""
        process = self.process()
        if process:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
        self._reap()

    # Inside

    def _reap(self) -> None:
        if self._guard and self._guard.stdin:
            self._guard.kill()
            self._guard.stdin.close()
            self._guard.wait()
        self._guard = None
        child = _children.pop(self._read_record().get("pid", 0), None)
        if child:
            child.wait()

    def _make_folders(self) -> None:
        try:
            for folder in (self.data_folder, self.log_file.parent, self.record_file.parent):
                folder.mkdir(parents=True, exist_ok=True)
            if self.log_file.exists() and self.log_file.stat().st_size > LOG_KEPT_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
            with self.log_file.open("ab"):
                pass
        except OSError as error:
            raise SetupError(
                f"The folder {self.folder} cannot be written ({error.strerror}); "
                "make it writable, or set local.folder in conf/inkstream.toml"
            ) from error

    def _free_ports(self) -> dict[str, int]:
        chosen: dict[str, int] = {}
        for role in self.usual_ports:
            wanted = self.ports.get(role) or (self.usual_port(role) if self.usual else 0)
            chosen[role] = wanted if wanted and is_free(wanted, self.host) else free_port()
            if wanted and chosen[role] != wanted:
                log.info("%s: port %d is taken, using %d", self.name, wanted, chosen[role])
        return chosen

    def _read_record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self.record_file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SetupError(f"{self.record_file} cannot be read ({error}); delete it if no service runs") from error
        return record

    def _write_record(self, pid: int) -> None:
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            started = 0.0
        record = {"pid": pid, "started": started, "ports": self.ports}
        scratch = self.record_file.with_suffix(".new")
        scratch.write_text(json.dumps(record))
        scratch.replace(self.record_file)

    def _tail(self) -> str:
        with self.log_file.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:]) or "(nothing)"


def demanded(settings_port: int, setting: str, role: str = "port") -> dict[str, int]:
    """The demanded ports of a service with one setting for one of them; none where the setting is 0."""
    return {role: demanded_port(settings_port, setting)} if settings_port else {}
