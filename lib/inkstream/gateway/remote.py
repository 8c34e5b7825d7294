"""A web address in, the picture that lies there out; addresses inside the server's own network are refused.

The name is resolved here and the connection goes to just that address, so that no second answer of the name server
leads elsewhere; every redirect is checked again.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

import httpx

from inkstream.producer.fetch import AGENT, MAX_REDIRECTS

CONNECT_S = 4.0
WHOLE_S = 15.0
PORTS = {"http": 80, "https": 443}


class NotFetched(Exception):
    """The picture at an address cannot, or may not, be had; the message says why, for people."""


async def fetch_picture(address: str, max_bytes: int, *, private: bool = False) -> bytes:
    """The bytes at an http or https address, after redirects, at most max_bytes.

    private: also addresses that are not public, for installations whose pictures lie on servers of their own.

    Raises:
        NotFetched: the address is none, is private, answers with an error, is too slow or too large.
    """
    try:
        return await asyncio.wait_for(_follow(address, max_bytes, private), WHOLE_S)
    except asyncio.TimeoutError:
        raise NotFetched(f"the address took longer than {WHOLE_S:.0f} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise NotFetched(f"the address cannot be read ({type(error).__name__})") from error


async def _follow(address: str, max_bytes: int, private: bool) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        target, host = await _resolved(address, private)
        headers = {"Host": host, "User-Agent": AGENT, "Accept": "image/*"}
        extensions = {"sni_hostname": urlsplit(address).hostname}
        async with (
            httpx.AsyncClient(timeout=CONNECT_S, trust_env=False) as client,
            client.stream("GET", target, headers=headers, extensions=extensions) as response,
        ):
            if response.is_redirect and "location" in response.headers:
                address = urljoin(address, response.headers["location"])
                continue
            if response.status_code != 200:
                raise NotFetched(f"the server at the address answered {response.status_code}")
            content = bytearray()
            async for chunk in response.aiter_bytes(64 * 1024):
                content += chunk
                if len(content) > max_bytes:
                    raise NotFetched(f"what lies at the address has more than {max_bytes:,} bytes")
            return bytes(content)
    raise NotFetched(f"the address redirects more than {MAX_REDIRECTS} times")


async def _resolved(address: str, private: bool) -> tuple[str, str]:
    """(the address with the name replaced by its number, the Host header)."""
    parts = urlsplit(address)
    if parts.scheme not in PORTS or not parts.hostname:
        raise NotFetched("the address has to begin with http:// or https://")
    port = parts.port or PORTS[parts.scheme]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        raise NotFetched(f"there is no server {parts.hostname}") from None
    numbers = {str(place[0]) for *_, place in found}
    if not private and not all(map(_is_public, numbers)):
        raise NotFetched(f"{parts.hostname} is not a public address, and such are not read")
    number = sorted(numbers, key=lambda text: ":" in text)[0]
    netloc = f"[{number}]:{port}" if ":" in number else f"{number}:{port}"
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=netloc, fragment="").geturl(), host


def _is_public(number: str) -> bool:
    address = ipaddress.ip_address(number.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return address.is_global and not address.is_multicast
