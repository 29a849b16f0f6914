"""`remediator pull`: fetch what a clearinghouse let out, and check it against its ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.http import Place
    from remediator.clearinghouse.client.subscriber import Pulled, Subscriber

_MOST_CELLS = 200


@click.command("pull", cls=Verb, json_fields=(*json_fields.PULL, *json_fields.MATCH))
@click.option("--name", default="default", show_default=True, help="The subscription.")
@click.option("--sbom", "sboms", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Then match this SBOM. Repeat for several.")  # fmt: skip # noqa: E501
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("fixes"), show_default=True, help="Where to, with --sbom."
)
@click.option(
    "--feeds", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder with KEV, EPSS and SSVC files, for due dates."
)
@click.option("--exposed/--not-exposed", default=None, help="Whether what you run can be reached from outside; unknown counts as exposed.")
@click.option("--watch", is_flag=True, help="Go on: follow the feed until Ctrl-C or SIGTERM.")
@click.option(
    "--exec", "program", metavar="CMD", help="Call this program once for each new patch, with JSON on its standard input; no shell."
)
@click.option("--interval", type=click.IntRange(1, 86_400), default=60, show_default=True, help="Seconds between two pulls, where there is no stream.")  # fmt: skip # noqa: E501
@pass_session
def command(
    session: Session,
    name: str,
    sboms: tuple[Path, ...],
    out: Path,
    feeds: Path | None,
    exposed: bool | None,
    watch: bool,
    program: str | None,
    interval: int,
) -> int:
    """Fetch what the clearinghouse let out since the last pull.

    The ledger's signature, that it only grew since the last pull, and that each patch is the recorded one are checked before anything is
    kept; exit code 8 where that fails, 3 where nobody answers. With --sbom the fixes are then matched on this machine, see
    `remediator match`; with --offline nothing is fetched, and what was pulled or imported before is matched.

    With --watch it follows the feed, goes on where it was after trouble or a restart, and ends with 0 when it is told to. With --exec the
    program is called once for each patch (with --sbom: that touches what you run) for which it did not end with 0 before, and once more if
    that patch is withdrawn; one that fails is called again, ever later. It gets no argument, variable or file name that others wrote.
    """
    from remediator.clearinghouse.client.calling import command_of
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.match import planned, tell
    from remediator.cli.watch import Wanted, called, watched
    from remediator.errors import UsageError

    wanted = Wanted(name, sboms, out, feeds, exposed, command_of(program) if program is not None else [], interval)
    if session.settings.offline and (watch or not (sboms or wanted.program)):
        raise UsageError("nothing is pulled offline", hint="`pull --offline --sbom FILE` works with what was pulled or imported before")
    known = json_fields.MATCH if sboms and not watch else json_fields.PULL
    if wrong := [each for each in session.json or () if each not in known]:
        raise UsageError(f"--json: no field {wrong[0]!r} here", hint=f"there is: {', '.join(known)}")
    if watch:
        return watched(session, wanted)
    if session.settings.offline:
        _tell_state(session, name)
    else:
        first = Subscriber(session.settings.state, name).read().head is None
        _tell(session, pull(session, name), alone=not sboms, first=first)
    code, found = 0, None
    if sboms:
        found = planned(session, name, sboms, out, feeds=feeds, exposed=exposed)
        code = tell(session, found, out)
    return called(session, wanted, found, code) if wanted.program else code


def pull(session: Session, name: str) -> Pulled:
    """Pull a subscription, and hand over outcomes that wait for it. Raises UsageError, EvidenceError, SinkError, AuthError."""
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.receipts import hand_over_beside

    subscriber = Subscriber(session.settings.state, name)
    place = place_of(session, subscriber)

    async def run() -> Pulled:
        async with Clearinghouse.connect(place) as clearinghouse:
            pulled = await subscriber.pull(clearinghouse)
        await hand_over_beside(session, subscriber)
        return pulled

    return asyncio.run(run())


def place_of(session: Session, subscriber: Subscriber) -> Place:
    """Return where a subscription pulls from; the token is read now. Raises ConfigError, UsageError, StateError."""
    from remediator.clearinghouse.client.http import Place
    from remediator.clearinghouse.client.subscriber import STORED
    from remediator.errors import UsageError
    from remediator.settings import trust_store

    if session.settings.offline:
        raise UsageError("nothing is pulled offline", hint="`remediator match` works with what was pulled before")
    told = subscriber.read()
    if told.token == STORED:
        token = session.settings.remember(f"stored:{told.name}", subscriber.stored_token())
    else:
        token = session.settings.secret(told.token)
    return Place(told.name, told.url, token.get_secret_value(), told.trust, trust_store())


def tell_pulled(session: Session, pulled: Pulled, *, first: bool = False) -> None:
    """Say what a pull brought; of the `first` no more is known than that it is signed."""
    from remediator.cli.console import safe

    known = "is the first that is seen here" if first else "goes on from the last pull"
    session.talk(
        f"{safe(pulled.name)}: {len(pulled.new)} new, {len(pulled.withdrawn)} withdrawn, {pulled.fixes} in all;"
        f" signature ok, the ledger ({pulled.ledger_size} entries) {known}"
    )
    for each, why in _withdrawn(session, pulled):
        session.talk(f"withdrawn: {safe(each)}, {why}; see to it where you applied it")


def _withdrawn(session: Session, pulled: Pulled) -> Iterator[tuple[str, str]]:
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.console import safe

    if not pulled.withdrawn:
        return
    fixes = {each.published.fix.id: each.published.fix for each in Subscriber(session.settings.state, pulled.name).kept()}
    for each in pulled.withdrawn:
        fix = fixes[each]
        why = f"superseded by {fix.superseded_by}" if fix.superseded_by else f"revoked: {fix.revoked_reason}"
        yield each, safe(why, limit=_MOST_CELLS)


def _tell(session: Session, pulled: Pulled, *, alone: bool, first: bool) -> None:
    from remediator.cli.documents import print_json

    if session.json is not None:
        if alone:
            print_json(session, pulled.as_json())
        return
    tell_pulled(session, pulled, first=first)


def _tell_state(session: Session, name: str) -> None:
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.cli.console import safe

    told = Subscriber(session.settings.state, name).read()
    when = f"as of {told.pulled_at:%Y-%m-%d %H:%M} UTC" if told.pulled_at else "nothing was pulled or imported yet"
    session.talk(f"{safe(told.name)}: offline, nothing was fetched; {when}")
