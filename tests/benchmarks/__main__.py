"""Benchmarks, each ours and the alternatives in turn on the same services; `./submit.sh bench` starts this."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import broken, cold, drain, gateway, latency, photos, rescore, scale
from benchmarks.figures import Incomplete, Outcome, report_of
from benchmarks.machine import machine, versions
from benchmarks.options import Options, pictures_of
from benchmarks.place import own_place
from benchmarks.showing import draw, show
from inkstream.errors import InkstreamError
from inkstream.settings import load_settings
from inkstream.times import rfc3339

BENCHMARKS = {
    "drain": drain.run,
    "latency": latency.run,
    "photos": photos.run,
    "gateway": gateway.run,
    "broken": broken.run,
    "rescore": rescore.run,
    "cold": cold.run,
    "scale": scale.run,
}
QUICK = ("drain", "latency", "photos")  # what a quick run has time for in its three minutes
ROUNDS = 3
FREE_SHARE = 0.5  # of its cores that others may keep busy before the run


def main(argv: list[str] | None = None) -> int:
    """Run the named benchmarks, or all; ends with 1 where one lost something or could not be run."""
    parser = argparse.ArgumentParser(prog="./submit.sh bench", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, 160)  # a table's columns stay readable where it is no terminal
    started = time.monotonic()

    def tell(line: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {line}", markup=False)

    rounds = arguments.rounds or (1 if arguments.quick else ROUNDS)
    options = Options(arguments.quick, rounds, pictures_of(arguments.mnist), tell)
    about: dict[str, Any] = {
        "made_at": rfc3339(datetime.now(timezone.utc)),
        "command": " ".join(["./submit.sh bench", *(argv if argv is not None else sys.argv[1:])]),
        "quick": arguments.quick,
        "machine": machine(),
        "versions": versions(),
    }
    here = about["machine"]
    if here["load_before"] > here["cores"] * FREE_SHARE:
        tell(f"not comparable: something else keeps this machine busy (load {here['load_before']:.1f})")
    names = chosen(arguments.names, quick=arguments.quick)
    if not arguments.names and (others := [name for name in BENCHMARKS if name not in names]):
        tell(f"a quick run leaves out {', '.join(others)}; `./submit.sh bench --quick {others[0]}` is one of them")
    try:
        outcomes, failed = _run(names, options, console)
    except InkstreamError as error:  # before the first: another run, or services that do not start
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}", markup=False)
        return error.exit_status
    folder = load_settings().local.path / "bench"
    file = arguments.json or folder / "report.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report_of(outcomes, about), indent=2) + "\n")
    chart = file.with_suffix(".png")
    draw(outcomes, chart)
    tell(f"figures in {file}, chart in {chart}" if outcomes else f"no figures; {file} holds none")
    return 1 if failed else 0


def chosen(names: list[str], *, quick: bool) -> list[str]:
    """The benchmarks of a run: those that are named, else all, or of a quick run the ones that it has time for."""
    return names or list(QUICK if quick else BENCHMARKS)


def _run(names: list[str], options: Options, console: Console) -> tuple[list[Outcome], bool]:
    outcomes, failed = [], False
    with ExitStack() as stack:
        place = stack.enter_context(own_place(options.pictures))
        for name in names:
            try:
                outcome = BENCHMARKS[name](options, place)
            except (Incomplete, InkstreamError) as error:
                console.print(f"{name} FAILED: {error}", style="bold red", markup=False)
                failed = True
                continue
            show(outcome, console)
            outcomes.append(outcome)
    return outcomes, failed


if __name__ == "__main__":
    sys.exit(main())
