"""The protocol over real HTTP, on a real store with both databases: what it does, and what it refuses, tells and keeps to itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import structlog
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.jsonschema import DRAFT7
from yarl import URL

from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store, lookups
from remediator.clearinghouse.wire import merkle
from remediator.clearinghouse.wire.answers import Answer, FeedPage, Fix, Flaw, LedgerEntry, Opening, Published, SignedHead, Validation
from remediator.clearinghouse.wire.envelope import head_is_signed, seal
from remediator.clearinghouse.wire.identity import claims, fingerprints
from remediator.clearinghouse.wire.terms import PAYLOAD_TYPE, FixState, Scope, Tier, Tlp, Verb
from remediator.clearinghouse.wire.verbs import BODIES, FlawBody
from remediator.evidence.keys import PublicKey, SigningKey
from remediator.records.record import canonical_json, digest_of
from remediator.testing.clearinghouse import FLAW, Clock, Party

from .waiting import PATIENCE, until

Joins = Callable[..., Awaitable[Party]]
PATCH = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"
SECRET_WORDS = ("pyanyapi", "CVE-2017-16616", "yaml.load")


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"]) if self.headers["Content-Type"].startswith("application/problem+json") else ""


class Wire:
    """One client of the server under test."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def get(self, path: str, who: Party | str | None = None, **headers: str) -> Reply:
        return await self.send("GET", path, who, headers=headers)

    async def post(self, who: Party, verb: Verb, envelope: bytes) -> Reply:
        return await self.send("POST", f"/v1/{verb}", who, data=envelope)

    async def ask(self, who: Party, verb: Verb, body: dict[str, Any], **facts: Any) -> Answer:
        reply = await self.post(who, verb, who.sealed(verb, body, **facts))
        assert reply.status in (200, 201), reply.body
        return Answer.from_json(reply.body)

    async def send(self, method: str, path: str, who: Party | str | None, data: Any = None, headers: dict[str, str] | None = None) -> Reply:
        told = dict(headers or {})
        if who is not None:
            told["Authorization"] = f"Bearer {who if isinstance(who, str) else who.token}"
        async with self.http.request(method, URL(self.url + path, encoded=True), data=data, headers=told) as answer:
            return Reply(answer.status, await answer.read(), answer.headers)


@pytest.fixture
async def wire(store: Store) -> AsyncIterator[Wire]:
    async with serving(make_app(store, ServerConfig(tick_seconds=0))) as url, aiohttp.ClientSession() as http:
        yield Wire(url, http)


def fix_body(data: bytes, name: str = "s-1", **flaw: Any) -> dict[str, Any]:
    told = {"submission_id": name, "patch_id": "p-1", "bundle": digest_of(data), "bundle_bytes": len(data), "claimed_level": 4}
    return {"flaw": {**FLAW, **flaw}, **told}


async def submitted(wire: Wire, who: Party, name: str = "s-1", **facts: Any) -> str:
    data = b"bundle of " + name.encode()
    assert (await wire.send("PUT", f"/v1/blobs/{digest_of(data)}", who, data)).status == 201
    return (await wire.ask(who, Verb.submit_fix, fix_body(data, name), **facts)).id


async def verified(store: Store) -> None:
    job = await store.take_job("validator", 60)
    assert job is not None
    found = Validation(outcome="verified", level=4, replayed=True, validator="validator", finished_at=store.now)
    assert await store.finish_job(job, found, FixState.verified, patch=PATCH, lines_changed=2)


async def test_a_fix_comes_in_and_goes_out(wire: Wire, store: Store, joins: Joins) -> None:
    team, hospital = await joins("team"), await joins("hospital", Tier.operator, (Scope.pull,))
    lease = await wire.ask(team, Verb.lease, {"project": "pkg:pypi/pyanyapi", "contact": "sec@team.example"})
    listed = (await wire.get("/v1/leases?project=pkg:pypi/PyAnyAPI", hospital)).json
    assert [each["id"] for each in listed["items"]] == [lease.id] and listed["next"] == ""

    prints = fingerprints(FlawBody.model_validate(FLAW))
    epoch = (await wire.get("/v1/epoch", team)).json
    asked = {"epoch": epoch["epoch"], "claims": list(claims(prints, bytes.fromhex(epoch["key"])))}
    assert (await wire.ask(team, Verb.claim_check, asked)).state == "unknown"
    fix_id = await submitted(wire, team)
    assert (await wire.ask(team, Verb.claim_check, asked)).state == "matched"
    assert (await wire.get("/v1/status/s-1", team)).json["state"] == "received"
    # Nothing is distributed on the submitter's word.
    assert FeedPage.from_json((await wire.get("/v1/feed", hospital)).body).entries == ()
    assert (await wire.get(f"/v1/fixes/{fix_id}/patch", hospital)).code == "not-found"

    await verified(store)
    page = FeedPage.from_json((await wire.get("/v1/feed?cursor=0&limit=10", hospital)).body)
    (entry,) = page.entries
    assert (entry.kind, entry.fix_id, page.more) == ("published", fix_id, False)
    found = Published.from_json((await wire.get(f"/v1/fixes/{fix_id}/published", hospital)).body)
    assert (found.patch, found.fix.level, found.fix.organisation, found.flaw.witnesses) == (PATCH, 4, "", ())
    patch = await wire.get(f"/v1/fixes/{fix_id}/patch", hospital)
    assert patch.body.decode() == PATCH and patch.headers["Content-Type"] == "text/x-diff; charset=utf-8"
    assert "attachment" in patch.headers["Content-Disposition"]
    assessor = await joins("assessor", Tier.operator, (Scope.assess,))
    assert (await wire.get(f"/v1/fixes/{fix_id}/bundle", assessor)).code == "forbidden"
    assert (await wire.get(f"/v1/fixes/{fix_id}/bundle", team)).status == 200
    bundle = await wire.get(f"/v1/fixes/{fix_id}/bundle", hospital)
    assert bundle.body == b"bundle of s-1"
    for path in (f"fixes/{fix_id}", f"fixes/{fix_id}/patch", f"fixes/{fix_id}/bundle", "fixes", f"flaws/{found.flaw.id}", "feed"):
        first = await wire.get(f"/v1/{path}", hospital)
        again = await wire.get(f"/v1/{path}", hospital, **{"If-None-Match": first.headers["ETag"]})
        assert (again.status, again.body) == (304, b""), path
    done = await wire.ask(hospital, Verb.receipt, {"fix_id": fix_id, "outcome": "applied", "count": 7})
    assert done.state == "applied"
    assert Fix.from_json((await wire.get(f"/v1/fixes/{fix_id}", team)).body).outcomes == {"applied": 7}


def schema_check(name: str, document: Any) -> list[str]:
    folder = Path(__file__).parents[1] / "data" / "schemas"
    known = [json.loads(path.read_text("utf-8")) for path in folder.glob("cvss-*.json")]
    registry: Registry[Any] = Registry().with_resources(
        [(each["id" if "id" in each else "$id"].partition("?")[0], DRAFT7.create_resource(each)) for each in known]
    )
    schema = json.loads((folder / f"{name}.schema.json").read_text("utf-8"))
    return [error.message for error in validator_for(schema)(schema, registry=registry).iter_errors(document)]


async def test_exports_are_in_their_formats_and_a_withdrawn_patch_is_not_given(wire: Wire, store: Store, joins: Joins) -> None:
    team, hospital = await joins("team"), await joins("hospital", Tier.operator, (Scope.pull,))
    fix_id = await submitted(wire, team)
    await verified(store)
    found = {kind: await wire.get(f"/v1/fixes/{fix_id}/{kind}", hospital) for kind in ("osv", "csaf", "openvex", "cyclonedx", "mail")}
    assert {reply.status for reply in found.values()} == {200}
    for kind, name in (("osv", "osv"), ("csaf", "csaf-2.0"), ("openvex", "openvex-0.2.0")):
        assert schema_check(name, found[kind].json) == []
        assert schema_check(name, {}), "the twin that is nothing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(found["cyclonedx"].body.decode()) is None
    assert found["mail"].body.startswith(b"From ") and PATCH.encode() in found["mail"].body
    for kind, reply in found.items():
        again = await wire.get(f"/v1/fixes/{fix_id}/{kind}", hospital, **{"If-None-Match": reply.headers["ETag"]})
        assert again.status == 304, "the same record gives the same bytes"
        assert b"team" not in reply.body and team.id.encode() not in reply.body, "no submitter is named"
    await wire.ask(team, Verb.revoke, {"fix_id": fix_id, "reason": "it can be passed by"})
    for kind in ("patch", "mail"):
        assert (await wire.get(f"/v1/fixes/{fix_id}/{kind}", hospital)).code == "state-conflict"
    for kind in ("osv", "csaf", "openvex", "cyclonedx", "published"):
        told = await wire.get(f"/v1/fixes/{fix_id}/{kind}", hospital)
        assert told.status == 200 and told.body != (found[kind].body if kind in found else b""), "it says that it was withdrawn"
    assert [each["kind"] for each in (await wire.get("/v1/feed", hospital)).json["entries"]] == ["published", "revoked"]


async def test_the_ledger_can_be_followed_by_a_stranger(wire: Wire, store: Store, joins: Joins) -> None:
    team, reader = await joins("team"), await joins("reader", Tier.operator, (Scope.pull,))
    before = SignedHead.from_json((await wire.get("/v1/ledger/head")).body)
    fix_id = await submitted(wire, team)
    await verified(store)
    about = (await wire.get("/v1")).json
    key = PublicKey.parse(about["ledger_key"])
    head = SignedHead.from_json((await wire.get("/v1/ledger/head")).body)
    assert head_is_signed(head, key) and key.keyid == about["audience"] and head.head.size > before.head.size

    told = (await wire.get(f"/v1/ledger/consistency?first={before.head.size}&second={head.head.size}", reader)).json
    path = [bytes.fromhex(each) for each in told["path"]]
    roots = bytes.fromhex(before.head.root), bytes.fromhex(head.head.root)
    assert merkle.consistent(before.head.size, roots[0], head.head.size, roots[1], path)
    assert not merkle.consistent(before.head.size, roots[1], head.head.size, roots[1], path)

    (opening,) = (Opening.model_validate(each) for each in (await wire.get(f"/v1/fixes/{fix_id}/openings", reader)).json["items"])
    entries = (await wire.get(f"/v1/ledger/entries?start={opening.index}&limit=1", reader)).json
    entry = LedgerEntry.model_validate(entries["items"][0])
    assert entry.commitment == hashlib.sha256(bytes.fromhex(opening.nonce) + opening.object.encode()).hexdigest()
    proof = (await wire.get(f"/v1/ledger/inclusion?index={entry.index}&size={head.head.size}", reader)).json["path"]
    leaf = merkle.leaf_hash(canonical_json(entry.as_json()))
    assert merkle.included(leaf, entry.index, head.head.size, [bytes.fromhex(each) for each in proof], roots[1])
    # Page by page it is the whole ledger, and its root is the head's.
    leaves: list[bytes] = []
    start = "0"
    while start:
        page = (await wire.get(f"/v1/ledger/entries?start={start}&limit=3", reader)).json
        leaves += [merkle.leaf_hash(canonical_json(LedgerEntry.model_validate(each).as_json())) for each in page["items"]]
        start = page["next"]
    assert len(leaves) == head.head.size

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return merkle.node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    assert merkle.root(len(leaves), node) == roots[1]
    for path_of in ("inclusion?index=0&size=0", f"inclusion?index={head.head.size}", "consistency?first=9999999", "inclusion"):
        assert (await wire.get(f"/v1/ledger/{path_of}", reader)).code == "bad-request", path_of


async def test_what_is_asked_twice_is_done_once(wire: Wire, joins: Joins) -> None:
    team = await joins("team")
    envelope = team.sealed(Verb.submit_finding, {"flaw": FLAW, "scanner": "semgrep"})
    first, again = await wire.post(team, Verb.submit_finding, envelope), await wire.post(team, Verb.submit_finding, envelope)
    assert (first.status, again.status) == (201, 200)
    assert {**again.json, "duplicate": False} == first.json and again.json["duplicate"] is True
    many = await asyncio.gather(*(wire.post(team, Verb.submit_finding, envelope) for _ in range(20)))
    assert {each.json["ledger_index"] for each in many} == {first.json["ledger_index"]}
    changed = team.sealed(Verb.submit_finding, {"flaw": FLAW, "scanner": "other"}, key=json.loads(_payload(envelope))["key"])
    assert (await wire.post(team, Verb.submit_finding, changed)).code == "idempotency-key-reused"


def _payload(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


LEASE = {"project": "pkg:pypi/a"}


async def test_a_signature_must_be_right(wire: Wire, store: Store, clock: Clock, joins: Joins) -> None:
    team, other = await joins("team"), await joins("other")
    request = team.request(Verb.lease, LEASE)
    envelope = json.loads(seal(request, team.key))
    assert (await wire.post(team, Verb.lease, json.dumps(envelope).encode())).status == 201, "the twin that is right"

    async def code_of(sealed: Any, who: Party = team) -> str:
        reply = await wire.post(who, Verb.lease, sealed if isinstance(sealed, bytes) else json.dumps(sealed).encode())
        assert reply.status in (400, 403), reply
        return reply.code

    flipped = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    flipped[5] ^= 1
    signature = {"keyid": team.key.public.keyid, "sig": base64.b64encode(flipped).decode()}
    assert await code_of({**envelope, "signatures": [signature]}) == "bad-signature"
    payload = base64.b64encode(_payload(seal(team.request(Verb.lease, {"project": "pkg:pypi/b"}), team.key))).decode()
    assert await code_of({**envelope, "payload": payload}) == "bad-signature"
    assert await code_of(seal(team.request(Verb.lease, LEASE), SigningKey.generate())) == "unknown-key"
    assert await code_of(seal(team.request(Verb.lease, LEASE), other.key)) == "unknown-key"
    assert await code_of(seal(team.request(Verb.lease, LEASE), team.key), other) == "wrong-submitter"
    assert await code_of(team.sealed(Verb.lease, LEASE, audience="SHA256:other")) == "wrong-audience"
    assert await code_of(team.sealed(Verb.lease, LEASE, at=clock() - timedelta(hours=1))) == "clock-skew"
    assert await code_of(team.sealed(Verb.lease, LEASE, at=clock() + timedelta(hours=1))) == "clock-skew"
    assert await code_of(team.sealed(Verb.opt_out, {**LEASE, "contact": "x"})) == "bad-request"
    assert await code_of({**envelope, "payloadType": "application/vnd.in-toto+json"}) == "bad-envelope"
    assert await code_of({**envelope, "signatures": []}) == "bad-envelope"
    assert await code_of({**envelope, "signatures": envelope["signatures"] * 2}) == "bad-envelope"

    fresh = SigningKey.generate()
    await store.add_key(team.id, fresh.public.line(), not_after=clock() + timedelta(hours=2))
    assert (await wire.post(team, Verb.lease, seal(team.request(Verb.lease, LEASE), fresh))).status == 201
    clock.forward(hours=3)
    assert await code_of(seal(team.request(Verb.lease, LEASE), fresh)) == "key-expired"
    await store.revoke_key(team.key.public.keyid, "lost")
    assert await code_of(seal(team.request(Verb.lease, LEASE), team.key)) == "key-revoked"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"payload":' + b"[" * 50_000,
        b'{"payload": ' + b"9" * 10_000 + b', "payloadType": "x", "signatures": [{}]}',
        json.dumps({"payload": "!", "payloadType": PAYLOAD_TYPE, "signatures": [{"keyid": "a", "sig": "!"}]}).encode(),
        json.dumps(
            {"payload": base64.b64encode(b"[" * 100_000).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [{"keyid": "", "sig": ""}]}
        ).encode(),
    ],
)
async def test_what_is_no_envelope_is_refused(wire: Wire, joins: Joins, body: bytes) -> None:
    team = await joins("team")
    reply = await wire.post(team, Verb.lease, body)
    assert (reply.status, reply.code) in ((400, "bad-envelope"), (400, "bad-request")), reply


SQL = "x'); DROP TABLE flaws; --\" OR 1=1 ${jndi:x} %s {0} \\'; SELECT pg_sleep(9)/*"
GOOD: dict[Verb, dict[str, Any]] = {
    Verb.lease: {"project": SQL.replace(" ", "_"), "commits": SQL, "scope": [SQL], "contact": SQL},
    Verb.submit_finding: {
        "flaw": {
            **FLAW,
            "project": "github.com/a/" + SQL.replace(" ", "_"),
            "version": SQL,
            "path": SQL,
            "snippet": SQL,
            "title": SQL,
            "details": SQL,
            "references": ["https://evil.example/x');DROP/**/TABLE/**/flaws;--"],
        },
        "scanner": SQL,
        "rule_id": SQL,
    },
    Verb.opt_out: {"project": "github.com/b/" + SQL.replace(" ", "_"), "contact": SQL, "reason": SQL},
}


async def test_sql_in_every_field_is_only_text(wire: Wire, store: Store, joins: Joins) -> None:
    team = await joins("team")
    for verb, body in GOOD.items():
        reply = await wire.post(team, verb, team.sealed(verb, body))
        assert reply.status in (201, 400), (verb, reply)
    flaws = (await wire.get("/v1/flaws", team)).json["items"]
    assert [each["title"] for each in flaws] == [SQL], "kept as it was sent, and the table is still there"
    quoted = "%27%29%3B%20DROP%20TABLE%20flaws%3B--"
    for path in (
        "flaws?project=",
        "flaws?alias=",
        "flaws?cursor=",
        "flaws?order=",
        "fixes?state=",
        "fixes?flaw=",
        "fixes?cursor=",
        "leases?project=",
        "leases?cursor=",
        "opt-outs?cursor=",
        "feed?cursor=",
        "ledger/entries?start=",
        "flaws/",
        "fixes/",
        "status/",
    ):
        reply = await wire.get(f"/v1/{path}{quoted}", team)
        assert reply.status in (200, 400, 404), (path, reply)
    # Every text field of every body at once: whatever it is, it is never a mistake of the server's.
    for verb, model in BODIES.items():
        body = dict.fromkeys(model.model_fields, SQL)
        assert (await wire.post(team, verb, team.sealed(verb, body))).status == 400
        named = {**body, "fix_id": "fix-x", "by": "fix-y", "lease_id": "lease-x", "fencing": 1, "flaw_id": "flaw-x", "subject": "flaw-x"}
        kept = {name: value for name, value in named.items() if name in model.model_fields}
        assert (await wire.post(team, verb, team.sealed(verb, {**kept, **_typed(verb)}))).status < 500
    assert (await store.verify()).problem == ""


def _typed(verb: Verb) -> dict[str, Any]:
    return {
        Verb.renew: {"ttl_seconds": 60},
        Verb.assess: {"opinion": "correct", "tests_passed": None, "evidence": None},
        Verb.receipt: {"outcome": "applied", "reason": "", "count": 1},
        Verb.claim_check: {"epoch": 0, "claims": ["0" * 64]},
    }.get(verb, {})


async def test_another_tenants_things_read_as_if_they_were_not_there(wire: Wire, store: Store, clock: Clock, joins: Joins) -> None:
    team, other = await joins("team"), await joins("other")
    lease = await wire.ask(team, Verb.lease, {"project": "pkg:pypi/pyanyapi"})
    until = clock() + timedelta(days=30)
    fix_id = await submitted(wire, team, embargo_until=until)
    await verified(store)
    flaw_id = Fix.from_json((await wire.get(f"/v1/fixes/{fix_id}", team)).body).flaw_id
    paths = [f"/v1/flaws/{{{'flaw'}}}", "/v1/flaws/{flaw}/openings", "/v1/status/{flaw}", "/v1/status/{fix}", "/v1/fixes/{fix}"]
    paths += [
        f"/v1/fixes/{{fix}}/{kind}" for kind in ("patch", "mail", "bundle", "published", "openings", "osv", "csaf", "openvex", "cyclonedx")
    ]
    for path in paths:
        hidden = await wire.get(path.format(flaw=flaw_id, fix=fix_id), other)
        absent = await wire.get(path.format(flaw="flaw-" + "0" * 24, fix="fix-" + "0" * 24), other)
        assert (hidden.status, hidden.body) == (absent.status, absent.body) == (404, absent.body), path
    for path in ("/v1/flaws/{flaw}", "/v1/fixes/{fix}", "/v1/fixes/{fix}/bundle"):
        assert (await wire.get(path.format(flaw=flaw_id, fix=fix_id), team)).status == 200, "the twin to whom it belongs"
    assert (await wire.get("/v1/status/s-1", other)).code == "not-found"
    data = b"bundle of s-1"
    stolen = await wire.post(other, Verb.submit_fix, other.sealed(Verb.submit_fix, fix_body(data, "s-9")))
    assert stolen.code == "blob-missing", "another's bundle is not there for those who never had it"
    acts: list[tuple[Verb, dict[str, Any]]] = [
        (Verb.renew, {"lease_id": lease.id, "fencing": 1}),
        (Verb.release, {"lease_id": lease.id, "fencing": 1}),
        (Verb.revoke, {"fix_id": fix_id, "reason": "mine"}),
        (Verb.supersede, {"fix_id": fix_id, "by": fix_id, "reason": ""}),
        (Verb.lift, {"flaw_id": flaw_id}),
        (Verb.assess, {"subject": fix_id, "opinion": "incorrect"}),
        (Verb.assess, {"subject": flaw_id, "opinion": "incorrect"}),
        (Verb.receipt, {"fix_id": fix_id, "outcome": "failed"}),
    ]
    for verb, body in acts:
        reply = await wire.post(other, verb, other.sealed(verb, body))
        assert (reply.status, reply.code) == (404, "not-found"), verb
    assert (await wire.get("/v1/status/s-1", team)).json["state"] == "verified"


async def test_a_stream_neither_tells_nor_looks_again_and_again_where_something_is_let_out_to_others(
    wire: Wire, store: Store, joins: Joins, monkeypatch: pytest.MonkeyPatch
) -> None:
    team, other = await joins("team"), await joins("other")
    monkeypatch.setattr(lookups, "_LOOK_SECONDS", 0.02)
    asked: list[int] = []
    feed = store.feed

    async def counted(caller: Any, cursor: int, limit: int = 100) -> FeedPage:
        asked.append(cursor)
        return await feed(caller, cursor, limit)

    monkeypatch.setattr(store, "feed", counted)
    stream = await wire.http.get(f"{wire.url}/v1/feed/stream", headers={"Authorization": f"Bearer {other.token}"})
    begun = [await stream.content.readuntil(b"\n\n") for _ in range(2)]
    assert begun[1] == b": heartbeat\n\n"
    asked.clear()
    await submitted(wire, team, tlp=Tlp.red)
    await verified(store)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.content.readline(), 0.5)
    assert len(asked) <= 2, "woken once, and not kept awake by a line that it may not see"
    await submitted(wire, team, "s-2", tlp=Tlp.clear)
    await verified(store)
    assert b"event: published" in await asyncio.wait_for(stream.content.readuntil(b"\n\n"), PATIENCE)
    stream.close()


async def test_an_embargo_holds_at_every_exit_until_the_clock_ends_it(wire: Wire, store: Store, clock: Clock, joins: Joins) -> None:
    team, other = await joins("team"), await joins("other")
    admin = await joins("house", Tier.operator, (Scope.admin,))
    with structlog.testing.capture_logs() as logs:
        fix_id = await submitted(wire, team, embargo_until=clock() + timedelta(days=30), tlp=Tlp.amber)
        await verified(store)
        seen = b""
        for path in (
            "flaws",
            "flaws?alias=CVE-2017-16616",
            "flaws?order=priority",
            "fixes",
            f"fixes/{fix_id}",
            "feed",
            "leases",
            "opt-outs",
        ):
            reply = await wire.get(f"/v1/{path}", other)
            assert reply.json.get("items", []) == [] and reply.json.get("entries", []) == [], path
            seen += reply.body
        seen += (await wire.get("/v1/ledger/entries", other)).body + (await wire.get("/metrics", admin)).body
    told = seen.decode() + json.dumps(logs)
    assert not [word for word in (*SECRET_WORDS, fix_id, "embargo_until") if word in told]
    assert "pyanyapi" in (await wire.get("/v1/flaws", team)).body.decode(), "the twin: its witness sees it"

    stream = await wire.http.get(f"{wire.url}/v1/feed/stream", headers={"Authorization": f"Bearer {other.token}"})
    clock.forward(days=31)
    await store.tick()
    lines = b""
    while b"data: " not in lines:
        lines = await asyncio.wait_for(stream.content.readline(), PATIENCE)
    assert json.loads(lines.removeprefix(b"data: "))["fix_id"] == fix_id
    stream.close()
    assert Flaw.model_validate((await wire.get("/v1/flaws", other)).json["items"][0]).lifted_at is not None
    public = await joins("public", Tier.public, (Scope.pull,))
    assert (await wire.get("/v1/feed", public)).json["entries"] == [], "TLP:AMBER stays with the operators"
    assert (await wire.get(f"/v1/fixes/{fix_id}", public)).code == "not-found"


async def test_a_revoked_or_expired_token_is_worth_nothing_at_once(wire: Wire, store: Store, clock: Clock, joins: Joins) -> None:
    team = await joins("team")
    assert (await wire.get("/v1/organisations/me", team)).json["organisation"]["id"] == team.id
    short_id, short = await store.create_token(team.id, [Scope.pull], expires=clock() + timedelta(minutes=5))
    assert (await wire.get("/v1/feed", short)).status == 200
    clock.forward(minutes=6)
    expired = await wire.get("/v1/feed", short)
    await store.revoke_token(team.caller.token_id)
    revoked = await wire.get("/v1/feed", team)
    unknown = await wire.get("/v1/feed", f"rch_{short_id}_{'x' * 43}")
    assert expired.code == revoked.code == unknown.code == "unauthorised"
    assert expired.body == revoked.body == unknown.body, "why it is refused is nobody's business"


async def test_a_blob_is_what_its_name_says_or_is_not_there(wire: Wire, store: Store, joins: Joins) -> None:
    team = await joins("team")
    data = b"x" * 100_000
    wrong = await wire.send("PUT", f"/v1/blobs/{digest_of(b'other')}", team, data)
    assert (wrong.status, wrong.code) == (400, "blob-mismatch")

    def files() -> list[Path]:
        return [each for each in store.blobs.path(digest_of(data)).parent.parent.rglob("*") if each.is_file()]

    async def broken() -> AsyncIterator[bytes]:
        yield data[:50_000]
        await until(files)
        raise OSError("the line is cut")

    with pytest.raises((aiohttp.ClientError, OSError)):
        await wire.send("PUT", f"/v1/blobs/{digest_of(data)}", team, broken())
    await until(lambda: not files())
    assert (await wire.post(team, Verb.submit_fix, team.sealed(Verb.submit_fix, fix_body(data)))).code == "blob-missing"
    for status in (201, 200):
        assert (await wire.send("PUT", f"/v1/blobs/{digest_of(data)}", team, data)).status == status
    short = fix_body(data) | {"bundle_bytes": 5}
    assert (await wire.post(team, Verb.submit_fix, team.sealed(Verb.submit_fix, short))).code == "blob-mismatch"
    assert (await wire.post(team, Verb.submit_fix, team.sealed(Verb.submit_fix, fix_body(data)))).status == 201


async def test_lists_can_be_read_to_their_end(wire: Wire, joins: Joins) -> None:
    team = await joins("team")
    for number in range(7):
        flaw = {**FLAW, "aliases": [f"CVE-2026-{number:04}"], "snippet": f"x{number}", "title": f"t{number}"}
        await wire.ask(team, Verb.submit_finding, {"flaw": flaw, "scanner": "s"})
        await wire.ask(team, Verb.opt_out, {"project": f"github.com/ä/{number}", "contact": "m"})
        await wire.ask(team, Verb.lease, {"project": f"pkg:pypi/p{number}"})
    for path, field in (("flaws", "title"), ("flaws?order=priority", "title"), ("opt-outs", "project"), ("leases", "project")):
        seen: list[str] = []
        following = ""
        for _ in range(10):
            mark = "&" if "?" in path else "?"
            page = (await wire.get(f"/v1/{path}{mark}limit=3" + (f"&cursor={following}" if following else ""), team)).json
            seen += [each[field] for each in page["items"]]
            following = URL.build(query={"c": page["next"]}).raw_query_string[2:]
            if not following:
                break
        assert len(seen) == len(set(seen)) == 7, (path, seen)
    for cursor in ("%C2%B2.x", "1.%00", "-", "9" * 30 + ".x", "%F0%9F%92%A9"):
        for path in ("flaws", "fixes"):
            assert (await wire.get(f"/v1/{path}?cursor={cursor}", team)).status in (200, 400), cursor
        assert (await wire.get(f"/v1/opt-outs?cursor={cursor}", team)).status in (200, 400), cursor
    assert (await wire.get("/v1/opt-outs?cursor=%2500", team)).code == "bad-request"


async def test_a_crowd_of_idle_connections_leaves_the_server_answering(store: Store) -> None:
    config = ServerConfig(connections=600, connections_per_address=500, tick_seconds=0)
    async with serving(make_app(store, config)) as url, aiohttp.ClientSession() as http:
        port = URL(url).port
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(900)]
        # Sooner than the idle would be closed by themselves.
        async with asyncio.timeout(9):
            assert (await http.get(f"{url}/readyz")).status == 200
        for _, writer in crowd:
            writer.close()
