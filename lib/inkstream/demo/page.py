"""Answered cards in, one HTML page out that needs nothing beside it: pictures as data: URIs, everything escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from inkstream.demo.cards import REFUSED, VERDICTS, Card, Summary
from inkstream.demo.checking import Check
from inkstream.demo.screen import percent, printable
from inkstream.errors import Rejected, SetupError
from inkstream.image.decode import decode
from inkstream.records import PREPARED_SIDE
from inkstream.settings import ImageSettings

THUMBNAIL_SIDE = 240  # pixels; shown at half of it, so that fine screens have some to show
THUMBNAIL_QUALITY = 75
TEMPLATE = "page.html"
KINDS = {
    "photo": "photographs of paper",
    "board": "photographs of boards",
    "scan": "scanned sheets",
    "canvas": "drawn on a screen",
    "alpha": "drawn on a transparent ground",
    "stylus": "written with a stylus",
    "clean": "MNIST's test digits as they are",
    "broken": "to be rejected: damaged, empty, or no picture at all",
}


@dataclass(frozen=True)
class Tile:
    """A card as the page shows it; pictures are data: URIs, None where there is none to show."""

    name: str
    verdict: str
    expected: bool
    truth: str
    label: str
    percent: str
    width: float  # of the confidence bar, 0..100
    seconds: str
    thumbnail: str | None
    tiny: bool
    prepared: str | None
    reason_code: str
    reason: str


def write_page(file: Path, cards: Sequence[Card], summary: Summary, check: Check, limits: ImageSettings) -> Path:
    """The page for the answered cards, written to `file`. Raises SetupError where it cannot be written."""
    text = render_page(cards, summary, check, limits)
    try:
        file.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SetupError(f"The page {file} cannot be written ({error.strerror}); make the folder writable") from error
    return file


def render_page(cards: Sequence[Card], summary: Summary, check: Check, limits: ImageSettings) -> str:
    """The page's HTML; of each kind the surprising ones first."""
    tiles: dict[str, list[Tile]] = {kind: [] for kind in KINDS}
    for card in sorted(cards, key=lambda card: (card.as_expected, card.sample.name)):
        if card.answer is not None:
            tiles.setdefault(card.sample.kind, []).append(_tile(card, card.answer, check.prepared, limits))
    groups = [(kind, KINDS.get(kind, ""), found) for kind, found in tiles.items() if found]
    versions = {card.answer["model_version"] for card in cards if card.answer and card.answer["label"] is not None}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=lambda value: printable(value) if isinstance(value, str) else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        groups=groups,
        total=len(cards),
        verdicts=[(name, summary.total(name)) for name in VERDICTS],
        refused=REFUSED,
        usual=summary.usual_seconds,
        gaps=check.gaps,
        versions=sorted(versions),
    )


def _tile(card: Card, answer: dict[str, Any], prepared: Mapping[str, bytes], limits: ImageSettings) -> Tile:
    pixels = prepared.get(card.image_id)
    thumbnail, tiny = _thumbnail(card.sample.content, limits)
    return Tile(
        name=card.sample.name,
        verdict=card.verdict,
        expected=card.as_expected,
        truth=card.sample.truth or "none",
        label=answer["label"] or "",
        percent=percent(answer["confidence"]),
        width=100 * (answer["confidence"] or 0.0),
        seconds="" if card.seconds is None else f"{card.seconds:.2f} s",
        thumbnail=thumbnail,
        tiny=tiny,
        prepared=_prepared(pixels) if pixels else None,
        reason_code=answer["reason_code"] or "",
        reason=answer["reason"] or "",
    )


def _thumbnail(content: bytes, limits: ImageSettings) -> tuple[str | None, bool]:
    """(the picture made small, whether it was smaller than that); decoded here: no browser shows every format."""
    try:
        picture = decode(content, limits, detail=THUMBNAIL_SIDE)
    except Rejected:
        return None, False
    image = Image.fromarray(picture.pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    tiny = max(picture.width, picture.height) <= THUMBNAIL_SIDE // 4
    return _data_uri(image, "PNG" if tiny else "WEBP", quality=THUMBNAIL_QUALITY), tiny


def _prepared(pixels: bytes) -> str:
    side = PREPARED_SIDE
    return _data_uri(Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(side, side)), "PNG", optimize=True)


def _data_uri(image: Image.Image, file_format: str, **options: Any) -> str:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return f"data:image/{file_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
