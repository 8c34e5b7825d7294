from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from inkstream.gateway.remote import NotFetched, fetch_picture


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        where = self.path.removeprefix("/to/")
        if where != self.path:
            self.send_response(302)
            self.send_header("Location", where)
            self.end_headers()
        elif self.path == "/gone":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 1_000)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Site)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(address: str, max_bytes: int = 10_000, *, private: bool = True) -> bytes:
    return asyncio.run(fetch_picture(address, max_bytes, private=private))


def test_a_picture_is_fetched_after_redirects(site: str) -> None:
    assert fetch(f"{site}/to/{site}/a.png") == b"x" * 1_000


def test_what_is_too_large_missing_or_endless_is_told(site: str) -> None:
    with pytest.raises(NotFetched, match="more than 999 bytes"):
        fetch(f"{site}/a.png", 999)
    with pytest.raises(NotFetched, match="404"):
        fetch(f"{site}/gone")
    with pytest.raises(NotFetched, match="no server"):
        fetch("http://nowhere.invalid/a.png")
    with pytest.raises(NotFetched, match="redirects more than"):
        fetch(f"{site}/to/" * 8 + site)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0",
     "2130706433", "0x7f.1", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
def test_addresses_inside_are_not_read(host: str) -> None:
    with pytest.raises(NotFetched, match="not a public address"):
        fetch(f"http://{host}/a.png", private=False)


def test_a_redirect_leads_nowhere_else_either(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first address is let through, as a public one would be; the second is judged as it is.
    import inkstream.gateway.remote as remote

    judged: list[str] = []
    real = remote._is_public
    monkeypatch.setattr(remote, "_is_public", lambda number: judged.append(number) or len(judged) == 1 or real(number))
    with pytest.raises(NotFetched, match="not a public address"):
        fetch(f"{site}/to/{site}/a.png", private=False)
    assert judged == ["127.0.0.1", "127.0.0.1"]
