"""Many rows at once: PostgreSQL is given them as one JSON text, so that a batch is one statement and not one for each row.

Nor does the statement grow with the batch, which would have it built and read anew for each number of rows. JSON over arrays, since the
driver writes an array's elements one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, TextClause, insert, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

_FEW = 3
_CHUNK = 400
"""SQLite has a limit on the parameters of one statement."""


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]], *, is_postgres: bool) -> None:
    """Insert rows that all have the same columns."""
    if not is_postgres or len(rows) < _FEW:
        await connection.execute(insert(table), rows)
        return
    names = tuple(rows[0])
    await connection.execute(_inserting(table, names), {"rows": _json(rows)})


async def rows_of(
    connection: AsyncConnection,
    table: Table,
    names: tuple[str, ...],
    keys: Iterable[tuple[Any, ...]],
    *,
    is_postgres: bool,
    only: tuple[str, ...] = (),
) -> list[dict[str, Any]]:
    """Return the rows whose columns `names` are one of the keys; `only` some of their columns, each combination once."""
    wanted = sorted(keys)
    if not wanted:
        return []
    if is_postgres:
        told = {"keys": _json([dict(zip(names, key, strict=True)) for key in wanted])}
        return [dict(row) for row in (await connection.execute(_selecting(table, names, only), told)).mappings()]
    place = table.c[names[0]] if len(names) == 1 else tuple_(*(table.c[name] for name in names))
    found: list[dict[str, Any]] = []
    for start in range(0, len(wanted), _CHUNK):
        chunk: Sequence[Any] = wanted[start : start + _CHUNK]
        query = select(*(table.c[name] for name in only)).distinct() if only else select(table)
        query = query.where(place.in_([key for (key,) in chunk] if len(names) == 1 else chunk))
        found += [dict(row) for row in (await connection.execute(query)).mappings()]
    return found


@lru_cache(maxsize=64)
def _inserting(table: Table, names: tuple[str, ...]) -> TextClause:
    # The names are those of our own schema, quoted: `index` and `print` are words of SQL or near it.
    listed = ", ".join(f'"{name}"' for name in names)
    kind = f'CAST(NULL AS "{table.name}")'
    return text(f'INSERT INTO "{table.name}" ({listed}) SELECT {listed} FROM json_populate_recordset({kind}, CAST(:rows AS json))')  # noqa: S608


@lru_cache(maxsize=64)
def _selecting(table: Table, names: tuple[str, ...], only: tuple[str, ...]) -> TextClause:
    listed = ", ".join(f't."{name}"' for name in only or table.c.keys())
    same = " AND ".join(f't."{name}" = wanted."{name}"' for name in names)
    kind = f'CAST(NULL AS "{table.name}")'
    keys = f"json_populate_recordset({kind}, CAST(:keys AS json)) AS wanted"
    return text(f'SELECT {"DISTINCT " if only else ""}{listed} FROM "{table.name}" t JOIN {keys} ON {same}')  # noqa: S608


def _json(rows: Sequence[dict[str, Any]]) -> str:
    # Not escaped: half of a pair that stands for one character would be refused, and a text has none.
    return json.dumps(rows, ensure_ascii=False, default=_hex)


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()
