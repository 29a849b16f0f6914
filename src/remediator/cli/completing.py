"""What the shell can complete: case ids and names of playbooks. It reads the journal's file and loads no plugin."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from remediator.errors import RemediatorError


def complete_cases(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids of the cases of this folder's latest run."""
    from remediator.cli.options import session_of

    try:
        path = session_of(ctx).settings.state / "journal.sqlite"
        if not path.is_file():
            return []
        from remediator.cli.case_view import label, place
        from remediator.cli.latest_run import latest_run
        from remediator.engine.journal import Journal

        journal = Journal(path)
        try:
            run = latest_run(journal.runs(), Path.cwd())
            cases = journal.cases(run.run_id) if run else ()
        finally:
            journal.close()
    except RemediatorError:
        return []
    return [CompletionItem(c.id, help=f"{place(c.finding)} {label(c.finding)}") for c in cases if c.id.startswith(incomplete)]


def complete_playbooks(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the names of the playbooks that come with remediator."""
    from remediator.playbook import playbook_names

    return [CompletionItem(name) for name in playbook_names() if name.startswith(incomplete)]


def complete_codes(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return everything that `explain` knows."""
    from remediator.cli.meanings import CODES

    return [CompletionItem(code, help=meaning.says) for code, meaning in CODES.items() if code.startswith(incomplete)]
