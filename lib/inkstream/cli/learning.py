"""prepare, train, evaluate: from labelled pictures to a model bundle, and how good it is."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from inkstream.cli.spark_job import Master, Print, job_arguments, run_job


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command(
        epilog="Examples: `./submit.sh prepare mnist/ --out var/data/mnist`; `./submit.sh prepare mnist/ scans/ "
        "more.csv --corrections --augment 1 --out var/data/all`. A source is a folder of IDX files, a folder of "
        "folders that are named by their label, Parquet with a column `label`, or a CSV file with the columns path and "
        "label."
    )(prepare)
    app.command(
        epilog="Examples: `./submit.sh train var/data/mnist --recipe mlp --out var/models/mlp`; the same line again "
        "goes on where it was killed. `tensorboard --logdir var/models/mlp.run/logs` shows it as it learns. "
        "`./submit.sh train var/data/mnist --recipe wide --out var/models/wide` makes a large network, `--teacher "
        "var/models/wide` a small one that learns from it; `models join` makes one bundle of both. "
        "`./submit.sh train var/data/mnist --candidates rates.csv --out var/models` trains several; the file begins "
        "with a line such as `name,recipe,learning_rate,epochs`, and then `slow,mlp,0.03,10` and the like."
    )(train)
    app.command(
        epilog="Examples: `./submit.sh evaluate var/data/mnist --model var/models/mlp --out var/evaluation/mlp`; "
        "`./submit.sh evaluate --corrections`; beside a training `./submit.sh evaluate var/data/mnist --watch "
        "var/models/mlp.run`. Sources are those of `prepare`; of an IDX set only its own test pictures are asked."
    )(evaluate)


def prepare(
    sources: Annotated[list[str] | None, typer.Argument(help="Spark paths of labelled pictures.")] = None,
    out: Annotated[str, typer.Option(help="The data set's folder: a Spark path.", show_default=False)] = "",
    corrections: Annotated[bool, typer.Option("--corrections", help="Stored pictures that people corrected.")] = False,
    claimed: Annotated[
        bool, typer.Option("--claimed", help="Stored pictures with their uploaders' labels; anybody can set one.")
    ] = False,
    labels: Annotated[str, typer.Option(help="The labels in their order; pictures with others are left out.")] = (
        "0,1,2,3,4,5,6,7,8,9"
    ),
    held: Annotated[float, typer.Option(min=0.0, max=0.5, help="Share that chooses and calibrates.")] = 0.08,
    test: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share that only measures; IDX sets have theirs.")
    ] = 0.1,
    augment: Annotated[int, typer.Option(min=0, max=100, help="Augmented copies of each training picture.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of the copies.")] = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Make the data set at --out anew.")] = False,
    master: Master = "",
    print_: Print = False,
) -> None:
    """Labelled pictures to a data set: read, normalised, freed of doubles, split, in Parquet, by Spark."""
    from inkstream.errors import SettingError
    from inkstream.settings import load_settings

    if not out:
        raise SettingError("--out is missing; name the data set's folder, such as var/data/digits")
    if not (sources or corrections or claimed):
        raise SettingError("There is no source; name a folder or file of labelled pictures, or give --corrections")
    values = {"--out": out, "--labels": labels, "--held": held, "--test": test, "--augment": augment, "--seed": seed}
    flags = {"--corrections": corrections, "--claimed": claimed, "--replace": replace}
    arguments = [*job_arguments(flags, values), *(sources or [])]
    run_job(load_settings(), "prepare_dataset", arguments, master=master, print_=print_)


def train(
    data: Annotated[str, typer.Argument(help="What `prepare` made, or a folder of MNIST's IDX files.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder; must not exist yet.")],
    recipe: Annotated[str, typer.Option(help="cnn, tiny, narrow, wide, mlp, dense or resnet.")] = "cnn",
    epochs: Annotated[int, typer.Option(min=0, help="0: the recipe's.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same model.")] = 1,
    batch: Annotated[int, typer.Option(min=0, help="Pictures a step; 0: the recipe's.")] = 0,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="0: the recipe's.")] = 0.0,
    patience: Annotated[
        int, typer.Option(min=-1, help="Stop after so many epochs without a better one; 0: never; -1: the recipe's.")
    ] = -1,
    imitations: Annotated[
        int, typer.Option(min=-1, help="Pictures made to look like uploads; -1: as the recipe does.")
    ] = -1,
    strangers: Annotated[int, typer.Option(min=-1, help="Pictures of what is no digit; -1: as the recipe does.")] = -1,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="A bundle, of `wide` for one, whose answers are learnt too; again: the mean of several.",
            show_default=False,
        ),
    ] = None,
    no_augment: Annotated[bool, typer.Option("--no-augment", help="Learn from the pictures as they are.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away what a killed training left.")] = False,
    candidates: Annotated[
        Path | None,
        typer.Option(
            help="A CSV file of settings, one candidate a line: all are trained side by side by Spark, and ranked; "
            "--out is the folder of their bundles.",
            show_default=False,
        ),
    ] = None,
    master: Annotated[str, typer.Option(help="With --candidates: Spark's master.", show_default=False)] = "",
    print_: Annotated[bool, typer.Option("--print", help="Show the command line instead of running it.")] = False,
) -> None:
    """A data set to a calibrated model bundle, on this machine; a killed training goes on where it was.

    With --candidates a table of settings to a bundle each, on Spark's executors.
    """
    from functools import partial

    from inkstream.errors import SettingError
    from inkstream.local.extras import ensure_extra
    from inkstream.settings import home, load_settings

    made = {name: n for name, n in {"--imitations": imitations, "--strangers": strangers}.items() if n >= 0}
    plan: dict[str, object] = {"--recipe": recipe, "--epochs": epochs, "--batch": batch}
    plan |= {"--learning-rate": learning_rate, "--patience": patience}
    if candidates is not None:
        usual = {"--recipe": "cnn", "--epochs": 0, "--batch": 0, "--learning-rate": 0.0, "--patience": -1}
        given = [name for name, value in plan.items() if value != usual[name]]
        others = {"--teacher": teacher, "--no-augment": no_augment, "--fresh": fresh}
        given += [name for name, value in others.items() if value]
        if given:
            raise SettingError(f"{given[0]} is for one training; with --candidates the columns of the file say how")
        values = {"--data": data, "--candidates": candidates, "--out": out, "--seed": seed, **made}
        arguments = job_arguments({}, values)
        install = partial(ensure_extra, "train")
        run_job(load_settings(), "train_candidates", arguments, master=master, print_=print_, prepare=install)
        return
    if master:
        raise SettingError("--master is for --candidates; one training runs on this machine, without Spark")
    values = {"--data": data, "--out": out, "--seed": seed, **plan, **made, "--teacher": teacher}
    arguments = job_arguments({"--no-augment": no_augment, "--fresh": fresh}, values)
    line = [sys.executable, str(home() / "jobs" / "train_model.py"), *arguments]
    if print_:
        typer.echo(shlex.join(line))
        return
    ensure_extra("train")
    os.execv(line[0], line)


def evaluate(
    sources: Annotated[list[str] | None, typer.Argument(help="Spark paths of labelled pictures.")] = None,
    model: Annotated[str, typer.Option(help="A bundle's folder; default: the setting, else the shipped one.")] = "",
    out: Annotated[str, typer.Option(help="Where page and JSON go: a Spark path.")] = "var/evaluation",
    split: Annotated[str, typer.Option(help="Of a prepared data set: train, held or test.")] = "test",
    corrections: Annotated[bool, typer.Option("--corrections", help="Stored pictures that people corrected.")] = False,
    claimed: Annotated[
        bool, typer.Option("--claimed", help="Stored pictures with their uploaders' labels; anybody can set one.")
    ] = False,
    watch: Annotated[str, typer.Option(help="A training's folder (BUNDLE.run): follow its checkpoints.")] = "",
    once: Annotated[bool, typer.Option("--once", help="With --watch: those that are there, then stop.")] = False,
    master: Master = "",
    print_: Print = False,
) -> None:
    """How good a bundle is: accuracy, classes, confusions, calibration and the worst mistakes, as a page and JSON."""
    from inkstream.errors import SettingError
    from inkstream.local.extras import ensure_extra
    from inkstream.settings import home, load_settings

    if not (sources or corrections or claimed):
        raise SettingError("There is no source; name labelled pictures or what `prepare` made, or give --corrections")
    if split not in ("train", "held", "test"):
        raise SettingError(f"--split has the value {split!r}; it is train, held or test")
    if watch and not (sources and len(sources) == 1):
        raise SettingError("--watch takes one prepared data set as its source")
    values = {"--model": model, "--out": out, "--split": split, "--watch": watch}
    flags = {"--corrections": corrections, "--claimed": claimed, "--once": once}
    arguments = [*job_arguments(flags, values), *(sources or [])]
    if not watch:
        run_job(load_settings(), "evaluate_model", arguments, master=master, print_=print_)
        return
    line = [sys.executable, str(home() / "jobs" / "evaluate_model.py"), *arguments]  # needs TensorFlow, not Spark
    if print_:
        typer.echo(shlex.join(line))
        return
    ensure_extra("train")
    os.execv(line[0], line)
