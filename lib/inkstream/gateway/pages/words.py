"""An answer in, what the page says about it out: for people, in whole sentences."""

from __future__ import annotations

from dataclasses import dataclass

from inkstream.records import RECOGNISED, REJECTED

DIGITS = tuple("0123456789")
WAITING = "waiting"
NO_BREAK = "\u00a0"  # a tile is narrow, and a percent sign does not stand alone
CLOSE = 0.1  # a second guess with this probability is worth a word

# Of each reason code: what the page says first, and what a person can do about it.
REASON_WORDS = {
    "unreadable": ("This file cannot be read.", "It is damaged or cut short. Save or photograph it again."),
    "unsupported_format": (
        "This is no picture that can be read.",
        "Send a PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC or AVIF.",
    ),
    "too_large": ("The file is too large.", "Make the picture smaller, or crop it to the digit."),
    "too_many_pixels": ("The picture has too many pixels.", "Make it smaller, or crop it to the digit."),
    "blank": ("Nothing is drawn here.", "Write one digit, large and dark, away from the edge."),
    "no_digit": ("This does not look like a digit.", "Write one digit from 0 to 9 with connected strokes."),
    "several_digits": (
        "There is more than one digit.",
        "InkStream reads one digit per picture. Of a whole sheet, photograph or crop each digit by itself.",
    ),
    "decode_failed": ("This file could not be opened.", "Save it as a PNG or JPEG, and try again."),
}
_UNKNOWN_REASON = ("This picture could not be read.", "Try another one.")


@dataclass(frozen=True, slots=True)
class Words:
    """headline, detail and tip: the answer in falling importance; short: for a tile; said: for a screen reader."""

    headline: str
    detail: str
    tip: str
    short: str
    said: str


def percent(share: float) -> str:
    """99.96 % is not rounded up to 100, nor is anything that is left rounded down to 0."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return f"{int(share * 1000 + 1e-9) / 10:.1f} %"


def describe(
    outcome: str | None,
    label: str | None,
    confidence: float | None,
    probabilities: dict[str, float] | None = None,
    reason_code: str | None = None,
    reason: str | None = None,
) -> Words:
    """The words for an answer as Cassandra holds it; outcome None: there is none yet."""
    if outcome is None:
        return Words("It is being read …", "The picture is safe; the answer comes by itself.", "", "reading", "")
    if outcome == REJECTED or label is None:
        headline, tip = REASON_WORDS.get(reason_code or "", _UNKNOWN_REASON)
        detail = reason or ""
        return Words(headline, detail, tip, (reason_code or "rejected").replace("_", " "), f"{headline} {tip}")
    article = _a(label)
    sure = percent(confidence or 0.0)
    if outcome == RECOGNISED:
        headline = f"It is {article}."
        return Words(headline, f"The model is {sure} sure.", "", sure, f"{headline} {sure} sure.")
    headline = f"Perhaps {article}: please look."
    return Words(
        headline,
        f"The model is only {sure} sure.{_second(label, probabilities or {})}",
        "A larger, darker or better lit digit helps. Below you can say what it is.",
        f"unsure, {sure.replace(' ', NO_BREAK)}",
        f"{headline} Only {sure} sure.",
    )


def _second(label: str, probabilities: dict[str, float]) -> str:
    others = {other: share for other, share in probabilities.items() if other != label and share >= CLOSE}
    if not others:
        return ""
    second = max(others, key=others.__getitem__)
    return f" It could also be {_a(second)} ({percent(others[second])})."


def _a(label: str) -> str:
    return f"an {label}" if label == "8" else f"a {label}"
