"""What /metrics tells Prometheus, in a registry of the gateway's own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The gateway's counters."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.uploads = Counter("inkstream_gateway_uploads", "uploads that Kafka has", registry=registry)
        self.refused = Counter("inkstream_gateway_refused", "requests refused", ["status"], registry=registry)
        self.answers = Counter("inkstream_gateway_answers", "answers heard", ["outcome"], registry=registry)
        self.acknowledged = Histogram(
            "inkstream_gateway_acknowledged_seconds", "until Kafka has it", buckets=SECONDS, registry=registry
        )
        self.answered = Histogram(
            "inkstream_gateway_answered_seconds",
            "upload to answer, of those waited for",
            buckets=SECONDS,
            registry=registry,
        )
        self.waiting = Gauge("inkstream_gateway_waiting", "requests that wait for an answer", registry=registry)
        self.last_answer = Gauge(
            "inkstream_gateway_last_answer_timestamp_seconds", "when the last answer came", registry=registry
        )

    def text(self) -> bytes:
        """Prometheus's text format."""
        return generate_latest(self._registry)
