"""A web page in, its pictures out, each once by its address and by its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from inkstream.errors import FoundError, ServiceError, SettingError
from inkstream.producer.fetch import Fetched, Fetcher, NotFetched
from inkstream.producer.page import decode_data_url, find_pictures
from inkstream.producer.pictures import Failure, Item, Items, Picture, content_type_of, place_of, too_large

MAX_PAGE_BYTES = 16 << 20
SHOWN_CHARACTERS = 120
FROM_A_FILE = "collect"


def page_address(page: str) -> str:
    """What the user typed to an address: http(s):// and file:// as they are, anything else as a file's path.

    Raises:
        SettingError: there is no such file, or the address is of another kind.
    """
    if "://" in page:
        scheme, _, rest = page.partition("://")
        if scheme.lower() not in ("http", "https", "file") or not rest:
            raise SettingError(f"{page} is no page's address; give http://, https://, file:// or a file's path")
        return page
    path = place_of(Path(page))
    if not path.is_file():
        raise SettingError(f"{page} is no file; give a page's path, or its address with http:// or https://")
    return path.as_uri()


def source_of(address: str) -> str:
    """The page's host, which is what its pictures have for a source; `collect` for a page from the disk."""
    return urlsplit(address).hostname or FROM_A_FILE


def open_page(fetcher: Fetcher, address: str, max_bytes: int) -> Fetched:
    """The page itself, which may be a picture.

    Raises:
        ServiceError: its host does not answer.
        SettingError: there is no such page, or it is too large.
    """
    try:
        return fetcher.fetch(address, max(MAX_PAGE_BYTES, max_bytes))
    except NotFetched as error:
        if error.unreachable:
            raise ServiceError(f"{address} cannot be reached: {error}") from error
        if "robots.txt" in str(error):
            raise FoundError(f"{address} is not collected: {error}") from error
        raise SettingError(f"{address} cannot be read: {error}") from error


def linked_pictures(page: Fetched) -> list[str]:
    """The addresses of the page's pictures; the page's own where it is a picture.

    Raises:
        SettingError: there are none.
    """
    if content_type_of(page.content):
        return [page.address]
    found = find_pictures(page.content, page.address)
    if not found:
        raise SettingError(f"{page.address} links to no picture; nothing to send")
    return found


def collect(fetcher: Fetcher, page: Fetched, addresses: list[str], max_bytes: int) -> Items:
    """Yield the pictures at the addresses; the same bytes a second time are left out.

    A Failure for what cannot or may not be fetched, is too large, or is no picture by its bytes, whatever the server
    calls it, and for a file's address on a page from the web.
    """
    seen: set[bytes] = set()
    for address in addresses:
        item = _collect_one(fetcher, page, address, max_bytes)
        if isinstance(item, Picture):
            digest = hashlib.sha256(item.content).digest()
            if digest in seen:
                continue
            seen.add(digest)
        yield item


def _collect_one(fetcher: Fetcher, page: Fetched, address: str, max_bytes: int) -> Item:
    shown = address[:SHOWN_CHARACTERS]
    inline = address[:5].lower() == "data:"
    try:
        if inline:
            content = decode_data_url(address)
        elif address == page.address:
            content = page.content
        elif address.startswith("file:") and not page.address.startswith("file:"):
            return Failure(shown, "a page from the web may not name a file on this machine")
        else:
            content = fetcher.fetch(address, max_bytes).content
    except (NotFetched, ValueError) as error:
        return Failure(shown, str(error))
    if len(content) > max_bytes:
        return Failure(shown, too_large(len(content), max_bytes))
    if content_type_of(content) is None:
        return Failure(shown, "it is no picture")
    if inline:
        return Picture(f"{_name_of(page.address)}#data", f"{page.address}#data", content)
    return Picture(_name_of(address), address, content)


def _name_of(address: str) -> str:
    parts = urlsplit(address)
    return unquote(PurePosixPath(parts.path).name) or parts.hostname or address
