from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from inkstream.cli import main as main_module
from inkstream.cli.main import main
from inkstream.errors import (
    BundleError,
    FoundError,
    InkstreamError,
    SchemaError,
    ServiceError,
    SettingError,
    SetupError,
)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> dict[str, BaseException]:
    """A command `fail` beside the others, which raises what the test puts here."""
    holder: dict[str, BaseException] = {}
    app = typer.Typer()
    app.callback()(main_module.options)

    @app.command()
    def fail() -> None:
        raise holder["error"]

    @app.command()
    def fine() -> None:
        return

    monkeypatch.setattr(main_module, "app", app)
    return holder


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from inkstream.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("kind", "status"),
    [(FoundError, 1), (BundleError, 1), (SchemaError, 1), (SettingError, 2), (SetupError, 2), (ServiceError, 3)],
)
def test_an_error_of_ours_is_one_sentence_and_its_exit_status(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str], kind: type[InkstreamError], status: int
) -> None:
    failing["error"] = kind("kafka.port has the value [bold]7[/bold]; " + "set it " * 40)
    assert main(["fail"]) == status
    written = capsys.readouterr()
    assert (written.out, written.err) == ("", f"error: {failing['error']}\n")


def test_an_error_that_nobody_foresaw_is_named_without_a_trace(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = OSError(28, "No space left on device")
    assert main(["fail"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: unexpected OSError: [Errno 28] No space left on device")
    assert "--debug" in message
    assert "Traceback" not in message


def test_with_debug_the_trace_is_shown_and_the_exit_status_stays(
    failing: dict[str, BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    failing["error"] = ServiceError("Kafka is away")
    assert main(["--debug", "fail"]) == 3
    message = capsys.readouterr().err
    assert "Traceback" in message
    assert message.endswith("error: Kafka is away\n")


def test_an_interrupt_ends_as_the_shell_expects(failing: dict[str, BaseException]) -> None:
    failing["error"] = KeyboardInterrupt()
    assert main(["fail"]) == 130


def test_a_command_that_returns_nothing_is_fine(failing: dict[str, BaseException]) -> None:
    assert main(["fine"]) == 0


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["predict"], ["predict", "--nonsense", "x"], []])
def test_wrong_usage_ends_with_2_and_without_a_trace(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    written = capsys.readouterr()
    assert "Usage" in written.out + written.err
    assert "Traceback" not in written.err


def test_help_is_fine_and_loads_nothing_heavy() -> None:
    heavy = ["numpy", "cassandra", "kafka", "pyspark", "cv2", "pydantic_settings", "ai_edge_litert"]
    code = (
        "import sys; from inkstream.cli.main import main; status = main(['--help']);"
        f"sys.exit(status or ','.join(set(sys.modules) & set({heavy})) or 0)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    for command in ("up", "down", "status", "send", "collect", "stream", "predict", "results"):
        assert f" {command} " in shown.stdout


def test_a_wrong_setting_ends_a_real_process_with_2_and_one_line(tmp_path: Path) -> None:
    ended = _run("predict", str(tmp_path), INKSTREAM_KAFKA__PARTITIONS="many")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "kafka.partitions has the value 'many'" in ended.stderr


def test_a_reader_that_goes_away_is_no_trace(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number}.txt").write_bytes(b"")
    code = "from inkstream.cli.main import run; run()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "predict", str(tmp_path), "--csv", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
