"""The pages for everybody: read a digit, a picture's own page, the gallery, the dashboard."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from inkstream.errors import ServiceError
from inkstream.gateway.pages.charts import draw_dashboard
from inkstream.gateway.pages.classroom import classroom_views
from inkstream.gateway.pages.desk import Desk, html, is_own_form
from inkstream.gateway.pages.shown import Shown, show_picture, show_result, show_waiting
from inkstream.gateway.pages.thumbnails import thumbnail
from inkstream.gateway.pages.words import DIGITS
from inkstream.records import OUTCOMES
from inkstream.store.pictures import read_bytes, read_corrections, read_picture
from inkstream.store.results import Place, Result, read_results

PAGE = 48
SCANNED = 20_000  # rows that a filter may pass over before the page says so
IMAGE_ID = r"^[A-Za-z0-9._:-]{1,300}$"


def build_pages(desk: Desk) -> APIRouter:
    """The HTML views; the API's own routes are elsewhere. Static files are mounted by the app from desk.STATIC."""
    router = APIRouter(include_in_schema=False)
    router.include_router(classroom_views(desk))
    _front(router, desk)
    _pictures(router, desk)
    _overview(router, desk)
    return router


def _front(router: APIRouter, desk: Desk) -> None:
    @router.get("/", response_class=HTMLResponse)
    def home(request: Request) -> Response:
        notice, latest = "", []
        try:
            latest = newest(desk, 12)
        except ServiceError:
            notice = "What was read before cannot be shown right now; new pictures are still taken."
        return desk.page(request, "home.html", latest=latest, limit=desk.limit, notice=notice)


def _pictures(router: APIRouter, desk: Desk) -> None:
    @router.get("/images/{image_id}", response_class=HTMLResponse)
    def picture(request: Request, image_id: str, part: str = "", again: bool = False) -> Response:
        """The picture's own page, or with part=answer what the page inserts. An unknown id may be on its way."""
        stored = read_picture(desk.session(), image_id, desk.model_version())
        shown = show_picture(stored, again=again) if stored else show_waiting(image_id)
        if part == "answer":
            response = html("answer.html", picture=shown)
        else:
            response = desk.page(request, "picture.html", picture=shown, status=200 if stored else 202)
        response.headers["X-Outcome"] = shown.tone
        return response

    @router.get("/images/{image_id}/thumbnail")
    def small(image_id: str) -> Response:
        content = read_bytes(desk.session(), image_id)
        made = None if content is None else thumbnail(content, desk.settings.image)
        if made is None:
            return Response(status_code=404)
        return Response(made, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})

    @router.post("/images/{image_id}/correction")
    async def correct(request: Request, image_id: str, label: Annotated[str, Form(max_length=64)]) -> Response:
        """The correction's form without a script."""
        if not is_own_form(request):
            return desk.message(request, "Not from here", "This form was sent from another site.", 403)
        pupil = desk.pupil(request)
        await desk.correct(request, image_id, label, pupil.source if pupil else "page")
        return RedirectResponse(f"/images/{image_id}", 303)


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

    @router.get("/dashboard", response_class=HTMLResponse)
    def dashboard(request: Request, part: str = "") -> Response:
        drawn = draw_dashboard(desk.activity.summary())
        return html("numbers.html", drawn=drawn) if part else desk.page(request, "dashboard.html", drawn=drawn)


def newest(desk: Desk, count: int) -> list[Shown]:
    """The newest answers of today, as tiles."""
    return _page_of(desk, datetime.now(timezone.utc).date(), "", "", None, count)[0]


def _page_of(
    desk: Desk, day: date, label: str, outcome: str, after: Place | None, count: int
) -> tuple[list[Shown], str]:
    """(tiles, where the next page begins or blank)."""
    session, found, last = desk.session(), list[Result](), None
    for number, result in enumerate(read_results(session, [day], desk.model_version(), after)):
        if len(found) == count or number == SCANNED:
            break
        last = result
        if (not label or result.label == label) and (not outcome or result.outcome == outcome):
            found.append(result)
    else:
        last = None  # the day has no more
    corrected = read_corrections(session, [result.image_id for result in found])
    tiles = [show_result(result, corrected.get(result.image_id)) for result in found]
    return tiles, f"{last.uploaded_at.timestamp():.3f}_{last.image_id}" if last else ""


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None


def _place(text: str) -> Place | None:
    seconds, _, image_id = text.partition("_")
    try:
        return datetime.fromtimestamp(float(seconds), timezone.utc), image_id
    except (ValueError, OverflowError, OSError):
        return None
