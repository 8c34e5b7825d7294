"""rescore: stored images through a second version of the model, rows beside those that are there."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contenders import HERE, Contender, Running, plain, spark_line
from benchmarks.figures import OURS, Case, Incomplete, Outcome, check_complete
from benchmarks.options import Options
from benchmarks.place import PAGE_ROWS, TABLES, Place
from benchmarks.processes import cpu_seconds, memory
from inkstream.local.extras import ensure_extra
from inkstream.model.bundle import Bundle, Golden, load_bundle, shipped_bundle, write_bundle
from inkstream.model.engine import open_engine
from inkstream.model.shelf import Shelf
from inkstream.settings import home
from inkstream.store.session import open_session

METHOD = (
    "Images that the plain consumer has stored get rows of a second version in predictions and predictions_by_day: "
    "the shipped network with another temperature, so that its version differs and its work does not. InkStream: "
    "jobs/rescore.py, with its look for what is answered already and its comparison of the versions. The other: a "
    "batch script with the project's decoder and normaliser and the Keras model of the bundle's first network alone, "
    "to its favour, in predict_batch_udf, 512 pictures a call, read and written through the same connector, with the "
    "same spark-submit line. warm_per_s: from the first prediction (predicted_at) to the end of the process; "
    "cold_per_s: from the command to the end. peak_own_mib: what all processes hold of their own, the most that was "
    "seen once a second. Which is first changes from round to round. Afterwards every stored id is looked for among "
    "the version's rows in both tables."
)
UDF = "predict_batch_udf, Keras"
VERSIONED = TABLES[1:]
END_S = 1_800
LOOK_S = 1.0


def run(options: Options, place: Place) -> Outcome:
    """Store the images once; then rounds of both, each with a version that nobody has used."""
    ensure_extra("train")
    count = 3_000 if options.quick else 60_000
    shutil.rmtree(place.folder / "models", ignore_errors=True)  # versions of the last run
    here = place.named("rescore")
    options.tell(f"rescore: storing {count:,} images")
    stored = store(here, count)
    found: dict[str, list[dict[str, float]]] = {OURS: [], UDF: []}
    ways = {OURS: ours, UDF: by_udf}
    for number in range(options.rounds):
        for name in reversed(ways) if number % 2 else ways:
            with TemporaryDirectory() as folder:
                bundle = another(here, Path(folder) / "bundle")
                figures = rescore_once(here, ways[name](bundle), bundle.version, stored)
            found[name].append(figures)
            options.tell(
                f"rescore: round {number + 1}, {name}: {figures['warm_per_s']:,.0f}/s warm, "
                f"{figures['cold_per_s']:,.0f}/s from the command on"
            )
    left_out = [f"60,000 images ({count:,})"] if options.quick else []
    return Outcome("rescore", METHOD, [Case(f"{count:,} images", "warm_per_s", True, found)], left_out)


def store(place: Place, count: int) -> set[str]:
    """Have so many images stored and answered by the shipped version; their ids."""
    expected = place.fill(count)
    before = place.ends(place.settings.kafka.predicted)
    with plain(2).running(place) as running:
        place.await_answers(before, count, running.check)
    place.check(expected, list(place.answers(before)))
    return expected


def another(place: Place, folder: Path) -> Bundle:
    """The shipped network with a temperature of its own, in the folder and on the place's shelf."""
    shipped = load_bundle(shipped_bundle())
    if shipped.golden is None or not shipped.keras:
        raise Incomplete(f"{shipped_bundle()} lacks its golden set or its Keras file")
    changed = replace(shipped, temperature=shipped.temperature + 0.01 + int.from_bytes(os.urandom(2), "big") * 1e-6)
    facts = shipped.facts.model_copy(update={"temperature": changed.temperature})
    golden = Golden(shipped.golden.pixels, open_engine(changed).predict(shipped.golden.pixels))
    bundle = write_bundle(
        folder,
        facts,
        networks=shipped.networks,
        keras=[file.read_bytes() for file in shipped.keras],
        golden=golden,
    )
    Shelf(place.settings).add(folder)
    return bundle


def ours(bundle: Bundle) -> Contender:
    """The project's own job."""
    job = home() / "jobs" / "rescore.py"
    return Contender("InkStream rescore", lambda place: [spark_line(place, job, [bundle.version])])


def by_udf(bundle: Bundle) -> Contender:
    """The script with predict_batch_udf. It needs the bundle's folder, for its Keras file."""
    folder = str(bundle.keras[0].parent) if bundle.keras else ""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2"}
    return Contender("rescore udf", lambda place: [spark_line(place, HERE / "rescore_udf.py", [folder])], quiet)


def rescore_once(place: Place, contender: Contender, version: str, stored: set[str]) -> dict[str, float]:
    """Run it to its end; its figures. Raises Incomplete where an image lacks a row of the version."""
    with contender.running(place) as running:
        cpu, peak = await_end(running)
        ended = time.time()
    predicted = check_rows(place, version, stored)
    return {
        "warm_per_s": len(stored) / (ended - min(predicted)),
        "cold_per_s": len(stored) / (ended - running.started),
        "first_prediction_s": min(predicted) - running.started,
        "cpu_ms_per_image": cpu * 1000 / len(stored),
        "peak_own_mib": peak,
    }


def await_end(running: Running) -> tuple[float, float]:
    """Wait until its one process has ended well; its CPU seconds and its most MiB, as last seen before.

    Raises:
        Incomplete: it failed, or did not end.
    """
    [process] = running.processes
    cpu = peak = 0.0
    until = time.monotonic() + END_S
    while process.poll() is None:
        if time.monotonic() > until:
            raise Incomplete(f"{running.name} did not end within {END_S} s; its log is {running.log}")
        family = running.family()
        cpu, peak = max(cpu, cpu_seconds(family)), max(peak, memory(family)["own_mib"])
        time.sleep(LOOK_S)
    if process.returncode:
        running.check()
    return cpu, peak


def check_rows(place: Place, version: str, stored: set[str]) -> list[float]:
    """When each image was predicted, in seconds since the epoch. Raises Incomplete where one has no row in a table."""
    ids: dict[str, list[str]] = defaultdict(list)
    predicted: list[datetime] = []
    with open_session(place.settings.cassandra) as session:
        for table in VERSIONED:
            statement = session.prepare(f"SELECT image_id, model_version, predicted_at FROM {table}")
            statement.fetch_size = PAGE_ROWS
            rows = [row for row in session.execute(statement) if row.model_version == version]
            ids[f"{table} of version {version[:12]}"] = [row.image_id for row in rows]
            predicted += [row.predicted_at for row in rows]
    check_complete(stored, ids)
    epoch = datetime(1970, 1, 1)  # the driver gives moments of UTC without saying so
    return [(moment - epoch).total_seconds() for moment in predicted]
