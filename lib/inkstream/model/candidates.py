"""A table of settings in, a training of each out, and which of them did best on the pictures that were held back."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from inkstream.errors import InkstreamError, SettingError
from inkstream.model.bundle import Bundle, load_bundle, write_files
from inkstream.model.checkpoints import PROGRESS
from inkstream.model.engine import quiet_stderr
from inkstream.model.examples import TrainingData
from inkstream.model.fitting import Plan
from inkstream.model.learning_curve import LEARNING_CURVE
from inkstream.model.recipes import recipe_named
from inkstream.model.training import recorded_recipe, run_folder, train_bundle

MOST = 100  # candidates of a file


class _Row(BaseModel):
    """A line of the file; what it leaves blank is the recipe's."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    recipe: str = "cnn"
    epochs: int = Field(0, ge=0)
    seed: int = Field(1, ge=0)
    augmented: bool | None = None
    batch: int = Field(0, ge=0)
    learning_rate: float = Field(0.0, ge=0, allow_inf_nan=False)
    patience: int = Field(-1, ge=-1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name, which becomes its bundle's folder, and a settled plan."""

    name: str
    plan: Plan

    @property
    def learns_made(self) -> bool:
        """Pictures that are made are for those that augment, as `train` has it."""
        return bool(self.plan.augmented and recipe_named(self.plan.recipe).augmented)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a worker sends back: the files of the bundle's folder and of the training's, or why there are none."""

    name: str
    bundle: Mapping[str, bytes] = field(default_factory=dict)
    run: Mapping[str, bytes] = field(default_factory=dict)
    failure: str = ""


def read_candidates(path: Path) -> list[Candidate]:
    """A CSV file with the column `name` and any of a plan's out of (recipe, epochs, seed, ...); one candidate a line.

    Raises:
        SettingError: it cannot be read, or a line of it has a value that no training takes.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, restkey="too many values"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingError(f"--candidates has the value {str(path)!r}, which cannot be read: {error}") from error
    found = [_candidate(line, f"{path}, candidate {number}") for number, line in enumerate(lines, 1)]
    names = [candidate.name for candidate in found]
    if not 0 < len(found) <= MOST:
        raise SettingError(
            f"{path} holds {len(found)} candidates; write 1 to {MOST}, one a line under the column names"
        )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingError(f"{path} has the name {twice[0]!r} twice; each candidate's bundle lies under its name")
    return found


def _candidate(line: Mapping[str, object], where: str) -> Candidate:
    given = {key.strip(): value.strip() if isinstance(value, str) else value for key, value in line.items()}
    try:
        row = _Row.model_validate({key: value for key, value in given.items() if value not in ("", None)})
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in finding["loc"])
        raise SettingError(
            f"{where}: {key} has the value {finding['input']!r}: {finding['msg'].lower()}; "
            f"the columns are {', '.join(_Row.model_fields)}"
        ) from error
    values = row.model_dump(exclude={"name"})
    try:
        return Candidate(row.name, Plan(**values).settled())
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error


def data_of(candidate: Candidate, data: TrainingData) -> TrainingData:
    """What the candidate learns from."""
    return data if candidate.learns_made else replace(data, extra=None)


def finished(candidate: Candidate, data: TrainingData, folder: Path) -> Bundle | None:
    """The candidate's bundle where an earlier run of the same has made it already.

    Raises:
        SettingError: what lies there was made by another plan or of other data.
    """
    if not (folder / candidate.name).exists():
        return None
    bundle = load_bundle(folder / candidate.name)
    if bundle.recipe != recorded_recipe(data_of(candidate, data), candidate.plan):
        raise SettingError(
            f"{folder / candidate.name} was made with another plan or other data; give the candidate another name, or "
            "name another --out"
        )
    return bundle


def train_candidate(candidate: Candidate, data: TrainingData, labels: list[str], threads: int) -> Trained:
    """Train on so many threads, in a folder of its own that goes with the call; the bundle comes back as bytes.

    What goes wrong is told as the failure: the others go on.
    """
    os.environ.update({name: str(threads) for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")})
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / candidate.name
        try:
            with quiet_stderr():  # TensorFlow tells of the graphics cards that it has not found; errors are raised
                train_bundle(data_of(candidate, data), labels, candidate.plan, out, lambda _: None)
        except InkstreamError as error:
            return Trained(candidate.name, failure=str(error))
        except Exception as error:  # TensorFlow raises what it likes, for want of memory above all
            told = (str(error).strip().splitlines() or [""])[0]
            return Trained(candidate.name, failure=f"{type(error).__name__}: {told}")
        bundle = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        run = {name: (run_folder(out) / name).read_bytes() for name in (PROGRESS, LEARNING_CURVE)}
    return Trained(candidate.name, bundle, run)


def store(trained: Trained, folder: Path) -> Bundle:
    """What a worker sent in; the checked bundle in `folder`, its training's epochs and curve beside it, out.

    Raises:
        BundleError: the folder cannot be written, or the bundle is there already.
    """
    out = folder / trained.name
    shutil.rmtree(run_folder(out), ignore_errors=True)  # of a run that was killed right here
    write_files(run_folder(out), trained.run)  # first: the bundle is what says that the candidate is done
    write_files(out, trained.bundle)
    return load_bundle(out)


def ranked(bundles: Mapping[str, Bundle]) -> list[str]:
    """Names, the best first: most right of the held-back pictures, of several the least log-loss there.

    The test pictures have no say: chosen by them, the best one's figure on them would flatter it.
    """

    def figure(name: str) -> tuple[float, float, str]:
        held = bundles[name].metrics["held"]
        return -held["accuracy"], held["log_loss"], name

    return sorted(bundles, key=figure)
