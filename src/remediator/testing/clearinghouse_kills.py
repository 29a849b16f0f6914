"""Kills a clearinghouse's server again and again while it is asked, and looks what became of what it acknowledged."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from remediator.clearinghouse.store import Caller, Store
from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.envelope import RefusedError, seal
from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
from remediator.clearinghouse.wire.verbs import Request
from remediator.evidence.keys import SigningKey
from remediator.records.record import digest_of
from remediator.testing.clearinghouse_process import ServerProcess

_BUNDLE = b"a bundle that many fixes share"
_WORKERS = 8
_SHORTEST_LIFE, _LONGEST_LIFE = 0.02, 0.8
_AGAIN = 0.1
"""How often what was acknowledged is sent once more, as by a client that did not hear."""


class Survived(NamedTuple):
    """What was there at the end. Everything but the first three is to be empty."""

    kills: int
    acknowledged: int
    broken: int
    """Requests that a kill cut off, and that were sent again."""
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    ledger_problem: str


class _Member(NamedTuple):
    id: str
    key: SigningKey
    token: str
    audience: str

    def sealed(self, number: int) -> tuple[Verb, bytes]:
        verb, body = _asked(number)
        facts = {"audience": self.audience, "submitter": self.id, "at": datetime.now(UTC)}
        return verb, seal(Request.model_validate({"verb": verb, "key": f"kill-test-{number:010d}", "body": body, **facts}), self.key)


def _asked(number: int) -> tuple[Verb, dict[str, Any]]:
    flaw = {"project": f"pkg:pypi/project-{number % 17}", "title": f"flaw {number}", "aliases": [f"TEST-{number}"]}
    if number % 2:
        return Verb.submit_finding, {"flaw": flaw, "scanner": "semgrep"}
    named = {"submission_id": f"sub-{number}", "patch_id": f"patch-{number}", "bundle": digest_of(_BUNDLE), "bundle_bytes": len(_BUNDLE)}
    return Verb.submit_fix, {"flaw": flaw, **named, "claimed_level": 4}


async def killed_under_load(database: str, data: Path, kills: int, chance: random.Random) -> Survived:
    """Kill the server so many times while it is asked; return what was lost or doubled. Takes some seconds for each kill."""
    member = await _member(database, data)
    load = _Load(member, chance)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(load.work()) for _ in range(_WORKERS)]
        for _ in range(kills):
            server = await ServerProcess.start(data, database)
            load.url = server.url
            # Somebody must have been answered, else it would be killed before it did anything at all.
            load.answered.clear()
            await load.answered.wait()
            await asyncio.sleep(chance.uniform(_SHORTEST_LIFE, _LONGEST_LIFE))
            await server.kill()
        async with ServerProcess.running(data, database) as server:
            load.url, load.stopping = server.url, True
            await asyncio.wait(workers)
    return await looked(database, data, load.told, Survived(kills, len(load.told), load.broken, (), tuple(load.contradicted), ""))


async def _member(database: str, data: Path) -> _Member:
    async with Store.open(database, data) as store:
        organisation = await store.add_organisation("Member", Tier.operator)
        key = SigningKey.generate()
        await store.add_key(organisation.id, key.public.line())
        _, token = await store.create_token(organisation.id, (Scope.submit,))
        caller = await store.authenticate(token)

        async def stream() -> Any:
            yield _BUNDLE

        await store.put_blob(caller, digest_of(_BUNDLE), stream())
        return _Member(organisation.id, key, token, store.audience)


class _Load:
    def __init__(self, member: _Member, chance: random.Random) -> None:
        self.url = ""
        self.stopping = False
        self.answered = asyncio.Event()
        self.broken = 0
        self.told: dict[int, Answer] = {}
        self.contradicted: list[str] = []
        self._member = member
        self._chance = chance
        self._next = 0

    async def work(self) -> None:
        """Ask one thing after the other, each until it is acknowledged."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            while not self.stopping:
                number, self._next = self._next, self._next + 1
                self.told[number] = await self._acknowledged(http, number)
                if self._chance.random() < _AGAIN:
                    again = await self._acknowledged(http, number)
                    first = self.told[number]
                    if not again.duplicate or (again.id, again.ledger_index) != (first.id, first.ledger_index):
                        self.contradicted.append(f"{first.id}: answered anew with {again.id}")

    async def _acknowledged(self, http: aiohttp.ClientSession, number: int) -> Answer:
        while True:
            verb, envelope = self._member.sealed(number)
            url = self.url
            try:
                headers = {"Authorization": f"Bearer {self._member.token}"}
                async with http.post(f"{url}/v1/{verb}", data=envelope, headers=headers) as response:
                    body = await response.read()
                    if response.status in (200, 201):
                        self.answered.set()
                        return Answer.from_json(body)
                    assert response.status >= 500, body
            except (aiohttp.ClientConnectorError, aiohttp.InvalidURL):
                pass  # there is none at the moment, or none yet
            except (aiohttp.ClientError, TimeoutError):
                self.broken += 1
            await asyncio.sleep(0.05)


async def looked(database: str, data: Path, told: Mapping[int, Answer], so_far: Survived) -> Survived:
    """Compare what was acknowledged with what is there."""
    async with Store.open(database, data) as store:
        verified = await store.verify()
        openings = await _indexes(store, told)
        numbers = await store.stats()
    lost = [f"{each.id}: not at {each.ledger_index} of the ledger" for each in told.values() if each.ledger_index not in openings[each.id]]
    doubled = [f"{named}: {len(indexes)} entries" for named, indexes in openings.items() if len(indexes) > 1]
    fixes = sum(1 for number in told if not number % 2)
    # A fix is a report too. More than was acknowledged is there only where something was done twice, or under two names.
    for name, there, due in (("fixes", numbers.get("fixes_received", 0), fixes), ("reports", numbers["findings"], len(told))):
        if there > due:
            doubled.append(f"{there} {name} for {due} submissions")
        if there < due:
            lost.append(f"{there} {name} for {due} submissions")
    return so_far._replace(lost=tuple(lost), doubled=(*so_far.doubled, *doubled), ledger_problem=verified.problem)


async def _indexes(store: Store, told: Mapping[int, Answer]) -> dict[str, list[int]]:
    everything = Caller("", Tier.operator, frozenset((Scope.admin,)))
    found: dict[str, list[int]] = {}
    for named in sorted({answer.id for answer in told.values()}):
        try:
            found[named] = [opening.index for opening in await store.openings(everything, named)]
        except RefusedError:
            found[named] = []
    return found
