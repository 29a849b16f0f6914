"""`remediator assess`: say of a flaw or of somebody's fix whether it is right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse


@click.command("assess", cls=Verb, json_fields=json_fields.ANSWER)
@click.argument("subject", metavar="FLAW|FIX")
@click.argument("opinion", type=click.Choice(["correct", "incorrect", "inconclusive"]))
@click.option("--reason", default="", help="Why, in your words.")
@click.option(
    "--tests-passed/--tests-failed", "tests", default=None, help="Whether your own tests pass with the fix; neither is: none was run."
)
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@pass_session
def command(session: Session, subject: str, opinion: str, reason: str, tests: bool | None, name: str | None) -> int:
    """Say whether a flaw is one, or a fix mends it, by its id at the clearinghouse. Said again, the last word counts.

    It decides nothing: levels are the clearinghouse's own. Who may see it is the settings' TLP mark. The token needs the scope `assess`.
    """
    from remediator.clearinghouse.wire.terms import Tlp
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.places import chosen, performed, told
    from remediator.errors import UsageError

    if not re.fullmatch(r"(flaw|fix)-[0-9a-f]{24}", subject):
        raise UsageError(f"{subject[:60]!r} is no id of a flaw or a fix", hint="the clearinghouse's pages, and remediator match, show it")

    async def body(_: Clearinghouse) -> dict[str, Any]:
        return {"subject": subject, "opinion": opinion, "reason": reason, "tests_passed": tests}

    _, settings = chosen(session, name)
    return told(session, performed(session, name, Asked.assess, body, tlp=Tlp(settings.tlp)))
