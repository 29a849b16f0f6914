"""Section 5, leases and opt-outs: nobody scans what another scans, and what comes late is refused."""

from __future__ import annotations

import asyncio
from typing import Any

from remediator.clearinghouse.conform.ground import Ground, Member, detail, expect, flaw, fresh, project, refused
from remediator.clearinghouse.conform.shared import finding
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.terms import MOST_TTL_SECONDS, Problem, Verb


async def shown(ground: Ground) -> None:
    """A lease that holds is in `GET /v1/leases` for everybody who takes part."""
    named, two = project(), ground.two
    lease = await _lease(ground, ground.one, named)
    listed = (await ground.told(f"/v1/leases?project={named}", two))["items"]
    expect([each["id"] for each in listed] == [lease["id"]], "the other organisation does not see it")


async def held(ground: Ground) -> None:
    """A project that is leased is refused to another organisation as `lease-held`, with the seconds to wait."""
    named, two = project(), ground.two
    await _lease(ground, ground.one, named)
    told = refused(await ground.ask(two, Verb.lease, {"project": named}), Problem.lease_held)
    wait = told.get("retry_after_seconds")
    expect(isinstance(wait, int) and 0 < wait <= 3600, f"retry_after_seconds is {wait!r}")


async def scoped(ground: Ground) -> None:
    """Leases whose scopes do not overlap hold side by side; an entry overlaps itself and what is in its folder."""
    named, two = project(), ground.two
    await _lease(ground, ground.one, named, scope=["src/a", "CWE-502"])
    await _lease(ground, two, named, scope=["src/b", "CWE-79"])
    for scope in (["CWE-502"], ["src/a/deep.py"], []):
        refused(await ground.ask(two, Verb.lease, {"project": named, "scope": scope}), Problem.lease_held)


async def fencing(ground: Ground) -> None:
    """Each grant on a project has a greater fencing number than any before it."""
    named, two = project(), ground.two
    asking = ((ground.one, "a"), (two, "b"), (ground.one, "c"))
    found = [(await _lease(ground, who, named, scope=[scope]))["fencing"] for who, scope in asking]
    expect(found[0] < found[1] < found[2], f"the numbers are {found}")


async def released(ground: Ground) -> None:
    """A lease that was given back is refused as `lease-stale`, and free for others."""
    named, two = project(), ground.two
    lease = await _lease(ground, ground.one, named)
    place = {"lease_id": lease["id"], "fencing": lease["fencing"]}
    answer = await ground.done(ground.one, Verb.release, place)
    expect(answer["state"] == "released", f"its state is {answer['state']}")
    refused(await ground.ask(ground.one, Verb.renew, place), Problem.lease_stale)
    await _lease(ground, two, named)


async def stale(ground: Ground) -> None:
    """Another fencing number than the lease's is refused as `lease-stale`, by `renew` and by `submit-finding`."""
    named, one = project(), ground.submitter
    lease = await _lease(ground, one, named)
    place = {"lease_id": lease["id"], "fencing": lease["fencing"] + 1}
    refused(await ground.ask(one, Verb.renew, place), Problem.lease_stale)
    refused(await ground.ask(one, Verb.submit_finding, finding(flaw(project=named), **place)), Problem.lease_stale)


async def expired(ground: Ground) -> None:
    """A lease whose time is over is refused as `lease-stale`, and free for others."""
    named, two = project(), ground.two
    lease = await _lease(ground, ground.one, named, ttl_seconds=1)
    await asyncio.sleep(1.5)
    refused(await ground.ask(ground.one, Verb.renew, {"lease_id": lease["id"], "fencing": lease["fencing"]}), Problem.lease_stale)
    await _lease(ground, two, named)


async def renewed(ground: Ground) -> None:
    """Renewing a lease never makes it shorter."""
    one = ground.submitter
    lease = await _lease(ground, one, project(), ttl_seconds=3600)
    place = {"lease_id": lease["id"], "fencing": lease["fencing"]}
    answer = await ground.done(one, Verb.renew, {**place, "ttl_seconds": 1})
    expect(detail(answer)["lease"]["expires_at"] >= lease["expires_at"], "it ends sooner than before")


async def others_lease(ground: Ground) -> None:
    """Another organisation's lease can neither be renewed nor given back."""
    two = ground.two
    lease = await _lease(ground, ground.one, project())
    for verb in (Verb.renew, Verb.release):
        reply = await ground.ask(two, verb, {"lease_id": lease["id"], "fencing": lease["fencing"]})
        refused(reply, Problem.not_found, Problem.forbidden, Problem.lease_stale)


async def spelled(ground: Ground) -> None:
    """A project has one spelling: case, scheme and `.git` of a repository make no other."""
    two, named = ground.two, fresh("repository")
    await _lease(ground, ground.one, f"git+https://github.com/Conform/{named}.git")
    for other in (f"github.com/conform/{named}", f"git@github.com:conform/{named}", f"https://GitHub.com/CONFORM/{named}/"):
        refused(await ground.ask(two, Verb.lease, {"project": other}), Problem.lease_held)


async def longest(ground: Ground) -> None:
    """A lease for longer than the limit is refused as `bad-request`."""
    refused(
        await ground.ask(ground.submitter, Verb.lease, {"project": project(), "ttl_seconds": MOST_TTL_SECONDS + 1}), Problem.bad_request
    )


async def opted_out(ground: Ground) -> None:
    """A project whose maintainer opted out is leased to nobody, until that is withdrawn."""
    named, two = project(), ground.two
    wish = {"project": named, "contact": "conform"}
    await ground.done(ground.one, Verb.opt_out, wish)
    refused(await ground.ask(two, Verb.lease, {"project": named}), Problem.opted_out)
    await ground.done(ground.one, Verb.opt_out, {**wish, "withdraw": True})
    await _lease(ground, two, named)


async def _lease(ground: Ground, who: Member, named: str, **facts: Any) -> dict[str, Any]:
    answer = await ground.done(who, Verb.lease, {"project": named, **facts})
    found = detail(answer)["lease"]
    expect(isinstance(found, dict) and found.get("id") == answer["id"] and isinstance(found.get("fencing"), int), "no lease in the answer")
    assert isinstance(found, dict)
    return found


STATEMENTS = (
    Statement("5.1", shown),
    Statement("5.2", held),
    Statement("5.3", scoped),
    Statement("5.4", fencing),
    Statement("5.5", released),
    Statement("5.6", stale),
    Statement("5.7", expired),
    Statement("5.8", renewed),
    Statement("5.9", others_lease),
    Statement("5.10", spelled),
    Statement("5.11", longest),
    Statement("5.12", opted_out),
)
