"""`bundle`, `outcome` and `pull --offline` on both sides of an air gap, by the command line: in, back out, each once, and nothing forged."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from remediator.clearinghouse.client.blanking import blanked, names_of
from remediator.evidence.attest import pae
from remediator.evidence.container import pack_files, unpack_files
from remediator.evidence.keys import SigningKey, signing_key
from remediator.records.record import canonical_json, digest_of

from .operator_kit import DIFF, House, Machine, house, subscribed

OTHER = SigningKey.generate()


class Sides(NamedTuple):
    """A machine that pulls, one without a network, and the folder in which a medium is carried between them."""

    outside: Machine
    inside: Machine
    medium: Path

    def carried(self, *words: str) -> str:
        """Carry what is new inside; return the key of the machine that made it."""
        file = self.medium / "in.rmb"
        made = self.outside("bundle", "create", "-o", file, "--json")
        assert made.code == 0, made
        taken = self.inside("bundle", "import", file, "--carrier", made.json["carrier"], *words)
        assert taken.code == 0, taken
        return str(made.json["carrier"])

    def key_inside(self) -> str:
        return signing_key(self.inside.state / "keys").public.keyid


@pytest.fixture(scope="module")
def ch() -> Iterator[House]:
    with house() as found:
        yield found


@pytest.fixture
def sides(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ch: House) -> Sides:
    outside = subscribed(Machine(tmp_path / "outside", capsys, monkeypatch), ch)
    ch.register(outside("submit", "--show-key").out.strip())
    inside = Machine(tmp_path / "inside", capsys, monkeypatch)
    assert inside("subscribe", "https://ch.example", "--trust", ch.trust).code == 0
    medium = tmp_path / "medium"
    medium.mkdir()
    return Sides(outside, inside, medium)


def noted(machine: Machine, fix: str, *words: str) -> Any:
    done = machine("outcome", fix, *words, "--json")
    assert done.code == 0, done
    return done.json


# -- in ----------------------------------------------------------------------------------------------------------------


def test_what_is_carried_in_is_matched_offline(sides: Sides, ch: House) -> None:
    fix = ch.fix("gap-in")
    sides.carried()
    done = sides.inside("pull", "--offline", "--sbom", sides.inside.sbom("gap-in"))
    assert done.code == 1, done
    assert (sides.inside.folder / "fixes" / "patches" / f"{fix}.diff").read_text() == DIFF
    assert fix in (sides.inside.folder / "fixes" / "plan.html").read_text()


def test_what_is_in_a_bundle_is_shown_by_both_forms(sides: Sides, ch: House) -> None:
    ch.fix("gap-show")
    file = sides.medium / "in.rmb"
    made = sides.outside("bundle", "create", "--out", file)
    assert (made.code, made.out.startswith("bundle 1: ")) == (0, True)
    shown = sides.inside("bundle", "show", file, "--json").json
    assert (shown["kind"], shown["sequence"], shown["outcomes"]) == ("fixes", 1, [])
    assert sides.inside("bundle", "show", file, "--json", "ledger").json == {"ledger": ch.trust}


@pytest.mark.parametrize(
    ("words", "code", "told", "hint"),
    [
        (("create",), 2, "--out", "remediator bundle create --help"),
        (("create", "-o", "a.rmb", "--name", "nowhere"), 2, "no subscription", "remediator subscribe"),
        (("import", "whole.rmb", "--name", "nowhere"), 2, "no subscription", "remediator subscribe"),
        (("results", "-o", "a.rmb", "--name", "nowhere"), 2, "no subscription", "remediator subscribe"),
        (("results", "-o", "a.rmb", "--again", "1", "--name", "nowhere"), 2, "no subscription", "remediator subscribe"),
        (("--offline", "create", "-o", "a.rmb"), 2, "offline", ""),
        (("create", "-o", "a.rmb", "--days", "0"), 2, "days", "--help"),
        (("show", "missing.rmb"), 2, "missing.rmb", "--help"),
        (("show", "noise.rmb"), 8, "noise.rmb", "get it again"),
        (("import", "noise.rmb"), 8, "noise.rmb", "get it again"),
        (("import", "empty.rmb"), 8, "empty.rmb", "remediator bundle create"),
        (("results", "-o", "a.rmb"), 2, "nothing new was noted", "--again N"),
        (("results", "-o", "a.rmb", "--again", "3"), 2, "no results bundle 3", "the last one is 0"),
        (("results", "-o", "a.rmb", "--redact", "faces"), 2, "'faces' is nothing", "paths, hosts, notes"),
        (("results",), 2, "--out", "--help"),
    ],
)
def test_what_cannot_be_bundled_is_told(words: tuple[str, ...], code: int, told: str, hint: str, sides: Sides) -> None:
    whole = sides.medium / "whole.rmb"
    assert sides.outside("bundle", "create", "-o", whole).code == 0
    (sides.outside.folder / "noise.rmb").write_bytes(b"\x28\xb5\x2f\xfd" + b"noise" * 100)
    (sides.outside.folder / "empty.rmb").write_bytes(pack_files({"a.json": b"{}"}))
    shutil.copy(whole, sides.outside.folder / "whole.rmb")
    before = sides.outside.files()
    first = [word for word in words if word == "--offline"]
    done = sides.outside(*first, "bundle", *(word for word in words if word != "--offline"))
    assert done.code == code, done
    assert done.err.startswith("error: ") and told in done.err and hint in done.err and "Traceback" not in done.err, done.err
    assert sides.outside.files() == before and not (sides.outside.folder / "a.rmb").exists()


def test_a_step_back_a_gap_and_another_carrier_are_exit_code_8(sides: Sides, ch: House) -> None:
    files = []
    for number in (1, 2, 3):
        ch.fix(f"gap-sequence-{number}")
        files.append(sides.medium / f"{number}.rmb")
        assert sides.outside("bundle", "create", "-o", files[-1]).code == 0
    carrier = signing_key(sides.outside.state / "keys").public.keyid
    unknown = sides.inside("bundle", "import", files[0])
    assert unknown.code == 8 and f"--carrier {carrier}" in unknown.err
    assert sides.inside("bundle", "import", files[0], "--carrier", OTHER.public.keyid).code == 8
    assert sides.inside("bundle", "import", files[0], "--carrier", carrier).code == 0
    before = sides.inside.files()
    for file, told in ((files[2], "does not follow 1"), (files[0], "a step back")):
        done = sides.inside("bundle", "import", file)
        assert (done.code, told in done.err) == (8, True)
        assert sides.inside.files() == before
    assert sides.inside("bundle", "import", files[1]).code == 0


def test_a_bundle_that_never_got_inside_is_made_again_with_all_that_came_since(sides: Sides, ch: House) -> None:
    fixes = [ch.fix("gap-again-1")]
    carrier = sides.carried()
    for number in (2, 3):
        fixes.append(ch.fix(f"gap-again-{number}"))
        # The medium's file is written over: what was bundle 2 is lost.
        assert sides.outside("bundle", "create", "-o", sides.medium / "in.rmb").code == 0
    refused = sides.inside("bundle", "import", sides.medium / "in.rmb")
    assert refused.code == 8 and "remediator bundle create --again 2" in refused.err
    made = sides.outside("bundle", "create", "-o", sides.medium / "in.rmb", "--again", "2", "--json")
    assert (made.code, made.json["sequence"], made.json["fixes"]) == (0, 2, 2)
    assert sides.inside("bundle", "import", sides.medium / "in.rmb").code == 0
    assert sides.inside("pull", "--offline", "--sbom", sides.inside.sbom("gap-again-1", "gap-again-2", "gap-again-3")).code == 1
    assert {each.stem for each in (sides.inside.folder / "fixes" / "patches").iterdir()} == set(fixes)
    # It goes on behind the one that was made again, and what was made again once more is a step back inside.
    ch.fix("gap-again-4")
    assert sides.carried() == carrier
    assert sides.outside("bundle", "create", "-o", sides.medium / "in.rmb", "--again", "1").code == 0
    assert "a step back" in sides.inside("bundle", "import", sides.medium / "in.rmb").err
    for number, told in (("2", "the last one is 1"), ("0", "--again")):
        done = sides.outside("bundle", "create", "-o", sides.medium / "none.rmb", "--again", number)
        assert done.code == 2 and told in done.err, done
    assert not (sides.medium / "none.rmb").exists()


def again_sealed(data: bytes, key: SigningKey, change: Callable[[dict[str, Any], dict[str, bytes]], None], kind: str) -> bytes:
    """Change a bundle as whoever holds the key `key` can, and sign it anew."""
    files = unpack_files(data, "b")
    manifest = json.loads(files.pop("manifest.json"))
    del files["manifest.dsse.json"]
    change(manifest, files)
    manifest["carrier"] = key.public.line()
    manifest["files"] = {name: digest_of(body) for name, body in files.items()}
    payload = canonical_json(manifest)
    signature = base64.b64encode(key.sign(pae(f"application/vnd.remediator.{kind}.v1+json", payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": f"application/vnd.remediator.{kind}.v1+json",
        "signatures": [{"keyid": key.public.keyid, "sig": signature}],
    }
    return pack_files({**files, "manifest.json": payload, "manifest.dsse.json": canonical_json(envelope)})


def swapped(files: dict[str, bytes], before: bytes, after: bytes) -> None:
    for name in files:
        files[name] = files[name].replace(before, after)


FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, bytes]], None]] = {
    "a patch": lambda _, files: swapped(files, b"safe_load", b"full_load"),
    "a head": lambda manifest, _: manifest["head"]["head"].update(root="00" * 32),
    "no hex": lambda _, files: swapped(files, b'"path":["', b'"path":["zz'),
    "a ledger key": lambda manifest, _: manifest.update(ledger_key=OTHER.public.line()),
    "no ledger key": lambda manifest, _: manifest.update(ledger_key="\x1b[2J"),
    "an expiry": lambda manifest, _: manifest.update(expires_at="2020-01-01T00:00:00Z"),
    "a line less": lambda _, files: files.update({"feed.json": b"[{}]"}),
    "another kind": lambda manifest, _: manifest.update(format="remediator-other/1"),
}


def test_a_carrier_that_lies_is_exit_code_8_and_nothing_is_kept(sides: Sides, ch: House) -> None:
    ch.fix("gap-forged")
    file = sides.medium / "in.rmb"
    assert sides.outside("bundle", "create", "-o", file).code == 0
    key, honest = signing_key(sides.outside.state / "keys"), file.read_bytes()
    before = sides.inside.files()
    for name, change in FORGERIES.items():
        file.write_bytes(again_sealed(honest, key, change, "airgap"))
        done = sides.inside("bundle", "import", file, "--carrier", key.public.keyid)
        assert done.code == 8, (name, done)
        assert "Traceback" not in done.err and "\x1b" not in done.err
        assert sides.inside.files() == before, name
    file.write_bytes(again_sealed(honest, key, lambda *_: None, "airgap"))
    assert sides.inside("bundle", "import", file, "--carrier", key.public.keyid).code == 0


# -- back --------------------------------------------------------------------------------------------------------------


def test_what_was_noted_inside_is_handed_over_outside_once(sides: Sides, ch: House) -> None:
    fix, other = ch.fix("gap-back"), ch.fix("gap-back-other")
    sides.carried()
    noted(sides.inside, fix, "applied", "--count", "3")
    (row,) = noted(sides.inside, other, "rolled-back", "--reason", "build-failed")
    assert (row["delivery"], row["subject"]) == ("waiting", f"{other} rolled-back")
    back = sides.medium / "back.rmb"
    made = sides.inside("bundle", "results", "-o", back, "--redact", "paths,hosts")
    assert made.code == 0
    assert "results 1, 2 outcomes (1 applied, 1 rolled back: reason build-failed)" in made.out
    assert f"preview: bundle show {back.name}" in made.out
    shown = sides.outside("bundle", "show", back)
    assert shown.code == 0 and f"{fix} applied on 3" in shown.out and f"{other} rolled-back (build-failed) on 1" in shown.out

    unknown = sides.outside("bundle", "import", back)
    assert unknown.code == 8 and f"--carrier {sides.key_inside()}" in unknown.err
    assert ch.outcomes(fix) == {}
    taken = sides.outside("bundle", "import", back, "--carrier", sides.key_inside())
    assert taken.code == 0, taken
    assert taken.out.count("delivered") == 2
    assert (ch.outcomes(fix), ch.outcomes(other)) == ({"applied": 3}, {"rolled-back": 1})

    twice = sides.outside("bundle", "import", back)
    assert (twice.code, "were taken before" in twice.err) == (8, True)
    assert sides.outside("pull").code == 0
    assert (ch.outcomes(fix), ch.outcomes(other)) == ({"applied": 3}, {"rolled-back": 1})


def test_results_are_taken_in_their_order_and_a_lost_one_is_written_again(sides: Sides, ch: House) -> None:
    fix = ch.fix("gap-order")
    sides.carried()
    one, two, again = (sides.medium / name for name in ("1.rmb", "2.rmb", "again.rmb"))
    noted(sides.inside, fix, "applied")
    assert sides.inside("bundle", "results", "-o", one).code == 0
    noted(sides.inside, fix, "rolled-back")
    assert sides.inside("bundle", "results", "-o", two, "--json", "sequence").json == {"sequence": 2}
    assert sides.inside("bundle", "results", "-o", sides.medium / "3.rmb").code == 2
    gap = sides.outside("bundle", "import", two, "--carrier", sides.key_inside())
    assert (gap.code, "--again 1" in gap.err) == (8, True)
    assert sides.inside("bundle", "results", "--again", "1", "-o", again).code == 0
    assert again.read_bytes() == one.read_bytes()
    assert sides.outside("bundle", "import", again, "--carrier", sides.key_inside()).code == 0
    assert sides.outside("bundle", "import", two).code == 0
    assert ch.outcomes(fix) == {"applied": 1, "rolled-back": 1}
    assert sides.inside("bundle", "results", "--again", "9", "-o", again).code == 2


def test_outside_without_a_network_they_wait_for_the_next_pull(sides: Sides, ch: House) -> None:
    fix = ch.fix("gap-waits")
    sides.carried()
    noted(sides.inside, fix, "not-applicable")
    back = sides.medium / "back.rmb"
    assert sides.inside("bundle", "results", "-o", back).code == 0
    with ch.behind(lambda _, body: b"<html>busy") as url:
        subscribed(sides.outside, ch, url)
        taken = sides.outside("bundle", "import", back, "--carrier", sides.key_inside())
    assert (taken.code, "waits for the next `remediator pull`" in taken.err) == (3, True)
    assert ch.outcomes(fix) == {}
    subscribed(sides.outside, ch)
    assert sides.outside("pull").code == 0
    assert ch.outcomes(fix) == {"not-applicable": 1}


def test_what_went_out_by_a_bundle_goes_no_other_way(sides: Sides, ch: House) -> None:
    """The machine inside gets a network after all: what it noted must not be told twice."""
    fix = ch.fix("gap-two-ways")
    sides.carried()
    noted(sides.inside, fix, "applied")
    assert sides.inside("bundle", "results", "-o", sides.medium / "back.rmb").code == 0
    ch.register(sides.inside("submit", "--show-key").out.strip())
    subscribed(sides.inside, ch)
    assert sides.inside("pull").code == 0
    assert ch.outcomes(fix) == {}
    assert sides.outside("bundle", "import", sides.medium / "back.rmb", "--carrier", sides.key_inside()).code == 0
    assert ch.outcomes(fix) == {"applied": 1}


# One word of it, as a reason can have it.
OWN = re.sub(r"[^a-z0-9-]", "-", socket.gethostname().partition(".")[0].lower())[:40]
SECRET_NOTE = f"on pacs01.st-anna.example (10.2.3.4) in /opt/pacs/lib and C:\\pacs\\x by ada@st-anna.example; ghp_{'a' * 30} \x1b[2J {socket.gethostname()}"


@pytest.mark.parametrize(
    ("words", "there", "gone"),
    [
        ((), [], ["pacs", "st-anna", "10.2.3.4", "ada", "ghp_", "\\u001b"]),
        (("--redact", "notes"), [], ["pacs", "st-anna"]),
        (
            ("--redact", "paths,hosts"),
            ["on [host]", "[path]"],
            ["pacs", "st-anna", "10.2.3.4", "ada", "ghp_", "\\u001b", socket.gethostname()],
        ),
        (("--redact", "paths"), ["pacs01.st-anna.example", "[path]"], ["/opt", "C:", "ghp_", "\\u001b"]),
        (("--redact", "hosts"), ["/opt/pacs/lib", "[host]"], ["st-anna", "10.2.3.4", "ghp_"]),
    ],
)
def test_a_note_leaves_only_as_far_as_it_may(words: tuple[str, ...], there: list[str], gone: list[str], sides: Sides, ch: House) -> None:
    fix = ch.fix(f"gap-note-{len(words)}-{words[-1] if words else ''}".replace(",", "-").replace("---", "-").rstrip("-"))
    sides.carried()
    noted(sides.inside, fix, "failed", "--reason", f"on-{OWN}", "--note", SECRET_NOTE)
    back = sides.medium / "back.rmb"
    assert sides.inside("bundle", "results", "-o", back, *words).code == 0
    inner = json.loads(unpack_files(back.read_bytes(), "b")["results.json"])
    note = json.dumps(inner[0]["note"])
    assert (inner[0]["note"] == "") is (not there)
    assert [each for each in there if each not in note] == []
    assert [each for each in gone if each in note] == []
    assert (inner[0]["body"]["reason"] == "redacted") is ("hosts" in words[-1] if words else False)
    assert sides.outside("bundle", "import", back, "--carrier", sides.key_inside()).code == 0
    assert ch.outcomes(fix) == {"failed": 1}


@pytest.mark.parametrize(
    ("note", "told"),
    [
        ("it did not build", "it did not build"),
        ("on PACS-01, twice", "on [host], twice"),
        ("on pacs-01.ward3.example:8443", "on [host]"),
        ("https://ci.example/job/7?a=b failed", "[host]/[path] failed"),
        ("at 10.0.0.7:22 and fe80::1", "at [host] and [host]"),
        ("\\\\files\\share\\a and D:\\pacs\\b", "[path] and [path]"),
        ("in ~/pacs, ../x and src/pacs/a.py", "in [path], [path] and [path]"),
        ("ask ada@ward3", "ask [host]"),
    ],
)
def test_what_says_where_is_blanked(note: str, told: str) -> None:
    assert blanked(note, ("paths", "hosts"), names_of("pacs-01.ward3.example")) == told


FORGED_RESULTS: dict[str, Callable[[dict[str, Any], dict[str, bytes]], None]] = {
    "another ledger": lambda manifest, _: manifest.update(ledger="SHA256:" + "A" * 43),
    "no number": lambda manifest, _: manifest.update(sequence=0),
    "another kind": lambda manifest, _: manifest.update(format="remediator-airgap/1"),
    "no results": lambda _, files: files.update({"results.json": b"[]"}),
    "no JSON": lambda _, files: files.update({"results.json": b"{"}),
    "a key": lambda _, files: swapped(files, b'"key":"c:', b'"key":"d:'),
    "words": lambda _, files: swapped(files, b'"reason":""', b'"reason":"on pacs01 \\u001b[2J"'),
    "more files": lambda _, files: files.update({"more.json": b"{}"}),
    "an outcome": lambda _, files: swapped(files, b'"applied"', b'"exploded"'),
}


def test_results_that_are_not_as_they_should_be_are_exit_code_8(sides: Sides, ch: House) -> None:
    fix = ch.fix("gap-wrong")
    sides.carried()
    noted(sides.inside, fix, "applied")
    back = sides.medium / "back.rmb"
    assert sides.inside("bundle", "results", "-o", back).code == 0
    key, honest = signing_key(sides.inside.state / "keys"), back.read_bytes()
    before = sides.outside.files()
    for name, change in FORGED_RESULTS.items():
        back.write_bytes(again_sealed(honest, key, change, "results"))
        done = sides.outside("bundle", "import", back, "--carrier", key.public.keyid)
        assert done.code == 8, (name, done)
        assert "Traceback" not in done.err and "\x1b" not in done.err
    # The same without the key: a byte that was changed on the way.
    files = unpack_files(honest, "b")
    back.write_bytes(pack_files({**files, "results.json": files["results.json"].replace(b"applied", b"failed")}))
    assert sides.outside("bundle", "import", back, "--carrier", key.public.keyid).code == 8
    assert sides.outside.files() == before and ch.outcomes(fix) == {}
    back.write_bytes(again_sealed(honest, key, lambda *_: None, "results"))
    assert sides.outside("bundle", "import", back, "--carrier", key.public.keyid).code == 0
    assert ch.outcomes(fix) == {"applied": 1}


# -- outcome beside a network ------------------------------------------------------------------------------------------


def test_an_outcome_goes_where_the_fix_was_pulled_from(sides: Sides, ch: House) -> None:
    fix = ch.fix("outcome-online")
    assert sides.outside("pull").code == 0
    told = sides.outside("outcome", fix, "applied", "--count", "2", "--note", "on pacs01")
    assert (told.code, "delivered" in told.out) == (0, True)
    assert ch.outcomes(fix) == {"applied": 2}


def test_an_outcome_noted_offline_waits_and_is_told_once(sides: Sides, ch: House) -> None:
    fix = ch.fix("outcome-offline")
    assert sides.outside("pull").code == 0
    told = sides.outside("--offline", "outcome", fix, "failed", "--json")
    assert (told.code, told.json[0]["delivery"]) == (3, "waiting")
    assert sides.outside("pull").code == 0
    assert sides.outside("pull").code == 0
    assert ch.outcomes(fix) == {"failed": 1}


def test_an_outcome_that_is_refused_is_exit_code_7_and_without_a_key_4(sides: Sides, ch: House) -> None:
    fix = ch.fix("outcome-refused")
    assert sides.outside("pull").code == 0
    fresh = Machine(sides.medium / "fresh", sides.outside._capsys, sides.outside._patch)
    subscribed(fresh, ch)
    assert fresh("pull").code == 0
    unknown = fresh("outcome", fix, "applied")
    assert (unknown.code, unknown.err.startswith("error: ")) == (4, True)
    # It is kept, and what else is done does not fail for it.
    pulled = fresh("pull")
    assert (pulled.code, "outcomes wait" in pulled.err) == (0, True)
    # The team's own fix: nobody reports on what it submitted itself.
    ch.do(ch.store.add_key(ch.team.id, fresh("submit", "--show-key").out.strip()))
    assert fresh("subscribe", ch.url, "--trust", ch.trust, "--token", "env:TEAM").code == 0
    refused = fresh("outcome", fix, "applied", TEAM=ch.team.token)
    assert (refused.code, "refused" in refused.out) == (7, True)
    assert ch.outcomes(fix) == {}


@pytest.mark.parametrize(
    ("words", "told", "hint"),
    [
        (("fix-1", "applied"), "no id of a fix", "remediator match"),
        (("FIX", "exploded"), "exploded", "--help"),
        (("FIX", "applied", "--reason", "On pacs01"), "--reason is one word", "could say where"),
        (("FIX", "applied", "--count", "0"), "count", "--help"),
        (("FIX", "applied", "--note", "x" * 1001), "1001 characters", ""),
        (("FIX", "applied", "--name", "default", "--to", "ours"), "two ways", "--name"),
        (("FIX", "applied", "--name", "nowhere"), "no subscription", "remediator subscribe"),
        (("FIX", "applied"), "was not pulled here", "remediator match"),
        (("FIX", "applied", "--name", "default"), "was not pulled by 'default'", "remediator match"),
        (("FIX", "applied", "--to", "ours"), "no clearinghouse 'ours'", "remediator.toml"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_told_and_not_noted(words: tuple[str, ...], told: str, hint: str, sides: Sides) -> None:
    done = sides.outside("outcome", *("fix-" + "0" * 24 if word == "FIX" else word for word in words))
    assert done.code == 2, done
    assert done.err.startswith("error: ") and told in done.err and hint in done.err, done.err
    assert not (sides.outside.state / "subscriptions" / "default" / "notes").exists()
