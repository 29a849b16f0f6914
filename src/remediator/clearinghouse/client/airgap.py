"""What a subscription pulled, carried on a medium to a machine without a network, which believes it no more than the network.

A bundle (`.rmb`) is a sealed `.tar.zst` of JSON files: `manifest.json` (from which state of the ledger to which, sequence number, expiry,
the digest of every other file), `feed.json` (the lines of the feed with their proofs) and one file for each fix. Whoever imports it checks
the signature, and then everything against the ledger key that it trusts itself, as in a pull: whoever carries it can hold it back, and
nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import AwareDatetime, Field

from remediator.clearinghouse.client.http import Clearinghouse
from remediator.clearinghouse.client.sealed import Seal, SealedManifest, opened, sealed
from remediator.clearinghouse.client.subscriber import Kept, Pulled, Subscriber, Subscription
from remediator.clearinghouse.client.witness import KNOWN, check_entry, check_head, check_line, hashes, proven
from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import FeedEntry, LedgerEntry, Opening, Published, SignedHead
from remediator.errors import EvidenceError
from remediator.evidence.keys import PublicKey, SigningKey
from remediator.records.record import Record, canonical_json, digest_of

SCHEMA = "remediator-airgap/1"
PAYLOAD_TYPE = "application/vnd.remediator.airgap.v1+json"
SEAL = Seal(SCHEMA, PAYLOAD_TYPE)
_FEED = "feed.json"
_ANEW = "subscribe under another --name on both sides, and begin with its first bundle"
_AGAIN = "where it never got here, on the machine that makes them: remediator bundle create --again"


class Manifest(SealedManifest):
    """What a bundle says of itself. It goes on from the bundle before it: `since` is the ledger's head in that one, None in the first."""

    format: str = SCHEMA
    sequence: int = Field(ge=1)
    ledger_key: str
    created_at: AwareDatetime
    expires_at: AwareDatetime
    since: SignedHead | None
    head: SignedHead
    consistency: tuple[str, ...] = ()
    from_cursor: int
    cursor: int


class Line(Record):
    """One line of the feed with what proves it."""

    feed: FeedEntry
    entry: LedgerEntry
    opening: Opening
    path: tuple[str, ...]


class Read(NamedTuple):
    """A bundle whose signature and digests fit."""

    manifest: Manifest
    lines: tuple[Line, ...]
    fixes: Mapping[str, Published]
    carrier: PublicKey


async def create(
    subscriber: Subscriber, clearinghouse: Clearinghouse, key: SigningKey, *, days: int, again: int | None = None
) -> tuple[bytes, Manifest]:
    """Return what was let out since the last bundle, as a bundle; with `again`, since the one before that number, in its place.

    Nothing is noted yet: see `Subscriber.carried`. Raises UsageError where there is no bundle of that number to make again.
    """
    last = subscriber.last_carried(again=again)
    told = subscriber.read()
    if told.head is None:
        raise EvidenceError("nothing was pulled yet", hint="remediator pull")
    head, since = told.head, last.head if last is not None else None
    start = last.cursor if last is not None else 0
    path: list[bytes] = []
    if since is not None and 0 < since.head.size < head.head.size:
        path = await clearinghouse.consistency(since.head.size, head.head.size)
    lines = []
    fixes: dict[str, bytes] = {}
    for kept in subscriber.kept():
        fresh = [each for each in kept.history if start < each.cursor <= told.cursor]
        for feed in fresh:
            entry, opening, proof = await proven(clearinghouse, head, feed)
            lines.append(Line(feed=feed, entry=entry, opening=opening, path=tuple(each.hex() for each in proof)))
        if fresh:
            fixes[f"fixes/{kept.published.fix.id}.json"] = canonical_json(kept.published.as_json())
    lines.sort(key=lambda line: line.feed.cursor)
    files = {**fixes, _FEED: canonical_json([line.as_json() for line in lines])}
    now = datetime.now(UTC)
    manifest = Manifest(
        sequence=1 if last is None else last.sequence + 1,
        ledger_key=clearinghouse.ledger_key.line(),
        carrier=key.public.line(),
        created_at=now,
        expires_at=now + timedelta(days=days),
        since=since,
        head=head,
        consistency=tuple(each.hex() for each in path),
        from_cursor=start,
        cursor=told.cursor,
        files={name: digest_of(data) for name, data in files.items()},
    )
    return sealed(files, manifest, key, SEAL), manifest


def read(data: bytes, name: str) -> Read:
    """Read a bundle as a stranger's; only its signature and digests are checked. Raises EvidenceError."""
    manifest, files, carrier = opened(data, name, Manifest, SEAL)
    try:
        lines = tuple(Line.model_validate(each) for each in json.loads(files[_FEED]))
        fixes = {path: Published.from_json(body) for path, body in files.items() if path.startswith("fixes/")}
        PublicKey.parse(manifest.ledger_key)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EvidenceError(f"{name}: is not as bundles have it") from error
    return Read(manifest, lines, {each.fix.id: each for each in fixes.values()}, carrier)


def take(subscriber: Subscriber, found: Read, *, carrier: str, now: datetime) -> Pulled:
    """Import a bundle. `carrier` is the key id that is trusted to have made it.

    Raises EvidenceError, and writes nothing, where it is another's, expired, older than what is here, does not go on from it, or anything
    in it is not as the trusted ledger recorded it.
    """
    manifest = found.manifest
    with subscriber.locked():
        told = subscriber.read()
        _is_next(manifest, told, found.carrier, carrier, now)
        key = PublicKey.parse(manifest.ledger_key)
        if key.keyid != told.trust:
            raise EvidenceError(f"the bundle is of the ledger {key.keyid}, not of {told.trust}, which is trusted")
        check_head(manifest.head, key)
        _goes_on(manifest, told)
        kept = _checked(found, subscriber, told)
        new = [each for each in kept if each.kind == "published"]
        for each in kept:
            subscriber.keep(each)
        later = {"cursor": manifest.cursor, "head": manifest.head, "pulled_at": manifest.created_at, "sequence": manifest.sequence}
        subscriber.note(told.model_copy(update={**later, "carrier": found.carrier.keyid}))
    return Pulled(
        name=told.name,
        new=tuple(each.published.fix.id for each in new),
        withdrawn=tuple(each.published.fix.id for each in kept if each.kind != "published"),
        fixes=len(subscriber.kept()),
        ledger_size=manifest.head.head.size,
        cursor=manifest.cursor,
    )


def _is_next(manifest: Manifest, told: Subscription, made_by: PublicKey, carrier: str, now: datetime) -> None:
    trusted = carrier or told.carrier
    if not trusted:
        raise EvidenceError(f"the bundle was made by {made_by.keyid}", hint=f"if that is your machine: --carrier {made_by.keyid}")
    if made_by.keyid != trusted:
        raise EvidenceError(f"the bundle was made by {made_by.keyid}, not by {trusted}", hint="do not use it")
    if manifest.sequence <= told.sequence:
        raise EvidenceError(
            f"the bundle has the sequence number {manifest.sequence}, and {told.sequence} is here already: a step back",
            hint="what was imported before is left as it is; go on with a newer one",
        )
    if manifest.sequence != told.sequence + 1:
        raise EvidenceError(
            f"the bundle {manifest.sequence} does not follow {told.sequence}",
            hint=f"import those between first; {_AGAIN} {told.sequence + 1}",
        )
    if manifest.expires_at <= now:
        raise EvidenceError(f"the bundle expired at {manifest.expires_at.isoformat()}", hint=f"{_AGAIN} {manifest.sequence}")
    if manifest.from_cursor != told.cursor:
        raise EvidenceError(f"the bundle begins at {manifest.from_cursor} of the feed, and {told.cursor} is here", hint=_ANEW)


def _goes_on(manifest: Manifest, told: Subscription) -> None:
    last, head = told.head, manifest.head
    if last is None:
        return
    path = hashes(manifest.consistency)
    before, after = hashes((last.head.root, head.head.root))
    if not merkle.consistent(last.head.size, before, head.head.size, after, path):
        raise EvidenceError("the ledger in the bundle does not go on from the one that is here: its history was rewritten")


def _checked(found: Read, subscriber: Subscriber, told: Subscription) -> list[Kept]:
    kept: dict[str, Kept] = {each.published.fix.id: each for each in subscriber.kept()}
    changed: dict[str, Kept] = {}
    cursor = told.cursor
    for line in found.lines:
        if not cursor < line.feed.cursor <= found.manifest.cursor:
            raise EvidenceError("the lines of the feed in the bundle are out of order")
        cursor = line.feed.cursor
        recorded = check_entry(found.manifest.head, line.entry, line.opening, hashes(line.path), line.feed)
        if line.feed.kind not in KNOWN:
            continue
        published = found.fixes.get(line.feed.fix_id)
        if published is None or published.fix.id != line.feed.fix_id:
            raise EvidenceError(f"{line.feed.fix_id} is not in the bundle")
        before = kept.get(line.feed.fix_id)
        history = before.history if before else ()
        check_line(line.feed, published, recorded, history, before.published.patch if before else None)
        history = (*history, line.feed)
        changed[line.feed.fix_id] = kept[line.feed.fix_id] = Kept(
            published=published, kind=line.feed.kind, at=line.feed.at, history=history
        )
    return list(changed.values())


def described(manifest: Manifest) -> dict[str, Any]:
    """Return what a person wants to know of a bundle."""
    return {
        "kind": "fixes",
        "sequence": manifest.sequence,
        "created_at": manifest.created_at.isoformat(),
        "expires_at": manifest.expires_at.isoformat(),
        "carrier": PublicKey.parse(manifest.carrier).keyid,
        "ledger": PublicKey.parse(manifest.ledger_key).keyid,
        "ledger_size": manifest.head.head.size,
        "fixes": sum(name.startswith("fixes/") for name in manifest.files),
        "outcomes": [],
    }
