"""Whatever a record holds, its exports are valid by the official schemas, formats included, and by the rules that schemas cannot say."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator, FormatChecker
from jsonschema.protocols import Validator
from packageurl import PackageURL
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT7

from remediator.clearinghouse.exports import csaf, cyclonedx, openvex, osv
from remediator.clearinghouse.sbom import Component, Match, MatchLevel, matches, parse_sbom
from remediator.clearinghouse.wire.answers import Published
from remediator.clearinghouse.wire.terms import FixState, Tlp
from remediator.records.record import canonical_json
from remediator.testing.published import AT, published_fix

SCHEMAS = Path(__file__).parents[1] / "data/schemas"
FORMATS = FormatChecker()
_PCHAR = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})"


@FORMATS.checks("uri")
def is_uri(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(rf"[A-Za-z][A-Za-z0-9+.-]*:{_PCHAR}+(?:#{_PCHAR}*)?", value) is not None


@FORMATS.checks("iri")
def is_iri(value: object) -> bool:
    # Stricter than an IRI has to be: ours are URIs.
    return is_uri(value)


@FORMATS.checks("iri-reference")
def is_iri_reference(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(rf"{_PCHAR}*(?:#{_PCHAR}*)?", value) is not None


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    if isinstance(value, str):
        datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    return True


def load(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text("utf-8"))


def csaf_validator() -> Validator:
    drafts = {"v2.0": DRAFT4, "v3.0": DRAFT4, "v3.1": DRAFT7}
    registry: Registry[Any] = Registry().with_resources(
        (f"https://www.first.org/cvss/cvss-{each}.json", Resource(load(f"cvss-{each}.schema.json"), draft))
        for each, draft in drafts.items()
    )
    return Draft202012Validator(load("csaf-2.0.schema.json"), registry=registry, format_checker=FORMATS)


def cyclonedx_validator() -> Validator:
    folder = resources.files("cyclonedx.schema") / "_res"
    names = ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs")
    texts = {f"{name}.SNAPSHOT.schema.json": json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text("utf-8")) for name in names}
    home = "http://cyclonedx.org/schema/"
    registry: Registry[Any] = Registry().with_resources((home + name, Resource(text, DRAFT7)) for name, text in texts.items())
    return Draft7Validator(texts["bom-1.6.SNAPSHOT.schema.json"], registry=registry, format_checker=FORMATS)


VALIDATORS: dict[str, Validator] = {
    "osv": Draft202012Validator(load("osv.schema.json"), format_checker=FORMATS),
    "csaf": csaf_validator(),
    "openvex": Draft202012Validator(load("openvex-0.2.0.schema.json"), format_checker=FORMATS),
    "cyclonedx": cyclonedx_validator(),
}
MAKERS = {"osv": osv, "csaf": csaf, "openvex": openvex, "cyclonedx": cyclonedx}
FORMS = sorted(VALIDATORS)


def faults(form: str, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:300]}" for error in VALIDATORS[form].iter_errors(document)]


def made(form: str, published: Any) -> dict[str, Any]:
    document: dict[str, Any] = MAKERS[form].document(published, publisher="clearinghouse.example", at=AT)
    # As it goes over the wire: anything that cannot be encoded would fail here.
    return json.loads(canonical_json(document).decode("ascii").encode("utf-8"))


HOSTILE = (
    "",
    " ",
    "\x1b[2J\u202eevil\x00",
    "<script>alert(1)</script>",
    "![x](javascript:alert(1))",
    "'; DROP TABLE flaws; --",
    "\ud83d\ude00 ünï \U0001f480",
    "../../etc/passwd",
    "{{7*7}}${7*7}%s%n",
    "x" * 9000,
    "\r\n\r\nHTTP/1.1 200 OK",
    "a\u2028b\u2029c\x85d",
)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
versions = st.one_of(st.just(""), st.sampled_from(("0.6.0", "1.0-rc1", "v2", "1:2.0-3", "2024-01-01", "*", "1.0 || 2.0")), texts)
purls = st.builds(
    lambda kind, namespace, name: PackageURL(kind, namespace, name).to_string(),
    st.sampled_from(("pypi", "npm", "maven", "golang", "deb", "rpm", "cargo", "generic", "github", "nuget", "swift", "docker")),
    st.sampled_from((None, "a/b", "org.example", "@scope", "ünï")),
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20).filter(lambda text: text.strip("/.")),
)
projects = st.one_of(
    st.sampled_from(
        (
            "https://github.com/Stranger6667/pyanyapi.git",
            "git@github.com:a/b.git",
            "ssh://git@git.example:2222/deep/er/tree",
            "https://bitbucket.org/a/b",
            "https://[::1]/a",
            "https://exa mple/<x>",
            'https://host/p%41th/"><script>',
            "https://höst/päth",
            "no/thing",
            "nothing",
            "pkg:",
            "pkg:x/",
            "pkg:pypi/PyAnyAPI@0.6.0?a=b#c",
        )
    ),
    purls,
    texts.filter(bool),
)
aliases = st.one_of(
    st.sampled_from(("CVE-2017-16616", "cve-2020-1", "CVE-2020-12345678901234567890123", "GHSA-qjx3-mmpv-p8h5", "PYSEC-2017-1")), texts
)
urls = st.one_of(
    st.sampled_from(("https://example.org/?q=1#x", "http://a", "javascript:alert(1)", "https://a b/", "https://a/%zz", "//x")), texts
)
commits = st.sampled_from(("", "ab" * 20, "cd" * 32, "HEAD", "--all", "AB" * 20))
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
numbers = st.text("0123456789abcdef", min_size=24, max_size=24)


@st.composite
def records(draw: st.DrawFn) -> Published:
    flaw = {
        "id": f"flaw-{draw(numbers)}",
        "project": draw(projects),
        "version": draw(versions),
        "commit": draw(commits),
        "cwe": tuple(draw(st.lists(st.integers(1, 99_999), max_size=3))),
        "aliases": tuple(draw(st.lists(aliases, max_size=4))),
        "severity": draw(st.sampled_from(("critical", "high", "medium", "low", "info", "?"))),
        "title": draw(texts),
        "details": draw(texts),
        "references": tuple(draw(st.lists(urls, max_size=3))),
        "tlp": draw(st.sampled_from(Tlp)),
        "first_seen": draw(moments),
        "updated_at": draw(moments),
    }
    published_at = draw(moments)
    fix = {
        "id": f"fix-{draw(numbers)}",
        "state": draw(st.sampled_from((FixState.verified, FixState.revoked, FixState.superseded))),
        "level": draw(st.one_of(st.none(), st.integers(0, 5))),
        "fixed_version": draw(versions),
        "tlp": draw(st.sampled_from(Tlp)),
        "superseded_by": draw(st.sampled_from(("", f"fix-{'d' * 24}"))),
        "revoked_reason": draw(texts),
        "updated_at": draw(st.datetimes(published_at.replace(tzinfo=None), datetime(9999, 12, 31), timezones=st.just(UTC))),
    }
    return published_fix(flaw=flaw, fix=fix, published_at=published_at)


many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("form", FORMS)
@many
@given(record=records())
def test_any_record_gives_a_valid_document(form: str, record: Published) -> None:
    assert faults(form, made(form, record)) == []


@pytest.mark.parametrize("form", ["csaf", "openvex", "cyclonedx"])
@many
@given(found=st.lists(records(), min_size=1, max_size=4))
def test_any_records_together_give_a_valid_document(form: str, found: list[Published]) -> None:
    assert faults(form, made(form, found)) == []


@many
@given(found=st.lists(records(), max_size=3))
def test_osv_of_several_is_a_list_of_valid_records(found: list[Published]) -> None:
    document = made("osv", found)
    assert len(document["vulns"]) == len(found)
    assert [faults("osv", each) for each in document["vulns"]] == [[] for _ in found]


@many
@given(found=st.lists(records(), min_size=1, max_size=4))
def test_csaf_keeps_the_rules_that_its_schema_cannot_say(found: list[Published]) -> None:
    document = made("csaf", found)
    tracking = document["document"]["tracking"]
    dates = [each["date"] for each in tracking["revision_history"]]
    assert dates == sorted(dates)
    assert (tracking["initial_release_date"], tracking["current_release_date"]) == (dates[0], dates[-1])
    assert tracking["version"] == tracking["revision_history"][-1]["number"]
    defined = [each["product_id"] for each in document["product_tree"]["full_product_names"]]
    assert len(defined) == len(set(defined))
    cves = Counter(each["cve"] for each in document["vulnerabilities"] if "cve" in each)
    assert all(count == 1 for count in cves.values())
    for each in document["vulnerabilities"]:
        said = [ident for group in each["product_status"].values() for ident in group]
        mended = [ident for remediation in each["remediations"] for ident in remediation["product_ids"]]
        assert len(said) == len(set(said))
        assert {*said, *mended} <= set(defined)
        assert each["notes"]
        assert each.get("cve") or each["ids"]


@st.composite
def found_matches(draw: st.DrawFn) -> list[Match]:
    parts = st.builds(
        lambda ref, name, version, purl: Component(ref, name, version, purl, purl, () if purl else ("host.example/a",)),
        texts,
        texts,
        versions,
        st.one_of(st.just(""), purls),
    )
    levels = st.sampled_from((MatchLevel.exact, MatchLevel.range, MatchLevel.name_only))
    return draw(st.lists(st.builds(Match, parts, records(), levels, texts), min_size=1, max_size=4))


@pytest.mark.parametrize("form", ["openvex", "cyclonedx"])
@many
@given(found=found_matches())
def test_documents_about_an_operators_components_are_valid(form: str, found: list[Match]) -> None:
    document = MAKERS[form].of_matches(found, publisher="operator", at=AT)
    assert faults(form, json.loads(canonical_json(document))) == []


@many
@given(record=records())
def test_no_export_carries_what_a_terminal_obeys(record: Published) -> None:
    for form in FORMS:
        plain = json.dumps(made(form, record), ensure_ascii=False)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", plain)


BROKEN: dict[str, Any] = {
    "osv": lambda document: document.update(modified="yesterday"),
    "csaf": lambda document: document["vulnerabilities"][0]["references"][0].update(url="not a uri"),
    "openvex": lambda document: document["statements"][0].pop("action_statement"),
    "cyclonedx": lambda document: document["vulnerabilities"][0]["advisories"].append({"title": "no url"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_broken_document_is_found_out(form: str) -> None:
    document = made(form, published_fix())
    assert faults(form, document) == []
    BROKEN[form](document)
    assert faults(form, document) != []


@pytest.mark.parametrize("form", FORMS)
def test_the_same_record_gives_the_same_bytes(form: str) -> None:
    assert canonical_json(made(form, published_fix())) == canonical_json(made(form, published_fix()))
    assert canonical_json(made(form, published_fix())) != canonical_json(made(form, published_fix(flaw={"title": "other"})))


def test_what_a_bill_matches_is_exported() -> None:
    bill = parse_sbom(
        json.dumps(
            {
                "bomFormat": "CycloneDX",
                "specVersion": "1.6",
                "components": [{"name": "pyanyapi", "version": "0.6.0", "purl": "pkg:pypi/PyAnyAPI@0.6.0"}],
            }
        ).encode(),
        source="bill",
    )
    found = matches(bill, [published_fix()])
    vex = openvex.of_matches(found, publisher="operator", at=AT + timedelta(days=1))
    assert vex["statements"][0]["status"] == "affected"
    assert vex["statements"][0]["products"][0]["identifiers"]["purl"] == "pkg:pypi/pyanyapi@0.6.0"
    bom = cyclonedx.of_matches(found, publisher="operator", at=AT)
    assert [each["purl"] for each in bom["components"]] == ["pkg:pypi/pyanyapi@0.6.0"]
    assert bom["vulnerabilities"][0]["affects"][0]["ref"] == bom["components"][0]["bom-ref"]
