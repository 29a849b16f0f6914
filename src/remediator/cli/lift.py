"""`remediator lift`: agree to end the embargo on a flaw before its date."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse

_SAYS = {
    "agreed": "you agreed; it ends once everybody did who asked for an embargo, else at its date",
    "lifted": "the embargo is over",
}


@click.command("lift", cls=Verb, json_fields=json_fields.ANSWER)
@click.argument("subject", metavar="FLAW|FIX|FINDING")
@click.option("--reason", default="", help="Why, in your words.")
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@pass_session
def command(session: Session, subject: str, reason: str, name: str | None) -> int:
    """Agree to end the embargo of a flaw, named itself or by what you submitted, before its date. This cannot be taken back.

    It ends once everybody agreed who asked for one, and takes what you asked for your own fixes of the flaw with it. What is submitted as
    TLP:RED stays with you.
    """
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.places import performed, told
    from remediator.errors import UsageError

    if not re.fullmatch(r"(flaw|fix|finding|s)-[0-9a-f]{24}", subject):
        raise UsageError(f"{subject[:60]!r} is no id of a flaw, fix or finding", hint="remediator submit shows what you submitted by it")

    async def body(clearinghouse: Clearinghouse) -> dict[str, Any]:
        flaw = subject if subject.startswith("flaw-") else str((await clearinghouse.status(subject)).detail.get("flaw"))
        return {"flaw_id": flaw, "reason": reason}

    answer = performed(session, name, Asked.lift, body)
    return told(session, answer, note=_SAYS.get(answer.state, ""))
