"""ASGI middleware: headers that keep a browser safe, a limit on what a body may weigh, no forms from other sites."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
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


class TooMuch(Exception):
    """A body grew over the limit."""


class Protection:
    """Wraps the application. allowed_origins: of pages elsewhere that may send; a browser names its own."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, allowed_origins: frozenset[str]) -> None:
        self._app = app
        self._max = max_body_bytes
        self._origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        read = 0

        async def receive_counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max:
                raise TooMuch
            return message

        try:
            await self._app(scope, receive_counted, send_guarded)
        except TooMuch:
            if started:
                raise
            await self._too_much()(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        if method in _SAFE:
            return None
        # Browsers add a password that they know to every request: another site's form must not use it.
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("origin") not in self._origins:
            return JSONResponse({"detail": "This was sent from a page of another site."}, 403)
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return JSONResponse({"detail": "Content-Length is no number."}, 400)
        return self._too_much() if int(length) > self._max else None

    def _too_much(self) -> JSONResponse:
        return JSONResponse(
            {"detail": f"The request is larger than {self._max:,} bytes; send fewer or smaller pictures at once."},
            413,
            {"Connection": "close"},
        )
