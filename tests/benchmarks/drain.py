"""drain: so many waiting uploads, Kafka to Cassandra and back to Kafka; and Kafka to Kafka alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.contenders import Contender, ours, plain, quix, resident_bytes, spark
from benchmarks.cpu_profile import between
from benchmarks.figures import OURS, Case, Outcome, comparable, warm_rate, with_slack
from benchmarks.options import Options
from benchmarks.place import TABLES, Place
from benchmarks.processes import cpu_seconds
from inkstream.local.extras import ensure_extra

METHOD = (
    "The uploads wait in the topic; the contender is started and answers them all: the same normaliser, model, three "
    "tables and answers (acks=all, LOCAL_QUORUM, rows on disk before their answers). warm_per_s: answers a second "
    "after the warm-up, by the broker's timestamps of images.predicted (an answer follows its rows); cold_per_s: all "
    "of them from the start of the command. Afterwards every upload's id is looked for in each table and among the "
    "answers; Kafka to Kafka, among the answers alone. predict_batch_udf runs the Keras model of the bundle's first "
    "network alone, to its favour; all others run the whole cascade in LiteRT. 240,000 pictures come after a longer "
    "warm-up: a JVM compiles for minutes, Cassandra's as well; what the CPU time then goes into is the kernel's count "
    "of each process and thread, from the end of the warm-up on. Before the first round one drain is not "
    "counted (Kafka and Cassandra, just started, are slower for who comes first), and who that is changes from "
    "round to round."
)
WARM_UP = 40_000  # one micro-batch: five seconds' uploads, as docs/sizing.md has it
LONG_WARM_UP = 9 * WARM_UP  # a minute, for those that go on: the JVMs compile half as much afterwards as after 120,000
FEWER = 20_000  # after the warm-up, for those that take very long

BATCH_UDF = "Spark, predict_batch_udf with Keras"
ROW_BY_ROW = "Spark, a row at a time"

# What the plain consumer x2 reaches with this work where nothing else runs, on two cores with VNNI.
RECORDED_PLAIN_PER_S = 6_800.0

T = TypeVar("T")


@dataclass(frozen=True)
class Waiting:
    """A topic of uploads, sent and unanswered. expected: their ids. warm_up: how many of them are that."""

    place: Place
    expected: set[str]
    warm_up: int = WARM_UP

    @property
    def count(self) -> int:
        """How many after the warm-up."""
        return len(self.expected) - self.warm_up


def run(options: Options, place: Place) -> Outcome:
    """All cases; each round takes the contenders in turn."""
    if options.quick:
        few = waiting(options, place, 20_000)
        work = [(contender, few) for contender in (ours(), plain(2))]
        left_out = ["plain consumer x1", "Quix Streams x1 and x2", BATCH_UDF, ROW_BY_ROW, "240,000 pictures"]
        left_out += ["Kafka to Kafka", "the drain that is not counted"]
        return Outcome("drain", METHOD, [compare(options, "20,000 pictures", options.rounds, work)], left_out)
    ensure_extra("train")
    many, fewer = waiting(options, place, 60_000), waiting(options, place, FEWER)
    options.tell("drain: one that is not counted")
    drain_once(fewer.place, plain(2), fewer.expected, fewer.warm_up)
    batch_udf = spark(BATCH_UDF, "batch-udf")
    stored = [(contender, many) for contender in (ours(), plain(1), plain(2), quix(1), quix(2), batch_udf)]
    stored.append((spark(ROW_BY_ROW, "row-by-row"), fewer))
    alone = [(spark(OURS, "ours", "--no-tables"), many), (plain(2, "--no-tables"), many)]
    alone.append((spark(ROW_BY_ROW, "row-by-row", "--no-tables"), fewer))
    cases = [
        compare(options, "60,000 pictures", options.rounds, stored),
        compare(options, "60,000 pictures, Kafka to Kafka", options.rounds, alone, tables=()),
    ]
    most = waiting(options, place, 240_000, LONG_WARM_UP)
    work = [(ours(), most), (plain(2), most)]
    cases.append(compare(options, "240,000 pictures", options.rounds, work, profiled=True))
    return Outcome("drain", METHOD, cases)


def waiting(options: Options, place: Place, size: int, warm_up: int = WARM_UP) -> Waiting:
    """So many uploads and those of the warm-up, in a topic of their own."""
    options.tell(f"drain: sending {warm_up + size:,} uploads")
    here = place.named(f"drain{size}", batch=with_slack(WARM_UP))
    return Waiting(here, here.fill(warm_up + size), warm_up)


def compare(
    options: Options,
    name: str,
    rounds: int,
    work: Sequence[tuple[Contender, Waiting]],
    tables: Sequence[str] = TABLES,
    *,
    profiled: bool = False,
) -> Case:
    """So many rounds of the contenders in turn, each over its uploads; without tables answers alone are looked for."""
    found: dict[str, list[dict[str, float]]] = {contender.name: [] for contender, _ in work}
    spent: dict[str, list[dict[str, float]]] = {contender.name: [] for contender, _ in work}
    for number in range(rounds):
        for contender, uploads in turns(work, number, rounds):
            figures, used = drain_once(uploads.place, contender, uploads.expected, uploads.warm_up, tables)
            found[contender.name].append(figures)
            spent[contender.name].append(used)
            options.tell(
                f"drain: round {number + 1} of {name}, {contender.name}: {figures['warm_per_s']:,.0f}/s warm, "
                f"{figures['cold_per_s']:,.0f}/s from the command on"
            )
    compared = tables and not options.quick  # right after their start the services are slower, and nobody warms them up
    notes = _notes(work, found if compared else {})
    return Case(name, "warm_per_s", True, found, notes, spent=spent if profiled else {})


def _notes(work: Sequence[tuple[Contender, Waiting]], stored: dict[str, list[dict[str, float]]]) -> list[str]:
    most = max(uploads.count for _, uploads in work)
    notes = [f"{work[0][1].warm_up:,} to warm up, then {most:,}"]
    notes += [
        f"{contender.name}: {uploads.warm_up:,} to warm up, then {uploads.count:,}; its cold_per_s is of those"
        for contender, uploads in work
        if uploads.count < most
    ]
    two = stored.get("plain consumer x2")
    if two and not comparable(max(one["warm_per_s"] for one in two), RECORDED_PLAIN_PER_S):
        notes.append(
            f"not comparable: the plain consumer stayed under 85 % of the {RECORDED_PLAIN_PER_S:,.0f}/s "
            "that it makes on two cores where nothing else runs"
        )
    return notes


def turns(work: Sequence[T], number: int, rounds: int) -> list[T]:
    """The order of round `number`, 0 the first: the first given is the last at first, and sooner in each that follows.

    With fewer rounds than contenders the steps are larger, so that nobody has the same end of the round each time.
    """
    start = (1 + number * max(1, len(work) // rounds)) % len(work)
    return [*work[start:], *work[:start]]


def drain_once(
    place: Place, contender: Contender, expected: set[str], warm_up: int, tables: Sequence[str] = TABLES
) -> tuple[dict[str, float], dict[str, float]]:
    """Have a contender answer all that the topic holds; its figures, and what the CPU time after the warm-up went into.

    Raises:
        Incomplete: something is lost.

    tables: where each upload's row is looked for; none where the contender stores nothing.
    """
    if tables:
        place.empty_tables()
    before = place.ends(place.settings.kafka.predicted)
    served = cpu_seconds(place.servers())
    with contender.running(place) as running:
        place.await_answers(before, warm_up, running.check)
        warm = place.spent(running.family())
        place.await_answers(before, len(expected), running.check)
        family = running.family()
        spent = between(warm, place.spent(family), len(expected) - warm_up)
        cpu = cpu_seconds(family)
        served = cpu_seconds(place.servers()) - served
        memory = resident_bytes(family)
    answers = place.answers(before)
    place.check(expected, list(answers), tables)
    last_s = max(answers.values()) / 1000
    figures = {
        "warm_per_s": warm_rate(list(answers.values()), warm_up),
        "cold_per_s": len(expected) / (last_s - running.started),
        "first_answer_s": min(answers.values()) / 1000 - running.started,
        "cpu_ms_per_image": cpu * 1000 / len(expected),
        "services_cpu_ms_per_image": served * 1000 / len(expected),
        "memory_mib": memory / (1 << 20),
    }
    return figures, spent
