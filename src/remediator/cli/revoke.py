"""`remediator revoke`: take a fix back that turned out to be wrong, or that a better one replaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse


@click.command("revoke", cls=Verb, json_fields=json_fields.ANSWER)
@click.argument("fix", metavar="FIX")
@click.option("--reason", required=True, help="Why: whoever pulled it reads this.")
@click.option("--by", metavar="FIX", help="A better fix of yours that takes its place; it must be out for the same readers.")
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@pass_session
def command(session: Session, fix: str, reason: str, by: str | None, name: str | None) -> int:
    """Take a fix of yours back: it was bypassed, breaks something, or a better one is there. This cannot be taken back itself.

    Where it was let out, whoever pulled it is told by the next pull, and is handed its patch no more.
    """
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.places import performed, told
    from remediator.errors import UsageError

    for each in (fix, *([by] if by is not None else [])):
        if not re.fullmatch(r"(fix|s)-[0-9a-f]{24}", each):
            raise UsageError(f"{each[:60]!r} is no id of a fix", hint="remediator submit shows what you submitted by it")
    if not 1 <= len(reason) <= 2000:
        raise UsageError(f"--reason has {len(reason)} characters; it takes 1 to 2000", hint="whoever pulled the fix reads it")

    async def body(clearinghouse: Clearinghouse) -> dict[str, Any]:
        async def id_of(word: str) -> str:
            return word if word.startswith("fix-") else (await clearinghouse.status(word)).id

        return {"fix_id": await id_of(fix), "reason": reason, **({"by": await id_of(by)} if by is not None else {})}

    return told(session, performed(session, name, Asked.revoke if by is None else Asked.supersede, body))
