from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from remediator.contracts import Observer
from remediator.engine.journal import Journal, Recorder
from remediator.errors import StateError, UsageError
from remediator.records import CaseClosed, Event, Finding, FindingReported, Patch, PatchProposed, ReasonCode, RunFinished, RunStarted

AT = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "ghp_" + "a" * 30


def finding(text: str = "x") -> Finding:
    return Finding.at(rule_id="r", scanner="s", message=f"token {SECRET}", location=None, snippet=text)


def opened(run: str, case: str) -> FindingReported:
    return FindingReported(run_id=run, case_id=case, at=AT, finding=finding(case))


@pytest.fixture
def journal(tmp_path: Path):
    journal = Journal(tmp_path / "state" / "journal.sqlite")
    yield journal
    journal.close()


def test_the_same_key_is_remembered_once(journal: Journal) -> None:
    assert journal.append(opened("run-1", "fx-1"), "k") is True
    assert journal.append(opened("run-1", "fx-2"), "k") is False
    assert [case.id for case in journal.cases("run-1")] == ["fx-1"]


def test_a_case_is_what_its_events_say(journal: Journal) -> None:
    journal.append(opened("run-1", "fx-1"), "1")
    journal.append(CaseClosed(run_id="run-1", case_id="fx-1", at=AT, reason=ReasonCode.needs_model, detail="d"), "2")
    assert journal.case("fx").closed is ReasonCode.needs_model


def test_a_prefix_that_fits_two_cases_is_refused(journal: Journal) -> None:
    journal.append(opened("run-1", "fx-11"), "1")
    journal.append(opened("run-1", "fx-12"), "2")
    with pytest.raises(UsageError, match="ambiguous: fx-11, fx-12"):
        journal.case("fx-1")


@pytest.mark.parametrize("prefix", ["", "%", "fx-9"])
def test_a_prefix_that_fits_none_is_refused(journal: Journal, prefix: str) -> None:
    journal.append(opened("run-1", "fx-11"), "1")
    with pytest.raises(UsageError):
        journal.case(prefix)


def test_secrets_are_blanked_but_a_diff_stays_what_was_judged(journal: Journal, tmp_path: Path) -> None:
    patch = Patch.of(finding_id="f", fixer="x", title=SECRET, diff=f"+{SECRET}\n")
    journal.append(PatchProposed(run_id="run-1", case_id="fx-1", at=AT, patch=patch), "1")
    event = journal.events("run-1")[0]
    assert isinstance(event, PatchProposed)
    assert SECRET not in event.patch.title
    assert event.patch.diff == f"+{SECRET}\n"


def test_runs_are_listed_latest_first_with_their_end(journal: Journal) -> None:
    for number in (1, 2):
        journal.append(RunStarted(run_id=f"run-{number}", at=AT, target="t"), f"s{number}")
    journal.append(RunFinished(run_id="run-1", at=AT, outcome="finished"), "f1")
    assert [(run.run_id, run.outcome) for run in journal.runs()] == [("run-2", ""), ("run-1", "finished")]


def test_threads_may_append_at_once(journal: Journal) -> None:
    def many(start: int) -> None:
        for number in range(start, start + 50):
            journal.append(opened("run-1", f"fx-{number}"), str(number))

    threads = [threading.Thread(target=many, args=(start,)) for start in (0, 50, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.cases("run-1")) == 150


def test_a_damaged_file_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StateError, match="cannot open the journal"):
        Journal(path)


def test_names_with_undecodable_bytes_are_kept(journal: Journal) -> None:
    journal.append(RunStarted(run_id="run-1", at=AT, target="caf\udce9"), "1")
    assert journal.runs()[0].target == "caf\udce9"


def test_the_journal_is_private(tmp_path: Path) -> None:
    path = tmp_path / "s" / "journal.sqlite"
    Journal(path).close()
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


class BrokenObserver(Observer):
    name: ClassVar[str] = "broken"

    async def on_event(self, event: Event) -> None:
        raise RuntimeError("no")


async def test_an_observer_that_fails_is_not_felt(journal: Journal) -> None:
    await Recorder(journal, [BrokenObserver()]).record(opened("run-1", "fx-1"), "1")
    assert len(journal.cases("run-1")) == 1


async def test_an_event_is_told_once(journal: Journal) -> None:
    told: list[str] = []

    class Listening(Observer):
        name: ClassVar[str] = "listening"

        async def on_event(self, event: Event) -> None:
            told.append(event.type)

    recorder = Recorder(journal, [Listening()])
    for _ in range(2):
        await recorder.record(opened("run-1", "fx-1"), "1")
    assert told == ["FindingReported"]


def test_what_is_appended_is_on_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    journal.append(opened("run-1", "fx-1"), "1")
    with sqlite3.connect(tmp_path / "journal.sqlite") as other:
        assert other.execute("SELECT count(*) FROM events").fetchone() == (1,)
    journal.close()
