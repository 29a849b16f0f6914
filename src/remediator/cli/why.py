"""`remediator why`: the one reason for which a finding has no proven fix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from remediator.cli import json_fields
from remediator.cli.completing import complete_cases
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.records.case import Case
    from remediator.records.event import Event


class Answer(NamedTuple):
    """What `why` says about one case."""

    case: str
    place: str
    reason: str
    detail: str
    meaning: str
    tried: list[str]
    unblock: str
    preparation: str
    """What was tried to prepare the project, and the end of the last log, where that failed and a check was missed for it."""


@click.command("why", cls=Verb, json_fields=json_fields.WHY)
@click.argument("where", metavar="CASE|PATH:LINE", shell_complete=complete_cases)
@pass_session
def command(session: Session, where: str) -> int:
    """Say why CASE (or the finding at PATH:LINE of this folder's latest run) has no proven fix, what was tried, and the cheapest way on."""
    from remediator.cli.documents import print_json
    from remediator.cli.latest_run import latest_cases

    async def work(app: Remediator) -> list[Answer]:
        # An id is nobody's path: of whose run it is needs no telling.
        by_id = where == "last" or where.startswith("fx-")
        here = [] if by_id else [case for case in latest_cases(session, app.journal) if is_at(case, where)]
        return [answer_for(case, app.journal.events(case.run_id)) for case in here or [app.journal.case(where)]]

    answers = session.run(work)
    if session.json is not None:
        print_json(session, [answer._asdict() for answer in answers])
    else:
        for answer in answers:
            _print(session, answer)
    return 0


def is_at(case: Case, where: str) -> bool:
    """Return whether a case's finding stands at `path:line`, or anywhere in `path`."""
    path, _, line = where.rpartition(":")
    place = case.finding.location
    if place is None:
        return False
    if path and line.isdigit():
        return place.path == path and place.start_line <= int(line) <= max(place.end_line, place.start_line)
    return place.path == where


def answer_for(case: Case, events: Sequence[Event] = ()) -> Answer:
    """Return the answer for one case, with what its run's events say of the preparation."""
    from remediator.cli.case_view import label, place, tried, why_not
    from remediator.cli.meanings import CODES

    why = why_not(case)
    meaning = CODES[why.reason]
    return Answer(
        case=case.id,
        place=f"{place(case.finding)} {label(case.finding)}",
        reason=why.reason.value,
        detail=why.detail,
        meaning=meaning.says,
        tried=tried(case),
        unblock=_way_on(case, meaning.unblock),
        preparation=_preparation(events) if _missed_a_recipe(case) else "",
    )


def _missed_a_recipe(case: Case) -> bool:
    return any(check.reason == "no-recipe" for verdict in case.verdicts for check in verdict.checks)


def _preparation(events: Sequence[Event]) -> str:
    told = [event.data["hint"] for event in events if event.type == "RunProgress" and event.phase == "prepare" and event.data.get("hint")]
    return str(told[-1]) if told else ""


def _way_on(case: Case, unblock: str) -> str:
    level = case.best[1].level if case.best else None
    if level is None and "LEVEL" in unblock:
        # Nothing that could be settled for was reached.
        unblock = unblock.partition(", or accept less")[0]
    return unblock.replace("CASE", case.id).replace("LEVEL", level.name if level is not None else "")


def _print(session: Session, answer: Answer) -> None:
    from rich.text import Text

    from remediator.cli.console import safe

    out = session.out
    out.print(Text(f"{safe(answer.case)} · {answer.place}", style="bold"))
    out.print(f"reason: {answer.reason}{': ' + safe(answer.detail) if answer.detail else ''}")
    out.print(f"  {answer.meaning}")
    for line in answer.tried or ["nothing"]:
        out.print(f"tried: {safe(line)}")
    if answer.preparation:
        out.print("preparation:")
        for line in answer.preparation.splitlines():
            out.print(Text(f"  {safe(line)}", style="dim"))
    out.print(f"cheapest way on: {answer.unblock}")
