"""`subscribe`, `pull` and `match` as an operator types them, beside a clearinghouse on loopback, an honest one and ones that lie."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.clearinghouse.client import results
from remediator.clearinghouse.client.outbox import Outbox, idempotency_key
from remediator.clearinghouse.wire.verbs import ReceiptBody
from remediator.evidence.keys import SigningKey

from .operator_kit import DIFF, House, Machine, house, subscribed

OTHER_KEY = SigningKey.generate().public.keyid


@pytest.fixture(scope="module")
def ch() -> Iterator[House]:
    with house() as found:
        yield found


@pytest.fixture
def machine(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "machine", capsys, monkeypatch)


@pytest.fixture
def hospital(machine: Machine, ch: House) -> Machine:
    return subscribed(machine, ch)


# -- subscribe ---------------------------------------------------------------------------------------------------------


def test_a_token_from_standard_input_is_kept_for_its_owner_alone(machine: Machine, ch: House) -> None:
    done = machine.program("subscribe", ch.url, "--trust", ch.trust, "--token-stdin", "--json", stdin=f"  {ch.hospital.token}\n")
    assert (done.code, done.json[0]["token"]) == (0, "stored")
    file = machine.state / "subscriptions" / "default" / "token"
    assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, ch.hospital.token)
    secret = ch.hospital.token.split("_", 2)[2]
    shown = [done.out, done.err, *machine("subscribe"), *machine("-v", "pull", "--json")]
    assert not [each for each in shown if secret in str(each)]
    assert b"secret" not in (machine.state / "subscriptions" / "default" / "subscription.json").read_bytes()
    assert machine("pull").code == 0


def test_another_reference_forgets_the_stored_token(hospital: Machine, ch: House) -> None:
    assert hospital("subscribe", ch.url, "--trust", ch.trust, "--token", "env:CH_TOKEN").code == 0
    assert not (hospital.state / "subscriptions" / "default" / "token").exists()
    assert hospital("pull", CH_TOKEN=ch.hospital.token).code == 0
    done = hospital("pull")
    assert (done.code, "env:CH_TOKEN is not there" in done.err, "hint: export CH_TOKEN" in done.err) == (2, True, True)


def test_a_new_address_alone_keeps_the_stored_token_and_the_trusted_key(hospital: Machine, ch: House) -> None:
    (token,) = hospital.state.rglob("token")
    kept = token.read_bytes()
    for trust in ((), ("--trust", ch.trust)):
        assert hospital("subscribe", "http://127.0.0.1:9", *trust).code == 0
        assert hospital("subscribe", "--json", "token,trust").json == [{"token": "stored", "trust": ch.trust}]
        assert token.read_bytes() == kept
    assert hospital("subscribe", ch.url).code == 0
    assert hospital("pull").code == 0


def test_a_stored_token_is_not_taken_along_to_another_clearinghouse(hospital: Machine, ch: House) -> None:
    before = hospital.files()
    done = hospital("subscribe", "http://127.0.0.1:9", "--trust", "SHA256:" + "A" * 43)
    assert (done.code, done.err.startswith("error: "), "--token-stdin" in done.err) == (2, True, True), done
    assert hospital.files() == before


def test_a_stored_token_that_others_can_read_is_not_used(hospital: Machine) -> None:
    (hospital.state / "subscriptions" / "default" / "token").chmod(0o644)
    done = hospital("pull")
    assert done.code == 2
    assert "open to others" in done.err and "revoked" in done.err
    (hospital.state / "subscriptions" / "default" / "token").unlink()
    assert "--token-stdin" in hospital("pull").err


@pytest.mark.parametrize(
    ("words", "stdin", "told", "hint"),
    [
        (("URL",), "", "--trust needs", "ask the clearinghouse's operator"),
        (("URL", "--trust", "SHA256:short"), "", "--trust needs", "operator"),
        (("URL", "--trust", "TRUST", "--token", "rch_literal_secret"), "", "a key does not stand in the settings", "--token-stdin"),
        (("URL", "--trust", "TRUST", "--token-stdin"), "", "no token", "< FILE"),
        (("URL", "--trust", "TRUST", "--token-stdin"), "two words\n", "no token", "< FILE"),
        (("URL", "--trust", "TRUST", "--token-stdin"), "one-token\nand another\n", "no token", "< FILE"),
        (("URL", "--trust", "TRUST", "--token-stdin", "--token", "env:A"), "abcdefgh", "two ways", "leave one out"),
        (("--trust", "TRUST"), "", "no URL", "remediator subscribe URL"),
        (("--token-stdin",), "abcdefgh", "no URL", "remediator subscribe URL"),
        (("http://ch.example", "--trust", "TRUST"), "", "not sent over plain http", "use https"),
        (("ftp://127.0.0.1", "--trust", "TRUST"), "", "is no address", "https://HOST"),
        (("https://user:pass@ch.example", "--trust", "TRUST"), "", "is no address", "https://HOST"),
        (("https://ch.example:99999", "--trust", "TRUST"), "", "is no address", "https://HOST"),
        (("URL", "--trust", "TRUST", "--name", "../up"), "", "no name for a subscription", "letters"),
    ],
)
def test_what_cannot_be_subscribed_to_is_told_and_kept_nowhere(
    words: tuple[str, ...], stdin: str, told: str, hint: str, machine: Machine, ch: House
) -> None:
    done = machine("subscribe", *({"URL": ch.url, "TRUST": ch.trust}.get(word, word) for word in words), stdin=stdin)
    assert done.code == 2
    what, how = done.err.split("hint: ", 1)
    assert what.startswith("error: ") and told in what and hint in how, done.err
    assert "rch_literal_secret" not in done.err
    assert machine.files() == {}


def test_a_mistyped_key_is_put_right_before_the_first_pull(machine: Machine, ch: House) -> None:
    assert machine("subscribe", ch.url, "--trust", OTHER_KEY, "--token-stdin", stdin=ch.hospital.token).code == 0
    assert machine("pull").code == 8
    assert machine("subscribe", ch.url, "--trust", ch.trust, "--token-stdin", stdin=ch.hospital.token).code == 0
    done = machine("pull")
    assert (done.code, "is the first that is seen here" in done.err) == (0, True), done


def test_another_ledger_needs_another_name(hospital: Machine, ch: House) -> None:
    assert hospital("pull").code == 0
    before = hospital.files()
    done = hospital("subscribe", ch.url, "--trust", OTHER_KEY)
    assert (done.code, "choose another --name" in done.err) == (2, True)
    assert hospital.files() == before


# -- pull --------------------------------------------------------------------------------------------------------------


def test_what_is_new_is_pulled_once_and_told_in_json(hospital: Machine, ch: House) -> None:
    one = ch.fix("pull-one")
    first = hospital("pull", "--json").json
    assert one in first["new"] and first["name"] == "default"
    two = ch.fix("pull-two")
    ch.revoke(one)
    second = hospital("pull", "--json", "new,withdrawn").json
    assert second == {"new": [two], "withdrawn": [one]}
    third = hospital("pull")
    assert (third.code, third.out) == (0, "")
    assert "0 new, 0 withdrawn" in third.err and "goes on from the last pull" in third.err


@pytest.mark.parametrize(
    ("words", "code", "told", "hint"),
    [
        (("--name", "nowhere"), 2, "no subscription 'nowhere'", "remediator subscribe"),
        (("--sbom", "missing.json"), 2, "missing.json", "remediator pull --help"),
        (("--json", "nonsense"), 2, "nonsense", ""),
        (("--json", "fix_id"), 2, "no field 'fix_id' here", "there is: name"),
        (("--offline",), 2, "nothing is pulled offline", "--sbom"),
        (("--offline", "--watch"), 2, "nothing is pulled offline", "--sbom"),
        (("--exec", "./none.sh"), 2, "is no program", "chmod +x"),
        (("--exec", "no-such-program-here"), 2, "was found", "not run by a shell"),
        (("--exec", "'open quote"), 2, "is no command", "not run by a shell"),
        (("--exec", ""), 2, "is no command", "not run by a shell"),
        (("--interval", "0"), 2, "interval", "--help"),
    ],
)
def test_what_cannot_be_pulled_is_told(words: tuple[str, ...], code: int, told: str, hint: str, hospital: Machine) -> None:
    before = hospital.files()
    done = hospital("pull", *words)
    assert done.code == code, done
    assert done.err.startswith("error: ") and told in done.err and hint in done.err, done.err
    assert hospital.files() == before


def test_a_token_that_is_not_known_is_exit_code_4(hospital: Machine, ch: House) -> None:
    assert hospital("subscribe", ch.url, "--trust", ch.trust, "--token", "env:CH_TOKEN").code == 0
    done = hospital("pull", CH_TOKEN="rch_0123456789abcdef_" + "x" * 43)
    assert (done.code, done.err.startswith("error: ")) == (4, True)
    assert "x" * 20 not in done.err
    assert "check the token of 'default'" in done.err and "Authorization" not in done.err


def test_an_outcome_whose_key_is_not_registered_yet_is_kept_and_counted_once(hospital: Machine, ch: House) -> None:
    fix = ch.fix("pull-unregistered")
    assert hospital("pull").code == 0
    done = hospital("outcome", fix, "applied")
    assert (done.code, "submit --show-key" in done.err, "next `remediator pull`" in done.err) == (4, True, True), done
    ch.register(hospital("submit", "--show-key").out.strip())
    done = hospital("pull")
    assert (done.code, f"outcome {fix} applied: handed over" in done.err) == (0, True), done
    assert ch.outcomes(fix) == {"applied": 1}
    assert "outcome" not in hospital("pull").err


def test_an_outcome_that_is_refused_while_pulling_is_told(hospital: Machine, ch: House) -> None:
    ch.register(hospital("submit", "--show-key").out.strip())
    fix = "fix-" + "0" * 24
    outbox = Outbox(hospital.state)
    results.put(outbox, "default", idempotency_key(fix), ReceiptBody(fix_id=fix, outcome="applied"))
    outbox.close()
    done = hospital("pull")
    assert (done.code, f"outcome {fix} applied: refused: " in done.err, "not-found" in done.err) == (0, True, True), done


def test_where_things_stand_names_the_subscriptions(hospital: Machine, ch: House) -> None:
    assert "nothing pulled yet" in hospital().out and "next: remediator pull" in hospital().out
    assert hospital("pull").code == 0
    assert f"subscription default: {ch.url}, pulled 20" in hospital().out
    outbox = Outbox(hospital.state)
    results.put(outbox, "default", idempotency_key("stands"), ReceiptBody(fix_id="fix-" + "0" * 24, outcome="applied"))
    outbox.close()
    told = hospital().out
    assert "subscription default: 1 outcome not handed over yet: remediator pull --name default" in told and "submit" not in told
    (hospital.state / "subscriptions" / "default" / "subscription.json").write_text("{")
    done = hospital()
    assert (done.code, "is damaged" in done.out) == (0, True), done


def test_nobody_there_is_told_and_nothing_is_lost(hospital: Machine, ch: House) -> None:
    assert hospital("subscribe", "http://127.0.0.1:9", "--trust", ch.trust, "--token", "env:CH_TOKEN").code == 0
    before = hospital.files()
    done = hospital("pull", CH_TOKEN="a-token")
    assert (done.code, "could not be asked" in done.err) == (3, True)
    assert hospital.files() == before


def changed(path: str, field: str, value: Any) -> Callable[[str, bytes], bytes]:
    """Return a lie: every answer of this path has another value at this place."""

    def lie(asked: str, body: bytes) -> bytes:
        if path not in asked:
            return body
        told = json.loads(body)
        inner: Any = told
        *way, last = field.split(".")
        for step in way:
            inner = inner[int(step)] if isinstance(inner, list) else inner[step]
        inner[last] = value(inner[last]) if callable(value) else value
        return json.dumps(told).encode()

    return lie


LIES = {
    "another ledger": changed("/v1", "ledger_key", SigningKey.generate().public.line()),
    "a patch": changed("/published", "patch", DIFF.replace("safe_load", "full_load")),
    "its level": changed("/published", "fix.level", 5),
    "its bundle": changed("/published", "fix.bundle", "sha256:" + "0" * 64),
    "another fix": changed("/published", "fix.id", "fix-" + "0" * 24),
    "a state": changed("/published", "fix.state", "rejected"),
    "the fix in the feed": changed("/v1/feed", "entries.0.fix_id", "fix-" + "0" * 24),
    "the place in the ledger": changed("/v1/feed", "entries.0.ledger_index", 0),
    "a kind": changed("/v1/feed", "entries.0.kind", "revoked"),
    "the order": changed("/v1/feed", "entries.0.cursor", 0),
    "that there is more, for ever": lambda path, body: (
        json.dumps({**json.loads(body), "entries": [], "next": 0, "more": True}).encode() if path.startswith("/v1/feed") else body
    ),
    "the size of the head": changed("/v1/feed", "head.head.size", lambda size: size + 1),
    "the root of the head": changed("/v1/feed", "head.head.root", "00" * 32),
    "the signature of the head": changed("/v1/feed", "head.signature", "é"),
    "a ledger's entry": changed("/v1/ledger/entries", "items.0.commitment", "11" * 32),
    "a proof": changed("/v1/ledger/inclusion", "path", ["22" * 32]),
    "an opening": changed("/openings", "items.0.object", lambda told: told.replace('"level":4', '"level":5')),
    "an opening's nonce": changed("/openings", "items.0.nonce", "no hex"),
    "an opening that is no JSON": changed("/openings", "items.0.object", "{"),
}


def test_a_lie_is_exit_code_8_and_nothing_is_kept(machine: Machine, ch: House) -> None:
    fix = ch.fix("lied-about")
    lie: list[Callable[[str, bytes], bytes]] = [lambda _, body: body]
    with ch.behind(lambda path, body: lie[0](path, body)) as url:
        machine("subscribe", url, "--trust", ch.trust, "--token", "env:CH_TOKEN")
        before = machine.files()
        for name, told in LIES.items():
            lie[0] = told
            done = machine("pull", CH_TOKEN=ch.hospital.token)
            assert done.code == 8, (name, done)
            assert done.err.startswith("error: ") and "Traceback" not in done.err
            assert machine.files() == before, name
        lie[0] = lambda _, body: body
        assert fix in machine("pull", "--json", CH_TOKEN=ch.hospital.token).json["new"]


def test_fields_of_a_later_server_are_let_pass(machine: Machine, ch: House) -> None:
    fix = ch.fix("later-server")

    def more(path: str, body: bytes) -> bytes:
        told = json.loads(body)
        for each in (told, *told.get("entries", []), told.get("fix"), told.get("flaw")):
            if isinstance(each, dict) and "/ledger/" not in path:
                each["of_a_later_version"] = {"a": [1]}
        return json.dumps(told).encode()

    with ch.behind(more) as url:
        machine("subscribe", url, "--trust", ch.trust, "--token", "env:CH_TOKEN")
        done = machine("pull", "--json", CH_TOKEN=ch.hospital.token)
    assert done.code == 0, done
    assert fix in done.json["new"]


def test_a_ledger_that_steps_back_is_exit_code_8_and_what_is_here_stays(hospital: Machine, ch: House) -> None:
    ch.fix("back-one")
    heads: list[Any] = []

    def old(asked: str, body: bytes) -> bytes:
        told = json.loads(body)
        if asked == "/v1/feed":
            heads.append(told["head"])
            told |= {"head": heads[0], "entries": [], "more": False}
        return json.dumps(told).encode()

    with ch.behind(old) as url:
        hospital("subscribe", url, "--trust", ch.trust, "--token", "env:CH_TOKEN")
        assert hospital("pull", CH_TOKEN=ch.hospital.token).code == 0
        ch.fix("back-two")
        hospital("subscribe", ch.url, "--trust", ch.trust, "--token", "env:CH_TOKEN")
        assert hospital("pull", CH_TOKEN=ch.hospital.token).code == 0
        hospital("subscribe", url, "--trust", ch.trust, "--token", "env:CH_TOKEN")
        before = hospital.files()
        done = hospital("pull", CH_TOKEN=ch.hospital.token)
    assert done.code == 8
    assert "rolled back" in done.err and "hint: " in done.err
    assert hospital.files() == before


def test_a_rewritten_history_is_exit_code_8(hospital: Machine, ch: House) -> None:
    ch.fix("rewritten")
    assert hospital("pull").code == 0
    ch.fix("rewritten-again")
    with ch.behind(changed("/v1/ledger/consistency", "path", ["33" * 32])) as url:
        hospital("subscribe", url, "--trust", ch.trust, "--token", "env:CH_TOKEN")
        before = hospital.files()
        done = hospital("pull", CH_TOKEN=ch.hospital.token)
    assert (done.code, "rewritten" in done.err) == (8, True)
    assert hospital.files() == before


# -- match -------------------------------------------------------------------------------------------------------------


def rows_of(machine: Machine) -> list[dict[str, str]]:
    return list(csv.DictReader((machine.folder / "fixes" / "plan.csv").read_text().splitlines()))


def test_a_hit_is_exit_code_1_and_a_plan_for_people_and_programs(hospital: Machine, ch: House) -> None:
    fix = ch.fix("match-one")
    done = hospital("pull", "--sbom", hospital.sbom("match-one", "innocent"))
    assert done.code == 1
    assert "2 components: 1 hit. The SBOM stayed on this machine" in done.err and "nothing was applied" in done.err
    (row,) = rows_of(hospital)
    assert (row["fix_id"], row["vex"], row["patch_file"], row["level"]) == (fix, "affected", f"patches/{fix}.diff", "4")
    out = hospital.folder / "fixes"
    assert (out / row["patch_file"]).read_text() == DIFF
    html = (out / "plan.html").read_text()
    assert fix in html and row["due_on"] in html and "affected" in html
    assert {path.name for path in out.iterdir()} == {"patches", "plan.csv", "plan.html", "vex.openvex.json", "vex.cdx.json"}


def test_an_sbom_that_is_named_twice_is_read_once_and_what_is_assumed_is_told(hospital: Machine, ch: House) -> None:
    ch.fix("match-twice")
    sbom = hospital.sbom("match-twice")
    done = hospital("pull", "--sbom", sbom, "--sbom", f"./{sbom.name}")
    assert (done.code, "1 component: 1 hit." in done.err, "due dates take the worst" in done.err) == (1, True, True), done


def test_json_of_a_match_has_what_the_plan_has(hospital: Machine, ch: House) -> None:
    fix = ch.fix("match-json")
    hospital("pull")
    told = hospital("match", "--sbom", hospital.sbom("match-json"), "--json", "fix_id,forensics,vex,patch_file")
    assert told.code == 1
    assert told.json == [{"fix_id": fix, "forensics": True, "vex": "affected", "patch_file": f"patches/{fix}.diff"}]


def test_a_withdrawn_patch_does_not_stay_where_it_could_be_applied(hospital: Machine, ch: House) -> None:
    fix = ch.fix("match-gone")
    sbom = hospital.sbom("match-gone")
    assert hospital("pull", "--sbom", sbom).code == 1
    patch = hospital.folder / "fixes" / "patches" / f"{fix}.diff"
    assert patch.exists()
    ch.revoke(fix)
    done = hospital("pull", "--sbom", sbom)
    assert done.code == 1 and "do not apply" in done.out
    assert f"withdrawn: {fix}, revoked: bypassed; see to it" in done.err
    assert not patch.exists()
    (row,) = rows_of(hospital)
    assert (row["state"], row["patch_file"]) == ("revoked", "")
    assert "do not apply" in (hospital.folder / "fixes" / "plan.html").read_text()


def test_nothing_found_is_exit_code_0_and_leaves_no_old_plan(hospital: Machine, ch: House) -> None:
    ch.fix("match-upgraded")
    assert hospital("pull", "--sbom", hospital.sbom("match-upgraded")).code == 1
    done = hospital("match", "--sbom", hospital.sbom("innocent"))
    assert (done.code, rows_of(hospital)) == (0, [])
    assert list((hospital.folder / "fixes" / "patches").iterdir()) == []
    assert not (hospital.folder / "fixes" / "vex.openvex.json").exists()


@pytest.mark.parametrize(("pulled", "unnamed"), [(False, 0), (True, 2)])
def test_what_could_not_be_looked_at_is_exit_code_3(pulled: bool, unnamed: int, hospital: Machine, ch: House) -> None:
    if pulled:
        assert hospital("pull").code == 0
    done = hospital("match", "--sbom", hospital.sbom("innocent", unnamed=unnamed))
    assert done.code == 3
    assert ("nothing was pulled yet" in done.err) is not pulled
    assert ("2 have no package URL" in done.err) is pulled


def test_offline_what_was_pulled_before_is_matched(hospital: Machine, ch: House) -> None:
    fix = ch.fix("match-offline")
    assert hospital("pull").code == 0
    hospital("subscribe", "http://127.0.0.1:9", "--trust", ch.trust, "--token", "env:NONE")
    done = hospital("pull", "--offline", "--sbom", hospital.sbom("match-offline"))
    assert done.code == 1
    assert "offline, nothing was fetched; as of 20" in done.err
    assert rows_of(hospital)[0]["fix_id"] == fix
    assert hospital("--offline", "match", "--sbom", hospital.sbom("match-offline")).code == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [("{}", "sbom.json"), ("not json", "sbom.json"), ('{"bomFormat": "CycloneDX", "components": 5}', "sbom.json"), ("<x/>", "sbom.json")],
)
def test_what_is_no_sbom_is_said_and_nothing_written(content: str, told: str, hospital: Machine) -> None:
    path = hospital.folder / "sbom.json"
    path.write_text(content)
    done = hospital("match", "--sbom", path)
    assert done.code in (2, 3) and done.err.startswith("error: ") and told in done.err
    assert not (hospital.folder / "fixes").exists()


def test_without_a_subscription_a_match_is_not_clean(machine: Machine) -> None:
    done = machine("match", "--sbom", machine.sbom("innocent"))
    assert (done.code, "remediator subscribe" in done.err) == (2, True)


def test_feeds_that_are_none_are_said(hospital: Machine) -> None:
    (hospital.folder / "feeds").mkdir()
    done = hospital("pull", "--sbom", hospital.sbom("x"), "--feeds", hospital.folder / "feeds")
    assert done.code in (2, 3) and "holds no feed" in done.err and "hint: put" in done.err


def test_what_is_kept_and_damaged_is_said(hospital: Machine, ch: House) -> None:
    fix = ch.fix("damaged")
    assert hospital("pull").code == 0
    (hospital.state / "subscriptions" / "default" / "fixes" / f"{fix}.json").write_text("{")
    done = hospital("match", "--sbom", hospital.sbom("damaged"))
    assert (done.code, "is damaged" in done.err, "hint: " in done.err) == (2, True, True)
    shutil.rmtree(hospital.state)
