"""Samples of a prepared data set in, one picture of them to look at out."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL, GAP, LEFT, TOP = 56, 4, 120, 40
COLUMNS = 16
_PAPER, _INK, _FAINT = 255, 20, 110


class Line(NamedTuple):
    """One line of the sheet. pictures: PNG bytes, or 784 raw ones; captions: below each, or none."""

    title: str
    pictures: Sequence[bytes]
    captions: Sequence[str] = ()


def draw_contact_sheet(title: str, lines: Sequence[Line]) -> bytes:
    """Lines of pictures in, PNG bytes out. The same for the same lines."""
    heights = [CELL + GAP + (14 if line.captions else 0) for line in lines]
    sheet = Image.new("L", (LEFT + COLUMNS * (CELL + GAP) + GAP, TOP + sum(heights) + GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP * 2, 10), title, fill=_INK, font=ImageFont.load_default(16))
    y = TOP
    for line, height in zip(lines, heights, strict=True):
        pen.text((GAP * 2, y + CELL // 2 - 8), line.title, fill=_INK, font=ImageFont.load_default(14))
        for place, content in enumerate(line.pictures[:COLUMNS]):
            x = LEFT + place * (CELL + GAP)
            picture = _opened(content)
            sheet.paste(picture, (x + (CELL - picture.width) // 2, y + (CELL - picture.height) // 2))
            if line.captions:
                pen.text((x, y + CELL), line.captions[place][:11], fill=_FAINT, font=ImageFont.load_default(9))
        y += height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _opened(content: bytes) -> Image.Image:
    if content[:4] == b"\x89PNG":
        picture = Image.open(io.BytesIO(content)).convert("L")
        picture.thumbnail((CELL, CELL))
        return picture
    side = int(len(content) ** 0.5)
    return Image.fromarray(np.frombuffer(content, np.uint8).reshape(side, side)).resize((CELL, CELL))
