"""A file's bytes in, a picture's pixels out, as a person sees it; what cannot be read is `Rejected` with a reason.

Plain 8-bit PNGs, most of what a stream of small pictures holds, are read by libspng (four times as fast); all others by
Pillow, with one plugin, the one that the first bytes ask for. No decoder prints, warns or writes a file.
"""

from __future__ import annotations

import ctypes
import logging
import struct
import warnings
from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pyspng
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from inkstream.errors import Rejected
from inkstream.image import png
from inkstream.image.modes import Pixels, pixels_of
from inkstream.image.sniff import PNG_SIGNATURE, sniff
from inkstream.settings import ImageSettings

DETAIL = 1024

# A damaged tag in a file is the file's business, not the log's. Set once: setting it for each call is not thread-safe.
logging.getLogger("PIL").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"PIL\..*")
Image.MAX_IMAGE_PIXELS = None  # the limit is max_pixels, held against the header before a pixel is decoded
ImageFile.LOAD_TRUNCATED_IMAGES = False  # a half-grey picture has no right answer

_NAMES = {
    "png": "PNG",
    "jpeg": "JPEG",
    "webp": "WebP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "heic": "HEIC",
    "avif": "AVIF",
}


@cache
def _silence_libtiff() -> None:
    """libtiff prints on stderr what it dislikes, and Pillow lets it; its symbols are found through Pillow's library."""
    library = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if hasattr(library, name):  # not where libtiff is linked in statically: then it prints
            getattr(library, name)(None)


def _open_tiff(file: BytesIO) -> Image.Image:
    _silence_libtiff()
    return TiffImagePlugin.TiffImageFile(file)


_OPENERS: dict[str, Callable[[BytesIO], Image.Image]] = {
    "png": PngImagePlugin.PngImageFile,
    "jpeg": JpegImagePlugin.jpeg_factory,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": _open_tiff,
    "avif": AvifImagePlugin.AvifImageFile,
}
_VARIANT_WORDS = ("unknown pixel mode", "unsupported", "not supported")
_ORIENTATION_TAG = 0x0112
# A progressive file of thousands of scans, each over all pixels, would take minutes, and one of a hundred over as many
# pixels as are read half a minute. Cameras and libjpeg write ten.
_MAX_JPEG_SCANS = 200
_MAX_JPEG_SCANS_OF_LARGEST = 16


class Picture(NamedTuple):
    """A decoded picture.

    pixels: uint8 (H, W) grey or (H, W, 3) RGB, 0..255, upright, perhaps reduced; not to be written to.
    width, height: as a person sees it, before any reduction. format: "png", "jpeg", ...
    """

    pixels: Pixels
    width: int
    height: int
    format: str


def decode(data: bytes, limits: ImageSettings, *, detail: int = DETAIL) -> Picture:
    """A file's bytes to the picture that a person sees: first frame, upright, alpha over a background that shows it.

    `detail`: the longer side of the pixels is at most this (JPEGs are then not even decoded in full); 0: all pixels.

    Raises:
        Rejected: `unreadable`, `unsupported_format`, `too_large`, `too_many_pixels`, or `decode_failed` without memory.
    """
    if len(data) > limits.max_image_bytes:
        raise too_large(len(data), limits)
    if data[:8] == PNG_SIGNATURE:
        return _decode_png(data, limits, detail)
    kind = sniff(data)
    if kind == "heic":
        return _decode_guarded(kind, lambda: _decode_heic(data, limits, detail))
    return _decode_guarded(kind, lambda: _decode_with_pillow(data, kind, limits, detail))


def too_large(size_bytes: int, limits: ImageSettings) -> Rejected:
    """The verdict on a file of that size, which nobody needs to fetch for it."""
    return Rejected("too_large", f"The file has {size_bytes:,} bytes; at most {limits.max_image_bytes:,} are read.")


def _decode_png(data: bytes, limits: ImageSettings, detail: int) -> Picture:
    """A PNG to a Picture. What libspng refuses, Pillow judges: the verdict hangs on the file, not on the way."""
    width, height, plain = png.read_header(data)
    _check_size(width, height, limits)
    if not (plain and png.is_one_sound_idat(data)):
        data, names = png.without_extras(data)
        plain = plain and names.isdisjoint((b"tRNS", b"eXIf"))
    pixels = _load_plain(data) if plain else None
    if pixels is None:
        return _decode_guarded("png", lambda: _decode_with_pillow(data, "png", limits, detail))
    if pixels.shape[2:] == (4,) or (detail and (width > detail or height > detail)):
        pixels = pixels_of(Image.fromarray(pixels), detail)
    return Picture(pixels, width, height, "png")


def _load_plain(data: bytes) -> Pixels | None:
    """uint8 (H, W), (H, W, 3) or (H, W, 4); None where libspng refuses."""
    try:
        pixels: Pixels = pyspng.load(data)
    except RuntimeError:
        return None
    return pixels


def _decode_guarded(kind: str, read: Callable[[], Picture]) -> Picture:
    """What `read` gives; whatever it stumbles over becomes the picture's reason."""
    try:
        return read()
    except Rejected:
        raise
    except MemoryError:
        raise Rejected("decode_failed", f"Reading the {_NAMES[kind]} picture took more memory than there is.") from None
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        message = str(error).lower()
        if any(words in message for words in _VARIANT_WORDS):
            reason = f"The {_NAMES[kind]} picture is of a variant that is not read ({error})."
            raise Rejected("unsupported_format", reason) from error
        state = "cut short" if "truncated" in message or isinstance(error, EOFError) else "damaged"
        raise Rejected("unreadable", f"The {_NAMES[kind]} picture is {state} and cannot be read.") from error


def _decode_with_pillow(data: bytes, kind: str, limits: ImageSettings, detail: int) -> Picture:
    if kind == "webp":
        _check_size(*_webp_size(data), limits)  # opening alone would take its memory
    picture = _OPENERS[kind](BytesIO(data))
    width, height = picture.size
    _check_size(width, height, limits)
    if kind == "jpeg":
        _check_scans(_scans(data), width * height, limits)
        if detail:
            picture.draft(None, _draft_size(width, height, detail))
    picture.load()
    pixels = pixels_of(picture, detail)
    turned = _turned(pixels, _orientation(picture))
    if (turned.shape[:2] != pixels.shape[:2]) and width != height:
        width, height = height, width
    return Picture(turned, width, height, kind)


def _decode_heic(data: bytes, limits: ImageSettings, detail: int) -> Picture:
    import pillow_heif  # 60 ms, and seldom needed

    container = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
    width, height = container.size
    _check_size(width, height, limits)
    picture = Image.fromarray(np.asarray(container))
    return Picture(pixels_of(picture, detail), width, height, "heic")


def _check_size(width: int, height: int, limits: ImageSettings) -> None:
    if width < 1 or height < 1:
        raise Rejected("unreadable", f"The picture has {width} x {height} pixels: there is nothing to see.")
    if width * height > limits.max_pixels:
        reason = f"The picture has {width:,} x {height:,} pixels; at most {limits.max_pixels:,} are read."
        raise Rejected("too_many_pixels", reason)


def _scans(data: bytes) -> int:
    """How many scans' markers a JPEG file has; bytes.count takes five times as long on a photograph."""
    content = np.frombuffer(data, np.uint8)
    return int(np.count_nonzero((content[:-1] == 0xFF) & (content[1:] == 0xDA)))


def _check_scans(scans: int, pixels: int, limits: ImageSettings) -> None:
    most = min(_MAX_JPEG_SCANS, _MAX_JPEG_SCANS_OF_LARGEST * limits.max_pixels // pixels)
    if scans > most:
        raise Rejected("unreadable", f"The JPEG picture has {scans:,} scans, as no camera writes; {most} are read.")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height by the first chunk of a WebP file. Raises struct.error where it is cut."""
    kind = data[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return low_width + (high_width << 16) + 1, low_height + (high_height << 16) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _draft_size(width: int, height: int, detail: int) -> tuple[int, int]:
    """What to ask of libjpeg, which reduces by 2, 4 or 8: at least three quarters of `detail` are left."""
    scale = next((scale for scale in (8, 4, 2) if max(width, height) // scale >= detail * 3 // 4), 1)
    return max(1, width // scale), max(1, height // scale)


def _orientation(picture: Image.Image) -> int:
    """1..8 of EXIF; 1 where there is none or it cannot be read."""
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a broken EXIF block leaves the pixels as they are
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """The pixels upright, after EXIF's eight orientations."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels) if orientation > 1 else pixels
