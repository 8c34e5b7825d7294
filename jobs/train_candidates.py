"""A data set and a table of settings in; a training of each side by side on Spark's executors, ranked, out."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark import Broadcast
from pyspark.sql import SparkSession
from pyspark.util import inheritable_thread_target
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inkstream.dataset.ranking import ranking_json, ranking_table
from inkstream.dataset.training_data import IMITATIONS, STRANGERS, open_training_data, with_made_pictures
from inkstream.errors import FoundError
from inkstream.job_errors import exit_status_of
from inkstream.model.bundle import Bundle
from inkstream.model.candidates import Candidate, Trained, finished, ranked, read_candidates, store, train_candidate
from inkstream.model.checkpoints import read_progress
from inkstream.model.examples import TrainingData
from inkstream.model.learning_curve import draw_candidates
from inkstream.model.training import run_folder
from inkstream.settings import load_settings
from inkstream.spark import build_session

Parts = tuple[TrainingData, list[str]]


def main(argv: list[str] | None = None) -> int:
    """The job's command line; returns its exit status."""
    arguments = _parser().parse_args(argv)
    logging.getLogger("py4j").setLevel(logging.INFO if arguments.debug else logging.CRITICAL)
    console = Console(highlight=False)
    try:
        candidates = read_candidates(arguments.candidates)
        data, labels = open_training_data(arguments.data)
        wanted = any(candidate.learns_made for candidate in candidates)
        made = (arguments.imitations, arguments.strangers) if wanted else (0, 0)
        data = with_made_pictures(data, *made, arguments.seed, console)
        spark = build_session(load_settings(), "inkstream-candidates", cassandra=False)
        failures = run(spark, (data, labels), candidates, arguments.out, console)
        spark.stop()
        if failures:
            told = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
            raise FoundError(f"{len(failures)} of {len(candidates)} candidates could not be trained: {told}")
    except Exception as error:
        return exit_status_of(error, debug=arguments.debug)
    return 0


def run(
    spark: SparkSession, parts: Parts, candidates: Sequence[Candidate], out: Path, console: Console
) -> dict[str, str]:
    """Train those that are not there yet; ranking.json and candidates.png in `out`, and the failures by name, out."""
    bundles = {one.name: done for one in candidates if (done := finished(one, parts[0], out))}
    if bundles:
        console.print(f"there already: {', '.join(bundles)}")
    failures: dict[str, str] = {}
    for trained in _train_all(spark, parts, [one for one in candidates if one.name not in bundles], console):
        if trained.failure:
            failures[trained.name] = trained.failure
            console.print(f"{trained.name} failed: {trained.failure}", markup=False)
        else:
            bundles[trained.name] = bundle = store(trained, out)
            console.print(f"{trained.name}: {bundle.metrics['held']['accuracy']:.2%} of the held-back pictures right")
    order = ranked(bundles)
    _show(order, bundles, failures, out, console)
    return failures


def _train_all(
    spark: SparkSession, parts: Parts, candidates: Sequence[Candidate], console: Console
) -> Iterator[Trained]:
    """Each as it is done. A job of one task a candidate: one that ends its worker ends no other."""
    if not candidates:
        return
    context = spark.sparkContext
    sent = context.broadcast(parts)
    threads = int(context.getConf().get("spark.task.cpus", "1"))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(len(candidates)) as pool:
        task = progress.add_task("candidates", total=len(candidates))
        jobs = [
            pool.submit(inheritable_thread_target(partial(_train_on_an_executor, spark, sent, candidate, threads)))
            for candidate in candidates
        ]
        try:
            for job in as_completed(jobs):
                progress.advance(task)
                yield job.result()
        finally:
            context.cancelAllJobs()  # Ctrl-C: the pool would wait for all of them
    sent.destroy()


def _train_on_an_executor(spark: SparkSession, sent: Broadcast[Parts], candidate: Candidate, threads: int) -> Trained:
    def train(one: Candidate) -> Trained:
        return train_candidate(one, *sent.value, threads)

    try:
        return spark.sparkContext.parallelize([candidate], 1).map(train).first()
    except Py4JJavaError as error:
        told = str(error.java_exception).strip().splitlines()[0]
        return Trained(candidate.name, failure=f"its worker ended: {told}")


def _show(order: list[str], bundles: dict[str, Bundle], failures: dict[str, str], out: Path, console: Console) -> None:
    if not order:
        return
    console.print(ranking_table(order, bundles))
    (out / "ranking.json").write_text(json.dumps(ranking_json(order, bundles, failures), indent=2) + "\n")
    progress = {name: read_progress(run_folder(out / name)) for name in order}
    draw_candidates({name: found[1] for name, found in progress.items() if found}, out / "candidates.png")
    console.print(f"The best is {out / order[0]}; {out}/ranking.json has all figures, candidates.png the curves")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train_candidates.py", description=__doc__)
    parser.add_argument("--data", required=True, help="a prepared data set, or a folder of MNIST's four IDX files")
    parser.add_argument("--candidates", type=Path, required=True, help="CSV: name, recipe, epochs, learning_rate, ...")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the bundles, one a candidate")
    parser.add_argument("--seed", type=int, default=1, help="of the split and of the made pictures")
    parser.add_argument("--imitations", type=int, default=IMITATIONS, help="of uploads, for those that augment")
    parser.add_argument("--strangers", type=int, default=STRANGERS, help="what is no digit, for those that augment")
    parser.add_argument("--debug", action="store_true", help="stack traces and debug logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
