"""`remediator bundle`: carry what was pulled to a machine without a network, and back what became of it."""

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
    from remediator.clearinghouse.client.results import ResultsRead
    from remediator.clearinghouse.client.subscriber import Subscriber

_name = click.option("--name", default="default", show_default=True, help="The subscription.")
_out = click.option("-o", "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group("bundle", no_args_is_help=True)
def command() -> None:
    """Carry what was pulled over an air gap, and back what became of it. Exit code 8 where a bundle must not be used."""


@command.command("create", cls=Verb, json_fields=json_fields.AIRGAP)
@_out
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="How long it may be imported.")
@click.option("--again", type=click.IntRange(1), metavar="N", help="Bundle N never got inside: make it again, with all since N-1.")
@_name
@pass_session
def create(session: Session, out: Path, days: int, again: int | None, name: str) -> int:
    """Pull, then write what is new since the last bundle into a file, with the ledger's proofs, signed by this machine's key.

    Bundles are imported in their order, each once. One that was lost, overwritten or expired is made again by --again; those made after it
    count no more, as all that they had is in it.
    """
    from remediator.artefacts import write_atomically
    from remediator.clearinghouse.client import airgap
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.pull import place_of
    from remediator.evidence.keys import signing_key

    subscriber = Subscriber(session.settings.state, name)
    place = place_of(session, subscriber)

    async def run() -> tuple[bytes, Manifest]:
        key = await asyncio.to_thread(signing_key, session.settings.state / "keys")
        async with Clearinghouse.connect(place) as clearinghouse:
            await subscriber.pull(clearinghouse)
            return await airgap.create(subscriber, clearinghouse, key, days=days, again=again)

    data, manifest = asyncio.run(run())
    write_atomically(out, data)
    subscriber.carried(manifest.sequence, manifest.cursor, manifest.head)
    return _told(session, manifest)


@command.command("show", cls=Verb, json_fields=json_fields.AIRGAP)
@_file
@pass_session
def show(session: Session, file: Path) -> int:
    """Say what is in a bundle, all that results tell included; signature and digests are checked, proofs only when it is imported."""
    from remediator.clearinghouse.client import airgap, results, sealed

    data = _content(file)
    if sealed.schema_of(data, file.name) == results.SCHEMA:
        return _told_results(session, results.read(data, file.name), file.name, len(data))
    return _told(session, airgap.read(data, file.name).manifest)


@command.command("import", cls=Verb, json_fields=(*json_fields.AIRGAP, *json_fields.SUBMIT))
@_file
@_name
@click.option("--carrier", metavar="SHA256:…", default="", help="The key id of the machine that makes the bundles; needed for the first.")
@pass_session
def import_bundle(session: Session, file: Path, name: str, carrier: str) -> int:
    """Import a bundle into a subscription, which names the ledger key that is trusted: `remediator subscribe` works without a network.

    Refused, with nothing written: another carrier, a step back or a gap in the sequence, an expired one, a changed byte, a ledger that does
    not go on from the one that is here, and a fix that is not as the ledger recorded it.

    What came back by `bundle results` is imported outside, and handed over as receipts, each once; exit code 3 where one waits for the next
    `remediator pull`.
    """
    from remediator.clearinghouse.client import airgap, results, sealed
    from remediator.clearinghouse.client.subscriber import Subscriber

    data = _content(file)
    subscriber = Subscriber(session.settings.state, name)
    if sealed.schema_of(data, file.name) == results.SCHEMA:
        return _taken_results(session, subscriber, results.read(data, file.name), carrier)
    found = airgap.read(data, file.name)
    pulled = airgap.take(subscriber, found, carrier=carrier, now=datetime.now(UTC))
    session.talk(f"imported: {len(pulled.new)} new, {len(pulled.withdrawn)} withdrawn, {pulled.fixes} in all; every proof fits")
    return _told(session, found.manifest)


@command.command("results", cls=Verb, json_fields=json_fields.AIRGAP)
@_out
@click.option(
    "--redact", metavar="WHAT,…", default="notes", show_default=True,
    help="What does not go out: paths, hosts (blanked in notes), or notes (left out altogether).",
)  # fmt: skip
@click.option("--again", type=click.IntRange(1), metavar="N", help="Write the results bundle N once more, as it was.")
@_name
@pass_session
def results_bundle(session: Session, out: Path, redact: str, again: int | None, name: str) -> int:
    """Write what was noted by `remediator outcome` since the last one into a file, numbered and signed by this machine's key.

    `bundle show` tells all that is in it, before it leaves. Outside, `bundle import` hands it over. In a note only what looks like a path,
    an address or this machine's name can be blanked.
    """
    from remediator.artefacts import write_atomically
    from remediator.clearinghouse.client import results
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.errors import UsageError
    from remediator.evidence.keys import signing_key

    what = [each.strip() for each in redact.split(",") if each.strip()]
    if wrong := [each for each in what if each not in results.REDACTIONS]:
        raise UsageError(f"--redact: {wrong[0][:40]!r} is nothing that can be left out", hint=f"there is: {', '.join(results.REDACTIONS)}")
    subscriber = Subscriber(session.settings.state, name)
    subscriber.read()
    if again is not None:
        data = results.again(subscriber, again)
    else:
        outbox = Outbox(session.settings.state)
        try:
            key = signing_key(session.settings.state / "keys")
            data = results.make(subscriber, outbox, key, redact=what, own=_own_names())
        finally:
            outbox.close()
    write_atomically(out, data)
    return _told_results(session, results.read(data, out.name), out.name, len(data), made=True)


def _own_names() -> tuple[str, ...]:
    import socket

    from remediator.clearinghouse.client.blanking import names_of

    return names_of(socket.gethostname())


def _taken_results(session: Session, subscriber: Subscriber, found: ResultsRead, carrier: str) -> int:
    from remediator.clearinghouse.client import results
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.cli.receipts import hand_over, told

    outbox = Outbox(session.settings.state)
    try:
        items = results.take(subscriber, outbox, found, carrier=carrier)
        trouble = asyncio.run(hand_over(session, subscriber, outbox)).trouble
        return told(session, subscriber, outbox, items, trouble)
    finally:
        outbox.close()


def _told_results(session: Session, found: ResultsRead, name: str, size: int, *, made: bool = False) -> int:
    from collections import Counter

    from remediator.clearinghouse.client.results import described
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json

    row = described(found)
    if session.json is not None:
        print_json(session, row)
        return 0
    kinds = Counter((each["outcome"].replace("-", " "), each["reason"]) for each in row["outcomes"])
    parts = ", ".join(f"{count} {outcome}{f': reason {reason}' if reason else ''}" for (outcome, reason), count in sorted(kinds.items()))
    more = f" · preview: bundle show {safe(name)}" if made else ""
    kib = max(1, round(size / 1024))
    outcomes = f"{len(row['outcomes'])} outcome{'s' * (len(row['outcomes']) != 1)}"
    session.out.print(f"{safe(name)} {kib} KB: results {row['sequence']}, {outcomes} ({parts}){more}")
    if not made:
        session.out.print(
            f"noted by {row['carrier']} at {row['created_at']}, about the ledger {safe(row['ledger'])}; this is all that it tells:"
        )
        for each in row["outcomes"]:
            why = f" ({each['reason']})" if each["reason"] else ""
            note = f": {safe(each['note'])}" if each["note"] else ""
            session.out.print(f"  {each['fix_id']} {each['outcome']}{why} on {each['count']}{note}")
    return 0


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
    fixes = f"{row['fixes']} fix{'es' * (row['fixes'] != 1)}"
    session.out.print(
        f"bundle {row['sequence']}: {fixes}, ledger {row['ledger']} with {row['ledger_size']} entries,"
        f" made by {row['carrier']}, expires {row['expires_at']}"
    )
    return 0
