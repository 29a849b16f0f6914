"""Section 4: what is taken, what is refused, and that it is done once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from remediator.clearinghouse.conform.ground import Ground, Member, Reply, expect, fresh, project, refused, sealed
from remediator.clearinghouse.conform.shared import envelope_of, signed
from remediator.clearinghouse.conform.statement import Statement
from remediator.clearinghouse.wire.terms import CLOCK_SKEW_SECONDS, Problem, Verb
from remediator.evidence.keys import SigningKey
from remediator.records.record import canonical_json

_FIELDS = ("verb", "id", "state", "duplicate", "ledger_index", "detail")


async def answers(ground: Ground) -> None:
    """A verb that is signed by a registered key is done, and its answer has verb, id, state, duplicate, ledger_index and detail."""
    ground.needs_two()
    answer = await ground.done(ground.one, Verb.lease, {"project": project()})
    expect(all(name in answer for name in _FIELDS), f"the answer lacks {[name for name in _FIELDS if name not in answer]}")
    expect(answer["verb"] == "lease" and answer["duplicate"] is False, "it answers something else")


async def made(ground: Ground) -> None:
    """The answer is 201 where something was made, and 200 where it was there already."""
    ground.needs_two()
    body, key = {"project": project()}, fresh("key")
    statuses = [(await ground.ask(ground.one, Verb.lease, body, key=key)).status for _ in range(2)]
    expect(statuses == [201, 200], f"the statuses are {statuses}")


async def once(ground: Ground) -> None:
    """The same idempotency key with the same request is done once: the first answer comes again as `duplicate`, also when signed anew."""
    ground.needs_two()
    body, key = {"project": project()}, fresh("key")
    first, again = [await ground.done(ground.one, Verb.lease, body, key=key) for _ in range(2)]
    expect(again.get("duplicate") is True, "the second answer does not say that it is a duplicate")
    expect((first["id"], first["ledger_index"]) == (again["id"], again["ledger_index"]), "it was done twice")


async def reused(ground: Ground) -> None:
    """The same idempotency key with another body is refused as `idempotency-key-reused`."""
    ground.needs_two()
    key = fresh("key")
    await ground.done(ground.one, Verb.lease, {"project": project()}, key=key)
    refused(await ground.ask(ground.one, Verb.lease, {"project": project()}, key=key), Problem.key_reused)


async def own_keys(ground: Ground) -> None:
    """An idempotency key belongs to its organisation: another may use the same for something else."""
    key, two = fresh("key"), ground.two
    await ground.done(ground.one, Verb.lease, {"project": project()}, key=key)
    answer = await ground.done(two, Verb.lease, {"project": project()}, key=key)
    expect(answer.get("duplicate") is False, "it got another organisation's answer")


async def unknown_key(ground: Ground) -> None:
    """What is signed by a key that is not registered is refused as `unknown-key`."""
    ground.needs_two()
    stranger = ground.one._replace(key=SigningKey.generate())
    refused(await _leased(ground, stranger), Problem.unknown_key)


async def others_key(ground: Ground) -> None:
    """What is signed by another organisation's key is refused as `unknown-key`."""
    refused(await _leased(ground, ground.one._replace(key=ground.two.key)), Problem.unknown_key)


async def bad_signature(ground: Ground) -> None:
    """A signature that is not over the very bytes is refused as `bad-signature`."""
    ground.needs_two()
    one = ground.one
    mine = envelope_of(sealed(ground.request(one, Verb.lease, {"project": project()}), one))
    other = envelope_of(sealed(ground.request(one, Verb.lease, {"project": project()}), one))
    spoilt = {**mine, "signatures": other["signatures"]}
    refused(await ground.post(one, Verb.lease, canonical_json(spoilt)), Problem.bad_signature)


async def audience(ground: Ground) -> None:
    """What is signed for another clearinghouse is refused as `wrong-audience`."""
    ground.needs_two()
    elsewhere = SigningKey.generate().public.keyid
    refused(await _leased(ground, ground.one, audience=elsewhere), Problem.wrong_audience)


async def submitter(ground: Ground) -> None:
    """What another organisation signed is refused as `wrong-submitter` with this one's token."""
    two = ground.two
    envelope = sealed(ground.request(two, Verb.lease, {"project": project()}), two)
    refused(await ground.post(ground.one, Verb.lease, envelope), Problem.wrong_submitter)


async def skew(ground: Ground) -> None:
    """What was signed too long ago, or is from the future, is refused as `clock-skew`."""
    ground.needs_two()
    for seconds in (-3 * CLOCK_SKEW_SECONDS, 3 * CLOCK_SKEW_SECONDS):
        refused(await _leased(ground, ground.one, at=datetime.now(UTC) + timedelta(seconds=seconds)), Problem.clock_skew)


async def address(ground: Ground) -> None:
    """An envelope for another verb than the address is refused as `bad-request`."""
    ground.needs_two()
    one = ground.one
    envelope = sealed(ground.request(one, Verb.lease, {"project": project()}), one)
    refused(await ground.post(one, Verb.opt_out, envelope), Problem.bad_request)


async def form(ground: Ground) -> None:
    """An envelope with another payload type, or with two signatures, is refused as `bad-envelope`."""
    ground.needs_two()
    one = ground.one
    whole = envelope_of(sealed(ground.request(one, Verb.lease, {"project": project()}), one))
    for spoilt in ({**whole, "payloadType": "application/json"}, {**whole, "signatures": whole["signatures"] * 2}, {"payload": "?"}):
        refused(await ground.post(one, Verb.lease, canonical_json(spoilt)), Problem.bad_envelope)


async def not_done(ground: Ground) -> None:
    """A request that was refused was not done: its idempotency key is free, and no lease is there."""
    ground.needs_two()
    named, key, one = project(), fresh("key"), ground.one
    forged = one._replace(key=SigningKey.generate())
    envelope = sealed(ground.request(forged, Verb.lease, {"project": named}, key=key), forged)
    await ground.post(one, Verb.lease, envelope)
    expect(not (await ground.told(f"/v1/leases?project={named}"))["items"], "a forged request took a lease")
    answer = await ground.done(one, Verb.lease, {"project": named}, key=key)
    expect(answer.get("duplicate") is False, "a forged request used up the idempotency key")


async def unreadable(ground: Ground) -> None:
    """A payload that is signed well and is no request is refused as `bad-request`."""
    ground.needs_two()
    payload = canonical_json({"verb": "lease", "key": fresh("key")})
    refused(await ground.post(ground.one, Verb.lease, signed(payload, ground.one)), Problem.bad_request)


async def _leased(ground: Ground, who: Member, **facts: object) -> Reply:
    return await ground.ask(who, Verb.lease, {"project": project()}, **facts)


STATEMENTS = (
    Statement("4.1", answers),
    Statement("4.2", made),
    Statement("4.3", once),
    Statement("4.4", reused),
    Statement("4.5", own_keys),
    Statement("4.6", unknown_key),
    Statement("4.7", others_key),
    Statement("4.8", bad_signature),
    Statement("4.9", audience),
    Statement("4.10", submitter),
    Statement("4.11", skew),
    Statement("4.12", address),
    Statement("4.13", form),
    Statement("4.14", not_done),
    Statement("4.15", unreadable),
)
