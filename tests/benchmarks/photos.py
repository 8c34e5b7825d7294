"""photos: JPEGs of 0.3, 2 and 12 megapixels that the project's generator makes, through decoding and the normaliser."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from benchmarks.figures import OURS, Case, Outcome
from benchmarks.options import Options
from benchmarks.place import Place
from inkstream.image.decode import decode
from inkstream.image.imitate import encode, imitate_pixels
from inkstream.image.normalise import normalise
from inkstream.settings import ImageSettings

METHOD = (
    "One process, one core, CPU time. The same JPEGs in turn: decoded and normalised as the stream does; Pillow alone: "
    "open, draft to the size that the stream asks of libjpeg, load; and the stream's decoding without its normaliser."
)
SIDES = {"0.3 MP": (640, 480), "2 MP": (1632, 1224), "12 MP": (4032, 3024)}
DIGIT = "clean_08_7.png"
PILLOW = "Pillow, draft mode"
DETAIL = 1024


def run(options: Options, _: Place) -> Outcome:
    """Each size; in each round ours and Pillow in turn."""
    cv2.setNumThreads(1)  # as a worker of the stream has it; a second one costs 1.4 of the CPU
    return Outcome("photos", METHOD, [_case(options, name, size) for name, size in SIDES.items()])


def _case(options: Options, name: str, size: tuple[int, int]) -> Case:
    files = pictures(size, 2 if options.quick else 6)
    limits = ImageSettings()
    ways: dict[str, Callable[[bytes], object]] = {
        OURS: lambda data: normalise(decode(data, limits).pixels),
        PILLOW: pillow,
        "InkStream's decoding alone": lambda data: decode(data, limits),
    }
    seconds = 0.15 if options.quick else 1.0
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(3 if options.quick else 7):
        for way, read in ways.items():
            rounds[way].append({"per_s": rate(read, files, seconds)})
    case = Case(name, "per_s", True, rounds, [f"{sum(map(len, files)) // len(files):,} bytes a file"])
    options.tell(f"photos: {name}: {case.medians(OURS)['per_s']:,.0f}/s, {case.ratio(PILLOW):.2f} x Pillow")
    return case


def pictures(size: tuple[int, int], count: int) -> list[bytes]:
    """JPEGs of a photographed digit, of that size."""
    rng = np.random.default_rng(28)
    shape = np.asarray(Image.open(BytesIO(_digit())).convert("L"))
    made = []
    while len(made) < count:
        pixels = Image.fromarray(imitate_pixels(shape, "photo", rng, side=max(size)))
        made.append(encode(np.asarray(pixels.resize(size)), "jpeg", rng))
    return made


def _digit() -> bytes:
    from benchmarks.options import pictures_of

    return next(path for path in pictures_of(None) if path.name == DIGIT).read_bytes()


def pillow(data: bytes) -> Image.Image:
    """What a program without this project would do: at least three quarters of the detail are left."""
    picture = Image.open(BytesIO(data))
    width, height = picture.size
    scale = next((scale for scale in (8, 4, 2) if max(width, height) // scale >= DETAIL * 3 // 4), 1)
    picture.draft(None, (width // scale, height // scale))
    picture.load()
    return picture


def rate(read: Callable[[bytes], object], files: list[bytes], seconds: float) -> float:
    """Files a second of CPU time, over at least so many seconds of it."""
    started, done = time.process_time(), 0
    while time.process_time() - started < seconds:
        for data in files:
            read(data)
        done += len(files)
    return done / (time.process_time() - started)
