"""An upload in; an id, and in time its answer, out: what every way of uploading has in common."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from time import perf_counter

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool

from inkstream.errors import ServiceError
from inkstream.gateway.answers import Answers
from inkstream.gateway.bodies import Upload
from inkstream.gateway.identity import image_id_of_key, new_image_id
from inkstream.gateway.limits import Limits
from inkstream.gateway.metrics import Metrics
from inkstream.gateway.shapes import Answered, Waiting, answered, location_of, stored
from inkstream.gateway.store import Store
from inkstream.gateway.uploads import Uploads
from inkstream.producer.pictures import Picture
from inkstream.producer.send import upload_headers
from inkstream.settings import Settings
from inkstream.store.pictures import StoredPicture, read_picture


@dataclass(frozen=True)
class Sender:
    """Who uploads: what limits are counted under, and what the pictures carry as their source."""

    name: str
    source: str


@dataclass
class Reception:
    """The open ends behind the doors. Kafka is needed; Cassandra only for what was answered before."""

    settings: Settings
    uploads: Uploads
    answers: Answers
    store: Store
    limits: Limits
    metrics: Metrics
    model_version: str

    async def receive(
        self, uploads: Sequence[Upload], sender: Sender, wait_s: float, key: str = "", *, same_bytes: bool = False
    ) -> list[Answered | Waiting]:
        """Send the pictures, wait so long for their answers, in the order of the pictures.

        key: an idempotency key for all of them; same_bytes: the bytes themselves are the key.

        Raises:
            HTTPException: 422 the key was used with other bytes, 429 the sender has sent too much.
            ServiceError: Kafka does not take them.
        """
        pause = await run_in_threadpool(self.limits.wait_s, sender.name, len(uploads))
        if pause:
            text = f"You sent a lot of pictures at once; wait {pause:.0f} seconds, then send this one again."
            raise HTTPException(429, text, {"Retry-After": str(max(1, round(pause)))})
        deadline = perf_counter() + wait_s
        received = [
            self._receive(upload, sender, deadline, self._key(upload, key, number, same_bytes=same_bytes))
            for number, upload in enumerate(uploads)
        ]
        return list(await asyncio.gather(*received))

    @staticmethod
    def _key(upload: Upload, key: str, number: int, *, same_bytes: bool) -> str:
        if same_bytes:
            return f"bytes:{hashlib.sha256(upload.content).hexdigest()}"
        return f"key:{key}:{number}" if key else ""

    async def _receive(self, upload: Upload, sender: Sender, deadline: float, key: str) -> Answered | Waiting:
        image_id, again = new_image_id(), False
        if key:
            image_id = image_id_of_key(sender.name, key)
            digest = hashlib.sha256(upload.content).hexdigest()
            first = await run_in_threadpool(self.limits.remember, image_id, digest)
            if first not in (None, digest):
                raise HTTPException(422, "This idempotency key was used before, with another picture.")
            picture = await run_in_threadpool(self._stored, image_id)
            if picture is not None:
                return stored(picture, again=True)
            again = first is not None  # on its way, or never sent: sending it again writes the same rows
        with self.answers.expect(image_id) as coming:
            started = perf_counter()
            await self._send(image_id, upload, sender)
            try:
                answer = await asyncio.wait_for(coming, max(0.0, deadline - perf_counter()))
            except asyncio.TimeoutError:
                return Waiting(id=image_id, location=location_of(image_id), again=again)
            self.metrics.answered.observe(perf_counter() - started)
            return answered(answer, filename=upload.filename or None, again=again)

    async def _send(self, image_id: str, upload: Upload, sender: Sender) -> None:
        picture = Picture(filename=upload.filename, path=upload.filename, content=upload.content)
        headers = upload_headers(picture, sender.source, datetime.now(timezone.utc))
        took = await self.uploads.send(self.settings.kafka.uploaded, image_id, upload.content, headers)
        self.metrics.uploads.inc()
        self.metrics.acknowledged.observe(took)

    def _stored(self, image_id: str) -> StoredPicture | None:
        """The stored picture, None where it is not answered yet or Cassandra is away."""
        try:
            return read_picture(self.store.session(), image_id, self.store.model_version(self.model_version))
        except ServiceError:
            return None
