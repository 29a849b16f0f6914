"""`remediator list`: the cases of a run, or the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.meanings import CODES
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.engine.journal import RunSummary
    from remediator.records.case import Case

REASONS = [code for code, meaning in CODES.items() if meaning.kind == "reason"]


@click.command("list", cls=Verb, json_fields=(*json_fields.CASE, *json_fields.RUN_SUMMARY))
@click.option("--runs", is_flag=True, help="List the runs instead of one run's cases.")
@click.option("--run", "run_id", metavar="RUN", help="The run whose cases are listed; this folder's latest by default.")
@click.option("--class", "kind", type=click.Choice(["safe", "review", "none"]), help="Only cases of this class.")
@click.option("--reason", type=click.Choice(REASONS), metavar="CODE", help="Only cases that ended with this reason code.")
@pass_session
def command(session: Session, runs: bool, run_id: str | None, kind: str | None, reason: str | None) -> int:
    """List the cases of the latest run of this folder (else of all runs): proven fixes first, then what has none and why."""
    from remediator.cli.case_view import why_not
    from remediator.cli.fix_class import class_of
    from remediator.cli.latest_run import latest_cases
    from remediator.errors import UsageError

    async def work(app: Remediator) -> tuple[tuple[RunSummary, ...], tuple[Case, ...]]:
        known = app.journal.runs()
        if run_id is not None and run_id not in {run.run_id for run in known}:
            raise UsageError(f"no run {run_id!r}", hint="remediator list --runs")
        if runs:
            return known, ()
        return known, app.journal.cases(run_id) if run_id is not None else latest_cases(session, app.journal)

    known, cases = session.run(work)
    if runs:
        _list_runs(session, known)
        return 0
    _list_cases(session, [c for c in cases if kind in (None, class_of(c)) and reason in (None, why_not(c).reason)], bool(known))
    return 0


def _list_runs(session: Session, runs: tuple[RunSummary, ...]) -> None:
    from rich.text import Text

    from remediator.cli.console import columns, safe
    from remediator.cli.documents import print_json

    if session.json is not None:
        print_json(session, [run.as_json() for run in runs])
        return
    rows = [[run.run_id, f"{run.started:%Y-%m-%d %H:%M}", run.outcome or "unfinished", safe(run.target)] for run in runs]
    for line in columns([[Text(word) for word in row] for row in [["RUN", "STARTED", "OUTCOME", "TARGET"], *rows]]):
        session.out.print(line)


def _list_cases(session: Session, cases: list[Case], any_run: bool) -> None:
    from remediator.cli.case_table import print_cases
    from remediator.cli.documents import case_document, print_json

    if session.json is not None:
        print_json(session, [case_document(case) for case in cases])
        return
    print_cases(session.out, cases)
    if not cases:
        session.talk("no such case" if any_run else "no run yet; next: remediator fix")
