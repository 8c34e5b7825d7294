"""The spark-submit line, and what a session is configured with."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession
from tests.conftest import in_section

from inkstream.local.jars import pyspark_folder
from inkstream.local.java import SPARING_COMPILER, java_home
from inkstream.local.masters import PROTECTED
from inkstream.settings import Settings
from inkstream.spark import protection_conf
from inkstream.submit import BRIEF_JAVA, submit_environment, submit_line


@pytest.mark.parametrize(
    ("job", "brief"), [("build_report", True), ("query_warehouse", True), ("predict_stream", False)]
)
def test_only_jobs_that_live_for_seconds_go_without_the_optimising_compiler(job: str, brief: bool) -> None:
    line = " ".join(submit_line(Settings(), job, [], "jars/*", "local[2]"))
    assert line.count(BRIEF_JAVA) == brief


def test_driver_and_executors_leave_what_is_hardly_called_to_the_quick_compiler() -> None:
    line = submit_line(Settings(), "predict_stream", [], "jars/*", "local[2]")
    options = [shlex.split(part.partition("=")[2]) for part in line if "extraJavaOptions" in part]
    assert len(options) == 2
    assert all(set(SPARING_COMPILER) <= set(some) for some in options)


def test_a_folder_with_a_space_is_one_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inkstream.submit.home", lambda: Path("/my pictures"))
    monkeypatch.setattr("inkstream.submit.archive_options", lambda settings, group: ["-XX:SharedArchiveFile=/a b.jsa"])
    line = submit_line(Settings(), "report", ["--debug"], "jars/*", "local[2]")
    options = [shlex.split(part.partition("=")[2]) for part in line if "extraJavaOptions" in part]
    assert len(options) == 2
    assert all(
        "-XX:SharedArchiveFile=/a b.jsa" in some and all(one.startswith("-") for one in some) for some in options
    )


def test_a_jvm_without_the_optimising_compiler_has_as_much_room_for_code_as_any() -> None:
    line = [str(java_home() / "bin" / "java"), *BRIEF_JAVA.split(), "-XX:+PrintFlagsFinal", "-version"]
    flags = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    room = re.search(r"ReservedCodeCacheSize\s*=\s*(\d+)", flags)
    assert room
    assert int(room[1]) == 240 * 2**20


def test_arrow_takes_its_memory_from_the_system_in_the_driver_as_in_the_workers(spark: SparkSession) -> None:
    line = [sys.executable, "-c", "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"]
    driver = subprocess.run(line, env=submit_environment(java_home()), capture_output=True, text=True, check=True)
    assert driver.stdout.strip() == "system"
    one = spark.sparkContext.parallelize([0], 1)
    assert one.map(lambda _: pyarrow.default_memory_pool().backend_name).collect() == ["system"]


def test_a_jobs_python_reads_no_zips_and_keeps_the_rest_of_its_path(tmp_path: Path) -> None:
    """What Spark puts on the path is compiled anew at each start, a second of it."""
    (line,) = [part for part in submit_line(Settings(), "job", [], "jars/*", "local[2]") if "driver.python" in part]
    archive = pyspark_folder() / "python" / "lib" / "pyspark.zip"
    mine = tmp_path / "my modules"
    code = "import sys, pyspark; print(pyspark.__file__); print(sys.path[1])"
    done = subprocess.run(
        [line.partition("=")[2], "-c", code],
        env={**submit_environment(java_home()), "PYTHONPATH": f"{archive}:{mine}:{archive}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [str(pyspark_folder() / "__init__.py"), str(mine)]


def test_without_a_secret_sparks_processes_are_left_as_they_are() -> None:
    assert protection_conf(Settings(), "spark://127.0.0.1:7077") == {}


@pytest.mark.parametrize("master", ["local[*,4]", "yarn", "k8s://https://host:6443"])
def test_a_spark_that_makes_its_own_secret_is_protected_and_is_not_told_ours(master: str) -> None:
    settings = in_section(Settings(), "spark", secret=SecretStr("hush"))
    assert protection_conf(settings, master) == PROTECTED
    assert protection_conf(settings, "spark://127.0.0.1:7077") == {**PROTECTED, "spark.authenticate.secret": "hush"}


def test_the_line_holds_no_secret() -> None:
    settings = in_section(Settings(), "spark", secret=SecretStr("hush"))
    assert "hush" not in " ".join(submit_line(settings, "verify_stream", [], "jars/*", "spark://127.0.0.1:7077"))
