"""What we write is SARIF by its own schema, and holds proven fixes only."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.builtin.suggested_fixer import SuggestedFixer
from remediator.proven_fix import fix_of
from remediator.records import EvidenceLevel, Finding, Location, Patch, SuggestedFix, TextEdit, TraceStep, Unchecked
from remediator.records.sarif import SarifNote, github_limits, read_sarif, to_sarif
from remediator.testing import FakeWorkspace

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif" / "sarif-schema-2.1.0.json").read_text())


def finding(path: str = "a.py", line: int = 1, **more: Any) -> Finding:
    at = Location(path=path, start_line=line, start_column=1, end_line=line, end_column=4)
    given = {"rule_id": "R1", "scanner": "semgrep", "message": "bad", "snippet": "one", "cwe": (502,), "location": at}
    return Finding.at(**{**given, **more})


def valid(log: dict[str, Any]) -> dict[str, Any]:
    again: dict[str, Any] = json.loads(json.dumps(log))
    validator = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
    assert [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(again)] == []
    return again


def test_schema_refuses_what_is_wrong() -> None:
    broken = to_sarif([finding()])
    broken["runs"][0]["results"][0]["message"] = "text"
    with pytest.raises(AssertionError, match="message"):
        valid(broken)


def test_log_is_valid_and_says_what_is_known() -> None:
    found = finding(trace=(TraceStep(location=Location(path="b.py"), message="in"),), references=("https://example.org/a b",))
    fix = SuggestedFix(description="Better", edits=(TextEdit(location=Location(path="a.py", end_column=4), text="two"),))
    note = SarifNote(level=EvidenceLevel.E3, outcome="verified", reason="fixed", case="c-1")
    log = valid(to_sarif([found], fixes={found.id: fix}, notes={found.id: note}, tools={"semgrep": "1.2"}))
    (run,) = log["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["properties"]["tags"] == ["security", "external/cwe/cwe-502"]
    assert rule["helpUri"] == "https://example.org/a%20b"
    (result,) = run["results"]
    assert result["partialFingerprints"]["remediatorKey/v1"] == found.key
    assert result["properties"]["remediator"] | {"finding": ""} == {
        "finding": "", "severity": "medium", "cwe": [502], "level": "E3", "outcome": "verified", "reason": "fixed", "case": "c-1"
    }  # fmt: skip
    assert result["fixes"][0]["artifactChanges"][0]["replacements"][0]["insertedContent"]["text"] == "two"
    assert result["codeFlows"][0]["threadFlows"][0]["locations"][0]["location"]["message"]["text"] == "in"


def test_suggested_fixes_that_nobody_proved_are_not_written() -> None:
    fix = SuggestedFix(edits=(TextEdit(location=Location(path="a.py"), text="x"),))
    log = valid(to_sarif([finding(fixes=(fix,))]))
    assert "fixes" not in log["runs"][0]["results"][0]


def test_one_run_for_each_tool_in_a_stable_order() -> None:
    bandit = finding(scanner="sarif").model_copy(update={"tool": "Bandit"})
    ours = [finding("b.py"), finding("a.py", 2), finding("a.py", 1, rule_id="R0")]
    log = valid(to_sarif([*ours, bandit], tools={"semgrep": "1", "quiet": "2"}))
    assert [run["tool"]["driver"]["name"] for run in log["runs"]] == ["Bandit", "quiet", "semgrep"]
    assert log == valid(to_sarif([bandit, *reversed(ours)], tools={"quiet": "2", "semgrep": "1"}))
    places = [result["locations"][0]["physicalLocation"] for result in log["runs"][2]["results"]]
    assert [(place["artifactLocation"]["uri"], place["region"]["startLine"]) for place in places] == [("a.py", 1), ("a.py", 2), ("b.py", 1)]
    assert [rule["id"] for rule in log["runs"][2]["tool"]["driver"]["rules"]] == ["R0", "R1"]


def test_what_was_not_checked_is_told() -> None:
    missed = [
        Unchecked(scanner="semgrep", path="b.py", reason="timeout", detail="slow"),
        Unchecked(scanner="x", path="", reason="scanner-error"),
    ]
    log = valid(to_sarif([], unchecked=missed))
    told = {run["tool"]["driver"]["name"]: run["invocations"][0] for run in log["runs"]}
    assert told["semgrep"]["executionSuccessful"] is True
    assert told["semgrep"]["toolExecutionNotifications"][0]["message"]["text"] == "timeout: slow"
    assert told["x"]["executionSuccessful"] is False


def test_hostile_text_is_valid_and_harmless() -> None:
    path = "a:b/\udcff\n\x1b[31m é.py"
    hostile = finding(path, message="\x1b]0;x\x07 \u202e \udcff \ud800", rule_id="r\x00\udcff", snippet="\udcff")
    text = json.dumps(valid(to_sarif([hostile])), ensure_ascii=False)
    assert text.encode("utf-8")
    assert not {"\x1b", "\x07", "\u202e", "\\u001b"} & set(text)
    uri = to_sarif([hostile])["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%3Ab/%FF%0A%1B%5B31m%20%C3%A9.py"


def test_written_log_reads_back_as_the_same_findings() -> None:
    files = {"a.py": b"one = 1\n", "\udcff \xe9.py": b"one = 1\n"}
    ours = [finding(path, severity="critical") for path in files]
    log = json.dumps(to_sarif(ours)).encode()
    reading = read_sarif(log, document="x", scanner="semgrep", read=files.get)
    assert {(f.key, f.id, f.severity, f.cwe) for f in reading.findings} == {(f.key, f.id, f.severity, f.cwe) for f in ours}


def test_limits_of_uploads_are_told() -> None:
    many = [finding(scanner=f"tool{number}") for number in range(21)]
    assert github_limits(to_sarif(many)) == ("21 runs, 20 are taken",)
    assert github_limits(to_sarif(many[:20])) == ()
    log = to_sarif([finding()])
    log["runs"][0]["results"] *= 25_001
    assert github_limits(log) == ("semgrep: 25001 results, 25000 are taken",)


def patch(diff: str) -> Patch:
    return Patch.of(finding_id="f", fixer="x", title="t", diff=diff)


LINES = st.lists(st.sampled_from(["a", "b", "", "é", "-- a", "++ b", "c\r"]), max_size=8)


@given(LINES, LINES, st.booleans(), st.booleans())
def test_patch_as_edits_gives_what_the_patch_gives(old: list[str], new: list[str], old_end: bool, new_end: bool) -> None:
    before = "\n".join(old) + ("\n" if old_end and old else "")
    after = "\n".join(new) + ("\n" if new_end and new else "")
    if before == after or not before or not after:
        return
    workspace = FakeWorkspace({"a.txt": before}, Path())
    diff = _diff(before, after)
    fix = fix_of(patch(diff))
    assert fix is not None
    carrier = finding("a.txt", snippet="", location=Location(path="a.txt"))
    log = valid(to_sarif([carrier], fixes={carrier.id: fix}))
    reading = read_sarif(json.dumps(log).encode(), document="x", scanner="semgrep", read={"a.txt": before.encode()}.get)
    carried = Finding.at(rule_id="r", scanner="s", message="m", location=None, snippet="", fixes=reading.findings[0].fixes)
    again = SuggestedFixer()._fix(carried, workspace, ())
    assert isinstance(again, Patch)
    assert again.diff == workspace.diff({"a.txt": after.encode()})


def _diff(before: str, after: str) -> str:
    old, new = (text.split("\n") for text in (before, after))
    ends = (old[-1] == "", new[-1] == "")
    old, new = (lines[:-1] if end else lines for lines, end in zip((old, new), ends, strict=True))
    marked = [
        [f"{line}\n" for line in lines[:-1]] + [lines[-1] + ("\n" if end else "\n\\ No newline at end of file\n")]
        for lines, end in zip((old, new), ends, strict=True)
    ]
    return "diff --git a/a.txt b/a.txt\n" + "".join(difflib.unified_diff(*marked, "a/a.txt", "b/a.txt", n=1))


def test_new_and_deleted_files_are_edits_too() -> None:
    made = fix_of(patch("diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+a\n+b\n"))
    assert made is not None
    assert made.edits == (TextEdit(location=Location(path="n"), text="a\nb\n"),)
    gone = fix_of(patch("diff --git a/n b/n\ndeleted file mode 100644\n--- a/n\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n"))
    assert gone is not None
    assert gone.edits == (TextEdit(location=Location(path="n", end_line=3), text=""),)


def test_what_edits_cannot_say_is_no_fix() -> None:
    renamed = "diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n"
    assert fix_of(patch(renamed)) is None
