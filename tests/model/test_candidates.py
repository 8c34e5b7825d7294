"""A file of settings, read; and real trainings of some by Spark, ranked, with one that comes to nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jobs.train_candidates import run
from pyspark.sql import SparkSession
from rich.console import Console
from tests.conftest import needs_tensorflow
from tests.model.drawings import drawings

from inkstream.errors import SettingError
from inkstream.model.bundle import Bundle, load_bundle, shipped_bundle
from inkstream.model.candidates import data_of, ranked, read_candidates
from inkstream.model.checkpoints import read_progress
from inkstream.model.examples import TrainingData
from inkstream.model.learning_curve import LEARNING_CURVE
from inkstream.model.training import run_folder


def written(folder: Path, *lines: str) -> Path:
    file = folder / "candidates.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_what_a_line_leaves_blank_is_the_recipes(tmp_path: Path) -> None:
    slow, usual = read_candidates(
        written(tmp_path, "name,recipe,learning_rate,augmented", "slow, mlp ,0.03,", "usual,,,false")
    )
    assert (slow.name, slow.plan.recipe, slow.plan.learning_rate, slow.plan.batch) == ("slow", "mlp", 0.03, 200)
    assert (usual.plan.recipe, usual.plan.learning_rate, usual.plan.augmented) == ("cnn", 4e-3, False)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["name,epochs", "a,many"],
            "candidate 1: epochs has the value 'many': .*integer.*the columns are name, recipe",
        ),
        (["name,speed", "a,3"], "candidate 1: speed has the value '3': extra inputs"),
        (["name", "../a"], "candidate 1: name has the value '../a'"),
        (["recipe", "cnn"], "candidate 1: name has the value"),
        (["name,recipe", "a,cnn", "b,soup"], "candidate 2: There is no recipe 'soup'"),
        (["name", "a", "a"], "the name 'a' twice"),
        (["name,epochs", "a,1,2"], "candidate 1: too many values"),
        (["name"], "holds 0 candidates"),
    ],
)
def test_a_wrong_line_is_named_before_anything_is_trained(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        read_candidates(written(tmp_path, *lines))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"--candidates has the value .*none.csv', which cannot be read"):
        read_candidates(tmp_path / "none.csv")


def figured(accuracy: float, log_loss: float, test: float) -> Bundle:
    held = {"accuracy": accuracy, "log_loss": log_loss}
    return replace(load_bundle(shipped_bundle()), metrics={"held": held, "test": {"accuracy": test}})


def test_the_held_back_pictures_decide_and_not_the_tests() -> None:
    bundles = {"a": figured(0.98, 0.1, 0.999), "b": figured(0.99, 0.3, 0.97), "c": figured(0.99, 0.2, 0.96)}
    assert ranked(bundles) == ["c", "b", "a"]


def test_made_pictures_are_for_those_that_augment(tmp_path: Path) -> None:
    data = TrainingData(drawings(4, 1), drawings(2, 2), drawings(2, 3), drawings(3, 4))
    cnn, mlp, plain = read_candidates(written(tmp_path, "name,recipe,augmented", "a,cnn,", "b,mlp,", "c,cnn,0"))
    assert [data_of(one, data).extra is not None for one in (cnn, mlp, plain)] == [True, False, False]


@needs_tensorflow
@pytest.mark.services
def test_candidates_are_trained_by_spark_and_ranked_and_one_that_diverges_stops_no_other(
    spark: SparkSession, tmp_path: Path
) -> None:
    data = TrainingData(drawings(400, 1), drawings(80, 2), drawings(60, 3))
    lines = ["name,recipe,learning_rate,epochs", "good,dense,,2", "wild,dense,1e30,1"]
    candidates, out, console = read_candidates(written(tmp_path, *lines)), tmp_path / "models", Console()
    parts = (data, ["0", "1", "2"])

    failures = run(spark, parts, candidates, out, console)
    assert list(failures) == ["wild"]
    assert "learning rate under 1e+30" in failures["wild"]
    good = load_bundle(out / "good")
    assert good.metrics["held"]["accuracy"] > 0.8
    ranking = json.loads((out / "ranking.json").read_text())
    assert [(one["name"], one["version"]) for one in ranking["candidates"]] == [("good", good.version)]
    assert list(ranking["failed"]) == ["wild"]
    assert (out / "candidates.png").read_bytes().startswith(b"\x89PNG")
    assert (run_folder(out / "good") / LEARNING_CURVE).is_file()
    progress = read_progress(run_folder(out / "good"))
    assert progress is not None
    assert [end.epoch for end in progress[1]] == [1, 2]

    assert run(spark, parts, candidates[:1], out, console) == {}  # there already: not trained again
    assert load_bundle(out / "good").version == good.version
    with pytest.raises(SettingError, match="another plan or other data"):
        run(spark, (replace(data, test=data.held), parts[1]), candidates[:1], out, console)
