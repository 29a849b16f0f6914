"""A bill of materials is read in each of its forms, as a stranger's, and says of each component what can be said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as CdxComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from remediator.clearinghouse import sbom as module
from remediator.clearinghouse.sbom import Match, MatchLevel, Sbom, SbomError, matches, parse_sbom, read_sbom, said_fixed
from remediator.clearinghouse.versions import older, same
from remediator.clearinghouse.wire.terms import FixState
from remediator.testing.published import published_fix


def bill(*purls: str, **more: Any) -> Sbom:
    components = [{"type": "library", "name": purl.rpartition("/")[2].partition("@")[0], "purl": purl} for purl in purls]
    return parse_sbom(
        json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components, **more}).encode(), source="bill"
    )


def only(found: list[Match]) -> Match:
    (match,) = found
    return match


def real_bom() -> Bom:
    bom = Bom()
    bom.metadata.component = CdxComponent(name="hospital", version="1", type=ComponentType.APPLICATION)
    inner = CdxComponent(name="lodash", version="4.17.20", purl=PackageURL("npm", None, "lodash", "4.17.20"), bom_ref="inner")
    outer = CdxComponent(
        name="bundle", version="2", purl=PackageURL("npm", "@scope", "bundle", "2.0.0"), components=[inner], bom_ref="outer"
    )
    main = CdxComponent(
        name="pyanyapi",
        version="0.6.0",
        purl=PackageURL("pypi", None, "pyanyapi", "0.6.0"),
        external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri("https://github.com/Stranger6667/pyanyapi.git"))],
    )
    bom.components.update([outer, main, CdxComponent(name="in-house", version="7")])
    bom.register_dependency(bom.metadata.component, [outer, main])
    return bom


@pytest.mark.parametrize("form", [OutputFormat.JSON, OutputFormat.XML])
@pytest.mark.parametrize(
    "version", [SchemaVersion.V1_2, SchemaVersion.V1_3, SchemaVersion.V1_4, SchemaVersion.V1_5, SchemaVersion.V1_6, SchemaVersion.V1_7]
)
def test_cyclonedx_as_its_own_library_writes_it(form: OutputFormat, version: SchemaVersion) -> None:
    text = make_outputter(real_bom(), form, version).output_as_string(indent=1)
    found = parse_sbom(text.encode(), source="bill")
    assert found.form == f"CycloneDX {version.to_version()} {form.name}"
    assert {(each.project, each.version) for each in found.components} == {
        ("pkg:npm/%40scope/bundle", "2"),
        ("pkg:npm/lodash", "4.17.20"),
        ("pkg:pypi/pyanyapi", "0.6.0"),
    }
    assert set(found.unnamed) == {"hospital 1", "in-house 7"}
    assert {each.repositories for each in found.components if each.name == "pyanyapi"} == {("github.com/stranger6667/pyanyapi",)}


def test_ancestors_and_tools_are_not_in_the_product() -> None:
    text = """<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6"><metadata><tools><components>
      <component type="application"><name>scanner</name><purl>pkg:pypi/scanner@1</purl></component></components></tools></metadata>
      <components><component type="library"><name>mine</name><version>2</version><purl>pkg:pypi/mine@2</purl><pedigree><ancestors>
      <component type="library"><name>theirs</name><version>1</version><purl>pkg:pypi/theirs@1</purl></component></ancestors></pedigree>
      </component></components></bom>"""
    found = parse_sbom(text.encode(), source="bill")
    assert [(each.name, each.version, each.project) for each in found.components] == [("mine", "2", "pkg:pypi/mine")]


def test_spdx_two() -> None:
    document = {
        "spdxVersion": "SPDX-2.3",
        "packages": [
            {
                "SPDXID": "SPDXRef-1",
                "name": "pyanyapi",
                "versionInfo": "0.6.0",
                "downloadLocation": "git+https://github.com/Stranger6667/pyanyapi.git@" + "ab" * 20,
                "externalRefs": [
                    {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x:y:1:*:*:*:*:*:*:*"},
                    {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:pypi/pyanyapi@0.6.0"},
                ],
            },
            {"SPDXID": "SPDXRef-2", "name": "mystery", "downloadLocation": "NOASSERTION"},
        ],
    }
    found = parse_sbom(json.dumps(document).encode(), source="bill")
    assert found.form == "SPDX-2.3 JSON"
    assert [(each.ref, each.project, each.repositories) for each in found.components] == [
        ("SPDXRef-1", "pkg:pypi/pyanyapi", ("github.com/stranger6667/pyanyapi",))
    ]
    assert found.unnamed == ("mystery",)


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE bom [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component><name>&b;</name></component></components></bom>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE bom [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components><component><name>&x;</name></component></components></bom>"""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "neither XML nor JSON"),
        (b"\xff\xfe\x00", "neither XML nor JSON"),
        (b"[" * 100_000, "neither XML nor JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "neither XML nor JSON"),
        (b"[]", "no object"),
        (b"{}", "no bill of materials"),
        (b'{"spdxVersion": "SPDX-3.0"}', "no bill of materials"),
        (b'{"@graph": []}', "SPDX 3"),
        (b'{"bomFormat": "CycloneDX", "components": {}}', "'components' is no array"),
        (b'{"bomFormat": "CycloneDX", "components": [7]}', "no object"),
        (b'{"spdxVersion": "SPDX-2.3", "packages": [[]]}', "no object"),
        (b"<a/>", "no CycloneDX"),
        (b"<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>", "not well-formed"),
        (b"<?xml version='1.0' encoding='klingon'?><bom/>", "encoding|well-formed"),
        (b"<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>" + b"<x>" * 300, "deep"),
        (LAUGHS, "document type"),
        (OUTSIDE, "document type"),
    ],
)
def test_what_is_no_bill_is_refused_with_a_reason(data: bytes, words: str) -> None:
    with pytest.raises(SbomError, match=words):
        parse_sbom(data, source="bill")


def test_a_bill_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bill.json"
    path.write_text(json.dumps({"bomFormat": "CycloneDX", "components": [{"name": "a", "purl": "pkg:pypi/a@1"}] * 3}))
    assert len(read_sbom(path).components) == 3
    monkeypatch.setattr(module, "MOST_COMPONENTS", 2)
    with pytest.raises(SbomError, match="more than 2 components"):
        read_sbom(path)
    (tmp_path / "bomb.json").write_bytes(b'{"bomFormat": "CycloneDX", "components": [' + b"[]," * 20_000_000 + b"[]]}")
    with pytest.raises(SbomError, match="JSON values"):
        read_sbom(tmp_path / "bomb.json")
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    with pytest.raises(SbomError, match="more than 10 bytes"):
        read_sbom(path)
    with pytest.raises(SbomError, match="cannot be read"):
        read_sbom(tmp_path / "absent")


def test_deep_nesting_is_read_without_recursion() -> None:
    inner: dict[str, Any] = {"name": "deep", "purl": "pkg:pypi/deep@1"}
    for _ in range(150):
        inner = {"name": "x", "components": [inner]}
    found = parse_sbom(json.dumps({"bomFormat": "CycloneDX", "components": [inner]}).encode(), source="bill")
    assert [each.project for each in found.components] == ["pkg:pypi/deep"]


@settings(max_examples=300, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just("\ud800"),
        lambda each: (
            st.lists(each)
            | st.dictionaries(
                st.sampled_from(("components", "purl", "name", "version", "externalReferences", "type", "url", "bom-ref")), each
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    data = json.dumps({"bomFormat": "CycloneDX", "components": value}).encode()
    try:
        found = parse_sbom(data, source="bill")
    except SbomError:
        return
    for each in found.components:
        "".join((each.ref, each.name, each.version, each.purl)).encode()
    matches(found, [published_fix()])


VERSIONS = [
    ("pkg:pypi/pyanyapi@0.6.0", {}, MatchLevel.exact),
    ("pkg:pypi/PyAnyAPI@0.6", {}, MatchLevel.exact),
    ("pkg:pypi/pyanyapi@0.5.0", {}, MatchLevel.name_only),
    ("pkg:pypi/pyanyapi@0.6.1", {}, MatchLevel.name_only),
    ("pkg:pypi/pyanyapi", {"fixed_version": "0.6.1"}, MatchLevel.name_only),
    ("pkg:pypi/pyanyapi@0.5.0", {"fixed_version": "0.6.1"}, MatchLevel.range),
    ("pkg:pypi/pyanyapi@0.6.1rc1", {"fixed_version": "0.6.1"}, MatchLevel.range),
    ("pkg:pypi/pyanyapi@0.6.1", {"fixed_version": "0.6.1"}, MatchLevel.said_fixed),
    ("pkg:pypi/pyanyapi@0.10", {"fixed_version": "0.6.1"}, MatchLevel.said_fixed),
    ("pkg:pypi/pyanyapi@garbage", {"fixed_version": "0.6.1"}, MatchLevel.name_only),
    ("pkg:pypi/pyanyapi@0.10", {"fixed_version": "garbage"}, MatchLevel.name_only),
    # A release that is older than what was shown to be vulnerable cannot carry the fix: nothing may be concluded from it.
    ("pkg:pypi/pyanyapi@0.5.0", {"fixed_version": "0.1"}, MatchLevel.name_only),
    ("pkg:pypi/pyanyapi@0.6.0", {"fixed_version": "0.1"}, MatchLevel.exact),
    ("pkg:pypi/pyanyapi@9", {"fixed_version": "0.6.0"}, MatchLevel.name_only),
]


@pytest.mark.parametrize(("purl", "fix", "level"), VERSIONS)
def test_a_match_says_how_sure_it_is(purl: str, fix: dict[str, str], level: MatchLevel) -> None:
    published = [published_fix(fix=fix)]
    found = matches(bill(purl), published)
    quiet = said_fixed(bill(purl), published)
    assert (found == []) is (level is MatchLevel.said_fixed)
    assert only(found or quiet).level is level
    assert only(found or quiet).why


@pytest.mark.parametrize("purl", ["pkg:pypi/other@0.6.0", "pkg:npm/pyanyapi@0.6.0", "pkg:pypi/x/pyanyapi@0.6.0"])
def test_another_package_does_not_match(purl: str) -> None:
    assert matches(bill(purl), [published_fix()]) == []
    assert said_fixed(bill(purl), [published_fix()]) == []


@pytest.mark.parametrize(
    ("purl", "project", "level"),
    [
        ("pkg:github/Stranger6667/pyanyapi@" + "ab" * 20, "https://github.com/stranger6667/pyanyapi.git", MatchLevel.exact),
        ("pkg:github/Stranger6667/pyanyapi@v0.6.0", "git@github.com:Stranger6667/pyanyapi", MatchLevel.name_only),
        ("pkg:github/stranger6667/pyanyapi@0.6.0", "pkg:github/Stranger6667/pyanyapi", MatchLevel.exact),
        ("pkg:golang/github.com/stranger6667/pyanyapi/v2@0.6.0", "https://github.com/stranger6667/pyanyapi", MatchLevel.exact),
        (
            "pkg:pypi/fork@1.0?vcs_url=git%2Bhttps://github.com/stranger6667/pyanyapi.git",
            "https://github.com/stranger6667/pyanyapi",
            MatchLevel.name_only,
        ),
    ],
)
def test_a_repository_is_found_under_its_other_names(purl: str, project: str, level: MatchLevel) -> None:
    published = published_fix(flaw={"project": project, "commit": "ab" * 20}, fix={"fixed_version": "0.6.1"})
    assert only(matches(bill(purl), [published])).level is level


def test_a_withdrawn_fix_still_matches_and_says_so() -> None:
    found = matches(bill("pkg:pypi/pyanyapi@0.6.0"), [published_fix(fix={"state": FixState.revoked}), published_fix()])
    assert [(match.level, match.withdrawn) for match in found] == [(MatchLevel.exact, True), (MatchLevel.exact, False)]


@pytest.mark.parametrize("project", ["nothing", "pkg:", "a b", ""])
def test_a_project_that_is_none_matches_nothing(project: str) -> None:
    assert matches(bill("pkg:pypi/pyanyapi@0.6.0"), [published_fix(flaw={"project": project})]) == []


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("pypi", "1.0rc1", "1.0"),
        ("pypi", "1!0.1", "2!0.1"),
        ("npm", "1.9.0", "1.10.0"),
        ("npm", "1.0.0-alpha.9", "1.0.0-alpha.10"),
        ("golang", "v1.2.3", "v1.10.0"),
        ("maven", "1.0-SNAPSHOT", "1.0"),
        ("deb", "2.0-1", "1:1.0-1"),
        ("deb", "1.0~rc1-1", "1.0-1"),
        ("rpm", "1.0-1.el9", "1.0-2.el9"),
        ("gem", "1.0.0.pre", "1.0.0"),
        ("nuget", "1.0.0-beta", "1.0.0"),
        ("cargo", "0.1.9", "0.1.10"),
        ("apk", "1.2.3-r1", "1.2.3-r2"),
    ],
)
def test_versions_are_ordered_by_their_ecosystem(kind: str, before: str, after: str) -> None:
    assert (older(kind, before, after), older(kind, after, before), older(kind, before, before)) == (True, False, False)
    assert not same(kind, before, after)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("github", "1", "2"),
        ("generic", "1", "2"),
        ("pypi", "x", "1"),
        ("npm", "1.2.3.4", "2.0.0"),
        ("npm", "latest", "1.0.0"),
        ("pypi", "9" * 5000, "1"),
        ("pypi", "١", "2"),
        ("no-such", "1", "2"),
    ],
)
def test_what_has_no_order_is_not_ordered(kind: str, one: str, other: str) -> None:
    assert older(kind, one, other) is None
    assert older(kind, other, one) is None


KINDS = ["alpm", "apk", "cargo", "composer", "conan", "deb", "ebuild", "gem", "golang", "hex", "maven", "npm", "nuget", "pypi", "rpm"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_versions_raise_nothing_and_contradict_nothing(kind: str, data: st.DataObject) -> None:
    text = (
        st.from_regex(r"[0-9]{1,3}(\.[0-9a-z]{1,3}){0,3}([-+~_.:][0-9a-z]{0,4}){0,2}", fullmatch=True)
        | st.text(st.sampled_from("0123456789.abv-+~:_!* \n\x00é"), max_size=12)
        | st.text(max_size=8)
    )
    one, other = data.draw(text), data.draw(text)
    assert not (older(kind, one, other) and older(kind, other, one))
    assert not (same(kind, one, other) and older(kind, one, other))


def test_many_components_match_each_their_own_fix() -> None:
    found = bill(*(f"pkg:pypi/package-{number}@1.0" for number in range(10_000)))
    published = [published_fix(flaw={"project": f"pkg:pypi/package-{number}", "version": "1.0"}) for number in range(0, 10_000, 100)]
    assert len(matches(found, published)) == 100
