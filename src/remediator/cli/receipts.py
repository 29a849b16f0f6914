"""What became of fixes of a subscription: handed over where it was pulled from, once, or kept for a bundle over the air gap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.outbox import Item, Outbox
    from remediator.clearinghouse.client.subscriber import Subscriber

_STATES = {"waiting": "waits", "bundled": "went out by a results bundle", "delivered": "delivered", "refused": "refused"}


class Handed(NamedTuple):
    """What became of outcomes that waited. `trouble` says why some still do, for people."""

    done: Sequence[Item] = ()
    """Each as it is now: delivered or refused."""
    trouble: str = ""


async def hand_over(session: Session, subscriber: Subscriber, outbox: Outbox | None = None) -> Handed:
    """Deliver what waits for a subscription.

    Raises AuthError where we are not who may tell it: it waits, too.
    """
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.outbox import Outbox as Opened
    from remediator.cli.pull import place_of
    from remediator.errors import ConfigError, SinkError, StateError, UsageError
    from remediator.evidence.keys import signing_key

    if outbox is None:
        if not (session.settings.state / "outbox").exists():
            return Handed()
        outbox = Opened(session.settings.state)
        try:
            return await hand_over(session, subscriber, outbox)
        finally:
            outbox.close()
    items = waiting(subscriber, outbox)
    if not items:
        return Handed()
    trouble = ""
    try:
        place = await asyncio.to_thread(place_of, session, subscriber)
        key = await asyncio.to_thread(signing_key, session.settings.state / "keys")
        async with Clearinghouse.connect(place, key) as clearinghouse:
            for item in items:
                await outbox.deliver(item, clearinghouse)
    except (SinkError, ConfigError, StateError, UsageError) as error:
        trouble = error.message
    keys = {item.key for item in items}
    return Handed([each for each in outbox.items(place=items[0].place) if each.key in keys and each.state != "waiting"], trouble)


async def hand_over_beside(session: Session, subscriber: Subscriber) -> None:
    """Deliver what waits as far as that goes, and say what left this machine and what did not: whatever else is being done goes on."""
    from remediator.cli.console import safe
    from remediator.errors import AuthError

    try:
        done, trouble = await hand_over(session, subscriber)
    except AuthError as error:
        done, trouble = (), f"{error.message}. {error.hint}"
    for item in done:
        became = f"refused: {safe(item.problem)}" if item.state == "refused" else "handed over"
        session.talk(f"outcome {safe(item.subject)}: {became}")
    if trouble:
        session.talk(f"outcomes wait that could not be handed over: {safe(trouble)}")


def waiting(subscriber: Subscriber, outbox: Outbox) -> list[Item]:
    """Return what is to be handed over from here: not what went out by a results bundle."""
    from remediator.clearinghouse.client.results import carried, place_of

    gone = carried(subscriber)
    return [item for item in outbox.items(place=place_of(subscriber.read().name), state="waiting") if item.key not in gone]


def told(session: Session, subscriber: Subscriber, outbox: Outbox, items: Sequence[Item] | None, trouble: str) -> int:
    """Say where these outcomes of a subscription stand, or all, and return the exit code: 7 where one was refused, 3 where one waits."""
    from remediator.clearinghouse.client.results import carried, place_of
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json
    from remediator.cli.exit_code import ExitCode

    name = subscriber.read().name
    keys = None if items is None else {item.key for item in items}
    now = [item for item in outbox.items(place=place_of(name)) if keys is None or item.key in keys]
    gone = carried(subscriber)
    rows = [_row(item, gone) for item in now]
    if session.json is not None:
        print_json(session, rows)
    else:
        for row in rows:
            problem = f": {safe(row['problem'])}" if row["problem"] else ""
            session.out.print(f"{safe(row['place'])}  {safe(row['subject'])}  {_STATES[row['delivery']]}{problem}")
    if trouble:
        session.talk(f"not handed over: {safe(trouble)}; it waits for the next `remediator pull`")
    if any(row["delivery"] == "refused" for row in rows):
        return ExitCode.conflict
    return ExitCode.could_not_check if any(row["delivery"] == "waiting" for row in rows) else ExitCode.clean


def _row(item: Item, gone: dict[str, int]) -> dict[str, Any]:
    bundled = item.state == "waiting" and item.key in gone
    return {
        "place": item.place,
        "verb": item.verb,
        "subject": item.subject,
        "delivery": "bundled" if bundled else item.state,
        "id": item.answer.id if item.answer is not None else "",
        "state": item.answer.state if item.answer is not None else "",
        "level": None,
        "reason": str(item.body.get("reason", "")),
        "detail": "",
        "problem": item.problem,
    }
