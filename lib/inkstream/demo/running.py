"""The demo's course: services and stream on, samples through, all of it checked, a page written, everything off."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from inkstream.demo.cards import SOURCE, VERDICTS, Card, Summary, build_cards, summarise, warm_up
from inkstream.demo.checking import Check, check_cards
from inkstream.demo.following import Follower, open_follower
from inkstream.demo.hosting import DemoStream, demo_services, demo_stream, open_page, stopped_by_signals
from inkstream.demo.page import write_page
from inkstream.demo.place import check_place, read_checkpoint
from inkstream.demo.screen import Screen
from inkstream.errors import ServiceError
from inkstream.local.locks import only_one
from inkstream.producer.send import Pace, Sent, send_pictures
from inkstream.settings import Settings
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from inkstream.stream.checkpoint import prepare_checkpoint

STALL_S = 180.0  # without any new answer
PICTURES_A_SECOND = 15.0  # slow enough to watch, and for each picture's own time to show


@dataclass(frozen=True)
class Demo:
    """What the demo found. address: of the web page, which `keep` leaves open; else blank."""

    cards: list[Card]
    summary: Summary
    gaps: list[str]
    page: Path
    address: str


def run_demo(settings: Settings, screen: Screen, *, keep: bool) -> Demo:
    """Send the samples through the pipeline, check what became of them, and write the page.

    What this call started ends with it, whatever happens; with `keep` it stays where the demo comes to its end.

    Raises:
        SetupError, ServiceError: a service cannot be started or fails, or answers stay away.
        StreamEnded: the stream ended by itself.
    """
    cards = build_cards()
    screen.say(f"[bold]InkStream sends {len(cards)} sample pictures through Kafka, Spark and Cassandra[/]")
    folder = settings.local.path / "demo"
    with only_one(folder, "demo"), stopped_by_signals(), demo_services(settings, screen, keep=keep) as running:
        with screen.step("Creating topics and tables", "Topics and tables are there"):
            _create(running)
        with open_follower(running, cards) as follower:
            _check_place(running, follower)
            with demo_stream(running, screen, keep=keep) as stream:
                _Show(running, cards, follower, stream, screen).run()
                with screen.step("Looking for every picture's rows", "Looked for every picture's rows"):
                    check = _check(running, cards, follower)
                if stream.is_new and not keep:
                    stream.job.terminate()  # it ends while the page is made
                summary = summarise(cards)
                page = write_page(folder / "report.html", cards, summary, check, running.image)
                screen.sums(summary)
                screen.checked(check.gaps, summary)
                address = open_page(running, screen) if keep else ""
    return Demo(cards, summary, check.gaps, page, address)


def _create(settings: Settings) -> None:
    """Kafka's side and Cassandra's side by side: each takes a second."""
    with ThreadPoolExecutor(2) as pool:
        topics, tables = pool.submit(create_topics, settings), pool.submit(apply_schema, settings)
        topics.result()
        tables.result()


def _check_place(settings: Settings, follower: Follower) -> None:
    """Raises SetupError where the stream's checkpoint and the topic cannot belong together."""
    place = prepare_checkpoint(settings, "", "")
    topic = settings.kafka.uploaded
    ends = {(end.topic, end.partition): offset for end, offset in follower.ends.items()}
    check_place(place, read_checkpoint(place), topic, ends)


def _check(settings: Settings, cards: Sequence[Card], follower: Follower) -> Check:
    follower.await_copies()
    with open_session(settings.cassandra) as session:
        return check_cards(session, cards)


class _Show:
    """Sends one picture of each kind, waits for the stream to answer them, then sends the others; shows each answer."""

    def __init__(
        self, settings: Settings, cards: Sequence[Card], follower: Follower, stream: DemoStream, screen: Screen
    ) -> None:
        self._settings = settings
        self._cards = cards
        self._follower = follower
        self._stream = stream
        self._screen = screen
        self._stop = threading.Event()
        self._counts = dict.fromkeys(VERDICTS, 0)

    def run(self) -> None:
        """Until every card has its answer. Raises where the stream ends, Kafka fails, or no answer comes any more."""
        first = warm_up(self._cards)
        with ThreadPoolExecutor(1) as pool, self._screen.following(len(self._cards)):
            try:
                self._follow(pool.submit(self._send, first, Pace()), len(first))
                others = pool.submit(self._send, self._cards[len(first) :], Pace(rate=PICTURES_A_SECOND))
                self._follow(others, len(self._cards))
            finally:
                self._stop.set()

    def _send(self, cards: Sequence[Card], pace: Pace) -> Sent:
        pictures = (card.sample.picture for card in cards)
        return send_pictures(
            pictures,
            self._settings.kafka,
            self._settings.image,
            source=SOURCE,
            pace=pace,
            is_stopped=self._stop.is_set,
        )

    def _follow(self, sending: Future[Sent], wanted: int) -> None:
        answered, strangers, last = sum(self._counts.values()), self._follower.strangers, time.monotonic()
        while answered < wanted:
            told = self._follower.poll()
            for card in told:
                answered += 1
                self._counts[card.verdict] += 1
                self._screen.answered(card, first=answered == 1)
            if told or self._follower.strangers > strangers:
                strangers, last = self._follower.strangers, time.monotonic()
            self._screen.watch(self._doing(), answered)
            self._stream.job.check()
            self._check_sent(sending)
            if time.monotonic() - last > STALL_S:
                raise ServiceError(
                    f"No answer came for {STALL_S:.0f} s ({answered} of {len(self._cards)} pictures are answered); "
                    f"the log of the stream may say why: {self._stream.job.log_file}"
                )

    def _doing(self) -> str:
        if any(self._counts.values()):
            return ", ".join(f"{count} {verdict}" for verdict, count in self._counts.items() if count)
        if self._follower.strangers:
            return f"The stream first answers what was uploaded before: {self._follower.strangers:,}"
        return (
            "Spark is starting, the first pictures wait"
            if self._stream.is_new
            else "The first pictures are on their way"
        )

    def _check_sent(self, sending: Future[Sent]) -> None:
        if not sending.done():
            return
        sent = sending.result()
        if sent.failures:
            raise ServiceError(f"{sent.failures[0].filename} was not sent: {sent.failures[0].reason}")
