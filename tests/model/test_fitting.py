"""Trainings that are killed and go on, that stop early, and the network that is kept in the end. TensorFlow is real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import needs_tensorflow
from tests.model.drawings import drawings

from inkstream.errors import SettingError
from inkstream.model.checkpoints import EpochEnd, RunFolder, best_of, read_progress
from inkstream.model.examples import Labelled, TrainingData
from inkstream.model.fitting import Plan, Step, fit

pytestmark = [
    needs_tensorflow,
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return TrainingData(drawings(256, 1), drawings(60, 2), drawings(60, 3))


def opened(folder: Path, plan: Plan) -> RunFolder:
    run = RunFolder(folder, {"epochs": plan.epochs, "seed": plan.seed})
    run.open()
    return run


def shown(run: RunFolder) -> list[EpochEnd]:
    return [replace(end, seconds=0.0) for end in run.history]


@pytest.mark.parametrize("recipe", ["dense", "mlp"])
def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path: Path, data: TrainingData, recipe: str) -> None:
    plan = Plan(recipe, epochs=4, batch=32, patience=0).settled()
    whole = opened(tmp_path / "whole", plan)
    expected = fit(data, 3, plan, whole, lambda _: None)

    def kill(step: Step) -> None:
        if (step.epoch, step.batch) == (2, 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(data, 3, plan, opened(tmp_path / "killed", plan), kill)
    again = opened(tmp_path / "killed", plan)
    assert [end.epoch for end in again.history] == [1, 2]
    steps: list[Step] = []
    model = fit(data, 3, plan, again, steps.append)
    assert steps[0].epoch == 2
    assert [end.epoch for end in again.history] == [1, 2, 3, 4]
    assert shown(again) == shown(whole)
    for one, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert [path.name for path in (tmp_path / "killed").glob("state-*")] == ["state-0004.keras"]
    assert len(list((tmp_path / "killed" / "logs").rglob("events*"))) >= 1


def test_a_training_that_gets_no_better_stops_and_keeps_its_best_epoch(tmp_path: Path, data: TrainingData) -> None:
    nothing_to_learn = replace(data, train=Labelled(data.train.pixels, np.random.default_rng(99).integers(0, 3, 256)))
    plan = Plan("dense", epochs=20, batch=64, patience=2).settled()
    run = opened(tmp_path / "run", plan)
    model = fit(nothing_to_learn, 3, plan, run, lambda _: None)
    best = best_of(run.history)
    assert len(run.history) < 20
    assert len(run.history) == best.epoch + 2
    answers = model.predict(data.held.pixels.astype(np.float32), verbose=0).argmax(axis=1)
    assert round(float((answers == data.held.labels).mean()), 6) == best.held_accuracy


def test_a_finished_training_is_not_trained_again(tmp_path: Path, data: TrainingData) -> None:
    plan = Plan("dense", epochs=1, batch=64).settled()
    fit(data, 3, plan, opened(tmp_path / "run", plan), lambda _: None)
    steps: list[Step] = []
    fit(data, 3, plan, opened(tmp_path / "run", plan), steps.append)
    assert steps == []


def test_a_folder_of_another_training_is_refused_and_fresh_begins_anew(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run", {"seed": 1, "recipe": "cnn"})
    run.open()
    run.finish(EpochEnd(1, 0.5, 0.8, 0.4, 0.9, 1.0))
    assert read_progress(tmp_path / "run") == ({"seed": 1, "recipe": "cnn"}, run.history)
    other = RunFolder(tmp_path / "run", {"seed": 2, "recipe": "cnn"})
    with pytest.raises(SettingError, match=r"seed 1 instead of 2.*--fresh"):
        other.open()
    assert other.open(fresh=True) == []


def test_the_best_epoch_has_the_least_loss_then_the_highest_accuracy() -> None:
    rows = [(1, 0.9, float("nan")), (2, 0.99, 0.3), (3, 0.95, 0.2), (4, 0.96, 0.2), (5, 0.95, 0.2)]
    assert best_of([EpochEnd(epoch, 0, 0, loss, accuracy, 0) for epoch, accuracy, loss in rows]).epoch == 4
