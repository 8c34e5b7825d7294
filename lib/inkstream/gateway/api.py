"""The API's routes: pictures in, answers out, as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timezone
from typing import Annotated, Any

import cv2
import numpy as np
import orjson
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from inkstream.errors import Rejected
from inkstream.gateway.bodies import read_uploads
from inkstream.gateway.door import LABEL_CHARACTERS, Door
from inkstream.gateway.shapes import (
    Answered,
    Corrected,
    Correction,
    Page,
    Problem,
    Several,
    Waiting,
    listed,
    location_of,
    stored,
)
from inkstream.image.sniff import sniff
from inkstream.records import OUTCOMES, PREPARED_SIDE
from inkstream.store.pictures import read_bytes, read_picture
from inkstream.store.results import Place, cursor_of, place_of, read_page

PAGE_ROWS = 100

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "a picture; also `image`, `img`"},
                        "url": {"type": "string", "description": "or where a picture lies"},
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "img": {"type": "string", "description": "base64 or a data: URL; also `file`, `image`"},
                        "url": {"type": "string"},
                        "filename": {"type": "string"},
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": text}
    for code, text in {
        400: "the body is broken",
        401: "a token is needed",
        403: "the token's role does not suffice",
        408: "the body took too long to arrive",
        413: "too many bytes or pixels",
        415: "no picture of a kind that is read",
        422: "a value is wrong, or there is no picture",
        429: "too many at once; Retry-After says when to come again",
        503: "Kafka or Cassandra does not answer",
    }.items()
}
Wait = Annotated[float, Query(ge=0, le=60, description="seconds to wait for the answer")]
SameBytes = Annotated[bool, Query(description="treat a file with the same bytes as the same upload, for a day")]


def build_api(door: Door) -> APIRouter:
    """Everything below /api, and POST /."""
    router = APIRouter(tags=["pictures"], responses=_REFUSALS)
    _uploading(router, door)
    _pictures(router, door)
    _lists(router, door)
    return router


def _uploading(router: APIRouter, door: Door) -> None:
    waits: dict[int | str, dict[str, Any]] = {
        202: {"model": Waiting, "description": "Kafka has it; the answer comes at `Location`"}
    }

    @router.post("/api/images", response_model=Answered | Waiting | Several, responses=waits, openapi_extra=_BODY)
    async def upload(request: Request, wait: Wait = 5.0, same_bytes: SameBytes = False) -> Response:
        """Read one picture or several. Several: `{"images": [...]}`."""
        return _shown(await _received(request, wait, same_bytes), request)

    @router.post(
        "/api/image_recognition", response_model=Answered | Waiting | Several, responses=waits, openapi_extra=_BODY
    )
    async def recognise(request: Request, wait: Wait = 5.0, same_bytes: SameBytes = False) -> Response:
        """The same, under the name that older clients know; `img` is base64."""
        return _shown(await _received(request, wait, same_bytes), request)

    @router.post("/", include_in_schema=False)
    async def upload_at_the_door(request: Request, wait: Wait = 5.0, same_bytes: SameBytes = False) -> Response:
        """The same for a plain form: a browser is led to the picture's page."""
        received = await _received(request, wait, same_bytes)
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"/images/{received[0].id}", 303)
        return _shown(received, request)

    async def _received(request: Request, wait: float, same_bytes: bool) -> list[Answered | Waiting]:
        sender = door.sender(request)
        uploads = await read_uploads(request, door.settings)
        key = request.headers.get("idempotency-key", "")
        return await door.reception.receive(uploads, sender, wait, key, same_bytes=same_bytes)


def _pictures(router: APIRouter, door: Door) -> None:
    @router.get("/api/images/{image_id}", response_model=Answered, responses={404: {"model": Problem}})
    def image(request: Request, image_id: str) -> Answered:
        """The answer of one picture: the current version's, else the newest. 404 also while it is on its way."""
        door.require(request, "read")
        picture = read_picture(door.session(), image_id, door.model_version())
        if picture is None:
            raise HTTPException(404, f"There is no answer of a picture {image_id[:128]!r}, or none yet.")
        return stored(picture)

    @router.get("/api/images/{image_id}/picture", response_class=Response, responses={404: {"model": Problem}})
    def picture(request: Request, image_id: str) -> Response:
        """The file as it was uploaded."""
        door.require(request, "read")
        content = read_bytes(door.session(), image_id)
        if content is None:
            raise HTTPException(404, f"There is no picture {image_id[:128]!r}.")
        try:
            kind = f"image/{sniff(content)}"
        except Rejected:
            kind = "application/octet-stream"
        headers = {"Content-Disposition": "inline" if kind.startswith("image/") else "attachment"}
        return Response(content, media_type=kind, headers=headers | {"Cache-Control": "private, max-age=3600"})

    @router.get("/api/images/{image_id}/prepared", response_class=Response, responses={404: {"model": Problem}})
    def prepared(
        request: Request, image_id: str, size: Annotated[int, Query(ge=1, le=40, description="pixels a pixel")] = 1
    ) -> Response:
        """What the model saw, as a PNG."""
        door.require(request, "read")
        found = read_picture(door.session(), image_id, door.model_version())
        if found is None or found.prepared is None or len(found.prepared) != PREPARED_SIDE**2:
            raise HTTPException(404, f"There is no prepared picture of {image_id[:128]!r}.")
        pixels = np.frombuffer(found.prepared, np.uint8).reshape(PREPARED_SIDE, PREPARED_SIDE)
        _, png = cv2.imencode(".png", pixels.repeat(size, 0).repeat(size, 1))
        return Response(png.tobytes(), media_type="image/png", headers={"Cache-Control": "private, max-age=60"})

    @router.post(
        "/api/images/{image_id}/correction",
        status_code=202,
        response_model=Corrected,
    )
    async def correct(request: Request, image_id: str, correction: Correction) -> Corrected:
        """Say what a picture shows; it is stored beside the answer, and the next training learns from it."""
        by = door.sender(request).name
        label = str(correction.label).strip()
        await door.correct(request, image_id, label, by)
        return Corrected(id=image_id, label=label)


def _lists(router: APIRouter, door: Door) -> None:
    @router.get("/api/predictions", response_model=Page)
    def predictions(
        request: Request,
        day: Annotated[date | None, Query(description="UTC; today where it is left out")] = None,
        label: Annotated[str, Query(max_length=LABEL_CHARACTERS)] = "",
        outcome: Annotated[str, Query(pattern=f"^({'|'.join(OUTCOMES)})?$")] = "",
        cursor: Annotated[str, Query(max_length=400)] = "",
        limit: Annotated[int, Query(ge=1, le=1_000)] = PAGE_ROWS,
    ) -> Page:
        """A day's answers, newest first."""
        door.require(request, "read")
        wanted = day or datetime.now(timezone.utc).date()
        after = _place(cursor)
        found, further = read_page(
            door.session(), wanted, door.model_version(), count=limit, label=label, outcome=outcome, after=after
        )
        return Page(day=wanted.isoformat(), predictions=[*map(listed, found)], cursor=cursor_of(further) or None)

    @router.get("/api/events", response_class=StreamingResponse)
    async def events(request: Request) -> Response:
        """Answers as they come, as server-sent events of the type `answer`."""
        door.require(request, "read")

        async def told() -> AsyncIterator[bytes]:
            yield b"retry: 2000\n\n"
            async for answer in door.reception.answers.listen():
                if answer is None:
                    yield b": still here\n\n"
                    continue
                shown = {key: answer.get(key) for key in _EVENT} | {"location": location_of(answer["id"])}
                yield b"event: answer\ndata: " + orjson.dumps(shown) + b"\n\n"

        return StreamingResponse(told(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


_EVENT = ("id", "outcome", "label", "confidence", "reason_code", "reason", "model_version")


def _shown(received: list[Answered | Waiting], request: Request) -> Response:
    """200 where all are answered, else 202; a sentence where the client asks for text."""
    complete = all(isinstance(one, Answered) for one in received)
    headers = {} if complete else {"Location": received[0].location}
    status = 200 if complete else 202
    if _wants_text(request):
        return PlainTextResponse("\n".join(map(_sentence, received)) + "\n", status, headers)
    shown = received[0] if len(received) == 1 else Several(images=received)
    return JSONResponse(shown.model_dump(), status, headers)


def _wants_text(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "text/plain" in accepted and "json" not in accepted


def _sentence(one: Answered | Waiting) -> str:
    if isinstance(one, Waiting):
        return f"The picture is on its way: {one.location}"
    if one.outcome == "rejected":
        return f"The picture was rejected: {one.reason}"
    doubt = " (uncertain)" if one.outcome == "uncertain" else ""
    return f"The digit is {one.label}{doubt}"


def _place(cursor: str) -> Place | None:
    try:
        return place_of(cursor)
    except ValueError as error:
        raise HTTPException(422, "The cursor is none that was given out.") from error
