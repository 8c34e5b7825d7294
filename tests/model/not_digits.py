"""What people upload that is no digit, as PNG files. Shares no code, font or seed with what the model learnt from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray[Any, Any]
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10", "cmss10", "cmtt10")
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYabcdefhikmnpqrtuvwxy"  # without those that are digits in print: O I l S Z z g o s
WORDS = (
    "yes",
    "no",
    "the",
    "and",
    "Hello",
    "page",
    "house",
    "tree",
    "Kafka",
    "Spark",
    "mail",
    "paper",
    "road",
    "north",
)


def png(pixels: Array) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def library_pictures() -> list[bytes]:
    """The photographs and drawings that come with scikit-image and scikit-learn, whole and in pieces."""
    import skimage
    import sklearn

    folders = Path(skimage.__path__[0]) / "data", Path(sklearn.__path__[0]) / "datasets" / "images"
    whole = [
        file.read_bytes()
        for folder in folders
        for file in sorted(folder.iterdir())
        if file.suffix in (".png", ".jpg", ".gif")
    ]
    rng = np.random.default_rng(123)
    pieces = []
    for data in whole:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        for side in rng.integers(60, 200, 3):
            if min(pixels.shape) > side:
                y, x = rng.integers(0, np.array(pixels.shape) - side)
                pieces.append(png(pixels[y : y + side, x : x + side].copy()))
    return [*whole, *pieces]


def printed(text: str, seed: int) -> bytes:
    """A letter or a word in one of matplotlib's fonts, dark on light, leaning a little."""
    import matplotlib

    rng = np.random.default_rng(seed)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(folder / f"{FONTS[seed % len(FONTS)]}.ttf", int(rng.integers(60, 140)))
    left, top, right, bottom = font.getbbox(text)
    room, paper = int(rng.integers(15, 60)), int(rng.integers(200, 256))
    page = Image.new("L", (int(right - left) + 2 * room, int(bottom - top) + 2 * room), paper)
    ImageDraw.Draw(page).text((room - left, room - top), text, font=font, fill=int(rng.integers(0, 90)))
    return png(np.asarray(page.rotate(float(rng.normal(0, 4)), Image.Resampling.BICUBIC, fillcolor=paper)))


def empty_page(seed: int, *, ruled: bool, beside_a_table: bool) -> bytes:
    """A sheet on which nothing is written."""
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(300, 900, 2))
    y, x = np.mgrid[:height, :width]
    page = rng.uniform(190, 250) + rng.normal(0, rng.uniform(0.5, 4), (height, width))
    page *= 1 - rng.uniform(0, 0.3) * (x / width if rng.random() < 0.5 else y / height)
    if ruled:
        step, ink = int(rng.integers(18, 60)), rng.uniform(20, 90)
        for at in range(int(rng.integers(0, step)), height, step):
            page[at : at + 2] -= ink
    if beside_a_table:
        lean, share = rng.uniform(-0.25, 0.25), rng.uniform(0.02, 0.35)
        over = (x - share * width + lean * y, height - y - share * height + lean * x)[int(rng.integers(2))]
        table = 1 / (1 + np.exp(np.clip(over / rng.uniform(1, 8), -50, 50)))
        wood = cv2.resize(rng.normal(0, 8, (int(rng.integers(4, 40)), 3)), (width, height))
        page = page * (1 - table) + (rng.uniform(30, 170) + wood) * table
    return png(cv2.GaussianBlur(page, (0, 0), rng.uniform(0.4, 1.5)).clip(0, 255).astype(np.uint8))


def side_by_side(glyphs: Array, seed: int) -> bytes:
    """Two to four of uint8 (N, 28, 28) digits in a row, black on white."""
    rng = np.random.default_rng(seed)
    row: list[Array] = []
    for glyph in glyphs[rng.integers(0, len(glyphs), rng.integers(2, 5))]:
        x, _, width, _ = cv2.boundingRect(glyph)
        row += [glyph[:, x : x + width], np.zeros((28, int(rng.integers(2, 8))), np.uint8)]
    line = cv2.resize(np.pad(np.hstack(row[:-1]), 10), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    return png(255 - line)
