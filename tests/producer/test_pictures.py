from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from inkstream.producer.pictures import content_type_of, place_of


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "avif"])
def test_the_content_type_is_that_of_the_bytes(kind: str) -> None:
    written = io.BytesIO()
    Image.new("L", (32, 32), 255).save(written, kind)
    assert content_type_of(written.getvalue()) == f"image/{kind}"


@pytest.mark.parametrize("content", [b"", b"\x89PN", b"hello, world", b"%PDF-1.7", b"PK\x03\x04", b"<svg></svg>"])
def test_what_is_no_picture_has_no_content_type(content: bytes) -> None:
    assert content_type_of(content) is None


def test_a_place_is_the_same_however_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    typed = ["c.png", "./c.png", "../b/c.png", str(tmp_path / "a/b/c.png"), "/" + os.path.relpath("c.png", "/")]
    assert {place_of(Path(path)) for path in typed} == {tmp_path / "a" / "b" / "c.png"}
