"""What `remediator` without a command prints: where things stand, and the next useful command. It never acts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.subscriber import Subscriber


def tell_state(session: Session) -> int:
    """Print the state."""
    from remediator import __version__

    session.out.print(f"remediator {__version__} · your files stay untouched until `apply` · no telemetry")
    _tell_outbox(session)
    pulls = _tell_subscriptions(session)
    path = session.settings.state / "journal.sqlite"
    if not path.is_file():
        session.out.print("no run yet")
        session.out.print(f"next: {'remediator pull · ' if pulls else ''}remediator doctor · remediator fix PATH · remediator --help")
        return 0
    return _tell_last_run(session)


def _tell_outbox(session: Session) -> None:
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.clearinghouse.client.results import place_of

    if not Outbox.is_there(session.settings.state):
        return
    outbox = Outbox(session.settings.state)
    try:
        # What is about a subscription is told with it: another command hands it over.
        states = [item.state for item in outbox.items() if not item.place.startswith(place_of(""))]
    finally:
        outbox.close()
    if waiting := states.count("waiting"):
        session.out.print(f"outbox: {waiting} not delivered yet: remediator submit")
    if refused := states.count("refused"):
        session.out.print(f"outbox: {refused} refused: remediator submit says why")


def _tell_subscriptions(session: Session) -> bool:
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.console import safe
    from remediator.errors import StateError

    names, online = Subscriber.names(session.settings.state), False
    for name in names:
        subscriber = Subscriber(session.settings.state, name)
        try:
            told = subscriber.read()
        except StateError as error:
            # What else there is to say is said.
            session.out.print(f"subscription {safe(name)}: {safe(error.message)}: {error.hint}")
            continue
        pulled = f"pulled {told.pulled_at:%Y-%m-%d %H:%M} UTC" if told.pulled_at else "nothing pulled yet: remediator pull"
        session.out.print(f"subscription {safe(name)}: {safe(told.url)}, {pulled}")
        if waiting := _outcomes(session, subscriber):
            way = f"bundle results --name {name} -o FILE" if told.sequence else f"pull --name {name}"
            session.out.print(f"subscription {safe(name)}: {waiting} outcome{'s' * (waiting != 1)} not handed over yet: remediator {way}")
        online = online or not told.sequence
    return online


def _outcomes(session: Session, subscriber: Subscriber) -> int:
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.cli.receipts import waiting

    if not Outbox.is_there(session.settings.state):
        return 0
    outbox = Outbox(session.settings.state)
    try:
        return len(waiting(subscriber, outbox))
    finally:
        outbox.close()


def _tell_last_run(session: Session) -> int:
    from remediator.cli import case_view
    from remediator.cli.case_table import next_steps
    from remediator.cli.console import safe
    from remediator.cli.latest_run import latest_run
    from remediator.engine.journal import Journal

    journal = Journal(session.settings.state / "journal.sqlite")
    try:
        last = latest_run(journal.runs(), Path.cwd())
        cases = journal.cases(last.run_id) if last else ()
    finally:
        journal.close()
    if last is None:
        session.out.print("no run yet\nnext: remediator doctor · remediator fix PATH · remediator --help")
        return 0
    fixed = sum(case.fixed for case in cases)
    count = f"{len(cases)} case{'s' * (len(cases) != 1)}, {fixed} with a proven fix"
    session.out.print(f"last run: {last.run_id} on {safe(last.target)}, {last.outcome or 'unfinished'}: {count}")
    steps = next_steps(cases, case_view.short_ids(cases)) or "remediator fix PATH"
    session.out.print(f"next: remediator fix --resume {safe(last.target)}" if not last.finished else f"next: {steps}")
    return 0
