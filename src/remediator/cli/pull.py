"""`remediator pull`: fetch what a clearinghouse let out, and check it against its ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Place
    from remediator.clearinghouse.client.subscriber import Pulled, Subscription


@click.command("pull", cls=Verb, json_fields=json_fields.PULL)
@click.option("--name", default="default", show_default=True, help="The subscription.")
@click.option("--sbom", "sboms", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Then match this SBOM.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("fixes"), show_default=True, help="Where to, with --sbom."
)
@pass_session
def command(session: Session, name: str, sboms: tuple[Path, ...], out: Path) -> int:
    """Fetch what the clearinghouse let out since the last pull.

    The ledger's signature, that it only grew since the last pull, and that each patch is the recorded one are checked before anything is
    kept; exit code 8 where that fails. With --sbom the fixes are then matched on this machine, see `remediator match`.
    """
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json

    pulled = pull(session, name)
    if session.json is not None and not sboms:
        print_json(session, pulled.as_json())
        return 0
    session.talk(
        f"{safe(pulled.name)}: {len(pulled.new)} new, {len(pulled.withdrawn)} withdrawn, {pulled.fixes} in all;"
        f" signature ok, the ledger ({pulled.ledger_size} entries) goes on from the last pull"
    )
    for each in pulled.withdrawn:
        session.talk(f"withdrawn: {safe(each)}; if you applied it: remediator match tells why")
    if not sboms:
        return 0
    from remediator.cli.match import matched

    return matched(session, name, sboms, out)


def pull(session: Session, name: str) -> Pulled:
    """Pull a subscription. Raises UsageError, EvidenceError, SinkError, AuthError."""
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.subscriber import Subscriber

    subscriber = Subscriber(session.settings.state, name)
    place = place_of(session, subscriber.read())

    async def run() -> Pulled:
        async with Clearinghouse.connect(place) as clearinghouse:
            return await subscriber.pull(clearinghouse)

    return asyncio.run(run())


def place_of(session: Session, told: Subscription) -> Place:
    """Return where a subscription pulls from; the token is read now. Raises ConfigError, UsageError."""
    from remediator.clearinghouse.client.http import Place
    from remediator.errors import UsageError
    from remediator.settings import trust_store

    if session.settings.offline:
        raise UsageError("nothing is pulled offline", hint="`remediator match` works with what was pulled before")
    token = session.settings.secret(told.token).get_secret_value()
    return Place(told.name, told.url, token, told.trust, trust_store())
