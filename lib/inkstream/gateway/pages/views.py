"""The pages for everybody: read a digit, a picture's own page, the gallery, the dashboard."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inkstream.errors import ServiceError
from inkstream.gateway.door import LABEL_CHARACTERS
from inkstream.gateway.pages.charts import draw_dashboard
from inkstream.gateway.pages.classroom import classroom_views
from inkstream.gateway.pages.desk import Desk, PageRoute, html, is_own_form
from inkstream.gateway.pages.reference import read_routes
from inkstream.gateway.pages.shown import Shown, show_picture, show_result, show_waiting
from inkstream.gateway.pages.thumbnails import enlarge, thumbnail
from inkstream.gateway.pages.training import training_views
from inkstream.gateway.pages.words import DIGITS
from inkstream.records import OUTCOMES
from inkstream.store.pictures import StoredPicture, read_bytes, read_corrections, read_picture
from inkstream.store.results import Place, cursor_of, place_of, read_page

PAGE = 48
LATEST = 12


def build_pages(desk: Desk) -> APIRouter:
    """The HTML views; the API's own routes are elsewhere. Static files are mounted by the app from desk.STATIC."""
    router = APIRouter(include_in_schema=False, route_class=PageRoute)
    router.include_router(classroom_views(desk))
    router.include_router(training_views(desk))
    _front(router, desk)
    _pictures(router, desk)
    _overview(router, desk)
    return router


def _front(router: APIRouter, desk: Desk) -> None:
    @router.get("/", response_class=HTMLResponse)
    def home(request: Request) -> Response:
        if refused := desk.refused(request, "upload", pupils=True):
            return refused
        notice, latest = "", []
        try:
            latest = newest(desk, LATEST) if desk.may(request, "read") else []
        except ServiceError:
            notice = "What was read before cannot be shown right now; new pictures are still taken."
        return desk.page(request, "home.html", latest=latest, limit=desk.limit, notice=notice)


def _pictures(router: APIRouter, desk: Desk) -> None:
    def find(request: Request, image_id: str) -> StoredPicture | None:
        """The picture, for those who may see it: a pupil sees what is their own."""
        stored = read_picture(desk.session(), image_id, desk.model_version())
        pupil = desk.pupil(request)
        theirs = stored is not None and pupil is not None and stored.source == pupil.source
        return stored if theirs or desk.may(request, "read") else None

    @router.get("/images/{image_id}", response_class=HTMLResponse)
    def picture(request: Request, image_id: str, part: str = "", again: bool = False) -> Response:
        """The picture's own page, or with part=answer what the page inserts. An unknown id may be on its way."""
        if refused := desk.refused(request, "read", pupils=True):
            return refused
        stored = find(request, image_id)
        shown = show_picture(stored, again=again) if stored else show_waiting(image_id)
        if part == "answer":
            response = html("answer.html", picture=shown)
        else:
            response = desk.page(request, "picture.html", picture=shown, status=200 if stored else 202)
        response.headers["X-Outcome"] = shown.tone
        return response

    @router.get("/images/{image_id}/{which}")
    def image(request: Request, image_id: str, which: Literal["thumbnail", "prepared"]) -> Response:
        stored = find(request, image_id)
        if stored is None:
            return Response(status_code=404)
        if which == "prepared":
            return _image(None if stored.prepared is None else enlarge(stored.prepared), "image/png")
        content = read_bytes(desk.session(), image_id) if stored.width is not None else None
        return _image(None if content is None else thumbnail(content, desk.settings.image), "image/webp")

    @router.post("/images/{image_id}/correction")
    async def correct(
        request: Request, image_id: str, label: Annotated[str, Form(max_length=LABEL_CHARACTERS)]
    ) -> Response:
        """The correction's form without a script."""
        if refused := desk.refused(request, "upload", pupils=True):
            return refused
        if not is_own_form(request):
            return desk.message(request, "Not from here", "This form was sent from another site.", 403)
        pupil = desk.pupil(request)
        await desk.correct(request, image_id, label, pupil.source if pupil else "page")
        return RedirectResponse(f"/images/{quote(image_id, safe=':')}", 303)


def _image(made: bytes | None, kind: str) -> Response:
    """An upload never changes, so the browser may keep its picture; nobody in between may."""
    if made is None:
        return Response(status_code=404)
    return Response(made, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


def _overview(router: APIRouter, desk: Desk) -> None:
    @router.get("/gallery", response_class=HTMLResponse)
    def gallery(
        request: Request,
        day: str = "",
        label: str = "",
        outcome: str = "",
        after: str = "",
        part: str = "",
        count: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    ) -> Response:
        if refused := desk.refused(request, "read"):
            return refused
        today = datetime.now(timezone.utc).date()
        wanted = _day(day) or today
        pictures, more = _page_of(desk, wanted, label, outcome, _place(after), count)
        nothing = "No answers yet today." if wanted == today else "No answers on this day."
        if label or outcome:
            nothing = "No answer fits these filters."
        if part == "tiles":
            return html("tiles.html", pictures=pictures, nothing=nothing)
        filters = {"day": day, "label": label, "outcome": outcome}
        return desk.page(
            request,
            "gallery.html",
            day=wanted.isoformat(),
            label=label,
            outcome=outcome,
            today=today.isoformat(),
            labels=DIGITS,
            outcomes=OUTCOMES,
            pictures=pictures,
            nothing=nothing,
            live="" if after or wanted != today else f"/gallery?{urlencode(filters | {'part': 'tiles'})}",
            older=f"/gallery?{urlencode(filters | {'day': wanted.isoformat(), 'after': more})}" if more else "",
        )

    @router.get("/docs", response_class=HTMLResponse)
    def reference(request: Request) -> Response:
        routes = read_routes(request.app.openapi())
        base, tokens = str(request.base_url), not desk.is_open
        return desk.page(request, "reference.html", routes=routes, base=base, tokens=tokens)

    @router.get("/dashboard", response_class=HTMLResponse)
    def dashboard(request: Request, part: str = "") -> Response:
        if refused := desk.refused(request, "read"):
            return refused
        drawn = draw_dashboard(desk.activity.summary())
        return html("numbers.html", drawn=drawn) if part else desk.page(request, "dashboard.html", drawn=drawn)


def newest(desk: Desk, count: int) -> list[Shown]:
    """The newest answers of today, as tiles."""
    return _page_of(desk, datetime.now(timezone.utc).date(), "", "", None, count)[0]


def _page_of(
    desk: Desk, day: date, label: str, outcome: str, after: Place | None, count: int
) -> tuple[list[Shown], str]:
    """(tiles, where the next page begins or blank)."""
    session = desk.session()
    found, further = read_page(
        session, day, desk.model_version(), count=count, label=label, outcome=outcome, after=after
    )
    corrected = read_corrections(session, [result.image_id for result in found])
    return [show_result(result, corrected.get(result.image_id)) for result in found], cursor_of(further)


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None


def _place(text: str) -> Place | None:
    """A page's address may be typed by hand: a broken one leads to the day's beginning."""
    try:
        return place_of(text)
    except ValueError:
        return None
