"""What cannot be read is rejected with a code and a sentence that names the value."""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from inkstream import records
from inkstream.chaos.poison import slow_jpeg
from inkstream.errors import Rejected
from inkstream.image.decode import decode
from inkstream.settings import ImageSettings

pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\..*")
LIMITS = ImageSettings()


def encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    if format_ == "HEIC":
        pillow_heif.from_pillow(picture).save(file)
    else:
        picture.save(file, format_, **options)
    return file.getvalue()


def textured(width: int = 64, height: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8))


def rejection(data: bytes, limits: ImageSettings = LIMITS) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decode(data, limits)
    assert caught.value.code in records.REASON_CODES
    assert caught.value.reason.endswith(".")
    return caught.value


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def test_an_empty_file_is_unreadable() -> None:
    assert (rejection(b"").code, rejection(b"").reason) == ("unreadable", "The file is empty: it has 0 bytes.")


def test_more_bytes_than_the_limit_are_too_large() -> None:
    limits = ImageSettings(max_image_bytes=1024)
    found = rejection(b"x" * 1025, limits)
    assert (found.code, found.reason) == ("too_large", "The file has 1,025 bytes; at most 1,024 are read.")
    assert rejection(b"\x00\xff" * 512, limits).code == "unsupported_format"


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC"])
def test_one_pixel_more_than_the_limit_is_too_many(format_: str) -> None:
    data = encoded(textured(64, 48), format_)
    assert decode(data, ImageSettings(max_pixels=64 * 48)).width == 64
    found = rejection(data, ImageSettings(max_pixels=64 * 48 - 1))
    assert (found.code, found.reason) == ("too_many_pixels", "The picture has 64 x 48 pixels; at most 3,071 are read.")


def enormous() -> dict[str, bytes]:
    """Small files whose headers promise 60,000 x 60,000 pixels or so."""
    jpeg = encoded(textured(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    gif = encoded(textured(), "GIF")
    bmp = encoded(textured(), "BMP")
    tiff = encoded(textured(), "TIFF")
    webp = encoded(textured(), "WEBP", lossless=True)
    extended = b"VP8X" + struct.pack("<IIHBHB", 10, 0, 60000, 0, 60000, 0) + webp[12:]
    side = struct.pack("<HHII", 256, 4, 1, 64)
    return {
        "png": png_of(60000, 60000, png_chunk(b"IDAT", zlib.compress(bytes(1 << 20)))),
        "jpeg": jpeg[: frame + 5] + struct.pack(">HH", 60000, 60000) + jpeg[frame + 9 :],
        "gif": gif[:6] + struct.pack("<HH", 60000, 60000) + gif[10:],
        "bmp": bmp[:18] + struct.pack("<ii", 60000, 60000) + bmp[26:],
        "tiff": tiff.replace(side, struct.pack("<HHII", 256, 4, 1, 60_000_000)),
        "webp": b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended,
    }


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp"])
def test_an_enormous_header_is_refused_before_a_pixel_is_decoded(kind: str) -> None:
    data = enormous()[kind]
    assert len(data) < 20_000
    assert rejection(data).code == "too_many_pixels"


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIC"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_unreadable(format_: str, share: float) -> None:
    data = encoded(textured(), format_)
    assert rejection(data[: int(len(data) * share)]).code == "unreadable"


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_decode_rejects_a_truncated_jpeg_even_reduced(options: dict) -> None:
    data = encoded(textured(2400, 1600), "JPEG", **options)
    assert rejection(data[: len(data) * 9 // 10]).reason == "The JPEG picture is cut short and cannot be read."


def test_a_png_with_a_changed_byte_is_unreadable() -> None:
    for mode in ("L", "RGB", "RGBA", "P", "1"):
        data = bytearray(encoded(textured().convert(mode), "PNG"))
        data[-30] ^= 1
        assert "damaged" in rejection(bytes(data)).reason


def test_senseless_png_headers_are_unreadable() -> None:
    good = png_chunk(b"IDAT", zlib.compress(bytes(29 * 28)))
    assert decode(png_of(28, 28, good), LIMITS).pixels.shape == (28, 28)
    for data in (
        png_of(28, 28, good, depth=3),
        png_of(28, 28, good, colour=5),
        png_of(28, 28),
        png_of(28, 28, png_chunk(b"IDAT", b"")),
        png_of(28, 28, png_chunk(b"IDAT", zlib.compress(bytes(200)))),
        png_of(28, 28, png_chunk(b"IDAT", zlib.compress(b"\x09" * 29 * 28))),
        png_of(28, 28, png_chunk(b"CgBI", b"\x50\x00\x20\x02"), good),
    ):
        assert rejection(data).code == "unreadable"


def test_a_picture_without_pixels_is_unreadable() -> None:
    content = png_chunk(b"IDAT", zlib.compress(b""))
    found = rejection(png_of(0, 28, content))
    assert (found.code, found.reason) == ("unreadable", "The picture has 0 x 28 pixels: there is nothing to see.")
    assert rejection(png_of(28, 0, content)).code == "unreadable"


def test_texts_and_profiles_that_swell_do_no_harm() -> None:
    bomb = zlib.compress(bytes(80 << 20), 9)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(29 * 28)))
    for depth, colour in ((8, 0), (8, 4)):
        row = 28 * (2 if colour == 4 else 1) + 1
        pixels = png_chunk(b"IDAT", zlib.compress(bytes(row * 28)))
        for extra in (
            png_chunk(b"zTXt", b"Comment\x00\x00" + bomb),
            png_chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + bomb),
            png_chunk(b"iCCP", b"profile\x00\x00" + bomb),
            png_chunk(b"tEXt", b"Comment\x00" + b"x" * 3_000_000),
        ):
            assert decode(png_of(28, 28, extra, pixels, depth=depth, colour=colour), LIMITS).width == 28


def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    data = encoded(textured(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last : data.rindex(b"\xff\xd9")]
    found = rejection(data[:last] + scan * 500 + b"\xff\xd9")
    assert (found.code, "scans" in found.reason) == ("unreadable", True)


def test_the_more_pixels_a_jpeg_has_the_fewer_scans_are_read() -> None:
    few = ImageSettings(max_pixels=640 * 640)
    assert decode(slow_jpeg(640, 16), few).width == 640
    found = rejection(slow_jpeg(640, 17), few)
    assert (found.code, found.reason) == (
        "unreadable",
        "The JPEG picture has 17 scans, as no camera writes; 16 are read.",
    )


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", encoded(textured(), "PNG"))
    return file.getvalue()


FOREIGN = {
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
    "a web page (HTML)": b"\n<!DOCTYPE html><html><body>404</body></html>",
    "an XML document": b'<?xml version="1.0"?><note/>',
    "a text file": "Grüße; this is no picture\n".encode(),
    "a zip archive": zipped(),
    "a gzip archive": gzip.compress(b"x" * 100),
    "a video": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42",
    "a sound recording": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "a Photoshop document": b"8BPS\x00\x01" + bytes(20),
    "a PostScript document": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "an office document": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
    "a program": b"\x7fELF\x02\x01\x01" + bytes(9),
    "an icon file": b"\x00\x00\x01\x00\x01\x00\x10\x10",
    "a JPEG 2000 picture": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(8),
    "no picture of a kind that is read": np.random.default_rng(5).bytes(500),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_picture_is_named(kind: str) -> None:
    found = rejection(FOREIGN[kind])
    assert found.code == "unsupported_format"
    assert kind in found.reason


@pytest.mark.parametrize(
    "text", ["BMW is the name of a car", "II*", "GI", "MZ, our friend", "B", "ü" * 600, "x" * 1023 + "ü"]
)
def test_a_text_is_a_text_whatever_it_begins_with(text: str) -> None:
    assert rejection(text.encode()).code in ("unsupported_format", "unreadable")
    if len(text) > 3:
        assert rejection(text.encode()).reason == "This is a text file, not a picture."


def test_formats_that_pillow_knows_and_we_do_not_read_are_refused() -> None:
    for format_ in ("EPS", "PPM", "TGA", "ICO", "PCX", "SGI", "JPEG2000"):
        assert rejection(encoded(textured(), format_)).code == "unsupported_format"


def test_a_variant_that_is_not_read_is_named() -> None:
    tiff = encoded(textured(), "TIFF")
    five_samples = tiff.replace(struct.pack("<HHII", 277, 3, 1, 3), struct.pack("<HHII", 277, 3, 1, 2))
    assert five_samples != tiff
    found = rejection(five_samples)
    assert (found.code, "variant" in found.reason) == ("unsupported_format", True)


def test_damaged_files_print_and_warn_nothing() -> None:
    """In a process of its own, since libtiff writes past Python and pytest sets warning filters."""
    script = (
        "import sys; from inkstream.image.decode import decode; from inkstream.settings import ImageSettings\n"
        "from inkstream.errors import Rejected\n"
        "data, count = sys.stdin.buffer.read(), 0\n"
        "for at in range(len(data)):\n"
        "    for bit in (1, 64, 128):\n"
        "        try: decode(data[:at] + bytes([data[at] ^ bit]) + data[at + 1:], ImageSettings())\n"
        "        except Rejected: count += 1\n"
        "print(count)\n"
    )
    for format_, options in (
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PNG", {}),
        ("JPEG", {}),
        ("WEBP", {}),
        ("GIF", {}),
    ):
        data = encoded(Image.new("RGB", (40, 30), "red"), format_, **options)
        command = [sys.executable, "-W", "default", "-c", script]
        done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=120)
        assert done.stderr == b"", format_
        assert int(done.stdout) > 50
