"""docs/sizing.md holds what docs/sizing.json comes to, and its arithmetic is right."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks.figures import OURS, Case, Outcome, report_of
from benchmarks.scale import LEFT, SPENT
from benchmarks.sizing import COMMAND, COSTS, MEASURED, PAGE, RATES, costs_of, figures, number, steps, with_figures

LINE = re.compile(
    r"^\| [^|]+ \| (?P<arithmetic>[^|=]+) = (?P<exact>[\d.,]+) \| (?P<needed>[\d.,]+)(?: GB)? \|$", re.MULTILINE
)
ROUND = {
    "stream_cpu_ms": 0.6, "kafka_cpu_ms": 0.1, "cassandra_cpu_ms": 0.8,
    "kafka_bytes": 1_000.0, "cassandra_bytes": 2_000.0,
}  # fmt: skip


def read(text: str) -> float:
    return float(text.replace(",", ""))


def reckoned(arithmetic: str) -> float:
    """`2 x 3 ÷ 4` in, 1.5 out."""
    first, *rest = re.split(r" ([x÷]) ", arithmetic)
    value = read(first)
    for sign, operand in zip(rest[::2], rest[1::2], strict=True):
        value = value * read(operand) if sign == "x" else value / read(operand)
    return value


def test_the_page_holds_the_figures_of_its_file() -> None:
    page, costs = PAGE.read_text(), json.loads(COSTS.read_text())
    assert with_figures(page, figures(costs)) == page, (
        f"docs/sizing.md is not what docs/sizing.json comes to: {COMMAND}"
    )
    costs["an_image"]["cassandra_cpu_ms"] *= 1.5
    assert with_figures(page, figures(costs)) != page


def test_every_line_of_the_page_comes_to_what_it_says() -> None:
    costs = json.loads(COSTS.read_text())["an_image"]
    page = PAGE.read_text()
    lines = [found.groupdict() for found in LINE.finditer(page)]
    assert len(lines) == sum(len(list(steps(costs, rate))) for rate in RATES)
    for line in lines:
        assert number(reckoned(line["arithmetic"])) == line["exact"], line
        assert read(line["needed"]) >= read(line["exact"]), line
    assert set(MEASURED) == set(costs)


def test_ten_thousand_images_a_second_by_hand() -> None:
    needed = {step.name: step.value for step in steps(ROUND, 10_000)}
    assert needed == {
        "executor cores": 10,  # 6 cores at work, 60 % used
        "partitions of `images.uploaded`: one a core": 10,
        "`stream.max_offsets_per_trigger`": 50_000,
        "Kafka brokers of 8 cores": 3,  # 5 cores, but three copies want three
        "Cassandra nodes of 8 cores": 5,  # 8 cores, three times, at 60 %: 40
        "disk of Kafka, a day": pytest.approx(4_320),
        "disk of Cassandra, a day": pytest.approx(8_640),
    }


def test_the_costs_are_those_of_the_largest_work_with_the_upload_taken() -> None:
    sizes = {"1 x": 9.0, "16 x": 0.5}
    cases = [
        Case(title, figure, False, {name: [{figure: value}] for name, value in sizes.items()}, base="1 x")
        for figure, title in SPENT.items()
    ]
    left = {"cassandra_bytes": 2_345.6, "kafka_bytes": 1_000.0, "upload_bytes": 280.0, "kafka_taking_cpu_ms": 0.25}
    outcome = Outcome("scale", "how", [*cases, Case(LEFT, "cassandra_bytes", False, {OURS: [left]})])
    machine = {"processor": "one", "cores": 2, "memory_gib": 8.0, "load_before": 0.1, "system": "another"}
    about = {"made_at": "2026-01-31", "command": "bench scale --mnist /here", "quick": False, "machine": machine}
    costs = costs_of(report_of([outcome], about))
    assert "/here" not in json.dumps(costs)
    assert costs["an_image"] == {
        "stream_cpu_ms": 0.5,
        "kafka_cpu_ms": 0.75,
        "cassandra_cpu_ms": 0.5,
        "upload_bytes": 280.0,
        "kafka_bytes": 1_000.0,
        "cassandra_bytes": 2_350.0,
    }
