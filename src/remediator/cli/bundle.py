"""`remediator bundle`: carry what was pulled to a machine without a network."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.airgap import Manifest

_name = click.option("--name", default="default", show_default=True, help="The subscription.")
_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group("bundle", no_args_is_help=True)
def command() -> None:
    """Carry what was pulled over an air gap: made on this side, imported on the other. Exit code 8 where it must not be used."""


@command.command("create", cls=Verb, json_fields=json_fields.AIRGAP)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long it may be imported.")
@_name
@pass_session
def create(session: Session, out: Path, days: int, name: str) -> int:
    """Pull, then write what is new since the last bundle into a file, with the ledger's proofs, signed by this machine's key."""
    from remediator.artefacts import write_atomically
    from remediator.clearinghouse.client import airgap
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.pull import place_of
    from remediator.evidence.keys import signing_key

    subscriber = Subscriber(session.settings.state, name)
    place = place_of(session, subscriber.read())

    async def run() -> tuple[bytes, Manifest]:
        key = await asyncio.to_thread(signing_key, session.settings.state / "keys")
        async with Clearinghouse.connect(place) as clearinghouse:
            await subscriber.pull(clearinghouse)
            return await airgap.create(subscriber, clearinghouse, key, days=days)

    data, manifest = asyncio.run(run())
    write_atomically(out, data)
    subscriber.carried(manifest.sequence, manifest.cursor, manifest.head)
    return _told(session, manifest)


@command.command("show", cls=Verb, json_fields=json_fields.AIRGAP)
@_file
@pass_session
def show(session: Session, file: Path) -> int:
    """Say what is in a bundle; its signature and digests are checked, its proofs only when it is imported."""
    from remediator.clearinghouse.client import airgap

    return _told(session, airgap.read(_content(file), file.name).manifest)


@command.command("import", cls=Verb, json_fields=json_fields.AIRGAP)
@_file
@_name
@click.option("--carrier", metavar="SHA256:…", default="", help="The key id of the machine that makes the bundles; needed for the first.")
@pass_session
def import_bundle(session: Session, file: Path, name: str, carrier: str) -> int:
    """Import a bundle into a subscription, which names the ledger key that is trusted: `remediator subscribe` works without a network.

    Refused, with nothing written: another carrier, a step back or a gap in the sequence, an expired one, a changed byte, a ledger that does
    not go on from the one that is here, and a fix that is not as the ledger recorded it.
    """
    from remediator.clearinghouse.client import airgap
    from remediator.clearinghouse.client.subscriber import Subscriber

    found = airgap.read(_content(file), file.name)
    pulled = airgap.take(Subscriber(session.settings.state, name), found, carrier=carrier, now=datetime.now(UTC))
    session.talk(f"imported: {len(pulled.new)} new, {len(pulled.withdrawn)} withdrawn, {pulled.fixes} in all; every proof fits")
    return _told(session, found.manifest)


def _content(file: Path) -> bytes:
    from remediator.artefacts import read_regular
    from remediator.errors import UsageError
    from remediator.evidence.container import LIMITS

    try:
        return read_regular(file, limit_bytes=LIMITS.bytes)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _told(session: Session, manifest: Manifest) -> int:
    from remediator.clearinghouse.client.airgap import described
    from remediator.cli.documents import print_json

    row = described(manifest)
    if session.json is not None:
        print_json(session, row)
        return 0
    session.out.print(
        f"bundle {row['sequence']}: {row['fixes']} fixes, ledger {row['ledger']} with {row['ledger_size']} entries,"
        f" made by {row['carrier']}, expires {row['expires_at']}"
    )
    return 0
