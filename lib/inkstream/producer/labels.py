"""A picture's path in, the digit that its name claims out."""

from __future__ import annotations

from pathlib import PurePosixPath

DIGITS = frozenset("0123456789")


def label_from_name(path: str) -> str | None:
    """The digit in `<anything>_<digit>.<suffix>` or in `<digit>/<file>`; None where there is none or the two differ.

    `scan_01_7.png` -> "7", `7/scan.png` -> "7", `3/scan_7.png` -> None, `scan_12.png` -> None.
    """
    parts = PurePosixPath(path)
    _, underscore, tail = parts.stem.rpartition("_")
    claims = {claim for claim in (tail if underscore else "", parts.parent.name) if claim in DIGITS}
    return claims.pop() if len(claims) == 1 else None
