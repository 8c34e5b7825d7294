"""Rows of Cassandra in, what the templates show out. All text stays raw here; the templates escape it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inkstream.gateway.pages.words import DIGITS, WAITING, describe, percent
from inkstream.records import NO_MODEL, PREPARED_SIDE
from inkstream.store.pictures import StoredPicture
from inkstream.store.results import Result
from inkstream.times import rfc3339

FOUND = "found"  # the normaliser's own search, the one path that has a box to show
DECODED = (None, "blank", "no_digit", "several_digits")  # reason codes of pictures that could be opened


@dataclass(frozen=True, slots=True)
class Bar:
    """One probability; width: 0..100."""

    label: str
    width: float
    percent: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture with its answer. tone: the outcome, or `waiting`. box, work: of the digit, in a picture of `work`."""

    id: str
    tone: str
    label: str | None
    headline: str
    detail: str
    tip: str
    short: str
    said: str
    filename: str | None
    uploaded_at: str | None
    when: str
    has_thumbnail: bool
    has_prepared: bool = False
    box: tuple[int, int, int, int] | None = None
    work: tuple[int, int] | None = None
    bars: tuple[Bar, ...] = ()
    labels: tuple[str, ...] = DIGITS
    corrected: str | None = None
    again: bool = False
    pupil: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


def show_picture(stored: StoredPicture, *, again: bool = False) -> Shown:
    """A picture with everything that its own page says of it."""
    words = describe(
        stored.outcome, stored.label, stored.confidence, stored.probabilities, stored.reason_code, stored.reason
    )
    box, work = _box(stored.why)
    return Shown(
        id=stored.image_id,
        tone=stored.outcome,
        label=stored.label,
        headline=words.headline,
        detail=words.detail,
        tip=words.tip,
        short=words.short,
        said=words.said,
        filename=stored.filename,
        uploaded_at=rfc3339(stored.uploaded_at),
        when=_people(stored.uploaded_at),
        has_thumbnail=stored.width is not None,
        has_prepared=stored.prepared is not None and len(stored.prepared) == PREPARED_SIDE**2,
        box=box,
        work=work,
        bars=tuple(Bar(label, round(100 * p, 2), percent(p)) for label, p in (stored.probabilities or {}).items()),
        labels=tuple(stored.probabilities or DIGITS),
        corrected=stored.corrected,
        again=again,
        facts=_facts(stored),
    )


def show_result(result: Result, corrected: str | None = None, pupil: str | None = None) -> Shown:
    """A picture as a tile. `width` is not in the table by day: what was decoded is told from the reason."""
    words = describe(result.outcome, result.label, result.confidence, None, result.reason_code, result.reason)
    return Shown(
        id=result.image_id,
        tone=result.outcome,
        label=result.label,
        headline=words.headline,
        detail=words.detail,
        tip=words.tip,
        short=words.short,
        said=words.said,
        filename=result.filename,
        uploaded_at=rfc3339(result.uploaded_at),
        when=_people(result.uploaded_at),
        has_thumbnail=result.reason_code in DECODED,
        corrected=corrected,
        pupil=pupil,
    )


def show_waiting(image_id: str) -> Shown:
    """A picture whose answer is not there yet."""
    words = describe(None, None, None)
    return Shown(image_id, WAITING, None, words.headline, words.detail, "", words.short, "", None, None, "", False)


def _box(why: dict[str, Any] | None) -> tuple[tuple[int, int, int, int] | None, tuple[int, int] | None]:
    """Where the normaliser found the digit, in the coordinates of the picture that it worked on."""
    if not why or why.get("path") != FOUND:
        return None, None
    x, y, width, height = why["box"]
    return (x, y, width, height), (why["work"][0], why["work"][1])


def _facts(stored: StoredPicture) -> tuple[tuple[str, str], ...]:
    took = stored.stage_times.get("queued_ms")
    found = {
        "Id": stored.image_id,
        "File": f"{stored.filename or 'without a name'}, {stored.size_bytes:,} bytes",
        "Picture": f"{stored.width} x {stored.height} pixels" if stored.width else None,
        "From": stored.source,
        "Uploaded": _people(stored.uploaded_at),
        "Outcome": stored.outcome + (f" ({stored.reason_code})" if stored.reason_code else ""),
        "Time": None if took is None else f"{took:.0f} ms from Kafka to the answer",
        "Model": None if stored.model_version == NO_MODEL else stored.model_version[:16],
        "Strokes": _strokes(stored.why),
    }
    return tuple((name, value) for name, value in found.items() if value)


def _strokes(why: dict[str, Any] | None) -> str | None:
    if not why or why.get("path") != FOUND:
        return None
    ground = "dark on light" if why["polarity"] == "dark_on_light" else "light on dark"
    return f"{ground}, {why['stroke']} pixels wide after scaling, {why['components']} connected"


def _people(moment: datetime) -> str:
    """Without a script; with one, times.js says it in the reader's own time zone."""
    return f"{moment:%-d %b %Y, %H:%M:%S} UTC"
