"""demo: the whole pipeline on the sample uploads, shown, checked, and gone again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inkstream.demo.running import Demo
    from inkstream.demo.screen import Screen
    from inkstream.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave all running, and the web page open.")] = False,
) -> int:
    """Send the sample pictures through Kafka, Spark and Cassandra, show every answer, and check that all is stored.

    What runs already is used; what is started here ends with the demo, unless --keep says otherwise. Ends with 0 when
    every picture has its rows and its answer, else with 1.
    """
    from inkstream.demo.running import run_demo
    from inkstream.demo.screen import Screen
    from inkstream.errors import FoundError
    from inkstream.settings import load_settings

    settings = load_settings()
    screen = Screen()
    try:
        found = run_demo(settings, screen, keep=keep)
    except KeyboardInterrupt:
        screen.say("Stopped. Nothing that the demo started is running any more.")
        raise
    _go_on(settings, screen, found, keep)
    if found.gaps:
        raise FoundError(f"{len(found.gaps):,} things are missing of what the demo sent, see above")
    return 0


def _go_on(settings: Settings, screen: Screen, found: Demo, keep: bool) -> None:
    screen.say(f"\n[bold]All answers with their pictures:[/] {found.page}")
    screen.say(f"The demo took {screen.seconds:.1f} s.\n")
    steps = [
        ("send FOLDER", "send your own pictures" + ("; the stream answers them" if keep else "")),
        ("stream", "answer what is sent, until Ctrl-C"),
        ("results", "what is stored"),
        ("predict FOLDER", "read pictures without any service"),
    ]
    if keep:
        screen.say(f"[bold]The web page is open; draw a digit there:[/] {found.address}\n")
        screen.say("Kafka, Cassandra, the stream and the web page keep running. Go on with:")
        steps = [step for step in steps if step[0] != "stream"] + [("down", "stop them; the data stays")]
    else:
        screen.say("Nothing keeps running; the data stays. Go on with:")
        steps.insert(0, ("up", "start Kafka and Cassandra, and leave them running"))
    for command, meaning in steps:
        screen.say(f"  [bold]./submit.sh {command:<15}[/] {meaning}")
    screen.say("README.md says more.")
