"""The operator's commands, as an operator types them, beside a server that runs."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediator.evidence.keys import SigningKey

from . import commands_kit
from .commands_kit import Done, Served, here, program, serving

EVERY_SECOND = 1.5
"""How long what was revoked in another process may still be taken, and a little."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(autouse=True)
def typed_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A start of the interpreter for each command would take longer than all that is tried; `program` as it is imported here starts one."""

    def run(folder: Path, *words: str, **more: str) -> Done:
        with monkeypatch.context() as patch:
            return here(patch, capfd, folder)(*words, **more)

    monkeypatch.setattr(commands_kit, "program", run)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as found:
        yield found


def test_a_token_is_shown_once_and_worth_nothing_once_revoked(served: Served) -> None:
    served.run("organisation", "St. Anna Hospital", "--tier", "operator")
    made = served.run("token", "St. Anna Hospital", "--scope", "pull")
    secret = made.out.strip()
    assert re.fullmatch(r"rch_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", secret)
    assert served.status_of("/v1/feed", secret) == 200
    assert served.status_of("/v1/epoch", secret) == 403
    listed = served.run("token", "St. Anna Hospital")
    assert secret.split("_")[1] in listed.out
    for place in (listed.out, listed.err, *(path.read_bytes().decode("latin-1") for path in (served.folder / "ch").glob("*.sqlite*"))):
        assert secret.split("_", 2)[2] not in place
    assert served.run("token", "--revoke", secret.split("_")[1]).code == 0
    time.sleep(EVERY_SECOND)
    assert served.status_of("/v1/feed", secret) == 401
    told = served.run("token", "St. Anna Hospital").out
    assert f"{secret.split('_')[1]}  " in told and "  created 20" in told and "  revoked 20" in told and "expires" not in told
    # Revoked once more by mistake: since when it is worth nothing does not change.
    assert served.run("token", "--revoke", secret.split("_")[1]).code == 0
    assert served.run("token", "St. Anna Hospital").out == told


def test_an_organisation_that_is_shut_out_reads_nothing_more(served: Served) -> None:
    made = json.loads(served.run("organisation", "Shut Out", "--json").out)
    secret = served.run("token", "Shut Out", "--scope", "submit").out.strip()
    assert served.status_of("/v1/epoch", secret) == 200
    assert served.run("organisation", "--disable", made[0]["id"]).code == 0
    time.sleep(EVERY_SECOND)
    assert served.status_of("/v1/epoch", secret) == 401


def test_keys_are_registered_replaced_and_revoked(served: Served) -> None:
    served.run("organisation", "Fix Team")
    first, second = SigningKey.generate().public, SigningKey.generate().public
    assert served.run("key", "Fix Team", first.line()).code == 0
    # A shell takes an unquoted line apart.
    assert served.run("key", "Fix Team", *second.line().split(), "their-comment", "--replaces", first.keyid).code == 0
    keys = {row["keyid"]: row for row in json.loads(served.run("key", "Fix Team", "--json").out)}
    assert keys[first.keyid]["revoked_at"] is not None
    assert keys[second.keyid]["revoked_at"] is None
    assert served.run("key", "--revoke", second.keyid, "--reason", "lost").code == 0
    keys = {row["keyid"]: row for row in json.loads(served.run("key", "Fix Team", "--json").out)}
    assert keys[second.keyid]["reason"] == "lost"
    assert served.run("key", "--revoke", second.keyid, "--reason", "by mistake").code == 0
    assert keys == {row["keyid"]: row for row in json.loads(served.run("key", "Fix Team", "--json").out)}


@pytest.mark.parametrize(
    "words",
    [
        ("token", "nobody", "--scope", "pull"),
        ("key", "nobody", SigningKey.generate().public.line()),
        ("key", "Fix Team", "ssh-rsa AAAA"),
        ("organisation", "Fix Team"),
        ("organisation", "evil\x1b[2Jname"),
        ("organisation", "--disable", "org-0"),
        ("token", "--revoke", "0"),
        ("key", "--revoke", "SHA256:0"),
        ("requeue",),
        ("requeue", "fix-0"),
        ("requeue", "fix-0", "--all"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(served: Served, words: tuple[str, ...]) -> None:
    served.run("organisation", "Fix Team")
    done = served.run(*words)
    assert done.code == 2, done
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("organisation", "Fix Team"), "remediator clearinghouse organisation"),
        (("organisation", "--disable", "org-0"), "remediator clearinghouse organisation"),
        (("token", "--revoke", "0"), "remediator clearinghouse token"),
        (("key", "--revoke", "SHA256:0"), "remediator clearinghouse key"),
    ],
)
def test_a_hint_that_says_how_to_list_changes_nothing(served: Served, words: tuple[str, ...], hint: str) -> None:
    served.run("organisation", "Fix Team")
    before = served.run("verify-ledger").out
    assert served.run(*words).err.endswith(f"hint: {hint}\n")
    assert served.run(*hint.split()[2:]).code == 0
    assert served.run("verify-ledger").out == before


def test_a_folder_without_a_clearinghouse_gets_none(served: Served) -> None:
    for words in (("organisation", "Lost"), ("stats",), ("verify-ledger",), ("work", "--once")):
        done = program(served.folder, "clearinghouse", words[0], "--data", "elsewhere", *words[1:])
        assert (done.code, "no clearinghouse in elsewhere" in done.err, "clearinghouse serve" in done.err) == (2, True, True), done
    assert not (served.folder / "elsewhere").exists()


def test_a_list_with_nothing_in_it_says_so_and_no_number_is_left_out(fresh: Served) -> None:
    for words, told in (
        (("organisation",), "no organisation yet"),
        (("token",), "no token yet"),
        (("key",), "no key yet"),
        (("opt-outs",), "nobody opted out"),
        (("requeue", "--all"), "nothing ended as infra_error"),
    ):
        done = fresh.run(*words)
        assert (done.code, done.out, told in done.err) == (0, "", True), done
        assert json.loads(fresh.run(*words, "--json").out) == []
    assert "flaws  0\n" in fresh.run("stats").out
    made = json.loads(fresh.run("organisation", "Shut Out", "--json").out)
    assert "disabled" not in fresh.run("organisation").out
    assert fresh.run("organisation", "--disable", made[0]["id"]).out.rstrip().endswith("disabled")


def test_numbers_the_ledger_and_a_link(fresh: Served) -> None:
    fresh.run("organisation", "Fix Team")
    numbers = {row["name"]: row["count"] for row in json.loads(fresh.run("stats", "--json").out)}
    assert (numbers["flaws"], numbers["ledger"]) == (0, 1)
    verified = fresh.run("verify-ledger")
    assert (verified.code, verified.out.startswith("1 entries")) == (0, True)
    link = fresh.run("login-link", "Fix Team", "ada", "--url", fresh.url).out.strip()
    assert link.startswith(f"{fresh.url}/login/")


def test_the_document_is_the_one_that_is_served(served: Served) -> None:
    printed = json.loads(program(served.folder, "clearinghouse", "openapi").out)
    with urllib.request.urlopen(served.url + "/v1/openapi.json", timeout=30) as answer:
        assert printed == json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(fresh: Served, number: int) -> None:
    fresh.process.send_signal(number)
    assert fresh.process.wait(30) == 0
    assert fresh.run("verify-ledger").code == 0


def test_a_changed_ledger_is_told_by_exit_code_8(fresh: Served) -> None:
    import sqlite3

    fresh.run("organisation", "Fix Team")
    fresh.process.send_signal(signal.SIGTERM)
    fresh.process.wait(30)
    database = sqlite3.connect(fresh.folder / "ch" / "clearinghouse.sqlite")
    (table,) = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ledger%' AND sql LIKE '%object%'"
    ).fetchone()
    assert database.execute(f"UPDATE {table} SET object = replace(object, 'Fix Team', 'Fix Tean')").rowcount == 1
    database.commit()
    database.close()
    assert fresh.run("verify-ledger").code == 8


def test_nothing_is_served_to_others_over_plain_http(tmp_path: Path) -> None:
    done = program(tmp_path, "clearinghouse", "serve", "--data", "ch", "--listen", "0.0.0.0:0")
    assert done.code == 2
    assert "plain http" in done.err
