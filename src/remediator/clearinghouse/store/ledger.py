"""The append-only ledger in the database: entries, the hashes of complete subtrees, heads and proofs."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from remediator.clearinghouse.store.bulk import insert_rows
from remediator.clearinghouse.store.paging import MOST_CHARACTERS, fitting, size_of
from remediator.clearinghouse.store.schema import ledger_entries, ledger_nodes, micros, moment
from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import LedgerEntry, Opening, SignedHead, TreeHead
from remediator.clearinghouse.wire.envelope import RefusedError, sign_head
from remediator.clearinghouse.wire.terms import MOST_PAGE, Problem
from remediator.evidence.keys import SigningKey
from remediator.records.record import canonical_json


class Fact(NamedTuple):
    """What is about to be recorded: what happened (`kind`) to which object, and the object as it was then."""

    kind: str
    object_id: str
    value: dict[str, Any]


class Verified(NamedTuple):
    """What a whole recomputation found. `problem` is empty where everything fits."""

    size: int
    root: str
    problem: str


def commitment(nonce: str, text: str) -> str:
    """Return what an entry says of an object: SHA-256 over the nonce's bytes and the object's canonical JSON, hex."""
    return hashlib.sha256(bytes.fromhex(nonce) + text.encode()).hexdigest()


def entry_bytes(entry: LedgerEntry) -> bytes:
    """Return the bytes that are hashed as a leaf."""
    return canonical_json(entry.as_json())


class Ledger:
    """Appends within the writer's transaction. What it remembers of the tree is only a cache: other processes may have appended."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._signed: SignedHead | None = None

    async def append(self, connection: AsyncConnection, first: int, facts: Sequence[Fact], at: datetime, *, is_postgres: bool) -> None:
        """Append the facts in their order, where `first` is its size: a number that is there is refused by the database."""
        nodes = await _nodes(connection, merkle.completed(first))
        made: dict[tuple[int, int], bytes] = {}
        rows = []
        chance = secrets.token_hex(32 * len(facts))
        for index, fact in enumerate(facts, first):
            text, nonce = canonical_json(fact.value).decode("ascii"), chance[64 * (index - first) : 64 * (index - first + 1)]
            entry = LedgerEntry(index=index, kind=fact.kind, commitment=commitment(nonce, text), at=at)
            leaf = merkle.leaf_hash(entry_bytes(entry))
            rows.append(
                {
                    "number": index,
                    "kind": fact.kind,
                    "object_id": fact.object_id,
                    "commitment": entry.commitment,
                    "nonce": nonce,
                    "object": text,
                    "leaf": leaf,
                    "at": micros(at),
                }
            )
            _grow(nodes, made, index, leaf)
        await insert_rows(connection, ledger_entries, rows, is_postgres=is_postgres)
        if made:
            kept = [{"level": level, "index": index, "hash": value} for (level, index), value in made.items()]
            await insert_rows(connection, ledger_nodes, kept, is_postgres=is_postgres)

    async def head(self, connection: AsyncConnection, now: datetime) -> SignedHead:
        """Return the signed head of the tree as this transaction sees it."""
        count = await size(connection)
        if self._signed is not None and self._signed.head.size == count:
            return self._signed
        root = merkle.root(count, await _reader(connection, [(0, count)]))
        self._signed = sign_head(TreeHead(ledger=self._key.public.keyid, size=count, root=root.hex(), at=now), self._key)
        return self._signed


def _grow(nodes: dict[tuple[int, int], bytes], made: dict[tuple[int, int], bytes], index: int, leaf: bytes) -> None:
    """Put a leaf into the tree, and every subtree that it completes."""
    level, value = 0, leaf
    nodes[level, index] = value
    while index & 1:
        value = merkle.node_hash(nodes[level, index - 1], value)
        level, index = level + 1, index >> 1
        nodes[level, index] = made[level, index] = value


async def size(connection: AsyncConnection) -> int:
    """Return how many entries there are."""
    found = (await connection.execute(select(func.max(ledger_entries.c.number)))).scalar()
    return 0 if found is None else int(found) + 1


async def _nodes(connection: AsyncConnection, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    places = list(dict.fromkeys(wanted))
    found: dict[tuple[int, int], bytes] = {}
    leaves = [index for level, index in places if level == 0]
    inner = [place for place in places if place[0]]
    if leaves:
        query = select(ledger_entries.c.number, ledger_entries.c.leaf).where(ledger_entries.c.number.in_(leaves))
        found |= {(0, index): bytes(leaf) for index, leaf in await connection.execute(query)}
    if inner:
        table = ledger_nodes.c
        rows = await connection.execute(select(table.level, table.index, table.hash).where(tuple_(table.level, table.index).in_(inner)))
        found |= {(level, index): bytes(value) for level, index, value in rows}
    if missing := [place for place in places if place not in found]:
        raise ValueError(f"the ledger lacks its node {missing[0]}")
    return found


async def _reader(connection: AsyncConnection, spans: Iterable[tuple[int, int]]) -> merkle.Node:
    """Return a node function that has all complete subtrees that these spans of leaves are made of."""
    wanted: list[tuple[int, int]] = []
    for start, end in spans:
        _cover(start, end, wanted)
    found = await _nodes(connection, wanted)
    return lambda level, index: found[level, index]


def _cover(start: int, end: int, wanted: list[tuple[int, int]]) -> None:
    count = end - start
    if count <= 0:
        return
    if count & (count - 1) == 0 and start % count == 0:
        wanted.append((count.bit_length() - 1, start // count))
        return
    cut = start + (1 << ((count - 1).bit_length() - 1))
    _cover(start, cut, wanted)
    _cover(cut, end, wanted)


async def inclusion(connection: AsyncConnection, index: int, count: int) -> list[str]:
    """Return the inclusion proof, hex. Raises RefusedError for a leaf or size that is not there."""
    if not 0 <= index < count <= await size(connection):
        raise RefusedError(Problem.bad_request, "no such entry in a tree of that size", hint="see /v1/ledger/head for the size")
    return await _proof(connection, lambda node: merkle.inclusion(index, count, node))


async def consistency(connection: AsyncConnection, first: int, second: int) -> list[str]:
    """Return the consistency proof, hex. Raises RefusedError for sizes that are not there."""
    if not 0 < first <= second <= await size(connection):
        raise RefusedError(Problem.bad_request, "sizes must be 0 < first <= second <= the ledger's size")
    return await _proof(connection, lambda node: merkle.consistency(first, second, node))


async def _proof(connection: AsyncConnection, made: Callable[[merkle.Node], list[bytes]]) -> list[str]:
    # Asked once for what it needs, and once for the answer: a proof has about as many nodes as the tree is high.
    wanted: list[tuple[int, int]] = []

    def note(level: int, index: int) -> bytes:
        wanted.append((level, index))
        return b""

    made(note)
    found = await _nodes(connection, wanted)
    return [each.hex() for each in made(lambda level, index: found[level, index])]


async def entries(connection: AsyncConnection, start: int, limit: int) -> list[LedgerEntry]:
    """Return entries from an index on."""
    table = ledger_entries.c
    query = select(table.number, table.kind, table.commitment, table.at).where(table.number >= start).order_by(table.number)
    rows = await connection.execute(query.limit(min(limit, MOST_PAGE)))
    return [LedgerEntry(index=row.number, kind=row.kind, commitment=row.commitment, at=moment(row.at)) for row in rows]


async def openings(connection: AsyncConnection, object_id: str, kinds: Sequence[str], *, others: bool) -> list[Opening]:
    """Return what opens the entries about an object: those of these kinds, and `others` where room is left. Who may was asked before."""
    table = ledger_entries.c
    query = select(table.number, table.kind, table.nonce, table.object, table.at).where(table.object_id == object_id).order_by(table.number)
    rows = list((await connection.execute(query.where(table.kind.in_(kinds)).limit(MOST_PAGE))).all())
    if others:
        # Anybody may add a receipt: what was let out must not be lost behind them. Nor are they more than fits on a page.
        query = query.where(table.kind.not_in(kinds)).limit(MOST_PAGE - len(rows))
        sizes = (await connection.execute(query.with_only_columns(table.number, size_of(connection, table.object)))).all()
        fit = [number for number, _ in sizes][: fitting([size for _, size in sizes], 4 * MOST_CHARACTERS)]
        rows += (await connection.execute(query.where(table.number.in_(fit)))).all()
        rows.sort(key=lambda row: int(row.number))
    return [Opening(index=row.number, kind=row.kind, nonce=row.nonce, object=row.object, at=moment(row.at)) for row in rows]


async def verify(connection: AsyncConnection) -> Verified:
    """Compute everything again from the objects up, and name the first thing that does not fit."""
    table = ledger_entries.c
    nodes: dict[tuple[int, int], bytes] = {}
    made: dict[tuple[int, int], bytes] = {}
    expected = 0
    async for row in await connection.stream(select(ledger_entries).order_by(table.number)):
        if row.number != expected:
            return Verified(expected, "", f"entry {expected} is missing")
        entry = LedgerEntry(index=row.number, kind=row.kind, commitment=row.commitment, at=moment(row.at))
        if commitment(row.nonce, row.object) != row.commitment:
            return Verified(expected, "", f"entry {expected} is not about its object")
        leaf = merkle.leaf_hash(entry_bytes(entry))
        if leaf != bytes(row.leaf):
            return Verified(expected, "", f"entry {expected} was changed")
        _grow(nodes, made, expected, leaf)
        expected += 1
    stored = {(level, index): bytes(value) for level, index, value in await connection.execute(select(ledger_nodes))}
    for place, value in made.items():
        if stored.pop(place, None) != value:
            return Verified(expected, "", f"the node {place} does not fit its entries")
    if stored:
        return Verified(expected, "", f"the node {next(iter(stored))} is over entries that are not there")
    root = merkle.root(expected, lambda level, index: nodes[level, index])
    return Verified(expected, root.hex(), "")
