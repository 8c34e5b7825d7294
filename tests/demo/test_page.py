"""The page shows every answered card, needs nothing beside it, and says whatever a name says without obeying it."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timezone
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkstream.demo.cards import Card, Sample, summarise
from inkstream.demo.checking import Check
from inkstream.demo.page import render_page, write_page
from inkstream.errors import SetupError
from inkstream.image.samples import FOLDER
from inkstream.settings import ImageSettings

LIMITS = ImageSettings()
SEVEN = (FOLDER / "clean_08_7.png").read_bytes()
HEIC = (FOLDER / "photo_10_4.heic").read_bytes()


def card(name: str, truth: str | None, content: bytes, **answer: Any) -> Card:
    sample = Sample(name, name.partition("_")[0], truth, content)
    sent = datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    whole = {
        "outcome": "recognised",
        "label": truth,
        "confidence": 0.987654,
        "reason_code": None,
        "reason": None,
        "model_version": "abc",
        **answer,
    }
    return Card(sample, sample.image_id, uploaded_at=sent, answered_at=sent.timestamp() + 0.25, answer=whole)


def refusal(name: str, reason: str) -> Card:
    nothing = {"label": None, "confidence": None, "model_version": "-"}
    return card(name, None, b"", outcome="rejected", reason_code="unreadable", reason=reason, **nothing)


class Page(HTMLParser):
    """What a browser would make of it: elements, texts, addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def addresses(self) -> list[str]:
        return [value or "" for name, value in self.attributes if name in ("src", "href", "srcset", "action")]


def render(cards: list[Card], gaps: list[str] | None = None, prepared: dict[str, bytes] | None = None) -> str:
    return render_page(cards, summarise(cards), Check(gaps or [], prepared or {}), LIMITS)


def test_the_page_shows_picture_model_view_answer_truth_confidence_and_time() -> None:
    seen = bytes(range(196)) * 4
    one = card("photo_10_4.heic", "4", HEIC, label="9")
    page = Page(render([one], prepared={one.image_id: seen}))
    thumbnail, model_view = (Image.open(BytesIO(base64.b64decode(src.split(",")[1]))) for src in page.addresses)
    assert (thumbnail.format, max(thumbnail.size)) == ("WEBP", 240)
    assert (model_view.size, model_view.tobytes()) == ((28, 28), seen)
    text = " ".join(" ".join(page.texts).split())
    assert "9 truth 4 wrong" in text
    assert "98.7 % 0.25 s photo_10_4.heic" in text
    assert ("style", "width: 98.8%") in page.attributes
    assert "Model: abc." in text


def test_the_page_needs_nothing_beside_it_and_follows_the_eyes_preference() -> None:
    text = render([card("clean_08_7.png", "7", SEVEN), refusal("broken_x.png", "It is cut.")])
    page = Page(text)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_hostile_names_and_reasons_stay_text() -> None:
    evil = "<script>alert(1)</script>\"' onload=x \x1b[31m.png"
    cards = [refusal(f"broken_{evil}", f"reason {evil}"), card(f"kind{evil}_1_7.png", "7", SEVEN, label="<b>7</b>")]
    page = Page(render(cards, gaps=[f"gap {evil}"]))
    assert "script" not in page.tags
    assert not {name for name, _ in page.attributes} & {"onload", "onerror"}
    text = "".join(page.texts)
    for said in ("broken_<script>", "reason <script>", "gap <script>", "kind<script>", "<b>7</b>"):
        assert said in text
    assert "\x1b" not in text


def test_a_rejected_picture_has_its_reason_and_no_picture() -> None:
    page = Page(render([refusal("broken_x.png", "It is cut.")]))
    text = " ".join(" ".join(page.texts).split())
    assert page.addresses == []
    assert "no picture can be made of it unreadable It is cut." in text


def test_what_is_missing_is_said_and_only_then() -> None:
    one = card("clean_08_7.png", "7", SEVEN)
    assert "Every picture has its answer" in render([one])
    missing = render([one], gaps=["clean_08_7.png: it has no answer"])
    assert "clean_08_7.png: it has no answer" in missing
    assert "Every picture has its answer" not in missing


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    one = card("clean_08_7.png", "7", SEVEN)
    check = Check([], {})
    assert write_page(tmp_path / "page.html", [one], summarise([one]), check, LIMITS).read_text() == render([one])
    with pytest.raises(SetupError, match=r"page\.html cannot be written"):
        write_page(tmp_path / "none" / "page.html", [one], summarise([one]), check, LIMITS)
