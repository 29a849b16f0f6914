"""`remediator submit` and `lease` as they are typed, before a real server: what is delivered, what waits, what is refused, and how that is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.clearinghouse.client.outbox import Outbox, idempotency_key
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import Scope, Tier, Verb
from remediator.evidence.keys import SigningKey, signing_key

from .commands_kit import Done, Served, assert_told, here, program, serving
from .test_validator import made

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, str]]]:
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found, asyncio.run(joined(found.folder))


async def joined(folder: Path) -> dict[str, str]:
    """Let two take part, as the operator's commands do; return their tokens."""
    tokens = {}
    async with Store.open("sqlite", folder / "ch") as store:
        for name in ("ONE", "TWO"):
            organisation = await store.add_organisation(name, Tier.member)
            await store.add_key(organisation.id, signing_key(folder / name / "state" / "keys").public.line())
            _, tokens[name] = await store.create_token(organisation.id, (Scope.submit, Scope.pull))
    return tokens


@pytest.fixture(params=["ONE"])
def who(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(served: tuple[Served, dict[str, str]], who: str) -> Iterator[Path]:
    """The folder of somebody who takes part, with an outbox of its own."""
    place = settled(served, who)
    yield place
    for left in (place / "state" / "outbox").glob("outbox.sqlite*"):
        left.unlink()


def settled(served: tuple[Served, dict[str, str]], who: str, **changes: str) -> Path:
    found, _ = served
    place = found.folder / who
    told = {"url": found.url, "token": f"env:{who}", "trust": found.trust, **changes}
    home = place / "config" / "remediator"
    home.mkdir(parents=True, exist_ok=True)
    table = "".join(f'{name} = "{value}"\n' for name, value in told.items())
    (home / "remediator.toml").write_text(f"[clearinghouses.ours]\n{table}")
    return place


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], served: tuple[Served, dict[str, str]], folder: Path) -> Run:
    for name, token in served[1].items():
        monkeypatch.setenv(name, token)
    return here(monkeypatch, capfd, folder)


def bundle(folder: Path, version: str) -> str:
    """Write a signed bundle of a proven fix, by the product's own writer."""
    path = folder / f"bundle-{version}.tar.zst"
    found = made(folder / version, signing_key(folder / "state" / "keys"), uri=f"pkg:pypi/pyanyapi@{version}", version=version)
    path.write_bytes(found.archive)
    return str(path)


def put(folder: Path, verb: Verb, body: dict[str, Any], subject: str, embargo_until: datetime | None = None) -> None:
    outbox = Outbox(folder / "state")
    outbox.put("ours", verb, body, key=idempotency_key(subject), subject=subject, embargo_until=embargo_until)
    outbox.close()


def test_what_is_no_bundle_is_exit_code_2_and_why_a_fix_was_rejected_is_told(
    run: Run, folder: Path, served: tuple[Served, dict[str, str]]
) -> None:
    (folder / "notes.txt").write_text("no bundle")
    for word in ("notes.txt", "."):
        assert_told(run("submit", word), 2, "is no bundle", "remediator show CASE")
    found = made(folder / "theirs", SigningKey.generate(), uri="pkg:pypi/pyanyapi@0.7.0", version="0.7.0")
    (folder / "theirs.tar.zst").write_bytes(found.archive)
    assert run("submit", "theirs.tar.zst").code == 0
    assert served[0].run("work", "--once").code == 0
    told = run("submit", "--status")
    assert told.code == 0 and "rejected (bundle-refused: the bundle is signed by SHA256:" in told.out, told
    assert "remediator explain bundle-refused" in told.err
    assert "no active key of its submitter" in json.loads(run("submit", "--status", "--json").out)[0]["detail"]
    assert "signed by an active key" in run("explain", "bundle-refused").out


def test_what_is_handed_over_offline_waits_and_is_delivered_once(run: Run, folder: Path, served: tuple[Served, dict[str, str]]) -> None:
    fix = bundle(folder, "0.6.0")
    kept = run("submit", fix, "--offline")
    assert kept.code == 3 and "waits in the outbox" in kept.out and "offline" in kept.err
    (row,) = json.loads(run("submit", "--offline", "--json").out)
    assert (row["place"], row["verb"], row["delivery"], row["id"]) == ("ours", "submit-fix", "waiting", "")
    assert "outbox: 1 not delivered yet: remediator submit" in run().out
    sent = run("submit")
    assert sent.code == 0 and "delivered as fix-" in sent.out
    # Handed over again, by hand or by mistake: nothing more is sent, and it is the same fix there.
    again = [json.loads(run("submit", *words, "--json").out) for words in ((), (fix,))]
    assert again[0] == again[1] and len(again[0]) == 1 and again[0][0]["delivery"] == "delivered"
    told = run("submit", "--status", "--json", "id,state")
    assert (told.code, json.loads(told.out)) == (0, [{"id": again[0][0]["id"], "state": "received"}])
    numbers = {row["name"]: row["count"] for row in json.loads(served[0].run("stats", "--json").out)}
    assert numbers["fixes_received"] == 1
    assert "outbox" not in run().out


def test_while_nobody_answers_it_waits_and_the_exit_code_says_so(run: Run, served: tuple[Served, dict[str, str]], who: str) -> None:
    folder = settled(served, who, url="http://127.0.0.1:9")
    kept = run("submit", bundle(folder, "0.6.1"))
    assert kept.code == 3 and "not delivered" in kept.err and "127.0.0.1:9" in kept.err
    settled(served, who)
    assert run("submit").code == 0


def test_what_is_refused_holds_up_nothing_and_is_tried_again_when_asked(
    run: Run, folder: Path, served: tuple[Served, dict[str, str]]
) -> None:
    run("submit", "--offline", "--json")
    other = settled(served, "TWO")
    held = program(other, "lease", "take", "pkg:pypi/held", "--json", TWO=served[1]["TWO"])
    put(folder, Verb.lease, {"project": "pkg:pypi/held"}, "the lease")
    put(folder, Verb.submit_finding, {"flaw": {"project": "nonsense", "title": "t"}, "scanner": "s"}, "nonsense")
    put(folder, Verb.submit_finding, {"flaw": {"project": "pkg:pypi/b", "title": "t"}, "scanner": "s"}, "behind it")
    first = run("submit")
    assert first.code == 7
    lines = {line.split("  ")[1]: line for line in first.out.splitlines()}
    assert "refused" in lines["the lease"] and "lease-held" in lines["the lease"] and "held until" in lines["the lease"]
    assert "bad-request" in lines["nonsense"]
    assert "delivered as finding-" in lines["behind it"]
    assert "submit --again" in first.err and "--drop" in first.err
    assert "outbox: 2 refused" in run().out
    # Told, and not failed anew: a timer that delivers what is left is not red for ever.
    second = run("submit")
    assert second.code == 0 and second.out == first.out and "submit --again" in second.err
    lease = json.loads(held.out)
    program(other, "lease", "release", lease["id"], "--fencing", str(lease["fencing"]), TWO=served[1]["TWO"])
    third = run("submit", "--again")
    assert third.code == 7
    lines = {line.split("  ")[1]: line for line in third.out.splitlines()}
    assert "delivered as lease-" in lines["the lease"] and "refused" in lines["nonsense"]
    dropped = run("submit", "--drop", "nonsense", "--json", "subject,delivery")
    assert dropped.code == 0
    assert {row["subject"]: row["delivery"] for row in json.loads(dropped.out)} == {"the lease": "delivered", "behind it": "delivered"}
    assert_told(run("submit", "--drop", "the lease"), 2, "nothing about 'the lease' was refused")


def test_a_case_that_is_named_is_tried_although_it_was_refused(run: Run, folder: Path) -> None:
    fix = bundle(folder, "0.6.2")
    run("submit", fix, "--offline")
    outbox = Outbox(folder / "state")
    (item,) = outbox.items()
    outbox._note(item, state="refused", problem="it was opted out")
    outbox.close()
    assert run("submit").code == 0
    assert "delivered as fix-" in run("submit", fix).out


def test_a_bundle_that_is_damaged_in_the_outbox_is_told_and_holds_up_nothing(run: Run, folder: Path) -> None:
    for version in ("0.6.3", "0.6.4"):
        run("submit", bundle(folder, version), "--offline")
    outbox = Outbox(folder / "state")
    first = outbox.items()[0].blob.removeprefix("sha256:")
    outbox.close()
    (path,) = [
        each for each in (folder / "state" / "outbox" / "blobs").rglob("*") if each.is_file() and first[4:] in str(each).replace("/", "")
    ]
    path.chmod(0o600)
    path.write_bytes(b"damaged")
    done = run("submit", "--json", "delivery,problem")
    assert done.code == 7
    one, two = json.loads(done.out)
    assert one["delivery"] == "refused" and "damaged" in one["problem"] and two["delivery"] == "delivered"


def test_a_token_that_is_refused_is_exit_code_4_and_loses_nothing(run: Run, folder: Path) -> None:
    fix = bundle(folder, "0.6.5")
    assert_told(run("submit", fix, ONE="rch_" + "0" * 16 + "_" + "a" * 43), 4, "token")
    assert_told(run("submit", fix, ONE=""), 2, "ONE")
    assert "waits" in run("submit", "--offline").out
    assert run("submit").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("submit", "no-such-case"), "no-such-case"),
        (("submit", "--to", "theirs"), "theirs"),
        (("submit", "--tlp", "pink"), "pink"),
        (("submit", "--embargo-days", "181"), "181"),
        (("submit", "--json", "colour"), "colour"),
        (("lease",), "There is: list, release, renew, take"),
        (("lease", "take", "nonsense"), "nonsense"),
        (("lease", "take", "."), "https://HOST/PATH"),
        (("lease", "take", "not a project"), "https://HOST/PATH"),
        (("lease", "take", "pkg:pypi/a", "--minutes", "0"), "--minutes"),
        (("lease", "renew", "lease-1"), "--fencing"),
        (("lease", "take", "--contact"), "remediator lease take --help"),
        (("lease", "release", "lease-1", "--fencing", "one"), "one"),
        (("lease", "list", "--at", "theirs"), "theirs"),
        (("lease", "list", "--offline"), "offline"),
        (("opt-out", "."), "https://HOST/PATH"),
        (("opt-out", "pkg:pypi/a"), "--contact"),
        (("opt-out", "--withdraw"), "no project"),
        (("opt-out", "pkg:pypi/a", "--withdraw", "--days", "3"), "contradict"),
        (("opt-out", "--json", "duplicate"), "duplicate"),
        (("opt-out", "pkg:pypi/a", "--contact", "a", "--json", "contact"), "contact"),
        (("opt-out", "--to", "theirs"), "theirs"),
        (("revoke", "fix-" + "0" * 24), "--reason"),
        (("revoke", "fix-" + "0" * 24, "--reason", ""), "1 to 2000"),
        (("revoke", "nonsense", "--reason", "r"), "nonsense"),
        (("revoke", "fix-" + "0" * 24, "--reason", "r"), "not-found"),
        (("lift",), "FLAW"),
        (("lift", "CVE-2026-0001"), "CVE-2026-0001"),
        (("lift", "flaw-" + "0" * 24, "--offline"), "offline"),
        (("lift", "flaw-" + "0" * 24), "not-found"),
        (("lift", "fix-" + "0" * 24), "not-found"),
    ],
)
def test_bad_input_is_told(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert_told(done, 2, said)
    assert "hint: " in done.err


def test_a_lease_is_taken_renewed_listed_and_released(run: Run, served: tuple[Served, dict[str, str]]) -> None:
    taken = run("lease", "take", "pkg:pypi/shop", "--minutes", "5", "--scope", "src", "--contact", "sec@one.example", "--json")
    lease = json.loads(taken.out)
    assert (taken.code, lease["project"], lease["scope"], lease["fencing"]) == (0, "pkg:pypi/shop", ["src"], 1)
    other = settled(served, "TWO")
    refused = program(other, "lease", "take", "pkg:pypi/shop", TWO=served[1]["TWO"])
    assert_told(refused, 7, "lease-held", "sec@one.example")
    own = (lease["id"], "--fencing", "1")
    renewed = json.loads(run("lease", "renew", *own, "--minutes", "60", "--json").out)
    assert renewed["expires_at"] > lease["expires_at"]
    listed = run("lease", "list", "--project", "pkg:pypi/shop")
    assert lease["id"] in listed.out and "sec@one.example" in listed.out and "src" in listed.out and "until" in listed.out
    assert_told(run("lease", "renew", lease["id"], "--fencing", "2"), 7, "lease-stale")
    released = run("lease", "release", *own)
    assert released.code == 0 and "released" in released.out
    assert_told(run("lease", "renew", *own), 7, "lease-stale", "take a new lease")
    assert json.loads(run("lease", "list", "--project", "pkg:pypi/shop", "--json").out) == []
    assert "no lease holds" in run("lease", "list", "--project", "pkg:pypi/shop").err


def test_a_project_that_opted_out_is_not_leased_until_that_is_withdrawn(run: Run, served: tuple[Served, dict[str, str]]) -> None:
    assert "nobody opted out" in run("opt-out").err
    said = run("opt-out", "pkg:PyPI/Quiet", "--contact", "me@quiet.example", "--reason", "no time", "--days", "3")
    assert (said.code, said.out) == (0, "pkg:pypi/quiet  opted-out\n")
    assert_told(run("lease", "take", "pkg:pypi/quiet"), 7, "opted-out", "me@quiet.example")
    (row,) = json.loads(run("opt-out", "--json").out)
    assert (row["project"], row["contact"], row["reason"], row["until"] is None) == ("pkg:pypi/quiet", "me@quiet.example", "no time", False)
    listed = run("opt-out").out
    assert "pkg:pypi/quiet  until 20" in listed and "me@quiet.example  no time" in listed
    other = program(settled(served, "TWO"), "opt-out", "pkg:pypi/quiet", "--withdraw", TWO=served[1]["TWO"])
    assert_told(other, 4, "another organisation spoke", "operator")
    withdrawn = json.loads(run("opt-out", "pkg:pypi/quiet", "--withdraw", "--json", "state,duplicate").out)
    assert withdrawn == {"state": "withdrawn", "duplicate": False}
    assert run("lease", "take", "pkg:pypi/quiet").code == 0
    again = run("opt-out", "pkg:pypi/quiet", "--withdraw")
    assert again.code == 0 and "there was none" in again.err
    assert run("opt-out", "pkg:pypi/quiet", "--contact", "me@quiet.example").code == 0
    overruled = served[0].run("opt-outs", "--withdraw", "pkg:pypi/quiet")
    assert overruled.code == 0 and "makes none for that project again" in overruled.err and "no opt-out is left" in overruled.err
    assert_told(run("opt-out", "pkg:pypi/quiet", "--contact", "me@quiet.example"), 4, "overruled")


def test_a_fix_is_taken_back_once_and_by_its_submitter_alone(run: Run, folder: Path, served: tuple[Served, dict[str, str]]) -> None:
    (row,) = json.loads(run("submit", bundle(folder, "0.6.9"), "--json").out)
    other = program(settled(served, "TWO"), "revoke", row["id"], "--reason", "not mine", TWO=served[1]["TWO"])
    assert_told(other, 2, "not-found")
    done = run("revoke", row["subject"], "--reason", "it was bypassed")
    assert (done.code, done.out) == (0, f"{row['id']}  revoked\n")
    assert_told(run("revoke", row["id"], "--reason", "once more"), 7, "revoked already", "hint: ")
    assert ": revoked" in run("submit", "--status").out


def test_a_better_fix_takes_the_place_of_one(run: Run, folder: Path) -> None:
    old, new = (json.loads(run("submit", bundle(folder, version), "--json").out)[-1] for version in ("0.5.1", "0.5.2"))
    done = run("revoke", old["subject"], "--by", new["id"], "--reason", "smaller")
    assert (done.code, done.out) == (0, f"{old['id']}  superseded\n")
    assert ": superseded" in run("submit", "--status").out
    assert_told(run("revoke", new["id"], "--by", "nonsense", "--reason", "r"), 2, "nonsense")


def test_a_flaw_is_reported_without_a_fix_once_and_assessed(run: Run, folder: Path, served: tuple[Served, dict[str, str]]) -> None:
    found = bundle(folder, "0.4.0")
    for _ in range(2):
        (row,) = json.loads(run("submit", found, "--finding", "--json").out)
    assert (row["verb"], row["delivery"], row["id"].startswith("finding-")) == ("submit-finding", "delivered", True)
    flaw = run("lift", row["id"]).out.split()[0]
    assert_told(run("assess", flaw, "correct"), 4, "scope")
    data = served[0].folder / "ch"

    async def assessor() -> str:
        async with Store.open("sqlite", data) as store:
            me = next(each for each in await store.organisations() if each.name == "ONE")
            return (await store.create_token(me.id, (Scope.submit, Scope.assess, Scope.pull)))[1]

    said = run("assess", flaw, "incorrect", "--reason", "behind a login", "--tests-passed", ONE=asyncio.run(assessor()))
    assert (said.code, said.out) == (0, f"{flaw}  incorrect\n"), said
    assert_told(run("assess", flaw, "perhaps"), 2, "perhaps")
    assert_told(run("assess", "CVE-2026-1", "correct"), 2, "CVE-2026-1")


def test_an_embargo_ends_once_all_agreed_who_asked_for_one(run: Run, folder: Path, served: tuple[Served, dict[str, str]]) -> None:
    body = {"flaw": {"project": "pkg:pypi/kept", "title": "t", "aliases": ["CVE-2026-7777"]}, "scanner": "s"}
    until = datetime.now(UTC) + timedelta(days=9)
    other, token = settled(served, "TWO"), {"TWO": served[1]["TWO"]}
    for place in (folder, other):
        put(place, Verb.submit_finding, body, "kept", until)
    (mine,) = json.loads(run("submit", "--json", "id").out)
    (theirs,) = json.loads(program(other, "submit", "--json", "id", **token).out)
    agreed = run("lift", mine["id"], "--reason", "patched")
    assert (agreed.code, agreed.out.split()[1]) == (0, "agreed") and "once everybody did" in agreed.err
    again = run("lift", mine["id"])
    assert again.code == 0 and "agreed already" in again.out
    flaw = agreed.out.split()[0]
    lifted = program(other, "lift", flaw, "--json", **token)
    assert (lifted.code, json.loads(lifted.out)["state"]) == (0, "lifted"), lifted
    assert "lifted already" in program(other, "lift", theirs["id"], **token).out


def test_nobody_there_is_exit_code_3_for_whatever_is_asked(run: Run, served: tuple[Served, dict[str, str]], who: str) -> None:
    settled(served, who, url="http://127.0.0.1:9")
    for words in (("lease", "list"), ("opt-out",), ("lift", "flaw-" + "0" * 24)):
        assert_told(run(*words), 3, "127.0.0.1:9", "no connection: connection refused")
    settled(served, who, url=served[0].url.replace("http:", "https:"))
    assert_told(run("lease", "list"), 3, "speaks no https")
    settled(served, who, url="https://nobody.invalid")
    assert_told(run("lease", "list"), 3, "nobody knows a host of this name")
    settled(served, who)


def test_another_ledger_than_the_trusted_is_exit_code_8(run: Run, served: tuple[Served, dict[str, str]], who: str) -> None:
    settled(served, who, trust="SHA256:" + "A" * 43)
    assert_told(run("lease", "list"), 8, "ledger key")
    settled(served, who)
