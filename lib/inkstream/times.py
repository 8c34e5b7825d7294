"""Moments and their text: RFC 3339, as the topics, the API and the CSVs have it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

UTC = timezone.utc

_AS_WRITTEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def rfc3339(moment: datetime) -> str:
    """The aware moment as the topics, the API and the CSVs write it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_rfc3339(text: str) -> datetime | None:
    """The moment, aware, or None where the text is no RFC 3339 time or names a leap second, which Python has none of.

    Not datetime.fromisoformat alone: what it takes differs between Python 3.10 and 3.11, and so would the rows. The
    form that rfc3339 writes, which nearly all have, both take, in a quarter of the time.
    """
    if _AS_WRITTEN.fullmatch(text):
        try:
            return datetime.fromisoformat(f"{text[:-1]}+00:00")
        except ValueError:
            return None
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    offset = timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    if offset >= timedelta(hours=24) or int(offset_minutes or 0) > 59:
        return None
    try:
        local = datetime(year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")[:6]), UTC)
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None
