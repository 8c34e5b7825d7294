"""The OpenAPI document in, a page about the API out: no script, no file from another host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Route:
    """One route for people. parameters: (name, about, default or blank); replies: (status, meaning)."""

    method: str
    path: str
    about: str
    parameters: list[tuple[str, str, str]]
    fields: list[tuple[str, str]]
    replies: list[tuple[str, str]]


def read_routes(document: dict[str, Any]) -> list[Route]:
    """The routes of an OpenAPI document, in its order."""
    return [
        _route(method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def _route(method: str, path: str, operation: dict[str, Any]) -> Route:
    parameters = [
        (each["name"], each.get("description") or "", _default(each.get("schema", {})))
        for each in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {})
    fields = [
        (kind, ", ".join(body.get("schema", {}).get("properties", {})) or "the bytes")
        for kind, body in content.items()
        if "$ref" not in body.get("schema", {})
    ]
    replies = [(status, reply.get("description", "")) for status, reply in sorted(operation["responses"].items())]
    about = operation.get("description") or operation.get("summary") or ""
    return Route(method.upper(), path, about, parameters, fields, replies)


def _default(schema: dict[str, Any]) -> str:
    return "" if schema.get("default") in (None, "") else str(schema["default"])
