"""What every view needs, and how a template becomes a response."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cassandra.cluster import Session
from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from inkstream.errors import ServiceError
from inkstream.gateway.activity import Activity
from inkstream.gateway.classes import COOKIE, Pupil, read_pupil
from inkstream.settings import MIB, Settings

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"

_templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Desk:
    """The open ends that the views work on.

    session: the open Cassandra session; raises ServiceError where there is none.
    correct: takes (request, image id, label, by) to images.corrected. may: whether a request holds a role.
    is_open: whether there are no tokens. secret: signs class links and pupils' cookies; the same in all replicas.
    """

    settings: Settings
    session: Callable[[], Session]
    correct: Callable[[Request, str, str, str], Awaitable[None]]
    may: Callable[[Request, Literal["read", "upload", "admin"]], bool]
    activity: Activity
    model_version: Callable[[], str]
    is_open: bool
    secret: bytes

    def pupil(self, request: Request) -> Pupil | None:
        """The pupil whose browser asks, if it is one."""
        return read_pupil(self.secret, request.cookies.get(COOKIE))

    def refused(
        self, request: Request, role: Literal["read", "upload", "admin"], *, pupils: bool = False
    ) -> HTMLResponse | None:
        """The page that asks for a token, or None where the request may go on; `pupils`: those of a class as well."""
        if self.may(request, role) or (pupils and self.pupil(request)):
            return None
        return self.ask_for_token(request)

    def ask_for_token(self, request: Request) -> HTMLResponse:
        """A page that makes the browser ask for a password, which is the token."""
        text = "This installation asks for a token. Reload the page and type it as the password; any name will do."
        page = self.message(request, "A token, please", text, 401)
        page.headers["WWW-Authenticate"] = 'Basic realm="InkStream: any name, the token as password"'
        return page

    def page(self, request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page. It is about what is stored right now: no cache keeps it."""
        context = {"here": request.url.path, "pupil": self.pupil(request), "kept": self.kept, **values}
        context["everything"] = self.may(request, "read")
        return html(template, status=status, **context)

    def message(self, request: Request, title: str, text: str, status: int) -> HTMLResponse:
        """A page that says one thing, such as that a picture is not there."""
        return self.page(request, "message.html", status=status, title=title, text=text)

    @property
    def kept(self) -> str:
        """The line that says what is kept and for how long."""
        days = self.settings.kafka.retention_hours / 24
        return (
            "What you send is kept: the picture, its answer and corrections, until the operator of this installation "
            f"deletes them; the upload itself up to {days:.3g} days in Kafka. Nothing is passed on to anybody."
        )

    @property
    def limit(self) -> str:
        """The largest picture, for people."""
        return f"{self.settings.image.max_image_bytes / MIB:.3g} MB"


class PageRoute(APIRoute):
    """A route whose failures a person can read: Cassandra out of reach is a page, not a stack trace or JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def readable(request: Request) -> Response:
            try:
                return await handler(request)
            except ServiceError as error:
                text = (
                    "What was read before cannot be shown right now. New pictures may still be taken; try again soon."
                )
                log.warning("%s cannot be shown: %s", request.url.path, error)
                values = {
                    "title": "Not right now",
                    "text": text,
                    "here": "",
                    "pupil": None,
                    "kept": "",
                    "everything": True,
                }
                return html("message.html", status=503, **values)

        return readable


def html(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A template with its values, everything escaped."""
    text = _templates.get_template(template).render(values)
    return HTMLResponse(text, status, {"Cache-Control": "no-store"})


def is_own_form(request: Request) -> bool:
    """Whether a form was sent from a page of this server: no other site can make a signed-in browser post here."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
