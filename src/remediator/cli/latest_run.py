"""Which run is meant where none is named: the latest of this folder, else the latest of all, which is then told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.engine.journal import Journal, RunSummary
    from remediator.records.case import Case


def latest_run(runs: Sequence[RunSummary], folder: Path) -> RunSummary | None:
    """Return the first of the runs on the folder, or on the nearest one above it that has any, else the first of all."""
    here = folder.resolve()
    places = [str(place) for place in (here, *here.parents)]
    return next((run for place in places for run in runs if run.target == place), runs[0] if runs else None)


def latest_cases(session: Session, journal: Journal, folder: Path | None = None) -> tuple[Case, ...]:
    """Return the cases of the run that is meant in a folder (by default the current one), having said so where it is another's."""
    from remediator.cli.console import safe

    folder = folder or Path.cwd()
    # A run that failed before it had a case, such as for a misspelt option, hides nothing.
    run = latest_run([run for run in journal.runs() if run.outcome != "failed" or journal.cases(run.run_id)], folder)
    if run is None:
        return ()
    if not folder.resolve().is_relative_to(run.target):
        session.talk(f"latest run: {run.run_id} on {safe(run.target)}")
    return journal.cases(run.run_id)
