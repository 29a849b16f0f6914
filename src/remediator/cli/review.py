"""`remediator review`: a person decides about each proven fix."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from remediator.cli.completing import complete_cases
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.cli.review_log import ReviewLog
    from remediator.records.case import Case

_ANSWERS = {"a": "approved", "r": "rejected", "s": "", "q": "quit"}


@click.command("review", cls=Verb)
@click.argument("cases", metavar="[CASE]...", nargs=-1, shell_complete=complete_cases)
@click.option("--again", is_flag=True, help="Ask about fixes that were decided on before, too.")
@pass_session
def command(session: Session, cases: tuple[str, ...], again: bool) -> int:
    """Walk through the proven fixes of this folder's latest run: (a)pprove, (r)eject with a reason, (s)kip.

    Without a terminal, or with --no-input, they are printed and nothing is decided. Nothing is applied here: see `apply --approved`.
    """
    from remediator.cli.case_view import ordered
    from remediator.cli.latest_run import latest_cases
    from remediator.cli.review_log import ReviewLog

    async def work(app: Remediator) -> list[Case]:
        found = [app.journal.case(prefix) for prefix in cases] if cases else list(latest_cases(session, app.journal))
        return [case for case in ordered(found) if case.fixed]

    found = session.run(work)
    log = ReviewLog(session.settings.state)
    open_ones = [case for case in found if again or not _decision(log, case)]
    if not open_ones:
        session.talk(
            f"nothing to review: {len(found)} proven, all decided" if found else "nothing to review: no proven fix in the latest run"
        )
        return 0
    if not session.interactive:
        return _print_all(session, open_ones)
    approved = _ask_all(session, log, open_ones)
    if approved:
        session.talk(f"{approved} approved · next: remediator apply --approved")
    return 0


def _ask_all(session: Session, log: ReviewLog, cases: list[Case]) -> int:
    from remediator.cli.case_page import print_case

    approved = 0
    for number, case in enumerate(cases, 1):
        session.out.print(f"\n[{number}/{len(cases)}]")
        print_case(session.out, case)
        answer = _ANSWERS[
            click.prompt("(a)pprove  (r)eject  (s)kip  (q)uit", type=click.Choice(list(_ANSWERS)), show_choices=False, err=True)
        ]
        if answer == "quit":
            break
        if answer and case.best:
            reason = click.prompt("reason", err=True) if answer == "rejected" else ""
            log.decide(case.id, case.best[0].id, answer, reason=reason, at=datetime.now(UTC))
            approved += answer == "approved"
    return approved


def _print_all(session: Session, cases: list[Case]) -> int:
    from remediator.cli.case_page import print_case

    for case in cases:
        print_case(session.out, case)
        session.out.print("")
    session.talk("nothing was decided: there is no terminal to ask on, or --no-input was given")
    return 0


def _decision(log: ReviewLog, case: Case) -> str:
    return log.decision(case.id, case.best[0].id) if case.best else ""
