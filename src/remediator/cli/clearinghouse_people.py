"""`remediator clearinghouse organisation`, `token`, `key`, `login-link`: who takes part, and how they are known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.clearinghouse_store import data_option, database_option, id_of, in_store, told
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store


@click.command("organisation", cls=Verb, json_fields=json_fields.ORGANISATION)
@click.argument("name", required=False)
@data_option
@database_option
@click.option(
    "--tier", type=click.Choice(["operator", "member", "public"]), default="member", show_default=True, help="What it may be told."
)
@click.option("--contact", default="", help="How to reach it.")
@click.option("--disable", metavar="ID", help="Shut an organisation out instead.")
@pass_session
def organisation(session: Session, name: str | None, data: Path, database: str, tier: str, contact: str, disable: str | None) -> int:
    """Add the organisation NAME; without NAME, list them all."""
    from remediator.clearinghouse.wire.terms import Tier

    async def go(store: Store) -> list[dict[str, Any]]:
        if disable is not None:
            await store.disable_organisation(await id_of(store, disable))
        if name is not None:
            return [(await store.add_organisation(name, Tier(tier), contact)).as_json()]
        return [each.as_json() for each in await store.organisations()]

    return told(session, in_store(data, database, go), json_fields.ORGANISATION, none="no organisation yet")


@click.command("token", cls=Verb, json_fields=json_fields.TOKEN)
@click.argument("organisation_id", metavar="[ORGANISATION]", required=False)
@data_option
@database_option
@click.option("--scope", "scopes", multiple=True, type=click.Choice(["submit", "assess", "pull", "admin"]), help="Repeat for several.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it lasts; for ever by default.")
@click.option("--label", default="", help="What it is for.")
@click.option("--revoke", metavar="ID", help="Revoke a token instead.")
@pass_session
def token(
    session: Session,
    organisation_id: str | None,
    data: Path,
    database: str,
    scopes: tuple[str, ...],
    days: int | None,
    label: str,
    revoke: str | None,
) -> int:
    """Create a token for ORGANISATION with these scopes: its secret goes to standard output, this once. Without scopes, list tokens."""
    from remediator.clearinghouse.wire.terms import Scope

    async def go(store: Store) -> Any:
        if revoke is not None:
            await store.revoke_token(revoke)
        if organisation_id is not None and scopes:
            expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
            return await store.create_token(
                await id_of(store, organisation_id), [Scope(each) for each in scopes], label=label, expires=expires
            )
        return [each._asdict() for each in await store.tokens(organisation_id and await id_of(store, organisation_id))]

    found = in_store(data, database, go)
    if isinstance(found, tuple):
        session.talk(f"token {found[0]}: {', '.join(scopes)}; it is shown this once")
        click.echo(found[1])
        return 0
    return told(session, found, json_fields.TOKEN, none="no token yet: --scope makes one")


@click.command("key", cls=Verb, json_fields=json_fields.SUBMITTER_KEY)
@click.argument("organisation_id", metavar="[ORGANISATION]", required=False)
@click.argument("line", metavar="[KEY]", nargs=-1)
@data_option
@database_option
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is taken; for ever by default.")
@click.option("--replaces", default="", metavar="ID", help="The key that it takes the place of, which is revoked.")
@click.option("--revoke", metavar="ID", help="Revoke a key instead.")
@click.option("--reason", default="", help="Why it is revoked.")
@pass_session
def key(
    session: Session,
    organisation_id: str | None,
    line: tuple[str, ...],
    data: Path,
    database: str,
    days: int | None,
    replaces: str,
    revoke: str | None,
    reason: str,
) -> int:
    """Register a submitter's public KEY (theirs: `remediator submit --show-key`) for ORGANISATION; without KEY, list keys."""

    async def go(store: Store) -> list[dict[str, Any]]:
        if revoke is not None:
            await store.revoke_key(revoke, reason)
        if organisation_id is not None and line:
            until = None if days is None else datetime.now(UTC) + timedelta(days=days)
            await store.add_key(await id_of(store, organisation_id), " ".join(line), not_after=until, replaces=replaces)
        return [each._asdict() for each in await store.keys(organisation_id and await id_of(store, organisation_id))]

    return told(session, in_store(data, database, go), json_fields.SUBMITTER_KEY, none="no key yet")


@click.command("login-link", cls=Verb)
@click.argument("organisation_id", metavar="ORGANISATION")
@click.argument("person")
@data_option
@database_option
@click.option("--url", default="http://127.0.0.1:8800", show_default=True, help="Where it is served.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["submit", "assess", "pull", "admin"]),
    default=("pull",),
    show_default=True,
    help="What the session may do.",
)
@pass_session
def login_link(session: Session, organisation_id: str, person: str, data: Path, database: str, url: str, scopes: tuple[str, ...]) -> int:
    """Print a link by which PERSON logs in once, within 15 minutes."""
    from remediator.clearinghouse.wire.terms import Scope

    async def go(store: Store) -> str:
        return await store.login_link(await id_of(store, organisation_id), person, [Scope(each) for each in scopes])

    click.echo(f"{url.rstrip('/')}/login/{in_store(data, database, go)}")
    return 0
