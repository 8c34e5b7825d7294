"""A class of pupils: its name and the secret in, a link that lets pupils in without a token out, and back again.

What a pupil's browser keeps is `name.pupil.until.signature`: signed (HMAC-SHA-256), so that nobody makes one up, and
good until `until`. The server keeps nothing of pupils but the `source` of their pictures, `class:NAME:PUPIL`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from time import time

COOKIE = "inkstream_class"
LESSON_S = 12 * 3600  # a link and a pupil's cookie are good for a school day
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
PREFIX = "class:"

# Two words a pupil: 40 x 40 names that a teacher can call out and that say nothing about the child.
_COLOURS = (
    "amber apple azure birch bold brave bright brisk calm candy cherry clever cloud cobalt copper coral crisp daisy "
    "dusty eager fern fleet gentle golden green happy honey indigo ivory jolly kind lemon lilac lucky merry mint misty "
    "olive proud quick"
)
_ANIMALS = (
    "badger bear beaver bee bison boar cat crane crow deer dolphin dove duck eagle elk falcon ferret finch fox frog "
    "goat goose hare hawk heron horse ibex lark lion lynx mole moose otter owl panda rabbit raven robin seal wolf"
)


@dataclass(frozen=True, slots=True)
class Pupil:
    """One browser of a class; name: two words with a number, such as brave-otter-4f."""

    classroom: str
    name: str

    @property
    def source(self) -> str:
        """What the pupil's uploads carry as their source."""
        return f"{PREFIX}{self.classroom}:{self.name}"


def sign_link(secret: bytes, classroom: str, *, now: float | None = None) -> str:
    """The part of a class's link that lets pupils in: `until.signature`."""
    until = int((time() if now is None else now) + LESSON_S)
    return f"{until}.{_signature(secret, 'link', classroom, until)}"


def link_holds(secret: bytes, classroom: str, key: str, *, now: float | None = None) -> bool:
    """Whether a key was made by sign_link for this class and is still good."""
    until, _, signature = key.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 12):
        return False
    fresh = (time() if now is None else now) < int(until)
    return hmac.compare_digest(signature.encode(), _signature(secret, "link", classroom, int(until)).encode()) and fresh


def new_pupil(classroom: str) -> Pupil:
    """A pupil with a name drawn by chance."""
    return Pupil(
        classroom, f"{secrets.choice(_COLOURS.split())}-{secrets.choice(_ANIMALS.split())}-{secrets.token_hex(1)}"
    )


def sign_pupil(secret: bytes, pupil: Pupil, *, now: float | None = None) -> str:
    """The cookie's value."""
    until = int((time() if now is None else now) + LESSON_S)
    return f"{pupil.classroom}.{pupil.name}.{until}.{_signature(secret, 'pupil', pupil.source, until)}"


def read_pupil(secret: bytes, cookie: str | None, *, now: float | None = None) -> Pupil | None:
    """The pupil that a cookie's value stands for; None where it is missing, made up, or out of date."""
    parts = (cookie or "").split(".")
    if len(parts) != 4 or not NAME.fullmatch(parts[0]) or not (parts[2].isascii() and parts[2].isdigit()):
        return None
    pupil = Pupil(parts[0], parts[1])
    expected = _signature(secret, "pupil", pupil.source, int(parts[2][:12]))
    if not hmac.compare_digest(parts[3].encode(), expected.encode()):
        return None
    return pupil if (time() if now is None else now) < int(parts[2]) else None


def pupil_of(source: str | None, classroom: str) -> str | None:
    """The pupil's name in a source of this class; None for any other source."""
    prefix = f"{PREFIX}{classroom}:"
    return source.removeprefix(prefix) if source and source.startswith(prefix) else None


def _signature(secret: bytes, kind: str, subject: str, until: int) -> str:
    return hmac.new(secret, f"{kind}\n{subject}\n{until}".encode(), hashlib.sha256).hexdigest()[:32]
