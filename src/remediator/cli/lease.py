"""`remediator lease`: who scans a project, so that nobody else does at the same time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.wire.answers import Answer, Lease

_place = click.option("--at", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")


@click.group("lease", no_args_is_help=True)
def command() -> None:
    """Take, keep, release or list the leases of projects. Exit code 7 where another holds it, or it does not hold any more."""


@command.command("take", cls=Verb, json_fields=json_fields.LEASE)
@click.argument("project", metavar="PURL|URL")
@click.option("--minutes", type=click.IntRange(1, 7 * 24 * 60), default=60, show_default=True, help="How long.")
@click.option("--commits", default="", metavar="RANGE", help="Which commits, such as v1..v2; all by default.")
@click.option("--scope", multiple=True, metavar="PATH|CWE", help="Which part; all by default. Repeat for several.")
@click.option("--contact", default="", help="How others can reach you about it.")
@_place
@pass_session
def take(session: Session, project: str, minutes: int, commits: str, scope: tuple[str, ...], contact: str, name: str | None) -> int:
    """Take a lease on a project: a repository's URL, or a package such as pkg:pypi/NAME."""
    from remediator.clearinghouse.wire.identity import project as spelled
    from remediator.errors import UsageError

    try:
        spelled(project)
    except ValueError as error:
        raise UsageError(str(error), hint="pkg:pypi/NAME, or https://HOST/PATH of its repository") from error
    body = {"project": project, "ttl_seconds": minutes * 60, "commits": commits, "scope": scope, "contact": contact}
    return _asked(session, name, "lease", body)


@command.command("renew", cls=Verb, json_fields=json_fields.LEASE)
@click.argument("lease_id", metavar="LEASE")
@click.option("--fencing", type=int, required=True, help="The fencing token that came with it.")
@click.option("--minutes", type=click.IntRange(1, 7 * 24 * 60), default=60, show_default=True, help="How long from now.")
@_place
@pass_session
def renew(session: Session, lease_id: str, fencing: int, minutes: int, name: str | None) -> int:
    """Keep a lease."""
    return _asked(session, name, "renew", {"lease_id": lease_id, "fencing": fencing, "ttl_seconds": minutes * 60})


@command.command("release", cls=Verb, json_fields=json_fields.LEASE)
@click.argument("lease_id", metavar="LEASE")
@click.option("--fencing", type=int, required=True, help="The fencing token that came with it.")
@_place
@pass_session
def release(session: Session, lease_id: str, fencing: int, name: str | None) -> int:
    """Give a lease back."""
    return _asked(session, name, "release", {"lease_id": lease_id, "fencing": fencing})


@command.command("list", cls=Verb, json_fields=json_fields.LEASE)
@click.option("--project", default="", metavar="PURL|URL", help="Only this project's.")
@_place
@pass_session
def list_leases(session: Session, project: str, name: str | None) -> int:
    """List the leases that hold."""
    from remediator.cli.documents import print_json
    from remediator.cli.places import asked

    async def work(clearinghouse: Clearinghouse) -> list[Lease]:
        return await clearinghouse.leases(project)

    found = asked(session, name, work)
    if session.json is not None:
        print_json(session, [lease.as_json() for lease in found])
        return 0
    for lease in found:
        _print(session, lease.as_json())
    if not found:
        session.talk("no lease holds")
    return 0


def _asked(session: Session, name: str | None, verb: str, body: dict[str, Any]) -> int:
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.documents import print_json
    from remediator.cli.places import asked

    key = f"l:{secrets.token_hex(16)}"

    async def work(clearinghouse: Clearinghouse) -> Answer:
        return await clearinghouse.ask(Asked(verb), body, key=key)

    lease = asked(session, name, work).detail["lease"]
    if session.json is not None:
        print_json(session, lease)
    else:
        _print(session, lease)
    return 0


def _print(session: Session, lease: dict[str, Any]) -> None:
    from remediator.cli.console import safe

    state = "released" if lease["released_at"] else f"until {lease['expires_at']}"
    parts = [lease["project"], *(lease["scope"] or ()), lease["commits"]]
    told = " ".join(safe(str(part)) for part in parts if part)
    who = "  ".join(safe(word) for word in (lease["organisation"], lease["contact"]) if word)
    session.out.print(f"{safe(lease['id'])}  fencing {lease['fencing']}  {told}  {state}  {who}")
