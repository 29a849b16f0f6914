"""`serve --demo`, `feeds`, and the rest of the operator's commands as they are typed: codes, JSON, and what is said of bad input."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.clearinghouse.store import Store
from remediator.evidence.keys import SigningKey

from .commands_kit import Done, assert_told, here, serving

Run = Callable[..., Done]
KEY = SigningKey.generate().public.line()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    return here(monkeypatch, capfd, tmp_path)


def begun(folder: Path) -> None:
    """Make a clearinghouse in this folder, as serving it once does."""

    async def make() -> None:
        async with Store.open("sqlite", folder):
            pass

    asyncio.run(make())


# -- feeds -------------------------------------------------------------------------------------------------------------


def kev(at: datetime, *names: str) -> str:
    entries = [{"cveID": name, "dateAdded": "2026-11-01"} for name in names or ("CVE-2017-16616",)]
    return json.dumps({"catalogVersion": "x", "dateReleased": at.isoformat(), "count": len(entries), "vulnerabilities": entries})


def test_feeds_are_loaded_whole_and_their_age_is_told(run: Run, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert run("feeds", "status").code == 3
    file, epss = tmp_path / "known_exploited_vulnerabilities.json", tmp_path / "epss_scores-x.csv"
    file.write_text(kev(now - timedelta(days=1)))
    epss.write_text(f"#model_version:v,score_date:{(now - timedelta(days=20)).isoformat()}\ncve,epss,percentile\nCVE-2017-16616,0.1,0.8\n")
    done = run("feeds", "load", str(file), "--json")
    assert done.code == 0
    assert {row["feed"]: (row["age_days"], row["stale"], row["entries"]) for row in json.loads(done.out)} == {
        "kev": (1.0, False, 1), "epss": (None, None, 0), "ssvc": (None, None, 0),
    }  # fmt: skip
    # What is too old to conclude anything from is kept, and said.
    stale = run("feeds", "load", str(epss))
    assert stale.code == 3 and re.search(r"epss  of .* 20 days old, stale", stale.out) and "ssvc  not loaded" in stale.out
    kept = sorted(path.name for path in (tmp_path / "state" / "feeds").iterdir())
    assert kept == ["epss.csv", "kev.json"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kev.json", "", "empty"),
        ("kev.json", '{"vulnerabilities": []}', "empty catalog"),
        ("kev.json", kev(datetime.now(UTC))[:-40], "no JSON"),
        ("kev.json", kev(datetime.now(UTC) - timedelta(days=3)), "is of"),
        ("epss.csv.gz", "\x1f\x8bnot gzip", "gzip"),
        ("list.txt", "x", "no name of a feed"),
    ],
)
def test_a_feed_that_is_not_to_be_believed_does_not_take_the_place_of_one_that_is(
    run: Run, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / "good").mkdir()
    good, bad = tmp_path / "good" / "kev.json", tmp_path / name
    good.write_text(kev(datetime.now(UTC)))
    assert run("feeds", "load", str(good)).code == 0
    bad.write_bytes(content.encode("latin-1"))
    assert_told(run("feeds", "load", str(bad)), 2, said)
    assert (tmp_path / "state" / "feeds" / "kev.json").read_text() == good.read_text()
    assert_told(run("feeds", "load"), 2, "FILE")


# -- the demo ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], str]]:
    """Start it as a user does, without a folder; give what it says to do, by its first word, and where it lies."""
    folder = tmp_path_factory.mktemp("demo")
    with serving(folder, "--demo", data="") as served:
        assert served.process.stdout is not None
        lines = [served.process.stdout.readline().rstrip("\n") for _ in range(7)]
        steps = {line[2:12].strip(): line[13:] for line in lines[1:]}
        place = re.search(r"-c (\S+)/demo\.toml", steps["lease"])
        assert place, lines
        yield folder, steps, place[1]
        assert Path(place[1]).is_dir()
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(30) == 0
    assert not Path(place[1]).exists(), "what is to be thrown away is still there"


def test_what_the_demo_says_to_do_works(
    demo: tuple[Path, dict[str, str], str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import shlex

    folder, steps, _ = demo
    run = here(monkeypatch, capfd, folder)
    assert list(steps) == ["look", "lease", "hand over", "subscribe", "pull", "check"]
    (sbom := tmp_path / "SBOM.cdx.json").write_text(
        json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []})
    )
    for name, changes in (
        ("lease", {"NAME": "demo"}),
        ("hand over", {"CASE": ""}),
        ("subscribe", {}),
        ("pull", {"SBOM.cdx.json": str(sbom)}),
        ("check", {}),
    ):
        words = [changes.get(word.removeprefix("pkg:pypi/"), word) for word in shlex.split(steps[name])[1:]]
        words = ["pkg:pypi/demo" if word == "demo" and name == "lease" else word for word in words if word]
        done = run(*words)
        assert done.code == (3 if name == "check" else 0), (name, done)
        assert " 0 do not" in done.out if name == "check" else True
    rows = json.loads(run(*shlex.split(steps["check"])[1:], "--json", "number,outcome,reason").out)
    assert [row for row in rows if row["outcome"] == "broken"] == [] and rows[0]["number"] == "2.1"
    assert "CVE-2017-16616" in queue_of(steps["look"].split()[0])


def queue_of(link: str) -> str:
    """Open a login link as a browser without scripts does, press its button, and return the page behind it."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    page = browser.open(link, timeout=30).read().decode()
    fields = dict(re.findall(r'name="(\w+)" value="([^"]+)"', page))
    origin = "/".join(link.split("/")[:3])
    asked = urllib.request.Request(f"{origin}/login/link", urllib.parse.urlencode(fields).encode(), {"Origin": origin})
    return str(browser.open(asked, timeout=30).read().decode())


def test_the_demo_lets_in_nobody_from_elsewhere_and_stays_out_of_a_clearinghouse_in_use(run: Run, tmp_path: Path) -> None:
    assert_told(run("clearinghouse", "serve", "--demo", "--listen", "0.0.0.0:0"), 2, "--demo", "127.0.0.1")
    begun(tmp_path / "ch")
    assert run("clearinghouse", "organisation", "Team", "--data", "ch").code == 0
    assert_told(run("clearinghouse", "serve", "--demo", "--data", "ch", "--listen", "127.0.0.1:0", "--validators", "0"), 2, "in use")
    # Nor is the order of its queue changed by stand-ins before that is found out.
    assert not (tmp_path / "ch" / "demo-feeds").exists()


# -- the others --------------------------------------------------------------------------------------------------------


def test_what_the_operators_commands_print_is_json_where_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    begun(tmp_path / "ch")

    def told(*words: str) -> list[dict[str, object]]:
        done = run("clearinghouse", *words, "--data", "ch", "--json")
        assert done.code == 0, done
        found: list[dict[str, object]] = json.loads(done.out)
        return found

    (made,) = told("organisation", "Team", "--tier", "operator", "--contact", "c@team.example")
    assert (made["name"], made["tier"], made["disabled"]) == ("Team", "operator", False)
    assert told("organisation") == [made]
    (key,) = told("key", "Team", KEY, "--days", "3")
    assert str(key["not_after"]) > datetime.now(UTC).isoformat() and key["organisation"] == made["id"]
    secret = run("clearinghouse", "token", "Team", "--scope", "pull", "--days", "1", "--label", "x", "--data", "ch").out.strip()
    (token,) = told("token", "Team")
    assert (token["scopes"], token["label"], token["revoked_at"]) == ("pull", "x", None) and token["id"] in secret
    assert {row["name"]: row["count"] for row in told("stats")}["ledger"] == 3
    assert run("clearinghouse", "verify-ledger", "--data", "ch").out.startswith("3 entries")
    assert run("clearinghouse", "stats", "--data", "ch", "--json", "count").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve", "--listen", "127.0.0.1"), "HOST:PORT"),
        (("serve", "--listen", "127.0.0.1:70000"), "70000"),
        (("serve", "--database", "mysql://x"), "mysql"),
        (("serve", "--feeds", "nowhere"), "nowhere"),
        (("serve", "--validators", "65"), "65"),
        (("token", "nobody", "--scope", "pull"), "nobody"),
        (("token", "nobody", "--scope", "all"), "all"),
        (("key", "nobody", "ssh-rsa AAAA"), "ssh-ed25519"),
        (("organisation", "x", "--tier", "king"), "king"),
        (("login-link", "nobody", "ada"), "nobody"),
        (("verify-ledger", "--database", "postgresql://127.0.0.1:9/x"), "does not answer"),
        (("conform", "http://127.0.0.1:9", "--read-only"), "127.0.0.1:9"),
        (("conform", "http://127.0.0.1:9"), "--read-only"),
        (("conform", "ftp://x", "--read-only"), "ftp"),
    ],
)
def test_bad_input_is_told_in_a_sentence(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    begun(tmp_path / "clearinghouse")
    done = run("clearinghouse", *words, REMEDIATOR_CLEARINGHOUSE_TOKEN="rch_x")
    assert done.code in (2, 3), done
    assert_told(done, done.code, said)


def test_an_address_that_is_taken_is_told(run: Run, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_told(run("clearinghouse", "serve", "--data", "ch", "--validators", "0", "--listen", address), 2, address)
