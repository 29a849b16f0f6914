"""A clearinghouse that turned against its subscribers: what its ledger did not record, it cannot make them take."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.clearinghouse.test_client_pull import DIFF, Pulling

from remediator.clearinghouse.client.http import Clearinghouse
from remediator.clearinghouse.client.witness import check_published
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import FeedEntry, FeedPage, Published
from remediator.clearinghouse.wire.terms import FixState, Scope, Verb
from remediator.errors import EvidenceError
from remediator.records.patch import Patch
from remediator.testing.clearinghouse import Party

EVIL = DIFF.replace("safe_load", "unsafe_load")


@pytest.fixture
def database_url() -> str:
    return "sqlite"


@pytest.fixture
async def pulling(store: Store, joins: Callable[..., Awaitable[Party]], tmp_path: Path) -> AsyncIterator[Pulling]:
    async with serving(make_app(store, ServerConfig(tick_seconds=0))) as url:
        admin = (Scope.pull, Scope.admin)
        yield Pulling(store, url, await joins("Fixer"), await joins("Hospital", scopes=admin), tmp_path / "state")


def lies(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Any], Any]) -> None:
    honest = getattr(Clearinghouse, name)

    async def told(self: Clearinghouse, *given: Any) -> Any:
        return change(await honest(self, *given))

    monkeypatch.setattr(Clearinghouse, name, told)


def as_if(**fix: Any) -> Callable[[Published], Published]:
    patch = fix.pop("patch", None)
    return lambda told: told.model_copy(update={"fix": told.fix.model_copy(update=fix), **({} if patch is None else {"patch": patch})})


async def test_an_entry_of_another_kind_lets_nothing_out(pulling: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    fix = await pulling.fix("one")
    (received, *_) = await pulling.store.openings(pulling.fixer.caller, fix)
    assert received.kind == "fix-received"

    def instead(page: FeedPage) -> FeedPage:
        changed = [each.model_copy(update={"kind": received.kind, "ledger_index": received.index}) for each in page.entries]
        return page.model_copy(update={"entries": tuple(changed)})

    lies(monkeypatch, "feed", instead)
    lies(monkeypatch, "published", as_if(patch=EVIL))
    assert (await pulling.pull()).fixes == 0
    assert pulling.subscriber.kept() == []


@pytest.mark.parametrize(
    "lie",
    [
        {"flaw": {"aliases": ("CVE-2024-9999",)}},
        {"flaw": {"project": "pkg:pypi/another"}},
        {"flaw": {"version": "9.9"}},
        {"flaw": {"title": "another flaw"}},
        {"fix": {"fixed_version": "9.9"}},
    ],
    ids=lambda lie: "-".join(f"{part}.{name}" for part, fields in lie.items() for name in fields),
)
async def test_a_proven_patch_is_not_told_as_the_fix_of_another_flaw(
    pulling: Pulling, monkeypatch: pytest.MonkeyPatch, lie: dict[str, dict[str, Any]]
) -> None:
    await pulling.fix("one")

    def told(honest: Published) -> Published:
        return honest.model_copy(update={name: getattr(honest, name).model_copy(update=fields) for name, fields in lie.items()})

    lies(monkeypatch, "published", told)
    with pytest.raises(EvidenceError, match="the flaw that the ledger recorded"):
        await pulling.pull()
    assert pulling.subscriber.kept() == []


async def test_a_withdrawn_fix_is_not_told_as_standing(pulling: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    fix = await pulling.fix("one")
    await pulling.fixer.ask(Verb.revoke, {"fix_id": fix, "reason": "bypassed"})
    lies(monkeypatch, "published", as_if(state=FixState.verified))
    with pytest.raises(EvidenceError, match="was revoked, and is told as verified"):
        await pulling.pull()


async def test_what_was_withdrawn_is_not_let_out_again(pulling: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    fix = await pulling.fix("one")
    await pulling.fixer.ask(Verb.revoke, {"fix_id": fix, "reason": "bypassed"})
    first: list[FeedEntry] = list((await pulling.store.feed(pulling.reader.caller, 0)).entries)
    await pulling.pull()
    again = first[0].model_copy(update={"cursor": 99})
    lies(monkeypatch, "feed", lambda page: page.model_copy(update={"entries": (again,), "next": 99}))
    lies(monkeypatch, "published", as_if(state=FixState.verified, revoked_reason=""))
    with pytest.raises(EvidenceError, match="takes that back"):
        await pulling.pull()
    (kept,) = pulling.subscriber.kept()
    assert kept.kind == "revoked" and kept.published.fix.state == "revoked"


async def test_one_fix_is_not_withdrawn_in_the_place_of_another(pulling: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = await pulling.fix("one"), await pulling.fix("two")
    await pulling.pull()
    await pulling.fixer.ask(Verb.revoke, {"fix_id": one, "reason": "bypassed"})
    lies(monkeypatch, "published", as_if(id=two))
    with pytest.raises(EvidenceError, match="in the place of"):
        await pulling.pull()
    assert {each.kind for each in pulling.subscriber.kept()} == {"published"}


async def test_another_patch_with_the_same_short_id_is_not_the_recorded_one(pulling: Pulling, monkeypatch: pytest.MonkeyPatch) -> None:
    fix = await pulling.fix("one")
    told = await pulling.store.published(pulling.reader.caller, fix)
    (opening,) = [each for each in await pulling.store.openings(pulling.reader.caller, fix) if each.kind == "published"]
    import json

    recorded = json.loads(opening.object)
    check_published(told, recorded)
    # An id has 48 bits: two diffs with the same one take seconds to find. Here the same id is given to another diff.
    honest = Patch.of

    def short(**given: Any) -> Patch:
        made = honest(**given)
        return made.model_copy(update={"id": told.fix.patch_id}) if given["diff"] == EVIL else made

    monkeypatch.setattr(Patch, "of", short)
    with pytest.raises(EvidenceError, match="not as the ledger recorded it"):
        check_published(as_if(patch=EVIL)(told), recorded)


async def test_a_pull_that_was_killed_in_the_middle_goes_on(pulling: Pulling) -> None:
    one = await pulling.fix("one")
    before = pulling.subscriber.read()
    await pulling.pull()
    await pulling.fixer.ask(Verb.revoke, {"fix_id": one, "reason": "bypassed"})
    await pulling.pull()
    pulling.subscriber.note(before)
    assert (await pulling.pull()).withdrawn == (one,)
    (kept,) = pulling.subscriber.kept()
    assert [each.kind for each in kept.history] == ["published", "revoked"]


@pytest.mark.parametrize("lie", [{"revoked_reason": "use the fix of evil.example instead"}, {"superseded_by": "fix-" + "0" * 24}])
async def test_a_fix_is_not_told_as_withdrawn_for_another_reason(
    pulling: Pulling, monkeypatch: pytest.MonkeyPatch, lie: dict[str, str]
) -> None:
    fix = await pulling.fix("one")
    assert (await pulling.pull()).new == (fix,)
    await pulling.fixer.ask(Verb.revoke, {"fix_id": fix, "reason": "it breaks something"})
    with monkeypatch.context() as change:
        lies(change, "published", as_if(**lie))
        with pytest.raises(EvidenceError, match="withdrawn for"):
            await pulling.pull()
    assert (await pulling.pull()).withdrawn == (fix,)
