"""A request in, what its sender may do out: bearer tokens (or a browser's password prompt) with roles, or a pupil.

Roles contain each other: admin may upload, upload may read. Without any token everybody may do everything, which
`serve` allows on a loopback address only, unless told otherwise.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fastapi import Request

from inkstream.errors import SettingError
from inkstream.settings import GatewaySettings

Role = Literal["read", "upload", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
LEAST_CHARACTERS = 16
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Token:
    """name: what limits and corrections are booked under; it is no secret."""

    role: Role
    name: str
    secret: str

    def __repr__(self) -> str:
        return f"Token({self.role}, {self.name}, ***)"


class Access:
    """The tokens of the settings; compared in constant time."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tuple(tokens)

    @property
    def open(self) -> bool:
        """Whether there are no tokens: everybody may do everything."""
        return not self._tokens

    def token_of(self, request: Request) -> Token | None:
        """The known token that a request carries: `Authorization: Bearer TOKEN`, or Basic with it as the password."""
        given = _given(request.headers.get("authorization", "")).encode()
        found = None
        for token in self._tokens:  # all of them, whichever fits: the time says nothing
            if hmac.compare_digest(token.secret.encode(), given):
                found = token
        return found

    def may(self, request: Request, role: Role) -> bool:
        """Whether the request's sender holds the role."""
        if self.open:
            return True
        token = self.token_of(request)
        return token is not None and ROLES.index(token.role) >= ROLES.index(role)


def read_tokens(gateway: GatewaySettings) -> list[Token]:
    """The tokens of the environment (INKSTREAM_GATEWAY__TOKENS) and of the settings' file.

    Each is `role:name:secret`, separated by spaces or lines; lines that begin with # are comments.

    Raises:
        SettingError: the file cannot be read, or a token is not of that form or too short; no secret is shown.
    """
    text = gateway.tokens.get_secret_value()
    if gateway.tokens_file:
        try:
            text += "\n" + Path(gateway.tokens_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"gateway.tokens_file has the value {gateway.tokens_file!r}: {error}") from error
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    tokens = [_token(number, part) for number, part in enumerate(" ".join(lines).split(), start=1)]
    if len({token.name for token in tokens}) < len(tokens):
        raise SettingError("Two tokens of the gateway have one name; give each a name of its own")
    return tokens


def _token(number: int, text: str) -> Token:
    role, name, secret = [*text.split(":", 2), "", ""][:3]
    if role not in ROLES or not _NAME.fullmatch(name) or text.count(":") < 2:  # a secret may stand where the name does
        raise SettingError(
            f"Token {number} of the gateway is not of the form role:name:secret with a role of {', '.join(ROLES)}"
        )
    if len(secret) < LEAST_CHARACTERS:
        raise SettingError(f"The secret of the gateway's token {name!r} has fewer than {LEAST_CHARACTERS} characters")
    return Token(role, name, secret)


def _given(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
