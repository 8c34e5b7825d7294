"""A request's body in, the pictures in it out: a form, JSON with base64 or an address, or the bare bytes."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import orjson
from fastapi import HTTPException, Request
from PIL import Image, UnidentifiedImageError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from inkstream.errors import Rejected
from inkstream.gateway.remote import NotFetched, fetch_picture
from inkstream.image.sniff import READ_KINDS, sniff
from inkstream.settings import Settings

FIELDS = ("file", "image", "img")  # taken everywhere, whatever the kind of the body
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.ASCII)
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture of a request."""

    content: bytes
    filename: str = ""


async def read_uploads(request: Request, settings: Settings) -> list[Upload]:
    """The pictures of a request, checked as far as their first bytes tell.

    Raises:
        HTTPException: 400 the body is broken, 413 a file or its pixels are over the limits, 415 no picture of a kind
            that is read, 422 there is none in it, or what lies at its address cannot be had.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
            uploads = await _of_form(request, settings)
        elif kind == "application/json" or kind.endswith("+json"):
            uploads = await _of_json(request, settings)
        elif kind.startswith("image/") or kind == "application/octet-stream":
            uploads = [Upload(await request.body())]
        else:
            raise HTTPException(415, "Send a form with a field `file`, JSON with `img` or `url`, or image bytes.")
    except (MultiPartException, ClientDisconnect) as error:
        raise HTTPException(400, f"The body cannot be read: {error}") from error
    if not uploads:
        raise HTTPException(422, "There is no picture in the request: the field is called `file`.")
    for upload in uploads:
        await run_in_threadpool(_check, upload.content, settings)
    return uploads


async def _of_form(request: Request, settings: Settings) -> list[Upload]:
    async with request.form(
        max_files=settings.gateway.max_files, max_fields=20, max_part_size=_text_limit(settings)
    ) as form:
        uploads = []
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name in FIELDS and (value.filename or value.size):
                    uploads.append(Upload(await value.read(), value.filename or ""))
            elif name in FIELDS and value:
                uploads.append(Upload(_from_base64(value)))
            elif name == "url" and value:
                uploads.append(await _from_address(value, settings))
        return uploads


async def _of_json(request: Request, settings: Settings) -> list[Upload]:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"The body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise HTTPException(422, 'The JSON has to be an object, such as {"img": "<base64>"} or {"url": "https://..."}.')
    uploads = []
    filename = body.get("filename")
    for name in (*FIELDS, "url"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise HTTPException(422, f"`{name}` has to be a text.")
        if name == "url":
            uploads.append(await _from_address(value, settings))
        else:
            uploads.append(Upload(_from_base64(value), filename if isinstance(filename, str) else ""))
    return uploads


def _text_limit(settings: Settings) -> int:
    return settings.image.max_image_bytes * 4 // 3 + 1024


def _from_base64(text: str) -> bytes:
    """Base64, the URL alphabet too, or a data: URL; line breaks and blanks are passed over."""
    text = _DATA_URL.sub("", text, count=1)
    packed = "".join(text.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(400, "The picture is no base64.") from error


async def _from_address(address: str, settings: Settings) -> Upload:
    try:
        content = await fetch_picture(address, settings.image.max_image_bytes, private=settings.gateway.fetch_private)
    except NotFetched as error:
        raise HTTPException(422, f"The picture was not fetched: {error}.") from error
    return Upload(content, address[:1_000])


def _check(content: bytes, settings: Settings) -> Any:
    """Refuse what need not go through Kafka; a damaged picture may, and is answered there with its reason."""
    if len(content) > settings.image.max_image_bytes:
        raise HTTPException(
            413, f"The file has {len(content):,} bytes; at most {settings.image.max_image_bytes:,} are taken."
        )
    try:
        kind = sniff(content)
    except Rejected as rejected:
        if rejected.code == "unsupported_format":
            raise HTTPException(415, f"{rejected.reason.rstrip('.')}. Read are {READ_KINDS}.") from rejected
        return
    width, height = _size(content, kind)
    if width * height > settings.image.max_pixels:
        raise HTTPException(
            413, f"The picture has {width:,} x {height:,} pixels; at most {settings.image.max_pixels:,} are taken."
        )


def _size(content: bytes, kind: str) -> tuple[int, int]:
    """Width and height by the header; (0, 0) where it does not say, and the stream will judge."""
    if kind == "heic":
        return 0, 0
    try:
        with Image.open(BytesIO(content), formats=[kind.upper()]) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0, 0
