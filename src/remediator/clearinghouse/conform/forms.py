"""Sections 2, 4, 10 and 11: how strictly a request is read, and that an answer has the form that is promised."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clearinghouse.conform.ground import Ground, Member, Reply, detail, expect, fix_body, flaw, fresh, project, refused, sealed
from remediator.clearinghouse.conform.shared import envelope_of, finding, problem, signed
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.answers import Fix, Flaw, Lease, OptOut, Organisation
from remediator.clearinghouse.wire.terms import CLOCK_SKEW_SECONDS, Problem, Verb
from remediator.evidence.keys import SigningKey
from remediator.records.record import Record, canonical_json, digest_of

_ENTRIES = 5


async def starts(ground: Ground) -> None:
    """Going on with `start=<next>` gives the entries of the ledger in their order, each once."""
    size = (await ground.told("/v1/ledger/head"))["head"]["size"]
    seen: list[int] = []
    start = "0"
    for _ in range(_ENTRIES):
        page = await ground.told(f"/v1/ledger/entries?start={start}&limit=2")
        seen += [each["index"] for each in page["items"]]
        if not (start := page["next"]):
            break
    expect(seen == list(range(len(seen))) and len(seen) >= min(size, 2 * _ENTRIES), f"of {size} entries it gave {seen}")


async def heads(ground: Ground) -> None:
    """`HEAD` is answered where `GET` is, without a body, but for the stream and the bundle."""
    for path in ("/v1", "/v1/flaws", "/v1/ledger/head", "/healthz"):
        reply = await ground.send("HEAD", path, ground.one)
        expect(reply.status == 200 and not reply.body, f"HEAD {path}: {reply.told()}")
    for path in ("/v1/feed/stream", f"/v1/fixes/{fresh('fix')}/bundle"):
        reply = await ground.send("HEAD", path, ground.one)
        expect(reply.status == Problem.method_not_allowed.status, f"HEAD {path}: {reply.told()}")


async def strict(ground: Ground) -> None:
    """Types are taken strictly: `"3"` is no number, and `1` is not true."""
    one = ground.submitter
    refused(await ground.ask(one, Verb.lease, {"project": project(), "ttl_seconds": "60"}), Problem.bad_request)
    refused(await ground.ask(one, Verb.opt_out, {"project": project(), "contact": "conform", "withdraw": 1}), Problem.bad_request)


async def twice(ground: Ground) -> None:
    """A payload in which a key stands twice is refused as `bad-request`."""
    one, named = ground.submitter, project()
    payload = canonical_json(ground.request(one, Verb.lease, {"project": named}).as_json())
    doubled = payload.replace(b'{"project":', b'{"project":"pkg:pypi/conform-other","project":', 1)
    expect(doubled != payload, "no such body")
    refused(await ground.post(one, Verb.lease, signed(doubled, one)), Problem.bad_request)


async def more_fields(ground: Ground) -> None:
    """An unknown field is refused in the request, and ignored in the DSSE envelope around it and in query strings."""
    one = ground.submitter
    told = ground.request(one, Verb.lease, {"project": project()}).as_json()
    refused(await ground.post(one, Verb.lease, signed(canonical_json({**told, "colour": "red"}), one)), Problem.bad_request)
    around = {**envelope_of(signed(canonical_json(told), one)), "colour": "red"}
    reply = await ground.post(one, Verb.lease, canonical_json(around))
    expect(reply.status == 201, f"a field in the envelope: {reply.told()}")
    reply = await ground.get("/v1/flaws?limit=1&colour=red", one)
    expect(reply.status == 200, f"a field in the query: {reply.told()}")


async def embargo_dates(ground: Ground) -> None:
    """An embargo of more than 180 days is refused as `bad-request`; one whose date is past counts as none."""
    one, now = ground.submitter, datetime.now(UTC)
    refused(await ground.ask(one, Verb.submit_finding, finding(flaw()), embargo_until=now + timedelta(days=182)), Problem.bad_request)
    answer = await ground.done(one, Verb.submit_finding, finding(flaw()), embargo_until=now - timedelta(days=1))
    told = await ground.told(f"/v1/flaws/{detail(answer)['flaw']}")
    expect(told["embargoed"] is False and told["embargo_until"] is None, "an embargo that is over holds")


async def same_request(ground: Ground) -> None:
    """The same idempotency key with another `tlp`, another embargo, or a field written out that was left out, is another request."""
    one, key, told = ground.submitter, fresh("key"), finding(flaw())
    await ground.done(one, Verb.submit_finding, told, key=key)
    later = datetime.now(UTC) + timedelta(days=3)
    others: list[tuple[dict[str, Any], dict[str, Any]]] = [(told, {"tlp": "green"}), (told, {"embargo_until": later})]
    for body, facts in [*others, ({**told, "rule_id": ""}, {})]:
        refused(await ground.ask(one, Verb.submit_finding, body, key=key, **facts), Problem.key_reused)


async def order(ground: Ground) -> None:
    """What is wrong in several ways is refused for the first of them: token, envelope, submitter, audience, key, clock."""
    one, two, old = ground.one, ground.two, datetime.now(UTC) - timedelta(seconds=3 * CLOCK_SKEW_SECONDS)
    stranger, elsewhere = one._replace(key=SigningKey.generate()), SigningKey.generate().public.keyid

    async def leased(who: Member, **facts: Any) -> Reply:
        return await ground.post(one, Verb.lease, sealed(ground.request(who, Verb.lease, {"project": project()}, **facts), who))

    refused(await ground.post(Member(fresh("token")), Verb.lease, b"?"), Problem.unauthorised)
    refused(await ground.post(one, Verb.lease, signed(b"{}", stranger)), Problem.bad_request)
    refused(await leased(two, audience=elsewhere), Problem.wrong_submitter)
    refused(await leased(stranger, audience=elsewhere), Problem.wrong_audience)
    refused(await leased(stranger, at=old), Problem.unknown_key)


async def again(ground: Ground) -> None:
    """The same report under another idempotency key is a `duplicate` without an entry in the ledger, and nothing of it is taken."""
    one, told = ground.submitter, flaw(severity="low")
    first = await ground.done(one, Verb.submit_finding, finding(told))
    worse = await ground.done(one, Verb.submit_finding, finding({**told, "severity": "critical", "title": fresh("title")}))
    expect(worse["duplicate"] is True and worse["ledger_index"] is None and worse["id"] == first["id"], "it is noted anew")
    now = await ground.told(f"/v1/flaws/{detail(first)['flaw']}")
    expect((now["severity"], now["title"]) == ("low", told["title"]), "something of it was taken")


async def problem_fields(ground: Ground) -> None:
    """An error has type, title, status, code, detail, hint and retry_after_seconds, the last one `null` where there is no waiting."""
    for reply in (await ground.get("/v1/nothing-of-that-name", ground.one), await ground.get("/v1/flaws?limit=0", ground.one)):
        told = problem(reply)
        texts = [name for name in ("type", "detail", "hint") if not isinstance(told.get(name), str)]
        expect(not texts, f"{', '.join(texts)} is missing: {reply.told()}")
        expect("retry_after_seconds" in told and told["retry_after_seconds"] is None, f"retry_after_seconds: {reply.told()}")


async def records(ground: Ground) -> None:
    """The records of answers have every field of section 11."""
    one, data = ground.submitter, fresh("blob").encode()
    lease = detail(await ground.done(one, Verb.lease, {"project": project()}))["lease"]
    await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", one, data)
    fix = await ground.done(one, Verb.submit_fix, fix_body(data))
    _whole(lease, Lease)
    _whole(await ground.told(f"/v1/fixes/{fix['id']}"), Fix)
    _whole(await ground.told(f"/v1/flaws/{detail(fix)['flaw']}"), Flaw)
    _whole((await ground.told("/v1/organisations/me"))["organisation"], Organisation)
    await ground.done(one, Verb.opt_out, {"project": project(), "contact": "conform"})
    _whole((await ground.told("/v1/opt-outs?limit=1"))["items"][0], OptOut)


def _whole(told: dict[str, Any], kind: type[Record]) -> None:
    missing = sorted(set(kind.model_fields) - set(told))
    expect(not missing, f"{kind.__name__.lower()} lacks {', '.join(missing)}: {json.dumps(told)[:200]}")


STATEMENTS = (
    Statement("2.10", starts, writes=False),
    Statement("2.11", heads, writes=False),
    Statement("2.12", strict),
    Statement("2.13", twice),
    Statement("2.14", more_fields),
    Statement("4.16", embargo_dates),
    Statement("4.17", same_request),
    Statement("4.18", order),
    Statement("4.19", again),
    Statement("10.3", problem_fields, writes=False),
    Statement("11.1", records),
)
