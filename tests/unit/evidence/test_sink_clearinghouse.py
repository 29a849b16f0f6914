"""The sink for clearinghouses: a fix is in the outbox before anybody is asked, and the receipt tells whether it arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.clearinghouse_sink import ClearinghouseSink
from remediator.clearinghouse.client.outbox import Outbox
from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.errors import ConfigError, EvidenceError
from remediator.evidence.keys import signing_key
from remediator.records import Submission
from remediator.settings import ClearinghouseSettings, load_settings
from remediator.testing.clearinghouse import Clock, Party, party

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Party]:
    clock = Clock()
    clock.now = datetime.now(UTC)
    async with Store.open("sqlite", tmp_path / "data", clock=clock, elapsed=clock.elapsed) as store:
        yield await party(store, clock, "Team", Tier.member, (Scope.submit,))


@pytest.fixture
def sink(team: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClearinghouseSink]:
    monkeypatch.setenv("SINK_TOKEN", team.token)

    def make(url: str, *, offline: bool = False, **changed: Any) -> ClearinghouseSink:
        told = {"url": url, "token": "env:SINK_TOKEN", "trust": team.store.audience, "tlp": "green"}
        settings = load_settings(state=tmp_path / "state").model_copy(
            update={"clearinghouses": {"ours": ClearinghouseSettings(**told).model_copy(update=changed)}, "offline": offline}
        )
        return ClearinghouseSink(project="pkg:pypi/shop", **settings.defaults_for("clearinghouse"))

    return make


async def test_what_nobody_takes_is_kept_told_and_delivered_later(
    sink: Callable[..., ClearinghouseSink], team: Party, submission: Submission, tmp_path: Path
) -> None:
    kept = await sink(NOBODY).submit(submission)
    assert (kept.delivered, kept.location) == (False, "outbox:1") and "remediator submit" in kept.detail
    await team.store.add_key(team.id, signing_key(tmp_path / "state" / "keys").public.line())
    async with serving(make_app(team.store, ServerConfig(tick_seconds=0))) as url:
        receipts = [await sink(url).submit(submission) for _ in range(2)]
    assert all(each.delivered and "/v1/fixes/fix-" in each.location for each in receipts)
    assert (await team.store.stats())["fixes_received"] == 1


async def test_offline_nobody_is_asked(
    sink: Callable[..., ClearinghouseSink], submission: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SINK_TOKEN")
    kept = await sink(NOBODY, offline=True).submit(submission)
    assert not kept.delivered and "offline" in kept.detail


async def test_a_key_that_is_not_registered_loses_nothing(
    sink: Callable[..., ClearinghouseSink], team: Party, submission: Submission, tmp_path: Path
) -> None:
    async with serving(make_app(team.store, ServerConfig(tick_seconds=0))) as url:
        kept = await sink(url).submit(submission)
        assert not kept.delivered and "unknown-key" in kept.detail
        await team.store.add_key(team.id, signing_key(tmp_path / "state" / "keys").public.line())
        assert (await sink(url).submit(submission)).delivered


async def test_what_is_refused_ends_no_run_and_is_not_called_delivered(
    sink: Callable[..., ClearinghouseSink], team: Party, submission: Submission, tmp_path: Path
) -> None:
    await team.store.add_key(team.id, signing_key(tmp_path / "state" / "keys").public.line())
    async with serving(make_app(team.store, ServerConfig(tick_seconds=0))) as url:
        refused = await sink(url, embargo_days=999).submit(submission)
    assert not refused.delivered and "refused it" in refused.detail
    outbox = Outbox(tmp_path / "state")
    assert [item.state for item in outbox.items()] == ["refused"]
    outbox.close()


async def test_what_is_not_proven_is_not_even_kept(sink: Callable[..., ClearinghouseSink], submission: Submission, tmp_path: Path) -> None:
    unproven = submission.model_copy(update={"verdict": submission.verdict.model_copy(update={"level": None})})
    with pytest.raises(EvidenceError):
        await sink(NOBODY).submit(unproven)
    assert not (tmp_path / "state" / "outbox").exists()


async def test_which_clearinghouse_is_asked_for_where_there_are_several(submission: Submission, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which clearinghouse"):
        await ClearinghouseSink(state=str(tmp_path), places={"one": {}, "two": {}}).submit(submission)
