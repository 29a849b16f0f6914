"""The first rows of a long table that somebody may see, in an order, without a look at those that are not to be seen.

One condition with `or` makes a database walk along the order and look at each row: where one in a thousand may be seen, it looks at a
thousand for one. Here each way to see a row is asked by itself, along an index that begins with it, and the answers are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Table, func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

Condition = ColumnElement[bool]
MOST_CHARACTERS = 1_000_000
"""Of the texts on one page: so many entries may be as long as the protocol lets them that a page would have a hundred million."""


class Way(NamedTuple):
    """A condition under which rows may be seen. Where `few` fulfil it they are found first and then sorted."""

    condition: Condition
    few: bool = False


def first_rows(table: Table, key: str, order: Sequence[str], ways: Sequence[Way], also: Sequence[Condition], limit: int) -> Select[Any]:
    """Return the query for the first rows to which one of the ways leads, and for which all of `also` holds.

    `key` is the primary key's column; `order` names columns, numbers but for the key, that together are the same for no two rows.
    """
    sorting = [table.c[name] for name in order]
    found = [_first(table, key, order, way, also, limit) for way in ways]
    wanted = union(*found) if len(found) > 1 else found[0]
    return select(table).where(table.c[key].in_(wanted)).order_by(*sorting).limit(limit)


def _first(table: Table, key: str, order: Sequence[str], way: Way, also: Sequence[Condition], limit: int) -> Select[Any]:
    # A sum is in no index: so the order cannot be walked along.
    sorting = [table.c[name] + 0 if way.few and name != key else table.c[name] for name in order]
    query = select(table.c[key]).where(way.condition, *also).order_by(*sorting).limit(limit)
    # As a subquery, since SQLite takes no ORDER BY and LIMIT within a part of a UNION.
    return select(query.subquery().c[key])


def size_of(connection: AsyncConnection, *columns: ColumnElement[str]) -> ColumnElement[int]:
    """Return about how long texts are, found without bringing them here; PostgreSQL then need not unpack them either."""
    length = func.octet_length if connection.dialect.name == "postgresql" else func.length
    first, *others = (func.coalesce(length(column), 0) for column in columns)
    return sum(others, start=first)


def fitting(sizes: Sequence[int], most: int = MOST_CHARACTERS) -> int:
    """Return how many of the first entries fit on one page together; one always does."""
    left = most
    for count, size in enumerate(sizes):
        left -= size
        if left < 0:
            return max(1, count)
    return len(sizes)
