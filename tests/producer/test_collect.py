from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from inkstream.errors import FoundError, ServiceError, SettingError
from inkstream.producer.collect import collect, linked_pictures, open_page, page_address, source_of
from inkstream.producer.fetch import Fetched, Fetcher
from inkstream.producer.pictures import Failure, Item, Picture
from webserver import Reply, serve

LIMIT = 5000


def _png(shade: int) -> bytes:
    written = io.BytesIO()
    Image.new("L", (4, 4), shade).save(written, "png")
    return written.getvalue()


def _collect(fetcher: Fetcher, address: str) -> list[Item]:
    page = open_page(fetcher, address, LIMIT)
    return list(collect(fetcher, page, linked_pictures(page), LIMIT))


def test_each_picture_of_a_page_comes_once_by_address_and_by_bytes() -> None:
    html = b'<img src="a.png"><img src="/x/b.png"><img src="a.png"><img src="copy-of-a.png">'
    replies = {
        "/x/page": Reply(html, headers=(("Content-Type", "text/html"),)),
        "/x/a.png": Reply(_png(1), headers=(("Content-Type", "text/plain"),)),
        "/x/b.png": Reply(_png(2)),
        "/x/copy-of-a.png": Reply(_png(1)),
    }
    with serve(replies) as site, Fetcher() as fetcher:
        items = _collect(fetcher, f"{site.address}/x/page")
        assert items == [
            Picture("a.png", f"{site.address}/x/a.png", _png(1)),
            Picture("b.png", f"{site.address}/x/b.png", _png(2)),
        ]
        assert site.asked.count("/x/a.png") == 1


def test_what_is_no_picture_by_its_bytes_is_named_whatever_the_server_calls_it() -> None:
    html = Reply(b'<img src="a.png"><img src="gone.png">')
    replies = {"/": html, "/a.png": Reply(b"<html>", headers=(("Content-Type", "image/png"),))}
    with serve(replies) as site, Fetcher() as fetcher:
        assert _collect(fetcher, f"{site.address}/") == [
            Failure(f"{site.address}/a.png", "it is no picture"),
            Failure(f"{site.address}/gone.png", "the server answers 404"),
        ]


def test_inline_pictures_come_too() -> None:
    inline = base64.b64encode(_png(3)).decode()
    replies = {"/p.html": Reply(f'<img src="data:image/png;base64,{inline}"><img src="data:,x">'.encode())}
    with serve(replies) as site, Fetcher() as fetcher:
        picture, failure = _collect(fetcher, f"{site.address}/p.html")
        assert picture == Picture("p.html#data", f"{site.address}/p.html#data", _png(3))
        assert isinstance(failure, Failure)


def test_an_inline_picture_over_the_limit_is_named() -> None:
    with Fetcher() as fetcher:
        page = Fetched("http://h/", b"")
        [failure] = collect(fetcher, page, ["data:," + "x" * 99], 98)
    assert failure == Failure("data:," + "x" * 99, "it has 99 bytes; 98 are taken at most")


def test_a_page_on_the_disk_leads_to_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a b.png").write_bytes(_png(1))
    page = tmp_path / "page.html"
    page.write_text('<img src="a%20b.png"><img src="a b.png"><img src="gone.png">')
    with Fetcher() as fetcher:
        picture, *failures = _collect(fetcher, page_address(str(page)))
    assert isinstance(picture, Picture)
    assert picture.filename == "a b.png"
    assert [type(failure) for failure in failures] == [Failure]


def test_a_page_from_the_web_may_not_name_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(1))
    replies = {"/": Reply(f'<img src="{(tmp_path / "a.png").as_uri()}">'.encode())}
    with serve(replies) as site, Fetcher() as fetcher:
        [failure] = _collect(fetcher, f"{site.address}/")
        assert isinstance(failure, Failure)
        assert "may not name a file" in failure.reason


def test_the_address_of_a_picture_is_a_page_of_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png(1))
    with Fetcher() as fetcher:
        [picture] = _collect(fetcher, (tmp_path / "a.png").as_uri())
    assert isinstance(picture, Picture)
    assert picture.content == _png(1)


def test_a_page_without_pictures_has_nothing_to_send() -> None:
    with Fetcher() as fetcher, serve({"/": Reply(b"<p>words</p>")}) as site, pytest.raises(SettingError) as caught:
        _collect(fetcher, f"{site.address}/")
    assert "links to no picture" in str(caught.value)


def test_a_page_that_is_not_there_is_named() -> None:
    with Fetcher() as fetcher, serve({}) as site, pytest.raises(SettingError) as caught:
        open_page(fetcher, f"{site.address}/nix", LIMIT)
    assert "nix cannot be read: the server answers 404" in str(caught.value)


def test_a_page_that_robots_txt_forbids_is_not_read() -> None:
    with serve({"/robots.txt": Reply(b"User-agent: *\nDisallow: /"), "/": Reply()}) as site, Fetcher() as fetcher:
        with pytest.raises(FoundError, match=r"robots\.txt forbids"):
            open_page(fetcher, f"{site.address}/", LIMIT)
        assert site.asked == ["/robots.txt"]


def test_a_page_s_host_that_does_not_answer_is_a_service_out_of_reach() -> None:
    with serve({}) as site:
        address = site.address
    with Fetcher() as fetcher, pytest.raises(ServiceError, match="cannot be reached"):
        open_page(fetcher, address, LIMIT)


@pytest.mark.parametrize("page", ["nowhere.html", "ftp://host/a", "http://", "."])
def test_what_is_no_page_is_named(page: str) -> None:
    with pytest.raises(SettingError, match=page):
        page_address(page)


def test_the_source_is_the_host_of_the_page() -> None:
    assert [source_of(a) for a in ("https://Host.org:81/x", "file:///x")] == ["host.org", "collect"]
