"""Each command, with the real journal and an application double for what scans and runs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from remediator.checkout import Applied
from remediator.cli import json_fields
from remediator.cli.case_table import next_steps, totals
from remediator.cli.console import make_console
from remediator.cli.main import run
from remediator.cli.progress import LiveView, PlainView, ViewObserver
from remediator.cli.review_log import ReviewLog
from remediator.cli.session import Session
from remediator.cli.why import answer_for
from remediator.engine.journal import Journal
from remediator.engine.request import FixRequest, RunReport
from remediator.errors import PatchConflictError
from remediator.evidence.bundle import BundleRef
from remediator.evidence.replay import ReplayReport
from remediator.records import (
    BundleWritten,
    Case,
    CaseClosed,
    Check,
    CheckDone,
    CheckStatus,
    Declined,
    EvidenceLevel,
    Finding,
    FindingReported,
    FixDeclined,
    Location,
    Outcome,
    Patch,
    PatchProposed,
    ReasonCode,
    Record,
    RunFinished,
    RunProgress,
    RunStarted,
    ScanReport,
    Severity,
    Source,
    SourceKind,
    Unchecked,
    Verdict,
    VerdictReached,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = {"run_id": "run-1", "at": NOW}
HOSTILE = "a\n\x1b[31mb\u202e.py"
DIFF = "diff --git a/app.py b/app.py\n--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"


def finding(path: str = "app.py", line: int = 1, rule: str = "python.yaml-load", message: str = "unsafe load") -> Finding:
    where = Location(path=path, start_line=line, end_line=line, start_column=1, end_column=13)
    return Finding.at(
        rule_id=rule, scanner="semgrep", message=message, location=where, snippet=f"yaml.load({line})", cwe=(502,), severity=Severity.high
    )


def patch_for(found: Finding, diff: str = DIFF) -> Patch:
    return Patch.of(finding_id=found.id, fixer="codemod", title="use safe_load", diff=diff, transform="yaml-safe-load")


def verdict_on(patch: Patch, *, passed: bool = True) -> Verdict:
    tests = Check(name="tests", level=EvidenceLevel.E3, status=CheckStatus.passed, summary="212 tests pass")
    if not passed:
        tests = Check(name="tests", level=EvidenceLevel.E3, status=CheckStatus.failed, reason="tests-regressed", summary="2 tests fail")
    checks = (Check(name="applies", level=EvidenceLevel.E0, status=CheckStatus.passed), tests)
    return Verdict(
        patch_id=patch.id,
        finding_id=patch.finding_id,
        outcome=Outcome.verified if passed else Outcome.rejected,
        level=EvidenceLevel.E3 if passed else None,
        reason="" if passed else "tests-regressed",
        summary="" if passed else "tests: 2 tests fail",
        checks=checks,
    )


def told_cases() -> list[Any]:
    """Return one run's events: a proven fix, a rejected one, a declined one with hostile text."""
    good, bad, none = finding(), finding(line=9), finding(HOSTILE, 3, message="evil \x1b]0;owned\x07 text")
    one, two = patch_for(good), patch_for(bad, DIFF + "+# two\n")
    no = Declined(finding_id=none.id, fixer="codemod", reason=ReasonCode.needs_model, detail="query \x1b[2J built")
    return [
        RunStarted(**RUN, target="shop", configuration={"request": FixRequest(target="shop").as_json()}),
        RunProgress(**RUN, phase="scan", state="finished", message="3 findings"),
        FindingReported(**RUN, case_id="fx-aaaa1111", finding=good),
        PatchProposed(**RUN, case_id="fx-aaaa1111", patch=one),
        CheckDone(**RUN, case_id="fx-aaaa1111", patch_id=one.id, check=verdict_on(one).checks[0]),
        VerdictReached(**RUN, case_id="fx-aaaa1111", verdict=verdict_on(one)),
        BundleWritten(**RUN, case_id="fx-aaaa1111", bundle_path="/bundles/fx-aaaa1111", bundle_digest="sha256:1"),
        CaseClosed(**RUN, case_id="fx-aaaa1111", reason=ReasonCode.fixed),
        FindingReported(**RUN, case_id="fx-bbbb2222", finding=bad),
        PatchProposed(**RUN, case_id="fx-bbbb2222", patch=two),
        VerdictReached(**RUN, case_id="fx-bbbb2222", verdict=verdict_on(two, passed=False)),
        CaseClosed(**RUN, case_id="fx-bbbb2222", reason=ReasonCode.verify_failed, detail="tests: 2 tests fail"),
        FindingReported(**RUN, case_id="fx-cccc3333", finding=none),
        FixDeclined(**RUN, case_id="fx-cccc3333", declined=no),
        CaseClosed(**RUN, case_id="fx-cccc3333", reason=ReasonCode.needs_model, detail="query \x1b[2J built"),
        RunFinished(**RUN, outcome="finished"),
    ]


class AppliedDouble(Record):
    branch: str = "remediator/2026-11-22"


class AppDouble:
    """Tells the events of one run and keeps what it was asked; its journal is the real one."""

    def __init__(self, journal: Journal, observers: Any) -> None:
        self.journal = journal
        self.asked: list[Any] = []
        self.later: list[Any] = []
        self._observers = observers

    async def _told(self) -> None:
        for number, event in enumerate([*told_cases(), *self.later]):
            self.journal.append(event, str(number))
            for observer in self._observers:
                await observer.on_event(event)

    async def fix(self, request: FixRequest) -> RunReport:
        self.asked.append(request)
        await self._told()
        found = tuple(case.finding for case in self.journal.cases())
        missed = (Unchecked(scanner="semgrep", path="old.py", reason="parse-error", detail="print statement"),)
        scan = ScanReport(tree="t", findings=found, covered=("app.py",), unchecked=missed, uncovered={".go": 12}, scanners={"semgrep": "1"})
        return RunReport(run_id="run-1", target=request.target, scan=scan, cases=self.journal.cases(), seconds=38.2)

    def events_before(self, request: FixRequest) -> tuple[Any, ...]:
        return self.journal.events("run-0")

    async def scan(self, request: FixRequest) -> RunReport:
        self.asked.append(request)
        structlog.get_logger().info("a note", path="a\x1b[2J\nb")
        structlog.get_logger().warning("a warning")
        scan = ScanReport(tree="t", findings=(finding(),), covered=("app.py",))
        source = Source(kind=SourceKind.path, uri="/shop", name="shop", commit="c", tree="t", notes=("2 untracked files are left out",))
        return RunReport(run_id="", target=request.target, source=source, scan=scan, left_out=3 if request.paths else 0)

    async def verify(self, target: str, diff: str, chosen: Any, *, request: FixRequest) -> Any:
        self.asked.append((target, diff, chosen, request))
        if "conflict" in diff:
            raise PatchConflictError("app.py does not match", hint="update the patch")
        patch = patch_for(finding(), diff)
        return verdict_on(patch, passed="safe_load" in diff), BundleRef(Path("/b"), Path("/b.tar.zst"), "sha256:2")

    async def apply(self, case_ids: Any, repository: Path) -> AppliedDouble:
        self.asked.append((list(case_ids), repository))
        return AppliedDouble()

    async def undo(self, repository: Path) -> AppliedDouble:
        self.asked.append(repository)
        return AppliedDouble()


class Terminal:
    """Runs command lines against one state folder, and shows what came out."""

    def __init__(self, state: Path, capsys: Any) -> None:
        self.state = state
        self.apps: list[AppDouble] = []
        self.later: list[Any] = []
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        @contextlib.asynccontextmanager
        async def opened(settings, observers):
            journal = Journal(self.state / "journal.sqlite")
            self.apps.append(AppDouble(journal, observers))
            self.apps[-1].later = self.later
            try:
                yield self.apps[-1]
            finally:
                journal.close()

        code = run(arguments, Session(open_app=opened, overrides={"state": self.state}))
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
def terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    return Terminal(tmp_path / "state", capsys)


@pytest.fixture
def after_fix(terminal):
    terminal("fix", "shop")
    return terminal


def controls(text: str) -> set[str]:
    return {char for char in text if (ord(char) < 32 and char != "\n") or char in "\x7f\u202e"}


def test_fix_prints_one_line_for_each_case_and_honest_totals(terminal):
    code, out, err = terminal("fix", "shop")
    assert code == 1
    row = "  ".join(word for word in out.splitlines()[1].split("  ") if word)
    assert row == "fx-aaaa1111  CWE-502 yaml-load  app.py:1  codemod yaml-safe-load  E3 tested: 212 tests pass  safe"
    assert "no fix  CWE-502 yaml-load  app.py:9" in out and "verify-failed: tests: 2 tests fail" in out
    assert "needs-model" in out
    assert "not checked: old.py: parse-error (semgrep) print statement" in out
    assert "no scanner for: 12 .go" in out
    assert "1 safe, 0 to review, 2 without a fix." in out
    assert "next: remediator show fx-aaaa1111" in err


def test_hostile_text_reaches_the_terminal_only_as_escapes(terminal):
    for arguments in (["fix", "shop", "-v"], ["list"], ["show", "fx-cccc"], ["why", "fx-cccc"], ["review", "--no-input"], []):
        _, out, err = terminal(*arguments)
        assert not controls(out + err), arguments
    assert r"a\x0a\x1b[31mb\u202e.py:3" in terminal("list")[1]


def test_progress_off_a_terminal_is_one_line_per_event(terminal):
    _, _, err = terminal("fix", "shop")
    lines = err.splitlines()
    assert "scan      3 findings" in lines
    assert any(line.startswith("verify    app.py:1") and "verified" in line for line in lines)
    _, _, quiet = terminal("fix", "shop", "-q")
    assert quiet == ""


def test_after_resume_lines_name_the_place_of_cases_that_were_opened_before(terminal):
    journal = Journal(terminal.state / "journal.sqlite")
    again = {"run_id": "run-0", "at": NOW}
    journal.append(FindingReported(**again, case_id="fx-old", finding=finding("old.py", 7)), "old")
    journal.close()
    terminal.later = [PatchProposed(**RUN, case_id="fx-old", patch=patch_for(finding("old.py", 7)))]
    _, _, err = terminal("fix", "shop", "--resume")
    assert "fix       old.py:7 CWE-502 yaml-load codemod: yaml-safe-load" in err.splitlines()
    assert "found" not in err


def test_what_is_through_already_counts_after_resume():
    view = LiveView(make_console("never", stderr=True), verbose=False)
    ViewObserver.onto(view).remember(told_cases())
    assert (view._found, view._closed, view._fixed) == (3, 3, 1)


def test_verbose_progress_tells_every_event(terminal):
    _, _, err = terminal("fix", "shop", "-v")
    assert len([line for line in err.splitlines() if not line.startswith("next:")]) == len(told_cases())


def test_json_is_one_document_and_nothing_else(terminal):
    code, out, _ = terminal("fix", "shop", "--json")
    document = json.loads(out)
    assert document["exit_code"] == code
    assert [case["reason"] for case in document["cases"]] == ["fixed", "needs-model", "verify-failed"]
    assert document["cases"][1]["finding"]["location"]["path"] == HOSTILE


@pytest.mark.parametrize("arguments", [["--json", "exit_code,run_id"], ["--json=exit_code,run_id"]])
def test_json_fields_narrow_the_document(terminal, arguments):
    _, out, _ = terminal("fix", *arguments, "shop")
    assert json.loads(out) == {"exit_code": 1, "run_id": "run-1"}
    assert terminal.apps[-1].asked[0].target == "shop"


def test_a_lone_json_flag_does_not_eat_the_target(terminal):
    _, out, _ = terminal("fix", "--json", "shop")
    assert json.loads(out)["target"] == "shop"


def test_an_unknown_field_is_named_with_those_there_are(after_fix):
    code, _, err = after_fix("list", "--json=nope")
    assert code == 2 and "no field 'nope'" in err and "fix_class" in err


@pytest.mark.parametrize(
    "verb", [["fix", "shop"], ["scan"], ["apply", "fx-aaaa"], ["undo"], ["replay", "fx-aaaa"], ["--json=nope", "list"]]
)
def test_an_unknown_field_is_refused_before_the_work(terminal, verb):
    before = len(terminal.apps)
    code, _, err = terminal(*verb, "--json=nope")
    assert code == 2 and "no field 'nope'" in err and "there is: " in err
    assert len(terminal.apps) == before


@pytest.mark.parametrize("verb", [["list"], ["show", "fx-aaaa"], ["apply", "fx-aaaa"], ["verify", "p.diff"], ["doctor"]])
def test_an_output_is_refused_by_a_command_that_writes_none(terminal, tmp_path, verb):
    (tmp_path / "p.diff").write_text(DIFF)
    code, _, err = terminal(*verb, "-o", "sarif=out.sarif")
    assert code == 2 and f"`{verb[0]}` writes no such file" in err
    assert not terminal.apps


def test_the_fields_that_may_be_named_are_those_of_the_documents():
    assert ("schema_version", *ReplayReport.model_fields, "exit_code") == json_fields.REPLAY
    assert tuple(Applied.model_fields) == json_fields.APPLIED


def test_events_are_json_lines(terminal):
    code, out, _ = terminal("fix", "shop", "--events", "ndjson")
    assert code == 1
    assert [json.loads(line)["type"] for line in out.splitlines()] == [event.type for event in told_cases()]


def test_global_options_stand_before_or_after_the_command(terminal):
    before = terminal("--json", "fix", "shop")
    after = terminal("fix", "shop", "--json")
    assert json.loads(before[1])["cases"] == json.loads(after[1])["cases"]


def test_options_become_the_request(terminal):
    terminal("fix", "shop", "--severity", "high", "--only", "CWE-502", "--require", "E2", "--minutes", "5", "--path", "a", "--strict")
    asked = terminal.apps[-1].asked[0]
    assert asked == FixRequest(
        target="shop", severity=Severity.high, only=("CWE-502",), required=EvidenceLevel.E2, minutes=5.0, paths=("a",), strict=True
    )


def test_a_folder_is_told_by_its_whole_path_so_that_another_one_is_never_resumed_for_it(terminal, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "other").mkdir()
    terminal("-C", "shop", "fix")
    terminal("-C", "other", "fix", "--resume")
    terminal("fix", "pypi:shop==1")
    asked = [app.asked[0].target for app in terminal.apps]
    assert asked == [str(tmp_path / "shop"), str(tmp_path / "other"), "pypi:shop==1"]


def test_directory_option_is_where_everything_happens(terminal, tmp_path):
    (tmp_path / "there").mkdir()
    terminal("-C", "there", "scan", "-o", "json=out.json")
    assert json.loads((tmp_path / "there" / "out.json").read_text())["exit_code"] == 1
    assert Path.cwd() == tmp_path


def test_outputs_are_written_side_by_side(terminal, tmp_path):
    code, _, err = terminal("fix", "shop", "-o", "sarif=a.sarif", "-o", "junit=b.xml", "-o", "json=c.json", "-o", "markdown=d.md")
    assert code == 1 and "wrote a.sarif, b.xml, c.json, d.md" in err
    assert {path.name for path in tmp_path.iterdir()} == {"state", "a.sarif", "b.xml", "c.json", "d.md"}


@pytest.mark.parametrize(
    "arguments", [["-o", "sarif"], ["-o", "pdf=x"], ["-o", "sarif=none/x"], ["-o", "json=-", "--json"], ["-o", "json=-", "-o", "junit=-"]]
)
def test_an_output_that_cannot_be_is_refused_before_the_work(terminal, arguments):
    code, _, err = terminal("fix", "shop", *arguments)
    assert code == 2 and "-o" in err
    assert not terminal.apps


def test_scan_lists_findings_and_counts_what_was_read(terminal):
    code, out, _ = terminal("scan", "shop")
    assert code == 1 and "app.py:1" in out and "1 finding in 1 file read" in out
    assert "note: 2 untracked files are left out" in out and "left out: 3" not in out


def test_what_the_options_left_out_is_told(terminal):
    _, out, _ = terminal("scan", "shop", "--path", "app.py")
    assert "left out: 3 findings that were not asked for" in out


def test_verify_says_what_failed_and_ends_with_its_code(terminal, tmp_path):
    (tmp_path / "good.diff").write_text(DIFF)
    (tmp_path / "bad.diff").write_text("nothing")
    (tmp_path / "drift.diff").write_text("conflict")
    code, out, _ = terminal("verify", "good.diff", "shop", "--finding", "CWE-502")
    assert code == 0 and "E3 tested (required: E3, enough)" in out
    assert terminal.apps[-1].asked[0][:3] == ("shop", DIFF, "CWE-502")
    code, out, _ = terminal("verify", "bad.diff")
    assert code == 6 and "tests-regressed: 2 tests fail" in out
    code, _, err = terminal("verify", "drift.diff")
    assert code == 7 and "error: app.py does not match" in err and "hint: update the patch" in err


def test_verify_takes_a_finding_from_a_file(terminal, tmp_path):
    (tmp_path / "p.diff").write_text(DIFF)
    (tmp_path / "finding.json").write_text(finding().model_dump_json())
    terminal("verify", "p.diff", "--finding", "finding.json")
    _, _, chosen, request = terminal.apps[-1].asked[0]
    assert (chosen, request.supplied) == (None, (finding(),))
    (tmp_path / "app.py").write_text("x\n")
    terminal("verify", "p.diff", "--finding", "app.py")
    assert terminal.apps[-1].asked[0][2] == "app.py"
    (tmp_path / "finding.json").write_text("{}")
    code, _, err = terminal("verify", "p.diff", "--finding", "finding.json")
    assert code == 2 and "finding.json" in err


def test_words_become_supplied_findings(terminal, tmp_path):
    words = (
        "--describe",
        "a link leads out",
        "--cwe",
        "CWE-59",
        "--cwe",
        "22",
        "--at",
        "a.py:3",
        "--rated",
        "high",
        "--contract",
        "stays in",
    )
    for command in (("fix", "shop"), ("verify", "p.diff")):
        (tmp_path / "p.diff").write_text(DIFF)
        terminal(*command, *words)
        asked = terminal.apps[-1].asked[0]
        (given,) = (asked if command[0] == "fix" else asked[3]).supplied
        assert (given.message, given.cwe, given.severity, given.contract) == ("a link leads out", (59, 22), Severity.high, "stays in")
        assert (given.scanner, given.path, given.location.start_line) == ("described", "a.py", 3)


def test_an_advisory_is_handed_in_and_may_be_completed(terminal):
    path = Path(__file__).parents[1] / "data" / "advisories" / "osv.json"
    terminal("fix", "shop", "--advisory", path, "--contract", "no path outside", "--at", "tidy/paths.py")
    (given,) = terminal.apps[-1].asked[0].advisories
    assert (given.finding.rule_id, given.finding.contract, given.finding.path) == ("EXAMPLE-2024-1", "no path outside", "tidy/paths.py")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--contract", "c"],
        ["--describe", ""],
        ["--describe", "d", "--cwe", "x"],
        ["--describe", "d", "--at", "../x"],
        ["--finding", "p.diff"],
    ],
)
def test_words_that_say_nothing_usable_are_refused_before_the_work(terminal, tmp_path, arguments):
    (tmp_path / "p.diff").write_text(DIFF)
    code, _, err = terminal("fix", "shop", *arguments)
    assert code == 2 and "hint: " in err


def test_show_has_finding_diff_ladder_what_is_unknown_and_replay(after_fix):
    code, out, _ = after_fix("show", "fx-aaaa")
    assert code == 0
    for text in ("unsafe load", "+yaml.safe_load(x)", "evidence: verified, E3 tested", "212 tests pass", "replay: remediator replay"):
        assert text in out
    assert "not checked: E1 builds: no such check in this playbook" in out


def test_show_diff_is_the_patch_byte_for_byte(after_fix):
    assert after_fix("show", "fx-aaaa", "--diff")[1] == DIFF


def test_an_ambiguous_or_unknown_case_is_a_usage_error(after_fix):
    assert after_fix("show", "fx-")[0] == 2
    code, _, err = after_fix("show", "nope")
    assert code == 2 and "hint: remediator list" in err


def test_list_narrows_by_class_reason_and_run(after_fix):
    assert [case["id"] for case in json.loads(after_fix("list", "--json", "--class", "safe")[1])] == ["fx-aaaa1111"]
    assert json.loads(after_fix("list", "--json", "id", "--reason", "needs-model")[1]) == [{"id": "fx-cccc3333"}]
    assert "run-1" in after_fix("list", "--runs")[1]
    assert after_fix("list", "--run", "run-9")[0] == 2
    code, _, err = after_fix("list", "--reason", "nosuch")
    assert code == 2 and "nosuch" in err and "needs-model" in err


def test_why_gives_one_reason_what_was_tried_and_a_way_on(after_fix):
    _, out, _ = after_fix("why", "app.py:9")
    assert "reason: verify-failed: tests: 2 tests fail" in out
    assert "tried: codemod yaml-safe-load: rejected" in out
    assert "cheapest way on: remediator show fx-bbbb2222" in out
    assert json.loads(after_fix("why", "fx-cccc", "--json", "reason")[1]) == [{"reason": "needs-model"}]
    for verb in ("why", "show"):
        assert r"tried: codemod declined: query \x1b[2J built (needs-model)" in after_fix(verb, "fx-cccc")[1]


def test_a_preparation_that_failed_is_told_with_the_end_of_its_log(terminal, capsys):
    noted = RunProgress(**RUN, phase="prepare", message="no baseline", data={"hint": "tried pip; the last log ends:\nno \x1b[2J wheel"})
    found = finding()
    patch = patch_for(found)
    missed = Check(name="builds", level=EvidenceLevel.E1, status=CheckStatus.not_run, reason="no-recipe")
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=Outcome.verified, level=EvidenceLevel.E0, checks=(missed,))
    case = {**RUN, "case_id": "fx-dddd4444"}
    closed = CaseClosed(**case, reason=ReasonCode.below_required)
    journal = Journal(terminal.state / "journal.sqlite")
    events = (noted, FindingReported(**case, finding=found), PatchProposed(**case, patch=patch), VerdictReached(**case, verdict=verdict))
    for number, event in enumerate((*events, closed)):
        journal.append(event, str(number))
    journal.close()
    assert "preparation:\n  tried pip; the last log ends:\n  no \\x1b[2J wheel\n" in terminal("why", "fx-dddd")[1]
    for verbose, shown in ((True, True), (False, False)):
        PlainView(make_console("never", stderr=True), verbose=verbose).show(noted)
        assert ("no \\x1b[2J wheel" in capsys.readouterr().err) is shown


@pytest.mark.parametrize("level", [EvidenceLevel.E0, EvidenceLevel.E1, EvidenceLevel.E2, None])
def test_why_names_the_level_that_could_be_settled_for(level):
    found = finding()
    patch = patch_for(found)
    reached = Outcome.verified if level is not None else Outcome.infra_error
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=reached, level=level)
    ended = Case(id="fx-1", run_id="r", finding=found, patches=(patch,), verdicts=(verdict,), closed=ReasonCode.below_required)
    unblock = answer_for(ended).unblock
    assert f"--require {level.name}" in unblock if level is not None else "accept" not in unblock
    assert "LEVEL" not in unblock


def test_a_stopped_run_counts_its_open_cases_and_asks_nothing_of_them():
    found = tuple(finding(line=number) for number in (1, 2, 3))
    cases = (
        Case(id="fx-1", run_id="r", finding=found[0], closed=ReasonCode.needs_model),
        Case(id="fx-2", run_id="r", finding=found[1]),
    )
    stopped = RunReport(run_id="r", target="t", scan=ScanReport(tree="t", findings=found), cases=cases, interrupted=True, seconds=9)
    assert totals(stopped) == "Stopped after 9 s. 0 safe, 0 to review, 1 without a fix, 2 cases open."
    assert next_steps(cases[1:], {"fx-2": "fx-2"}) == ""


def test_apply_takes_proven_fixes_only(after_fix):
    code, out, err = after_fix("apply", "fx-aaaa")
    assert code == 0 and "on branch remediator/2026-11-22" in out and "undo" in err
    assert after_fix.apps[-1].asked == [(["fx-aaaa1111"], Path())]
    code, _, err = after_fix("apply", "fx-bbbb")
    assert code == 2 and "has no proven fix: verify-failed" in err
    assert after_fix.apps[-1].asked == []


def test_apply_wants_to_be_told_which(after_fix):
    assert after_fix("apply")[0] == 2
    assert after_fix("apply", "fx-aaaa", "--class", "safe")[0] == 2
    assert after_fix("apply", "--approved")[0] == 2
    assert after_fix("apply", "--class", "safe")[0] == 0


def test_approved_fixes_are_those_of_the_review(after_fix):
    case = json.loads(after_fix("show", "fx-aaaa", "--json", "id,patches")[1])
    ReviewLog(after_fix.state).decide(case["id"], case["patches"][0]["id"], "approved", reason="", at=NOW)
    assert after_fix("apply", "--approved")[0] == 0
    assert "all decided" in after_fix("review", "--no-input")[2]
    ReviewLog(after_fix.state).decide(case["id"], case["patches"][0]["id"], "rejected", reason="no", at=NOW)
    assert after_fix("apply", "--approved")[0] == 2


def test_undo_asks_the_application(after_fix):
    code, out, _ = after_fix("undo")
    assert code == 0 and "undone: branch remediator/2026-11-22" in out


def test_without_a_command_it_prints_state_and_acts_on_nothing(terminal):
    code, out, _ = terminal()
    assert code == 0 and "no run yet" in out and not terminal.apps
    terminal("fix", "shop")
    code, out, _ = terminal()
    assert "last run: run-1 on shop, finished: 3 cases, 1 with a proven fix" in out and "next: remediator show fx-aaaa1111" in out


def test_a_misspelt_command_names_the_nearest(terminal):
    code, _, err = terminal("fixx")
    assert code == 2 and "did you mean 'fix'?" in err


def test_a_bug_ends_with_70_and_a_report_without_secrets(terminal, capsys):
    def broken(settings, observers):
        raise ZeroDivisionError("https://user:hunter2secret@host")

    code = run(["list"], Session(open_app=broken, overrides={"state": terminal.state}))
    err = capsys.readouterr().err
    assert code == 70 and "Traceback" not in err
    path = Path(next(line for line in err.splitlines() if line.startswith("report: ")).removeprefix("report: "))
    assert "ZeroDivisionError" in path.read_text() and "hunter2secret" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_verbose_errors_show_the_traceback(terminal):
    assert "Traceback" in terminal("show", "nope", "-v")[2]
    assert "Traceback" not in terminal("show", "nope")[2]


def test_wrong_settings_are_a_sentence_and_exit_2(terminal, tmp_path):
    (tmp_path / "bad.toml").write_text("sandbx = 'docker'\n")
    code, _, err = terminal("-c", "bad.toml", "list")
    assert code == 2 and "did you mean 'sandbox'" in err


def test_importing_the_door_loads_nothing_heavy():
    heavy = ("pydantic", "rich", "aiohttp", "docker", "dbos", "git", "libcst", "pluggy", "yaml", "sqlite3", "asyncio")
    code = f"import sys, remediator.cli.main; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_of_everything_loads_no_command_module():
    code = (
        "import sys; from remediator.cli.main import run; code = run(['--help']); "
        "print(code, [m for m in sys.modules if m == 'remediator.cli.fix' or m == 'pydantic'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "0 []"
    assert "fix" in found.stdout


@pytest.mark.parametrize("arguments", [["explain", "check-reasons"], ["--help"]])
def test_a_closed_pipe_ends_quietly_with_its_own_code(arguments):
    reader, writer = os.pipe()
    os.close(reader)
    code = f"import sys; from remediator.cli.main import run; sys.exit(run({arguments!r}))"
    found = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (found.returncode, found.stderr) == (141, "")


PIPED = """
import sys
from remediator.cli.console import make_console
from remediator.cli.main import run

mode = sys.argv[1]
if mode == "talk":
    make_console("never", stderr=True).print("nobody listens")
    print("the work goes on")
elif mode == "error":
    sys.exit(run(["no-such-command"]))
else:
    make_console("never", stderr=False).print("nobody reads")
"""


@pytest.mark.parametrize(("mode", "closed", "code", "out"), [("talk", "stderr", 0, "the work goes on\n"), ("error", "stderr", 2, "")])
def test_talk_that_nobody_listens_to_changes_nothing(mode, closed, code, out):
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, closed: writer}
    found = subprocess.run([sys.executable, "-c", PIPED, mode], text=True, timeout=300, check=False, **streams)
    os.close(writer)
    assert (found.returncode, found.stdout) == (code, out)


def test_data_that_nobody_reads_is_a_broken_pipe_and_not_findings():
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        [sys.executable, "-c", PIPED, "data"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300, check=False
    )
    os.close(writer)
    assert "BrokenPipeError" in found.stderr


def test_what_components_log_goes_to_the_talk_made_safe(terminal):
    for flag, shown in (("-v", ["a note path=a\\x1b[2J\\x0ab", "warning: a warning"]), ("--no-input", ["warning: a warning"]), ("-q", [])):
        _, out, err = terminal("scan", "--json", flag)
        assert json.loads(out)["exit_code"] == 1
        assert err.splitlines() == shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_our_variable(terminal, shell):
    code, out, _ = terminal("completion", shell)
    assert code == 0 and "_REMEDIATOR_COMPLETE" in out


def test_init_writes_what_can_be_read_back_and_overwrites_nothing(terminal, tmp_path):
    code, out, _ = terminal("init", "conf")
    assert code == 0 and out.count("wrote") == 2
    assert terminal("-c", "conf/remediator.toml", "playbook", "list")[0] == 0
    uncommented = "\n".join(
        line.removeprefix("# ") for line in (tmp_path / "conf/remediator.toml").read_text().splitlines() if line.startswith("# offline")
    )
    (tmp_path / "conf/remediator.toml").write_text(uncommented)
    assert terminal("init", "conf")[1].count("kept") == 2
    assert (tmp_path / "conf/remediator.toml").read_text() == "offline = false"


def test_explain_knows_codes_and_topics(terminal):
    assert "E3 (level)" in terminal("explain", "E3")[1]
    assert "141 (exit)" in terminal("explain", "exit-codes")[1]
    assert terminal("explain", "nonsense")[0] == 2


def test_the_latest_run_is_this_folders_and_another_ones_is_named(terminal, tmp_path, monkeypatch):
    journal = Journal(terminal.state / "journal.sqlite")
    for number, name in enumerate(("mine", "other")):
        (tmp_path / name / "sub").mkdir(parents=True)
        found = finding(f"{name}.py", 7)
        patch = patch_for(found)
        run = {"run_id": f"run-{name}", "at": NOW}
        case = {**run, "case_id": f"fx-{name}"}
        for step, event in enumerate(
            (
                RunStarted(**run, target=str(tmp_path / name), configuration={"request": FixRequest(target="x").as_json()}),
                FindingReported(**case, finding=found),
                PatchProposed(**case, patch=patch),
                VerdictReached(**case, verdict=verdict_on(patch)),
            )
        ):
            journal.append(event, f"{number}:{step}")
    for event in (
        RunStarted(run_id="run-typo", at=NOW, target=str(tmp_path / "mine"), configuration={"request": FixRequest(target="x").as_json()}),
        RunFinished(run_id="run-typo", at=NOW, outcome="failed"),
    ):
        journal.append(event, event.type)
    journal.close()
    for folder in ("mine", "mine/sub"):
        monkeypatch.chdir(tmp_path / folder)
        _, out, err = terminal("list", "--json", "id")
        assert (json.loads(out), err) == ([{"id": "fx-mine"}], "")
        assert "fx-mine" in terminal("review", "--no-input")[1]
        assert terminal("why", "mine.py:7")[0] == 0 and terminal("why", "other.py:7")[0] == 2
    assert terminal("apply", "--class", "safe", "--to", str(tmp_path / "other"))[0] == 0
    assert terminal.apps[-1].asked[0][0] == ["fx-other"]
    monkeypatch.chdir(tmp_path)
    _, out, err = terminal("list", "--json", "id")
    assert json.loads(out) == [{"id": "fx-other"}] and f"latest run: run-other on {tmp_path / 'other'}" in err
