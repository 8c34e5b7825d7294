"""What prepare, train and evaluate hand to their jobs, and what they refuse."""

from __future__ import annotations

import shlex

import pytest

from inkstream.cli.main import main


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main([*arguments, "--print"]) == 0
    return shlex.split(capsys.readouterr().out)


@pytest.mark.parametrize("command", ["prepare", "evaluate"])
def test_a_spark_command_shows_its_line(capsys: pytest.CaptureFixture[str], command: str) -> None:
    line = printed(capsys, command, "one", "two", "--out", "there", "--corrections")
    job = next(place for place, part in enumerate(line) if part.endswith(".py"))
    assert line[job + 1 :][-2:] == ["one", "two"]
    assert "--corrections" in line[job:]
    assert line[line.index("--out") + 1] == "there"


def test_train_and_watch_run_without_spark(capsys: pytest.CaptureFixture[str]) -> None:
    line = printed(capsys, "train", "data", "--out", "bundle", "--recipe", "mlp", "--imitations", "0")
    assert line[1].endswith("train_model.py")
    assert line[line.index("--imitations") + 1] == "0"
    assert not {"--strangers", "--teacher"} & set(line)
    taught = printed(capsys, "train", "data", "--out", "bundle", "--teacher", "one", "--teacher", "two")
    assert taught[-4:] == ["--teacher", "one", "--teacher", "two"]
    assert printed(capsys, "evaluate", "data", "--watch", "bundle.run")[1].endswith("evaluate_model.py")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["prepare", "--out", "there"], "There is no source"),
        (["prepare", "here"], "--out is missing"),
        (["evaluate"], "There is no source"),
        (["evaluate", "here", "--split", "other"], "--split has the value 'other'"),
        (["evaluate", "--corrections", "--watch", "x.run"], "--watch takes one prepared data set"),
    ],
)
def test_what_is_missing_or_wrong_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_candidates_go_to_spark_and_take_their_plans_from_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    line = printed(capsys, "train", "data", "--out", "models", "--candidates", "rates.csv", "--strangers", "0")
    job = next(place for place, part in enumerate(line) if part.endswith("train_candidates.py"))
    assert line[line.index("--candidates", job) + 1] == "rates.csv"
    assert line[line.index("--strangers", job) + 1] == "0"
    assert "--recipe" not in line[job:]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--candidates", "rates.csv", "--epochs", "3"], "--epochs is for one training"),
        (["--candidates", "rates.csv", "--fresh"], "--fresh is for one training"),
        (["--master", "local[2]"], "--master is for --candidates"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["train", "data", "--out", "models", *arguments]) == 2
    assert told in capsys.readouterr().err
