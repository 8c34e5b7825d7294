"""A Spark cluster with a secret: who has it computes and shows it nowhere, who has not reads why."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr
from tests.conftest import in_section

from inkstream.local.jars import class_path
from inkstream.local.java import java_home
from inkstream.local.masters import PROTECTED
from inkstream.local.services import RunningServices, running_services
from inkstream.settings import Settings, load_settings
from inkstream.submit import submit_environment, submit_line

pytestmark = pytest.mark.services

SECRET = "spark-39b1f04e"
PASSWORD = "cassandra-71cc20"
PATIENCE_S = 300

# What jobs do: a broadcast, Python workers, a shuffle on the disk, a stream with foreachBatch.
JOB = """
    import sys, time
    from pathlib import Path

    from inkstream.job_errors import exit_status_of
    from inkstream.settings import load_settings
    from inkstream.spark import build_session


    def main(folder):
        spark = build_session(load_settings(), "guarded", cassandra=False)
        model = spark.sparkContext.broadcast(bytes(1 << 20))
        pairs = spark.sparkContext.parallelize(range(64), 4).map(lambda number: (number % 8, model.value[:number]))
        sizes = pairs.groupByKey(4).mapValues(lambda values: sum(map(len, values))).values().sum()
        counts = []

        def lengths(frames):
            for frame in frames:
                yield frame.assign(value=frame["value"].str.len().astype(str))

        def store(batch, _):
            counts.append(sorted(row.value for row in batch.mapInPandas(lengths, "value string").collect()))

        (folder / "lines").mkdir()
        (folder / "lines" / "1.txt").write_text("a\\nbcd\\n")
        writer = spark.readStream.text(str(folder / "lines")).writeStream.foreachBatch(store)
        writer = writer.option("checkpointLocation", str(folder / "checkpoint")).trigger(availableNow=True)
        writer.start().awaitTermination()
        (folder / "page").write_text(spark.sparkContext.uiWebUrl)
        while not (folder / "seen").exists():
            time.sleep(0.1)
        print("computed", sizes, counts)
        spark.stop()


    try:
        main(Path(sys.argv[1]))
    except Exception as error:
        sys.exit(exit_status_of(error, debug=False))
"""
# A session of a process's own, as notebooks have it; then the command lines of its children.
OWN_SESSION = """
    import sys
    from contextlib import suppress

    import psutil
    from inkstream.local.java import java_home
    from inkstream.settings import load_settings
    from inkstream.spark import build_own_session

    settings = load_settings()
    more = {"spark.master": settings.spark.master, "spark.executor.memory": settings.spark.executor_memory}
    spark = build_own_session(settings, "own", sys.argv[1], java_home(), more=more)
    print("computed", spark.sparkContext.parallelize(range(10), 2).map(lambda number: number).sum())
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            print(process.cmdline())
    spark.stop()
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """A master and a worker that take nobody without SECRET."""
    settings = in_section(load_settings(), "spark", secret=SecretStr(SECRET), executor_memory="512m")
    folder = tmp_path_factory.mktemp("guarded")
    with running_services(settings, folder, kafka=False, cassandra=False, workers=1) as running:
        yield running


def start(settings: Settings, folder: Path, secret: str) -> subprocess.Popen[str]:
    """The job by spark-submit, as commands run theirs, with that secret in its environment and nothing of ours."""
    script = folder / "job.py"
    script.write_text(textwrap.dedent(JOB))
    *line, _ = submit_line(settings, "job", [], class_path(load_settings(), "spark"), settings.spark.master)
    environment = submit_environment(java_home()) | {"INKSTREAM_SPARK__SECRET": secret}
    return subprocess.Popen(
        [*line, str(script), str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def command_lines() -> list[str]:
    """Those of every process of this machine."""
    lines = []
    for process in psutil.process_iter(["cmdline"]):
        lines.append(" ".join(process.info["cmdline"] or []))
    return lines


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def texts_below(folder: Path) -> dict[Path, str]:
    """Every file below the folder but the links' targets, as text."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path: path.read_text(errors="replace") for path in files if "jars" not in path.parts}


def test_who_has_the_secret_computes_and_shows_it_nowhere(guarded: RunningServices, tmp_path: Path) -> None:
    job = start(guarded.settings, tmp_path, SECRET)
    try:
        give_up = time.monotonic() + PATIENCE_S
        while not (tmp_path / "page").exists() or not (tmp_path / "page").read_text():
            assert job.poll() is None, job.stdout and job.stdout.read()
            assert time.monotonic() < give_up
            time.sleep(0.1)
        lines = command_lines()
        assert guarded.master
        own = (tmp_path / "page").read_text()
        [application] = re.findall(r'"id" : "(app-[^"]+)"', page(f"{own}/api/v1/applications"))
        masters = f"http://127.0.0.1:{guarded.master.ports['web_port']}"
        workers = f"http://127.0.0.1:{guarded.workers[0].ports['web_port']}"
        pages = {
            url: page(url)
            for url in (
                f"{own}/environment/",
                f"{own}/api/v1/applications/{application}/environment",
                f"{own}/executors/",
                f"{masters}/",
                f"{masters}/json/",
                f"{masters}/app/?appId={application}",
                f"{workers}/",
                f"{workers}/logPage/?appId={application}&executorId=0&logType=stderr",
            )
        }
        (tmp_path / "seen").touch()
        said, _ = job.communicate(timeout=PATIENCE_S)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 0, said
    assert "computed 2016 [['1', '3']]" in said

    # What is looked at is what it is meant to be.
    options = {f"-D{key}={value}" for key, value in PROTECTED.items() if key != "spark.io.encryption.enabled"}
    for part in ("master.Master", "worker.Worker", "CoarseGrainedExecutorBackend"):
        assert any(part in line and options <= set(line.split()) for line in lines), part
    assert any("inkstream.stream.daemon" in line for line in lines)
    assert all("spark.authenticate.secret" in pages[url] for url in list(pages)[:2])
    files = texts_below(guarded.settings.local.path) | texts_below(tmp_path)
    names = {path.name for path in files}
    assert {"spark-master.log", "spark-worker-1.log", "stderr", "metadata"} <= names

    for where, text in {**pages, **files, "said": said, "lines": "\n".join(lines)}.items():
        assert SECRET not in text, where


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [("spark-wrong-8d1e", "does not take spark.secret"), ("", "does not answer without a secret")],
    ids=["wrong", "missing"],
)
def test_who_has_not_the_secret_reads_why(guarded: RunningServices, tmp_path: Path, secret: str, sentence: str) -> None:
    job = start(guarded.settings, tmp_path, secret)
    try:
        said, _ = job.communicate(timeout=PATIENCE_S)
    finally:
        job.kill()
        job.wait()
    assert job.returncode == 3, said
    [error] = [line for line in said.splitlines() if "NativeCodeLoader" not in line]
    assert error.startswith(f"error: Spark's master at {guarded.settings.spark.master} {sentence}")
    assert "INKSTREAM_SPARK__SECRET" in error
    assert not secret or secret not in said


def test_a_session_of_ones_own_has_no_secret_on_its_command_line(guarded: RunningServices) -> None:
    own = {
        "SPARK__SECRET": SECRET,
        "SPARK__MASTER": guarded.settings.spark.master,
        "SPARK__EXECUTOR_MEMORY": "512m",
        "CASSANDRA__CONTACT_POINTS": "127.0.0.1",
        "CASSANDRA__USERNAME": "somebody",
        "CASSANDRA__PASSWORD": PASSWORD,
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OWN_SESSION), class_path(load_settings(), "spark")],
        capture_output=True,
        text=True,
        env=submit_environment(java_home()) | {f"INKSTREAM_{name}": value for name, value in own.items()},
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "computed 45" in done.stdout
    assert "org.apache.spark.deploy.SparkSubmit" in done.stdout
    assert PASSWORD not in done.stdout
    assert SECRET not in done.stdout
