"""Runs the gateway on uvicorn until it is told to stop."""

from __future__ import annotations

import logging
import resource
import signal
import socket

import uvicorn
from fastapi import FastAPI
from rich.console import Console

from inkstream.errors import SettingError
from inkstream.gateway.app import create_app
from inkstream.settings import Settings

FINISH_S = 10  # how long a stop waits for requests that are under way
BACKLOG = 2048


def run_gateway(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are answered, or told that theirs is on its way.

    Raises:
        SettingError: the address is taken or none of this machine's, a token or Redis's address is wrong.
        ServiceError: Kafka cannot be reached.
    """
    raise_open_files()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        log_level="debug" if logging.getLogger().isEnabledFor(logging.DEBUG) else "critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=FINISH_S,
        lifespan="on",
    )
    # uvicorn raises them again once all is done: being told to end is no failure
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with _bound(host, port) as listening:
        server = _Server(config, app, _address(host, listening))
        server.run([listening])
    if server.failed is not None:
        raise server.failed


def raise_open_files() -> None:
    """Let this process have as many connections as the system allows, where the usual 1,024 open files are too few."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Server(uvicorn.Server):
    """Says where it listens once it does, and keeps what its start failed with."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, address: str) -> None:
        super().__init__(config)
        self._app = app
        self._address = address
        self.failed: Exception | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        if self.started:
            Console().print(
                f"InkStream is open at [bold]{self._address}[/] (API: {self._address}/docs); Ctrl-C ends it"
            )
        else:
            self.failed = self._app.state.failed


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingError(
            f"The gateway cannot listen on {host}:{port} ({error.strerror}); "
            "give another with --port (0: any free one) or --host"
        ) from error
    return listening


def _address(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
