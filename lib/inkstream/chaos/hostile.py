"""Files made to break a decoder: damaged in every way, and with headers that lie. The same number, the same file."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from inkstream.chaos.poison import slow_jpeg
from inkstream.image.broken import png_chunk, png_file
from inkstream.image.sniff import PNG_SIGNATURE

MAGIC = (
    PNG_SIGNATURE,
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"BM",
    b"II*\0",
    b"MM\0*",
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"\0\0\0\x18ftypheic",
)
EXTREMES = (b"\0", b"\xff", b"\x7f", b"\x80")
HEADER_BYTES = 64
LARGE_EVERY = 2_000  # one in so many is as large as they come
FLOOD = 20 << 20

Originals = Sequence[bytes]


def hostile(number: int, seed: int, originals: Originals, max_bytes: int) -> tuple[str, bytes]:
    """The kind and the bytes of the file of this number. originals: sound pictures. max_bytes: of a large file."""
    rng = random.Random(f"{seed}:{number}")
    if number % LARGE_EVERY == LARGE_EVERY - 1:
        kind = rng.choice(list(LARGE))
        return kind, LARGE[kind](rng, max_bytes)
    kind = rng.choice(list(DAMAGE))
    return kind, DAMAGE[kind](rng, originals)


def flip_bits(rng: random.Random, originals: Originals) -> bytes:
    data = bytearray(rng.choice(originals))
    for _ in range(rng.choice((1, 2, 8, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(rng: random.Random, originals: Originals) -> bytes:
    data = rng.choice(originals)
    return data[: rng.randrange(len(data))]


def splice(rng: random.Random, originals: Originals) -> bytes:
    """The beginning of one, the end of another."""
    first, second = rng.choice(originals), rng.choice(originals)
    return first[: rng.randrange(len(first))] + second[rng.randrange(len(second)) :]


def join(rng: random.Random, originals: Originals) -> bytes:
    """A file that is two kinds at once."""
    return rng.choice(originals) + rng.choice(originals)


def insert(rng: random.Random, originals: Originals) -> bytes:
    data = rng.choice(originals)
    at, length = rng.randrange(len(data)), rng.choice((1, 4, 100, 5_000))
    filling = rng.choice((b"\0" * length, b"\xff" * length, rng.randbytes(length), data[at : at + length]))
    return data[:at] + filling + data[at:]


def lie(rng: random.Random, originals: Originals) -> bytes:
    """Sizes, counts and offsets of the header at their extremes."""
    data = bytearray(rng.choice(originals))
    for _ in range(rng.choice((1, 2, 4))):
        at, length = rng.randrange(min(HEADER_BYTES, len(data))), rng.choice((1, 2, 4))
        data[at : at + length] = rng.choice(EXTREMES) * length
    return bytes(data)


def noise(rng: random.Random, _: Originals) -> bytes:
    """Random bytes that begin as a picture does."""
    return rng.choice((b"", *MAGIC)) + rng.randbytes(rng.choice((0, 1, 10, 1_000, 20_000)))


def metadata(rng: random.Random, _: Originals) -> bytes:
    """A small PNG with a compressed comment, profile or Exif that unfolds to megabytes, or that is none."""
    name = rng.choice((b"zTXt", b"iTXt", b"iCCP", b"eXIf"))
    flood = zlib.compress(bytes(rng.choice((1_000, FLOOD))))
    content = {b"zTXt": b"a\0\0" + flood, b"iTXt": b"a\0\1\0\0\0" + flood, b"iCCP": b"a\0\0" + flood}.get(
        name, rng.randbytes(rng.choice((6, 2_000)))
    )
    width, height = rng.randrange(1, 40), rng.randrange(1, 40)
    return png_file(width, height, bytes((width + 1) * height), extra=png_chunk(name, content))


def huge_header(rng: random.Random, _: Originals) -> bytes:
    """A PNG whose header claims more pixels than it has, up to 2**31 - 1 a side."""
    width, height = (rng.choice((0, 1, 28, 65_535, 2**31 - 1)) for _ in range(2))
    return png_file(width, height, bytes(29 * 28))


def directories(rng: random.Random, _: Originals) -> bytes:
    """A TIFF with a long chain of directories, which may end in a ring."""
    count = rng.choice((2, 100, 5_000))
    parts = [b"II*\0" + struct.pack("<I", 8)]
    for number in range(count):
        follows = 8 + (number + 1) * 18
        last = rng.choice((0, 8, 0xFFFFFFFF))
        tag = struct.pack("<HHII", rng.choice((256, 257, 258, 273, 279)), 4, 1, rng.choice((1, 28, 2**32 - 1)))
        parts.append(struct.pack("<H", 1) + tag + struct.pack("<I", last if number == count - 1 else follows))
    return b"".join(parts)


def frames(rng: random.Random, _: Originals) -> bytes:
    """An animated GIF of up to hundreds of frames."""
    side = rng.choice((1, 8, 200))
    shades = [Image.new("L", (side, side), shade % 256) for shade in range(rng.choice((2, 30, 300)))]
    file = io.BytesIO()
    shades[0].save(file, "GIF", save_all=True, append_images=shades[1:], loop=0)
    return file.getvalue()


DAMAGE: dict[str, Callable[[random.Random, Originals], bytes]] = {
    "flipped bits": flip_bits,
    "cut": cut,
    "spliced": splice,
    "joined": join,
    "inserted": insert,
    "lying header": lie,
    "noise": noise,
    "metadata": metadata,
    "huge header": huge_header,
    "directories": directories,
    "frames": frames,
}


def noisy_png(rng: random.Random, max_bytes: int) -> bytes:
    """As many bytes as are allowed, all of them pixels."""
    side = int((max_bytes - 20_000) ** 0.5)
    return png_file(side, side, b"".join(b"\0" + rng.randbytes(side) for _ in range(side)), level=0)


def wide_jpeg(rng: random.Random, _: int) -> bytes:
    """50 million pixels less a few, with some ink."""
    pixels = np.full((5_773, 8_660), 220, np.uint8)
    pixels[1_000:4_500, 4_000 : 4_100 + rng.randrange(200)] = 40
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    return file.getvalue()


def bomb(rng: random.Random, _: int) -> bytes:
    """A few kilobytes that unfold to 49 million pixels, or say that they do to gigapixels."""
    side = rng.choice((7_000, 30_000))
    return png_file(side, side, bytes((side + 1) * side if side == 7_000 else 2))


def too_long(rng: random.Random, max_bytes: int) -> bytes:
    """The limit of bytes, and one more."""
    return PNG_SIGNATURE + bytes(max_bytes - len(PNG_SIGNATURE) + rng.choice((0, 1)))


def scans(rng: random.Random, max_bytes: int) -> bytes:
    """Far more scans than a camera writes, over nearly as many pixels as are read."""
    return slow_jpeg(7_000, rng.choice((16, 100)))


LARGE: dict[str, Callable[[random.Random, int], bytes]] = {
    "10 MiB of pixels": noisy_png,
    "50 million pixels": wide_jpeg,
    "bomb": bomb,
    "at the limit": too_long,
    "scans": scans,
}
