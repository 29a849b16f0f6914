"""JUnit, Markdown and SARIF: valid, and safe whatever the target wrote."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from remediator.cli import case_view
from remediator.cli.case_page import print_case
from remediator.cli.case_table import print_cases, print_findings
from remediator.cli.console import make_console
from remediator.cli.exit_code import of_fix
from remediator.cli.junit import clean, to_junit
from remediator.cli.markdown import escaped, fenced, to_markdown
from remediator.cli.sarif_output import to_sarif_text
from remediator.cli.why import answer_for, is_at
from remediator.engine.request import RunReport
from remediator.records import (
    Case,
    Check,
    CheckStatus,
    EvidenceLevel,
    Finding,
    Location,
    Outcome,
    Patch,
    ReasonCode,
    ScanReport,
    SuggestedFix,
    TextEdit,
    Unchecked,
    Verdict,
)

EVIL = 'a\x00\x1b[31m]]><script>&"\udc80\ufffe\n.py'
DIFF = "diff --git a/app.py b/app.py\n--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"


def finding(path: str = "app.py", message: str = "m") -> Finding:
    where = Location(path=path, start_line=1, end_line=1, start_column=1, end_column=13)
    suggested = SuggestedFix(edits=(TextEdit(location=where, text="suggested"),))
    return Finding.at(rule_id="r", scanner="s", message=message, location=where, snippet="yaml.load(x)", cwe=(502,), fixes=(suggested,))


def case(found: Finding, *, proven: bool) -> Case:
    patch = Patch.of(finding_id=found.id, fixer="codemod", title="t", diff=DIFF)
    outcome, level = (Outcome.verified, EvidenceLevel.E3) if proven else (Outcome.rejected, None)
    verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=outcome, level=level, reason="" if proven else "tests-regressed")
    closed = ReasonCode.fixed if proven else ReasonCode.verify_failed
    return Case(id=f"fx-{found.id[2:10]}", run_id="r", finding=found, patches=(patch,), verdicts=(verdict,), closed=closed)


@pytest.fixture
def report() -> RunReport:
    good, bad, left = finding(), finding(EVIL, EVIL), finding("left.py")
    scan = ScanReport(
        tree="t",
        findings=(good, bad, left),
        unchecked=(Unchecked(scanner="s", path="old.py", reason="parse-error"),),
        scanners={"s": "1"},
    )
    return RunReport(run_id="r", target="shop", scan=scan, cases=(case(good, proven=True), case(bad, proven=False)), seconds=1.5)


def test_junit_counts_proven_as_passed_open_as_failed_and_unread_as_error(report):
    root = ET.fromstring(to_junit(report.cases, report.scan, ("no sandbox",), 1.5).encode())
    suite = root.find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "2", "2")
    passed = [test for test in suite if test.find("failure") is None and test.find("error") is None]
    assert [test.get("file") for test in passed] == ["app.py"]


@pytest.mark.parametrize("reason", [ReasonCode.duplicate, ReasonCode.waived, ReasonCode.verify_failed, ReasonCode.out_of_scope])
def test_junit_fails_where_the_exit_code_says_that_a_finding_remains(reason):
    ended = case(finding(), proven=False).model_copy(update={"closed": reason, "detail": "fx-1"})
    run = RunReport(run_id="r", target="shop", scan=ScanReport(tree="t", findings=(ended.finding,)), cases=(ended,))
    suite = ET.fromstring(to_junit(run.cases, run.scan, (), 0.0)).find("testsuite")
    assert int(suite.get("failures")) == int(of_fix(run))


def test_junit_without_a_scan_is_not_green():
    root = ET.fromstring(to_junit((), None, (), 0.0).encode())
    assert root.find("testsuite").get("errors") == "1"


def test_junit_survives_hostile_text(report):
    text = to_junit(report.cases, report.scan, (EVIL,), 0.0)
    ET.fromstring(text.encode("utf-8"))
    assert "<script>" not in text
    assert not set(text) & set("\x00\x1b\udc80\ufffe")
    assert clean("a\x00b\udc80c\n") == "abc\n"


def test_sarif_carries_fixes_only_for_proven_patches(report):
    log = json.loads(to_sarif_text(report))
    results = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]: r for run in log["runs"] for r in run["results"]}
    assert len(results) == 3
    assert [uri for uri, result in results.items() if "fixes" in result] == ["app.py"]
    inserted = results["app.py"]["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"]
    assert inserted == "yaml.safe_load(x)\n"


@pytest.mark.parametrize(
    "text",
    ["[x](javascript:1)", "<img src=x>", "a|b", "@team", "`code`", "https://evil.example", "www.evil.example", "# head", "*b*", "$x$"],
)
def test_markdown_shows_hostile_text_as_it_is(text):
    shown = escaped(text)
    unescaped = [char for index, char in enumerate(shown) if char in "[]()<>|@`:.#*$" and shown[index - 1] != "\\"]
    assert not unescaped


def test_a_diff_cannot_leave_its_fence():
    assert fenced("a\n````\nb").startswith("`````diff\n")
    assert "\x1b" not in fenced("+\x1b[31m")


def test_markdown_lists_fixes_rest_and_what_was_not_checked(report):
    text = to_markdown(report.cases, report.scan, (), "shop")
    for title in ("## Fixes", "## Without a fix", "## Findings", "## Could not check"):
        assert title in text
    assert "+yaml.safe_load(x)" in text
    assert text.count("```diff") == 1


@pytest.fixture
def in_words() -> Case:
    words = Finding.at(rule_id="CVE-2024-99001", scanner="advisory", message="a link leads out\n\nof the folder", location=None, snippet="")
    rescan = Check(name="rescan", level=EvidenceLevel.E2, status=CheckStatus.passed, evidence={"shown": False})
    patch = Patch.of(finding_id=words.id, fixer="agent", title="t", diff=DIFF)
    verdict = Verdict(
        patch_id=patch.id,
        finding_id=words.id,
        outcome=Outcome.verified,
        level=EvidenceLevel.E3,
        required=EvidenceLevel.E4,
        reason="not-shown",
        summary="not shown: nobody sees it",
        checks=(rescan,),
    )
    held = words.model_copy(update={"contract": "stays in the folder"})
    return Case(id="fx-words", run_id="r", finding=held, patches=(patch,), verdicts=(verdict,), closed=ReasonCode.below_required)


def test_a_finding_without_a_place_is_in_every_report(in_words):
    scan = ScanReport(tree="t", supplied=(in_words.finding,), scanners={"s": "1"})
    report = RunReport(run_id="r", target="shop", scan=scan, cases=(in_words,))
    runs = json.loads(to_sarif_text(report))["runs"]
    (result,) = [result for run in runs for result in run["results"]]
    assert (result["ruleId"], result["locations"]) == ("CVE-2024-99001", [])
    test = ET.fromstring(to_junit(report.cases, scan, (), 0.0)).find("testsuite/testcase")
    assert "(no place)" in test.get("name") and test.find("failure") is not None
    assert "not shown" in to_markdown(report.cases, scan, (), "shop")
    assert "a link leads out |" in to_markdown((), scan, (), "shop")


def test_a_flaw_that_is_not_shown_to_be_gone_says_so_wherever_it_is_shown(in_words, capsys):
    told = case_view.evidence(in_words.verdicts[0], limit=0)
    assert told == "E3 tested, not shown of E4; not shown: nobody sees it"
    out = make_console("never", stderr=False)
    print_case(out, in_words)
    print_cases(out, [in_words])
    print_findings(out, [in_words.finding])
    printed = capsys.readouterr().out
    assert "evidence: verified, E3 tested, not shown (required: E4, not enough)" in printed
    assert "must hold after the fix: stays in the folder" in printed and "\nof the folder\n" in printed
    assert answer_for(in_words).place == "(no place) CVE-2024-99001" and not is_at(in_words, "app.py:1")
