"""Section 5 again: what one may do with one's own, what not with another's, and what is not done a second time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clearinghouse.conform.ground import Ground, Member, detail, expect, fix_body, flaw, fresh, later, project, refused
from remediator.clearinghouse.conform.shared import finding
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.terms import Problem, Verb
from remediator.records.record import digest_of


async def merged(ground: Ground) -> None:
    """A report of one's own that matches two flaws of one's own makes them one; the other's id goes on working, and answers with it."""
    one, alias = ground.submitter, fresh("ALIAS").upper()
    placed, named = flaw(), flaw(aliases=[alias], path="", snippet="")
    named["project"] = placed["project"]
    first, other = await _reported(ground, one, placed), await _reported(ground, one, named)
    expect(first != other, "two flaws were one before anybody said so")
    joined = await _reported(ground, one, {**placed, "aliases": [alias]}, scanner="conform-again")
    expect(joined == first, "it does not join the oldest")
    for each in (first, other):
        expect((await ground.told(f"/v1/flaws/{each}"))["id"] == first, f"{each} does not answer with the one that it was joined to")


async def stays_out(ground: Ground) -> None:
    """From a flaw that was released neither an embargo nor a stricter mark takes anything back, and the answer says so."""
    two, told = ground.two, flaw()
    named = await _reported(ground, ground.one, told, tlp="green")
    answer = await ground.done(two, Verb.submit_finding, finding(told), tlp="red", embargo_until=later())
    expect(detail(answer).get("embargo") == "not taken: this flaw was released", "the answer does not say that it was not taken")
    now = await ground.told(f"/v1/flaws/{named}")
    expect(now["embargoed"] is False and now["tlp"] == "green", "it was taken back")


async def each_its_own(ground: Ground) -> None:
    """Of several reports under embargo the latest date holds, and once it is over each is told under its own mark."""
    two, told = ground.two, flaw()
    named = await _reported(ground, ground.one, told, tlp="red", embargo_until=datetime.now(UTC) + timedelta(seconds=2))
    await _reported(ground, two, told, tlp="clear", embargo_until=later())
    await ground.done(ground.one, Verb.lift, {"flaw_id": named})
    expect((await ground.told(f"/v1/flaws/{named}"))["embargoed"] is True, "the earlier date ended it")
    await ground.done(two, Verb.lift, {"flaw_id": named})
    marks = [(await ground.told(f"/v1/flaws/{named}", who))["tlp"] for who in (ground.one, two)]
    expect(marks == ["red", "clear"], f"they are told under {marks}")


async def own_leases(ground: Ground) -> None:
    """Leases of one's own do not exclude each other."""
    named, one = project(), ground.submitter
    found = {(await ground.done(one, Verb.lease, {"project": named}))["id"] for _ in range(2)}
    expect(len(found) == 2, "two leases are one")


async def both(ground: Ground) -> None:
    """`lease_id` and `fencing` belong together: one alone is refused as `bad-request`."""
    one = ground.submitter
    for alone in ({"lease_id": fresh("lease")}, {"fencing": 1}):
        refused(await ground.ask(one, Verb.submit_finding, finding(flaw(), **alone)), Problem.bad_request)


async def flaw_fields(ground: Ground) -> None:
    """A flaw with `..` in its path, and with a commit, CWE, severity or reference that is none, is refused as `bad-request`."""
    one = ground.submitter
    for wrong in (
        {"path": "src/../../etc/passwd"}, {"path": "/etc/passwd"}, {"commit": "main"}, {"cwe": [0]}, {"severity": "dire"},
        {"references": ["javascript:alert(1)"]}, {"title": ""},
    ):  # fmt: skip
        reply = await ground.ask(one, Verb.submit_finding, {"flaw": {**flaw(), **wrong}, "scanner": "conform"})
        expect(refused(reply, Problem.bad_request)["detail"] != "", f"{wrong} is refused without a word on it")


async def second_opinion(ground: Ground) -> None:
    """A later assessment of the same organisation takes the place of its earlier one."""
    one = ground.submitter
    named = await _reported(ground, one, flaw())
    for opinion in ("incorrect", "correct"):
        expect(
            (await ground.done(one, Verb.assess, {"subject": named, "opinion": opinion}))["state"] == opinion,
            "the state is not the opinion",
        )
    told = (await ground.told(f"/v1/flaws/{named}"))["assessments"]
    expect([each["opinion"] for each in told] == ["correct"], f"the opinions are {[each['opinion'] for each in told]}")


async def others_wish(ground: Ground) -> None:
    """While an opt-out holds it is in `GET /v1/opt-outs`, and no other organisation changes or withdraws it."""
    named, two = project(), ground.two
    wish = {"project": named, "contact": "conform"}
    await ground.done(ground.one, Verb.opt_out, wish)
    for more in ({}, {"withdraw": True}):
        refused(await ground.ask(two, Verb.opt_out, {**wish, **more}), Problem.forbidden)
    expect(named in await _opted_out(ground), "it is not in the list")
    await ground.done(ground.one, Verb.opt_out, {**wish, "withdraw": True})
    answer = await ground.done(two, Verb.opt_out, {**wish, "withdraw": True})
    expect(answer["state"] == "withdrawn" and answer["duplicate"] is True, "withdrawing what is not there makes something")


async def _opted_out(ground: Ground) -> set[str]:
    found: set[str] = set()
    cursor = ""
    for _ in range(1000):
        page = await ground.told("/v1/opt-outs?limit=200" + (f"&cursor={cursor}" if cursor else ""))
        found |= {each["project"] for each in page["items"]}
        if not (cursor := page["next"]):
            break
    return found


async def ends_with_wish(ground: Ground) -> None:
    """Once a project opted out its leases are not renewed; findings about it are still taken."""
    named, two = project(), ground.two
    lease = await ground.done(ground.one, Verb.lease, {"project": named})
    await ground.done(two, Verb.opt_out, {"project": named, "contact": "conform"})
    place = {"lease_id": lease["id"], "fencing": detail(lease)["lease"]["fencing"]}
    refused(await ground.ask(ground.one, Verb.renew, place), Problem.opted_out)
    await _reported(ground, ground.one, flaw(project=named))
    await ground.done(two, Verb.opt_out, {"project": named, "contact": "conform", "withdraw": True})


async def superseded(ground: Ground) -> None:
    """A fix is superseded by another of one's own for the same flaw, and by no other's; then it is neither superseded nor revoked again."""
    two, told = ground.two, flaw()
    old, new = await _submitted(ground, ground.one, told), await _submitted(ground, ground.one, told)
    elsewhere, theirs = await _submitted(ground, ground.one, flaw()), await _submitted(ground, two, told)
    body = {"fix_id": old, "by": new, "reason": "conform"}
    refused(await ground.ask(two, Verb.supersede, body), Problem.not_found, Problem.forbidden)
    refused(await ground.ask(ground.one, Verb.supersede, {**body, "by": theirs}), Problem.not_found, Problem.forbidden)
    refused(await ground.ask(ground.one, Verb.supersede, {**body, "by": elsewhere}), Problem.state_conflict)
    answer = await ground.done(ground.one, Verb.supersede, body)
    now = await ground.told(f"/v1/fixes/{old}")
    expect((answer["state"], now["state"], now["superseded_by"]) == ("superseded", "superseded", new), f"it is {now['state']}")
    refused(await ground.ask(ground.one, Verb.supersede, body), Problem.state_conflict)
    refused(await ground.ask(ground.one, Verb.revoke, {"fix_id": old, "reason": "conform"}), Problem.state_conflict)


async def lifted_again(ground: Ground) -> None:
    """`lift` of what is released is `lifted` and a `duplicate`; a witness that asked for no embargo ends none of another's."""
    two, told = ground.two, flaw()
    named = await _reported(ground, ground.one, told, embargo_until=later())
    await _reported(ground, two, told)
    answer = await ground.done(two, Verb.lift, {"flaw_id": named})
    expect(answer["state"] == "agreed" and (await ground.told(f"/v1/flaws/{named}"))["embargoed"] is True, "it ended another's embargo")
    await ground.done(ground.one, Verb.lift, {"flaw_id": named})
    last = await ground.done(ground.one, Verb.lift, {"flaw_id": named})
    expect(last["state"] == "lifted" and last["duplicate"] is True, f"once released it is {last['state']}")


async def receipts(ground: Ground) -> None:
    """A receipt for a fix that was not let out is refused."""
    two = ground.two
    fix_id = await _submitted(ground, ground.one, flaw())
    for who in (ground.one, two):
        reply = await ground.ask(who, Verb.receipt, {"fix_id": fix_id, "outcome": "applied"})
        refused(reply, Problem.state_conflict, Problem.not_found)


async def other_size(ground: Ground) -> None:
    """A fix whose bundle has another size than is said is refused as `blob-mismatch`."""
    one, data = ground.submitter, fresh("blob").encode()
    await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", one, data)
    refused(await ground.ask(one, Verb.submit_fix, {**fix_body(data, flaw()), "bundle_bytes": len(data) + 1}), Problem.blob_mismatch)


async def _reported(ground: Ground, who: Member, told: dict[str, Any], *, scanner: str = "conform", **facts: Any) -> str:
    return str(detail(await ground.done(who, Verb.submit_finding, {**finding(told), "scanner": scanner}, **facts))["flaw"])


async def _submitted(ground: Ground, who: Member, told: dict[str, Any]) -> str:
    data = fresh("blob").encode()
    await ground.send("PUT", f"/v1/blobs/{digest_of(data)}", who, data)
    return str((await ground.done(who, Verb.submit_fix, fix_body(data, told)))["id"])


STATEMENTS = (
    Statement("5.21", merged),
    Statement("5.22", stays_out),
    Statement("5.23", each_its_own),
    Statement("5.24", own_leases),
    Statement("5.25", both),
    Statement("5.26", flaw_fields),
    Statement("5.27", second_opinion),
    Statement("5.28", others_wish),
    Statement("5.29", ends_with_wish),
    Statement("5.30", superseded),
    Statement("5.31", lifted_again),
    Statement("5.32", receipts),
    Statement("5.33", other_size),
)
