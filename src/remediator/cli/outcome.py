"""`remediator outcome`: tell the clearinghouse what became of a fix, without telling where."""

from __future__ import annotations

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session


@click.command("outcome", cls=Verb, json_fields=json_fields.SUBMIT)
@click.argument("fix_id", metavar="FIX")
@click.argument("outcome", type=click.Choice(["applied", "rolled-back", "not-applicable", "failed"]))
@click.option("--reason", default="", help="One word, such as build-failed: small letters, digits and dashes.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="On how many systems.")
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@pass_session
def command(session: Session, fix_id: str, outcome: str, reason: str, count: int, name: str | None) -> int:
    """Report that a pulled FIX was applied, rolled back, did not apply here, or failed. No host, path or name is told.

    It goes into the outbox and is delivered at once where that is possible, else by the next `remediator submit`.
    """
    import re
    from datetime import UTC, datetime

    from remediator.clearinghouse.client.outbox import Outbox, idempotency_key
    from remediator.clearinghouse.wire.terms import Verb as Asked
    from remediator.clearinghouse.wire.verbs import ReceiptBody
    from remediator.cli.places import chosen
    from remediator.cli.submit import finish
    from remediator.errors import UsageError

    if not re.fullmatch(r"fix-[0-9a-f]{24}", fix_id):
        raise UsageError(f"{fix_id[:60]!r} is no id of a fix", hint="remediator match shows them")
    if not re.fullmatch(r"[a-z0-9-]{0,60}", reason):
        raise UsageError("--reason is one word of small letters, digits and dashes", hint="what says more could say where")
    place, _ = chosen(session, name)
    body = ReceiptBody(fix_id=fix_id, outcome=outcome, reason=reason, count=count).as_json()
    outbox = Outbox(session.settings.state)
    try:
        key = idempotency_key("receipt", fix_id, outcome, reason, str(count), datetime.now(UTC).isoformat())
        outbox.put(place, Asked.receipt, body, key=key, subject=f"{fix_id} {outcome}")
        return finish(session, outbox, place)
    finally:
        outbox.close()
