"""kill -9 of the server at random points under load, on both databases. `benchmarks/bench_clearinghouse_kills.py` is the long form."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Answer
from remediator.testing.clearinghouse import FLAW, Party
from remediator.testing.clearinghouse_kills import Survived, killed_under_load, looked


async def test_nothing_acknowledged_is_lost_or_doubled_by_killing_the_server(database_url: str, tmp_path: Path) -> None:
    found = await killed_under_load(database_url, tmp_path / "data", 3, random.Random(20))

    assert (found.lost, found.doubled, found.ledger_problem) == ((), (), "")
    assert found.kills == 3 and found.acknowledged >= 3
    # Where no request was cut off, nothing was tried.
    assert found.broken


async def test_what_was_lost_or_doubled_would_be_seen(
    database_url: str, store: Store, tmp_path: Path, joins: Callable[..., Awaitable[Party]]
) -> None:
    one = await joins("One")
    kept = await one.ask("submit-finding", {"flaw": FLAW, "scanner": "semgrep"})
    gone = Answer(verb="submit-finding", id="finding-" + "0" * 24, state="noted", ledger_index=10_000)
    nothing = Survived(0, 0, 0, (), (), "")

    assert (await looked(database_url, tmp_path / "data", {1: kept}, nothing)) == nothing
    assert len((await looked(database_url, tmp_path / "data", {1: kept, 3: gone}, nothing)).lost) == 2
    assert (await looked(database_url, tmp_path / "data", {}, nothing)).doubled == ("1 reports for 0 submissions",)
    again = kept.model_copy(update={"ledger_index": 0})
    assert (await looked(database_url, tmp_path / "data", {1: again}, nothing)).lost
