"""Data and a plan in, the network of the best epoch out; goes on where an earlier run of the same was killed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from inkstream.model.batches import open_batches
from inkstream.model.calibration import fit_temperature, log_loss
from inkstream.model.checkpoints import EpochEnd, RunFolder, best_of
from inkstream.model.engine import calibrated
from inkstream.model.examples import Labelled, TrainingData
from inkstream.model.keras_models import averaged, import_keras, logits_of, save_plain
from inkstream.model.optimisers import Pace
from inkstream.model.recipes import Recipe, recipe_named
from inkstream.model.teaching import Teacher

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. 0, None: as the recipe says. `batch`: pictures a step; `patience`: -1: as the recipe says."""

    recipe: str = "cnn"
    epochs: int = 0
    seed: int = 1
    augmented: bool | None = None
    batch: int = 0
    learning_rate: float = 0.0
    patience: int = -1

    def settled(self) -> Plan:
        """The same with every figure filled in. Raises SettingError where there is no such recipe."""
        recipe = recipe_named(self.recipe)
        return replace(
            self,
            epochs=self.epochs or recipe.epochs,
            augmented=recipe.augmented if self.augmented is None else self.augmented,
            batch=self.batch or recipe.batch,
            learning_rate=self.learning_rate or recipe.learning_rate,
            patience=recipe.patience if self.patience < 0 else self.patience,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """Where a training stands; loss and accuracy are this epoch's so far. end: at an epoch's end, what it showed.

    epoch counts from 0, batch from 1.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    end: EpochEnd | None = None


def fit(
    data: TrainingData,
    classes: int,
    plan: Plan,
    run: RunFolder,
    on_step: Callable[[Step], None],
    teacher: Teacher | None = None,
) -> Any:
    """A settled plan and an open run in; the keras.Model of the best epoch out, without its optimiser.

    Every finished epoch is kept in the run's folder. Ends early after `patience` epochs without a better one.
    """
    keras = import_keras()
    keras.utils.set_random_seed(plan.seed)
    recipe = recipe_named(plan.recipe)
    augmented = plan.augmented is not False
    batches = open_batches(
        keras,
        data,
        classes,
        size=plan.batch,
        seed=plan.seed,
        augmented=augmented,
        epochs=plan.epochs,
        teacher=teacher,
    )
    done = len(run.history)
    if done:
        model = keras.saving.load_model(run.state(done))
        batches.start_at(done)
        log.info("going on after epoch %d of %d", done, plan.epochs)
    else:
        if teacher is not None:
            recipe = replace(recipe, label_smoothing=0.0)  # its answers are smooth, and say by what
        model = _compiled(keras, recipe, plan, data.train.pixels.shape[1:], classes, len(batches))
    if done < plan.epochs and not _is_over(run.history, plan.patience):
        watcher = _watcher(keras, len(batches), data.held, run, plan, on_step)
        board = keras.callbacks.TensorBoard(log_dir=str(run.path / "logs"), write_graph=False)
        model.fit(
            batches,
            initial_epoch=done,
            epochs=plan.epochs,
            shuffle=False,
            verbose=0,
            callbacks=[watcher, board],
        )
    return keras.saving.load_model(run.checkpoint(best_of(run.history).epoch), compile=False)


def _compiled(keras: Any, recipe: Recipe, plan: Plan, shape: tuple[int, ...], classes: int, an_epoch: int) -> Any:
    model = recipe.build(shape, classes)
    pace = Pace(plan.learning_rate, recipe.weight_decay, plan.epochs * an_epoch, an_epoch)
    model.compile(
        optimizer=recipe.optimiser(pace),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing),
        metrics=["accuracy"],
    )
    return model


def _is_over(history: list[EpochEnd], patience: int) -> bool:
    return bool(patience and history) and history[-1].epoch - best_of(history).epoch >= patience


def _watcher(
    keras: Any, batches: int, held: Labelled, run: RunFolder, plan: Plan, on_step: Callable[[Step], None]
) -> Any:
    """Tells of each step; after each epoch measures the averaged weights on the held pictures and keeps everything."""

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
        epoch, began = 0, 0.0

        def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            self.epoch, self.began = epoch, perf_counter()
            for layer in self.model.layers:  # a file holds no generator: where it stands has to follow from the epoch
                if generator := getattr(layer, "seed_generator", None):
                    generator.state.assign(np.array([plan.seed, epoch], np.uint32))

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            found = logs or {}
            on_step(Step(self.epoch, batch + 1, batches, found.get("loss", 0.0), found.get("accuracy", 0.0)))

        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            found = logs if logs is not None else {}
            self.model.save(run.state(epoch + 1))
            with averaged(self.model):
                held_loss, held_accuracy = _measured(self.model, held)
                save_plain(self.model, run.checkpoint(epoch + 1))
            found["val_loss"], found["val_accuracy"] = held_loss, held_accuracy  # TensorBoard shows them beside its own
            seconds = round(perf_counter() - self.began, 2)
            end = EpochEnd(
                epoch + 1, found.get("loss", 0.0), found.get("accuracy", 0.0), held_loss, held_accuracy, seconds
            )
            run.finish(end)
            on_step(Step(epoch, batches, batches, end.loss, end.accuracy, end))
            if _is_over(run.history, plan.patience):
                self.model.stop_training = True

    return Watcher()


def _measured(model: Any, held: Labelled) -> tuple[float, float]:
    logits = logits_of(model, held.pixels)
    right = float(np.mean(logits.argmax(axis=1) == held.labels))
    calibrated_loss = log_loss(calibrated(logits, fit_temperature(logits, held.labels)), held.labels)
    return round(calibrated_loss, 6), round(right, 6)
