"""`remediator clearinghouse`: run one, and keep its organisations, tokens and keys."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import clearinghouse_conform, clearinghouse_people, json_fields
from remediator.cli.clearinghouse_store import data_option, database_option, in_store, told
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store


@click.group("clearinghouse", no_args_is_help=True)
def command() -> None:
    """Run a clearinghouse: serve it, validate what is submitted, and keep its organisations, tokens and keys."""


for _command in (
    clearinghouse_conform.command,
    clearinghouse_people.organisation,
    clearinghouse_people.token,
    clearinghouse_people.key,
    clearinghouse_people.login_link,
):
    command.add_command(_command)


@command.command("serve", cls=Verb)
@data_option
@database_option
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
    help="A folder with KEV, EPSS and SSVC files, read anew each hour; what `remediator feeds load` loaded by default.",
)
@click.option("--certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM chain for https.")
@click.option("--private-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="PEM key for https.")
@click.option(
    "--demo", is_flag=True, help="Make a new one to try out, with somebody who takes part; without --data it is thrown away at the end."
)
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
    demo: bool,
) -> int:
    """Serve the protocol, and validate what is submitted, until Ctrl-C or SIGTERM.

    With --validators 0 nothing is validated here: run `remediator clearinghouse work` beside it.
    """
    import tempfile

    from remediator.cli.clearinghouse_run import served

    given = click.get_current_context().get_parameter_source("data") is not click.core.ParameterSource.DEFAULT
    with tempfile.TemporaryDirectory(prefix="clearinghouse-") if demo and not given else contextlib.nullcontext(data) as place:
        return served(
            session,
            Path(place),
            database,
            listen=listen,
            hosts=hosts,
            proxies=proxies,
            validators=validators,
            git_hosts=git_hosts,
            feeds=feeds,
            certificate=certificate,
            private_key=private_key,
            demo=demo,
        )


@command.command("work", cls=Verb)
@data_option
@database_option
@click.option("--once", is_flag=True, help="End when nothing is left to validate.")
@click.option("--git-host", "git_hosts", multiple=True, metavar="HOST", help="A host to fetch repositories from. Repeat for several.")
@pass_session
def work(session: Session, data: Path, database: str, once: bool, git_hosts: tuple[str, ...]) -> int:
    """Validate what is submitted: check each bundle, fetch its source, and run its proof again in this machine's sandbox.

    Several may work side by side; a job that one lost is taken over by another.
    """
    from remediator.cli.clearinghouse_run import worked

    return worked(session, data, database, once=once, git_hosts=git_hosts)


@command.command("verify-ledger", cls=Verb)
@data_option
@database_option
@pass_session
def verify_ledger(session: Session, data: Path, database: str) -> int:
    """Compute the whole ledger again from its objects up. Exit code 8 where anything does not fit."""
    from remediator.errors import EvidenceError

    async def go(store: Store) -> Any:
        return await store.verify()

    found = in_store(data, database, go)
    if found.problem:
        raise EvidenceError(f"the ledger does not fit: {found.problem}", hint="stop serving it, and compare it with a copy")
    session.out.print(f"{found.size} entries, root {found.root}: every entry, node and commitment fits")
    return 0


@command.command("stats", cls=Verb, json_fields=json_fields.STATS)
@data_option
@database_option
@pass_session
def stats(session: Session, data: Path, database: str) -> int:
    """Count what there is: flaws, findings, fixes by state, jobs that wait, embargoed flaws, feed and ledger entries."""

    async def go(store: Store) -> dict[str, int]:
        return await store.stats()

    found = in_store(data, database, go)
    return told(session, [{"name": name, "count": count} for name, count in sorted(found.items())], json_fields.STATS)


@command.command("openapi", cls=Verb)
def openapi() -> int:
    """Print the protocol's OpenAPI 3.1 document, the same as `/v1/openapi.json`."""
    import json

    from remediator.clearinghouse.server.openapi import document

    click.echo(json.dumps(document(), indent=2, sort_keys=True))
    return 0
