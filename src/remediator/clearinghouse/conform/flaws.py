"""Sections 5 to 8, flaws and fixes: one flaw of many reports, who may see it, and what is distributed."""

from __future__ import annotations

from typing import Any

from remediator.clearinghouse.conform.ground import Ground, Member, detail, expect, fix_body, flaw, fresh, later, refused
from remediator.clearinghouse.conform.shared import finding
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.identity import claims, fingerprints
from remediator.clearinghouse.wire.terms import Problem, Verb
from remediator.clearinghouse.wire.verbs import FlawBody
from remediator.records.record import digest_of


async def joined(ground: Ground) -> None:
    """Two organisations' reports of one place are one flaw, though line, spaces, title and version differ; another snippet is another."""
    two, told = ground.two, flaw()
    first = await _reported(ground, ground.one, told)
    moved = {**told, "line": 99, "version": "2.0", "title": "another title", "snippet": f"\n  {told['snippet']}\t"}
    expect(await _reported(ground, two, moved) == first, "the same place made two flaws")
    expect(await _reported(ground, two, {**told, "snippet": fresh("code")}) != first, "two places made one flaw")


async def aliased(ground: Ground) -> None:
    """Two reports that share an alias in one project are one flaw, whatever their places."""
    two, alias = ground.two, fresh("ALIAS").upper()
    told = flaw(aliases=[alias])
    first = await _reported(ground, ground.one, told)
    expect(await _reported(ground, two, flaw(project=told["project"], aliases=[alias.lower()])) == first, "one alias made two flaws")


async def ambiguous(ground: Ground) -> None:
    """A report that lists two ids of one kind makes no one flaw of others' reports of each."""
    one, two, kind = ground.one, ground.two, fresh("K").replace("-", "").upper()
    told = flaw(aliases=[f"{kind}-1", f"{kind}-2"])
    await _reported(ground, one, told)
    first = await _reported(ground, two, flaw(project=told["project"], aliases=[f"{kind}-1"]))
    expect(await _reported(ground, two, flaw(project=told["project"], aliases=[f"{kind}-2"])) != first, "two ids made one flaw")


async def tristate(ground: Ground) -> None:
    """`tests_passed: null` of an assessment is told as null: not run is not false."""
    one = ground.submitter
    named = await _reported(ground, one, flaw())
    await ground.done(one, Verb.assess, {"subject": named, "opinion": "inconclusive", "tests_passed": None})
    mine = (await ground.told(f"/v1/flaws/{named}", one))["assessments"]
    expect(len(mine) == 1 and "tests_passed" in mine[0] and mine[0]["tests_passed"] is None, "it is not told as null")


async def claimed(ground: Ground) -> None:
    """A claim-check matches what was reported, by anybody, and nothing else; an answer has true or false for each claim."""
    two, told = ground.two, flaw()
    await _reported(ground, ground.one, told, embargo_until=later())
    epoch = await ground.told("/v1/epoch", two)
    known = claims(fingerprints(FlawBody.model_validate(told)), bytes.fromhex(epoch["key"]))[0]
    other = claims(fingerprints(FlawBody.model_validate(flaw())), bytes.fromhex(epoch["key"]))[0]
    answer = await ground.done(two, Verb.claim_check, {"epoch": epoch["epoch"], "claims": [known, other]})
    expect(detail(answer).get("matches") == {known: True, other: False}, "it does not match what was reported, or more")
    expect(answer["state"] == "matched" and answer["ledger_index"] is None, "its state is wrong, or it was noted down")


async def embargoed(ground: Ground) -> None:
    """A flaw under embargo reads for others exactly as if it were not there: the same status and the same words."""
    two = ground.two
    named = await _reported(ground, ground.one, flaw(), embargo_until=later(), tlp="clear")
    replies = [await ground.get(f"/v1/flaws/{each}{rest}", two) for each in (named, f"flaw-{'0' * 24}") for rest in ("", "/openings")]
    for reply in replies:
        refused(reply, Problem.not_found)
    expect(replies[0].body == replies[2].body and replies[1].body == replies[3].body, "the words differ")
    expect((await ground.get(f"/v1/flaws/{named}", ground.one)).status == 200, "its own witness does not see it")


async def unlisted(ground: Ground) -> None:
    """A flaw under embargo is in no list of others."""
    two, told = ground.two, flaw(aliases=[fresh("ALIAS")])
    await _reported(ground, ground.one, told, embargo_until=later(), tlp="clear")
    for query in (f"project={told['project']}", f"alias={told['aliases'][0]}"):
        expect(len((await ground.told(f"/v1/flaws?{query}", ground.one))["items"]) == 1, "its own witness does not find it")
        expect(not (await ground.told(f"/v1/flaws?{query}", two))["items"], f"another organisation finds it by {query.split('=')[0]}")


async def own_words(ground: Ground) -> None:
    """Under embargo an organisation sees of a flaw what it reported itself, and nothing of what others did."""
    two, told = ground.two, flaw(details=fresh("details"))
    named = await _reported(ground, ground.one, told, embargo_until=later(), tlp="clear")
    mine = {**told, "title": fresh("title"), "details": ""}
    await _reported(ground, two, mine, embargo_until=later(), tlp="clear")
    reply = await ground.get(f"/v1/flaws/{named}", two)
    expect(reply.status == 200 and reply.json()["title"] == mine["title"], f"it does not see its own report: {reply.told()}")
    for secret in (told["title"], told["details"], ground.one.id):
        expect(secret.encode() not in reply.body, "it sees another's report")


async def red(ground: Ground) -> None:
    """A flaw that is marked `red` is for its witnesses alone, also without an embargo."""
    two = ground.two
    named = await _reported(ground, ground.one, flaw(), tlp="red")
    refused(await ground.get(f"/v1/flaws/{named}", two), Problem.not_found)


async def confided(ground: Ground) -> None:
    """A report that is marked `red` hides no other's report of the same flaw, and changes nothing of what others read."""
    one, two, told = ground.one, ground.two, flaw(details=fresh("details"))
    named = await _reported(ground, one, told, tlp="red")
    mine = {**told, "title": fresh("title"), "details": ""}
    expect(await _reported(ground, two, mine, tlp="clear") == named, "the same place made two flaws")
    before = await ground.told(f"/v1/flaws/{named}", two)
    expect((before["title"], before["tlp"]) == (mine["title"], "clear"), "another's words or mark are told")
    await _reported(ground, one, {**told, "severity": "critical", "aliases": [fresh("ALIAS")], "details": fresh("more")}, tlp="red")
    expect(await ground.told(f"/v1/flaws/{named}", two) == before, "a report in confidence is seen by others")
    expect((await ground.told(f"/v1/flaws/{named}", one))["details"] == told["details"], "its first witness does not see its own words")


async def lifted(ground: Ground) -> None:
    """An embargo ends when everybody agreed who asked for one, and not before."""
    two, told = ground.two, flaw()
    named = await _reported(ground, ground.one, told, embargo_until=later())
    await _reported(ground, two, told, embargo_until=later())
    first = await ground.done(ground.one, Verb.lift, {"flaw_id": named})
    expect(first["state"] == "agreed" and (await ground.told(f"/v1/flaws/{named}"))["embargoed"] is True, "one alone ended it")
    last = await ground.done(two, Verb.lift, {"flaw_id": named})
    expect(last["state"] == "lifted" and (await ground.told(f"/v1/flaws/{named}"))["embargoed"] is False, "all agreed, and it holds")


async def blob(ground: Ground) -> None:
    """A blob is taken under its digest, 201 the first time and 200 again; other bytes are refused as `blob-mismatch`."""
    one, data = ground.submitter, fresh("blob").encode()
    statuses = [(await _put(ground, one, data)).status for _ in range(2)]
    expect(statuses == [201, 200], f"the statuses are {statuses}")
    refused(await ground.send("PUT", f"/v1/blobs/{digest_of(b'other' + data)}", one, data), Problem.blob_mismatch)


async def missing(ground: Ground) -> None:
    """A fix whose bundle this organisation never put is refused as `blob-missing`, also where another put it."""
    two, data = ground.two, fresh("blob").encode()
    refused(await ground.ask(ground.one, Verb.submit_fix, fix_body(data)), Problem.blob_missing)
    await _put(ground, two, data)
    refused(await ground.ask(ground.one, Verb.submit_fix, fix_body(data)), Problem.blob_missing)


async def same_fix(ground: Ground) -> None:
    """The same `submission_id` is the same fix, also under a fresh idempotency key; with another bundle it is `state-conflict`."""
    one, data, more = ground.submitter, fresh("blob").encode(), fresh("blob").encode()
    for each in (data, more):
        await _put(ground, one, each)
    body = fix_body(data)
    first, again = await ground.done(one, Verb.submit_fix, body), await ground.done(one, Verb.submit_fix, body)
    expect(again["id"] == first["id"] and again["duplicate"] is True, "it is another fix")
    other = {**body, "bundle": digest_of(more), "bundle_bytes": len(more)}
    refused(await ground.ask(one, Verb.submit_fix, other), Problem.state_conflict)


async def unproven(ground: Ground) -> None:
    """A fix that the clearinghouse did not prove itself is not distributed, whatever level is claimed."""
    two, data = ground.two, fresh("blob").encode()
    await _put(ground, ground.one, data)
    answer = await ground.done(ground.one, Verb.submit_fix, fix_body(data), tlp="clear")
    for rest in ("", "/published", "/patch", "/osv", "/bundle"):
        refused(await ground.get(f"/v1/fixes/{answer['id']}{rest}", two), Problem.not_found)
    refused(await ground.get(f"/v1/fixes/{answer['id']}/published", ground.one), Problem.not_found)
    expect((await ground.told(f"/v1/fixes/{answer['id']}"))["level"] is None, "it has a level that nobody reached")


async def taken_back(ground: Ground) -> None:
    """A fix is revoked by its submitter, and by no other."""
    two, data = ground.two, fresh("blob").encode()
    await _put(ground, ground.one, data)
    fix_id = (await ground.done(ground.one, Verb.submit_fix, fix_body(data)))["id"]
    body = {"fix_id": fix_id, "reason": "conform"}
    refused(await ground.ask(two, Verb.revoke, body), Problem.not_found, Problem.forbidden)
    answer = await ground.done(ground.one, Verb.revoke, body)
    expect(answer["state"] == "revoked" and (await ground.told(f"/v1/fixes/{fix_id}"))["state"] == "revoked", "it is not revoked")


async def status(ground: Ground) -> None:
    """`GET /v1/status/{id}` tells of one's own fix by its id and by its `submission_id`, and of another's nothing."""
    two, data = ground.two, fresh("blob").encode()
    await _put(ground, ground.one, data)
    body = fix_body(data)
    fix_id = (await ground.done(ground.one, Verb.submit_fix, body))["id"]
    for named in (fix_id, body["submission_id"]):
        expect((await ground.told(f"/v1/status/{named}"))["id"] == fix_id, "it is told as something else")
        refused(await ground.get(f"/v1/status/{named}", two), Problem.not_found)


async def _reported(ground: Ground, who: Member, told: dict[str, Any], **facts: Any) -> str:
    found = detail(await ground.done(who, Verb.submit_finding, finding(told), **facts)).get("flaw")
    expect(isinstance(found, str), "the answer does not name the flaw")
    return str(found)


async def _put(ground: Ground, who: Member, data: bytes) -> Any:
    return await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", who, data)


STATEMENTS = (
    Statement("5.13", joined),
    Statement("5.14", aliased),
    Statement("5.34", ambiguous),
    Statement("5.15", tristate),
    Statement("5.16", missing),
    Statement("5.17", same_fix),
    Statement("5.18", unproven),
    Statement("5.19", taken_back),
    Statement("5.20", lifted),
    Statement("6.1", claimed),
    Statement("7.3", embargoed),
    Statement("7.4", unlisted),
    Statement("7.5", own_words),
    Statement("7.6", red),
    Statement("7.7", status),
    Statement("7.16", confided),
    Statement("8.1", blob),
)
