"""What a target's own `remediator.toml` may say: how to test it, and nothing that loosens anything."""

from __future__ import annotations

import tomllib
from typing import Any

from pydantic import ValidationError

from remediator.contracts import Tree
from remediator.errors import GitError
from remediator.recipe.hints import Hints

_NAME = "remediator.toml"
_MOST_BYTES = 64 * 1024
_READ = ("recipe",)


def project_hints(operator: Hints, tree: Tree, note: Any) -> Hints:
    """Return the operator's hints, with gaps filled from the target's `[recipe]` table. It is used inside the sandbox only."""
    table = _table(tree, note)
    for key in sorted(set(table) - set(_READ)):
        note(f"{_NAME} of the target: {key!r} is not the target's to say, ignored", reason="RMD-C012")
    said = table.get("recipe", {})
    if not isinstance(said, dict):
        return operator
    ours = operator.model_dump(exclude_defaults=True)
    try:
        return Hints.model_validate({**said, **ours})
    except ValidationError as error:
        note(f"{_NAME} of the target: [recipe] is ignored: {error.errors()[0]['msg']}")
        return operator


def _table(tree: Tree, note: Any) -> dict[str, Any]:
    try:
        return tomllib.loads(tree.read(_NAME, limit_bytes=_MOST_BYTES).decode("utf-8"))
    except KeyError:
        return {}
    except (GitError, ValueError, RecursionError) as error:
        note(f"{_NAME} of the target is not read: {error}")
        return {}
