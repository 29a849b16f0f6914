"""Sections 7 and 9: the feed, and the ledger that it is in. What is read is computed again, and believed in nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from remediator.clearinghouse.conform.ground import Ground, NotRunError, expect, fix_body, fresh, project, refused
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import SignedHead
from remediator.clearinghouse.wire.envelope import head_is_signed
from remediator.clearinghouse.wire.terms import Problem, Verb
from remediator.evidence.keys import PublicKey
from remediator.records.record import canonical_json, digest_of

_MOST_ENTRIES = 2_000
_STREAM_SECONDS = 20.0


async def feed(ground: Ground) -> None:
    """The feed has its entries in the order of their cursors, at most `limit`, and goes on after `next` without a gap or a repeat."""
    page = await ground.told("/v1/feed?cursor=0&limit=5", ground.one)
    cursors = [each["cursor"] for each in page["entries"]]
    expect(cursors == sorted(set(cursors)) and len(cursors) <= 5, f"the cursors are {cursors}")
    expect(page["next"] == (cursors[-1] if cursors else 0) and isinstance(page["more"], bool), "next or more is wrong")
    one_by_one: list[int] = []
    cursor = 0
    for _ in cursors:
        small = await ground.told(f"/v1/feed?cursor={cursor}&limit=1", ground.one)
        one_by_one += [each["cursor"] for each in small["entries"]]
        cursor = small["next"]
    expect(one_by_one == cursors, f"one by one it is {one_by_one}, at once {cursors}")


async def stream(ground: Ground) -> None:
    """The stream sends the feed's entries as server-sent events, and a comment where there is none, within 15 seconds."""
    page = await ground.told("/v1/feed?cursor=0&limit=1", ground.one)
    lines = await ground.lines("/v1/feed/stream?cursor=0", ground.one)(_STREAM_SECONDS)
    fields = dict(each.split(b": ", 1) for each in lines if b": " in each and not each.startswith(b":"))
    end = await ground.told("/v1/feed?cursor=0&limit=200", ground.one)
    if not end["more"]:
        quiet = await ground.lines(f"/v1/feed/stream?cursor={end['next']}", ground.one)(_STREAM_SECONDS)
        expect(any(each.startswith(b":") for each in quiet), "where there was no event, no comment came")
    if not page["entries"]:
        return
    first = page["entries"][0]
    expect(fields.get(b"id") == str(first["cursor"]).encode() and fields.get(b"event") == first["kind"].encode(), "another event came")
    expect(json.loads(fields[b"data"]) == first, "the event is not the feed's entry")


async def head(ground: Ground) -> None:
    """The head is open to all, and signed by the ledger key of `GET /v1`."""
    reply = await ground.get("/v1/ledger/head")
    expect(reply.status == 200, reply.told())
    key = PublicKey.parse((await ground.told("/v1"))["ledger_key"])
    expect(head_is_signed(SignedHead.model_validate(reply.json()), key), "the signature does not fit the head")


async def root(ground: Ground) -> None:
    """The entries of the ledger hash to the root of its head."""
    told = await _head(ground)
    if told["size"] > _MOST_ENTRIES:
        raise NotRunError(f"the ledger has {told['size']} entries; {_MOST_ENTRIES} are read at most")
    leaves = await _leaves(ground, told["size"])
    expect(_root(leaves).hex() == told["root"], "the root is of other entries")


async def inclusion(ground: Ground) -> None:
    """The inclusion proofs of entries lead to the root of the head."""
    told = await _head(ground)
    size = told["size"]
    for index in sorted({0, size // 3, size // 2, size - 1} & set(range(size))):
        leaf = _leaf((await ground.told(f"/v1/ledger/entries?start={index}&limit=1"))["items"][0])
        path = _path(await ground.told(f"/v1/ledger/inclusion?index={index}&size={size}"))
        expect(merkle.included(leaf, index, size, path, bytes.fromhex(told["root"])), f"the proof of entry {index} does not fit")


async def consistency(ground: Ground) -> None:
    """The consistency proofs between older sizes and the head fit; from 0 the path is empty."""
    told = await _head(ground)
    size = told["size"]
    leaves = await _leaves(ground, min(size, 200))
    for first in sorted({1, 2, 3, len(leaves) // 2, len(leaves)} & set(range(1, len(leaves) + 1))):
        path = _path(await ground.told(f"/v1/ledger/consistency?first={first}&second={size}"))
        fits = merkle.consistent(first, _root(leaves[:first]), size, bytes.fromhex(told["root"]), path)
        expect(fits, f"the proof from {first} to {size} does not fit")
    expect(not _path(await ground.told(f"/v1/ledger/consistency?first=0&second={size}")), "the path from 0 is not empty")


async def beyond(ground: Ground) -> None:
    """A proof for a size that the ledger does not have yet is refused as `bad-request`."""
    beyond_it = (await _head(ground))["size"] + 1_000_000
    for path in (f"inclusion?index=0&size={beyond_it}", f"consistency?first=1&second={beyond_it}"):
        refused(await ground.get(f"/v1/ledger/{path}", ground.one), Problem.bad_request)


async def grows(ground: Ground) -> None:
    """What is done is in the next head, which only adds to the one before."""
    one = ground.submitter
    before = await _head(ground)
    answer = await ground.done(one, Verb.lease, {"project": project()})
    after = await _head(ground)
    index = answer["ledger_index"]
    expect(before["size"] <= index < after["size"], f"entry {index} is not between the sizes {before['size']} and {after['size']}")
    path = _path(await ground.told(f"/v1/ledger/consistency?first={before['size']}&second={after['size']}"))
    roots = bytes.fromhex(before["root"]), bytes.fromhex(after["root"])
    expect(merkle.consistent(before["size"], roots[0], after["size"], roots[1], path), "the later head does not begin with the earlier")


async def opened(ground: Ground) -> None:
    """The openings of one's own fix open the very entries of the ledger."""
    one, data = ground.submitter, fresh("blob").encode()
    await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", one, data)
    answer = await ground.done(one, Verb.submit_fix, fix_body(data))
    found = (await ground.told(f"/v1/fixes/{answer['id']}/openings"))["items"]
    expect(answer["ledger_index"] in [each["index"] for each in found], "the entry that the answer named has no opening")
    for each in found:
        (entry,) = (await ground.told(f"/v1/ledger/entries?start={each['index']}&limit=1"))["items"]
        commitment = hashlib.sha256(bytes.fromhex(each["nonce"]) + each["object"].encode()).hexdigest()
        expect(commitment == entry["commitment"] and entry["kind"] == each["kind"], f"the opening does not fit entry {each['index']}")


async def _head(ground: Ground) -> dict[str, Any]:
    told = (await ground.told("/v1/ledger/head"))["head"]
    expect(isinstance(told["size"], int) and isinstance(told["root"], str), "the head has no size and root")
    return dict(told)


async def _leaves(ground: Ground, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        page = (await ground.told(f"/v1/ledger/entries?start={len(found)}&limit=200"))["items"]
        expect(bool(page) and page[0]["index"] == len(found), f"entry {len(found)} is missing")
        found += [_leaf(each) for each in page]
    return found[:count]


def _leaf(entry: Mapping[str, Any]) -> bytes:
    # The very values that came: a client that reformats a time computes another leaf.
    return merkle.leaf_hash(canonical_json(dict(entry)))


def _root(leaves: list[bytes]) -> bytes:
    def node(level: int, index: int) -> bytes:
        return leaves[index] if level == 0 else merkle.node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return merkle.root(len(leaves), node)


def _path(told: Mapping[str, Any]) -> list[bytes]:
    return [bytes.fromhex(each) for each in told["path"]]


STATEMENTS = (
    Statement("7.8", feed, writes=False),
    Statement("7.9", stream, writes=False),
    Statement("9.1", head, writes=False),
    Statement("9.2", root, writes=False),
    Statement("9.3", inclusion, writes=False),
    Statement("9.4", consistency, writes=False),
    Statement("9.5", beyond, writes=False),
    Statement("9.6", grows),
    Statement("9.7", opened),
)
