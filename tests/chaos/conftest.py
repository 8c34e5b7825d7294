"""The pipeline of tests/stream, for the tests that try to break it."""

from __future__ import annotations

from tests.stream.conftest import pipeline, tables  # noqa: F401
