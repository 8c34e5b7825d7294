"""A training's folder: where it stands after each epoch, so that one which was killed goes on as if it had not been.

progress.json            the plan, the data's hash, and what each finished epoch showed; written last, whole
state-0007.keras         network and optimiser after that epoch: what is resumed from
checkpoints/epoch-0007.keras   the network alone, with its averaged weights: what can be looked at and used
logs/                    for TensorBoard
learning-curve.png
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from inkstream.errors import BundleError, SettingError

PROGRESS = "progress.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """What an epoch ended with: loss and accuracy of the training pictures, log-loss and accuracy of those held back.

    held_loss: calibrated, by the temperature that makes it least.

    epoch counts from 1. seconds: the epoch took.
    """

    epoch: int
    loss: float
    accuracy: float
    held_loss: float
    held_accuracy: float
    seconds: float


def best_of(history: list[EpochEnd]) -> EpochEnd:
    """The epoch with the least held-back log-loss; of several the one with the highest accuracy there.

    Accuracy alone goes up and down by a handful of pictures from one epoch to the next, and would choose by chance.
    """
    return min(history, key=lambda end: (not isfinite(end.held_loss), end.held_loss, -end.held_accuracy))


class RunFolder:
    """The folder of one training. `fingerprint`: its plan and its data's hash; with others it is another training."""

    def __init__(self, path: Path, fingerprint: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint = fingerprint
        self.history: list[EpochEnd] = []

    def open(self, *, fresh: bool = False) -> list[EpochEnd]:
        """The epochs that are finished already: none where it begins, or where `fresh` throws the old ones away.

        Raises:
            SettingError: another training lies there.
            BundleError: it cannot be read or written.
        """
        try:
            if fresh and self.path.exists():
                shutil.rmtree(self.path)
            (self.path / "checkpoints").mkdir(parents=True, exist_ok=True)
            found = read_progress(self.path)
        except OSError as error:
            raise BundleError(
                f"{self.path} cannot be written ({error.strerror}); name an --out beside which it can"
            ) from error
        self.history = []
        if found is None:
            return self.history
        theirs, history = found
        if changed := sorted(k for k in {*theirs, *self.fingerprint} if theirs.get(k) != self.fingerprint.get(k)):
            told = ", ".join(f"{key} {theirs.get(key)} instead of {self.fingerprint.get(key)}" for key in changed)
            raise SettingError(
                f"{self.path} holds a training with another plan or other data ({told}); "
                "name another --out, or begin anew with --fresh"
            )
        self.history = history
        return self.history

    def state(self, epoch: int) -> Path:
        return self.path / f"state-{epoch:04d}.keras"

    def checkpoint(self, epoch: int) -> Path:
        return self.path / "checkpoints" / f"epoch-{epoch:04d}.keras"

    def finish(self, end: EpochEnd) -> None:
        """Note an epoch whose state and checkpoint are written; older states go."""
        self.history = [*self.history, end]
        content = {"format": FORMAT, "fingerprint": self.fingerprint, "epochs": [asdict(one) for one in self.history]}
        draft = self.path / f".{os.getpid()}.{PROGRESS}"
        draft.write_text(json.dumps(content, indent=1) + "\n")
        draft.replace(self.path / PROGRESS)
        for old in self.path.glob("state-*.keras"):
            if old != self.state(end.epoch):
                old.unlink()


def read_progress(path: Path) -> tuple[dict[str, Any], list[EpochEnd]] | None:
    """A training's fingerprint and finished epochs; None where none is finished yet.

    Raises:
        BundleError: progress.json is none of ours.
    """
    file = path / PROGRESS
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text())
        return dict(content["fingerprint"]), [EpochEnd(**one) for one in content["epochs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{file} cannot be read ({error}); begin the training anew with --fresh") from error
