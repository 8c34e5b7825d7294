"""A web page's HTML in, the addresses of its pictures out, each once, in the order in which they stand."""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff"}
    | {".heic", ".heif", ".avif"}
)
_ADDRESS = ("src", "data-src")
_SET = ("srcset", "data-srcset")
_META = frozenset({"og:image", "og:image:url", "og:image:secure_url", "twitter:image"})
# A candidate's address may hold commas; it ends at white space, or at a comma before white space or the end.
_CANDIDATE = re.compile(r"[\s,]*(\S*[^\s,])(?:\s+[^,(]*(?:\([^)]*\)[^,(]*)*)?(?:,|$)")


def find_pictures(html: bytes, address: str) -> list[str]:
    """The page and its address to absolute addresses (http, https, file or data), fragments cut off.

    Looked at: `img`, `source` and `input` with `src`, `srcset` and their lazy `data-` forms, `a` whose address ends
    like a picture's, `og:image` and `twitter:image`, `link rel=image_src`, an SVG's `image`; `base` is heeded.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever a stranger's page is, it is taken as HTML
        page = BeautifulSoup(html, "html.parser")
    base = page.find("base", href=True)
    start = urljoin(address, str(base["href"]).strip()) if isinstance(base, Tag) else address
    found: dict[str, None] = {}
    for tag in page.find_all(["img", "source", "input", "a", "meta", "link", "image"]):
        for reference in _references(tag):
            if absolute := _absolute(start, reference):
                found[absolute] = None
    return list(found)


def _references(tag: Tag) -> list[str]:
    def value(name: str) -> str:
        return str(tag.get(name) or "").strip()

    if tag.name in ("img", "source", "input"):
        if tag.name == "source" and getattr(tag.parent, "name", "") in ("video", "audio"):
            return []
        sets = [candidate for name in _SET for candidate in split_srcset(value(name))]
        return [value(name) for name in _ADDRESS] + sets
    if tag.name == "a":
        return [value("href")] if _ends_like_a_picture(value("href")) else []
    if tag.name == "meta":
        return [value("content")] if value("property") in _META or value("name") in _META else []
    if tag.name == "link":
        return [value("href")] if "image_src" in value("rel") else []
    return [value("href") or value("xlink:href")]


def split_srcset(text: str) -> list[str]:
    """A srcset's addresses, without their widths and densities: "a.png, b.png 2x" gives a.png and b.png."""
    return [match.group(1) for match in _CANDIDATE.finditer(text)]


def _ends_like_a_picture(reference: str) -> bool:
    if reference.startswith("data:image/"):
        return True
    try:
        return PurePosixPath(urlsplit(reference).path).suffix.lower() in PICTURE_SUFFIXES
    except ValueError:
        return False


def _absolute(start: str, reference: str) -> str | None:
    if not reference:
        return None
    if reference[:5].lower() == "data:":
        return reference
    try:
        absolute = urldefrag(urljoin(start, reference)).url
        return absolute if urlsplit(absolute).scheme in ("http", "https", "file") else None
    except ValueError:  # no address at all: "http://[oops"
        return None


def decode_data_url(address: str) -> bytes:
    """A `data:` address in, its bytes out. Raises ValueError where it is none."""
    head, comma, content = address.partition(",")
    if not comma:
        raise ValueError("a data: address without a comma")
    unquoted = unquote_to_bytes(content)
    if not head.lower().rstrip().endswith(";base64"):
        return unquoted
    packed = b"".join(unquoted.split())
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a data: address with broken base64 ({error})") from error
