"""Rounds of load, strike, recovery and `verify` in; a report of each out."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from inkstream.chaos.load import Load
from inkstream.chaos.strikes import STRIKES, Arena, possible_kinds
from inkstream.chaos.victim import Flight, Victim
from inkstream.errors import ServiceError
from inkstream.settings import Settings
from inkstream.store.session import open_session
from inkstream.stream.evidence import offsets_of
from inkstream.stream.findings import KINDS
from inkstream.stream.verify import Verdict

log = logging.getLogger(__name__)

FLIGHT_S = 120.0
RECOVER_S = 240.0
DRAIN_S = 600.0
MUCH = 10  # small micro-batches: as many take minutes


@dataclass
class Round:
    """One strike. uncommitted: offsets under way when it came; stored: how many of those had their row already.

    recovered_s: seconds from the strike's end to the next micro-batch done. hung: the stream had to be killed for it.
    again: offsets of the micro-batch under way that was done a second time, in whole or in part, because of it.
    """

    number: int
    kind: str
    batch: int = -1
    uncommitted: int = 0
    stored: int | None = None
    recovered_s: float = 0.0
    again: int = 0
    restarted: bool = False
    hung: bool = False
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    repeated: int = 0

    @property
    def passed(self) -> bool:
        return not any(self.found.values())


@dataclass
class Outcome:
    """All rounds, what was sent and acknowledged, and the acknowledged ids that have no row: lost, by our count."""

    seed: int
    rounds: list[Round]
    sent: int
    acknowledged: int
    missing: list[str]

    @property
    def passed(self) -> bool:
        return not self.missing and all(done.passed for done in self.rounds)


def run_rounds(
    arena: Arena,
    verify: Callable[[], Verdict],
    *,
    rounds: int,
    rate: float,
    seed: int,
    kinds: Sequence[str] = (),
    tell: Callable[[Round], None] = lambda _: None,
) -> Outcome:
    """Strike `rounds` times, each kind in turn in an order that the seed gives; after each, verify.

    rate: uploads a second to Kafka. kinds: all that the arena has what it takes for, where none are named.

    Raises:
        ServiceError: the stream does not come back after a strike.
    """
    victim, settings = arena.victim, arena.victim.settings
    kinds = kinds or possible_kinds(arena)
    load = Load(settings, rate, seed)
    done: list[Round] = []
    try:
        with ExitStack() as loads:
            for each in (load, arena.door) if arena.door else (load,):
                loads.enter_context(each.running())
            victim.launch()
            for number in range(1, rounds + 1):
                done.append(_round(arena, verify, number, kind_of(kinds, number, seed)))
                tell(done[-1])
        drain(victim, settings)
        final = Round(rounds + 1, "at the end")
        verify_round(verify, final)
        done.append(final)
        tell(final)
    finally:
        victim.kill_all()
        victim.stop()
    acknowledged = load.acknowledged.union(arena.poisoned, arena.door.acknowledged if arena.door else ())
    sent = load.sent + len(arena.poisoned) + (arena.door.sent if arena.door else 0)
    return Outcome(seed, done, sent, len(acknowledged), missing_ids(settings, acknowledged))


def kind_of(kinds: Sequence[str], number: int, seed: int) -> str:
    """Every kind once before any comes again, in another order each time."""
    turn, place = divmod(number - 1, len(kinds))
    order = list(kinds)
    random.Random(seed * 1000 + turn).shuffle(order)
    return order[place]


def _round(arena: Arena, verify: Callable[[], Verdict], number: int, kind: str) -> Round:
    victim = arena.victim
    this = Round(number, kind)
    if not victim.is_running():
        victim.launch()
    victim.await_progress(victim.committed(), RECOVER_S)  # warm, and with something to lose
    flight = victim.await_flight(FLIGHT_S)
    if flight is None:
        raise ServiceError(f"round {number}: nothing was under way within {FLIGHT_S:.0f} s; {_said(victim)}")
    time.sleep(arena.random.uniform(0.0, 1.0))
    flight = victim.flight() or victim.await_flight(FLIGHT_S) or flight
    this.batch, this.uncommitted = flight.batch, flight.uncommitted
    said_until = victim.log_file.stat().st_size
    STRIKES[kind].do(arena)
    struck = time.monotonic()
    if not victim.is_running():
        flight = last_flight(victim, flight)
        this.stored = _stored(victim.settings, flight)
    _recover(victim, this)
    this.recovered_s = time.monotonic() - struck
    if this.restarted or victim.tried_again(said_until):
        this.again = flight.uncommitted
    verify_round(verify, this)
    return this


def last_flight(victim: Victim, seen: Flight) -> Flight:
    """What was under way when the stream ended; what was `seen` before, where its entry has been cut."""
    last = victim.flight()
    return last if last and last.uncommitted else seen


def _recover(victim: Victim, this: Round) -> None:
    """Until the stream does micro-batches again: as it is, started again, or from a new checkpoint."""
    at = victim.committed()
    if victim.is_running() and victim.await_progress(at, RECOVER_S):
        return
    this.hung = victim.is_running()
    for _ in range(3):
        victim.kill_all()
        this.restarted = True
        victim.launch()
        if victim.await_progress(at, RECOVER_S):
            return
        if victim.is_running():
            this.hung = True
        else:  # it says that its checkpoint is broken: a new one reads the topic again
            victim.generation += 1
            at = -1
    raise ServiceError(f"round {this.number} ({this.kind}): the stream did not come back; {_said(victim)}")


def _said(victim: Victim) -> str:
    return f"its log is {victim.log_file}"


def drain(victim: Victim, settings: Settings) -> None:
    """Let the stream answer what is left. Raises ServiceError where it does not come nearer to the topic's end.

    Where much is left, in micro-batches of the usual size.
    """
    _, ends = offsets_of(settings.kafka, settings.kafka.uploaded)
    left = _left(victim, ends)
    if left > MUCH * victim.batch_offsets:
        victim.batch_offsets = settings.stream.max_offsets_per_trigger
        victim.stop()
    since = time.monotonic()
    while left:
        if not victim.is_running():
            victim.launch()
        time.sleep(0.25)
        before, left = left, _left(victim, ends)
        if left < before:
            since = time.monotonic()
        elif time.monotonic() > since + DRAIN_S:
            raise ServiceError(f"the stream answered none of what was left for {DRAIN_S:.0f} s; {_said(victim)}")


def _left(victim: Victim, ends: dict[int, int]) -> int:
    done = victim.done_until()
    return sum(max(0, end - done.get(partition, 0)) for partition, end in ends.items())


def _stored(settings: Settings, flight: Flight) -> int:
    """How many of the messages under way have their row in images."""
    with open_session(settings.cassandra) as session:
        rows = session.execute("SELECT partition, offset FROM images")
        return sum(
            row.partition in flight.ranges
            and flight.ranges[row.partition][0] <= row.offset < flight.ranges[row.partition][1]
            for row in rows
            if row.offset is not None
        )


def missing_ids(settings: Settings, acknowledged: set[str]) -> list[str]:
    """Those of the acknowledged ids that have no row in images."""
    with open_session(settings.cassandra) as session:
        stored = {row.image_id for row in session.execute("SELECT image_id FROM images")}
    return sorted(acknowledged - stored)


def verify_round(verify: Callable[[], Verdict], this: Round) -> None:
    """Compare what the stream has recorded with what there is; put the findings into the round."""
    verdict = verify()
    for account in verdict.accounts:
        this.repeated += account.repeated
        for kind, number in account.found.items():
            this.found[kind] += number
    for finding in verdict.findings:
        log.warning("round %d: %s", this.number, finding)
