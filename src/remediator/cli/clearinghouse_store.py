"""A clearinghouse's own store, opened by a command beside the server, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store

T = TypeVar("T")
_TIMES = {
    "created_at": "created",
    "added_at": "added",
    "expires_at": "expires",
    "not_after": "until",
    "until": "until",
    "revoked_at": "revoked",
}

data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), default=Path("clearinghouse"), show_default=True, help="Its folder."
)
database_option = click.option(
    "--database", metavar="URL", default="sqlite", show_default=True, help="sqlite, or postgresql://USER@HOST/NAME."
)


async def id_of(store: Store, word: str) -> str:
    """Return an organisation's id, by that or by its name."""
    known = await store.organisations()
    return next((each.id for each in known if word in (each.id, each.name)), word)


def served_before(data: Path) -> None:
    """Raise UsageError where no clearinghouse is in this folder: beside a server nobody wants a new one, with another ledger key."""
    from remediator.errors import UsageError
    from remediator.evidence.keys import KEY_FILE

    if not (data / "ledger" / KEY_FILE).is_file():
        raise UsageError(f"there is no clearinghouse in {data}", hint="--data names the folder of one; clearinghouse serve makes a new one")


def in_store(data: Path, database: str, work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store, and return what the work returned. Raises UsageError where there is none."""

    async def run() -> T:
        from remediator.clearinghouse.store import Store

        served_before(data)
        async with Store.open(database, data, ticks=False) as store:
            return await work(store)

    return asyncio.run(run())


def told(session: Session, rows: list[dict[str, Any]], fields: tuple[str, ...], *, none: str) -> int:
    """Print rows, as JSON where that is asked for, or for people that there is `none`; return the exit code."""
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json

    shown = [{name: _plain(row[name]) for name in fields} for row in rows]
    if session.json is not None:
        print_json(session, shown)
        return 0
    for row in shown:
        words = (_word(name, value) for name, value in row.items() if value is not None and value != "" and value is not False)
        session.out.print("  ".join(safe(word) for word in words))
    if not shown:
        session.talk(none)
    return 0


def _word(name: str, value: Any) -> str:
    # A flag is told by its name, and a count of nothing is a count. Of several times each says which it is.
    if value is True:
        return name
    told = _TIMES.get(name)
    return f"{told} {value}" if told else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return " ".join(value) if isinstance(value, tuple) else value
