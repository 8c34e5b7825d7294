"""A class of pupils: the teacher's link and view, the pupils' way in, a CSV of what they sent."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta, timezone
from io import StringIO
from itertools import islice
from typing import Annotated
from urllib.parse import quote

import segno
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inkstream.gateway.classes import (
    COOKIE,
    LESSON_S,
    NAME,
    link_holds,
    new_pupil,
    pupil_of,
    sign_link,
    sign_pupil,
)
from inkstream.gateway.pages.desk import Desk, PageRoute, html, is_own_form
from inkstream.gateway.pages.shown import Shown, show_result
from inkstream.store.pictures import read_corrections
from inkstream.store.results import Result, read_results
from inkstream.times import rfc3339

SCANNED = 50_000  # answers of today that are looked through for those of a class
PICTURES = 500
LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
COLUMNS = ("pupil", "uploaded_at", "label", "confidence", "outcome", "reason", "corrected", "filename", "image_id")


def classroom_views(desk: Desk) -> APIRouter:
    """/classes to make one, /class/NAME for those who are in it, and its CSV."""
    router = APIRouter(route_class=PageRoute)

    @router.get("/classes", response_class=HTMLResponse)
    def classes(request: Request) -> Response:
        if refused := desk.refused(request, "admin"):
            return refused
        return desk.page(request, "classes.html", wrong="")

    @router.post("/classes")
    def make(request: Request, name: Annotated[str, Form(max_length=200)]) -> Response:
        if refused := desk.refused(request, "admin"):
            return refused
        if not is_own_form(request):
            return desk.message(request, "Not from here", "This form was sent from another site.", 403)
        if not NAME.fullmatch(name.strip()):
            wrong = "Use up to 32 letters, digits, - and _, for example 3b or maths-2026."
            return desk.page(request, "classes.html", wrong=wrong, status=422)
        return RedirectResponse(f"/class/{name.strip()}", 303)

    @router.get("/class/{name}", response_class=HTMLResponse)
    def classroom(request: Request, name: str, key: str = "", part: str = "") -> Response:
        if not NAME.fullmatch(name):
            return desk.message(request, "No such class", "A class's name has letters, digits, - and _ only.", 404)
        if key:
            return _join(desk, request, name, key)
        if desk.may(request, "admin"):
            return _teacher(desk, request, name, part)
        pupil = desk.pupil(request)
        if pupil is None or pupil.classroom != name:
            return desk.ask_for_token(request)
        return RedirectResponse("/pupil", 303)

    @router.get("/pupil", response_class=HTMLResponse)
    def own(request: Request) -> Response:
        """What a pupil has sent, and what is kept of it."""
        pupil = desk.pupil(request)
        if pupil is None:
            return desk.message(request, "Ask your teacher for the link", "A class is opened by its link.", 403)
        tiles = [tile for tile in _tiles(desk, pupil.classroom) if tile.pupil == pupil.name]
        return desk.page(request, "pupil.html", pictures=tiles)

    @router.get("/class/{name}/pictures.csv")
    def table(request: Request, name: str) -> Response:
        if refused := desk.refused(request, "admin"):
            return refused
        if not NAME.fullmatch(name):
            return Response(status_code=404)
        headers = {"Content-Disposition": f'attachment; filename="class-{name}.csv"', "Cache-Control": "no-store"}
        return Response(_csv(desk, name), media_type="text/csv; charset=utf-8", headers=headers)

    return router


def _join(desk: Desk, request: Request, name: str, key: str) -> Response:
    """The link's way in: a cookie with a new pupil's name, then the page. Who comes again stays who they are."""
    if not link_holds(desk.secret, name, key):
        text = "A class's link is good for a school day. Ask your teacher for today's."
        return desk.message(request, "This link is too old", text, 403)
    response = RedirectResponse("/", 303)
    known = desk.pupil(request)
    if known is None or known.classroom != name:
        value = sign_pupil(desk.secret, new_pupil(name))
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, value, max_age=LESSON_S, httponly=True, samesite="lax", secure=secure)
    return response


def _teacher(desk: Desk, request: Request, name: str, part: str) -> Response:
    tiles = _tiles(desk, name)
    pupils: dict[str, list[Shown]] = {}
    for tile in tiles:
        pupils.setdefault(tile.pupil or "", []).append(tile)
    groups = sorted(pupils.items())
    if part == "pupils":
        return html("pupils.html", groups=groups)
    link = f"{request.base_url}class/{quote(name)}?key={sign_link(desk.secret, name)}"
    code = segno.make(link, error="m").svg_inline(scale=1, border=3, dark="#000", light="#fff", omitsize=True)
    local = request.url.hostname in LOOPBACK
    return desk.page(request, "class.html", name=name, link=link, code=code, groups=groups, local=local)


def _results(desk: Desk, name: str) -> list[Result]:
    """The class's answers of today and yesterday, newest first."""
    today = datetime.now(timezone.utc).date()
    rows = read_results(desk.session(), [today, today - timedelta(days=1)], desk.model_version())
    return list(islice((row for row in islice(rows, SCANNED) if pupil_of(row.source, name)), PICTURES))


def _tiles(desk: Desk, name: str) -> list[Shown]:
    results = _results(desk, name)
    corrected = read_corrections(desk.session(), [result.image_id for result in results])
    return [show_result(result, corrected.get(result.image_id), pupil_of(result.source, name)) for result in results]


def _csv(desk: Desk, name: str) -> str:
    results = _results(desk, name)
    corrected = read_corrections(desk.session(), [result.image_id for result in results])
    text = StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for result in results:
        values = (
            pupil_of(result.source, name),
            rfc3339(result.uploaded_at),
            result.label,
            result.confidence,
            result.outcome,
            result.reason,
            corrected.get(result.image_id),
            result.filename,
            result.image_id,
        )
        rows.writerow(["" if value is None else _plain(str(value)) for value in values])
    return text.getvalue()


def _plain(text: str) -> str:
    """No spreadsheet takes a pupil's file name for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
