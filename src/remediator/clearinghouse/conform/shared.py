"""Sections 2, 3 and 10: what holds for every address."""

from __future__ import annotations

import base64
import json
from typing import Any

from remediator.clearinghouse.conform.ground import BrokenError, Ground, Member, Reply, expect, flaw, fresh, project, refused, sealed
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.terms import PAYLOAD_TYPE, PROTOCOL, Problem, Verb
from remediator.evidence.attest import pae
from remediator.evidence.keys import PublicKey
from remediator.records.record import canonical_json

_READABLE = ("/v1/organisations/me", "/v1/flaws", "/v1/fixes", "/v1/leases", "/v1/opt-outs", "/v1/feed", "/v1/ledger/entries")
_BY_NAME = ("/v1/epoch", "/v1/flaws/flaw-1", "/v1/fixes/fix-1", "/v1/fixes/fix-1/patch", "/v1/status/fix-1", "/v1/feed/stream", "/metrics")


async def about(ground: Ground) -> None:
    """`GET /v1` needs no token, and tells protocol, payload type, limits, and a ledger key whose id is `audience`."""
    reply = await ground.get("/v1")
    expect(reply.status == 200, reply.told())
    told = reply.json()
    expect(told.get("protocol") == PROTOCOL and told.get("payload_type") == PAYLOAD_TYPE, f"it speaks another protocol: {reply.told()}")
    expect(PublicKey.parse(str(told.get("ledger_key"))).keyid == told.get("audience"), "audience is not the id of ledger_key")
    limits = told.get("limits")
    expect(
        isinstance(limits, dict) and all(isinstance(limits.get(name), int) for name in ("envelope_bytes", "blob_bytes", "page")),
        "no limits",
    )


async def etags(ground: Ground) -> None:
    """Every `GET` has an `ETag`, and is answered 304 without a body where `If-None-Match` has it."""
    for path in (*_READABLE, "/v1/ledger/head", "/healthz"):
        reply = await ground.get(path, ground.one)
        expect(reply.status == 200 and bool(reply.headers.get("ETag")), f"GET {path} has no ETag: {reply.told()}")
    # Only what nobody else changes meanwhile is asked for twice.
    for path, who in (("/v1", None), ("/v1/openapi.json", None), ("/v1/organisations/me", ground.one)):
        first = await ground.get(path, who)
        tag = first.headers.get("ETag", "")
        expect(bool(tag), f"GET {path} has no ETag")
        again = await ground.get(path, who, **{"If-None-Match": tag})
        expect(again.status == 304 and not again.body, f"GET {path} with its own ETag: {again.told()}")


async def limits(ground: Ground) -> None:
    """A list has at most `limit` entries; a limit that is no number from 1 to 200 is refused."""
    page = await ground.told("/v1/ledger/entries?limit=1")
    expect(len(page["items"]) <= 1, "limit=1 gave more than one")
    for wrong in ("0", "201", "-1", "many"):
        refused(await ground.get(f"/v1/flaws?limit={wrong}", ground.one), Problem.bad_request)


async def pages(ground: Ground) -> None:
    """Going on with `cursor=<next>` until `next` is empty gives every entry of a list once."""
    named, one = project(), ground.submitter
    made = {(await ground.done(one, Verb.submit_finding, finding(flaw(project=named))))["detail"]["flaw"] for _ in range(3)}
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = await ground.told(f"/v1/flaws?project={named}&limit=1" + (f"&cursor={cursor}" if cursor else ""))
        expect(len(page["items"]) <= 1, "limit=1 gave more than one")
        seen += [each["id"] for each in page["items"]]
        if not (cursor := page["next"]):
            break
    expect(sorted(seen) == sorted(made), f"{len(made)} flaws, paged through as {len(seen)}, {len(set(seen))} of them different")


async def unknown_fields(ground: Ground) -> None:
    """A field that a verb does not have, and U+0000 in a text, are refused as `bad-request`."""
    one = ground.submitter
    refused(await ground.ask(one, Verb.lease, {"project": project(), "colour": "red"}), Problem.bad_request)
    refused(await ground.ask(one, Verb.lease, {"project": project(), "contact": "a\0b"}), Problem.bad_request)


async def too_large(ground: Ground) -> None:
    """A body above the limit is refused as `too-large`."""
    most = int((await ground.told("/v1"))["limits"]["envelope_bytes"])
    one = ground.submitter
    refused(await ground.post(one, Verb.lease, b" " * (most + 1)), Problem.too_large)


async def compressed(ground: Ground) -> None:
    """A body with `Content-Encoding` is refused."""
    one = ground.submitter
    envelope = sealed(ground.request(one, Verb.lease, {"project": project()}), one)
    reply = await ground.send("POST", "/v1/lease", one, envelope, {"Content-Encoding": "gzip"})
    expect(400 <= reply.status < 500, f"taken: {reply.told()}")


async def origins(ground: Ground) -> None:
    """What a page of another site sends, by its `Origin`, is refused."""
    reply = await ground.get("/v1/organisations/me", ground.one, Origin="https://conform.invalid")
    expect(400 <= reply.status < 500, f"answered: {reply.told()}")


async def hosts(ground: Ground) -> None:
    """A `Host` that the operator did not configure is refused."""
    reply = await ground.get("/v1", None, Host="conform.invalid")
    expect(400 <= reply.status < 500, f"answered: {reply.told()}")


async def no_token(ground: Ground) -> None:
    """Without a token every address but the open ones is refused as `unauthorised`."""
    for path in (*_READABLE, *_BY_NAME):
        refused(await ground.get(path), Problem.unauthorised)
    refused(await ground.send("POST", "/v1/lease", None, b"{}"), Problem.unauthorised)


async def wrong_token(ground: Ground) -> None:
    """A token that is not known is refused as `unauthorised`."""
    for token in (fresh("token"), f"rch_{'0' * 16}_{'a' * 43}"):
        refused(await ground.get("/v1/organisations/me", Member(token)), Problem.unauthorised)


async def scopes(ground: Ground) -> None:
    """A token with the scope `pull` alone is refused as `forbidden` by verbs, blobs and `GET /v1/epoch`."""
    pull = ground.pull
    refused(await ground.post(pull, Verb.lease, b"{}"), Problem.forbidden)
    refused(await ground.send("PUT", f"/v1/blobs/sha256:{'0' * 64}", pull, b"x"), Problem.forbidden)
    refused(await ground.get("/v1/epoch", pull), Problem.forbidden)


async def problems(ground: Ground) -> None:
    """Every error is `application/problem+json` with title, status and a code of the list, which has that status."""
    replies = [
        await ground.get("/v1/nothing-of-that-name", ground.one),
        await ground.get(f"/v1/flaws/{fresh('id')}", ground.one),
        await ground.send("DELETE", "/v1/flaws", ground.one),
        await ground.get("/v1/organisations/me"),
    ]
    for reply, code in zip(replies, (Problem.not_found, Problem.not_found, Problem.method_not_allowed, Problem.unauthorised), strict=True):
        told = problem(reply)
        expect(told["code"] == code, f"not {code}: {reply.told()}")
    expect("GET" in replies[2].headers.get("Allow", ""), "405 without an Allow that names GET")


def problem(reply: Reply) -> dict[str, Any]:
    """Return an error that has the form of all errors. Raises BrokenError."""
    expect(reply.headers.get("Content-Type", "").startswith("application/problem+json"), f"no problem+json: {reply.told()}")
    told = reply.json()
    expect(
        isinstance(told.get("title"), str) and told.get("status") == reply.status, f"title or status is missing or wrong: {reply.told()}"
    )
    expect(told.get("code") in list(Problem), f"a code that is not in the list: {reply.told()}")
    expect(Problem(told["code"]).status == reply.status, f"{told['code']} with the status {reply.status}")
    return told


async def described(ground: Ground) -> None:
    """`GET /v1/openapi.json` needs no token, is OpenAPI 3.1, and has every verb."""
    reply = await ground.get("/v1/openapi.json")
    expect(reply.status == 200, reply.told())
    told = reply.json()
    expect(str(told.get("openapi")).startswith("3.1"), "it is not OpenAPI 3.1")
    missing = [verb for verb in Verb if "post" not in told["paths"].get(f"/v1/{verb}", {})]
    expect(not missing, f"it lacks {', '.join(missing)}")


async def well(ground: Ground) -> None:
    """`GET /healthz` and `GET /readyz` need no token."""
    for path in ("/healthz", "/readyz"):
        reply = await ground.get(path)
        expect(reply.status == 200, f"GET {path}: {reply.told()}")


async def redirects(ground: Ground) -> None:
    """A clearinghouse sends no redirects, not for a slash too many, nor anywhere else during this whole run."""
    await ground.get("/v1/flaws/", ground.one)
    await ground.get("/v1/", ground.one)
    expect(not ground.redirected, f"redirected: {', '.join(ground.redirected[:5])}")


def finding(told: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Return the body of a report."""
    return {"flaw": told, "scanner": "conform", **facts}


def envelope_of(data: bytes) -> dict[str, Any]:
    """Return an envelope of ours as JSON, to be spoilt."""
    value = json.loads(data)
    if not isinstance(value, dict):
        raise BrokenError("no envelope")
    return value


def signed(payload: bytes, who: Member) -> bytes:
    """Return an envelope around any bytes: a request that no honest client writes."""
    assert who.key is not None
    signature = {"keyid": who.key.public.keyid, "sig": base64.b64encode(who.key.sign(pae(PAYLOAD_TYPE, payload))).decode()}
    return canonical_json({"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


STATEMENTS = (
    Statement("2.1", about, writes=False),
    Statement("2.2", etags, writes=False),
    Statement("2.3", limits, writes=False),
    Statement("2.4", pages),
    Statement("2.5", unknown_fields),
    Statement("2.6", too_large),
    Statement("2.7", compressed),
    Statement("2.8", origins, writes=False),
    Statement("2.9", hosts, writes=False),
    Statement("3.1", no_token, writes=False),
    Statement("3.2", wrong_token, writes=False),
    Statement("3.3", scopes),
    Statement("7.1", described, writes=False),
    Statement("7.2", well, writes=False),
    Statement("10.1", problems, writes=False),
)
LAST = (Statement("10.2", redirects, writes=False),)
"""Is tried when all others were."""
