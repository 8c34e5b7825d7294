"""manifest.json of a prepared data set: what is in it, what was left out and why, and the hash that names it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inkstream.errors import SchemaError

MANIFEST = "manifest.json"
CONTACT_SHEET = "contact_sheet.png"
DATA, LEFT_OUT = "data", "left_out"
FORMAT = 1
SPLITS = ("train", "held", "test")


class Manifest(BaseModel):
    """counts: split -> label -> pictures, copies not counted. left_out: source -> reason code -> pictures.

    sha256: of every picture, label, split and copy, and of nothing else: the same data have the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=FORMAT, le=FORMAT)
    sha256: str
    labels: tuple[str, ...]
    preprocess: str
    height: int
    width: int
    pictures: int
    copies: int
    counts: dict[str, dict[str, int]]
    sources: dict[str, dict[str, int]]  # source -> split -> pictures
    left_out: dict[str, dict[str, int]]
    held: float
    test: float
    augment: int
    seed: int
    made_from: tuple[str, ...]
    code_version: str
    created: str

    def to_json(self) -> bytes:
        return (self.model_dump_json(indent=1) + "\n").encode()


def parse_manifest(content: bytes, path: str) -> Manifest:
    """manifest.json's bytes in. Raises SchemaError where they are none of ours; `path` is for the message."""
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        finding = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in finding["loc"]) or "the file"
        raise SchemaError(f"{path} describes no prepared data set: {key}: {finding['msg'].lower()}") from error


def nested(rows: Iterable[tuple[Any, Any, int]]) -> dict[str, dict[str, int]]:
    """(outer, inner, count) rows in, sorted by name at both levels, and added up, out."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for outer, inner, count in rows:
        found[str(outer)][str(inner)] += count
    return {outer: dict(sorted(inner.items())) for outer, inner in sorted(found.items())}
