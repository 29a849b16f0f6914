"""Two consoles: standard output for data, standard error for talk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from remediator.redact import printable

WIDE = 100_000
"""So wide that nothing is ever folded: what is piped is read by programs."""


class PipedConsole(Console):
    """A console whose reader may go away: rich would end the process from wherever it happens to print, and leave the engine hanging."""

    def on_broken_pipe(self) -> None:
        """Fall silent where it was talk, for the work goes on without a listener; data without a reader ends the command."""
        self.quiet = True
        if not self.stderr:
            raise BrokenPipeError
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def make_console(color: str, *, stderr: bool) -> Console:
    """Return a console that interprets nothing in what it prints. `color` is auto, always or never."""
    console = PipedConsole(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
        color_system=None if color == "never" else "auto",
        force_terminal=True if color == "always" else None,
        no_color=False if color == "always" else None,
    )
    if color == "never":
        console.no_color = True
    return console


def safe(text: str, *, limit: int = 0) -> str:
    """Return hostile text made fit for a terminal line, cut to `limit` cells where one is given."""
    shown = printable(text)
    if limit and cell_len(shown) > limit:
        cut = shown[: limit - 1]
        while cell_len(cut) >= limit:
            cut = cut[:-1]
        return cut.rstrip() + "…"
    return shown


def columns(rows: Iterable[Sequence[Text]], *, indent: int = 2) -> list[Text]:
    """Return lines in which the cells of each column begin at the same place; the last one is not padded."""
    table = [list(row) for row in rows]
    widths = [max((cell_len(row[index].plain) for row in table), default=0) for index in range(max(map(len, table), default=0))]
    lines = []
    for row in table:
        line = Text(" " * indent)
        for index, cell in enumerate(row):
            line.append_text(cell)
            if index < len(row) - 1:
                line.append(" " * (widths[index] - cell_len(cell.plain) + 2))
        line.rstrip()
        lines.append(line)
    return lines
