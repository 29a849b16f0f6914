"""The arithmetic of the ledger: tree hash, inclusion and consistency proofs (RFC 9162 §2.1, SHA-256)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

EMPTY = hashlib.sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree `index` at `level` (level 0 are the leaves), wherever nodes are kept."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def completed(size: int) -> list[tuple[int, int]]:
    """Return the complete subtrees, (level, index), that make a tree of this size, from left to right."""
    found, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def root(size: int, node: Node) -> bytes:
    """Return the tree's hash."""
    return range_hash(0, size, node) if size else EMPTY


def range_hash(start: int, end: int, node: Node) -> bytes:
    """Return the hash of the leaves [start, end); start must be where a subtree of that size can begin."""
    size = end - start
    if size & (size - 1) == 0 and start % size == 0:
        return node(size.bit_length() - 1, start // size)
    cut = start + _split(size)
    return node_hash(range_hash(start, cut, node), range_hash(cut, end, node))


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the path that proves that the leaf is in the tree of this size."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in this tree")
    return _path(index, 0, size, node)


def _path(index: int, start: int, end: int, node: Node) -> list[bytes]:
    if end - start == 1:
        return []
    cut = start + _split(end - start)
    if index < cut:
        return [*_path(index, start, cut, node), range_hash(cut, end, node)]
    return [*_path(index, cut, end, node), range_hash(start, cut, node)]


def consistency(first: int, second: int, node: Node) -> list[bytes]:
    """Return the path that proves that the tree of `second` leaves begins with the tree of `first`."""
    if not 0 < first <= second:
        raise ValueError("the first tree must be within the second, and not empty")
    return [] if first == second else _subproof(first, 0, second, node, whole=True)


def _subproof(first: int, start: int, end: int, node: Node, *, whole: bool) -> list[bytes]:
    if first == end - start:
        return [] if whole else [range_hash(start, end, node)]
    cut = start + _split(end - start)
    if first <= cut - start:
        return [*_subproof(first, start, cut, node, whole=whole), range_hash(cut, end, node)]
    return [*_subproof(first - (cut - start), cut, end, node, whole=False), range_hash(start, cut, node)]


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Return whether the path proves that the leaf hash is at the index of the tree with this root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for part in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(part, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, part)
        place, last = place >> 1, last >> 1
    return last == 0 and found == expected


def consistent(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether the path proves that the second tree begins with the first (RFC 9162 §2.1.4.2). A tree begins with the empty one."""
    if first == 0:
        return not path and first_root == EMPTY
    if first == second:
        return not path and first_root == second_root
    if first > second or not path:
        return False
    parts = list(path) if first & (first - 1) else [first_root, *path]
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(part, before), node_hash(part, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, part)
        place, last = place >> 1, last >> 1
    return last == 0 and before == first_root and after == second_root
