"""ASGI middleware: headers that keep a browser safe, limits on a body's weight and time, no forms from other sites."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts, styles and pictures of this server alone; data: and blob: are pictures that the page itself made.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Protection:
    """Wraps the application. allowed_origins: of pages elsewhere that may send; a browser names its own.

    A body over max_body_bytes is refused with 413, one that has not arrived after body_seconds with 408; the connection
    ends with either.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, body_seconds: float, allowed_origins: frozenset[str]) -> None:
        self._app = app
        self._max = max_body_bytes
        self._seconds = body_seconds
        self._origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, self._limited(receive), send_guarded)

    def _limited(self, receive: Receive) -> Receive:
        """The same, which raises what the application answers with where the body is too much or too slow."""
        loop = asyncio.get_running_loop()
        until: float | None = loop.time() + self._seconds
        read = 0

        async def limited() -> Message:
            nonlocal read, until
            try:
                # After the body comes only the client's leaving, which may take as long as an answer is told.
                message = await (receive() if until is None else asyncio.wait_for(receive(), until - loop.time()))
            except asyncio.TimeoutError:
                text = f"The request did not arrive within {self._seconds:g} seconds; send smaller or fewer pictures."
                raise HTTPException(408, text, {"Connection": "close"}) from None
            read += len(message.get("body", b""))
            if read > self._max:
                raise HTTPException(413, self._too_much, {"Connection": "close"})
            if not message.get("more_body"):
                until = None
            return message

        return limited

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        if method in _SAFE:
            return None
        # Browsers add a password that they know to every request: another site's form must not use it.
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("origin") not in self._origins:
            return JSONResponse({"detail": "This was sent from a page of another site."}, 403)
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return JSONResponse({"detail": "Content-Length is no number."}, 400)
        if int(length) > self._max:
            return JSONResponse({"detail": self._too_much}, 413, {"Connection": "close"})
        return None

    @property
    def _too_much(self) -> str:
        return f"The request is larger than {self._max:,} bytes; send fewer or smaller pictures at once."
