"""latency: uploads at a steady rate; upload to row, upload to answer."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from statistics import median

from cassandra.cluster import Session

from benchmarks.contenders import Contender, ours, plain
from benchmarks.figures import OURS, Case, Outcome, percentiles
from benchmarks.options import Options
from benchmarks.place import TABLES, Place
from inkstream.producer.paths import read_paths
from inkstream.producer.send import open_producer
from inkstream.settings import Settings
from inkstream.store.session import open_session
from inkstream.times import rfc3339

METHOD = (
    "One process uploads pictures at a steady rate, each under an id of its own. Upload: the clock right before the "
    "message is handed to the producer. answer_*: until the broker's timestamp of its answer, of every upload. row_*: "
    "until a client that asks every 10 ms has read it from images and predictions, of up to ten uploads a second. Both "
    "contenders run warm. *_ms without a prefix: medians of the stream's own log of its micro-batches."
)
WARM_UP = 9_000  # a minute and a half at 100 a second: a JVM of two cores compiles most of what it runs in that time
QUICK_WARM_UP = 300
SAMPLES_A_SECOND = 10
ASK_S = 0.01
GIVE_UP_S = 60
BATCH = re.compile(
    r"batch \d+: (?P<rows>\d+) rows in (?P<batch>[\d.]+) s "
    r"\(predict (?P<predict>[\d.]+), find (?P<find>[\d.]+), tables (?P<tables>[\d.]+), topics (?P<topics>[\d.]+)\)"
)


def run(options: Options, place: Place) -> Outcome:
    """Each rate, each contender, in turn."""
    rates = {10: 6.0, 100: 6.0} if options.quick else {1: 30.0, 10: 30.0, 100: 20.0, 500: 20.0}
    found: dict[int, dict[str, list[dict[str, float]]]] = {rate: defaultdict(list) for rate in rates}
    for number in range(options.rounds):
        for contender in (ours(), plain(1)):
            here = place.named(f"latency{number}{'ours' if contender.name == OURS else 'plain'}")
            with contender.running(here) as running:
                upload(here, "warm", 100, QUICK_WARM_UP if options.quick else WARM_UP, running.check)
                for rate, seconds in rates.items():
                    figures = measure(here, contender, rate, int(rate * seconds), running.log, running.check)
                    found[rate][contender.name].append(figures)
                    options.tell(
                        f"latency: {contender.name} at {rate}/s: answer p50 {figures['answer_p50_s']:.3f} s, "
                        f"p99 {figures['answer_p99_s']:.3f} s; row p50 {figures['row_p50_s']:.3f} s"
                    )
    cases = [Case(f"{rate} images/s", "answer_p50_s", False, dict(rounds)) for rate, rounds in found.items()]
    left_out = ["1 and 500 images/s"] if options.quick else []
    return Outcome("latency", METHOD, cases, left_out)


def measure(place: Place, contender: Contender, rate: int, count: int, log: Path, check: object) -> dict[str, float]:
    """Upload at the rate; the figures. Raises Incomplete where something is lost."""
    read = log.stat().st_size
    sent, answered, rows = upload(place, f"at{rate}", rate, count, check)
    place.check(set(sent), list(answered), ())
    figures = {
        **_named("answer", [answered[key] / 1000 - at for key, at in sent.items()]),
        **_named("row", [rows[key] - sent[key] for key in rows]),
    }
    with log.open("rb") as file:
        file.seek(read)
        batches = [found.groupdict() for found in BATCH.finditer(file.read().decode(errors="replace"))]
    if batches and contender.name == OURS:
        for stage in ("batch", "predict", "find", "tables", "topics"):
            figures[f"{stage}_ms"] = median(float(batch[stage]) for batch in batches) * 1000
    return figures


def _named(what: str, seconds: list[float]) -> dict[str, float]:
    return {f"{what}_{name}_s": value for name, value in percentiles(seconds).items()}


def upload(
    place: Place, name: str, rate: int, count: int, check: object
) -> tuple[dict[str, float], dict[str, int], dict[str, float]]:
    """Upload so many; returns when each was sent (s), answered (ms), and when a few were in the tables (s)."""
    settings = place.settings
    pieces = islice(read_paths(place.pictures, settings.image.max_image_bytes), min(count, 2_000))
    contents = [picture.content for picture in pieces]
    before = place.ends(settings.kafka.predicted)
    sent: dict[str, float] = {}
    every = max(1, rate // SAMPLES_A_SECOND)
    with watching(settings) as watch, open_producer(settings.kafka, settings.image) as producer:
        producer.config["linger_ms"] = 0
        due = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, due - time.monotonic()))
            due += 1 / rate
            key = f"{name}-{number}"
            now = time.time()
            moment = rfc3339(datetime.fromtimestamp(now, timezone.utc))
            headers = [("source", b"bench"), ("uploaded-at", moment.encode())]
            sent[key] = now
            producer.send(settings.kafka.uploaded, contents[number % len(contents)], key.encode(), headers)
            if number % every == 0:
                watch.keys.append(key)
        producer.flush()
        place.await_answers(before, count, check)
    return sent, place.answers(before), watch.seen


class Watch:
    """Asks Cassandra for rows until they are there. keys: what to look for; seen: when each was in both tables."""

    def __init__(self, session: Session) -> None:
        self.keys: list[str] = []
        self.seen: dict[str, float] = {}
        self._session = session
        self._asks = [session.prepare(f"SELECT image_id FROM {table} WHERE image_id = ?") for table in TABLES[:2]]
        self.done = threading.Event()

    def run(self) -> None:
        waiting: dict[str, int] = {}
        taken, until = 0, 0.0
        while not self.done.is_set() or waiting or taken < len(self.keys):
            new = self.keys[taken:]
            taken += len(new)
            waiting.update(dict.fromkeys(new, 0))
            for key in list(waiting):
                while waiting[key] < len(self._asks) and self._session.execute(self._asks[waiting[key]], [key]).one():
                    waiting[key] += 1
                if waiting[key] == len(self._asks):
                    self.seen[key] = time.time()
                    del waiting[key]
            if self.done.is_set():
                until = until or time.monotonic() + GIVE_UP_S
                if time.monotonic() > until:
                    return
            time.sleep(ASK_S)


@contextmanager
def watching(settings: Settings) -> Iterator[Watch]:
    """A Watch at work inside the block; on leaving, what it still looks for is waited for."""
    with open_session(settings.cassandra) as session:
        watch = Watch(session)
        thread = threading.Thread(target=watch.run, daemon=True)
        thread.start()
        try:
            yield watch
        finally:
            watch.done.set()
            thread.join()
