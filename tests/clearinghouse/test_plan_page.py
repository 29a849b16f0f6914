"""`plan.html` as a person opens it: a file, in a real Chromium, without a network, and full of what strangers wrote."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from remediator.clearinghouse.client import plan
from remediator.clearinghouse.client.plan_page import About
from remediator.clearinghouse.priority.feeds import Feeds, Kev
from remediator.clearinghouse.sbom import Component, Match, MatchLevel, Sbom
from remediator.clearinghouse.wire.answers import Fix, Flaw, Published, Validation
from remediator.clearinghouse.wire.terms import FixState
from remediator.cli import json_fields

from .pages_kit import EVIL, EVIL_WORD
from .test_pages_browser import OUTSIDE, chromium, dark, narrow, violations

__all__ = ["chromium"]

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
DIFF = f"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)  # {EVIL}\n"


def published(number: int, **changed: Any) -> Published:
    fix = {
        "id": f"fix-{number:024x}", "flaw_id": f"flaw-{number:024x}", "submission_id": "", "patch_id": "p-1", "bundle": "sha256:" + "0" * 64,
        "bundle_bytes": 1, "organisation": "", "state": FixState.verified, "claimed_level": 4, "level": 4, "submitted_at": AT, "updated_at": AT,
    }  # fmt: skip
    flaw = {"id": f"flaw-{number:024x}", "project": "pkg:pypi/a", "version": "1.0", "title": "a flaw", "first_seen": AT, "updated_at": AT}
    fix["level"] = changed.pop("reached", 4)
    for name, value in changed.items():
        (fix if name in Fix.model_fields else flaw)[name] = value
    return Published(fix=Fix.model_validate(fix), flaw=Flaw.model_validate(flaw), patch=DIFF, published_at=AT)


def match(number: int, *, level: MatchLevel = MatchLevel.exact, name: str = "a", **changed: Any) -> Match:
    component = Component(ref=name, name=name, version=changed.get("version", "1.0"), purl=f"pkg:pypi/{name}@1.0", project="pkg:pypi/a")
    return Match(component, published(number, **changed), level, f"why: {changed.get('title', 'shown here')}")


HOSTILE = [
    match(1, title=EVIL, aliases=(EVIL, "CVE-2026-0001"), severity=EVIL, version=EVIL, name=EVIL, fixed_version=EVIL),
    match(2, title=EVIL_WORD, level=MatchLevel.range, name=EVIL_WORD, severity="low"),
    match(3, level=MatchLevel.name_only, fixed_version="2.0", severity="critical", reached=None),
    match(4, state=FixState.revoked, revoked_reason=EVIL),
    match(5, state=FixState.superseded, superseded_by="fix-" + "9" * 24),
]
FEEDS = Feeds(AT, kev=Kev("1", AT, {"CVE-2026-0001": None}))


def written(folder: Path, matches: list[Match], **changed: Any) -> list[plan.Row]:
    sboms = [Sbom(EVIL, "CycloneDX", tuple(each.component for each in matches), tuple(f"{EVIL} {number}" for number in range(300)))]
    told = {
        "at": AT, "subscription": EVIL, "url": f"https://ch.example/{EVIL}", "pulled_at": AT, "ledger_size": 7, "sboms": sboms,
        "said_fixed": [match(9, level=MatchLevel.said_fixed, title=EVIL)], "exposed": None, "feeds": ["KEV of 2026-11-25"],
    }  # fmt: skip
    rows = plan.rows(matches, FEEDS, None)
    plan.write(folder, rows, About(**{**told, **changed}), json_fields.MATCH)
    return rows


# -- without a browser -------------------------------------------------------------------------------------------------


def test_every_row_says_what_to_do_by_when_and_why(tmp_path: Path) -> None:
    (row, *_) = written(tmp_path, HOSTILE)
    facts = row.facts
    assert (facts["due_days"], facts["due_on"], facts["forensics"], facts["vex"]) == (3, "2026-11-28", True, "affected")
    html = (tmp_path / "plan.html").read_text()
    for told in ("2026-11-28", "3 days", "look for signs of compromise", "E4", f'href="patches/{facts["fix_id"]}.diff"', "affected"):
        assert told in html
    assert (tmp_path / facts["patch_file"]).read_bytes() == DIFF.encode()
    assert "and 100 more" in html


def test_a_flaw_that_no_scanner_sees_is_told_to_be_named_by_its_submitter(tmp_path: Path) -> None:
    (row,) = written(tmp_path, [match(1, validation=Validation(outcome="agreed", level=4, shown_by="reproducer"))])
    assert row.facts["shown_by"] == "reproducer"
    assert "No scanner sees this flaw" in (tmp_path / "plan.html").read_text()
    written(tmp_path, [match(1, validation=Validation(outcome="agreed", level=4, shown_by="scanner"))])
    assert "No scanner sees this flaw" not in (tmp_path / "plan.html").read_text()


def test_table_and_page_have_the_same_rows(tmp_path: Path) -> None:
    rows = written(tmp_path, HOSTILE)
    told = list(csv.DictReader((tmp_path / "plan.csv").read_text().splitlines()))
    assert [each["fix_id"] for each in told] == [row.facts["fix_id"] for row in rows]
    html = (tmp_path / "plan.html").read_text()
    places = [html.index(f"{each['fix_id']}") for each in told]
    assert places == sorted(places)


def test_a_withdrawn_patch_is_no_link_and_no_file(tmp_path: Path) -> None:
    written(tmp_path, HOSTILE)
    html = (tmp_path / "plan.html").read_text()
    for number in (4, 5):
        assert f"patches/fix-{number:024x}.diff" not in html
        assert not (tmp_path / "patches" / f"fix-{number:024x}.diff").exists()
    assert html.count("do not apply") == 2


@pytest.mark.parametrize("published_at", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_a_time_that_is_none_is_no_trouble(published_at: datetime, tmp_path: Path) -> None:
    odd = HOSTILE[0]._replace(published=HOSTILE[0].published.model_copy(update={"published_at": published_at}))
    (row,) = plan.rows([odd], FEEDS, None)
    assert row.facts["due_on"] in (None, "0001-01-04")


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    written(tmp_path, [])
    assert "None of 0 components is touched" in (tmp_path / "plan.html").read_text()


# -- with one ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(chromium: webdriver.Chrome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[webdriver.Chrome, str]]:
    folder = tmp_path_factory.mktemp("plan")
    written(folder, HOSTILE)
    chromium.execute_cdp_cmd("Network.enable", {})
    chromium.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    )
    yield chromium, (folder / "plan.html").as_uri()
    chromium.execute_cdp_cmd("Network.disable", {})


@pytest.fixture(params=["light", "dark", "narrow"])
def seen(request: pytest.FixtureRequest, opened: tuple[webdriver.Chrome, str]) -> Iterator[webdriver.Chrome]:
    driver, url = opened
    {"dark": dark, "narrow": narrow}.get(request.param, lambda _: None)(driver)
    driver.get_log("performance")
    driver.get_log("browser")
    driver.get(url)
    yield driver
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.browser
def test_axe_finds_nothing_and_nothing_hostile_moves_runs_or_leaves(seen: webdriver.Chrome) -> None:
    assert violations(seen) == []
    assert seen.execute_script(OUTSIDE) == {"wide": False, "outside": [], "squeezed": []}
    found = seen.execute_script(
        "return {pwned: document.documentElement.dataset.pwned ?? null, foreign: document.querySelectorAll('script,img,iframe,form').length,"
        " seen: getComputedStyle(document.querySelector('main')).display,"
        " mine: getComputedStyle(document.querySelector('.withdrawn')).fontWeight}"
    )
    assert found == {"pwned": None, "foreign": 0, "seen": "block", "mine": "700"}
    sent = [each["message"] for each in seen.get_log("performance") if '"Network.requestWillBeSent"' in each["message"]]
    asked = {json.loads(each)["message"]["params"]["request"]["url"] for each in sent}
    assert asked <= {seen.current_url}
    assert [each["message"] for each in seen.get_log("browser") if "Content Security Policy" in each["message"]] == []


@pytest.mark.browser
def test_what_got_in_all_the_same_would_not_run(opened: tuple[webdriver.Chrome, str]) -> None:
    driver, url = opened
    driver.get(url)
    driver.execute_script(
        "const script = document.createElement('script'); script.textContent = \"document.documentElement.dataset.pwned = 's'\";"
        " document.body.append(script);"
        " document.body.insertAdjacentHTML('beforeend', '<style>main{display:none}</style><p style=\"display:none\" id=late>x</p>');"
    )
    found = driver.execute_script(
        "return [document.documentElement.dataset.pwned ?? null, getComputedStyle(document.querySelector('main')).display,"
        " getComputedStyle(document.querySelector('#late')).display]"
    )
    assert found == [None, "block", "block"]


@pytest.mark.browser
def test_its_links_lead_to_what_lies_beside_it(opened: tuple[webdriver.Chrome, str]) -> None:
    driver, url = opened
    driver.get(url)
    links = [each.get_attribute("href") for each in driver.find_elements(By.TAG_NAME, "a")]
    folder = url.rpartition("/")[0]
    assert len(links) == 6
    for link in links:
        assert link is not None and link.startswith(f"{folder}/")
        assert Path(link.removeprefix("file://")).is_file()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "a;=1", "a ; =1", "a;;@x"])
def test_no_cell_of_the_table_begins_a_formula(text: str) -> None:
    cell = plan._cell(text)
    assert not re.search(r"(\A|;)\s*[=+\-@]", cell)
    assert cell.replace("'", "") == text
