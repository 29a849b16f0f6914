"""`remediator show`: one case in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.completing import complete_cases
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.records.case import Case


@click.command("show", cls=Verb, json_fields=json_fields.CASE)
@click.argument("case", metavar="CASE", shell_complete=complete_cases)
@click.option("--diff", "diff_only", is_flag=True, help="Print the diff alone, byte for byte, for `git apply` or a file.")
@pass_session
def command(session: Session, case: str, diff_only: bool) -> int:
    """Show CASE: the finding, the diff, every check with its result, what was not checked, the bundle, and how to replay it.

    CASE is the beginning of an id, as `list` shows it.
    """
    from remediator.cli.case_page import print_case
    from remediator.cli.documents import case_document, print_json

    async def work(app: Remediator) -> Case:
        return app.journal.case(case)

    found = session.run(work)
    if diff_only:
        return _print_diff(session, found)
    if session.json is not None:
        print_json(session, case_document(found))
    else:
        print_case(session.out, found)
    return 0


def _print_diff(session: Session, case: Case) -> int:
    from remediator.errors import UsageError
    from remediator.redact import printable

    if case.best is None:
        raise UsageError(f"case {case.id} has no patch", hint=f"remediator why {case.id}")
    diff = case.best[0].diff
    # Into a file or a pipe it goes as it is; a terminal gets no control characters from a target.
    click.echo(printable(diff, keep_newlines=True) if session.out.is_terminal else diff.encode("utf-8", "surrogateescape"), nl=False)
    if not case.fixed:
        session.talk("warning: this patch is not proven to the required level")
    return 0
