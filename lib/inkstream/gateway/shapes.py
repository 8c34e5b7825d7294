"""What the API answers with, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from inkstream.records import Outcome, shortest_float32
from inkstream.store.pictures import StoredPicture
from inkstream.store.results import Result
from inkstream.times import rfc3339


class Waiting(BaseModel):
    """An upload that Kafka has, and that is not answered yet: ask again at `location`."""

    id: str
    location: str
    outcome: None = None
    again: bool = Field(False, description="the same upload was sent before")


class Answered(BaseModel):
    """What a picture says. A rejected one has no label, and a reason."""

    model_config = ConfigDict(extra="ignore")

    id: str
    location: str
    outcome: Outcome
    label: str | None = None
    confidence: float | None = Field(None, description="0..1, calibrated")
    probabilities: dict[str, float] | None = Field(None, description="label -> 0..1")
    reason_code: str | None = None
    reason: str | None = Field(None, description="why it was rejected, for people")
    model_version: str
    why: dict[str, Any] | None = Field(None, description="how the picture was prepared for the model")
    stage_times: dict[str, float] = Field({}, description="milliseconds by stage")
    corrected: str | None = Field(None, description="the label that a person gave last")
    filename: str | None = None
    again: bool = Field(False, description="the same upload was sent before")


class Several(BaseModel):
    """One entry for each picture of a request, in its order."""

    images: list[Answered | Waiting]


class Listed(BaseModel):
    """A line of the list of answers."""

    id: str
    location: str
    filename: str | None
    uploaded_at: str
    label: str | None
    confidence: float | None
    outcome: Outcome
    reason_code: str | None
    reason: str | None
    model_version: str
    source: str | None


class Page(BaseModel):
    """Answers of a UTC day, newest first; `cursor` leads to the next page, null at the end."""

    day: str
    predictions: list[Listed]
    cursor: str | None


class Correction(BaseModel):
    """What a person says that a picture shows."""

    label: str | int = Field(description='4 or "4"')


class Corrected(BaseModel):
    """The correction is in Kafka, and will be in the tables in a moment."""

    id: str
    label: str


class Problem(BaseModel):
    """Why a request was refused, in a sentence."""

    detail: str


def location_of(image_id: str) -> str:
    """Where the API shows a picture."""
    return f"/api/images/{image_id}"


def answered(answer: dict[str, Any], *, filename: str | None = None, again: bool = False) -> Answered:
    """An answer of images.predicted."""
    return Answered(location=location_of(answer["id"]), filename=filename, again=again, **answer)


def stored(picture: StoredPicture, *, again: bool = False) -> Answered:
    """The same out of the tables."""
    return Answered(
        id=picture.image_id,
        location=location_of(picture.image_id),
        outcome=picture.outcome,
        label=picture.label,
        confidence=_short(picture.confidence),
        probabilities=picture.probabilities,
        reason_code=picture.reason_code,
        reason=picture.reason,
        model_version=picture.model_version,
        why=picture.why,
        stage_times=picture.stage_times,
        corrected=picture.corrected,
        filename=picture.filename,
        again=again,
    )


def listed(result: Result) -> Listed:
    """A row of predictions_by_day."""
    return Listed(
        id=result.image_id,
        location=location_of(result.image_id),
        filename=result.filename,
        uploaded_at=rfc3339(result.uploaded_at),
        label=result.label,
        confidence=_short(result.confidence),
        outcome=result.outcome,
        reason_code=result.reason_code,
        reason=result.reason,
        model_version=result.model_version,
        source=result.source,
    )


def _short(confidence: float | None) -> float | None:
    """Stored as float32, told as the answer in Kafka has it."""
    return None if confidence is None else shortest_float32(confidence)
