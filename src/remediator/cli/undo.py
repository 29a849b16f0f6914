"""`remediator undo`: take back the last `apply`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator


@click.command("undo", cls=Verb, json_fields=json_fields.APPLIED)
@click.option(
    "--to",
    "repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Your repository; the current folder by default.",
)
@pass_session
def command(session: Session, repository: Path) -> int:
    """Take back the last `apply` on this repository, called again the one before; refuses where work of yours would be lost."""
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json

    async def work(app: Remediator) -> Any:
        return await app.undo(repository)

    applied = session.run(work)
    if session.json is not None:
        print_json(session, applied.as_json())
    else:
        branch = getattr(applied, "branch", "")
        session.out.print(f"undone: {'branch ' + safe(branch) if branch else safe(str(repository))}")
    return 0
