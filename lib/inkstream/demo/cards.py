"""The shipped samples in; a card for each out, with what was sent, what came back, whether it is right; their sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from inkstream.image.samples import label_of, sample_files
from inkstream.producer.pictures import Picture
from inkstream.producer.send import picture_id
from inkstream.records import REASON_CODES, RECOGNISED, REJECTED

SOURCE = "demo"
FIRST_KIND = "clean"

RIGHT = "right"
UNCERTAIN = "uncertain"
WRONG = "wrong"
REFUSED = "rejected"
VERDICTS = (RIGHT, UNCERTAIN, WRONG, REFUSED)


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture to send. `truth`: the digit that its name claims; None where it has none, and is to be rejected."""

    name: str
    kind: str
    truth: str | None
    content: bytes = field(repr=False)

    @property
    def picture(self) -> Picture:
        """As the producer takes it. The path is the same wherever the package lies, so that the id is as well."""
        return Picture(self.name, f"samples/{self.name}", self.content, self.truth)

    @property
    def image_id(self) -> str:
        return picture_id(SOURCE, self.picture.path, self.content)


@dataclass(slots=True)
class Card:
    """A sample on its way: its place in Kafka, its answer (stream/predict.py has the layout)."""

    sample: Sample
    image_id: str
    origin: tuple[str, int, int] | None = None  # topic, partition, offset
    uploaded_at: datetime | None = None
    answer: dict[str, Any] | None = None
    answers: int = 0
    answered_at: float | None = None  # seconds since the epoch, by the clock that uploaded_at is of
    copy: bytes | None = None  # what images.rejected got

    @property
    def verdict(self) -> str:
        """One of VERDICTS; blank without an answer."""
        return verdict_on(self.sample.truth, self.answer) if self.answer else ""

    @property
    def seconds(self) -> float | None:
        """From upload to answer, as the one who uploads sees it."""
        if self.answered_at is None or self.uploaded_at is None:
            return None
        return self.answered_at - self.uploaded_at.timestamp()

    @property
    def as_expected(self) -> bool:
        return self.verdict == (RIGHT if self.sample.truth is not None else REFUSED)


def verdict_on(truth: str | None, answer: dict[str, Any]) -> str:
    """One of VERDICTS. A guess that the stream itself calls uncertain is neither right nor wrong."""
    if answer["outcome"] == REJECTED:
        return REFUSED
    if answer["outcome"] != RECOGNISED:
        return UNCERTAIN
    return RIGHT if answer["label"] == truth else WRONG


def sample_of(path: Path) -> Sample:
    """A sample file by its name, `<kind>_<nn>_<label>.<suffix>`."""
    return Sample(path.name, path.name.partition("_")[0], label_of(path), path.read_bytes())


def build_cards(files: Iterable[Path] | None = None) -> list[Card]:
    """A card for every shipped sample; the kinds take turns, a clean digit comes first."""
    by_kind: dict[str, list[Sample]] = {FIRST_KIND: []}
    for path in sample_files() if files is None else files:
        sample = sample_of(path)
        by_kind.setdefault(sample.kind, []).append(sample)
    turns = zip_longest(*by_kind.values())
    return [Card(sample, sample.image_id) for turn in turns for sample in turn if sample is not None]


def warm_up(cards: Sequence[Card]) -> Sequence[Card]:
    """The leading cards, one of each kind: what is sent first, and wakes every part of a stream that has just begun."""
    kinds: set[str] = set()
    for number, card in enumerate(cards):
        if card.sample.kind in kinds:
            return cards[:number]
        kinds.add(card.sample.kind)
    return cards


@dataclass(frozen=True)
class Summary:
    """kinds: kind -> verdict -> number of pictures. reasons: code -> sentence -> names of the pictures."""

    kinds: dict[str, dict[str, int]]
    reasons: dict[str, dict[str, list[str]]]
    usual_seconds: float | None  # the median, without those of the warm-up, which waited for Spark to start

    def total(self, verdict: str) -> int:
        return sum(kind[verdict] for kind in self.kinds.values())


def summarise(cards: Sequence[Card]) -> Summary:
    """The answered cards, counted; in the order in which they were sent."""
    kinds: dict[str, dict[str, int]] = {}
    reasons: dict[str, dict[str, list[str]]] = {}
    for card in cards:
        if card.answer is None:
            continue
        kinds.setdefault(card.sample.kind, dict.fromkeys(VERDICTS, 0))[card.verdict] += 1
        if card.verdict == REFUSED:
            code = card.answer["reason_code"]
            sentence = card.answer["reason"] or REASON_CODES.get(code, "")
            reasons.setdefault(code, {}).setdefault(sentence, []).append(card.sample.name)
    times = [card.seconds for card in cards[len(warm_up(cards)) :] if card.seconds is not None]
    return Summary(dict(sorted(kinds.items())), dict(sorted(reasons.items())), median(times) if times else None)
