"""Those who watch a run: a live view on a terminal, one plain line per event elsewhere, or each event as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Protocol

from pydantic import PrivateAttr

from remediator.cli.session import Session
from remediator.cli.wording import Wording
from remediator.contracts import Observer
from remediator.records.event import CaseClosed, Event, FindingReported, VerdictReached
from remediator.records.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


class View(Protocol):
    """What shows an event."""

    def show(self, event: Event) -> None:
        """Show it."""

    def remember(self, event: Event) -> None:
        """Take note of what was shown before, such as by the process that began the run."""


class ViewObserver(Observer):
    """Passes every event on to a view."""

    name: ClassVar[str] = "cli"

    _view: View = PrivateAttr()

    @classmethod
    def onto(cls, view: View) -> ViewObserver:
        """Return an observer for the view."""
        observer = cls()
        observer._view = view
        return observer

    async def on_event(self, event: Event) -> None:
        """Show the event."""
        self._view.show(event)

    def remember(self, events: Iterable[Event]) -> None:
        """Have the view know what has happened before."""
        for event in events:
            self._view.remember(event)


class PlainView:
    """One line for each event, on standard error."""

    def __init__(self, console: Console, *, verbose: bool, every_check: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._words = Wording(every_check=every_check)

    def remember(self, event: Event) -> None:
        """Know which finding a case is about."""
        self._words.remember(event)

    def show(self, event: Event) -> None:
        """Print the event's line."""
        line = self._words.line(event)
        if self._verbose or not self._words.is_detail(event):
            self._console.print(line)
        for detail in self._words.below(event) if self._verbose else ():
            self._console.print(detail)


class JsonView:
    """Each event as one line of JSON, on standard output."""

    def remember(self, event: Event) -> None:
        """Do nothing: each line names its case by its id, and was printed once."""

    def show(self, event: Event) -> None:
        """Print the event."""
        import json

        line = json.dumps(event.as_json(), ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class LiveView:
    """Lines that stay, and below them one that moves: what is being done, for how long, and how many cases are through."""

    def __init__(self, console: Console, *, verbose: bool, every_check: bool = False) -> None:
        from rich.status import Status

        self._console = console
        self._verbose = verbose
        self._words = Wording(every_check=every_check)
        self._status = Status("starting", console=console, refresh_per_second=8)
        self._doing = "starting"
        self._since = time.monotonic()
        self._found = self._closed = self._fixed = 0

    def __enter__(self) -> LiveView:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def remember(self, event: Event) -> None:
        """Know which finding a case is about, and count what is through already."""
        self._words.remember(event)
        self._count(event)

    def show(self, event: Event) -> None:
        """Print the event's line where it stays, and move the one below."""
        line = self._words.line(event)
        if self._verbose or not self._words.is_detail(event):
            self._console.print(line, style=_style(event))
        for detail in self._words.below(event) if self._verbose else ():
            self._console.print(detail, style="dim")
        self._count(event)
        doing = self._words.doing(event) or self._doing
        if doing != self._doing:
            self._doing, self._since = doing, time.monotonic()
        self._status.update(self._text())

    def _text(self) -> _Moving:
        count = f"{self._closed}/{self._found} cases, {self._fixed} fixed" if self._found else ""
        return _Moving(self._doing, count, self._since)

    def _count(self, event: Event) -> None:
        match event:
            case FindingReported():
                self._found += 1
            case CaseClosed():
                self._closed += 1
            case VerdictReached(verdict=Verdict() as verdict):
                self._fixed += verdict.sufficient
            case _:
                return


class _Moving:
    """Text that tells the time that has passed whenever it is drawn."""

    def __init__(self, doing: str, count: str, since: float) -> None:
        self._parts = (doing, count)
        self._since = since

    def __rich__(self) -> Text:
        from rich.text import Text

        parts = (*self._parts, f"{time.monotonic() - self._since:.0f} s")
        return Text(" · ".join(part for part in parts if part))


@contextmanager
def watching(session: Session, *, every_check: bool = False) -> Iterator[Sequence[ViewObserver]]:
    """Open the view that fits this call; it is gone from the terminal when this is left.

    `every_check` is for the work on one patch, where a check that passed is news.
    """
    if session.events:
        yield (ViewObserver.onto(JsonView()),)
    elif session.quiet:
        yield ()
    elif session.err.is_terminal and not session.err.is_dumb_terminal:
        with LiveView(session.err, verbose=session.verbose > 0, every_check=every_check) as view:
            yield (ViewObserver.onto(view),)
    else:
        yield (ViewObserver.onto(PlainView(session.err, verbose=session.verbose > 0, every_check=every_check)),)


def _style(event: Event) -> str | None:
    match event:
        case VerdictReached():
            return "green" if event.verdict.sufficient else "yellow"
        case CaseClosed():
            return "bold"
        case _:
            return None
