"""`remediator outcome`: tell the clearinghouse what became of a fix, without telling where."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.clearinghouse.wire.verbs import ReceiptBody

_MOST_NOTE = 1000


@click.command("outcome", cls=Verb, json_fields=json_fields.SUBMIT)
@click.argument("fix_id", metavar="FIX")
@click.argument("outcome", type=click.Choice(["applied", "rolled-back", "not-applicable", "failed"]))
@click.option("--reason", default="", help="One word, such as build-failed: small letters, digits and dashes.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="On how many systems.")
@click.option("--note", default="", help="For your own people; no clearinghouse gets it. Kept with the subscription that FIX is from.")
@click.option("--name", metavar="NAME", help="The subscription that FIX was pulled by; the one that has it by default.")
@click.option("--to", "place", metavar="NAME", help="A clearinghouse of the settings instead, by its name.")
@pass_session
def command(session: Session, fix_id: str, outcome: str, reason: str, count: int, note: str, name: str | None, place: str | None) -> int:
    """Report that a pulled FIX was applied, rolled back, did not apply here, or failed. No host, path or name is told.

    It is noted on disk, and delivered at once where that is possible, else by the next `remediator pull` (with --to: `remediator submit`).
    Where fixes come in by bundles it is kept for `remediator bundle results`. Exit code 3 where it waits, 7 where it was refused.
    """
    import re

    from remediator.clearinghouse.wire.verbs import ReceiptBody
    from remediator.errors import UsageError

    if not re.fullmatch(r"fix-[0-9a-f]{24}", fix_id):
        raise UsageError(f"{fix_id[:60]!r} is no id of a fix", hint="remediator match shows them")
    if not re.fullmatch(r"[a-z0-9-]{0,60}", reason):
        raise UsageError("--reason is one word of small letters, digits and dashes", hint="what says more could say where; see --note")
    if len(note) > _MOST_NOTE:
        raise UsageError(f"--note has {len(note)} characters; {_MOST_NOTE} are the most")
    if place and name:
        raise UsageError("--to and --name are two ways to the same", hint="--name for what you pulled")
    body = ReceiptBody(fix_id=fix_id, outcome=outcome, reason=reason, count=count)
    if (subscriber := None if place else _pulled_by(session, fix_id, name)) is not None:
        return _noted(session, subscriber, body, note)
    if note:
        raise UsageError("--note is kept with a subscription, and none has this fix", hint="remediator subscribe shows them")
    return _put(session, place, body)


def _pulled_by(session: Session, fix_id: str, name: str | None) -> Subscriber | None:
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.errors import UsageError

    state = session.settings.state
    if name is not None:
        subscriber = Subscriber(state, name)
        subscriber.read()
        if not subscriber.has(fix_id):
            raise UsageError(f"{fix_id} was not pulled by {name!r}", hint="remediator match shows what was")
        return subscriber
    found = [each for each in Subscriber.names(state) if Subscriber(state, each).has(fix_id)]
    if len(found) > 1:
        raise UsageError(f"{fix_id} was pulled by several subscriptions", hint=f"--name, out of {', '.join(found)}")
    if not found and not session.settings.clearinghouses:
        raise UsageError(f"{fix_id} was not pulled here", hint="remediator match shows what was")
    return Subscriber(state, found[0]) if found else None


def _noted(session: Session, subscriber: Subscriber, body: ReceiptBody, note: str) -> int:
    from remediator.clearinghouse.client import results
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.cli.console import safe
    from remediator.cli.receipts import hand_over, told
    from remediator.errors import AuthError

    name = subscriber.read().name
    key = _key(body)
    outbox = Outbox(session.settings.state)
    try:
        if note:
            results.keep_note(subscriber, key, note)
        item = results.put(outbox, name, key, body)
        if subscriber.read().sequence:
            # Its fixes come in by bundles: the outcomes go out by them, too.
            told(session, subscriber, outbox, [item], "")
            session.talk(f"{safe(name)} is behind an air gap: remediator bundle results -o FILE takes it out")
            return 0
        try:
            trouble = asyncio.run(hand_over(session, subscriber, outbox)).trouble
        except AuthError as error:
            # Whoever tells it once more would have it counted twice.
            raise AuthError(error.message, hint=f"{error.hint}. It is kept, and handed over by the next `remediator pull`") from error
        return told(session, subscriber, outbox, [item], trouble)
    finally:
        outbox.close()


def _put(session: Session, name: str | None, body: ReceiptBody) -> int:
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.cli.places import chosen
    from remediator.cli.submit import finish

    place, _ = chosen(session, name)
    outbox = Outbox(session.settings.state)
    try:
        outbox.put(place, Asked.receipt, body.as_json(), key=_key(body), subject=f"{body.fix_id} {body.outcome}")
        return finish(session, outbox, place)
    finally:
        outbox.close()


def _key(body: ReceiptBody) -> str:
    from datetime import UTC, datetime

    from remediator.clearinghouse.client.outbox import idempotency_key

    # The same may happen again, and is then told again: the time is what tells two of them apart.
    return idempotency_key("receipt", body.fix_id, body.outcome, body.reason, str(body.count), datetime.now(UTC).isoformat())
