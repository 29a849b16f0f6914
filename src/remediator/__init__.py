"""A fix that proves itself: the public face of remediator.

Importing it loads no engine, no network library and no command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remediator.errors import RemediatorError

__version__ = "0.1.0"

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.hookspecs import hookimpl

__all__ = ["Remediator", "RemediatorError", "__version__", "hookimpl"]


def __getattr__(name: str) -> object:
    if name == "Remediator":
        from remediator.app import Remediator

        return Remediator
    if name == "hookimpl":
        from remediator.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module 'remediator' has no attribute {name!r}")
