"""Advisories of all three forms become findings; what is no advisory, or about something else, is told."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remediator.errors import ConfigError
from remediator.records.advisory import Advisory, read_advisory
from remediator.records.affected import AffectedPackage, Subject
from remediator.records.cvss import severity_of_vector, severity_of_word
from remediator.records.finding import Severity

DATA = Path(__file__).parents[1] / "data" / "advisories"
REAL = Path(__file__).parents[3] / "shared" / "data" / "osv-PyPI.zip"
FORMS = ("osv", "ghsa", "cve")
COMMIT = "https://git.example.org/tidy/paths/commit/0123456789abcdef0123456789abcdef01234567"


def value_of(form: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{form}.json").read_text())
    return found


def read(form: str, **changes: Any) -> Advisory:
    return read_advisory(json.dumps({**value_of(form), **changes}).encode(), f"{form}.json")


def real(*names: str) -> list[Advisory]:
    if not REAL.is_file():
        pytest.skip("the collection of real advisories is not on this machine")
    with zipfile.ZipFile(REAL) as archive:
        return [read_advisory(archive.read(f"{name}.json"), name) for name in names]


@pytest.mark.parametrize(
    ("form", "rule", "severity", "cwe", "aliases"),
    [
        ("osv", "EXAMPLE-2024-1", Severity.high, (22, 59), ("CVE-2024-99001", "GHSA-2222-3333-4444")),
        ("ghsa", "GHSA-2222-3333-4444", Severity.medium, (22,), ("CVE-2024-99001",)),
        ("cve", "CVE-2024-99001", Severity.critical, (22,), ("GHSA-2222-3333-4444",)),
    ],
)
def test_each_form_becomes_a_finding_without_a_place(form, rule, severity, cwe, aliases) -> None:
    finding = read(form).finding
    assert (finding.scanner, finding.rule_id, finding.location, finding.path) == ("advisory", rule, None, "")
    assert (finding.severity, finding.cwe, finding.aliases) == (severity, cwe, aliases)
    assert finding.headline == "Half a path is checked in tidy-paths"
    assert "out of the folder" in finding.message and "halbe" not in finding.message


def test_fix_commits_come_before_other_links() -> None:
    assert read("osv").finding.references == (COMMIT, "https://example.org/issues/7", "https://example.org/news")
    assert read("ghsa").finding.references[0] == COMMIT
    assert read("cve").finding.references[0] == "https://git.example.org/tidy/paths/pull/8"


def test_an_advisory_is_known_by_its_id_and_not_by_its_words() -> None:
    assert read("osv", details="mended words").finding.id == read("osv").finding.id
    assert read("osv", id="EXAMPLE-2024-2").finding.id != read("osv").finding.id


@pytest.mark.parametrize("form", FORMS)
def test_it_is_written_and_read_again(form) -> None:
    assert Advisory.from_json(read(form).model_dump_json()) == read(form)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "too deeply"),
        (b"[{}]", "is a list"),
        (b"7", "not an object"),
        (b"{}", "no advisory"),
        (b'{"data_type": "CVE"}', "version 4"),
        (b'{"id": "X-1", "affected": 3, "summary": "s"}', "affected is an integer"),
        (b'{"id": "X-1", "affected": [], "summary": ["s"]}', "summary is an array"),
        (b'{"id": "\\u001b[2J", "affected": [], "summary": "s"}', "no advisory's id"),
        (b'{"id": "X-1", "affected": []}', "says nothing"),
        (b'{"id": "X-1", "affected": [], "summary": "s", "withdrawn": "2024-01-01T00:00:00Z"}', "withdrawn on 2024-01-01"),
        (b'{"ghsa_id": "GHSA-2222-3333-4444", "summary": "s", "withdrawn_at": "2024-01-01"}', "withdrawn on 2024-01-01"),
        (b'{"ghsa_id": "GHSA-2222-3333-4444", "summary": "s", "references": 3}', "references is an integer"),
        (b'{"cveMetadata": {"cveId": "CVE-2024-1", "state": "REJECTED"}}', "REJECTED"),
        (b'{"id": "X-1", "affected": [], "summary": "' + b"a" * 5_000_000 + b'"}', "larger than"),
    ],
)
def test_what_is_no_advisory_in_force_is_refused_with_a_way_on(data, told) -> None:
    with pytest.raises(ConfigError) as caught:
        read_advisory(data, "a.json")
    assert told in caught.value.message and "a.json" in caught.value.message
    assert caught.value.hint


def test_hostile_text_is_kept_as_data_and_in_bounds() -> None:
    finding = read("osv", summary="run `rm -rf`\x1b[2J", details="\ud800" + "x" * 20_000).finding
    assert "\x1b[2J" in finding.message
    assert len(finding.message) < 8_200 and finding.message.endswith("characters]")
    finding.message.encode("utf-8")


@pytest.mark.parametrize(
    ("subject", "misfit", "doubts"),
    [
        (Subject(name="tidy.paths", version="1.3"), False, 0),
        (Subject(name="TIDY_paths", version="2.1"), False, 0),
        (Subject(name="tidy-paths", version="1.4.2"), False, 1),
        (Subject(name="tidy-paths", version="2.2"), False, 1),
        (Subject(name="tidy-paths", version="not a version"), False, 0),
        (Subject(name="tidy-paths"), False, 0),
        (Subject(name="other", version="1.3"), True, 0),
        (Subject(name="other", uri="git@git.example.org:tidy/paths.git"), False, 0),
        (Subject(guess="tidy-paths"), False, 0),
        (Subject(guess="checkout"), False, 1),
    ],
)
def test_whether_it_is_about_the_target(subject, misfit, doubts) -> None:
    found = read("osv").fits(subject)
    assert (bool(found.misfit), len(found.doubts)) == (misfit, doubts), found


def test_a_product_in_free_words_is_only_doubted() -> None:
    found = read("cve").fits(Subject(name="other", version="1.3"))
    assert not found.misfit and "tidy paths" in found.doubts[0]
    assert read("cve").fits(Subject(name="tidy-paths", version="1.3")) == ("", ())


def test_a_package_of_another_ecosystem_is_another_package() -> None:
    affected = [{"package": {"ecosystem": "npm", "name": "tidy-paths"}}]
    assert read("osv", affected=affected).fits(Subject(name="tidy-paths")).misfit


@pytest.mark.parametrize(
    ("package", "version", "expected"),
    [
        (AffectedPackage(name="p"), "1", None),
        (AffectedPackage(name="p", versions=("1.0", "odd")), "1", True),
        (AffectedPackage(name="p", versions=("1.0", "odd")), "2", False),
        (AffectedPackage(name="p", ranges=(">=1,<2",)), "2rc1", True),
        (AffectedPackage(name="p", ranges=("= 1.5",)), "1.5.0", True),
        (AffectedPackage(name="p", ranges=("fewer than 2",)), "1", None),
    ],
)
def test_which_versions_are_affected(package, version, expected) -> None:
    assert package.affects(version) is expected


@pytest.mark.parametrize(
    ("vector", "severity"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "high"),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "medium"),
        ("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "low"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "info"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "critical"),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", "high"),
        ("CVSS:3.1/AV:N", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_a_vector_says_how_bad_it_is(vector, severity) -> None:
    assert severity_of_vector(vector) == severity


def test_a_publishers_word_goes_before_a_vector() -> None:
    assert read("osv", database_specific={"severity": "LOW"}).finding.severity is Severity.low
    assert read("osv", severity=[]).finding.severity is Severity.medium
    assert severity_of_word("Important") is Severity.high and severity_of_word("dire") is None


def test_real_advisories_are_read() -> None:
    jwt, other = real("PYSEC-2022-202", "PYSEC-2021-335")
    assert "CVE-2022-29217" in jwt.finding.aliases
    assert jwt.fits(Subject(name="PyJWT", version="2.3.0")) == ("", ())
    assert jwt.fits(Subject(name="PyJWT", version="2.4.0")).doubts
    assert jwt.fits(Subject(name="joblib", version="1.1.0")).misfit
    assert jwt.finding.references[0].startswith("https://github.com/jpadilla/pyjwt/commit/")
    assert jwt.finding.id != other.finding.id


def test_every_real_advisory_is_read_or_withdrawn() -> None:
    if not REAL.is_file():
        pytest.skip("the collection of real advisories is not on this machine")
    read_ids, refused = set(), []
    with zipfile.ZipFile(REAL) as archive:
        names = [name for name in archive.namelist() if name.endswith(".json")][::4]
        for name in names:
            try:
                advisory = read_advisory(archive.read(name), name)
            except ConfigError as error:
                refused.append(error.message)
                continue
            read_ids.add(advisory.finding.id)
            assert advisory.packages and advisory.finding.message
    assert len(read_ids) == len(names) - len(refused)
    assert all("withdrawn" in message for message in refused)
