"""A clearinghouse with pages, people who visit it, and records in which every field is hostile."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import ClientResponse, ClientSession, CookieJar
from yarl import URL

from remediator.clearinghouse import pages
from remediator.clearinghouse.priority.feeds import Feeds, Kev
from remediator.clearinghouse.priority.rank import UNKNOWN_ASSET, rank
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Ranker, Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier, Verb
from remediator.testing.clearinghouse import FLAW, Party
from remediator.testing.clearinghouse import party as takes_part

EVIL = (
    "\"'><script>document.documentElement.dataset.pwned='s'</script>"
    "<img src=x onerror=\"document.documentElement.dataset.pwned='i'\"><style>main{display:none}</style>"
    "</pre></table></main>{{7*7}}&lt;\u202egnp.exe\u2066\u200b\u3164\x1b[31m\rSet-Cookie: a=b "
    "z" + "\u0301" * 40 + " \u05e9\u05dc\u05d5\u05dd "
)
"""Markup, template code, direction, invisible, control and piled-up characters, and another direction."""
EVIL_WORD = re.sub(r"[\s\x00-\x1f]", "", EVIL) + "W" * 100
PATCH = f"--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n kept\n-yaml.load(content)\n+yaml.safe_load(content)  # {EVIL}\n"
EVIL_FLAW: dict[str, Any] = {
    **FLAW,
    "project": f"evil.example/{EVIL_WORD}"[:500],
    "version": EVIL,
    "path": EVIL,
    "snippet": EVIL,
    "title": EVIL + "T" * 60,
    "details": f"{EVIL}\n{EVIL}",
    "references": ["https://evil.example/'onmouseover='document.documentElement.dataset.pwned=1"],
}
PATHS = ("/", "/ledger", "/leases", "/opt-outs", "/organisations", "/tokens", "/keys")


class Visitor:
    """A browser without scripts: it keeps cookies and sends a page's form token with an Origin."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = ClientSession(cookie_jar=CookieJar(unsafe=True))

    async def get(self, path: str, **how: Any) -> tuple[ClientResponse, str]:
        async with self.client.get(self.url + path, allow_redirects=False, **how) as answer:
            return answer, await answer.text()

    async def form_of(self, path: str) -> str:
        _, text = await self.get(path)
        found = re.search(r'name="form" value="([0-9a-f]{64})"', text)
        assert found is not None, text
        return found[1]

    async def post(self, path: str, fields: dict[str, Any], *, origin: str | None = "", **how: Any) -> tuple[ClientResponse, str]:
        headers = {} if origin is None else {"Origin": origin or self.url}
        async with self.client.post(self.url + path, data=fields, headers=headers, allow_redirects=False, **how) as answer:
            return answer, await answer.text()

    async def send(self, path: str, page: str, fields: dict[str, Any]) -> tuple[ClientResponse, str]:
        return await self.post(path, {**fields, "form": await self.form_of(page)})

    async def login(self, token: str) -> None:
        answer, text = await self.send("/login", "/login", {"token": token})
        assert (answer.status, answer.headers["Location"]) == (303, "/"), text

    def cookies(self) -> dict[str, str]:
        return {name: each.value for name, each in self.client.cookie_jar.filter_cookies(URL(self.url)).items()}


@asynccontextmanager
async def served(store: Store, **limits: Any) -> AsyncIterator[str]:
    config = ServerConfig(**{"tick_seconds": 0, **limits})
    app = make_app(store, config)
    pages.mount(app, store, config)
    async with serving(app) as url:
        yield url


class Told(NamedTuple):
    """What is there to be seen."""

    admin: str
    """An admin's token."""
    flaw: str
    fix: str
    waiting: str
    revoked: str

    @property
    def paths(self) -> tuple[str, ...]:
        return (*PATHS, f"/flaws/{self.flaw}", f"/fixes/{self.fix}", f"/fixes/{self.waiting}", f"/fixes/{self.revoked}")


def ranked(store: Store) -> None:
    """Rank the queue as the server does, by a feed in which the usual flaw is."""
    at = store.now
    feeds = Feeds(at=at, kev=Kev("1", at, {"CVE-2017-16616": None}))
    store.ranker = Ranker(lambda flaw: rank(flaw, UNKNOWN_ASSET, feeds))


async def admin_of(store: Store) -> str:
    house = await store.add_organisation("The house", Tier.operator)
    return (await store.create_token(house.id, [Scope.admin], label="admin"))[1]


async def verify(store: Store, patch: str = PATCH) -> str:
    """Decide the oldest fix that waits, as a validator would; every word that it reports is hostile."""
    job = await store.take_job("v", 60)
    assert job is not None
    check = {"name": EVIL, "level": "E3", "status": EVIL, "reason": EVIL, "summary": EVIL}
    told = Validation(outcome="agreed", reason="", level=4, replayed=True, replayed_digest=EVIL, differences=(EVIL,), checks=(check,))
    assert await store.finish_job(job, told, FixState.verified, patch=patch, lines_changed=2)
    return job.fix_id


async def evil_records(store: Store, party: Party) -> Told:
    """Fill a clearinghouse: a hostile text in each field that takes one."""
    admin = await admin_of(store)
    ranked(store)
    await party.ask(Verb.lease, {"project": EVIL_FLAW["project"], "commits": EVIL, "scope": [EVIL, "CWE-79"], "contact": EVIL})
    await party.ask(Verb.opt_out, {"project": EVIL_FLAW["project"], "contact": EVIL, "reason": EVIL})
    finding = await party.ask(Verb.submit_finding, {"flaw": EVIL_FLAW, "scanner": EVIL, "rule_id": EVIL}, tlp="clear")
    fixes = []
    for name in ("one", "two"):
        body = {"flaw": {**EVIL_FLAW}, "fixed_version": EVIL, "submission_id": name, "patch_id": name, "claimed_level": 5}
        digest = await party.put(name.encode())
        answer = await party.ask(Verb.submit_fix, {**body, "bundle": digest, "bundle_bytes": 3}, tlp="clear")
        fixes.append(answer.id)
        await verify(store)
    await party.ask(Verb.revoke, {"fix_id": fixes[1], "reason": EVIL})
    waiting = await party.submit_fix("three", data=b"three", flaw=EVIL_FLAW, tlp="clear")
    await party.ask(Verb.assess, {"subject": finding.detail["flaw"], "opinion": "incorrect", "reason": EVIL})
    reader = await takes_part(store, party.clock, "Reader", Tier.operator, (Scope.pull,))
    await reader.ask(Verb.receipt, {"fix_id": fixes[0], "outcome": "applied", "count": 3})
    await store.create_token(party.id, [Scope.pull], label=EVIL)
    key = party.key.public.keyid
    await store.revoke_key(key, EVIL)
    await store.add_organisation("<script>document.documentElement.dataset.pwned='o'</script>" + "O" * 150, Tier.public, EVIL)
    return Told(admin, finding.detail["flaw"], fixes[0], waiting.id, fixes[1])
