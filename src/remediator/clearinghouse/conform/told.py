"""Sections 6 to 9 again: how things are spelled, what is told to everybody, and what was let out."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clearinghouse.conform.ground import Ground, NotRunError, Reply, detail, expect, fix_body, flaw, fresh, project, refused
from remediator.clearinghouse.conform.shared import finding
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.identity import about
from remediator.clearinghouse.wire.terms import Problem, Verb
from remediator.records.record import digest_of

_SPELLINGS = (
    ("pkg:PyPI/{}__A.b@1.0", "pkg:pypi/{}-a-b"),
    ("pkg:npm/@{}/Core?x=y#z", "pkg:npm/%40{}/core"),
    ("pkg:maven/Org.{}/Commons@1", "pkg:maven/Org.{}/Commons"),
    ("pkg:github/{}/Bar", "pkg:github/{}/bar"),
    ("git@github.com:{}/Bar.git", "github.com/{}/bar"),
    ("HTTPS://GitLab.com/{}/Bar.git/", "gitlab.com/{}/bar"),
    ("https://user:word@Example.org/{}/Bar", "example.org/{}/Bar"),
    ("ssh://git@Example.org:22/{}/Bar.git", "example.org:22/{}/Bar"),
    ("https://example.org/{}.git.git", "example.org/{}.git"),
)
_NO_PROJECT = ("PKG:pypi/{}", "https://example.org/{}/../Bar", "{}.example.org")
_SPACES = "\u0009\u000b\u001c\u0085\u00a0\u1680\u2003\u2028\u202f\u205f\u3000"
_NO_SPACES = "\u200b\ufeff"
_EXPORTS = ("patch", "mail", "osv", "csaf", "openvex", "cyclonedx", "bundle")


async def spellings(ground: Ground) -> None:
    """A project is answered in its one spelling, by the rules of section 6; what has none is refused as `bad-request`."""
    one = ground.submitter
    for written, spelled in _SPELLINGS:
        named = fresh("name")
        lease = detail(await ground.done(one, Verb.lease, {"project": written.format(named)}))["lease"]
        expect(lease["project"] == spelled.format(named), f"{written.format(named)} is answered as {lease['project']}")
    for written in _NO_PROJECT:
        refused(await ground.ask(one, Verb.lease, {"project": written.format(fresh("name"))}), Problem.bad_request)


async def spaces(ground: Ground) -> None:
    """Exactly the code points of section 6 are white space in a snippet."""
    told = flaw(snippet="a b")
    first = await _reported(ground, told)
    for space in _SPACES:
        expect(await _reported(ground, {**told, "snippet": f"a{space}b"}) == first, f"U+{ord(space):04X} is no white space there")
    for other in _NO_SPACES:
        expect(await _reported(ground, {**told, "snippet": f"a{other}b"}) != first, f"U+{ord(other):04X} is white space there")


async def claims(ground: Ground) -> None:
    """A claim-check takes 1 to 100 claims of the present epoch; more are `bad-request`, an epoch that is not is `state-conflict`."""
    one = ground.submitter
    epoch = (await ground.told("/v1/epoch"))["epoch"]
    many = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(101)]
    for wrong in ([], many, ["x" * 64]):
        refused(await ground.ask(one, Verb.claim_check, {"epoch": epoch, "claims": wrong}), Problem.bad_request)
    refused(await ground.ask(one, Verb.claim_check, {"epoch": epoch + 1000, "claims": many[:1]}), Problem.state_conflict)
    key = fresh("key")
    for claim in many[:2]:
        answer = await ground.done(one, Verb.claim_check, {"epoch": epoch, "claims": [claim]}, key=key)
        expect(answer["id"] == "claim-check" and detail(answer)["matches"] == {claim: False}, "its key is looked at, or more is told")


async def for_all(ground: Ground) -> None:
    """A flaw that is marked `clear` and under no embargo is told to everybody who takes part, by id and in the list."""
    two, told = ground.two, flaw(aliases=[fresh("ALIAS").upper()])
    named = await _reported(ground, told, tlp="clear")
    expect((await ground.told(f"/v1/flaws/{named}", two))["title"] == told["title"], "another organisation is told something else")
    for query in (f"project={told['project']}", f"alias={told['aliases'][0]}"):
        found = [each["id"] for each in (await ground.told(f"/v1/flaws?{query}", two))["items"]]
        expect(found == [named], f"another organisation finds {found} by {query.split('=')[0]}")


async def filtered(ground: Ground) -> None:
    """`GET /v1/fixes` tells one's own, by flaw and by state, and nothing of another's that was not let out."""
    two = ground.two
    answer = await _fix(ground)
    query = f"flaw={detail(answer)['flaw']}"
    expect([each["id"] for each in (await ground.told(f"/v1/fixes?{query}"))["items"]] == [answer["id"]], "its submitter does not find it")
    expect(not (await ground.told(f"/v1/fixes?{query}&state=revoked"))["items"], "it is found by another state")
    expect(not (await ground.told(f"/v1/fixes?{query}", two))["items"], "another organisation finds it")


async def schemas(ground: Ground) -> None:
    """Every name that the OpenAPI document lists has its JSON Schema, without a token."""
    told = (await ground.get("/v1/openapi.json")).json()
    (named,) = (each for each in told["paths"]["/v1/schemas/{name}.json"]["get"]["parameters"] if each["name"] == "name")
    names = named["schema"]["enum"]
    expect(len(names) >= len(Verb), f"only {len(names)} are named")
    for name in names:
        found = (await ground.get(f"/v1/schemas/{name}.json")).json()
        expect(isinstance(found.get("properties"), dict), f"{name} is no schema of a record")


async def retries(ground: Ground) -> None:
    """The stream begins with a `retry` field."""
    lines = await ground.lines("/v1/feed/stream", ground.one)(20.0)
    expect(bool(lines) and lines[0].startswith(b"retry:"), f"it begins with {lines[:1]}")


async def let_out(ground: Ground) -> None:
    """A fix of the feed is there as patch, mail, OSV, CSAF, OpenVEX, CycloneDX and bundle, and its opening is of that patch and flaw."""
    entries = (await ground.told("/v1/feed?cursor=0&limit=200"))["entries"]
    found = next((each for each in entries if each["kind"] == "published" and not each["withdrawn"]), None)
    if found is None:
        raise NotRunError("nothing was let out there yet")
    address = f"/v1/fixes/{found['fix_id']}"
    told = await ground.told(f"{address}/published")
    for name in _EXPORTS:
        reply = await ground.get(f"{address}/{name}", ground.one)
        expect(reply.status == 200 and bool(reply.body), f"{name}: {reply.told()}")
        if name == "patch":
            expect(reply.body.decode() == told["patch"], "the patch is another than in published")
        if name == "bundle":
            expect(digest_of(reply.body) == told["fix"]["bundle"], "the bundle is another than in published")
    expect(told["fix"]["organisation"] == "" and told["fix"]["submission_id"] == "", "it names its submitter")
    opened = [each for each in (await ground.told(f"{address}/openings"))["items"] if each["index"] == found["ledger_index"]]
    expect(len(opened) == 1 and digest_of(told["patch"].encode()) in opened[0]["object"], "the ledger has another patch")
    expect(about(told["flaw"], told["fix"]["fixed_version"]) in opened[0]["object"], "the ledger has it as the fix of another flaw")


async def far(ground: Ground) -> None:
    """`GET /v1/status/{id}` tells of one's own finding, and of a flaw whether an embargo holds."""
    two = ground.two
    until = datetime.now(UTC) + timedelta(days=30)
    answer = await ground.done(ground.one, Verb.submit_finding, finding(flaw()), embargo_until=until)
    told = await ground.told(f"/v1/status/{answer['id']}")
    expect((told["state"], detail(told)["flaw"]) == ("noted", detail(answer)["flaw"]), f"the finding is {told['state']}")
    refused(await ground.get(f"/v1/status/{answer['id']}", two), Problem.not_found)
    expect((await ground.told(f"/v1/status/{detail(answer)['flaw']}"))["state"] == "embargoed", "the flaw's embargo is not told")


async def new_to_them(ground: Ground) -> None:
    """A blob that another organisation put is new: 201, as if nobody had it."""
    two, data = ground.two, fresh("blob").encode()
    for who in (ground.one, two):
        reply: Reply = await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", who, data)
        expect(reply.status == 201, f"the status is {reply.status}")


async def opened(ground: Ground) -> None:
    """The opening of a lease is for everybody who takes part, that of a finding for who reported it alone; both open their entry."""
    two = ground.two
    lease = await ground.done(ground.one, Verb.lease, {"project": project()})
    report = await ground.done(ground.one, Verb.submit_finding, finding(flaw()), tlp="red")
    await _opens(ground, await ground.told(f"/v1/flaws/{lease['id']}/openings", two), lease["ledger_index"])
    await _opens(ground, await ground.told(f"/v1/flaws/{report['id']}/openings"), report["ledger_index"])
    refused(await ground.get(f"/v1/flaws/{report['id']}/openings", two), Problem.not_found)


async def _opens(ground: Ground, told: dict[str, Any], index: int) -> None:
    (found,) = (each for each in told["items"] if each["index"] == index)
    (entry,) = (await ground.told(f"/v1/ledger/entries?start={index}&limit=1"))["items"]
    commitment = hashlib.sha256(bytes.fromhex(found["nonce"]) + found["object"].encode()).hexdigest()
    expect(commitment == entry["commitment"], f"the opening does not fit entry {index}")


async def _reported(ground: Ground, told: dict[str, Any], **facts: Any) -> str:
    return str(detail(await ground.done(ground.submitter, Verb.submit_finding, finding(told), **facts))["flaw"])


async def _fix(ground: Ground) -> dict[str, Any]:
    one, data = ground.submitter, fresh("blob").encode()
    await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", one, data)
    return await ground.done(one, Verb.submit_fix, fix_body(data), tlp="clear")


STATEMENTS = (
    Statement("6.2", spellings),
    Statement("6.3", spaces),
    Statement("6.4", claims),
    Statement("7.10", for_all),
    Statement("7.11", filtered),
    Statement("7.12", schemas, writes=False),
    Statement("7.13", retries, writes=False),
    Statement("7.14", let_out, writes=False),
    Statement("7.15", far),
    Statement("8.2", new_to_them),
    Statement("9.8", opened),
)
