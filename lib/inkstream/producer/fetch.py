"""An address in, its bytes out: http(s) with robots.txt, limits of size and time and few redirects, or a file."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname
from urllib.robotparser import RobotFileParser

import httpx

from inkstream.producer.pictures import too_large

AGENT = "InkStream"
MAX_REDIRECTS = 5
MAX_ROBOTS_BYTES = 512 * 1024  # as much as RFC 9309 asks for
MAX_DELAY_S = 10.0
CONNECT_S = 10.0
READ_S = 20.0
WHOLE_S = 60.0


class Fetched(NamedTuple):
    """What lies at an address, and the address that it was found at in the end."""

    address: str
    content: bytes


class NotFetched(Exception):
    """An address cannot, or may not, be read; the message is the reason. `unreachable`: its host did not answer."""

    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class Fetcher:
    """Reads addresses one after the other, politely: robots.txt is asked once per host, and its delay is kept."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = httpx.Client(
            headers={"User-Agent": f"{AGENT}/{version('inkstream')} (collects pictures of handwritten digits)"},
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
        )
        self._robots: dict[str, RobotFileParser] = {}
        self._last: dict[str, float] = {}
        self._sleep = sleep

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def fetch(self, address: str, max_bytes: int) -> Fetched:
        """The bytes at an http, https or file address, after redirects.

        Raises:
            NotFetched: with the reason: forbidden, too large, too slow, an error status, no such file, ...
        """
        try:
            if urlsplit(address).scheme == "file":
                return Fetched(address, _read_file(address, max_bytes))
            return self._follow(address, max_bytes)
        except ValueError as error:
            raise NotFetched(f"it, or where it redirects to, is no address: {error}") from error

    def _follow(self, address: str, max_bytes: int) -> Fetched:
        deadline = time.monotonic() + WHOLE_S
        for _ in range(MAX_REDIRECTS + 1):
            self._ask_robots(address)
            status, headers, content = self._get(address, max_bytes, deadline)
            if status in (301, 302, 303, 307, 308) and "location" in headers:
                address = urljoin(address, headers["location"])
                if urlsplit(address).scheme not in ("http", "https"):
                    raise NotFetched(f"it redirects to {address}, which is no web address")
            elif status != 200:
                raise NotFetched(f"the server answers {status}")
            else:
                return Fetched(address, content)
        raise NotFetched(f"it redirects more than {MAX_REDIRECTS} times")

    def _get(self, address: str, max_bytes: int, deadline: float) -> tuple[int, httpx.Headers, bytes]:
        content = bytearray()
        try:
            with self._client.stream("GET", address) as response:
                if response.status_code != 200:
                    return response.status_code, response.headers, b""
                for chunk in response.iter_bytes(64 * 1024):
                    content += chunk
                    if len(content) > max_bytes:
                        raise NotFetched(too_large(len(content), max_bytes).replace("has", "has at least", 1))
                    if time.monotonic() > deadline:
                        raise NotFetched(f"it takes longer than {WHOLE_S:.0f} s")
                return 200, response.headers, bytes(content)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            unreachable = isinstance(error, httpx.TransportError)
            raise NotFetched(f"{type(error).__name__}: {error}".rstrip(": "), unreachable=unreachable) from error

    def _ask_robots(self, address: str) -> None:
        parts = urlsplit(address)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._robots:
            self._robots[host] = self._read_robots(host)
        robots = self._robots[host]
        if not robots.can_fetch(AGENT, address):
            raise NotFetched(f"{host}/robots.txt forbids it")
        pause = self._last.get(host, 0.0) + min(float(robots.crawl_delay(AGENT) or 0), MAX_DELAY_S) - time.monotonic()
        if pause > 0 and host in self._last:
            self._sleep(pause)
        self._last[host] = time.monotonic()

    def _read_robots(self, host: str) -> RobotFileParser:
        """As RFC 9309 has it: none there, all allowed; the server fails, nothing allowed."""
        address = f"{host}/robots.txt"
        for _ in range(MAX_REDIRECTS + 1):
            status, headers, content = self._get(address, MAX_ROBOTS_BYTES, time.monotonic() + READ_S)
            if status not in (301, 302, 303, 307, 308) or "location" not in headers:
                break
            address = urljoin(address, headers["location"])
        robots = RobotFileParser()
        if status == 200:
            robots.parse(content.decode("utf-8", "replace").splitlines())
        else:
            robots.parse(["User-agent: *", "Disallow: /"] if status >= 500 else [])
        return robots


def _read_file(address: str, max_bytes: int) -> bytes:
    path = Path(url2pathname(urlsplit(address).path))
    try:
        if not path.is_file():
            raise NotFetched(f"there is no file {path}")
        size = path.stat().st_size
        if size > max_bytes:
            raise NotFetched(too_large(size, max_bytes))
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise NotFetched(f"{path} cannot be read: {error}") from error
