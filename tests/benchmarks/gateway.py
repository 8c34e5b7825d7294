"""gateway: uploads that one gateway process acknowledges, and answers that people wait for."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.contenders import HERE, Contender, Running, ours
from benchmarks.figures import OURS, Case, Incomplete, Outcome, check_complete
from benchmarks.latency import WARM_UP, upload
from benchmarks.options import Options
from benchmarks.photos import pictures
from benchmarks.place import Place
from inkstream.local.extras import ensure_extra
from inkstream.local.ports import free_port

METHOD = (
    "aiohttp over kept connections, in the benchmark's own process, sends a JPEG of about 20 kB again and again; 16 "
    "requests under way. InkStream: 202 once all in-sync replicas of Kafka have it (its ids are looked for in "
    "images.uploaded). Flask: the first network's answer itself, by Keras' predict in the request; no Kafka, nothing "
    "stored. waiting: at 10 a second, until the answer is in the response (?wait=5), a stream running; a minute of "
    "the same goes before."
)
UNDER_WAY = 16
RATE = 10
WARM_S = 3.0
BYTES = 20_000
READY_S = 120
NO_LIMIT = {"INKSTREAM_GATEWAY__UPLOADS_PER_MINUTE": "0"}
FLASK = "Flask, Keras predict in the request"


def run(options: Options, place: Place) -> Outcome:
    """Uploads first, without a stream; then answers, with one."""
    ensure_extra("bench")
    ensure_extra("train")
    from benchmarks.clients import flood, steady

    picture = jpeg()
    seconds = 3.0 if options.quick else 15.0
    taken: dict[str, list[dict[str, float]]] = defaultdict(list)
    waited: dict[str, list[dict[str, float]]] = defaultdict(list)
    for number in range(options.rounds):
        flooded = place.named(f"flooded{number}")
        asked = place.named(f"asked{number}")  # of its own: a stream begins with all that its topic holds
        for name in (OURS, FLASK):
            with ExitStack() as stack:
                running, address = _serve(stack, flooded, name)
                path = f"{address}?wait=0" if name == OURS else address
                asyncio.run(flood(path, picture, WARM_S, UNDER_WAY))
                figures, ids = asyncio.run(flood(path, picture, seconds, UNDER_WAY))
                running.check()
                if name == OURS:
                    there = set(flooded.ids_in(flooded.settings.kafka.uploaded, {}))
                    check_complete(set(ids), {"images.uploaded": [one for one in there if one in set(ids)]})
                taken[name].append(figures)
                options.tell(f"gateway: {name}: {figures['per_s']:,.0f} uploads/s, p99 {figures['p99_s']:.3f} s")
        for name in (OURS, FLASK):
            with ExitStack() as stack:
                _, address = _serve(stack, asked, name)
                if name == OURS:
                    stream = stack.enter_context(ours().running(asked))
                    upload(asked, "warm", 100, WARM_UP, stream.check)
                path = f"{address}?wait=5" if name == OURS else address
                asyncio.run(steady(path, picture, 4 * seconds, RATE))
                figures = asyncio.run(steady(path, picture, seconds, RATE))
                waited[name].append(figures)
                options.tell(f"gateway: {name}: answers p50 {figures['p50_s']:.3f} s, p99 {figures['p99_s']:.3f} s")
    cases = [
        Case("uploads acknowledged", "per_s", True, dict(taken), [f"{len(picture):,} bytes each"]),
        Case(f"waiting for the answer at {RATE}/s", "p50_s", False, dict(waited)),
    ]
    return Outcome("gateway", METHOD, cases)


def jpeg() -> bytes:
    """A photographed digit of about 20 kB."""
    for side in range(160, 1600, 8):
        [made] = pictures((side, side * 3 // 4), 1)
        if len(made) >= BYTES:
            break
    return made


def _serve(stack: ExitStack, place: Place, name: str) -> tuple[Running, str]:
    port = str(free_port())
    serve = [str(Path(sys.executable).parent / "inkstream"), "serve", "--port", port]
    flask = [sys.executable, str(HERE / "flask_keras.py"), port]
    line = serve if name == OURS else flask
    running = stack.enter_context(Contender(name + " gateway", lambda _: [line], NO_LIMIT).running(place))
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        running.check()
        try:
            if httpx.get(f"{address}/readyz").is_success:
                return running, f"{address}/api/images"
        except httpx.HTTPError:
            time.sleep(0.1)
    raise Incomplete(f"{name} was not ready within {READY_S} s")
