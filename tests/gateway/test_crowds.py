"""Many who wait, many who are slow, many who come and go: nobody else notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from pyspark.sql import SparkSession

import inkstream
from gateway.conftest import gateway
from inkstream.gateway.serving import raise_open_files
from inkstream.settings import Settings
from inkstream.spark import cassandra_conf
from inkstream.store.session import open_session
from stream.conftest import Pipeline, await_keyspace

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
CROWD = 1_000
SLOW = 200
COMERS = 10_000


@pytest.fixture
def address(prepared: Settings) -> Iterator[str]:
    raise_open_files()  # both ends of each connection are in this process
    with gateway(prepared, uploads_per_minute=0) as address:
        yield address


def host_and_port(address: str) -> tuple[str, int]:
    url = httpx.URL(address)
    assert url.port
    return url.host, url.port


async def waiting(client: httpx.AsyncClient) -> int:
    return int((await client.get("/readyz")).json()["waiting"])


def test_a_thousand_who_wait_are_all_answered(
    address: str, prepared: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    for key, value in cassandra_conf(prepared).items():
        spark.conf.set(key, value)
    await_keyspace(spark, prepared.cassandra.keyspace)
    limits = httpx.Limits(max_connections=CROWD + 10)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=90) as client:
            post = [
                asyncio.create_task(
                    client.post("/api/images?wait=60", content=SEVEN, headers={"Content-Type": "image/png"})
                )
                for _ in range(CROWD)
            ]
            until = time.monotonic() + 60
            while (now := await waiting(client)) < CROWD:
                told = [one.exception() or one.result().text for one in post if one.done()]
                assert not told, f"{len(told)} of the crowd did not wait: {told[0]!r}"
                assert time.monotonic() < until, f"{now} of the crowd wait"
                await asyncio.sleep(0.2)
            assert (await client.get("/")).status_code == HTTPStatus.OK  # the page opens meanwhile
            await asyncio.to_thread(pipeline.drain)
            return list(await asyncio.gather(*post))

    with open_session(prepared.cassandra) as session:
        pipeline = Pipeline(spark, prepared, session, tmp_path)
        answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [HTTPStatus.OK] * CROWD
    assert {answer.json()["label"] for answer in answers} == {"7"}
    assert len({answer.json()["id"] for answer in answers}) == CROWD


def test_those_who_send_a_byte_now_and_then_stop_nobody(address: str) -> None:
    async def crawl_and_hurry() -> httpx.Response:
        head = b"POST /api/images HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nContent-Length: 20000\r\n\r\n"
        with ExitStack() as open_ends:
            crawlers = []
            for number in range(SLOW):
                _, writer = await asyncio.open_connection(*host_and_port(address))
                open_ends.callback(writer.close)
                writer.write(head + SEVEN[:1] if number % 2 else head[:20])
                crawlers.append(writer)
            for step in range(1, 4):
                for number, writer in enumerate(crawlers):
                    writer.write(SEVEN[step : step + 1] if number % 2 else head[19 + step : 20 + step])
                await asyncio.sleep(0.1)
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                answer = await client.post("/api/images?wait=0", files={"file": SEVEN})
                assert not any(writer.is_closing() for writer in crawlers)
                return answer

    assert asyncio.run(crawl_and_hurry()).status_code == HTTPStatus.ACCEPTED


def test_a_body_that_never_ends_is_ended_and_told_why(prepared: Settings) -> None:
    async def crawl(address: str) -> tuple[bytes, httpx.Response]:
        reader, writer = await asyncio.open_connection(*host_and_port(address))
        head = b"POST /api/images HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nContent-Length: 20000\r\n\r\n"
        writer.write(head)
        told = asyncio.create_task(reader.read())  # to the end of the connection
        for step in range(200):
            writer.write(SEVEN[step : step + 1])
            if (await asyncio.wait([told], timeout=0.1))[0]:
                break
        writer.close()
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            return await told, await client.post("/api/images?wait=0", files={"file": SEVEN})

    with gateway(prepared, body_seconds=1) as address:
        told, answer = asyncio.run(crawl(address))
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within 1 seconds" in told
    assert answer.status_code == HTTPStatus.ACCEPTED


def test_ten_thousand_who_come_and_go_at_once_stop_nobody(address: str) -> None:
    head = b"POST /api/images?wait=60 HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"

    async def come_and_go() -> None:
        for number in range(COMERS):
            _, writer = await asyncio.open_connection(*host_and_port(address))
            if number % 50 == 0:  # with a picture under way, or half of one
                writer.write(head % len(SEVEN) + SEVEN[: len(SEVEN) // (1 + number // 50 % 2)])
                await writer.drain()
            writer.close()

    async def beside_them() -> tuple[int, list[int]]:
        comers = asyncio.create_task(come_and_go())
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            answers = []
            while not comers.done() or not answers:
                answers.append((await client.post("/api/images?wait=0", files={"file": SEVEN})).status_code)
                await asyncio.sleep(0.1)
            await comers
            answers.append((await client.post("/api/images?wait=0", files={"file": SEVEN})).status_code)
            return await waiting(client), answers

    left, answers = asyncio.run(beside_them())
    assert set(answers) == {HTTPStatus.ACCEPTED}
    assert len(answers) > 2
    assert left <= COMERS // 50
