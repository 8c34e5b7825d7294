"""broken: the drain with one upload in a hundred broken, beside the same drain without."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import cycle

from benchmarks.contenders import ours
from benchmarks.drain import WARM_UP, drain_once
from benchmarks.figures import OURS, Case, Incomplete, Outcome, with_slack
from benchmarks.options import Options
from benchmarks.place import Place
from inkstream.image.samples import FOLDER
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.producer.paths import read_paths
from inkstream.producer.pictures import Picture
from inkstream.producer.send import Pace
from inkstream.records import REJECTED
from inkstream.settings import ImageSettings
from inkstream.store.session import open_session

METHOD = (
    "As drain, in turn on two topics: one of sound uploads alone, one in which every hundredth is a broken sample "
    "(cut, empty, another type, a bomb ...). Afterwards every broken one is looked for among the rejected, with the "
    "reason that its file comes to. Which is first changes from round to round, after a drain of each that is not "
    "counted: Kafka and Cassandra, just started, are slower for whoever comes first."
)
SOUND = "InkStream, all of them sound"
EVERY = 100


def run(options: Options, place: Place) -> Outcome:
    """Rounds of both in turn."""
    count = WARM_UP + (20_000 if options.quick else 60_000)
    broken = [picture for path in sorted(FOLDER.glob("broken_*")) for picture in read_paths([path], 1 << 20)]
    sound = [picture for picture in read_paths(place.pictures, 1 << 20) if isinstance(picture, Picture)]
    mixed = broken_among(sound, [picture for picture in broken if isinstance(picture, Picture)], count)
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    places, expected = {}, {}
    for name, topic, pictures in ((OURS, "mixed", mixed), (SOUND, "sound", broken_among(sound, [], count))):
        options.tell(f"broken: sending {count:,} uploads to {topic}")
        places[name] = place.named(f"broken_{topic}", batch=with_slack(WARM_UP))
        expected[name] = places[name].send(pictures, Pace(limit=count))
    for number in range(1 if options.quick else 0, options.rounds + 1):
        for name in places if number % 2 else reversed(places):
            figures, _ = drain_once(places[name], ours(), expected[name], WARM_UP)
            options.tell(f"broken: round {number or 'not counted'}, {name}: {figures['warm_per_s']:,.0f}/s warm")
            if number:
                found[name].append(figures)
            if name == OURS:
                check_rejected(places[OURS], mixed)
    case = Case(f"{count - WARM_UP:,} pictures, 1 % broken", "warm_per_s", True, dict(found))
    return Outcome("broken", METHOD, [case], ["the drains that are not counted"] if options.quick else [])


def broken_among(sound: list[Picture], broken: list[Picture], count: int) -> list[Picture]:
    """So many pictures with ids of their own; every hundredth is a broken one, where there are any."""
    sources = cycle(sound), cycle(broken)
    chosen = (next(sources[bool(broken) and number % EVERY == 0]) for number in range(count))
    return [replace(picture, path=str(number)) for number, picture in enumerate(chosen)]


def check_rejected(place: Place, mixed: list[Picture]) -> None:
    """See that what is rejected are the broken ones, each for its own reason. Raises Incomplete."""
    broken = mixed[::EVERY]
    kinds = {picture.filename: picture.content for picture in broken}
    readings = Reader(load_bundle(shipped_bundle()), ImageSettings()).read(kinds.values())
    reasons = {name: reading.reason_code for name, reading in zip(kinds, readings, strict=True)}
    wanted = Counter((picture.filename, reasons[picture.filename]) for picture in broken)
    with open_session(place.settings.cassandra) as session:
        rows = session.execute("SELECT filename, outcome, reason_code FROM predictions_by_day")
        stored = Counter((row.filename, row.reason_code) for row in rows if row.outcome == REJECTED)
    if stored != wanted:
        raise Incomplete(f"the rejected are not the broken ones: {dict((stored - wanted) | (wanted - stored))}")
