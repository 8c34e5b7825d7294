"""bundle.json's bytes in, what a bundle says of itself, checked against its version, out."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inkstream.errors import BundleError

MANIFEST = "bundle.json"
FORMAT = 1
NETWORKS = ("model", "second", "third")  # what their files are called, in the order in which they are asked


class Step(BaseModel):
    """When a cascade's further network is asked: where the answer so far has less confidence than `below`.

    temperature: what its own logits are calibrated by. again: the confidence under which it looks at the picture twice
    more, moved by a pixel; 0: never.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    below: float = Field(gt=0, le=1)
    temperature: float = Field(gt=0)
    again: float = Field(0, ge=0, le=1)


class Facts(BaseModel):
    """What a bundle says of itself, apart from its files and its version."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    labels: tuple[str, ...] = Field(min_length=2)
    preprocess: str
    input_shape: tuple[int, ...]
    temperature: float = Field(gt=0)
    threshold: float = Field(ge=0, le=1)
    metrics: dict[str, Any]
    recipe: dict[str, Any]
    created: str
    cascade: tuple[Step, ...] = Field((), max_length=len(NETWORKS) - 1)

    @model_validator(mode="after")
    def _labels_are_distinct(self) -> Facts:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label is there twice")
        return self


class Manifest(Facts):
    """bundle.json."""

    format: int = Field(ge=FORMAT, le=FORMAT)
    files: dict[str, str]
    version: str

    def as_json(self) -> dict[str, Any]:
        """What bundle.json says; of one network no word of a cascade, as before there were any."""
        return self.model_dump(mode="json", exclude=None if self.cascade else {"cascade"})

    def computed_version(self) -> str:
        """sha256 (hex) of everything but the version, as JSON with sorted keys."""
        content = self.as_json()
        del content["version"]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def parse_manifest(content: bytes, what: str) -> Manifest:
    """bundle.json's bytes in, checked against the version that they name, out; `what` is for the messages.

    Raises:
        BundleError: they describe no bundle, or were edited.
    """
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in finding["loc"]) or "the file"
        raise BundleError(f"{what} is no bundle's description: {key}: {finding['msg'].lower()}") from error
    if manifest.version != manifest.computed_version():
        raise BundleError(
            f"{what} is damaged or was edited: it calls itself version {manifest.version[:12]}, "
            f"but its content is {manifest.computed_version()[:12]}; copy the bundle again"
        )
    return manifest
