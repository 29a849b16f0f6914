"""Pulling from a real server, and carrying it over an air gap: what is not as the ledger recorded it is refused, and nothing is written."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clearinghouse.client import airgap
from remediator.clearinghouse.client.http import Clearinghouse, Place
from remediator.clearinghouse.client.subscriber import Subscriber
from remediator.clearinghouse.client.witness import check_entry, check_published
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import SignedHead, Validation
from remediator.clearinghouse.wire.envelope import sign_head
from remediator.clearinghouse.wire.terms import FixState, Scope, Verb
from remediator.errors import EvidenceError, UsageError
from remediator.evidence.attest import pae
from remediator.evidence.container import pack_files, unpack_files
from remediator.evidence.keys import SigningKey
from remediator.records.patch import Patch
from remediator.records.record import canonical_json
from remediator.testing.clearinghouse import FLAW, Party

DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"
PATCH = Patch.of(finding_id="", fixer="", title="", diff=DIFF).id


@pytest.fixture
def database_url() -> str:
    return "sqlite"


@pytest.fixture
async def url(store: Store) -> AsyncIterator[str]:
    async with serving(make_app(store, ServerConfig(tick_seconds=0))) as found:
        yield found


class Pulling:
    """A fixer that submits, and a hospital that pulls."""

    def __init__(self, store: Store, url: str, fixer: Party, reader: Party, state: Path) -> None:
        self.store, self.url, self.fixer, self.reader = store, url, fixer, reader
        self.trust = store.audience
        self.subscriber = Subscriber(state, "default")
        self.subscriber.begin(url, "env:TOKEN", self.trust)

    def connect(self, **changed: str) -> Any:
        told = {"name": "default", "url": self.url, "token": self.reader.token, "trust": self.trust, **changed}
        return Clearinghouse.connect(Place(**told, first_wait=0.01))  # type: ignore[arg-type]

    async def fix(self, name: str, **facts: Any) -> str:
        digest = await self.fixer.put(name.encode())
        flaw = {**FLAW, "snippet": name, "aliases": []}
        body = {"flaw": flaw, "submission_id": name, "patch_id": PATCH, "bundle": digest, "bundle_bytes": len(name), "claimed_level": 4}
        answer = await self.fixer.ask(Verb.submit_fix, body, **facts)
        job = await self.store.take_job("v", 60)
        assert job is not None
        assert await self.store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch=DIFF, lines_changed=2)
        return answer.id

    async def pull(self) -> Any:
        async with self.connect() as clearinghouse:
            return await self.subscriber.pull(clearinghouse)


@pytest.fixture
async def pulling(store: Store, url: str, joins: Callable[..., Awaitable[Party]], tmp_path: Path) -> Pulling:
    return Pulling(store, url, await joins("Fixer"), await joins("Hospital", scopes=(Scope.pull,)), tmp_path / "state")


async def test_what_was_let_out_is_pulled_once_and_withdrawals_are_told(pulling: Pulling) -> None:
    one = await pulling.fix("one")
    first = await pulling.pull()
    assert first.new == (one,) and (await pulling.pull()).new == ()
    two = await pulling.fix("two")
    await pulling.fixer.ask(Verb.revoke, {"fix_id": one, "reason": "bypassed"})
    second = await pulling.pull()
    assert (second.new, second.withdrawn) == ((two,), (one,))
    kept = {each.published.fix.id: each for each in pulling.subscriber.kept()}
    assert kept[one].kind == "revoked" and kept[one].published.fix.revoked_reason == "bypassed"
    assert kept[two].published.patch == DIFF


async def test_what_is_not_for_us_moves_no_cursor_backwards(pulling: Pulling) -> None:
    await pulling.fix("red", tlp="red")
    await pulling.fix("later", embargo_until=pulling.store.now + timedelta(days=3))
    assert (await pulling.pull()).fixes == 0


async def test_another_ledger_than_the_trusted_one_is_not_talked_to(pulling: Pulling) -> None:
    with pytest.raises(EvidenceError, match="not SHA256:AAAA"):
        async with pulling.connect(trust="SHA256:" + "A" * 43):
            pass


@pytest.mark.parametrize("changed", [{"url": "http://example.org"}, {"url": "ftp://127.0.0.1"}, {"url": "https://user:pass@127.0.0.1"}])
async def test_a_token_goes_over_no_unsafe_address(pulling: Pulling, changed: dict[str, str]) -> None:
    from remediator.errors import ConfigError

    with pytest.raises(ConfigError):
        async with pulling.connect(**changed):
            pass


async def _remembered(pulling: Pulling, change: Callable[[SignedHead], SignedHead]) -> None:
    told = pulling.subscriber.read()
    assert told.head is not None
    pulling.subscriber.note(told.model_copy(update={"head": change(told.head)}))


async def test_a_ledger_that_was_rolled_back_or_rewritten_is_refused_and_nothing_written(pulling: Pulling) -> None:
    await pulling.fix("one")
    await pulling.pull()
    await pulling.fix("two")
    before = pulling.subscriber.read()

    def longer(head: SignedHead) -> SignedHead:
        return head.model_copy(update={"head": head.head.model_copy(update={"size": head.head.size + 1000})})

    def other(head: SignedHead) -> SignedHead:
        return head.model_copy(update={"head": head.head.model_copy(update={"root": "11" * 32})})

    for change, told in ((longer, "rolled back"), (other, "rewritten")):
        pulling.subscriber.note(before)
        await _remembered(pulling, change)
        with pytest.raises(EvidenceError, match=told):
            await pulling.pull()
        assert len(pulling.subscriber.kept()) == 1
    pulling.subscriber.note(before)
    assert len((await pulling.pull()).new) == 1


async def test_a_patch_that_is_not_the_recorded_one_is_refused(pulling: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    await pulling.fix("one")
    honest = Clearinghouse.published

    async def forged(self: Clearinghouse, fix_id: str) -> Any:
        return (await honest(self, fix_id)).model_copy(update={"patch": DIFF.replace("safe_load", "unsafe_load")})

    monkeypatch.setattr(Clearinghouse, "published", forged)
    with pytest.raises(EvidenceError, match="not as the ledger recorded it"):
        await pulling.pull()
    assert pulling.subscriber.kept() == [] and pulling.subscriber.read().cursor == 0


async def test_each_part_of_a_proof_counts(pulling: Pulling) -> None:
    fix = await pulling.fix("one")
    async with pulling.connect() as clearinghouse:
        page = await clearinghouse.feed(0)
        (feed,) = page.entries
        (opening,) = [each for each in await clearinghouse.openings(fix) if each.index == feed.ledger_index]
        entry = await clearinghouse.entry(feed.ledger_index)
        path = await clearinghouse.inclusion(feed.ledger_index, page.head.head.size)
        published = await clearinghouse.published(fix)
    recorded = check_entry(page.head, entry, opening, path, feed)
    check_published(published, recorded)
    other = SigningKey.generate()
    wrong_head = sign_head(page.head.head.model_copy(update={"root": "22" * 32}), other)
    for parts in (
        (wrong_head, entry, opening, path, feed),
        (page.head, entry.model_copy(update={"commitment": "33" * 32}), opening, path, feed),
        (page.head, entry, opening.model_copy(update={"object": opening.object.replace(fix, "fix-" + "0" * 24)}), path, feed),
        (page.head, entry, opening, [*path, b"\0" * 32], feed),
        (page.head, entry, opening, path, feed.model_copy(update={"fix_id": "fix-" + "0" * 24})),
        (page.head, entry, opening, path, feed.model_copy(update={"kind": "revoked"})),
        (page.head, entry, opening, path, feed.model_copy(update={"ledger_index": feed.ledger_index + 1})),
    ):
        with pytest.raises(EvidenceError):
            check_entry(*parts)
    for changed in ({"level": 5}, {"bundle": "sha256:" + "0" * 64}, {"patch_id": "p-other"}):
        with pytest.raises(EvidenceError):
            check_published(published.model_copy(update={"fix": published.fix.model_copy(update=changed)}), recorded)


async def carried(pulling: Pulling, key: SigningKey, *, days: int = 30) -> bytes:
    await pulling.pull()
    async with pulling.connect() as clearinghouse:
        data, manifest = await airgap.create(pulling.subscriber, clearinghouse, key, days=days)
    pulling.subscriber.carried(manifest.sequence, manifest.cursor, manifest.head)
    return data


def taken(inside: Subscriber, data: bytes, *, carrier: str = "", now: datetime | None = None) -> Any:
    return airgap.take(inside, airgap.read(data, "b.rmb"), carrier=carrier, now=now or datetime.now(UTC))


async def test_bundles_are_carried_over_an_air_gap_one_after_the_other(pulling: Pulling, tmp_path: Path) -> None:
    key = SigningKey.generate()
    inside = Subscriber(tmp_path / "inside", "plant")
    inside.begin("https://ch.example", "env:NONE", pulling.trust)
    one = await pulling.fix("one")
    first = await carried(pulling, key)
    two = await pulling.fix("two")
    await pulling.fixer.ask(Verb.revoke, {"fix_id": one, "reason": "bypassed"})
    second = await carried(pulling, key)
    with pytest.raises(EvidenceError, match="--carrier|was made by"):
        taken(inside, first)
    with pytest.raises(EvidenceError, match="not by"):
        taken(inside, first, carrier=SigningKey.generate().public.keyid)
    with pytest.raises(EvidenceError, match="does not follow"):
        taken(inside, second, carrier=key.public.keyid)
    assert inside.kept() == [] and inside.read().cursor == 0
    assert taken(inside, first, carrier=key.public.keyid).new == (one,)
    with pytest.raises(EvidenceError, match="step back"):
        taken(inside, first)
    done = taken(inside, second)
    assert (done.new, done.withdrawn) == ((two,), (one,))
    assert inside.read().head == pulling.subscriber.read().head
    assert sorted(each.model_dump_json() for each in inside.kept()) == sorted(each.model_dump_json() for each in pulling.subscriber.kept())


async def test_an_expired_bundle_and_one_of_another_ledger_are_refused(pulling: Pulling, tmp_path: Path) -> None:
    key = SigningKey.generate()
    await pulling.fix("one")
    data = await carried(pulling, key, days=1)
    inside = Subscriber(tmp_path / "inside", "plant")
    inside.begin("https://ch.example", "env:NONE", pulling.trust)
    with pytest.raises(EvidenceError, match="expired"):
        taken(inside, data, carrier=key.public.keyid, now=datetime.now(UTC) + timedelta(days=2))
    other = Subscriber(tmp_path / "inside", "other")
    other.begin("https://ch.example", "env:NONE", "SHA256:" + "A" * 43)
    with pytest.raises(EvidenceError, match="is trusted"):
        taken(other, data, carrier=key.public.keyid)
    assert other.kept() == []


async def test_a_changed_byte_in_any_file_of_a_bundle_is_found(pulling: Pulling) -> None:
    await pulling.fix("one")
    files = unpack_files(await carried(pulling, SigningKey.generate()), "b")
    for name in files:
        place = len(files[name]) // 2
        damaged = files[name][:place] + bytes([files[name][place] ^ 1]) + files[name][place + 1 :]
        with pytest.raises(EvidenceError):
            airgap.read(pack_files({**files, name: damaged}), "b")
    with pytest.raises(EvidenceError, match="changed, added or taken away"):
        airgap.read(pack_files({**files, "fixes/more.json": b"{}"}), "b")


async def test_a_carrier_can_forge_nothing_of_the_ledger(pulling: Pulling, tmp_path: Path) -> None:
    """Whoever holds the carrier's key signs what it likes: the ledger's proofs must stop it."""
    key = SigningKey.generate()
    fix = await pulling.fix("one")
    files = unpack_files(await carried(pulling, key), "b")
    path = f"fixes/{fix}.json"
    told = json.loads(files[path])
    told["patch"] = DIFF.replace("safe_load", "unsafe_load")
    files[path] = canonical_json(told)
    manifest = json.loads(files["manifest.json"])
    manifest["files"][path] = "sha256:" + __import__("hashlib").sha256(files[path]).hexdigest()
    payload = canonical_json(manifest)
    signature = base64.b64encode(key.sign(pae(airgap.PAYLOAD_TYPE, payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": airgap.PAYLOAD_TYPE,
        "signatures": [{"keyid": key.public.keyid, "sig": signature}],
    }
    files |= {"manifest.json": payload, "manifest.dsse.json": canonical_json(envelope)}
    inside = Subscriber(tmp_path / "inside", "plant")
    inside.begin("https://ch.example", "env:NONE", pulling.trust)
    with pytest.raises(EvidenceError, match="not as the ledger recorded it"):
        taken(inside, pack_files(files), carrier=key.public.keyid)
    assert inside.kept() == []


def test_a_name_that_is_a_path_is_none(tmp_path: Path) -> None:
    for name in ("../x", "", "a/b", ".hidden", "x" * 80):
        with pytest.raises(UsageError):
            Subscriber(tmp_path, name)
