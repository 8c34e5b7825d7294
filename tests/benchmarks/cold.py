"""cold: from the command to the first row and the first answer; loads of the model; memory after so many pictures."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.contenders import Contender, Running, ours_by_command, ours_counting_loads, plain
from benchmarks.figures import OURS, Case, Incomplete, Outcome
from benchmarks.latency import BATCH
from benchmarks.options import Options
from benchmarks.place import Place
from benchmarks.processes import cpu_seconds, memory
from inkstream.local.class_archives import archive_options
from inkstream.store.session import open_session

METHOD = (
    "Kafka and Cassandra run, and a hundred uploads wait. The contender's command is started: InkStream's is "
    "`./submit.sh stream`, as a person types it, its own checks with it. first_row_s: until a client that asks every "
    "20 ms finds a row in predictions_by_day; first_answer_s: until the broker's timestamp of the first answer; "
    "start_cpu_s: CPU of all its processes until then. Then more pictures are sent, and once all are answered: "
    "resident memory of Spark's JVM, of the job's Python and of the largest worker, and own_mib, what all processes "
    "hold of their own (files that they map are left out). Every id is looked for in each table and among the "
    "answers. model_loads: the same pictures once more, with a Python daemon whose workers write a line at each load."
)
WAITING = 100
BATCH_ROWS = 1_000  # a micro-batch: several, so that a load a task or a batch would be seen
ASK_S = 0.02
GIVE_UP_S = 300


def run(options: Options, place: Place) -> Outcome:
    """Rounds of the two in turn, each on topics and tables of its own; then the loads, once."""
    count = 4_000 if options.quick else 40_000
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(options.rounds):
        for contender in (ours_by_command(), plain(1)):
            here = place.named(f"cold{number}{'ours' if contender.name == OURS else 'plain'}", batch=BATCH_ROWS)
            figures = start_once(here, contender, count)
            found[contender.name].append(figures)
            options.tell(
                f"cold: round {number + 1}, {contender.name}: first row after {figures['first_row_s']:.1f} s, "
                f"{figures['own_mib']:,.0f} MiB after {count:,} pictures"
            )
    archive = "with" if archive_options(place.settings, "spark") else "WITHOUT"
    notes = [f"{archive} the archive of Spark's classes; jars and packages as the round before left them in memory"]
    cases = [Case("the first answer", "first_answer_s", False, dict(found), notes)]
    if options.quick:
        return Outcome("cold", METHOD, cases, [f"memory after 40,000 pictures ({count:,})", "loads of the model"])
    loads = count_loads(place.named("cold_loads", batch=BATCH_ROWS), count)
    options.tell(f"cold: {loads['model_loads']:.0f} loads of the model in {loads['micro_batches']:.0f} micro-batches")
    title = f"loads of the model, {WAITING + count:,} pictures"
    cases.append(Case(title, "model_loads", False, {OURS: [loads]}))
    return Outcome("cold", METHOD, cases)


def start_once(place: Place, contender: Contender, count: int) -> dict[str, float]:
    """Start it on a few waiting uploads, then have it answer so many; its figures. Raises Incomplete."""
    expected = place.fill(WAITING)
    before = place.ends(place.settings.kafka.predicted)
    with contender.running(place) as running:
        row_at = await_row(place, running)
        place.await_answers(before, 1, running.check)
        started_cpu = cpu_seconds(running.family())
        place.await_answers(before, len(expected), running.check)
        expected |= place.fill(count, source="more")
        place.await_answers(before, len(expected), running.check)
        held = memory(running.family())
    answers = place.answers(before)
    place.check(expected, list(answers))
    return {
        "first_row_s": row_at - running.started,
        "first_answer_s": min(answers.values()) / 1000 - running.started,
        "start_cpu_s": started_cpu,
        **held,
    }


def await_row(place: Place, running: Running) -> float:
    """When the first row was found in predictions_by_day, in seconds since the epoch. Raises Incomplete."""
    until = time.monotonic() + GIVE_UP_S
    with open_session(place.settings.cassandra) as session:
        ask = session.prepare("SELECT image_id FROM predictions_by_day LIMIT 1")
        while session.execute(ask).one() is None:
            running.check()
            if time.monotonic() > until:
                raise Incomplete(f"{running.name} stored nothing within {GIVE_UP_S} s")
            time.sleep(ASK_S)
        return time.time()


def count_loads(place: Place, count: int) -> dict[str, float]:
    """The stream over so many pictures; how often its workers loaded the model, and in how many micro-batches."""
    file = place.folder / "run" / "loads"
    file.unlink(missing_ok=True)
    expected = place.fill(WAITING + count)
    before = place.ends(place.settings.kafka.predicted)
    with ours_counting_loads(file).running(place) as running:
        place.await_answers(before, len(expected), running.check)
    place.check(expected, list(place.answers(before)))
    return loads_in(file, running.log)


def loads_in(file: Path, log: Path) -> dict[str, float]:
    """Figures of the lines that workers wrote, and of the stream's log. Raises Incomplete where there are none."""
    by_worker = Counter(file.read_text().split()) if file.exists() else Counter[str]()
    if not by_worker:
        raise Incomplete("no worker told of a load of the model, so loads were not counted")
    return {
        "model_loads": by_worker.total(),
        "workers": len(by_worker),
        "most_in_a_worker": max(by_worker.values()),
        "micro_batches": len(BATCH.findall(log.read_text(errors="replace"))),
    }
