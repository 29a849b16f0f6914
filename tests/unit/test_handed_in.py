"""Findings that are handed in: read, chosen, held against the target, and told apart from what scanners saw."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remediator.engine.request import FixRequest
from remediator.engine.supplied import handed_in
from remediator.errors import ConfigError, UsageError
from remediator.records import Finding, Location, ScanReport, Severity, Source, SourceKind
from remediator.records.advisory import Advisory, read_advisory
from remediator.records.described import described, location_of
from remediator.records.finding_file import read_findings
from remediator.testing.fake_tree import FakeTree

DATA = Path(__file__).parents[1] / "data" / "advisories"


def found(line: int = 5, scanner: str = "semgrep", severity: Severity = Severity.medium) -> Finding:
    where = Location(path="app.py", start_line=line, end_line=line)
    return Finding.at(rule_id="yaml-load", scanner=scanner, message="m", location=where, snippet=f"s{line}", cwe=(502,), severity=severity)


def advisory() -> Advisory:
    return read_advisory((DATA / "osv.json").read_bytes(), "osv.json")


WORDS = described("a link leads out of the folder", cwe=(59,))


def test_a_description_keeps_its_id_when_its_contract_changes() -> None:
    other = described("a link leads out of the folder", contract="no path outside", severity=Severity.high)
    assert (other.id, other.contract, other.scanner) == (WORDS.id, "no path outside", "described")
    assert described("a link leads out of the folder", at="app.py").id != WORDS.id


@pytest.mark.parametrize("text", ["", " \n", "x" * 20_000])
def test_a_description_says_something_in_bounds(text) -> None:
    with pytest.raises(UsageError):
        described(text)


@pytest.mark.parametrize(
    ("text", "path", "line"), [("a/b.py:12", "a/b.py", 12), ("a/b.py", "a/b.py", 1), ("./a.py:3", "a.py", 3), ("odd:name", "odd:name", 1)]
)
def test_a_place_in_words(text, path, line) -> None:
    place = location_of(text)
    assert (place.path, place.start_line) == (path, line)


@pytest.mark.parametrize("text", ["", "/etc/passwd", "../x.py", "a//b.py", "a.py:0", ":3", "a/"])
def test_a_place_outside_of_the_target_is_none(text) -> None:
    with pytest.raises(UsageError):
        location_of(text)


def test_findings_are_read_as_they_are_printed() -> None:
    one, two = found(5), found(9)
    assert read_findings(one.model_dump_json().encode(), "f") == (one,)
    assert read_findings(json.dumps([one.as_json(), two.as_json(), one.as_json()]).encode(), "f") == (one, two)
    assert read_findings(json.dumps({"schema_version": 1, "findings": [two.as_json()]}).encode(), "f") == (two,)


def test_a_finding_of_an_earlier_release_is_read() -> None:
    old = found().as_json()
    del old["contract"]
    assert read_findings(json.dumps(old).encode(), "f") == (found(),)


def test_a_finding_without_id_gets_the_one_of_its_content() -> None:
    plain = {name: value for name, value in found().as_json().items() if name not in ("id", "key")}
    assert read_findings(json.dumps(plain).encode(), "f") == (found(),)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "rule_id"),
        ([], "0 findings"),
        ([3], "no finding"),
        ({"rule_id": "r", "scanner": "s", "message": "m", "colour": "red"}, "colour"),
        ({**found().as_json(), "id": "f-\x1b[2J"}, "id or key"),
        ({**found().as_json(), "key": ""}, "id or key"),
    ],
)
def test_a_file_of_something_else_is_refused(value, told) -> None:
    with pytest.raises(ConfigError, match=told):
        read_findings(json.dumps(value).encode(), "f.json")


def test_handed_in_findings_alone_are_wanted_where_nothing_else_is_selected() -> None:
    request = FixRequest(target=".", supplied=(WORDS,))
    assert request.wants(WORDS) and not request.wants(found())
    both = FixRequest(target=".", supplied=(WORDS,), advisories=(advisory(),))
    assert both.wants(WORDS) and both.wants(advisory().finding) and not both.wants(found())


def test_other_selections_add_to_what_is_handed_in() -> None:
    for selection in ({"only": ("CWE-502",)}, {"paths": ("app.py",)}, {"severity": Severity.medium}):
        request = FixRequest(target=".", supplied=(WORDS,), **selection)
        assert request.wants(WORDS) and request.wants(found())
    strict = FixRequest(target=".", supplied=(WORDS,), severity=Severity.critical)
    assert strict.wants(WORDS) and not strict.wants(found())
    sarif = FixRequest(target=".", supplied=(WORDS,), sarif=(Path("x"),))
    assert sarif.wants(found(scanner="sarif")) and not sarif.wants(found())


def test_only_chooses_among_what_is_handed_in() -> None:
    request = FixRequest(target=".", supplied=(WORDS,), advisories=(advisory(),), only=("CVE-2024-99001",))
    assert request.wants(advisory().finding) and not request.wants(WORDS)


def test_a_request_of_an_earlier_release_is_read() -> None:
    assert FixRequest.model_validate({"target": ".", "findings": None}) == FixRequest(target=".")


def test_what_is_handed_in_and_found_is_told_as_found_with_its_contract() -> None:
    given = found().model_copy(update={"message": "other words", "contract": "safe"})
    report = ScanReport(tree="t", findings=(found(9), found()), supplied=(WORDS, given))
    assert [finding.id for finding in report.known] == [WORDS.id, found().id, found(9).id]
    assert (report.known[1].message, report.known[1].contract) == ("m", "safe")
    assert report.findings == (found(9), found())


def source(kind: SourceKind, name: str, version: str = "") -> Source:
    return Source(kind=kind, uri="u", name=name, commit="c", tree="t", version=version)


PROJECT = b'[project]\nname = "tidy.paths"\nversion = "1.4.2"\n'


@pytest.mark.parametrize(
    ("where", "files", "doubts"),
    [
        (source(SourceKind.package, "tidy-paths", "1.3"), {}, 0),
        (source(SourceKind.path, "checkout"), {"pyproject.toml": PROJECT}, 1),
        (source(SourceKind.path, "checkout"), {}, 1),
    ],
)
def test_an_advisory_is_held_against_the_target(where, files, doubts) -> None:
    given = handed_in(FixRequest(target=".", advisories=(advisory(),)), where, FakeTree({"app.py": "x\n", **files}))
    assert given.findings == (advisory().finding,)
    assert len(given.doubts) == doubts


@pytest.mark.parametrize(
    ("where", "files"),
    [
        (source(SourceKind.package, "other", "1.3"), {}),
        (source(SourceKind.path, "checkout"), {"pyproject.toml": b'[project]\nname = "other"\n'}),
    ],
)
def test_an_advisory_of_another_package_is_refused(where, files) -> None:
    with pytest.raises(ConfigError, match="is about PyPI:Tidy_Paths") as caught:
        handed_in(FixRequest(target=".", advisories=(advisory(),)), where, FakeTree({"app.py": "x\n", **files}))
    assert "--describe" in caught.value.hint


def test_words_that_name_a_file_that_is_not_there_are_refused() -> None:
    tree, where = FakeTree({"app.py": "x\n"}), source(SourceKind.path, "checkout")
    with pytest.raises(UsageError, match="lost.py"):
        handed_in(FixRequest(target=".", supplied=(described("d", at="lost.py"),)), where, tree)
    assert handed_in(FixRequest(target=".", supplied=(described("d", at="app.py:1"),)), where, tree).doubts == ()


def test_who_can_find_it_again() -> None:
    assert WORDS.unseen_by(["semgrep"]) and advisory().finding.unseen_by(["advisory"])
    assert found(scanner="bandit").unseen_by(["semgrep"]) and not found().unseen_by(["semgrep"])
