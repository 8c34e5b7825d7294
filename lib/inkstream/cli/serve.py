"""serve: the gateway with the web page and the API."""

from __future__ import annotations

from typing import Annotated

import typer

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh serve`, then `curl -F file=@seven.png http://127.0.0.1:8000/api/images`; "
        "`INKSTREAM_GATEWAY__TOKENS='upload:phones:a-long-secret-text admin:me:another-long-secret' "
        "./submit.sh serve --host 0.0.0.0`."
    )(serve)


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; default: the setting.", show_default=False)] = "",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any free one; default: the setting.", show_default=False)
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Let everybody do everything, on any address, without tokens.")
    ] = False,
) -> None:
    """Serve the web page and the HTTP API, until Ctrl-C: uploads to Kafka, answers from it, without Spark."""
    from inkstream.errors import SettingError
    from inkstream.gateway.access import read_tokens
    from inkstream.gateway.serving import run_gateway
    from inkstream.settings import load_settings
    from inkstream.store.topics import create_topics

    settings = load_settings()
    address = host or settings.gateway.host
    if address not in LOOPBACK and not insecure and not read_tokens(settings.gateway):
        raise SettingError(
            f"gateway.host is {address}, which others can reach, and there are no tokens: set "
            "INKSTREAM_GATEWAY__TOKENS (role:name:secret, for example upload:phones:$(openssl rand -hex 16)) or "
            "gateway.tokens_file, "
            "or give --insecure to let everybody do everything"
        )
    create_topics(settings)
    run_gateway(settings, address, settings.gateway.port if port is None else port)
