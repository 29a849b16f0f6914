"""Other tools' logs become findings, or reasons why not; nothing is dropped without a word."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import ConfigError
from remediator.records import Location, Severity
from remediator.records.sarif import SarifReading, read_sarif

DATA = Path(__file__).parents[1] / "data" / "sarif"
FILES = {
    "a.py": b"one = 1\ntwo = 2\n",
    "src/a.py": b"x = 1\nmd5(x)\n",
    "src/app one.py": b"import pickle\ndef f(data):\n    pickle.l(data)\n",
    "u.py": "s = '\U0001f600'; bad(s)\n".encode(),
    "\udcff.py": b"x\n",
}


def read(log: object, **options: Any) -> SarifReading:
    data = log if isinstance(log, bytes) else json.dumps(log).encode()
    return read_sarif(data, document="log.sarif", scanner="sarif", read=FILES.get, **options)


def result(uri: str = "a.py", region: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": uri}, "region": region or {"startLine": 1, "startColumn": 1, "endColumn": 4}}
    return {"ruleId": "R", "message": {"text": "m"}, "locations": [{"physicalLocation": place}], **more}


def log(*results: dict[str, Any], **run: Any) -> dict[str, Any]:
    return {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Tool", "version": "7"}}, "results": list(results), **run}]}


def test_codeql_log_is_read_with_rule_flow_and_fingerprint() -> None:
    reading = read((DATA / "codeql.sarif").read_bytes())
    (finding,) = reading.findings
    assert (finding.rule_id, finding.tool, finding.scanner) == ("py/unsafe-deserialization", "CodeQL", "sarif")
    assert (finding.cwe, finding.severity, finding.path) == ((502,), Severity.critical, "src/app one.py")
    assert finding.snippet == "data"
    assert [step.message for step in finding.trace] == ["ControlFlowNode for data", "data"]
    assert finding.references == ("https://example.org/unsafe",)
    assert finding.aliases == ("fingerprint:primaryLocationLineHash:39fa2ee980eb94b0:1",)
    assert reading.covered == ("src/app one.py",)
    assert reading.tools == {"CodeQL": "2.20.1"}


def test_taxa_message_arguments_and_nested_bases_are_followed() -> None:
    (finding,) = read((DATA / "taxonomy.sarif").read_bytes()).findings
    assert (finding.rule_id, finding.cwe, finding.severity) == ("T1", (328, 327), Severity.low)
    assert finding.message == "call of md5 with 'x'"
    assert (finding.path, finding.snippet) == ("src/a.py", "\nmd")


@pytest.mark.parametrize(
    ("region", "snippet", "place"),
    [
        ({"startLine": 1}, "one = 1", (1, 1, 1, 8)),
        ({"startLine": 1, "endLine": 2}, "one = 1\ntwo = 2", (1, 1, 2, 8)),
        ({"startLine": 2, "startColumn": 3}, "o = 2", (2, 3, 2, 8)),
        ({"startLine": 1, "startColumn": 7, "endLine": 2, "endColumn": 4}, "1\ntwo", (1, 7, 2, 4)),
        ({"byteOffset": 8, "byteLength": 3}, "two", (2, 1, 2, 4)),
        ({"charOffset": 0, "charLength": 3}, "one", (1, 1, 1, 4)),
        ({}, "one", (1, 1, 1, 4)),
        ({"startLine": 1, "startColumn": 3, "endColumn": 99}, "e = 1", (1, 3, 1, 8)),
    ],
)
def test_regions_of_every_kind(region: dict[str, Any], snippet: str, place: tuple[int, int, int, int]) -> None:
    (finding,) = read(log(result(region=region))).findings
    at = finding.location
    assert at is not None
    assert finding.snippet == snippet
    assert (at.start_line, at.start_column, at.end_line, at.end_column) == place


def test_columns_are_counted_as_the_run_says() -> None:
    units = {"startLine": 1, "startColumn": 11, "endColumn": 17}
    assert read(log(result("u.py", units))).findings[0].snippet == "bad(s)"
    points = {"startLine": 1, "startColumn": 10, "endColumn": 16}
    assert read(log(result("u.py", points), columnKind="unicodeCodePoints")).findings[0].snippet == "bad(s)"
    (halved,) = read(log(result("u.py", {"charOffset": 10, "charLength": 3}))).findings
    assert halved.snippet == "bad"


@pytest.mark.parametrize(
    "region",
    [
        {"startLine": 9},
        {"startLine": 1, "startColumn": 90},
        {"startLine": 2, "endLine": 1},
        {"startLine": 1, "startColumn": 4, "endColumn": 2},
        {"startLine": -1},
        {"byteOffset": 5, "byteLength": 500},
        {"charOffset": -1},
    ],
)
def test_place_that_is_not_in_the_file_is_said(region: dict[str, Any]) -> None:
    reading = read(log(result(region=region)))
    assert reading.findings == ()
    assert [(item.path, item.reason) for item in reading.unchecked] == [("a.py", "unreadable")]
    assert reading.covered == ()


@pytest.mark.parametrize(
    "uri", ["../etc/passwd", "/etc/passwd", "file:///etc/passwd", "https://example.org/a.py", "missing.py", "a/../../b", "", "%2e%2e/x"]
)
def test_place_outside_of_the_tree_is_said(uri: str) -> None:
    reading = read(log(result(uri), result("src/a.py")))
    assert [finding.path for finding in reading.findings] == ["src/a.py"]
    assert len(reading.unchecked) == 1


@pytest.mark.parametrize(
    "uri", ["./a.py", "src/../a.py", "%61.py", "a%2Epy", "file:///ci/work/a.py", "file://host/ci/work/a.py", "C:\\x\\..\\a.py"]
)
def test_spellings_of_one_path(uri: str) -> None:
    options = {"root": "file:///ci/work"} if "ci/work" in uri else {"root": "C:\\x"} if uri.startswith("C:") else {}
    if uri.startswith("C:"):
        uri = "C:\\x\\a.py"
    assert [finding.path for finding in read(log(result(uri)), **options).findings] == ["a.py"]


def test_bytes_that_are_not_utf8_come_back_from_percent_signs() -> None:
    assert read(log(result("%FF.py", {"startLine": 1}))).findings[0].path == "\udcff.py"


def test_absolute_locations_are_taken_when_only_one_folder_explains_all() -> None:
    both = log(result("file:///w/x/a.py"), result("file:///w/x/src/a.py"))
    assert {finding.path for finding in read(both).findings} == {"a.py", "src/a.py"}
    doubtful = log(result("file:///w/src/a.py"))
    assert read(doubtful).findings == ()


def test_relative_location_with_unknown_base_is_below_the_root() -> None:
    reading = read(
        log(
            result("a.py")
            | {"locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.py", "uriBaseId": "NONE"}, "region": {"startLine": 1}}}]}
        )
    )
    assert [finding.path for finding in reading.findings] == ["a.py"]


@pytest.mark.parametrize(
    ("more", "rule", "severity"),
    [
        ({"properties": {"security-severity": "9.1"}}, {}, "critical"),
        ({"properties": {"security-severity": 7}}, {}, "high"),
        ({}, {"properties": {"security-severity": "4.0"}}, "medium"),
        ({}, {"properties": {"security-severity": "0.0"}}, "info"),
        ({"properties": {"security-severity": "99"}, "level": "note"}, {}, "low"),
        ({"properties": {"issue_severity": "HIGH"}, "level": "note"}, {}, "high"),
        ({"level": "error"}, {}, "high"),
        ({"level": "none"}, {}, "info"),
        ({}, {"defaultConfiguration": {"level": "error"}}, "high"),
        ({}, {}, "medium"),
    ],
)
def test_severity(more: dict[str, Any], rule: dict[str, Any], severity: str) -> None:
    document = log(result(**more))
    document["runs"][0]["tool"]["driver"]["rules"] = [{"id": "R", **rule}]
    assert read(document).findings[0].severity == severity


@pytest.mark.parametrize(
    ("properties", "cwe"),
    [
        ({"tags": ["security", "external/cwe/cwe-079", "CWE-80: x"]}, (79, 80)),
        ({"cwe": ["CWE-502: Deserialization"]}, (502,)),
        ({"cwe": "CWE-22"}, (22,)),
        ({"cwe": {"id": 78, "link": "x"}}, (78,)),
        ({"cweId": 95}, (95,)),
        ({"tags": ["cweather-12"]}, ()),
    ],
)
def test_weaknesses_in_properties(properties: dict[str, Any], cwe: tuple[int, ...]) -> None:
    assert read(log(result(properties=properties))).findings[0].cwe == cwe


def test_equal_results_get_ordinals_and_repeated_ones_are_one() -> None:
    first = result(region={"startLine": 2, "startColumn": 4, "endColumn": 5})
    second = result(region={"startLine": 1, "startColumn": 4, "endColumn": 5})
    found = read(log(first, second, copy.deepcopy(first))).findings
    assert [(finding.ordinal, finding.location and finding.location.start_line) for finding in found] == [(0, 1), (1, 2)]
    assert len({finding.id for finding in found}) == 2
    assert len({finding.key for finding in found}) == 1
    assert all(finding.tool == "Tool" for finding in found)


def test_result_without_a_location_is_a_finding_of_words() -> None:
    (finding,) = read(log({"ruleId": "R", "message": {"text": "somewhere"}})).findings
    assert finding.location is None


def test_suppressed_results_count_unless_the_operator_says_otherwise() -> None:
    document = log(
        result(suppressions=[{"kind": "inSource"}]), result("src/a.py", suppressions=[{"kind": "external", "status": "rejected"}])
    )
    assert len(read(document).findings) == 2
    kept = read(document, suppressed=False)
    assert [finding.path for finding in kept.findings] == ["src/a.py"]
    assert any("suppressed" in note for note in kept.notes)


@pytest.mark.parametrize("more", [{"kind": "pass"}, {"kind": "notApplicable"}, {"baselineState": "absent"}])
def test_results_that_say_that_nothing_is_wrong_are_noted(more: dict[str, Any]) -> None:
    reading = read(log(result(**more)))
    assert reading.findings == ()
    assert len(reading.notes) == 1


def test_failed_run_is_never_clean() -> None:
    reading = read(
        log(invocations=[{"executionSuccessful": False, "exitCodeDescription": "boom"}], artifacts=[{"location": {"uri": "a.py"}}])
    )
    assert [(item.path, item.reason) for item in reading.unchecked] == [("", "scanner-error")]
    assert "boom" in reading.unchecked[0].detail
    assert reading.covered == ()


def test_notifications_about_files_make_them_unchecked() -> None:
    place = [{"physicalLocation": {"artifactLocation": {"uri": "a.py"}}}]
    told = [
        {"level": "warning", "message": {"text": "Syntax error at line 1"}, "locations": place},
        {"level": "error", "message": {"text": "Timeout when running x"}},
        {"level": "note", "message": {"text": "hello"}},
    ]
    invocation = {"executionSuccessful": True, "toolExecutionNotifications": told}
    reading = read(log(result(), invocations=[invocation]))
    assert {(item.path, item.reason) for item in reading.unchecked} == {("a.py", "parse-error"), ("", "timeout")}
    assert len(reading.findings) == 1
    assert reading.covered == ()
    assert reading.notes == ("Tool: hello",)


def test_file_with_another_hash_than_the_tool_read_is_stale() -> None:
    stale = {"location": {"uri": "a.py"}, "hashes": {"sha-256": "0" * 64}}
    fresh = {"location": {"uri": "src/a.py"}, "hashes": {"sha-256": hashlib.sha256(FILES["src/a.py"]).hexdigest()}}
    reading = read(log(result(), result("src/a.py"), artifacts=[stale, fresh]))
    assert [finding.path for finding in reading.findings] == ["src/a.py"]
    assert [item.path for item in reading.unchecked] == ["a.py"]
    assert reading.covered == ("src/a.py",)


def fix(text: str, region: dict[str, Any], uri: str = "a.py") -> dict[str, Any]:
    change = {"artifactLocation": {"uri": uri}, "replacements": [{"deletedRegion": region, "insertedContent": {"text": text}}]}
    return {"description": {"text": "better"}, "artifactChanges": [change]}


def test_fixes_become_edits() -> None:
    region = {"startLine": 1, "startColumn": 7, "endColumn": 8}
    (finding,) = read(log(result(fixes=[fix("3", region)]))).findings
    (suggested,) = finding.fixes
    assert suggested.description == "better"
    assert suggested.edits[0].text == "3"
    assert suggested.edits[0].location == Location(path="a.py", start_line=1, start_column=7, end_line=1, end_column=8)


@pytest.mark.parametrize(
    "bad",
    [
        fix("3", {"startLine": 99}),
        fix("3", {"startLine": 1}, "../../x"),
        fix("3", {"startLine": 1, "endColumn": 99}),
        fix("3", {}),
        {
            "artifactChanges": [
                {
                    "artifactLocation": {"uri": "a.py"},
                    "replacements": [{"deletedRegion": {"startLine": 1}, "insertedContent": {"binary": "AAAA"}}],
                }
            ]
        },
    ],
)
def test_fix_that_cannot_be_made_is_left_out_with_a_note(bad: dict[str, Any]) -> None:
    reading = read(log(result(fixes=[bad])))
    assert reading.findings[0].fixes == ()
    assert len(reading.notes) == 1


def test_fixes_of_a_place_that_has_changed_are_left_out() -> None:
    region = {"startLine": 1, "snippet": {"text": "zero = 0"}}
    reading = read(log(result(region=region, fixes=[fix("3", {"startLine": 1})])))
    assert reading.findings[0].fixes == ()
    assert "changed" in reading.notes[0]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "version"),
        (b'{"version": "2.0.0", "runs": []}', "2.0.0"),
        (b'{"version": "2.1.0"}', "runs is null"),
        (b'{"version": "2.1.0", "runs": {}}', "runs is an object"),
        (b'{"version": "2.1.0", "runs": [1]}', "runs[0] is an integer"),
        (b'{"version": "2.1.0", "runs": [{"tool": []}]}', "runs[0].tool is an array"),
        (b'{"version": "2.1.0", "runs": [{"results": {}}]}', "runs[0].results"),
        (b'{"version": "2.1.0", "runs": [{"results": [{"ruleId": 5}]}]}', "runs[0].results[0].ruleId"),
        (
            b'{"version": "2.1.0", "runs": [{"results": [{"locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.py"}, "region": {"startLine": "1"}}}]}]}]}',
            "startLine",
        ),
        (b'{"version": "2.1.0", "runs": [{"results": [{"ruleIndex": true}]}]}', "ruleIndex"),
        (b'{"version": "2.1.0", "runs": [], "x": NaN}', "NaN"),
        (b'{"version": "2.1.0", "runs": [], "x": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    ],
)
def test_malformed_log_is_told_by_name_and_place(data: bytes, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(data)
    assert "log.sarif" in caught.value.message
    assert word in caught.value.message


def test_log_with_too_many_results_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediator.records.sarif_reader._RESULTS", 2)
    with pytest.raises(ConfigError, match="more than 2 results"):
        read(log(result(), result(), result()))


def test_byte_order_mark_is_taken() -> None:
    assert read(b"\xef\xbb\xbf" + json.dumps(log(result())).encode()).findings
