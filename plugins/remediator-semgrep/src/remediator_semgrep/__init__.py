"""The semgrep scanner, with a rule pack of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remediator import hookimpl

if TYPE_CHECKING:
    from remediator.contracts import Scanner


@hookimpl
def register_scanners() -> list[type[Scanner]]:
    """Return the scanner of this plugin."""
    from remediator_semgrep.semgrep_scanner import SemgrepScanner

    return [SemgrepScanner]
