"""Why nothing can be run: no sandbox, or no way to prepare the project."""

from __future__ import annotations

from remediator.builtin.answer import Answer
from remediator.contracts.workspace import Workspace
from remediator.errors import RecipeError
from remediator.records.verdict import CheckStatus


async def no_baseline(workspace: Workspace) -> Answer:
    """Return the answer of a check that needs a baseline where there is none.

    Raises SandboxUnavailableError where no sandbox answers.
    """
    told = "no way was found to prepare the project"
    try:
        async with workspace.sandbox():
            pass
    except RecipeError as error:
        told = error.message
    return Answer(CheckStatus.not_run, "no-recipe", told, {})
