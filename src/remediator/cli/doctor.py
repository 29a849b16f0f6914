"""`remediator doctor`: what works here, what does not, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.cli.checkup import Line

_STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red", "info": "dim"}


@click.command("doctor", cls=Verb, json_fields=("state", "topic", "text", "hint"))
@pass_session
def command(session: Session) -> int:
    """Check Python, git, the state folder, the key, plugins, scanners, the sandbox, and what may be reached over the network.

    Exit code 3 where something that is needed does not work.
    """
    import asyncio

    from remediator.cli.documents import print_json
    from remediator.cli.exit_code import ExitCode

    lines = asyncio.run(_looked(session))
    if session.json is not None:
        print_json(session, [line._asdict() for line in lines])
    return ExitCode.could_not_check if any(line.state == "FAIL" for line in lines) else ExitCode.clean


async def _looked(session: Session) -> list[Line]:
    from remediator.cli.checkup import look

    lines = []
    async for line in look(session.settings):
        lines.append(line)
        if session.json is None:
            _print(session, line)
    return lines


def _print(session: Session, line: Line) -> None:
    from rich.text import Text

    from remediator.cli.console import safe

    text = Text(f"{line.state:<5}", style=_STYLES[line.state])
    session.out.print(text + Text(f"{safe(line.topic)}: {safe(line.text)}"))
    if line.hint:
        session.out.print(f"     hint: {safe(line.hint)}")
