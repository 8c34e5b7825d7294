"""scale: what an image costs as the work grows, what it leaves on the disk, and Spark on one and two executors."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import psutil

from benchmarks.contenders import Running, ours
from benchmarks.disk import cassandra_bytes, kafka_bytes
from benchmarks.figures import OURS, Case, Outcome, warm_rate, with_slack
from benchmarks.options import Options
from benchmarks.place import Place
from benchmarks.processes import cpu_seconds, memory
from inkstream.local.own_services import own_folder
from inkstream.local.services import running_services
from inkstream.producer.paths import read_paths
from inkstream.producer.pictures import Picture

METHOD = (
    "All uploads wait in one topic, those of the warm-up first; one stream answers them, and is looked at when so "
    "many more are answered, once, twice, four times ... the first number. A figure is what was spent between two "
    "looks, by the images that were answered between them: CPU of the stream (the driver's and the workers' too), of "
    "Kafka and of Cassandra, and the clock; memory is what the stream's processes hold of their own at the look. "
    "Taking an upload is Kafka's CPU while the uploads are sent. Bytes: Kafka's messages of all topics, and "
    "Cassandra's files once all is flushed, by the images. Executors: the same stream on a standalone cluster of this "
    "machine, its cores shared out between the executors. Every id is looked for in each table and among the answers."
)
BASE = "1 x"
BASE_CLUSTER = "1 executor"
SPENT = {
    "stream_cpu_ms": "CPU of the stream, per image",
    "kafka_cpu_ms": "Kafka's CPU, per image answered",
    "cassandra_cpu_ms": "Cassandra's CPU, per image",
    "wall_ms": "time, per image",
}
LEFT = "what an image leaves"


@dataclass(frozen=True)
class Plan:
    """unit: images of 1 x, and of a micro-batch. warm_up, times: in units."""

    unit: int
    warm_up: int
    times: Sequence[int]

    @property
    def total(self) -> int:
        return self.unit * (self.warm_up + sum(self.times))


@dataclass(frozen=True)
class Look:
    """Everything so far: images answered, seconds since the epoch, CPU seconds; and memory at this moment."""

    answered: int
    at_s: float
    stream_s: float
    kafka_s: float
    cassandra_s: float
    memory_mib: float


def run(options: Options, place: Place) -> Outcome:
    """Rounds of the growing work; then the clusters, where it is not the quick run."""
    plan = Plan(5_000, 1, (1, 2, 4)) if options.quick else Plan(10_000, 4, (1, 2, 4, 8, 16))
    grown: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    left: list[dict[str, float]] = []
    for number in range(options.rounds):
        here = place.named(f"scale{number}", batch=with_slack(plan.unit))
        options.tell(f"scale: sending {plan.total:,} uploads")
        figures, leaves = grow(here, plan)
        left.append(leaves)
        for name, one in figures.items():
            options.tell(
                f"scale: round {number + 1}, {name}: {one['stream_cpu_ms']:.2f} ms of the stream's CPU an image"
            )
            for figure, value in one.items():
                grown[figure][name].append({figure: value})
    note = [f"{BASE}: {plan.unit:,} images, after {plan.warm_up * plan.unit:,} to warm up"]
    titles = {**SPENT, "memory_mib": "memory of the stream"}
    cases = [Case(title, figure, False, grown[figure], note, BASE) for figure, title in titles.items()]
    cases.append(Case(LEFT, "cassandra_bytes", False, {OURS: left}))
    if not options.quick:
        cases.append(on_clusters(options, place, plan))
    skipped = [f"8 x and 16 x, units of 10,000 ({plan.unit:,})", "one and two executors"] if options.quick else []
    return Outcome("scale", METHOD, cases, skipped)


def grow(place: Place, plan: Plan) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """One stream over all of the plan; figures an image of each size, and what an image leaves. Raises Incomplete."""
    before_s = cpu_seconds(place.kafka())
    expected = place.fill(plan.total)
    taken_s = cpu_seconds(place.kafka()) - before_s
    before = place.ends(place.settings.kafka.predicted)
    looks: list[Look] = []
    with ours().running(place) as running:
        goal = 0
        for units in (plan.warm_up, *plan.times):
            goal += units * plan.unit
            place.await_answers(before, goal, running.check)
            looks.append(look(place, running, sum(place.ends(place.settings.kafka.predicted).values())))
    place.check(expected, list(place.answers(before)))
    figures = {f"{times} x": between(*pair) for times, pair in zip(plan.times, pairwise(looks), strict=True)}
    leaves = {
        "cassandra_bytes": cassandra_bytes(place) / plan.total,
        "kafka_bytes": kafka_bytes(place) / plan.total,
        "upload_bytes": mean_bytes(place, plan.total),
        "kafka_taking_cpu_ms": taken_s * 1000 / plan.total,
    }
    return figures, leaves


def look(place: Place, running: Running, answered: int) -> Look:
    """All that there is to see at this moment."""
    family = running.family()
    spent = (cpu_seconds(family), cpu_seconds(place.kafka()), cpu_seconds(place.cassandra()))
    return Look(answered, time.time(), *spent, memory_mib=memory(family)["own_mib"])


def between(first: Look, second: Look) -> dict[str, float]:
    """Milliseconds an image from one look to the next, and the memory at the second."""
    images = second.answered - first.answered
    spent = {
        "stream_cpu_ms": second.stream_s - first.stream_s,
        "kafka_cpu_ms": second.kafka_s - first.kafka_s,
        "cassandra_cpu_ms": second.cassandra_s - first.cassandra_s,
        "wall_ms": second.at_s - first.at_s,
    }
    return {**{name: 1000 * seconds / images for name, seconds in spent.items()}, "memory_mib": second.memory_mib}


def mean_bytes(place: Place, count: int) -> float:
    """Of an upload's file: the pictures that there are, sent again and again."""
    sizes = [len(one.content) for one in read_paths(place.pictures, 1 << 20) if isinstance(one, Picture)]
    return fmean(sizes[number % len(sizes)] for number in range(count))


def on_clusters(options: Options, place: Place, plan: Plan) -> Case:
    """The same stream on one and on two executors, in turn, over the same uploads."""
    warm_up, count = plan.warm_up * plan.unit, (plan.warm_up + 8) * plan.unit
    here = place.named("scale_cluster", batch=with_slack(plan.unit))
    expected = here.fill(count)
    clusters = {BASE_CLUSTER: 1, "2 executors": 2}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in clusters}
    for number in range(options.rounds):
        for name in reversed(clusters) if number % 2 else clusters:
            found[name].append(figures := on_executors(here, clusters[name], expected, warm_up))
            options.tell(f"scale: round {number + 1}, {name}: {figures['warm_per_s']:,.0f}/s warm")
    cores = psutil.cpu_count() or 1
    notes = [f"{count - warm_up:,} images after {warm_up:,}; {cores} cores for executors, driver and services together"]
    return Case("executors of a standalone cluster", "warm_per_s", True, found, notes, BASE_CLUSTER)


def on_executors(place: Place, workers: int, expected: set[str], warm_up: int) -> dict[str, float]:
    """A drain on a cluster of so many workers, which is started for it. Raises Incomplete."""
    place.empty_tables()
    before = place.ends(place.settings.kafka.predicted)
    with (
        own_folder("bench-cluster") as folder,
        running_services(place.settings, folder, kafka=False, cassandra=False, workers=workers) as cluster,
        ours(cluster.settings.spark.master).running(place) as running,
    ):
        place.await_answers(before, len(expected), running.check)
        executors = [psutil.Process(worker.pid) for worker in cluster.workers if worker.pid]
        family = [*running.family(), *(child for one in executors for child in one.children(recursive=True))]
        cpu, held = cpu_seconds(family), memory(family)["own_mib"]
    answers = place.answers(before)
    place.check(expected, list(answers))
    return {
        "warm_per_s": warm_rate(list(answers.values()), warm_up),
        "stream_cpu_ms": cpu * 1000 / len(expected),
        "memory_mib": held,
    }
