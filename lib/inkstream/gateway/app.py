"""Settings in, the gateway's ASGI application out: opens Kafka at its start, Cassandra when first asked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from time import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from inkstream.errors import InkstreamError, ServiceError
from inkstream.gateway.access import Access, read_tokens
from inkstream.gateway.activity import Activity
from inkstream.gateway.answers import Answer, Answers
from inkstream.gateway.api import build_api
from inkstream.gateway.classes import COOKIE, read_pupil
from inkstream.gateway.door import Door
from inkstream.gateway.limits import Limits
from inkstream.gateway.metrics import Metrics
from inkstream.gateway.pages.desk import STATIC, Desk
from inkstream.gateway.pages.views import build_pages
from inkstream.gateway.protection import Protection
from inkstream.gateway.reception import Reception, Sender
from inkstream.gateway.store import Store
from inkstream.gateway.uploads import Uploads
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.settings import MIB, Settings

TITLE = "InkStream"
ABOUT = "Pictures of handwritten digits in, answers out."
FORM_BYTES = MIB  # of a request beside its pictures


def create_app(settings: Settings) -> FastAPI:
    """The application; its ends are opened when it starts and closed when it stops.

    Raises (on start): ServiceError where Kafka cannot be reached, SettingError for wrong tokens or a wrong Redis.
    """
    app = FastAPI(
        title=TITLE, description=ABOUT, version=version("inkstream"), lifespan=_lifespan, docs_url=None, redoc_url=None
    )
    app.state.settings = settings
    app.add_exception_handler(InkstreamError, _unavailable)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    origins = frozenset(filter(None, (origin.strip() for origin in settings.gateway.cors_origins.split(","))))
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
        )
    largest = settings.image.max_image_bytes * 4 // 3 * min(settings.gateway.max_files, 8) + FORM_BYTES
    app.add_middleware(
        Protection, max_body_bytes=largest, body_seconds=settings.gateway.body_seconds, allowed_origins=origins
    )
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    _health(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keeps what a start failed with: the server tells no more than that it did."""
    app.state.failed = None
    async with AsyncExitStack() as ends:
        try:
            await _open(app, ends)
        except Exception as error:
            app.state.failed = error
            raise
        yield


async def _open(app: FastAPI, ends: AsyncExitStack) -> None:
    settings: Settings = app.state.settings
    access, metrics = Access(read_tokens(settings.gateway)), Metrics()
    limits, store = Limits(settings.gateway), Store(settings)
    ends.callback(limits.close)
    bundle = await asyncio.to_thread(load_bundle, settings.model.bundle or shipped_bundle())
    ends.push_async_callback(asyncio.to_thread, store.close)
    uploads = await asyncio.to_thread(Uploads, settings)
    ends.push_async_callback(asyncio.to_thread, uploads.close)

    activity = Activity()

    def heard(answer: Answer) -> None:
        activity.add(answer)
        metrics.answers.labels(str(answer.get("outcome"))).inc()

    answers = Answers(settings, heard)
    ends.push_async_callback(answers.close)
    reception = Reception(settings, uploads, answers, store, limits, metrics, bundle.version)
    secret = link_secret(settings)
    door = Door(reception, access, guest=partial(_pupil, secret))
    app.state.door = door
    app.include_router(build_api(door))
    desk = Desk(
        settings,
        door.session,
        door.correct,
        access.may,
        activity,
        door.model_version,
        is_open=access.open,
        secret=secret,
    )
    app.state.desk = desk
    app.include_router(build_pages(desk))


def _pupil(secret: bytes, request: Request) -> Sender | None:
    """A class's pupil as a sender, by the cookie."""
    pupil = read_pupil(secret, request.cookies.get(COOKIE))
    return None if pupil is None else Sender(pupil.source, pupil.source)


def link_secret(settings: Settings) -> bytes:
    """What signs links and cookies: the setting, the same in all replicas; else one by chance, new at each start."""
    return settings.gateway.secret.get_secret_value().encode() or secrets.token_bytes(32)


def _health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"])
    async def alive() -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], responses={503: {"description": "Kafka does not take uploads"}})
    async def ready(request: Request) -> JSONResponse:
        """Whether uploads are taken. What else is wrong is shown, and no reason to take the door away."""
        reception: Reception = request.app.state.door.reception
        heard = reception.answers.last_heard
        shown: dict[str, Any] = {
            "kafka": reception.uploads.reachable,
            "answers": reception.answers.listens,
            "cassandra": await run_in_threadpool(lambda: reception.store.reachable),
            "limits": reception.limits.state,
            "last_answer_s": None if heard is None else round(time() - heard, 1),
            "waiting": reception.answers.waiting,
        }
        return JSONResponse(shown, 200 if shown["kafka"] else 503)

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def metrics(request: Request) -> Response:
        """For Prometheus."""
        reception: Reception = request.app.state.door.reception
        reception.metrics.waiting.set(reception.answers.waiting)
        reception.metrics.last_answer.set(reception.answers.last_heard or 0)
        return Response(reception.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _unavailable(request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, ServiceError) else 500
    headers = {"Retry-After": "5"} if status == 503 else {}
    return _told(request, status, str(error), headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:])
    return _told(request, 422, f"`{name}`: {first['msg']}", {})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _told(request, error.status_code, str(error.detail), dict(error.headers or {}))


def _told(request: Request, status: int, sentence: str, headers: dict[str, str]) -> Response:
    """The refusal, counted: a page for a browser, JSON for a program."""
    door: Door = request.app.state.door
    door.reception.metrics.refused.labels(str(status)).inc()
    api = request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", "")
    if api:
        return JSONResponse({"detail": sentence}, status, headers)
    desk: Desk = request.app.state.desk
    title = HTTPStatus(status).phrase
    if status == HTTPStatus.NOT_FOUND and sentence == title:  # the framework's own, of an address that leads nowhere
        title, sentence = "There is no such page", f"Nothing lies at {request.url.path}. Is the address mistyped?"
    page = desk.message(request, title, sentence, status)
    page.headers.update(headers)
    return page
