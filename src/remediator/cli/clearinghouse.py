"""`remediator clearinghouse`: run one, and keep its organisations, tokens and keys."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remediator.cli import clearinghouse_conform, json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store

T = TypeVar("T")

_data = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("clearinghouse"), show_default=True, help="Its folder."
)
_database = click.option("--database", metavar="URL", default="sqlite", show_default=True, help="sqlite, or postgresql://USER@HOST/NAME.")


@click.group("clearinghouse", no_args_is_help=True)
def command() -> None:
    """Run a clearinghouse: serve it, validate what is submitted, and keep its organisations, tokens and keys."""


command.add_command(clearinghouse_conform.command)


@command.command("serve", cls=Verb)
@_data
@_database
@click.option(
    "--listen", default="127.0.0.1:8800", show_default=True, metavar="HOST:PORT", help="Where to listen; port 0 takes a free one."
)
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name that clients use for it. Repeat for several.")
@click.option("--trusted-proxy", "proxies", multiple=True, metavar="ADDRESS",
              help="A proxy whose X-Forwarded-For is believed. Repeat for several.")  # fmt: skip
@click.option("--validators", type=click.IntRange(0, 64), default=1, show_default=True, help="How many validate in this process.")
@click.option("--git-host", "git_hosts", multiple=True, metavar="HOST", help="A host to fetch repositories from. Repeat for several.")
@click.option(
    "--feeds",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with KEV, EPSS and SSVC files; read anew each hour.",
)
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM chain for https.")
@click.option("--private-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM key for https.")
@pass_session
def serve(
    session: Session,
    data: Path,
    database: str,
    listen: str,
    hosts: tuple[str, ...],
    proxies: tuple[str, ...],
    validators: int,
    git_hosts: tuple[str, ...],
    feeds: Path | None,
    certificate: Path | None,
    private_key: Path | None,
) -> int:
    """Serve the protocol, and validate what is submitted, until Ctrl-C or SIGTERM.

    With --validators 0 nothing is validated here: run `remediator clearinghouse work` beside it.
    """
    from remediator.cli.clearinghouse_run import served

    return served(
        session,
        data,
        database,
        listen=listen,
        hosts=hosts,
        proxies=proxies,
        validators=validators,
        git_hosts=git_hosts,
        feeds=feeds,
        certificate=certificate,
        private_key=private_key,
    )


@command.command("work", cls=Verb)
@_data
@_database
@click.option("--once", is_flag=True, help="End when nothing is left to validate.")
@click.option("--git-host", "git_hosts", multiple=True, metavar="HOST", help="A host to fetch repositories from. Repeat for several.")
@pass_session
def work(session: Session, data: Path, database: str, once: bool, git_hosts: tuple[str, ...]) -> int:
    """Validate what is submitted: check each bundle, fetch its source, and run its proof again in this machine's sandbox.

    Several may work side by side; a job that one lost is taken over by another.
    """
    from remediator.cli.clearinghouse_run import worked

    return worked(session, data, database, once=once, git_hosts=git_hosts)


@command.command("organisation", cls=Verb, json_fields=json_fields.ORGANISATION)
@click.argument("name", required=False)
@_data
@_database
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
            await store.disable_organisation(await _id(store, disable))
        if name is not None:
            return [(await store.add_organisation(name, Tier(tier), contact)).as_json()]
        return [each.as_json() for each in await store.organisations()]

    return _told(session, _in_store(data, database, go), json_fields.ORGANISATION)


@command.command("token", cls=Verb, json_fields=json_fields.TOKEN)
@click.argument("organisation_id", metavar="ORGANISATION", required=False)
@_data
@_database
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
                await _id(store, organisation_id), [Scope(each) for each in scopes], label=label, expires=expires
            )
        return [each._asdict() for each in await store.tokens(organisation_id and await _id(store, organisation_id))]

    found = _in_store(data, database, go)
    if isinstance(found, tuple):
        session.talk(f"token {found[0]}: {', '.join(scopes)}; it is shown this once")
        click.echo(found[1])
        return 0
    return _told(session, found, json_fields.TOKEN)


@command.command("key", cls=Verb, json_fields=json_fields.SUBMITTER_KEY)
@click.argument("organisation_id", metavar="ORGANISATION", required=False)
@click.argument("line", metavar="KEY", required=False)
@_data
@_database
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is taken; for ever by default.")
@click.option("--replaces", default="", metavar="ID", help="The key that it takes the place of, which is revoked.")
@click.option("--revoke", metavar="ID", help="Revoke a key instead.")
@click.option("--reason", default="", help="Why it is revoked.")
@pass_session
def key(
    session: Session,
    organisation_id: str | None,
    line: str | None,
    data: Path,
    database: str,
    days: int | None,
    replaces: str,
    revoke: str | None,
    reason: str,
) -> int:
    """Register a submitter's public KEY (`ssh-ed25519 …`, as `remediator doctor` shows it) for ORGANISATION; without KEY, list keys."""

    async def go(store: Store) -> list[dict[str, Any]]:
        if revoke is not None:
            await store.revoke_key(revoke, reason)
        if organisation_id is not None and line is not None:
            until = None if days is None else datetime.now(UTC) + timedelta(days=days)
            await store.add_key(await _id(store, organisation_id), line, not_after=until, replaces=replaces)
        return [each._asdict() for each in await store.keys(organisation_id and await _id(store, organisation_id))]

    return _told(session, _in_store(data, database, go), json_fields.SUBMITTER_KEY)


@command.command("login-link", cls=Verb)
@click.argument("organisation_id", metavar="ORGANISATION")
@click.argument("person")
@_data
@_database
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
        return await store.login_link(await _id(store, organisation_id), person, [Scope(each) for each in scopes])

    click.echo(f"{url.rstrip('/')}/login?link={_in_store(data, database, go)}")
    return 0


@command.command("verify-ledger", cls=Verb)
@_data
@_database
@pass_session
def verify_ledger(session: Session, data: Path, database: str) -> int:
    """Compute the whole ledger again from its objects up. Exit code 8 where anything does not fit."""
    from remediator.errors import EvidenceError

    async def go(store: Store) -> Any:
        return await store.verify()

    found = _in_store(data, database, go)
    if found.problem:
        raise EvidenceError(f"the ledger does not fit: {found.problem}", hint="stop serving it, and compare it with a copy")
    session.out.print(f"{found.size} entries, root {found.root}: every entry, node and commitment fits")
    return 0


@command.command("stats", cls=Verb, json_fields=json_fields.STATS)
@_data
@_database
@pass_session
def stats(session: Session, data: Path, database: str) -> int:
    """Count what there is: flaws, findings, fixes by state, jobs that wait, embargoed flaws, feed and ledger entries."""

    async def go(store: Store) -> dict[str, int]:
        return await store.stats()

    found = _in_store(data, database, go)
    return _told(session, [{"name": name, "count": count} for name, count in sorted(found.items())], json_fields.STATS)


@command.command("openapi", cls=Verb)
def openapi() -> int:
    """Print the protocol's OpenAPI 3.1 document, the same as `/v1/openapi.json`."""
    import json

    from remediator.clearinghouse.server.openapi import document

    click.echo(json.dumps(document(), indent=2, sort_keys=True))
    return 0


async def _id(store: Store, word: str) -> str:
    """Return an organisation's id, by that or by its name."""
    known = await store.organisations()
    return next((each.id for each in known if word in (each.id, each.name)), word)


def _in_store(data: Path, database: str, work: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        from remediator.clearinghouse.store import Store

        async with Store.open(database, data) as store:
            return await work(store)

    return asyncio.run(run())


def _told(session: Session, rows: list[dict[str, Any]], fields: tuple[str, ...]) -> int:
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json

    shown = [{name: _plain(row[name]) for name in fields} for row in rows]
    if session.json is not None:
        print_json(session, shown)
        return 0
    for row in shown:
        session.out.print("  ".join(safe(str(value)) for value in row.values() if value not in (None, "", False)))
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(value) if isinstance(value, tuple) else value
