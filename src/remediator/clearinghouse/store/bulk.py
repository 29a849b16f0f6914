"""Many rows at once: PostgreSQL is given each column as one array, so that a batch is one statement and not one for each row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

_FEW = 3


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]], *, is_postgres: bool) -> None:
    """Insert rows that all have the same columns."""
    if not is_postgres or len(rows) < _FEW:
        await connection.execute(insert(table), rows)
        return
    names = tuple(rows[0])
    columns = {name: [row[name] for row in rows] for name in names}
    await connection.execute(text(_statement(table, names)), columns)


@lru_cache(maxsize=64)
def _statement(table: Table, names: tuple[str, ...]) -> str:
    # The names are those of our own schema, quoted: `index` and `print` are words of SQL or near it.
    listed = ", ".join(f'"{name}"' for name in names)
    arrays = ", ".join(f"CAST(:{name} AS {_kind(table.c[name])}[])" for name in names)
    return f'INSERT INTO "{table.name}" ({listed}) SELECT * FROM unnest({arrays})'  # noqa: S608


def _kind(column: Column[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return "bytea"
    if isinstance(column.type, BigInteger):
        return "bigint"
    return "integer" if isinstance(column.type, Integer) else "text"
