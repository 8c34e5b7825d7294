"""Who may do what at the gateway, and what the routes work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from cassandra.cluster import Session
from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from inkstream.gateway.access import Access, Role
from inkstream.gateway.reception import Reception, Sender
from inkstream.records import encode_json
from inkstream.settings import Settings
from inkstream.store.pictures import read_picture
from inkstream.times import rfc3339

SOURCE = "web"
LABEL_CHARACTERS = 64
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="InkStream: any name, the token as password", charset="UTF-8"'}


@dataclass(frozen=True)
class Door:
    """The open ends, and who a request comes from. guest: the sender that a class's cookie stands for, if any."""

    reception: Reception
    access: Access
    guest: Callable[[Request], Sender | None]

    @property
    def settings(self) -> Settings:
        return self.reception.settings

    def session(self) -> Session:
        """Cassandra's session. Raises ServiceError."""
        return self.reception.store.session()

    def model_version(self) -> str:
        """The version whose answers are shown where there are several."""
        return self.reception.store.model_version(self.reception.model_version)

    def may(self, request: Request, role: Role) -> bool:
        """Whether the request's sender may. A class's pupil may upload; what is theirs to see, the pages show them."""
        return self.access.may(request, role) or (role == "upload" and self.guest(request) is not None)

    def require(self, request: Request, role: Role) -> None:
        """Raises HTTPException: 401 without a token, 403 where its role does not suffice."""
        if self.may(request, role):
            return
        if self.access.token_of(request) is None:
            raise HTTPException(401, f"This needs a token with the role {role}.", _CHALLENGE)
        raise HTTPException(403, f"The token's role does not suffice: this needs {role}.")

    def sender(self, request: Request) -> Sender:
        """Who uploads or corrects: a token before a pupil before an address. Raises HTTPException."""
        self.require(request, "upload")
        token = self.access.token_of(request)
        if token is not None:
            return Sender(f"token:{token.name}", f"{SOURCE}:{token.name}")
        guest = self.guest(request)
        if guest is not None:
            return guest
        return Sender(f"address:{request.client.host if request.client else '-'}", SOURCE)

    async def correct(self, request: Request, image_id: str, label: str, by: str) -> None:
        """A correction into images.corrected; a pupil corrects what they sent themselves.

        Raises:
            HTTPException: 401 or 403 the sender may not, 404 it is not the pupil's picture, 422 a value is wrong.
            ServiceError: Kafka does not take it, or for a pupil Cassandra does not say whose picture it is.
        """
        self.require(request, "upload")
        if not 1 <= len(label) <= LABEL_CHARACTERS or not label.isprintable():
            raise HTTPException(422, f"A label has 1 to {LABEL_CHARACTERS} printable characters, such as 4.")
        if not 1 <= len(image_id) <= 300:
            raise HTTPException(422, "That is no picture's id.")
        if not self.access.may(request, "upload") and not await run_in_threadpool(self._is_own, request, image_id):
            raise HTTPException(404, f"There is no picture {image_id[:128]!r} of yours.")
        value = encode_json({"id": image_id, "label": label, "by": by, "at": rfc3339(datetime.now(timezone.utc))})
        await self.reception.uploads.send(self.settings.kafka.corrected, image_id, value)

    def _is_own(self, request: Request, image_id: str) -> bool:
        """Whether a pupil sent the picture."""
        guest = self.guest(request)
        picture = read_picture(self.session(), image_id, self.model_version())
        return guest is not None and picture is not None and picture.source == guest.source
