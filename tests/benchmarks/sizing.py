"""How large an installation has to be: the report of `bench scale` in, docs/sizing.json and the page's figures out.

cd tests && ../.venv/bin/python -m benchmarks.sizing --mnist FOLDER    # measures, some twenty minutes, writes both
cd tests && ../.venv/bin/python -m benchmarks.sizing REPORT.json       # of a report that is there
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import OURS
from benchmarks.scale import LEFT, SPENT
from inkstream.settings import home, load_settings

PAGE = home() / "docs" / "sizing.md"
COSTS = home() / "docs" / "sizing.json"
COMMAND = "cd tests && ../.venv/bin/python -m benchmarks.sizing --mnist FOLDER"
BEGIN, END = "<!-- figures: benchmarks.sizing writes what follows -->", "<!-- end of the figures -->"

RATES = (1_000, 10_000, 100_000)
UTILISATION = 0.6  # of a core's time, and of a disk's room: the rest is for peaks, a lost node, compactions
COPIES = 3
NODE_CORES = 8
FEWEST_NODES = 3  # one of three copies may be lost
FEWEST_PARTITIONS = 4  # what topics are created with
BATCH_S = 5  # what a micro-batch may hold
DAY_S = 86_400
DIGITS = 3  # of a measured figure, so that the page's arithmetic is that of the file

MACHINE = ("processor", "cores", "memory_gib", "load_before")
MEASURED = {
    "stream_cpu_ms": "CPU of the stream, driver and workers, ms",
    "kafka_cpu_ms": "CPU of Kafka, taking the upload and its answer, ms",
    "cassandra_cpu_ms": "CPU of Cassandra, ms",
    "upload_bytes": "the picture's file, bytes",
    "kafka_bytes": "in Kafka, upload and answer, bytes",
    "cassandra_bytes": "in Cassandra, all tables, bytes",
}


@dataclass(frozen=True)
class Step:
    """A number of the installation: factors and divisors as they are multiplied and divided; the least it may be.

    least: None where the value is not a count of things, and is not rounded up.
    """

    name: str
    factors: tuple[float, ...]
    divisors: tuple[float, ...]
    least: int | None = None
    unit: str = ""

    @property
    def exact(self) -> float:
        return math.prod(self.factors) / math.prod(self.divisors)

    @property
    def value(self) -> float:
        return self.exact if self.least is None else max(self.least, math.ceil(round(self.exact, 9)))

    def line(self) -> str:
        """A row of the page's table: name, arithmetic, result."""
        arithmetic = " x ".join(map(number, self.factors)) + "".join(f" ÷ {number(one)}" for one in self.divisors)
        return f"| {self.name} | {arithmetic} = {number(self.exact)} | {number(self.value)}{self.unit} |"


def number(value: float) -> str:
    """At most four digits that count, thousands apart."""
    if value >= 1_000 or value == int(value):
        return f"{value:,.0f}"
    return f"{round(value, 9):.4g}"  # 8.0625 is 8.062, in whichever order it was multiplied


def costs_of(report: Mapping[str, Any]) -> dict[str, Any]:
    """What of a report the page is made of: the largest size's costs an image, and where they were measured."""
    cases = {case["name"]: case for case in report["benchmarks"]["scale"]["cases"]}
    left = cases[LEFT]["contenders"][OURS]["median"]
    spent = {}
    for figure, title in SPENT.items():
        *_, largest = cases[title]["contenders"].values()
        spent[figure] = median(one[figure] for one in largest["rounds"])
    spent["kafka_cpu_ms"] += left["kafka_taking_cpu_ms"]
    figures = {**spent, **left}
    return {
        "made_at": report["made_at"],
        "command": "./submit.sh bench scale" + " --quick" * report["quick"],  # without the paths of one machine
        "machine": {name: report["machine"][name] for name in MACHINE},
        "an_image": {name: rounded(figures[name]) for name in MEASURED},
    }


def rounded(value: float) -> float:
    """So many digits that count."""
    return float(f"{value:.{DIGITS}g}")


def steps(costs: Mapping[str, float], rate: int) -> Iterator[Step]:
    """Yield what so many images a second need, each with its arithmetic."""
    cores = Step("executor cores", (rate, costs["stream_cpu_ms"]), (1000, UTILISATION), 1)
    yield cores
    yield Step("partitions of `images.uploaded`: one a core", (cores.value, 1), (), FEWEST_PARTITIONS)
    yield Step("`stream.max_offsets_per_trigger`", (rate, BATCH_S), (), 1)
    for name, service in (("Kafka brokers", "kafka"), ("Cassandra nodes", "cassandra")):
        spent = (rate, costs[f"{service}_cpu_ms"], COPIES)
        yield Step(f"{name} of {NODE_CORES} cores", spent, (1000, UTILISATION, NODE_CORES), FEWEST_NODES)
    for name, service in (("Kafka", "kafka"), ("Cassandra", "cassandra")):
        written = (rate, DAY_S, costs[f"{service}_bytes"], COPIES)
        yield Step(f"disk of {name}, a day", written, (1e9, UTILISATION), unit=" GB")


def figures(costs: Mapping[str, Any]) -> str:
    """The page's figures, as Markdown: what was measured, and each number of each rate with its arithmetic."""
    an_image, machine = costs["an_image"], costs["machine"]
    lines = [
        f"Measured on {costs['made_at'][:10]} by `{costs['command']}`, {machine['cores']} cores of"
        f" {machine['processor']} (load before it: {machine['load_before']:.1f}):",
        "",
        "| an image | |",
        "|---|---|",
        *(f"| {title} | {number(an_image[name])} |" for name, title in MEASURED.items()),
    ]
    for rate in RATES:
        lines += ["", f"### {number(rate)} images a second", "", "| what | arithmetic | needed |", "|---|---|---|"]
        lines += [step.line() for step in steps(an_image, rate)]
    return "\n".join(lines)


def with_figures(page: str, made: str) -> str:
    """The page with other figures between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def main(argv: list[str] | None = None) -> int:
    """Measure unless a report is given; write the JSON and the page's figures."""
    from benchmarks import __main__ as bench

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", nargs="?", type=Path, help="what `bench scale --json` wrote")
    parser.add_argument("--mnist", type=Path, help="measure with the pictures of this folder")
    arguments = parser.parse_args(argv)
    report = arguments.report or load_settings().local.path / "bench" / "scale.json"
    if arguments.report is None:
        if arguments.mnist is None:  # the few digits that ship, again and again, are packed to half of what others take
            parser.error("give --mnist, a folder with MNIST's IDX files, or a report")
        if status := bench.main(["scale", "--mnist", str(arguments.mnist), "--json", str(report)]):
            return status
    costs = costs_of(json.loads(report.read_text()))
    COSTS.write_text(json.dumps(costs, indent=2) + "\n")
    PAGE.write_text(with_figures(PAGE.read_text(), figures(costs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
