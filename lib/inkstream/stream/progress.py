"""Reports of micro-batches in; a live line on the terminal, log lines and Prometheus metrics out."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from time import monotonic
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server
from prometheus_client import Counter as Metric
from rich.console import Console
from rich.live import Live
from rich.table import Table

from inkstream.errors import SettingError
from inkstream.records import OUTCOMES, REJECTED
from inkstream.settings import Settings
from inkstream.stream.sink import BatchReport

log = logging.getLogger(__name__)

SECONDS = (0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Progress:
    """Counts what the stream did. A context manager: the live line and the metrics' port are open inside."""

    def __init__(self, settings: Settings, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._live = None if quiet or not self._console.is_terminal else Live(console=self._console, transient=False)
        self._quiet = quiet
        self._lock = threading.Lock()
        self._started = monotonic()
        self._first: float | None = None
        self._last: BatchReport | None = None
        self._rows = 0
        self._outcomes: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._lag = 0
        self._port = settings.stream.metrics_port
        self._server: Any = None
        self._metrics = StreamMetrics()

    def __enter__(self) -> Progress:
        if self._port:
            try:
                self._server, _ = start_http_server(self._port, registry=self._metrics.registry)
            except OSError as error:
                raise SettingError(
                    f"stream.metrics_port has the value {self._port}: the port cannot be opened ({error.strerror}); "
                    "name a free one, or 0 for none"
                ) from error
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(self._table())
            self._live.stop()
        elif not self._quiet:
            self._console.print(self._sentence())
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def batch_done(self, report: BatchReport) -> None:
        """Take a finished micro-batch in."""
        with self._lock:
            self._first = self._first or monotonic()
            self._last = report
            self._rows += report.rows
            self._outcomes.update(report.outcomes)
            self._reasons.update(report.reasons)
        self._metrics.batch_done(report)
        log.info(
            "batch %d: %d rows in %.2f s (predict %.2f, find %.2f, tables %.2f, topics %.2f), rejected %d",
            report.batch_id,
            report.rows,
            *(report.seconds.get(stage, 0.0) for stage in ("batch", "predict", "find", "tables", "topics")),
            report.outcomes[REJECTED],
        )
        if self._live:
            self._live.update(self._table())

    def watch(self, progress: dict[str, Any] | None) -> None:
        """Take Spark's own view of the query in: how far the stream is behind the topic."""
        if not progress:
            return
        self._lag = sum(_lag(source) for source in progress.get("sources", []))
        self._metrics.lag.set(self._lag)
        if self._live:
            self._live.update(self._table())

    def _rate(self) -> float:
        if not self._last or not self._last.seconds.get("batch"):
            return 0.0
        return self._last.rows / self._last.seconds["batch"]

    def _table(self) -> Table:
        table = Table(title="InkStream: reading images", title_justify="left")
        for name in ("images", *OUTCOMES, "images/s", "behind", "last batch"):
            table.add_column(name, justify="right")
        seconds = self._last.seconds.get("batch", 0.0) if self._last else 0.0
        counts = (f"{self._outcomes[outcome]:,}" for outcome in OUTCOMES)
        table.add_row(f"{self._rows:,}", *counts, f"{self._rate():,.0f}", f"{self._lag:,}", f"{seconds:.2f} s")
        return table

    def _sentence(self) -> str:
        reasons = ", ".join(f"{code} {count}" for code, count in self._reasons.most_common())
        counts = ", ".join(f"{self._outcomes[outcome]:,} {outcome}" for outcome in OUTCOMES)
        return f"{self._rows:,} images: {counts}" + (f" ({reasons})" if reasons else "")


class StreamMetrics:
    """The Prometheus metrics of the stream."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.images = Metric("inkstream_images", "Images answered", ["outcome"], registry=self.registry)
        self.rejected = Metric("inkstream_rejected", "Images rejected", ["reason_code"], registry=self.registry)
        self.seconds = Histogram(
            "inkstream_batch_seconds", "Seconds a micro-batch took", ["stage"], buckets=SECONDS, registry=self.registry
        )
        self.rows = Gauge("inkstream_batch_images", "Images of the last micro-batch", registry=self.registry)
        self.last = Gauge("inkstream_last_batch_timestamp_seconds", "When the last one ended", registry=self.registry)
        self.lag = Gauge("inkstream_lag_images", "Messages of the topic not yet read", registry=self.registry)

    def batch_done(self, report: BatchReport) -> None:
        """Take a finished micro-batch in."""
        for outcome, count in report.outcomes.items():
            self.images.labels(outcome).inc(count)
        for code, count in report.reasons.items():
            self.rejected.labels(code).inc(count)
        for stage, seconds in report.seconds.items():
            self.seconds.labels(stage).observe(seconds)
        self.rows.set(report.rows)
        self.last.set_to_current_time()


def _lag(source: dict[str, Any]) -> int:
    """Messages between a source's place and the topic's end; both are {topic: {partition: offset}}, or such JSON."""
    at, end = (_offsets(source.get(key)) for key in ("endOffset", "latestOffset"))
    return sum(max(0, end[place] - at.get(place, 0)) for place in end)


def _offsets(value: Any) -> dict[tuple[str, str], int]:
    if isinstance(value, str):
        value = json.loads(value)
    return {(topic, part): offset for topic, parts in (value or {}).items() for part, offset in parts.items()}
