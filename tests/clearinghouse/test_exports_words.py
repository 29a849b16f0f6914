"""What exports say: what was shown is said to be affected, hearsay is marked as such, and a fix that was taken back is told so."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from remediator.clearinghouse.exports import csaf, cyclonedx, openvex, osv
from remediator.clearinghouse.exports.product import Product
from remediator.clearinghouse.sbom import Component, Match, MatchLevel
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Tlp
from remediator.testing.published import AT, published_fix

LATER = AT + timedelta(days=3)
REVOKED = {"state": FixState.revoked, "revoked_reason": "bypassed by 0x41", "updated_at": LATER}
SUPERSEDED = {"state": FixState.superseded, "superseded_by": f"fix-{'d' * 24}", "updated_at": LATER}
MAKERS = {"osv": osv, "csaf": csaf, "openvex": openvex, "cyclonedx": cyclonedx}


def made(form: str, *published: Any) -> dict[str, Any]:
    return MAKERS[form].document(published[0] if len(published) == 1 else published, publisher="clearinghouse.example", at=AT)


def test_the_version_in_which_it_was_shown_is_affected_in_every_format() -> None:
    published = published_fix()
    (affected,) = made("osv", published)["affected"]
    assert affected == {"package": {"ecosystem": "PyPI", "name": "pyanyapi", "purl": "pkg:pypi/pyanyapi"}, "versions": ["0.6.0"]}
    (statement,) = made("openvex", published)["statements"]
    assert (statement["status"], statement["products"][0]["@id"]) == ("affected", "pkg:pypi/pyanyapi@0.6.0")
    assert statement["vulnerability"]["name"] == "CVE-2017-16616"
    advisory = made("csaf", published)
    (product,) = advisory["product_tree"]["full_product_names"]
    assert product["product_identification_helper"] == {"purl": "pkg:pypi/pyanyapi@0.6.0"}
    assert advisory["vulnerabilities"][0]["product_status"] == {"known_affected": [product["product_id"]]}
    bom = made("cyclonedx", published)
    assert bom["vulnerabilities"][0]["affects"] == [
        {"ref": "pkg:pypi/pyanyapi@0.6.0", "versions": [{"version": "0.6.0", "status": "affected"}]}
    ]
    assert bom["vulnerabilities"][0]["analysis"]["state"] == "exploitable"


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_a_release_that_only_the_submitter_calls_fixed_is_never_declared_fixed(form: str) -> None:
    document = made(form, published_fix(fix={"fixed_version": "0.6.1"}))
    text = json.dumps(document)
    assert "0.6.1" in text
    assert "pyanyapi@0.6.1" not in text
    assert not {"fixed", "first_fixed", "not_affected", "resolved"} & set(keys_and_words(document))


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_whose_flaw_it_is_where_no_scanner_sees_it_is_told_as_the_submitters_word(form: str) -> None:
    for shown_by, told in (("reproducer", True), ("scanner", False)):
        document = made(form, published_fix(fix={"validation": Validation(outcome="agreed", level=4, shown_by=shown_by)}))
        assert ("No scanner of the clearinghouse sees this flaw" in json.dumps(document)) is told
        if form == "osv":
            assert document["database_specific"]["names_as_said_by_submitter"] is told


def keys_and_words(value: object) -> list[str]:
    if isinstance(value, dict):
        return [word for key, each in value.items() for word in (key, *keys_and_words(each))]
    if isinstance(value, list):
        return [word for each in value for word in keys_and_words(each)]
    return [value] if isinstance(value, str) else []


def test_a_flaw_without_version_is_under_investigation_and_not_affected_everywhere() -> None:
    published = published_fix(flaw={"version": "", "commit": ""})
    (statement,) = made("openvex", published)["statements"]
    assert (statement["status"], "action_statement" in statement) == ("under_investigation", False)
    assert "not told" in statement["status_notes"]
    assert list(made("csaf", published)["vulnerabilities"][0]["product_status"]) == ["under_investigation"]
    assert made("cyclonedx", published)["vulnerabilities"][0]["analysis"]["state"] == "in_triage"
    assert "versions" not in made("osv", published)["affected"][0]


def test_a_repository_is_told_by_its_commit() -> None:
    commit = "ab" * 20
    published = published_fix(flaw={"project": "git@github.com:Stranger6667/PyAnyAPI.git", "version": "", "commit": commit})
    (affected,) = made("osv", published)["affected"]
    assert affected["ranges"] == [{"type": "GIT", "repo": "https://github.com/stranger6667/pyanyapi", "events": [{"introduced": commit}]}]
    assert "package" not in affected
    (statement,) = made("openvex", published)["statements"]
    assert statement["products"][0]["@id"] == f"pkg:github/stranger6667/pyanyapi@{commit}"


def test_a_commit_that_is_none_is_not_passed_on() -> None:
    published = published_fix(flaw={"project": "https://git.example/a", "version": "", "commit": "--upload-pack=x"})
    assert "--upload-pack" not in json.dumps([made(form, published) for form in MAKERS])


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_a_revoked_fix_is_told_as_withdrawn_with_its_reason(form: str) -> None:
    text = json.dumps(made(form, published_fix(fix=REVOKED)))
    assert "was withdrawn on 2026-11-28T12:00:00Z: bypassed by 0x41. Do not apply it." in text
    assert "Apply the patch" not in text


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_a_superseded_fix_names_the_one_that_replaces_it(form: str) -> None:
    text = json.dumps(made(form, published_fix(fix=SUPERSEDED)))
    assert f"was superseded by fix-{'d' * 24} on 2026-11-28T12:00:00Z" in text
    assert "Apply the patch" not in text


def test_withdrawal_in_the_formats_own_terms() -> None:
    published = published_fix(fix=REVOKED)
    record = made("osv", published)
    assert (record["withdrawn"], record["summary"][:14]) == ("2026-11-28T12:00:00Z", "Withdrawn fix:")
    assert "withdrawn" not in made("osv", published_fix())
    advisory = made("csaf", published)
    assert [each["category"] for each in advisory["vulnerabilities"][0]["remediations"]] == ["none_available"]
    assert advisory["document"]["tracking"]["version"] == "2"
    assert "withdrawn" in advisory["document"]["tracking"]["revision_history"][1]["summary"]
    vulnerability = made("cyclonedx", published)["vulnerabilities"][0]
    assert vulnerability["analysis"]["response"] == []
    assert "remediator:withdrawn-fix" in {each["name"] for each in vulnerability["properties"]}


@pytest.mark.parametrize("form", ["csaf", "openvex", "cyclonedx"])
def test_taking_a_fix_back_does_not_call_the_flaw_gone(form: str) -> None:
    document = made(form, published_fix(fix=REVOKED))
    words = keys_and_words(document)
    assert "rejected" not in words
    assert {"affected", "known_affected", "exploitable"} & set(words)


@pytest.mark.parametrize("form", ["csaf", "openvex", "cyclonedx"])
def test_competing_fixes_of_a_flaw_are_one_entry(form: str) -> None:
    document = made(form, published_fix(), published_fix(fix={"id": f"fix-{'e' * 24}", **REVOKED}))
    entries = document.get("statements") or document["vulnerabilities"]
    assert len(entries) == 1
    text = json.dumps(document)
    assert text.count("Apply the patch") == 1
    assert "Do not apply it" in text


def test_two_flaws_of_one_cve_share_it_without_breaking_csaf() -> None:
    other = published_fix(flaw={"id": f"flaw-{'f' * 24}", "project": "pkg:npm/pyanyapi"}, fix={"id": f"fix-{'e' * 24}"})
    first, second = made("csaf", published_fix(), other)["vulnerabilities"]
    assert (first["cve"], "cve" in second) == ("CVE-2017-16616", False)
    assert {"system_name": "CVE", "text": "CVE-2017-16616"} in second["ids"]


@pytest.mark.parametrize(
    ("flaw", "fix", "label"), [(Tlp.clear, Tlp.clear, "WHITE"), (Tlp.clear, Tlp.amber, "AMBER"), (Tlp.red, Tlp.green, "RED")]
)
def test_csaf_carries_the_strictest_marking(flaw: Tlp, fix: Tlp, label: str) -> None:
    assert made("csaf", published_fix(flaw={"tlp": flaw}, fix={"tlp": fix}))["document"]["distribution"]["tlp"]["label"] == label


def test_csaf_takes_a_namespace_of_the_publishers_own() -> None:
    def namespace(text: str) -> str:
        return csaf.document(published_fix(), publisher="x", at=AT, namespace=text)["document"]["publisher"]["namespace"]

    assert namespace("https://clearinghouse.example/") == "https://clearinghouse.example/"
    assert namespace("javascript:x").startswith("urn:uuid:")


def test_links_that_are_not_web_addresses_are_left_out() -> None:
    published = published_fix(
        flaw={"references": ("javascript:alert(1)", "https://ok.example/a?b=%20#c", "https://a b", "file:///etc/passwd")}
    )
    for form in MAKERS:
        text = json.dumps(made(form, published))
        assert "https://ok.example/a?b=%20#c" in text or form == "openvex"
        assert not [bad for bad in ("javascript:", "file:", "https://a b") if bad in text]


def test_markdown_of_a_stranger_is_code() -> None:
    details = "fine\n<img src=x onerror=alert(1)>\n```\n[click](https://evil.example)"
    lines = made("osv", published_fix(flaw={"details": details}))["details"].split("\n")
    assert [line for line in lines if "img" in line or "click" in line or "```" in line] == [
        "    <img src=x onerror=alert(1)>",
        "    ```",
        "    [click](https://evil.example)",
    ]


@pytest.mark.parametrize("form", ["csaf", "openvex"])
def test_a_document_about_nothing_is_refused_where_its_format_forbids_it(form: str) -> None:
    with pytest.raises(ValueError, match="no published fix"):
        MAKERS[form].document([], publisher="x", at=AT)


def test_nothing_published_is_an_empty_list_elsewhere() -> None:
    assert osv.document([], publisher="x", at=AT) == {"vulns": []}
    assert cyclonedx.document([], publisher="x", at=AT)["vulnerabilities"] == []


@pytest.mark.parametrize(
    ("level", "status", "state"),
    [
        (MatchLevel.exact, "affected", "exploitable"),
        (MatchLevel.range, "affected", "exploitable"),
        (MatchLevel.name_only, "under_investigation", "in_triage"),
        (MatchLevel.said_fixed, "under_investigation", "in_triage"),
    ],
)
def test_a_match_is_told_as_sure_as_it_is(level: MatchLevel, status: str, state: str) -> None:
    part = Component("ref", "pyanyapi", "0.6.0", "pkg:pypi/pyanyapi@0.6.0", "pkg:pypi/pyanyapi")
    found = [Match(part, published_fix(), level, "why")]
    (statement,) = openvex.of_matches(found, publisher="x", at=AT)["statements"]
    assert statement["status"] == status
    assert f"{level}: why." in statement["status_notes"]
    assert cyclonedx.of_matches(found, publisher="x", at=AT)["vulnerabilities"][0]["analysis"]["state"] == state


@pytest.mark.parametrize(
    ("project", "kind", "ecosystem", "name"),
    [
        ("pkg:pypi/Py_Any.API", "pypi", "PyPI", "py-any-api"),
        ("pkg:npm/%40scope/name", "npm", "npm", "@scope/name"),
        ("pkg:maven/org.example/art", "maven", "Maven", "org.example:art"),
        ("pkg:golang/github.com/a/b", "golang", "Go", "github.com/a/b"),
        ("pkg:cargo/serde", "cargo", "crates.io", "serde"),
    ],
)
def test_packages_are_named_as_osv_names_them(project: str, kind: str, ecosystem: str, name: str) -> None:
    product = Product(published_fix(flaw={"project": project}).flaw)
    assert product.kind == kind
    assert product.ecosystem is not None
    assert tuple(product.ecosystem) == (ecosystem, name)


def test_fixes_of_one_flaw_under_different_names_lose_none_of_them() -> None:
    # Each fix has the names that were checked with it: a flaw that was joined from two must not hide the second one's.
    one = published_fix(flaw={"aliases": ("CVE-2026-0001",)})
    two = published_fix(flaw={"aliases": ("CVE-2026-0002",)}, fix={"id": f"fix-{'e' * 24}"})
    part = Component("ref", "pyanyapi", "0.6.0", "pkg:pypi/pyanyapi@0.6.0", "pkg:pypi/pyanyapi")
    found = [Match(part, each, MatchLevel.exact, "why") for each in (one, two)]
    documents = [made(form, one, two) for form in ("csaf", "openvex", "cyclonedx")]
    documents += [make.of_matches(found, publisher="x", at=AT) for make in (openvex, cyclonedx)]
    for document in documents:
        assert {"CVE-2026-0001", "CVE-2026-0002"} <= set(json.dumps(document).replace('"', " ").replace(",", " ").split())
