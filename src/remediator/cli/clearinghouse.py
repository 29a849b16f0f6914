"""`remediator clearinghouse`: run one, and keep its organisations, tokens and keys."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import clearinghouse_care, clearinghouse_conform, clearinghouse_people
from remediator.cli.clearinghouse_store import data_option, database_option
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    pass


@click.group("clearinghouse", no_args_is_help=True)
def command() -> None:
    """Run a clearinghouse: serve it, validate what is submitted, and keep its organisations, tokens and keys."""


for _command in (
    clearinghouse_conform.command,
    clearinghouse_people.organisation,
    clearinghouse_people.token,
    clearinghouse_people.key,
    clearinghouse_people.login_link,
    clearinghouse_care.verify_ledger,
    clearinghouse_care.opt_outs,
    clearinghouse_care.requeue,
    clearinghouse_care.stats,
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
    "--quota", type=click.IntRange(1, 1_000_000), default=20, show_default=True, metavar="GIB", help="Bundles of one organisation."
)
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
    quota: int,
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
            quota_bytes=quota * 1024**3,
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


@command.command("openapi", cls=Verb)
def openapi() -> int:
    """Print the protocol's OpenAPI 3.1 document, the same as `/v1/openapi.json`."""
    import json

    from remediator.clearinghouse.server.openapi import document

    click.echo(json.dumps(document(), indent=2, sort_keys=True))
    return 0
