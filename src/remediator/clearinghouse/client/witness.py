"""Remembers what a ledger looked like, and refuses one whose history was rewritten or cut since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from remediator.clearinghouse.client.http import Clearinghouse
from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import FeedEntry, LedgerEntry, Opening, Published, SignedHead
from remediator.clearinghouse.wire.envelope import RefusedError, head_is_signed
from remediator.clearinghouse.wire.identity import about
from remediator.clearinghouse.wire.terms import FixState, Problem
from remediator.errors import EvidenceError
from remediator.evidence.keys import PublicKey
from remediator.records.patch import Patch
from remediator.records.record import canonical_json, digest_of

_HINT = "pull nothing from it before its operator explains, by another way"


async def advanced(clearinghouse: Clearinghouse, last: SignedHead | None, head: SignedHead) -> SignedHead:
    """Return the head, once it is signed by the trusted key and goes on from the last one seen. Raises EvidenceError."""
    check_head(head, clearinghouse.ledger_key)
    if last is None:
        return head
    if head.head.size < last.head.size:
        raise EvidenceError(f"the ledger had {last.head.size} entries, and now has {head.head.size}: it was rolled back", hint=_HINT)
    if last.head.size == 0:
        return head
    path = [] if head.head.size == last.head.size else await clearinghouse.consistency(last.head.size, head.head.size)
    before, after = hashes((last.head.root, head.head.root))
    if not merkle.consistent(last.head.size, before, head.head.size, after, path):
        raise EvidenceError("the ledger does not go on from what it was at the last pull: its history was rewritten", hint=_HINT)
    return head


def check_head(head: SignedHead, key: PublicKey) -> None:
    """Raise EvidenceError where a head is not signed by the key."""
    if not head_is_signed(head, key):
        raise EvidenceError(f"the ledger's head is not signed by {key.keyid}", hint=_HINT)


async def proven(clearinghouse: Clearinghouse, head: SignedHead, feed: FeedEntry) -> tuple[LedgerEntry, Opening, list[bytes]]:
    """Return the ledger's entry behind a line of the feed with its opening and proof, all checked. Raises EvidenceError."""
    try:
        openings = [each for each in await clearinghouse.openings(feed.fix_id) if each.index == feed.ledger_index]
    except RefusedError as error:
        if error.code is not Problem.not_found:
            raise
        openings = []
    if not openings:
        raise EvidenceError(
            f"the ledger's entry {feed.ledger_index} is not opened: nothing shows what {feed.fix_id} was let out as", hint=_HINT
        )
    entry = await clearinghouse.entry(feed.ledger_index)
    path = await clearinghouse.inclusion(feed.ledger_index, head.head.size)
    check_entry(head, entry, openings[0], path, feed)
    return entry, openings[0], path


def check_entry(head: SignedHead, entry: LedgerEntry, opening: Opening, path: list[bytes], feed: FeedEntry) -> dict[str, Any]:
    """Return the object that the ledger recorded. Raises EvidenceError where anything does not fit."""
    leaf = merkle.leaf_hash(canonical_json(entry.as_json()))
    root, nonce = hashes((head.head.root, opening.nonce))
    if entry.index != feed.ledger_index or not merkle.included(leaf, entry.index, head.head.size, path, root):
        raise EvidenceError(f"the entry {feed.ledger_index} is not in the ledger", hint=_HINT)
    committed = hashlib.sha256(nonce + opening.object.encode("utf-8", "surrogatepass")).hexdigest()
    if committed != entry.commitment or opening.kind != entry.kind or entry.kind != feed.kind:
        raise EvidenceError(f"the ledger's entry {feed.ledger_index} is about something else", hint=_HINT)
    try:
        found = json.loads(opening.object)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"the ledger's entry {feed.ledger_index} cannot be read", hint=_HINT) from error
    if not isinstance(found, dict) or found.get("fix") != feed.fix_id:
        raise EvidenceError(f"the ledger's entry {feed.ledger_index} is not about {feed.fix_id}", hint=_HINT)
    return found


def hashes(told: Sequence[str]) -> list[bytes]:
    """Return hashes from their hex. Raises EvidenceError where one is none: others wrote them."""
    try:
        return [bytes.fromhex(each) for each in told]
    except ValueError as error:
        raise EvidenceError("a hash of the ledger's proofs is none", hint=_HINT) from error


def check_published(told: Published, recorded: dict[str, Any]) -> None:
    """Raise EvidenceError where what is distributed is not what the ledger recorded: the patch is known by its digest."""
    patch_id = Patch.of(finding_id="", fixer="", title="", diff=told.patch).id
    same = (told.fix.id, told.fix.patch_id, told.fix.bundle, told.fix.level)
    found = (recorded.get("fix"), patch_id, recorded.get("bundle"), recorded.get("level")) == same and recorded.get("patch_id") == patch_id
    # The id is too short to be a proof: two patches with the same one are found in seconds.
    if not found or recorded.get("patch") != digest_of(told.patch.encode("utf-8", "surrogateescape")):
        raise EvidenceError(f"{told.fix.id} is not as the ledger recorded it: its patch or bundle was changed", hint=_HINT)
    if recorded.get("about") != about(told.flaw.as_json(), told.fix.fixed_version):
        raise EvidenceError(f"{told.fix.id} is not told as the fix of the flaw that the ledger recorded", hint=_HINT)


WITHDRAWN = frozenset((FixState.revoked.value, FixState.superseded.value))
KNOWN = WITHDRAWN | {"published"}
"""The kinds of lines that a client acts on. Others are of a later version of the protocol, and change nothing that is here."""


def check_line(feed: FeedEntry, told: Published, recorded: dict[str, Any], history: Sequence[FeedEntry], patch: str | None) -> None:
    """Raise EvidenceError where a line of the feed does not say of a fix what the ledger does, or says again what is over.

    `history` are the lines about the fix that were taken before, `patch` what was kept then.
    """
    if told.fix.id != feed.fix_id:
        raise EvidenceError(f"{told.fix.id[:100]} was told in the place of {feed.fix_id}", hint=_HINT)
    if history and (feed.ledger_index <= history[-1].ledger_index or (feed.kind == "published" and _gone(history))):
        raise EvidenceError(f"{feed.fix_id} was let out or withdrawn before, and the feed takes that back", hint=_HINT)
    if feed.kind == "published":
        check_published(told, recorded)
        if told.fix.state != FixState.verified and told.fix.state not in WITHDRAWN:
            raise EvidenceError(f"{feed.fix_id} was let out, and is {told.fix.state}", hint=_HINT)
        return
    if told.fix.state != feed.kind:
        raise EvidenceError(f"{feed.fix_id} was {feed.kind}, and is told as {told.fix.state}", hint=_HINT)
    # Why, and what is to be taken instead, is what people act on.
    why = told.fix.revoked_reason if feed.kind == FixState.revoked else recorded.get("reason")
    if (recorded.get("state"), recorded.get("reason"), recorded.get("superseded_by")) != (feed.kind, why, told.fix.superseded_by):
        raise EvidenceError(f"{feed.fix_id} is not told as withdrawn for what the ledger recorded", hint=_HINT)
    if patch is not None and patch != told.patch:
        raise EvidenceError(f"{feed.fix_id} was withdrawn with another patch than it was let out with")


def _gone(history: Sequence[FeedEntry]) -> bool:
    return any(each.kind in WITHDRAWN for each in history)
