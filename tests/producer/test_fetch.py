from __future__ import annotations

import gzip
import socket
import time
from pathlib import Path

import pytest

from inkstream.producer import fetch
from inkstream.producer.fetch import Fetcher, NotFetched
from webserver import Reply, serve

LIMIT = 1000


def _redirect(to: str) -> Reply:
    return Reply(status=302, headers=(("Location", to),))


def _refusal(fetcher: Fetcher, address: str) -> str:
    with pytest.raises(NotFetched) as caught:
        fetcher.fetch(address, LIMIT)
    return str(caught.value)


def test_an_address_is_read_and_the_project_is_named_as_the_reader() -> None:
    with serve({"/a.png": Reply(b"bytes")}) as site, Fetcher() as fetcher:
        assert fetcher.fetch(f"{site.address}/a.png", LIMIT) == (f"{site.address}/a.png", b"bytes")
        assert [agent.startswith("InkStream/") for agent in site.agents] == [True]


def test_robots_txt_is_asked_once_and_respected() -> None:
    robots = Reply(b"User-agent: *\nDisallow: /private/\n\nUser-agent: InkStream\nDisallow: /ink/\n")
    with serve({"/robots.txt": robots, "/ink/a": Reply(), "/b": Reply()}) as site, Fetcher() as fetcher:
        fetcher.fetch(f"{site.address}/b", LIMIT)
        assert "robots.txt forbids it" in _refusal(fetcher, f"{site.address}/ink/a")
        assert site.asked == ["/robots.txt", "/b"]


@pytest.mark.parametrize("status", [500, 503])
def test_a_robots_txt_that_fails_forbids_everything(status: int) -> None:
    with serve({"/robots.txt": Reply(status=status), "/a": Reply()}) as site, Fetcher() as fetcher:
        assert "robots.txt forbids it" in _refusal(fetcher, f"{site.address}/a")


def test_without_a_robots_txt_everything_is_allowed() -> None:
    with serve({"/robots.txt": Reply(status=403), "/a": Reply(b"x")}) as site, Fetcher() as fetcher:
        assert fetcher.fetch(f"{site.address}/a", LIMIT).content == b"x"


def test_a_redirected_robots_txt_is_heeded() -> None:
    replies = {"/robots.txt": _redirect("/r.txt"), "/r.txt": Reply(b"User-agent: *\nDisallow: /"), "/a": Reply()}
    with serve(replies) as site, Fetcher() as fetcher:
        assert "robots.txt forbids it" in _refusal(fetcher, f"{site.address}/a")


def test_the_delay_that_robots_txt_asks_for_is_kept_up_to_a_limit() -> None:
    pauses: list[float] = []
    robots = Reply(b"User-agent: *\nCrawl-delay: 3600\n")
    with serve({"/robots.txt": robots, "/a": Reply(), "/b": Reply()}) as site, Fetcher(pauses.append) as fetcher:
        fetcher.fetch(f"{site.address}/a", LIMIT)
        fetcher.fetch(f"{site.address}/b", LIMIT)
    assert [round(pause) for pause in pauses] == [fetch.MAX_DELAY_S]


def test_redirects_are_followed_and_the_last_address_is_told() -> None:
    with serve({"/a": _redirect("/b/"), "/b/": _redirect("c"), "/b/c": Reply(b"x")}) as site, Fetcher() as fetcher:
        assert fetcher.fetch(f"{site.address}/a", LIMIT) == (f"{site.address}/b/c", b"x")


def test_a_circle_of_redirects_ends() -> None:
    with serve({"/a": _redirect("/a")}) as site, Fetcher() as fetcher:
        assert "redirects more than 5 times" in _refusal(fetcher, f"{site.address}/a")


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://host/a"])
def test_a_redirect_leads_to_web_addresses_only(to: str) -> None:
    with serve({"/a": _redirect(to)}) as site, Fetcher() as fetcher:
        assert "no web address" in _refusal(fetcher, f"{site.address}/a")


def test_a_redirect_to_what_robots_txt_forbids_is_refused() -> None:
    replies = {"/robots.txt": Reply(b"User-agent: *\nDisallow: /b"), "/a": _redirect("/b"), "/b": Reply()}
    with serve(replies) as site, Fetcher() as fetcher:
        assert "robots.txt forbids it" in _refusal(fetcher, f"{site.address}/a")


@pytest.mark.parametrize("status", [404, 410, 500, 204])
def test_any_other_status_is_told(status: int) -> None:
    with serve({"/a": Reply(status=status)}) as site, Fetcher() as fetcher:
        assert _refusal(fetcher, f"{site.address}/a") == f"the server answers {status}"


def test_what_is_too_large_is_not_read_to_its_end() -> None:
    packed = gzip.compress(bytes(50_000_000))
    encoded = Reply(packed, headers=(("Content-Encoding", "gzip"),))
    with serve({"/a": Reply(bytes(LIMIT)), "/b": Reply(bytes(LIMIT + 1)), "/c": encoded}) as site, Fetcher() as fetcher:
        assert len(fetcher.fetch(f"{site.address}/a", LIMIT).content) == LIMIT
        assert "1,000 are taken at most" in _refusal(fetcher, f"{site.address}/b")
        assert "1,000 are taken at most" in _refusal(fetcher, f"{site.address}/c")


def test_a_server_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "READ_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, Fetcher() as fetcher:
        started = time.monotonic()
        assert "Timeout" in _refusal(fetcher, f"http://127.0.0.1:{silent.getsockname()[1]}/a")
        assert time.monotonic() - started < 5


def test_a_host_that_does_not_answer_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Fetcher() as fetcher, pytest.raises(NotFetched) as caught:
        fetcher.fetch(f"http://127.0.0.1:{port}/a", LIMIT)
    assert caught.value.unreachable


@pytest.mark.parametrize("address", ["http://", "http://[::1", "http://a b/", "http://127.0.0.1:99999/"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with Fetcher() as fetcher:
        assert _refusal(fetcher, address)


def test_a_file_is_read_by_its_address(tmp_path: Path) -> None:
    path = tmp_path / "ä #1.png"
    path.write_bytes(b"bytes")
    with Fetcher() as fetcher:
        assert fetcher.fetch(path.as_uri(), LIMIT).content == b"bytes"
        assert "there is no file" in _refusal(fetcher, (tmp_path / "b").as_uri())
        assert "there is no file" in _refusal(fetcher, tmp_path.as_uri())
        path.write_bytes(bytes(LIMIT + 1))
        assert "1,000 are taken at most" in _refusal(fetcher, path.as_uri())
