from __future__ import annotations

import pytest

from inkstream.producer.page import decode_data_url, find_pictures, split_srcset

PAGE = "https://host/folder/page.html"


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<img src="a.png">', ["https://host/folder/a.png"]),
        ('<img src="/a.png">', ["https://host/a.png"]),
        ('<img src="//cdn/a.png">', ["https://cdn/a.png"]),
        ('<img src="http://other:81/a.png?x=1#part">', ["http://other:81/a.png?x=1"]),
        ('<img src=" a.png ">', ["https://host/folder/a.png"]),
        ('<img data-src="a.png">', ["https://host/folder/a.png"]),
        ('<img src="a" srcset="b 1x, c 2x">', [f"https://host/folder/{name}" for name in "abc"]),
        ('<picture><source srcset="b.webp"><img src="a.png"></picture>', ["b.webp", "a.png"]),
        ('<a href="a.JPG">x</a><a href="b.html">y</a><a href="c.png?w=1">z</a>', ["a.JPG", "c.png?w=1"]),
        ('<meta property="og:image" content="/og.png"><meta name="author" content="a.png">', ["https://host/og.png"]),
        ('<link rel="image_src" href="l.png"><link rel="stylesheet" href="s.png">', ["l.png"]),
        ('<svg><image href="i.png"/></svg>', ["i.png"]),
        ('<input type="image" src="i.png"><input type="text">', ["i.png"]),
        ('<video><source src="film.mp4"></video>', []),
        ('<base href="/up/"><img src="a.png">', ["https://host/up/a.png"]),
        ('<base href="http://b/"><base href="http://c/"><img src="a.png">', ["http://b/a.png"]),
        ('<img src="data:image/png;base64,AAAA">', ["data:image/png;base64,AAAA"]),
        ('<img src="a.png"><img src="./a.png"><img src="a.png#x">', ["a.png"]),
        ('<img src="javascript:alert(1)"><img src="ftp://h/a.png"><img src=""><img>', []),
        ('<img src="http://[oops/a.png"><a href="http://[oops/a.png">x</a><img src="b.png">', ["b.png"]),
        ("", []),
        ("no page at all", []),
    ],
)
def test_a_page_s_pictures_are_found_each_once(html: str, found: list[str]) -> None:
    expected = [name if ":" in name else f"https://host/folder/{name}" for name in found]
    assert find_pictures(html.encode(), PAGE) == expected


def test_bytes_that_are_no_page_hold_no_picture() -> None:
    assert find_pictures(bytes(range(256)) * 9, PAGE) == []
    assert find_pictures(b'<?xml version="1.0"?><rss><img src="a.png"/></rss>', PAGE) == ["https://host/folder/a.png"]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a.png", ["a.png"]),
        ("a.png, b.png 2x", ["a.png", "b.png"]),
        ("a.png 100w,b.png 200w 50h , c.png", ["a.png", "b.png", "c.png"]),
        ("x,y.png 1x, /c.png", ["x,y.png", "/c.png"]),
        ("data:image/png;base64,AA== 1x, b.png 2x", ["data:image/png;base64,AA==", "b.png"]),
        ("", []),
        (" , ", []),
    ],
)
def test_a_srcset_is_split_at_its_commas_but_not_within_an_address(text: str, addresses: list[str]) -> None:
    assert split_srcset(text) == addresses


@pytest.mark.parametrize(
    "address",
    ["data:image/png;base64,aGk=", "data:;base64,aGk", "DATA:x;BASE64,a%47k%3D", "data:,hi", "data:text/plain,%68i"],
)
def test_a_data_address_holds_its_bytes(address: str) -> None:
    assert decode_data_url(address) == b"hi"


@pytest.mark.parametrize("address", ["data:image/png;base64", "data:;base64,?", "data:;base64,a"])
def test_a_broken_data_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="data: address"):
        decode_data_url(address)
