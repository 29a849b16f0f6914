"""What all commands of one call share: the global options, the two consoles, and the way to the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

    from remediator.app import Remediator
    from remediator.contracts import Observer
    from remediator.redact import Redactor
    from remediator.settings import Settings

T = TypeVar("T")
OpenApp = Callable[["Settings", Sequence["Observer"]], "AbstractAsyncContextManager[Remediator]"]


class Output(NamedTuple):
    """One `-o FORMAT=FILE`. The target `-` is standard output."""

    format: str
    target: str


def open_remediator(settings: Settings, observers: Sequence[Observer]) -> AbstractAsyncContextManager[Remediator]:
    """Open the real application."""
    from remediator.app import Remediator

    return Remediator.open(settings, observers=tuple(observers))


@dataclass
class Session:
    """Filled in by the global options while the command line is parsed, read by the commands."""

    open_app: OpenApp = open_remediator
    arguments: tuple[str, ...] = ()
    config: Path | None = None
    json: tuple[str, ...] | None = None
    """None: no JSON. Empty: whole documents. Else: these fields."""
    outputs: tuple[Output, ...] = ()
    quiet: bool = False
    verbose: int = 0
    no_input: bool = False
    offline: bool = False
    color: str = "auto"
    events: bool = False
    overrides: dict[str, object] = field(default_factory=dict)

    @cached_property
    def out(self) -> Console:
        """Return the console for data."""
        from remediator.cli.console import make_console

        return make_console(self.color, stderr=False)

    @cached_property
    def err(self) -> Console:
        """Return the console for talk."""
        from remediator.cli.console import make_console

        return make_console(self.color, stderr=True)

    @cached_property
    def settings(self) -> Settings:
        """Return the operator's settings. Raises ConfigError."""
        from remediator.settings import load_settings

        return load_settings(self.config, **{"offline": True if self.offline else None, **self.overrides})

    def redactor(self) -> Redactor:
        """Return what blanks secrets: also the keys that these settings name, once the settings were read."""
        from remediator.redact import Redactor

        # Not asked for where they were not read yet: they may be what is wrong.
        settings = self.__dict__.get("settings")
        return settings.redactor() if settings is not None else Redactor()

    def talk(self, text: str, style: str = "") -> None:
        """Say something on standard error; the text must be safe for a terminal already."""
        if not self.quiet:
            self.err.print(text, style=style or None)

    def run(self, work: Callable[[Remediator], Awaitable[T]], observers: Sequence[Observer] = ()) -> T:
        """Open the application, do the work in it, and return the result; Ctrl-C is handled (see `interrupt`)."""
        import logging

        from remediator.cli.interrupt import run_interruptible
        from remediator.cli.log_lines import show_logs

        show_logs(self.err, logging.ERROR if self.quiet else logging.INFO if self.verbose else logging.WARNING)
        return run_interruptible(self.open_app(self.settings, observers), work, self.talk)

    @property
    def interactive(self) -> bool:
        """Return whether a person can be asked."""
        import sys

        return not self.no_input and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
