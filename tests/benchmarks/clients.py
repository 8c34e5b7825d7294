"""Many clients of an HTTP upload at once, in one process; of the `bench` extra, so imported once that is there."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import aiohttp

from benchmarks.figures import Incomplete, percentiles

LONGEST = aiohttp.ClientTimeout(total=60)


async def flood(address: str, picture: bytes, seconds: float, clients: int) -> tuple[dict[str, float], list[str]]:
    """As many as go, each client one at a time; the figures, and the ids that were given."""
    took: list[tuple[float, str]] = []
    async with aiohttp.ClientSession(timeout=LONGEST, connector=aiohttp.TCPConnector(limit=clients)) as session:
        started = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - started < seconds:
                took.append(await _post(session, address, picture))

        await asyncio.gather(*(client() for _ in range(clients)))
        all_s = time.perf_counter() - started
    return {"per_s": len(took) / all_s, **_percentiles(took)}, [image_id for _, image_id in took]


async def steady(address: str, picture: bytes, seconds: float, rate: float) -> dict[str, float]:
    """So many a second; how long each waited for its answer. Raises Incomplete where one did not come in time."""
    async with aiohttp.ClientSession(timeout=LONGEST) as session:
        started = time.perf_counter()
        tasks = []
        for number in range(int(seconds * rate)):
            await asyncio.sleep(started + number / rate - time.perf_counter())
            tasks.append(asyncio.create_task(_post(session, address, picture, answered=True)))
        return _percentiles(await asyncio.gather(*tasks))


async def _post(
    session: aiohttp.ClientSession, address: str, picture: bytes, *, answered: bool = False
) -> tuple[float, str]:
    """Seconds until the response was there, and the id in it, if any."""
    started = time.perf_counter()
    async with session.post(address, data=picture, headers={"content-type": "image/jpeg"}) as response:
        body = await response.read()
        seconds = time.perf_counter() - started
        if not response.ok or (answered and response.status != HTTPStatus.OK):
            raise Incomplete(f"{address} answered {response.status}: {body[:200]!r}")
        return seconds, str((await response.json()).get("id", ""))


def _percentiles(took: list[tuple[float, str]]) -> dict[str, float]:
    return {f"{name}_s": value for name, value in percentiles([one for one, _ in took]).items()}
