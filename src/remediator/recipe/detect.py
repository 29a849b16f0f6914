"""Which ecosystem a tree belongs to."""

from __future__ import annotations

from importlib import import_module

from remediator.contracts.tree import Tree
from remediator.errors import RecipeError
from remediator.recipe.ecosystem import Ecosystem

# Named, not imported: an ecosystem is loaded when a tree is looked at.
ECOSYSTEMS = {"python": "remediator.recipe.python.ecosystem:PythonEcosystem"}


def ecosystem_named(name: str) -> Ecosystem:
    """Return the ecosystem of that name. Raises RecipeError for a name that is not known."""
    if name not in ECOSYSTEMS:
        raise RecipeError(f"no ecosystem is called {name!r}", hint=f"known: {', '.join(sorted(ECOSYSTEMS))}")
    module, _, attribute = ECOSYSTEMS[name].partition(":")
    ecosystem: Ecosystem = getattr(import_module(module), attribute)()
    return ecosystem


def ecosystem_of(tree: Tree) -> Ecosystem:
    """Return the first ecosystem that knows the tree. Raises RecipeError where none does."""
    for name in ECOSYSTEMS:
        ecosystem = ecosystem_named(name)
        if ecosystem.detect(tree):
            return ecosystem
    raise RecipeError(
        "no ecosystem knows how to build and test this tree",
        hint=f"known are: {', '.join(sorted(ECOSYSTEMS))}",
    )


def syntax_error(path: str, data: bytes) -> str | None:
    """Return why the file does not parse in its own language, or None where it does or the language is unknown."""
    for name in ECOSYSTEMS:
        ecosystem = ecosystem_named(name)
        if ecosystem.covers(path):
            return ecosystem.syntax_error(path, data)
    return None
