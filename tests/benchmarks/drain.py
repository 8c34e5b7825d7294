"""drain: so many waiting uploads, Kafka to Cassandra and back to Kafka."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.contenders import Contender, cpu_seconds, ours, plain, quix, resident_bytes
from benchmarks.figures import Case, Outcome, comparable, warm_rate, with_slack
from benchmarks.options import Options
from benchmarks.place import Place

METHOD = (
    "The uploads wait in the topic; the contender is started and answers them all: the same normaliser, model, three "
    "tables and answers (acks=all, LOCAL_QUORUM, rows on disk before their answers). warm_per_s: answers a second "
    "after the warm-up, by the broker's timestamps of images.predicted (an answer follows its rows); cold_per_s: all "
    "of them from the start of the command. Afterwards every upload's id is looked for in each table and among the "
    "answers."
)
WARM_UP = 20_000  # one micro-batch

# What the plain consumer x2 reaches with this work where nothing else runs, on two cores; 0: not recorded yet.
RECORDED_PLAIN_PER_S = 0.0


def run(options: Options, place: Place) -> Outcome:
    """All cases; each round takes the contenders in turn."""
    rivals = [plain(2), quix(1)] if options.quick else [plain(1), plain(2), quix(1), quix(2)]
    sizes = [(20_000, options.rounds)] if options.quick else [(60_000, options.rounds), (240_000, 1)]
    cases = []
    for size, rounds in sizes:
        chosen = rivals if size <= 60_000 else [plain(2)]
        cases.append(compare(options, place, f"drain{size}", size, rounds, [ours(), *chosen]))
    left_out = ["plain consumer x1", "Quix Streams x2", "240,000 pictures"] if options.quick else []
    return Outcome("drain", METHOD, cases, left_out)


def compare(options: Options, place: Place, name: str, size: int, rounds: int, contenders: Sequence[Contender]) -> Case:
    """So many rounds of the contenders in turn, over the same uploads."""
    here = place.named(name, batch=with_slack(WARM_UP))
    options.tell(f"drain: sending {WARM_UP + size:,} uploads")
    expected = here.fill(WARM_UP + size)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(rounds):
        for contender in contenders:
            figures = drain_once(here, contender, expected, WARM_UP)
            found[contender.name].append(figures)
            options.tell(
                f"drain: round {number + 1}, {contender.name}: {figures['warm_per_s']:,.0f}/s warm, "
                f"{figures['cold_per_s']:,.0f}/s from the command on"
            )
    notes = [f"{WARM_UP:,} to warm up, then {size:,}"]
    two = found.get("plain consumer x2")
    if two and not comparable(max(one["warm_per_s"] for one in two), RECORDED_PLAIN_PER_S):
        notes.append(
            f"not comparable: the plain consumer stayed under 85 % of the {RECORDED_PLAIN_PER_S:,.0f}/s "
            "that it makes on two cores where nothing else runs"
        )
    return Case(f"{size:,} pictures", "warm_per_s", True, dict(found), notes)


def drain_once(place: Place, contender: Contender, expected: set[str], warm_up: int) -> dict[str, float]:
    """Have a contender answer all that the topic holds; its figures. Raises Incomplete where something is lost."""
    place.empty_tables()
    before = place.ends(place.settings.kafka.predicted)
    served = cpu_seconds(place.servers())
    with contender.running(place) as running:
        place.await_answers(before, len(expected), running.check)
        family = running.family()
        cpu = cpu_seconds(family)
        served = cpu_seconds(place.servers()) - served
        memory = resident_bytes(family)
    answers = place.answers(before)
    place.check(expected, list(answers))
    last_s = max(answers.values()) / 1000
    return {
        "warm_per_s": warm_rate(list(answers.values()), warm_up),
        "cold_per_s": len(expected) / (last_s - running.started),
        "first_answer_s": min(answers.values()) / 1000 - running.started,
        "cpu_ms_per_image": cpu * 1000 / len(expected),
        "services_cpu_ms_per_image": served * 1000 / len(expected),
        "memory_mib": memory / (1 << 20),
    }
