"""What components log, shown where the talk goes: never on standard output, and never with a target's control characters."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from remediator.cli.console import safe

if TYPE_CHECKING:
    from rich.console import Console


def show_logs(console: Console, level: int = logging.WARNING) -> None:
    """Print what is logged at this level or above on the console."""
    import structlog

    def shown(_: object, method: str, entry: MutableMapping[str, Any]) -> str:
        told = str(entry.pop("event", ""))
        facts = " ".join(f"{key}={value}" for key, value in entry.items() if value not in ("", None))
        prefix = "" if method == "info" else f"{method}: "
        console.print(safe(f"{prefix}{told} {facts}".rstrip(), limit=240))
        raise structlog.DropEvent

    structlog.configure(
        processors=[shown],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
