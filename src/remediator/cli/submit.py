"""`remediator submit`: hand proven fixes over to a clearinghouse, deliver what waits, and say what became of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.clearinghouse.client.http import Clearinghouse
    from remediator.clearinghouse.client.outbox import Item, Outbox
    from remediator.evidence.examine import Bundle
    from remediator.records.case import Case

_MOST_TROUBLES = 3
_MOST_CELLS = 200
_STATES = {"waiting": "waits in the outbox", "delivered": "delivered", "refused": "refused"}


@click.command("submit", cls=Verb, json_fields=json_fields.SUBMIT)
@click.argument("cases", metavar="[CASE|BUNDLE]…", nargs=-1)
@click.option("--to", "name", metavar="NAME", help="The clearinghouse, by its name in the settings; the only one by default.")
@click.option("--project", metavar="PURL|URL", default="", help="What others know the project as, where its source is a folder.")
@click.option("--tlp", type=click.Choice(["clear", "green", "amber", "red"]), help="Who may be told; as in the settings by default.")
@click.option("--embargo-days", type=click.IntRange(0, 180), help="Tell nobody before so many days; as in the settings by default.")
@click.option("--finding", "as_finding", is_flag=True, help="Report the flaws of these CASES without a fix, also where none is proven.")
@click.option(
    "--again",
    is_flag=True,
    help="Try all that was refused once more; send these CASES anew where a clearinghouse failed to check them.",
)
@click.option("--drop", metavar="SUBJECT", help="Give up what was refused about SUBJECT, as the list shows it.")
@click.option("--show-key", is_flag=True, help="Print your public signing key, for the clearinghouse's operator to register.")
@click.option("--status", "ask_status", is_flag=True, help="Ask what became of everything that was delivered.")
@pass_session
def command(
    session: Session,
    cases: tuple[str, ...],
    name: str | None,
    project: str,
    tlp: str | None,
    embargo_days: int | None,
    again: bool,
    as_finding: bool,
    drop: str | None,
    show_key: bool,
    ask_status: bool,
) -> int:
    """Hand the proven fixes of these CASES (or bundles) over, and deliver whatever waits in the outbox.

    A fix is on disk before it is sent, and delivered once, however often this is run, killed or cut off. What is refused holds up nothing
    else, and stays until it is tried again or given up. Exit code 3 where something still waits, 7 where something was refused this time.
    """
    from remediator.clearinghouse.client.handing import put_finding, put_fix
    from remediator.clearinghouse.client.outbox import Outbox
    from remediator.clearinghouse.wire.terms import Tlp
    from remediator.cli.exit_code import ExitCode
    from remediator.cli.places import chosen
    from remediator.errors import UsageError
    from remediator.evidence.keys import signing_key

    if show_key:
        click.echo(signing_key(session.settings.state / "keys").public.line())
        return ExitCode.clean
    place, told = chosen(session, name)
    outbox = Outbox(session.settings.state)
    try:
        days = told.embargo_days if embargo_days is None else embargo_days
        how: dict[str, Any] = {"project": project, "tlp": Tlp(tlp or told.tlp), "embargo_days": days, "ledger": told.trust}
        for each in cases:
            archive, bundle = _read(session, each)
            item = put_finding(outbox, place, bundle, **how) if as_finding else put_fix(outbox, place, bundle, archive, again=again, **how)
            # Whoever names a case that was refused has mended something, and wants it tried.
            outbox.again(place, item)
        if again:
            outbox.again(place)
        if drop is not None and not outbox.drop(place, drop):
            raise UsageError(
                f"nothing about {drop[:200]!r} was refused by {place}", hint="remediator submit shows what was, and its subject"
            )
        return finish(session, outbox, place, ask_status=ask_status)
    finally:
        outbox.close()


def finish(session: Session, outbox: Outbox, place: str, *, ask_status: bool = False) -> int:
    """Deliver what waits, say where everything stands, and return the exit code."""
    from remediator.cli.documents import print_json
    from remediator.cli.exit_code import ExitCode

    before = {item.number for item in outbox.items(place=place, state="refused")}
    trouble = _delivered(session, outbox, place)
    items = outbox.items(place=place)
    states = _asked(session, place, items) if ask_status else {}
    rows = [_row(item, states) for item in items]
    if session.json is not None:
        print_json(session, rows)
    else:
        _print(session, rows, trouble)
    if any(item.state == "refused" and item.number not in before for item in items):
        return ExitCode.conflict
    return ExitCode.could_not_check if any(item.state == "waiting" for item in items) else ExitCode.clean


def _read(session: Session, word: str) -> tuple[bytes, Bundle]:
    from remediator.evidence.container import pack_files, read_files
    from remediator.evidence.examine import examine
    from remediator.evidence.keys import TrustedKeys

    files = read_files(_named(session, word))
    return pack_files(files), examine(files, TrustedKeys.load(session.settings.state / "keys"))


def _named(session: Session, word: str) -> Path:
    from remediator.errors import UsageError
    from remediator.evidence.container import is_bundle

    path = Path(word)
    if is_bundle(path):
        return path
    try:
        return _bundle_of(session, word)
    except UsageError:
        if not path.exists():
            raise
        raise UsageError(
            f"{word} is no bundle", hint="name a case, a bundle's folder, or its .tar.zst: remediator show CASE tells where it is"
        ) from None


def _bundle_of(session: Session, prefix: str) -> Path:
    from remediator.errors import UsageError

    async def work(app: Remediator) -> Case:
        return app.journal.case(prefix)

    case = session.run(work)
    if not case.bundle_path:
        raise UsageError(f"case {case.id} has no bundle", hint="its run ended before it was written: remediator fix --resume")
    return Path(case.bundle_path)


def _delivered(session: Session, outbox: Outbox, name: str | None) -> str:
    """Deliver what waits; return why something still does."""
    from remediator.cli.places import asked, chosen
    from remediator.errors import SinkError

    place, _ = chosen(session, name)
    waiting = outbox.items(place=place, state="waiting")
    if not waiting:
        return ""
    if session.settings.offline:
        return "this machine is offline"

    async def work(clearinghouse: Clearinghouse) -> str:
        troubles: list[str] = []
        for item in waiting:
            try:
                await outbox.deliver(item, clearinghouse)
            except SinkError as error:
                # It may be this one alone that does not get through; where several do not, nothing does.
                troubles.append(error.message)
                if len(troubles) == _MOST_TROUBLES:
                    break
        return troubles[0] if troubles else ""

    try:
        return asked(session, name, work)
    except SinkError as error:
        return error.message


def _asked(session: Session, name: str | None, items: list[Item]) -> dict[str, dict[str, Any]]:
    from remediator.cli.places import asked

    async def work(clearinghouse: Clearinghouse) -> dict[str, dict[str, Any]]:
        # What another clearinghouse got, that had this name before, is not known to this one.
        here = ("", clearinghouse.ledger_key.keyid)
        ids = [item.answer.id for item in items if item.answer is not None and item.ledger in here]
        answers = await asyncio.gather(*(clearinghouse.status(each) for each in ids))
        return {each: answer.as_json() for each, answer in zip(ids, answers, strict=True)}

    return asked(session, name, work)


def _row(item: Item, states: dict[str, dict[str, Any]]) -> dict[str, Any]:
    there = item.answer.id if item.answer is not None else ""
    now = states.get(there, {})
    detail = now.get("detail") or {}
    found = detail.get("validation") or {}
    return {
        "place": item.place,
        "verb": item.verb,
        "subject": item.subject,
        "delivery": item.state,
        "id": there,
        "state": now.get("state") or (item.answer.state if item.answer is not None else ""),
        "level": detail.get("level"),
        "reason": found.get("reason", ""),
        "detail": " ".join(map(str, found.get("differences") or ())) if found.get("reason") else "",
        "problem": item.problem,
    }


def _print(session: Session, rows: list[dict[str, Any]], trouble: str) -> None:
    from remediator.cli.console import safe

    for row in rows:
        told = f"{safe(row['place'])}  {safe(row['subject'])}  {_STATES[row['delivery']]}"
        if row["id"]:
            level = f" at E{row['level']}" if row["level"] is not None else ""
            said = f": {safe(row['detail'], limit=_MOST_CELLS)}" if row["detail"] else ""
            why = f" ({safe(row['reason'])}{said})" if row["reason"] else ""
            told += f" as {safe(row['id'])}: {safe(row['state'])}{level}{why}"
        if row["problem"]:
            told += f": {safe(row['problem'])}"
        session.out.print(told)
    if any(row["delivery"] == "refused" for row in rows):
        session.talk("what was refused holds up nothing else; mend it, then: remediator submit --again, or give it up: --drop SUBJECT")
    if (why := next((row["reason"] for row in rows if row["reason"]), "")) and not session.quiet:
        session.talk(f"what a reason means: remediator explain {safe(why)}")
    if not rows:
        session.talk("nothing was handed over yet: remediator submit CASE")
    if trouble:
        session.talk(f"not delivered: {safe(trouble)}; it stays in the outbox: remediator submit")
