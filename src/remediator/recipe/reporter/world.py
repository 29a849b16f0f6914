"""Puts the interpreter into the state that tests expect, after the channel stands and before anything of the tree is loaded."""

# ruff: noqa: PTH118
# pathlib is a module that the tree can change under us; os.path is loaded before it.

from __future__ import annotations

import os
import sys
from typing import Any


class _Flags(tuple):  # type: ignore[type-arg]
    """`sys.flags` as an ordinary start has them: child processes inherit them from here."""


def enter(job: dict[str, Any]) -> None:
    """Load the site packages, which a start with -S left out, and step into the tree."""
    sys.pycache_prefix = job["pycache"]
    sys.dont_write_bytecode = True
    import site

    site.main()
    flags = _Flags(sys.flags)
    for name in dir(sys.flags):
        if not name.startswith("_") and name not in ("count", "index"):
            setattr(flags, name, getattr(sys.flags, name))
    flags.no_site = flags.no_user_site = 0  # type: ignore[attr-defined]
    flags.safe_path = False  # type: ignore[attr-defined]
    sys.flags = flags  # type: ignore[assignment]
    os.chdir(job["root"])


def find_tree_first(job: dict[str, Any]) -> None:
    """Put the tree's import folders before everything else; called when our own imports are done."""
    for folder in reversed(job["python_path"]):
        path = os.path.normpath(os.path.join(job["root"], folder))
        while path in sys.path:
            sys.path.remove(path)
        sys.path.insert(0, path)


def origins(job: dict[str, Any]) -> dict[str, str]:
    """Return where the loaded ones of the project's own modules came from."""
    found = {}
    for name in job["packages"]:
        module = sys.modules.get(name)
        if module is not None:
            # A namespace is spread over folders: it is the project's where one of them is.
            places = [str(getattr(module, "__file__", None) or ""), *map(str, getattr(module, "__path__", None) or [])]
            found[name] = next((place for place in places if place.startswith(job["root"])), places[0])
    return found
