"""Stored answers of several versions in; how two of them differ, and which pictures a person should look at, out."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from inkstream.errors import ServiceError
from inkstream.records import BUCKETS_A_DAY, NO_MODEL, REJECTED, UNCERTAIN
from inkstream.store.session import CASSANDRA_ERRORS

CONCURRENCY = 32
_COMPARED = "image_id, model_version, outcome, label, confidence, reason_code, claimed_label, predicted_at"
_SHOWN = "uploaded_at, filename, source"  # of a candidate as well; a fifth of the time of reading


@dataclass
class Comparison:
    """How two versions answer the pictures that both have a row of.

    changes: (old, new) label or reason code -> how many, where they differ. Of those whose truth people have corrected
    (or, in `claimed_*`, an uploader has claimed): how many each has right.
    """

    old: str
    new: str
    pictures: int = 0
    agreed: int = 0
    surer: int = 0  # agreed, with a higher confidence
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[tuple[str, str, str]] = field(default_factory=list)  # image id, old, new
    corrected: int = 0
    old_right: int = 0
    new_right: int = 0
    claimed: int = 0
    claimed_old_right: int = 0
    claimed_new_right: int = 0

    def add(self, old: Any, new: Any, truth: str | None) -> None:
        """Take one picture in: its two rows, and what a person said it shows."""
        before, after = _said(old), _said(new)
        self.pictures += 1
        self.outcomes[old.outcome, new.outcome] += 1
        if before == after:
            self.agreed += 1
            self.surer += (new.confidence or 0.0) > (old.confidence or 0.0)
        else:
            self.changes[before, after] += 1
            if len(self.examples) < _EXAMPLES:
                self.examples.append((new.image_id, before, after))
        if truth is not None:
            self.corrected += 1
            self.old_right += old.label == truth
            self.new_right += new.label == truth
        elif new.claimed_label:
            self.claimed += 1
            self.claimed_old_right += old.label == new.claimed_label
            self.claimed_new_right += new.label == new.claimed_label


_EXAMPLES = 10


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A picture worth a person's label. worth: 0..2, the larger the more. why: in words."""

    worth: float
    image_id: str
    uploaded_at: Any = field(compare=False)
    filename: str | None = field(compare=False)
    source: str | None = field(compare=False)
    answers: str = field(compare=False)
    why: str = field(compare=False)


def compare(session: Session, days: Iterable[date], old: str, new: str) -> Comparison:
    """Both versions' answers to the days' pictures, where both have one. Raises ServiceError."""
    result = Comparison(old, new)
    truths = read_truths(session)
    for versions in _pictures(session, days):
        found = {row.model_version: row for row in versions}
        if old in found and new in found:
            result.add(found[old], found[new], truths.get(versions[0].image_id))
    return result


def compare_with_before(session: Session, days: Iterable[date], new: str, current: str) -> Comparison:
    """A version's answers beside the current one's; where it is the current one, or that has none, the newest other's.

    Raises:
        ServiceError: Cassandra stops answering.
    """
    result = Comparison("before", new)
    truths = read_truths(session)
    for versions in _pictures(session, days):
        found = {row.model_version: row for row in versions}
        others = [row for row in versions if row.model_version != new]
        if new in found and others:
            old = max(others, key=lambda row: (row.model_version == current, row.predicted_at))
            result.add(found[old.model_version], found[new], truths.get(old.image_id))
    return result


def find_candidates(session: Session, days: Iterable[date], limit: int) -> list[Candidate]:
    """The pictures most worth a label, best first: versions disagree, or they are unsure; none that has one already.

    Raises:
        ServiceError: Cassandra stops answering.
    """
    truths = read_truths(session)
    found = _pictures(session, days, f"{_COMPARED}, {_SHOWN}")
    candidates = (_candidate(versions) for versions in found if versions[0].image_id not in truths)
    return heapq.nlargest(limit, (one for one in candidates if one is not None))


def read_truths(session: Session) -> dict[str, str]:
    """image id -> the label that a person gave last. All corrections: what people typed is never much."""
    try:
        rows = session.execute("SELECT image_id, label FROM corrections PER PARTITION LIMIT 1")
        return {row.image_id: row.label for row in rows if row.label}
    except CASSANDRA_ERRORS as error:
        raise _failed("corrections", error) from error


def _pictures(session: Session, days: Iterable[date], columns: str = _COMPARED) -> Iterator[list[Any]]:
    """Yield the rows of each picture of the days, one per version, an hour's part at a time. Raises ServiceError."""
    try:
        statement = session.prepare(f"SELECT {columns} FROM predictions_by_day WHERE day = ? AND bucket = ?")
        places = ((day, bucket) for day in days for bucket in range(BUCKETS_A_DAY))
        for _, rows in execute_concurrent_with_args(session, statement, places, CONCURRENCY, results_generator=True):
            grouped: dict[str, list[Any]] = {}
            for row in rows:
                grouped.setdefault(row.image_id, []).append(row)
            yield from grouped.values()
    except CASSANDRA_ERRORS as error:
        raise _failed("predictions_by_day", error) from error


def _candidate(versions: list[Any]) -> Candidate | None:
    answered = [row for row in versions if row.model_version != NO_MODEL]
    if not answered:
        return None
    said = Counter(_said(row) for row in answered)
    read = [row for row in answered if row.outcome != REJECTED]
    doubt = max((1.0 - row.confidence for row in read), default=0.0)
    reasons = []
    if len(said) > 1:
        reasons.append("versions disagree")
    if any(row.outcome == UNCERTAIN for row in answered):
        reasons.append("uncertain")
    if not reasons:
        return None
    row = max(answered, key=lambda row: row.confidence or 0.0)
    answers = ", ".join(f"{label} ({row.confidence:.0%})" for label, row in _best(answered).items())
    return Candidate(
        (len(said) > 1) + doubt, row.image_id, row.uploaded_at, row.filename, row.source, answers, ", ".join(reasons)
    )


def _best(rows: list[Any]) -> dict[str, Any]:
    """answer -> the row that is surest of it; rejected ones have confidence 0."""
    best: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: row.confidence or 0.0):
        best[_said(row)] = row if row.confidence is not None else row._replace(confidence=0.0)
    return dict(reversed(best.items()))


def _said(row: Any) -> str:
    """What a row answers: its label, or the reason why it has none."""
    return str(row.label if row.label is not None else row.reason_code)


def _failed(table: str, error: Exception) -> ServiceError:
    return ServiceError(f"Cassandra does not give the rows of {table} ({type(error).__name__}: {error}); try again")
