"""Programs that answer uploads, ours and the others: started on a place's topics and tables, watched, ended."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.figures import OURS, Incomplete
from benchmarks.place import Place
from inkstream.errors import SetupError
from inkstream.local import guard
from inkstream.local.jars import class_path
from inkstream.local.java import java_home
from inkstream.settings import home
from inkstream.submit import submit_environment, submit_line

END_S = 30
HERE = Path(__file__).resolve().parent
PACKAGES = os.pathsep.join([str(HERE.parent), str(home() / "lib")])  # Quix' environment has no InkStream of its own
Lines = Callable[[Place], list[list[str]]]  # a command line for each process


@dataclass(frozen=True)
class Contender:
    """A way to answer uploads. lines: what to start; they run until SIGTERM. settings: environment variables."""

    name: str
    lines: Lines
    settings: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def running(self, place: Place) -> Iterator[Running]:
        """Started inside the block, all processes of it ended after it."""
        log = place.folder / "log" / f"{self.name.replace(' ', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        started = time.time()
        processes: list[subprocess.Popen[bytes]] = []
        guards: list[subprocess.Popen[bytes]] = []
        environment = {
            **submit_environment(java_home()),
            **place.environment(),
            **self.settings,
            "PYTHONPATH": PACKAGES,
        }
        try:
            with log.open("wb") as file:
                for line in self.lines(place):
                    process = subprocess.Popen(
                        line,
                        stdin=subprocess.DEVNULL,
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        env=environment,
                        cwd=home(),
                        start_new_session=True,
                    )
                    processes.append(process)
                    guards.append(_guard(process.pid))
            yield Running(self.name, processes, log, started)
        finally:
            _end(processes)
            for one in guards:
                one.kill()
                one.communicate()


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Ends the process should this one be killed."""
    line = [sys.executable, "-I", guard.__file__, str(pid)]
    return subprocess.Popen(line, stdin=subprocess.PIPE, start_new_session=True)


@dataclass
class Running:
    """A contender at work. started: seconds since the epoch."""

    name: str
    processes: list[subprocess.Popen[bytes]]
    log: Path
    started: float

    def check(self) -> None:
        """Raises Incomplete where a process has ended by itself."""
        if any(process.poll() is not None for process in self.processes):
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise Incomplete(f"{self.name} ended by itself; its log {self.log} ends with:\n{tail}")

    def family(self) -> list[psutil.Process]:
        """All its processes."""
        found = []
        for process in self.processes:
            try:
                parent = psutil.Process(process.pid)
                found += [parent, *parent.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found


def resident_bytes(processes: Sequence[psutil.Process]) -> int:
    """Memory of those that are still there; pages that they share count for each."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """SIGTERM, then SIGKILL for whatever of the families is left."""
    families: list[psutil.Process] = []
    for process in processes:
        if process.poll() is None:
            families += psutil.Process(process.pid).children(recursive=True)
            process.terminate()
    for process in processes:
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _, alive = psutil.wait_procs(families, timeout=5)
    for one in alive:
        one.kill()


def spark_line(place: Place, script: Path, arguments: Sequence[str], master: str = "") -> list[str]:
    """The project's own spark-submit line, its conf with it, for a script of the benchmark's."""
    settings = place.settings
    line = submit_line(settings, "job", arguments, class_path(settings, "spark"), master or settings.spark.master)
    return [str(script) if part == str(home() / "jobs" / "job.py") else part for part in line]


def ours(master: str = "") -> Contender:
    """The real stream job, as `./submit.sh stream` starts it."""

    def lines(place: Place) -> list[list[str]]:
        job = home() / "jobs" / "predict_stream.py"
        return [spark_line(place, job, ["--checkpoint", str(place.checkpoint())], master)]

    return Contender(OURS, lines)


def spark(name: str, way: str, *arguments: str) -> Contender:
    """A Spark job of spark_answers.py, with the project's own spark-submit line."""

    def lines(place: Place) -> list[list[str]]:
        script = HERE / "spark_answers.py"
        return [spark_line(place, script, [way, "--checkpoint", str(place.checkpoint()), *arguments])]

    return Contender(name, lines)


def plain(processes: int, *arguments: str) -> Contender:
    """The plain consumer, as so many processes of one group."""

    def lines(place: Place) -> list[list[str]]:
        group = f"plain-{uuid.uuid4().hex[:8]}"
        return [[sys.executable, "-m", "benchmarks.plain_consumer", "--group", group, *arguments]] * processes

    return Contender(f"plain consumer x{processes}", lines)


def quix(processes: int) -> Contender:
    """Quix Streams, as so many processes of one group."""

    def lines(place: Place) -> list[list[str]]:
        python = str(quix_environment(place.settings.local.path.parent / "bench-quix"))
        group = f"quix-{uuid.uuid4().hex[:8]}"
        return [[python, "-m", "benchmarks.quix_consumer", "--group", group]] * processes

    return Contender(f"Quix Streams x{processes}", lines)


def quix_environment(folder: Path) -> Path:
    """The Python of Quix Streams' own environment, which is made at the first use.

    Raises:
        SetupError: its packages cannot be installed, for want of a network above all.
    """
    lock = home() / "requirements" / "quix.txt"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp, python = folder / "installed", folder / "bin" / "python"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)]
        for command in ([sys.executable, "-m", "venv", str(folder)], pip):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines()[-1]
                raise SetupError(f"The packages of {lock.name} could not be installed ({said}); check the network")
        stamp.write_text(wanted)
    return python


def ours_by_command() -> Contender:
    """The stream by its command, as a person starts it."""
    return Contender(
        OURS, lambda place: [[str(home() / "submit.sh"), "stream", "--checkpoint", str(place.checkpoint())]]
    )


def ours_counting_loads(file: Path) -> Contender:
    """The real stream job with a Python daemon whose workers write a line into the file at each load of the model."""

    def lines(place: Place) -> list[list[str]]:
        [[submit, *rest]] = ours().lines(place)
        return [[submit, "--conf", "spark.python.daemon.module=benchmarks.counting_daemon", *rest]]

    return Contender(f"{OURS} counting loads", lines, {"BENCH_LOADS": str(file)})
