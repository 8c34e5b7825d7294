"""The spark-submit line; and what is said of a Spark that cannot be reached, before Spark's own minute of waiting."""

from __future__ import annotations

import re
import socket
import subprocess

import pytest

from inkstream.errors import ServiceError, SettingError
from inkstream.local.java import java_home
from inkstream.local.ports import free_port
from inkstream.settings import Settings
from inkstream.spark import BRIEF_JAVA, require_master, submit_line


def test_a_master_that_nobody_serves_is_named_with_what_to_do() -> None:
    port = free_port()
    with pytest.raises(ServiceError, match=rf"spark://127\.0\.0\.1:{port} .*refused.*up --workers"):
        require_master(f"spark://127.0.0.1:{port}")


def test_one_of_several_masters_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as served:
        require_master(f"spark://127.0.0.1:{free_port()},127.0.0.1:{served.getsockname()[1]}")


@pytest.mark.parametrize("master", ["spark://", "spark://host", "spark://host:port"])
def test_a_master_without_a_port_is_a_wrong_setting(master: str) -> None:
    with pytest.raises(SettingError, match="spark://host:port"):
        require_master(master)


@pytest.mark.parametrize("master", ["local[*,4]", "yarn", "k8s://https://host:6443"])
def test_other_masters_are_sparks_to_find(master: str) -> None:
    require_master(master)


@pytest.mark.parametrize(
    ("job", "brief"), [("build_report", True), ("query_warehouse", True), ("predict_stream", False)]
)
def test_only_jobs_that_live_for_seconds_go_without_the_optimising_compiler(job: str, brief: bool) -> None:
    line = " ".join(submit_line(Settings(), job, [], "jars/*", "local[2]"))
    assert line.count(BRIEF_JAVA) == brief


def test_a_jvm_without_the_optimising_compiler_has_as_much_room_for_code_as_any() -> None:
    line = [str(java_home() / "bin" / "java"), *BRIEF_JAVA.split(), "-XX:+PrintFlagsFinal", "-version"]
    flags = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    room = re.search(r"ReservedCodeCacheSize\s*=\s*(\d+)", flags)
    assert room
    assert int(room[1]) == 240 * 2**20
