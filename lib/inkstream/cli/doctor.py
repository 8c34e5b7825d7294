"""doctor: what is wrong with this installation, and what to do."""

from __future__ import annotations

import json as json_module
import sys
from dataclasses import asdict
from typing import Annotated

import typer

SIGNS = {"fine": "[green]✓[/]", "warning": "[yellow]![/]", "wrong": "[red]✗[/]"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: `./submit.sh doctor`; `./submit.sh doctor --json | jq '.[] | select(.state==\"wrong\")'`."
    )(doctor)


def doctor(json: Annotated[bool, typer.Option("--json", help="The findings as JSON.")] = False) -> int:
    """Look at this installation and its services; name what is wrong and what to do about it. Changes nothing.

    Ends with 1 where something is wrong.
    """
    from rich.console import Console
    from rich.markup import escape

    from inkstream.local.doctor import WRONG, examine
    from inkstream.settings import load_settings

    settings = load_settings()
    findings = []
    console = Console(highlight=False, soft_wrap=True)
    for finding in examine(settings):
        findings.append(finding)
        if not json:
            console.print(f"{SIGNS[finding.state]} {finding.check:<11} {escape(finding.about)}")
            if finding.advice:
                console.print(f"  {'':<11} [bold]{escape(finding.advice)}[/]")
    wrong = sum(finding.state == WRONG for finding in findings)
    if json:
        sys.stdout.write(json_module.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    else:
        console.print(f"{len(findings)} findings, {wrong} wrong" if wrong else "Nothing is wrong")
    return 1 if wrong else 0
