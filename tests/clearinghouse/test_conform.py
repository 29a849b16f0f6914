"""The conformance suite against the real server, and against weak twins: the same server with one rule broken on the way."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from remediator.clearinghouse.conform.ground import Member
from remediator.clearinghouse.conform.running import STATEMENTS, Conformance, conform
from remediator.clearinghouse.conform.statement import Outcome
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier
from remediator.errors import ConfigError
from remediator.evidence.keys import SigningKey
from remediator.testing.clearinghouse import FLAW, Party
from remediator.testing.clearinghouse_process import UNHINDERED

from .twins_kit import twin
from .weak_twins import TWINS

DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"
ROOT = Path(__file__).parents[2]


class Members(NamedTuple):
    one: Member
    two: Member
    pull: Member


async def joined(store: Store) -> Members:
    found = []
    for name, scopes in (
        ("One", (Scope.submit, Scope.assess, Scope.pull)),
        ("Two", (Scope.submit, Scope.assess, Scope.pull)),
        ("R", (Scope.pull,)),
    ):
        organisation, key = await store.add_organisation(name, Tier.operator), SigningKey.generate()
        await store.add_key(organisation.id, key.public.line())
        _, token = await store.create_token(organisation.id, scopes)
        found.append(Member(token, key))
    return Members(*found)


async def let_out(store: Store) -> None:
    """Two fixes that a validator confirmed: statements about the feed need something to look at."""
    organisation, key = await store.add_organisation("Submitter", Tier.member), SigningKey.generate()
    await store.add_key(organisation.id, key.public.line())
    _, secret = await store.create_token(organisation.id, (Scope.submit,))
    submitter = Party(store, lambda: store.now, organisation.id, key, await store.authenticate(secret), secret)  # type: ignore[arg-type]
    for number in range(2):
        told = {**FLAW, "snippet": f"yaml.load({number})", "aliases": []}
        await submitter.submit_fix(f"s-{number}", data=b"bundle %d" % number, flaw=told, tlp="clear")
        job = await store.take_job("v", 60)
        assert job is not None
        assert await store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch=DIFF, lines_changed=2)


class House(NamedTuple):
    url: str
    members: Members
    registered: frozenset[str]


@asynccontextmanager
async def house(folder: Path, database: str = "sqlite", config: ServerConfig = UNHINDERED) -> AsyncIterator[House]:
    """The real server, with something let out, and who takes part in it."""
    async with Store.open(database, folder / "data") as store, serving(make_app(store, config)) as url:
        await let_out(store)
        members = await joined(store)
        keys = frozenset(each.key.public.keyid for each in members if each.key is not None)
        yield House(url, members, keys)


async def test_the_real_server_keeps_every_statement(database_url: str, tmp_path: Path) -> None:
    async with house(tmp_path, database_url, ServerConfig()) as real:
        found = await conform(real.url, *real.members)

    assert [each for each in found.found if each.outcome is not Outcome.holds] == []
    assert found.exit_code == 0 and len(found.found) == len(STATEMENTS)


def test_every_statement_has_a_weak_twin() -> None:
    assert {each.number for each in STATEMENTS} == {name.split()[0] for name in TWINS}


async def test_each_weak_twin_breaks_its_statement(tmp_path: Path) -> None:
    """All twins stand before one server, and each is asked for its own statement alone."""
    slots, found = asyncio.Semaphore(8), {}

    async def tried(name: str, real: House) -> None:
        number = name.split()[0]
        async with slots, twin(real.url, TWINS[name], real.registered) as weak_url:
            (found[name],) = (await conform(weak_url, *real.members, only={number})).found

    async with house(tmp_path) as real, asyncio.TaskGroup() as group:
        for name in TWINS:
            group.create_task(tried(name, real))

    assert {name: (each.outcome.value, each.reason) for name, each in found.items() if each.outcome is not Outcome.broken} == {}
    assert found.keys() == TWINS.keys()
    # Broken by the defect, and not by a twin whose answers no longer parse.
    assert {name: each.reason for name, each in found.items() if each.reason.startswith("an answer has another form")} == {}


# Two of them always, all of them with REMEDIATOR_TEST_ALL=1.
_WHOLE = list(TWINS) if os.environ.get("REMEDIATOR_TEST_ALL") == "1" else ["4.6", "9.6"]


@pytest.mark.parametrize("name", _WHOLE)
async def test_a_weak_twin_breaks_no_other_statement(name: str, tmp_path: Path) -> None:
    weak = TWINS[name]
    async with house(tmp_path) as real, twin(real.url, weak, real.registered) as weak_url:
        found = await conform(weak_url, *real.members)

    broken = {each.number: each.reason for each in found.found if each.outcome is Outcome.broken}
    number = name.split()[0]
    assert number in broken and broken.keys() <= {number} | weak.also, broken
    assert found.exit_code == 1


async def test_a_twin_without_a_weakness_keeps_them_all(tmp_path: Path) -> None:
    async with house(tmp_path) as real, twin(real.url) as same_url:
        found = await conform(same_url, *real.members)

    assert _broken(found) == []


async def test_reading_alone_changes_nothing_and_says_what_was_not_run(tmp_path: Path) -> None:
    async with Store.open("sqlite", tmp_path / "data") as store, serving(make_app(store, UNHINDERED)) as url:
        members = await joined(store)
        await let_out(store)
        before = (await store.head()).head.size
        found = await conform(url, members.pull)

        assert (await store.head()).head.size == before
    assert {each.number for each in found.found if each.outcome is Outcome.not_run} == {each.number for each in STATEMENTS if each.writes}
    assert (found.count(Outcome.broken), found.exit_code) == (0, 3)


async def test_what_is_no_clearinghouse_is_told_in_a_sentence() -> None:
    async def anything(_request: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", anything)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with pytest.raises(ConfigError, match="cannot be tried"):
        await conform(f"http://127.0.0.1:{runner.addresses[0][1]}", Member("t"))
    await runner.cleanup()


async def test_no_token_goes_over_plain_http_to_another_machine() -> None:
    with pytest.raises(ConfigError, match="plain http"):
        await conform("http://clearinghouse.example", Member("t"))


def test_every_statement_stands_on_the_page_with_its_number_and_no_other_does() -> None:
    page = (ROOT / "docs/reference/protocol.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| (\d+\.\d+) \| (.+?) \|", page.split("\n## 11. ")[1], re.MULTILINE))
    assert rows == {each.number: each.text for each in STATEMENTS}


def _broken(found: Conformance) -> list[tuple[str, str]]:
    return [(each.number, each.reason) for each in found.found if each.outcome is not Outcome.holds]
