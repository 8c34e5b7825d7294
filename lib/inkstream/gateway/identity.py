"""Ids of uploads: in the order of time, or the same for the same idempotency key."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid


def new_image_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds since the epoch, the rest by chance."""
    random = secrets.randbits(74)
    value = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def image_id_of_key(sender: str, key: str) -> str:
    """The id of all uploads that a sender gives this key: 32 hex digits, whichever gateway makes it.

    So a repeat that slips through, because no store remembered the key, writes the same rows again.
    """
    return hashlib.sha256(f"{len(sender)}:{sender}:{key}".encode()).hexdigest()[:32]
