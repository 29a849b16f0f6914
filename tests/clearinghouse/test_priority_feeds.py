"""Feeds that came from elsewhere: read as published, with their age; empty, stale, cut off or hostile ones say nothing reassuring."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.clearinghouse.priority import read
from remediator.clearinghouse.priority.feeds import FeedError, Feeds, Points, Score, ages, check_fresh
from remediator.clearinghouse.priority.read import read_epss, read_feeds, read_kev, read_ssvc

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


def kev(*names: str, released: str = "2026-11-24T15:00:00.0000Z", **changes: Any) -> str:
    entries = [{"cveID": name, "vendorProject": "x", "dateAdded": "2026-11-01", "dueDate": "2026-11-22"} for name in names]
    return json.dumps(
        {"title": "KEV", "catalogVersion": "2026.11.24", "dateReleased": released, "count": len(names), "vulnerabilities": entries}
        | changes
    )


EPSS = "#model_version:v2025.03.14,score_date:2026-11-24T12:55:00Z\ncve,epss,percentile\nCVE-2017-16616,0.01234,0.85\nCVE-2021-44228,0.94,0.99999\n"
SSVC = (
    "cve,automatable,technical_impact,exploitation,date\nCVE-2017-16616,yes,total,poc,2026-11-20\nCVE-2021-44228,no,partial,,2026-11-21\n"
)


def record(name: str, automatable: str, impact: str, at: str = "2026-11-20T00:00:00.000000Z") -> str:
    options = [{"Exploitation": "poc"}, {"Automatable": automatable}, {"Technical Impact": impact}]
    metrics = [{"other": {"type": "kev", "content": {}}}, {"other": {"type": "ssvc", "content": {"timestamp": at, "options": options}}}]
    return json.dumps({"cveMetadata": {"cveId": name}, "containers": {"cna": {}, "adp": [{"title": "x"}, {"metrics": metrics}]}})


def test_kev_as_published(write: Write) -> None:
    found = read_kev(write("kev.json", kev("CVE-2017-16616", "CVE-2021-44228")))
    assert (found.version, found.as_of) == ("2026.11.24", datetime(2026, 11, 24, 15, tzinfo=UTC))
    assert found.added["CVE-2021-44228"] == datetime(2026, 11, 1).date()


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress])
def test_epss_as_published(write: Write, pack: Callable[[bytes], bytes]) -> None:
    found = read_epss(write("epss.csv.gz", pack(EPSS.encode())))
    assert (found.model, found.as_of) == ("v2025.03.14", datetime(2026, 11, 24, 12, 55, tzinfo=UTC))
    assert found.scores == {"CVE-2017-16616": Score(0.01234, 0.85), "CVE-2021-44228": Score(0.94, 0.99999)}


def test_ssvc_as_a_table(write: Write) -> None:
    found = read_ssvc(write("ssvc.csv", SSVC))
    assert found.points == {"CVE-2017-16616": Points(True, True, "poc"), "CVE-2021-44228": Points(False, False, "")}
    assert found.as_of == datetime(2026, 11, 21, tzinfo=UTC)


def test_ssvc_as_a_folder_of_cve_records(tmp_path: Path, write: Write) -> None:
    write("v/2017/16xxx/CVE-2017-16616.json", record("CVE-2017-16616", "Yes", "total"))
    write("v/2021/44xxx/CVE-2021-44228.json", record("CVE-2021-44228", "no", "odd", at="2026-11-22T00:00:00+00:00"))
    write("v/2021/44xxx/CVE-2021-44229.json", json.dumps({"cveMetadata": {"cveId": "CVE-2021-44229"}, "containers": {"cna": {}}}))
    (tmp_path / "v/CVE-2000-0001.json").symlink_to("/etc/passwd")
    found = read_ssvc(tmp_path / "v")
    assert found.points == {"CVE-2017-16616": Points(True, True, "poc"), "CVE-2021-44228": Points(False, None, "poc")}
    assert found.as_of == datetime(2026, 11, 22, tzinfo=UTC)


def test_two_decisions_about_one_cve_count_as_the_worse(write: Write) -> None:
    text = SSVC + "CVE-2021-44228,yes,unknown,active,2020-01-01\n"
    assert read_ssvc(write("ssvc.csv", text)).points["CVE-2021-44228"] == Points(True, False, "active")


def test_a_mirror_folder(tmp_path: Path, write: Write) -> None:
    write("known_exploited_vulnerabilities.json", kev("CVE-2017-16616"))
    write("epss_scores-2026-11-01.csv.gz", gzip.compress(EPSS.replace("2026-11-24", "2026-11-01").encode()))
    write("epss_scores-2026-11-24.csv.gz", gzip.compress(EPSS.encode()))
    write("vulnrichment/CVE-2017-16616.json", record("CVE-2017-16616", "yes", "total"))
    feeds = read_feeds(tmp_path, at=NOW)
    assert feeds.epss is not None
    assert feeds.epss.as_of.day == 24
    assert feeds.in_kev(["cve-2017-16616"]) is True
    assert feeds.points(["CVE-2017-16616"]) == Points(True, True)
    assert ages(feeds) == {"kev": "of 2026-11-24, 1 days old", "epss": "of 2026-11-24, 1 days old", "ssvc": "of 2026-11-20, 6 days old"}


def test_an_empty_folder_is_no_feed(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="holds no feed"):
        read_feeds(tmp_path, at=NOW)


def test_a_feed_that_is_there_and_broken_stops_the_reading(tmp_path: Path, write: Write) -> None:
    write("kev.json", kev("CVE-2017-16616"))
    write("epss.csv", "")
    with pytest.raises(FeedError, match="empty feed is not believed"):
        read_feeds(tmp_path, at=NOW)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{}", "empty catalog"),
        (kev(), "empty catalog"),
        ("[]", "no object"),
        ("nonsense", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (kev("CVE-2017-16616")[:-20], "no JSON"),
        (kev("CVE-2017-16616", count=2), "cut off|says that it lists 2"),
        (kev("CVE-2017-16616", "nonsense"), "entry 2 has no CVE id"),
        (kev("CVE-2017-16616", vulnerabilities=["x"], count=1), "entry 1 has no CVE id"),
        (kev("CVE-2017-16616", released="soon"), "does not say of when"),
        (kev("CVE-2017-16616", released=None), "does not say of when"),
        (gzip.compress(kev("CVE-2017-16616").encode())[:-9], "cut off"),
        (gzip.compress(kev("CVE-2017-16616").encode()) + b"more", "behind its end"),
        (b"\x1f\x8bnonsense", "no sound gzip"),
    ],
)
def test_a_broken_catalog_is_no_catalog(write: Write, content: str | bytes, words: str) -> None:
    with pytest.raises(FeedError, match=words):
        read_kev(write("kev.json", content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        (EPSS.splitlines()[0], "lacks the column|no score"),
        ("\n".join(EPSS.splitlines()[:2]), "no score"),
        (EPSS.partition("\n")[2], "line of model and date"),
        (EPSS.replace("cve,epss", "cve,epps"), "lacks the column 'epss'"),
        (EPSS.replace("0.94", "1.94"), "no share of 1"),
        (EPSS.replace("0.94", "nan"), "no share of 1"),
        (EPSS.replace("0.94", "-0.1"), "no share of 1"),
        (EPSS.replace("0.94", ""), "no share of 1"),
        (EPSS.replace("CVE-2021-44228", "=cmd|x"), "row 2 has no CVE id"),
        (EPSS.replace("0.99999", "0.9,0.9,0.9"), "too many columns"),
        (EPSS.replace("2026-11-24T12:55:00Z", "9999-99-99T00:00"), "does not say of when"),
        (b"#model\xff", "not UTF-8"),
        (EPSS + '"CVE', "well-formed|no CVE id"),
    ],
)
def test_broken_scores_are_no_scores(write: Write, content: str | bytes, words: str) -> None:
    with pytest.raises(FeedError, match=words):
        read_epss(write("epss.csv", content))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ssvc.csv", SSVC.splitlines()[0], "no SSVC decision"),
        ("ssvc.csv", SSVC.replace("automatable", "auto"), "lacks the column 'automatable'"),
        ("ssvc.csv", SSVC.replace("2026-11-21", "late"), "does not say of when"),
        ("ssvc.csv", SSVC.replace("CVE-2021-44228", "x"), "row 2 has no CVE id"),
        ("ssvc.json", "{}", "no CVE record"),
        ("ssvc.json", json.dumps({"cveMetadata": {"cveId": "CVE-2021-44229"}}), "no SSVC decision"),
        ("ssvc.json", json.dumps({"cveMetadata": [], "containers": 7}), "no CVE record"),
    ],
)
def test_broken_decisions_are_none(write: Write, name: str, content: str, words: str) -> None:
    with pytest.raises(FeedError, match=words):
        read_ssvc(write(name, content))


def test_a_feed_that_unpacks_to_too_much_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MOST_BYTES", 1_000_000)
    bomb = write("kev.json", gzip.compress(b" " * 50_000_000))
    with pytest.raises(FeedError, match="more than 1000000 bytes"):
        read_kev(bomb)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (EPSS + text).encode("utf-8", "replace")))
def test_any_file_is_read_or_refused(write: Write, content: bytes) -> None:
    path = write("feed.csv", content)
    for reader in (read_kev, read_epss, read_ssvc):
        try:
            reader(path)
        except FeedError as error:
            assert str(path) in error.message


def test_absence_from_a_fresh_catalog_is_no_and_from_a_stale_one_unknown(write: Write) -> None:
    feeds = Feeds(NOW, kev=read_kev(write("kev.json", kev("CVE-2017-16616"))))
    later = feeds.moved_to(NOW + timedelta(days=30))
    assert (feeds.in_kev(["CVE-2000-0001"]), later.in_kev(["CVE-2000-0001"])) == (False, None)
    assert (feeds.in_kev(["CVE-2017-16616"]), later.in_kev(["CVE-2017-16616"])) == (True, True)
    assert Feeds(NOW).in_kev(["CVE-2000-0001"]) is None
    assert feeds.moved_to(NOW - timedelta(days=30)).in_kev(["CVE-2000-0001"]) is None


def test_staleness_is_an_error_that_tells_the_age(write: Write) -> None:
    feeds = Feeds(NOW, kev=read_kev(write("kev.json", kev("CVE-2017-16616"))))
    check_fresh(feeds)
    with pytest.raises(FeedError, match="KEV feed is of 2026-11-24, 31 days from now") as caught:
        check_fresh(feeds.moved_to(NOW + timedelta(days=30)))
    assert "7 days" in caught.value.hint
    assert ages(feeds.moved_to(NOW + timedelta(days=30))) == {
        "kev": "of 2026-11-24, 31 days old, stale",
        "epss": "not loaded",
        "ssvc": "not loaded",
    }


def test_a_missing_score_is_unknown_and_not_zero(write: Write) -> None:
    feeds = Feeds(NOW, epss=read_epss(write("epss.csv", EPSS)))
    assert feeds.score(["CVE-2000-0001"]) is None
    assert Feeds(NOW).score(["CVE-2017-16616"]) is None
    assert feeds.score(["CVE-2017-16616", "cve-2021-44228"]) == Score(0.94, 0.99999)
