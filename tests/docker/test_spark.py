"""docker/spark.sh: the Spark cluster of the manifests, started for real on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from inkstream.local.ports import free_port
from inkstream.settings import home

SCRIPT = str(home() / "docker" / "spark.sh")


@contextmanager
def _running(log: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **environment},
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _state(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/", timeout=5) as answer:
            state: dict[str, Any] = json.load(answer)
            return state
    except OSError:
        return {}


@pytest.mark.services
def test_a_worker_joins_the_master_by_a_secret_that_is_not_shown(tmp_path: Path) -> None:
    port, web, worker_web = free_port(), free_port(), free_port()
    joined = {"SPARK_MASTER": f"spark://127.0.0.1:{port}", "SPARK_WORKER_CORES": "1", "SPARK_WORKER_MEMORY": "512m"}
    secret = {"INKSTREAM_SPARK__SECRET": "spark-5d20c1"}
    options = ["--work-dir", str(tmp_path / "work"), "--webui-port", str(worker_web)]
    ports = ["--port", str(port), "--webui-port", str(web)]
    with (
        _running(tmp_path / "master.log", "master", *ports, **secret) as master,
        _running(tmp_path / "worker.log", "worker", *options, **joined, **secret) as worker,
    ):
        give_up = time.monotonic() + 90
        while _state(web).get("aliveworkers") != 1 and time.monotonic() < give_up:
            assert (master.poll(), worker.poll()) == (None, None), (tmp_path / "worker.log").read_text()
            time.sleep(0.2)
        [found] = _state(web)["workers"]
        for process in (master, worker):
            line = psutil.Process(process.pid).cmdline()
            assert "-Dspark.authenticate=true" in line
            assert not any(secret["INKSTREAM_SPARK__SECRET"] in argument for argument in line)
    assert (found["cores"], found["memory"], found["state"]) == (1, 512, "ALIVE")


def test_another_role_is_refused_by_name() -> None:
    ended = subprocess.run([SCRIPT, "driver"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "'driver' is no part of a Spark cluster; say master or worker" in ended.stderr
