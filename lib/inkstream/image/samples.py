"""MNIST's test digits in, the sample uploads that ship with the package out.

`python -m inkstream.image.samples MNIST_FOLDER OUT` makes them; the same digits give the same files. A name carries the
truth: `<kind>_<nn>_<label>.<suffix>`, `broken_<what>.<suffix>`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

import inkstream
from inkstream.errors import InkstreamError, SettingError
from inkstream.image.broken import BROKEN, broken
from inkstream.image.idx import Bytes, pictures_and_labels
from inkstream.image.imitate import encode, imitate_pixels

FOLDER = Path(inkstream.__file__).parent / "samples"
_SEED = 28
_SUFFIXES = {"jpeg": "jpg", "tiff": "tif"}
_NOT_SHIPPED = {"too_large"}  # 11 MiB
_DOCUMENT = "README.md"


class _Batch(NamedTuple):
    kind: str
    file_format: str
    files: int
    sides: tuple[int, int] = (0, 0)


_PLAN = (
    _Batch("clean", "png", 20),
    _Batch("canvas", "png", 7, (200, 320)),
    _Batch("canvas", "gif", 1, (280, 280)),
    _Batch("canvas", "bmp", 1, (120, 120)),
    _Batch("alpha", "png", 4, (200, 320)),
    _Batch("alpha", "webp", 1, (280, 280)),
    _Batch("stylus", "png", 4, (300, 600)),
    _Batch("stylus", "webp", 1, (400, 500)),
    _Batch("scan", "png", 2, (240, 320)),
    _Batch("scan", "jpeg", 3, (400, 800)),
    _Batch("scan", "tiff", 1, (200, 260)),
    _Batch("photo", "jpeg", 9, (600, 1200)),
    _Batch("photo", "heic", 2, (900, 1200)),
    _Batch("photo", "avif", 1, (900, 1000)),
    _Batch("photo", "webp", 1, (900, 1000)),
    _Batch("board", "jpeg", 4, (600, 1000)),
)


def sample_files(folder: Path = FOLDER) -> list[Path]:
    """The sample uploads that ship, in the order of their names; not the document beside them."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != _DOCUMENT)


def label_of(path: Path) -> str | None:
    """The digit that a sample's name says it shows; None for a broken one."""
    return None if path.stem.startswith("broken_") else path.stem.rpartition("_")[2]


def build_samples(mnist: Path, out: Path) -> list[Path]:
    """The samples made of the test digits in the folder `mnist`, written to the folder `out`; the files written.

    Raises:
        SettingError: `mnist` holds no sound MNIST, or `out` cannot be written.
    """
    pictures, labels = pictures_and_labels(mnist, "test")
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in _contents(pictures, labels):
            (out / name).write_bytes(content)
            written.append(out / name)
    except OSError as error:
        raise SettingError(f"the samples cannot be written to {out} ({error}); name another folder") from error
    return written


def _contents(pictures: Bytes, labels: Bytes) -> Iterator[tuple[str, bytes]]:
    glyphs = {digit: iter(pictures[labels == digit]) for digit in range(10)}
    numbers: dict[str, int] = {}
    made = 0
    for batch in _PLAN:
        for _ in range(batch.files):
            rng = np.random.default_rng([_SEED, made])
            digit, made = made % 10, made + 1
            numbers[batch.kind] = number = numbers.get(batch.kind, 0) + 1
            side = int(rng.integers(batch.sides[0], batch.sides[1] + 1))
            pixels = imitate_pixels(next(glyphs[digit]), batch.kind, rng, side=side)
            suffix = _SUFFIXES.get(batch.file_format, batch.file_format)
            content = encode(pixels, batch.file_format, rng, camera=batch.kind in ("photo", "board"))
            yield f"{batch.kind}_{number:02d}_{digit}.{suffix}", content
    for kind, (suffix, _, _) in BROKEN.items():
        if kind not in _NOT_SHIPPED:
            yield f"broken_{kind}.{suffix}", broken(kind, np.random.default_rng([_SEED, made]))


def main(argv: list[str]) -> int:
    """Write the samples; 0, or the status of what went wrong."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        if len(argv) != 2:
            raise SettingError("two folders are needed: python -m inkstream.image.samples MNIST_FOLDER OUT")
        written = build_samples(Path(argv[0]), Path(argv[1]))
    except InkstreamError as error:
        console.print(f"error: {error}", markup=False)
        return error.exit_status
    console.print(f"{len(written)} files, {sum(path.stat().st_size for path in written):,} bytes, in {argv[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
