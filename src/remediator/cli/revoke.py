"""`remediator revoke`: take a fix back that turned out to be wrong."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.wire.answers import Answer


@click.command("revoke", cls=Verb, json_fields=json_fields.ANSWER)
@click.argument("fix", metavar="FIX")
@click.option("--reason", required=True, help="Why: whoever pulled it reads this.")
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@pass_session
def command(session: Session, fix: str, reason: str, name: str | None) -> int:
    """Take a fix of yours back: it was bypassed, or breaks something. This cannot be taken back itself.

    Where it was let out, whoever pulled it is told by the next pull, and is handed its patch no more.
    """
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json
    from remediator.cli.places import asked
    from remediator.errors import UsageError

    if not re.fullmatch(r"(fix|s)-[0-9a-f]{24}", fix):
        raise UsageError(f"{fix[:60]!r} is no id of a fix", hint="remediator submit shows what you submitted by it")
    if not 1 <= len(reason) <= 2000:
        raise UsageError(f"--reason has {len(reason)} characters; it takes 1 to 2000", hint="whoever pulled the fix reads it")
    key = f"r:{secrets.token_hex(16)}"

    async def work(clearinghouse: Clearinghouse) -> Answer:
        fix_id = fix if fix.startswith("fix-") else (await clearinghouse.status(fix)).id
        return await clearinghouse.ask(Asked.revoke, {"fix_id": fix_id, "reason": reason}, key=key)

    answer = asked(session, name, work)
    if session.json is not None:
        plain = answer.as_json()
        print_json(session, {each: plain[each] for each in json_fields.ANSWER})
        return 0
    session.out.print(f"{safe(answer.id)}  {safe(answer.state)}")
    return 0
