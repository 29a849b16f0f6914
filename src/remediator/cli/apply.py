"""`remediator apply`: the only command that changes a repository of yours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.completing import complete_cases
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session
from remediator.errors import UsageError

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.records.case import Case


@click.command("apply", cls=Verb, json_fields=("cases", *json_fields.APPLIED))
@click.argument("cases", metavar="[CASE]...", nargs=-1, shell_complete=complete_cases)
@click.option("--class", "kind", type=click.Choice(["safe"]), help="Every proven fix of this class of the repository's latest run.")
@click.option("--approved", is_flag=True, help="Every proven fix that was approved in `review` and not applied yet.")
@click.option(
    "--to",
    "repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="Your repository; the current folder by default.",
)
@pass_session
def command(session: Session, cases: tuple[str, ...], kind: str | None, approved: bool, repository: Path) -> int:
    """Put proven fixes on a new branch of your repository, one commit each. A fix that is not proven is refused."""
    from remediator.cli.documents import print_json

    if sum((bool(cases), kind is not None, approved)) != 1:
        raise UsageError("say which fixes to apply: ids, or --class safe, or --approved", hint="remediator list shows them")

    async def work(app: Remediator) -> tuple[Any, list[Case]]:
        chosen = choose(session, app, cases, repository, safe_only=kind is not None)
        return await app.apply([case.id for case in chosen], repository), chosen

    applied, chosen = session.run(work)
    if session.json is not None:
        print_json(session, {"cases": [case.id for case in chosen], **applied.as_json()})
    else:
        tell_applied(session, applied, chosen, repository)
    return 0


def choose(session: Session, app: Remediator, prefixes: Sequence[str], repository: Path, *, safe_only: bool) -> list[Case]:
    """Return the proven cases that were named or chosen. Raises UsageError where one is not proven, or there is none."""
    from remediator.cli.fix_class import FixClass, class_of
    from remediator.cli.latest_run import latest_cases
    from remediator.cli.review_log import ReviewLog

    if prefixes:
        chosen = list({case.id: case for case in (app.journal.case(prefix) for prefix in prefixes)}.values())
        for case in chosen:
            _proven(case)
        return chosen
    proven = [case for case in latest_cases(session, app.journal, repository) if case.fixed]
    if safe_only:
        chosen = [case for case in proven if class_of(case) is FixClass.safe]
    else:
        log = ReviewLog(session.settings.state)
        chosen = [case for case in proven if case.best and log.decision(case.id, case.best[0].id) == "approved"]
    if not chosen:
        raise UsageError("there is no such fix in the latest run", hint="remediator list")
    return chosen


def tell_applied(session: Session, applied: Any, chosen: Sequence[Case], repository: Path) -> None:
    """Say what was done, and how to take it back."""
    from remediator.cli.console import safe

    branch = getattr(applied, "branch", "")
    where = f"on branch {safe(branch)}" if branch else f"in {safe(str(repository))}"
    session.out.print(f"applied {len(chosen)} fix{'es' * (len(chosen) != 1)} {where}")
    for case in chosen:
        session.out.print(f"  {safe(case.id)}  {safe(case.best[0].title) if case.best else ''}")
    session.talk("undo: remediator undo" + ("" if str(repository) == "." else f" --to {safe(str(repository))}"))


def _proven(case: Case) -> None:
    from remediator.cli.case_view import why_not

    if not case.fixed:
        why = why_not(case)
        raise UsageError(
            f"{case.id} has no proven fix: {why.reason}{': ' + why.detail if why.detail else ''}", hint=f"remediator why {case.id}"
        )
