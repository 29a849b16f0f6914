"""`remediator opt-out`: a maintainer's wish that a project is not scanned, and who wished so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.wire.answers import OptOut


@click.command("opt-out", cls=Verb, json_fields=(*json_fields.ANSWER, *json_fields.OPT_OUT))
@click.argument("project", metavar="[PURL|URL]", required=False)
@click.option("--contact", default="", help="How to reach you about it; everybody who takes part is shown it.")
@click.option("--reason", default="", help="Why, in your words.")
@click.option("--days", type=click.IntRange(1, 3650), help="For how long; until you withdraw it by default.")
@click.option("--withdraw", is_flag=True, help="Take it back.")
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@pass_session
def command(session: Session, project: str | None, contact: str, reason: str, days: int | None, withdraw: bool, name: str | None) -> int:
    """Say for a project's maintainer that nobody is to scan it; without a project, list those that are not to be scanned.

    No lease is given from then on, and none renewed; findings and fixes are still taken. Only your organisation, or an admin, takes it
    back.
    """
    from remediator.clearinghouse.wire.identity import project as spelled
    from remediator.errors import UsageError

    known = json_fields.OPT_OUT if project is None else json_fields.ANSWER
    if wrong := [each for each in session.json or () if each not in known]:
        raise UsageError(f"--json: no field {wrong[0]!r} here", hint=f"there is: {', '.join(known)}")
    if project is None:
        if contact or reason or days or withdraw:
            raise UsageError("no project is named", hint="remediator opt-out PURL|URL --contact TEXT")
        return _listed(session, name)
    try:
        spelled(project)
    except ValueError as error:
        raise UsageError(str(error), hint="pkg:pypi/NAME, or https://HOST/PATH of its repository") from error
    if withdraw and days:
        raise UsageError("--withdraw and --days contradict each other", hint="leave one out")
    if not (contact or withdraw):
        raise UsageError("an opt-out needs --contact: who wants to scan asks there", hint="remediator opt-out PURL|URL --contact TEXT")
    until = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
    return _told(session, name, {"project": project, "contact": contact, "reason": reason, "until": until, "withdraw": withdraw})


def _told(session: Session, name: str | None, body: dict[str, Any]) -> int:
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.places import performed, told

    async def made(_: Clearinghouse) -> dict[str, Any]:
        return body

    answer = performed(session, name, Asked.opt_out, made)
    return told(
        session, answer, str(answer.detail.get("project") or body["project"]), "there was none that holds" if answer.duplicate else ""
    )


def _listed(session: Session, name: str | None) -> int:
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json
    from remediator.cli.places import asked

    async def work(clearinghouse: Clearinghouse) -> list[OptOut]:
        return await clearinghouse.opt_outs()

    found = asked(session, name, work)
    if session.json is not None:
        print_json(session, [each.as_json() for each in found])
        return 0
    for each in found:
        until = f"until {each.until:%Y-%m-%d %H:%M} UTC" if each.until else "until it is withdrawn"
        session.out.print("  ".join(safe(word) for word in (each.project, until, each.contact, each.reason) if word))
    if not found:
        session.talk("nobody opted out")
    return 0
