"""The page as people use it: a real browser, the gateway, Kafka, Spark and Cassandra."""

from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.pages.conftest import House
from inkstream.image.samples import FOLDER

pytestmark = pytest.mark.services

Browse = Callable[..., Any]
# A 3 as a hand draws it, in shares of the canvas.
THREE = [(0.32, 0.25), (0.45, 0.18), (0.6, 0.22), (0.66, 0.34), (0.58, 0.45), (0.47, 0.49)]
THREE += [(0.6, 0.52), (0.69, 0.64), (0.62, 0.78), (0.46, 0.84), (0.31, 0.77)]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def _sample(name: str) -> Path:
    return FOLDER / name


def _draw(page: Any, points: list[tuple[float, float]]) -> None:
    area = page.locator("#canvas").bounding_box()
    for number, (x, y) in enumerate(points):
        page.mouse.move(area["x"] + x * area["width"], area["y"] + y * area["height"], steps=4)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def _read(page: Any, name: str) -> Any:
    """Send a sample by the page's own file field; the answer, once it is shown."""
    page.set_input_files("#file", _sample(name))
    answer = page.locator("#answers .answer", has_text=name).first
    answer.locator("h2").wait_for()
    return answer


def test_a_three_drawn_on_the_canvas_is_read_as_a_three(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    _draw(page, THREE)
    page.click("#read")
    answer = page.locator("#answers .answer").first
    answer.locator("h2").wait_for()
    assert answer.locator(".digit").inner_text() == "3"
    assert answer.locator("h2").inner_text() == "It is a 3."
    assert answer.locator(".bars li").count() == 10
    assert answer.locator(".bars .best b").inner_text() == "3"
    assert page.locator("#said").inner_text().startswith("It is a 3.")
    for picture in answer.locator(".frame img").all():
        assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth > 0; }")


def test_strokes_are_taken_back_one_by_one_or_all_at_once(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    painted = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value) => value > 0)"
    _draw(page, THREE[:3])
    _draw(page, THREE[5:])
    page.click("#undo")
    assert page.locator("#canvas").evaluate(painted)
    page.keyboard.press("Control+z")
    assert not page.locator("#canvas").evaluate(painted)
    assert page.locator("#read").is_disabled()
    _draw(page, THREE[:3])
    page.click("#clear")
    assert not page.locator("#canvas").evaluate(painted)


def test_a_file_is_read_and_sent_again_is_shown_as_such(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    first = _read(page, "photo_01_5.jpg")
    assert first.locator(".digit").inner_text() == "5"
    assert first.locator(".box rect").count() == 1
    assert page.locator(".again").count() == 0
    page.set_input_files("#file", _sample("photo_01_5.jpg"))
    page.locator(".again").wait_for()
    assert page.locator("#answers .answer").first.get_attribute("data-id") == first.get_attribute("data-id")


def test_several_files_a_drop_and_a_paste_are_read_too(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    page.set_input_files("#file", [_sample("scan_01_9.png"), _sample("stylus_01_4.png")])
    page.locator("#answers > li:nth-child(2)").wait_for()
    assert {each.inner_text() for each in page.locator("#answers .digit").all()} == {"4", "9"}
    page.evaluate(
        """async (kinds) => {
            for (const [n, kind] of kinds.entries()) {
                const sheet = new OffscreenCanvas(280, 280), pen = sheet.getContext("2d");
                pen.fillStyle = "#fff"; pen.fillRect(0, 0, 280, 280);
                pen.fillStyle = "#111"; pen.fillRect(130 + 8 * n, 50, 22, 180);
                const data = new DataTransfer();
                data.items.add(new File([await sheet.convertToBlob()], `${kind}.png`, {type: "image/png"}));
                const options = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
                const event = kind === "drop" ? new DragEvent(kind, options) : new ClipboardEvent(kind, options);
                document.body.dispatchEvent(event);
            }
        }""",
        ["drop", "paste"],
    )
    for name in ("drop.png", "paste.png"):
        page.locator("#answers .answer", has_text=name).locator("h2").wait_for()


def test_a_rejected_picture_gets_words_and_something_to_do(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    answer = _read(page, "broken_blank_paper.jpg")
    assert answer.locator("h2").inner_text() == "Nothing is drawn here."
    assert "Write one digit" in answer.locator(".tip").inner_text()


def test_what_is_no_picture_is_refused_in_words(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    page.set_input_files("#file", _sample("broken_pdf.pdf"))
    page.locator("#alert", has_text="PDF").wait_for()
    assert page.locator("#answers li").count() == 0


def test_a_correction_is_one_click_and_lies_in_kafka(browse: Browse, house: House) -> None:
    page = browse()
    page.goto("/")
    answer = _read(page, "canvas_02_1.png")
    answer.get_by_role("button", name="It is a 7").click()
    page.locator("#said", has_text="it is a 7").wait_for(state="attached")
    assert house.corrections()[answer.get_attribute("data-id")] == "7"


def test_a_stored_correction_is_shown_with_the_answer_and_in_the_gallery(browse: Browse, house: House) -> None:
    page = browse()
    page.goto("/")
    image_id = _read(page, "canvas_03_2.png").get_attribute("data-id")
    statement = "INSERT INTO corrections (image_id, corrected_at, label) VALUES (%s, toTimestamp(now()), %s)"
    house.session.execute(statement, [image_id, "7"])
    page.goto(f"/images/{image_id}")
    assert "it is a 7" in page.locator(".thanks").inner_text()
    assert page.locator('.keys [aria-pressed="true"]').inner_text() == "7"
    page.goto("/gallery")
    assert page.locator(f'a.tile[href="/images/{image_id}"] .who').inner_text() == "corrected: a 7"


def test_no_page_has_a_serious_finding_of_axe(browse: Browse) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browse()
    page.goto("/")
    image_id = _read(page, "photo_02_6.jpg").get_attribute("data-id")
    found = []
    for address in ("", "/gallery", "/dashboard", f"/images/{image_id}", "/classes", "/class/3b", "/train", "/docs"):
        if address:
            page.goto(address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            violations = Axe().run(page).response["violations"]
            serious = [each for each in violations if each["impact"] in ("serious", "critical")]
            found += [(address, scheme, each["id"], each["nodes"][0]["html"]) for each in serious]
    assert found == []


def test_a_phone_never_scrolls_sideways(browse: Browse) -> None:
    page = browse(**PHONE)
    page.goto("/")
    image_id = _read(page, "photo_03_7.jpg").get_attribute("data-id")
    for address in ("", "/gallery", "/dashboard", f"/images/{image_id}", "/classes", "/class/3b"):
        if address:
            page.goto(address)
        wide = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
        assert wide == 0, address
    page.goto("/")
    assert page.locator("label[for=photo]").is_visible()
    small = page.evaluate(
        "[...document.querySelectorAll('button, .way')].filter((b) => b.offsetParent && b.offsetHeight < 44).length"
    )
    assert small == 0


def test_without_a_script_the_plain_form_works(browse: Browse, house: House) -> None:
    page = browse(java_script_enabled=False)
    page.goto("/")
    assert not page.locator("#canvas").is_visible()
    page.set_input_files("#file", _sample("scan_03_1.jpg"))
    page.click("#send")
    page.locator(".answer:not(.waiting) h2").wait_for()
    assert page.locator("h2").first.inner_text() == "It is a 1."
    page.get_by_role("button", name="Yes, a 1").click()
    page.wait_for_load_state()
    assert house.corrections()[page.locator(".answer").get_attribute("data-id")] == "1"


def _tab_to(page: Any, what: str) -> None:
    """Press Tab until a part is focused that the script calls true."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate(f"(() => {{ const part = document.activeElement; return {what}; }})()"):
            return
    raise AssertionError(f"no Tab leads to where {what}")


def test_the_keyboard_alone_is_enough(browse: Browse, house: House) -> None:
    page = browse()
    # Listened for from the start: a chooser that opens before the browser was told to hand it over never comes.
    page.on("filechooser", lambda chooser: chooser.set_files(_sample("stylus_03_6.png")))
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    _tab_to(page, "part.id === 'file'")  # past the navigation
    page.keyboard.press("Enter")
    page.locator("#answers h2").wait_for()
    _tab_to(page, "part.value === '4'")
    page.keyboard.press("Enter")
    page.locator("#said", has_text="it is a 4").wait_for(state="attached")
    assert house.corrections()[page.locator("#answers .answer").get_attribute("data-id")] == "4"


def test_after_a_stroke_enter_reads_it_wherever_the_focus_was(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    page.focus(".mark")
    _draw(page, THREE)
    with page.expect_request("**/api/images?*"):
        page.keyboard.press("Enter")


def test_an_open_gallery_shows_new_answers_by_itself_and_filters(browse: Browse) -> None:
    gallery, page = browse(), browse()
    gallery.goto("/gallery")
    page.goto("/")
    image_id = _read(page, "board_01_8.jpg").get_attribute("data-id")
    gallery.locator(f'a.tile[href="/images/{image_id}"]').wait_for()
    gallery.select_option("#label", "8")
    gallery.wait_for_url("**label=8**")
    labels = {each.inner_text() for each in gallery.locator(".tile .line b").all()}
    assert labels == {"8"}


def test_the_dashboard_counts_the_answers_of_the_hour(browse: Browse) -> None:
    page = browse()
    page.goto("/")
    _read(page, "stylus_02_5.png")
    page.goto("/dashboard")
    assert int(page.locator(".figures dd").first.inner_text()) >= 1
    assert page.locator(".columns rect").count() == 60


def test_a_pupil_needs_a_link_and_no_token_and_the_teacher_sees_all(browse: Browse, house: House) -> None:
    teacher, pupil = browse(), browse(token=False)
    teacher.goto("/classes")
    teacher.fill("#name", "3b")
    teacher.get_by_role("button", name="Make the link").click()
    assert teacher.locator(".code svg").count() == 1
    pupil.goto(teacher.locator("a.address").get_attribute("href"))
    name = pupil.locator(".strip b").nth(1).inner_text()
    image_id = _read(pupil, "alpha_03_1.png").get_attribute("data-id")
    teacher.locator(f'section[aria-label="{name}"] a[href="/images/{image_id}"]').wait_for()
    table = httpx.get(f"{house.address}/class/3b/pictures.csv", headers=house.teacher).text
    rows = list(csv.DictReader(StringIO(table)))
    assert [(row["pupil"], row["label"], row["image_id"]) for row in rows] == [(name, "1", image_id)]
    pupil.goto("/pupil")
    assert pupil.locator(f'a[href="/images/{image_id}"]').count() == 1


def test_a_pupil_sees_nobody_else_s_pictures(browse: Browse, house: House) -> None:
    page = browse()
    page.goto("/")
    other = _read(page, "alpha_04_2.png").get_attribute("data-id")
    page.goto("/class/4a")
    link = page.locator("a.address").get_attribute("href")
    with httpx.Client(base_url=house.address, follow_redirects=True, timeout=90) as pupil:
        assert pupil.get("/").status_code == 401
        assert pupil.get(link + "0").status_code == 403
        assert pupil.get(link).status_code == 200
        for address in (
            "/gallery",
            "/dashboard",
            "/classes",
            "/class/4a/pictures.csv",
            "/api/predictions",
            "/api/events",
        ):
            assert pupil.get(address).status_code in (401, 403), address
        assert pupil.get(f"/images/{other}").status_code == 202  # as for an id that nobody has
        for address in (f"/images/{other}/thumbnail", f"/images/{other}/prepared"):
            assert pupil.get(address).status_code == 404
        for address in (f"/api/images/{other}", f"/api/images/{other}/picture", f"/api/images/{other}/prepared"):
            assert pupil.get(address).status_code in (401, 403), address
        for sent in ({"json": {"label": 4}}, {"data": {"label": "4"}}):
            address = f"/images/{other}/correction"
            assert pupil.post(f"/api{address}" if "json" in sent else address, **sent).status_code == 404
        own = pupil.post("/api/images?wait=60", files={"file": _sample("alpha_04_2.png").read_bytes()}).json()["id"]
        assert pupil.post(f"/api/images/{own}/correction", json={"label": 2}).status_code == 202
    assert other not in house.corrections()


def test_a_form_of_another_site_corrects_nothing(house: House) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        answer = httpx.post(
            f"{house.address}/images/x/correction", data={"label": "4"}, headers=house.teacher | headers
        )
        assert answer.status_code == 403
