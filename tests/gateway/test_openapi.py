"""What the OpenAPI document allows, sent in hundreds of ways: no request makes the gateway fail."""

from __future__ import annotations

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from gateway.conftest import gateway
from inkstream.settings import Settings

pytestmark = pytest.mark.services

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
TRIES = 25  # of each operation


def test_no_request_makes_the_gateway_fail(prepared: Settings) -> None:
    asked: Counter[str] = Counter()
    with gateway(prepared, uploads_per_minute=0) as address:
        document = schemathesis.openapi.from_url(f"{address}/openapi.json")
        for found in document.exclude(path="/api/events").get_all_operations():  # events never end
            operation = found.ok()

            @given(case=operation.as_strategy())
            @settings(
                max_examples=TRIES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: schemathesis.Case) -> None:
                if case.method == "POST":
                    case.query["wait"] = 0  # nothing answers here
                case.call_and_validate(checks=CHECKS)
                asked[case.operation.label] += 1

            ask()
    assert {"POST /api/images", "GET /api/predictions", "POST /api/images/{image_id}/correction"} <= asked.keys()
