"""`pull --watch` and `--exec`, as a service runs them: nothing is lost or doubled over restarts, trouble and signals."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .operator_kit import DIFF, House, Machine, house, subscribed

EVIL = "$(touch pwned) `touch pwned`; touch pwned | ' \" --help \x1b[2J \u202e\n-x"
TICKET = """#!{python}
import json, os, sys
told = json.load(sys.stdin)
calls = os.path.join({folder!r}, "calls.jsonl")
with open(calls, "a") as file:
    file.write(json.dumps({{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "told": told}}) + "\\n")
{more}
"""


@pytest.fixture(scope="module")
def ch() -> Iterator[House]:
    with house() as found:
        yield found


@pytest.fixture
def hospital(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ch: House) -> Machine:
    machine = subscribed(Machine(tmp_path / "machine", capsys, monkeypatch), ch)
    # What others in this module let out before is nothing new.
    assert machine("pull", "--exec", "/bin/true").code == 0
    return machine


def ticket(machine: Machine, more: str = "") -> Path:
    """Write a program that notes what it is called with, and then does `more`."""
    path = machine.folder / "change-ticket.py"
    path.write_text(TICKET.format(python=sys.executable, folder=str(machine.folder), more=more))
    path.chmod(0o755)
    return path


def calls(machine: Machine) -> list[dict[str, Any]]:
    path = machine.folder / "calls.jsonl"
    return [json.loads(each) for each in path.read_text().splitlines()] if path.exists() else []


def told(machine: Machine) -> list[tuple[str, str]]:
    return [(each["told"]["event"], each["told"]["fix_id"]) for each in calls(machine)]


def until(what: Callable[[], bool], seconds: float = 50) -> None:
    """Wait for what the stream brings; a poll would come after a minute."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def gated(machine: Machine) -> tuple[Path, Path]:
    """Write a program that notes what it is called with and then waits for a file; return both."""
    gate = machine.folder / "gate"
    return ticket(machine, f"import time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"), gate


class Watching:
    """A watch that runs as a process, and is ended by a signal."""

    def __init__(self, machine: Machine, *words: str | Path) -> None:
        self.process = machine.start("pull", "--watch", *words)

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def test_each_new_patch_is_told_once_also_over_a_restart(hospital: Machine, ch: House) -> None:
    program = ticket(hospital)
    before = ch.fix("watch-before")
    with Watching(hospital, "--exec", f"{program} --queue change") as first:
        until(lambda: told(hospital) == [("published", before)])
        during = ch.fix("watch-during")
        until(lambda: len(told(hospital)) == 2)
        code, _, err = first.end(signal.SIGINT)
    assert (code, "stopping" in err, "Traceback" in err) == (0, True, False)
    between = ch.fix("watch-between")
    with Watching(hospital, "--exec", str(program)) as second:
        until(lambda: len(told(hospital)) == 3)
        ch.revoke(during)
        until(lambda: len(told(hospital)) == 4)
        assert second.end()[0] == 0
    assert told(hospital) == [("published", before), ("published", during), ("published", between), ("withdrawn", during)]
    assert hospital("pull", "--exec", program).code == 0
    assert len(calls(hospital)) == 4


def test_what_the_program_gets_is_json_and_nothing_of_a_strangers(hospital: Machine, ch: House) -> None:
    fix = ch.fix("watch-evil", title=EVIL, details=EVIL, path=EVIL)
    program = ticket(hospital)
    done = hospital("pull", "--exec", f"{program} 'one word' $HOME *", SECRET_OF_MINE="x", REMEDIATOR_TOKEN="y")
    assert done.code == 0
    (call,) = calls(hospital)
    assert call["argv"] == ["one word", "$HOME", "*"]
    assert set(call["env"]) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "LC_ALL"}
    assert call["cwd"] == str(hospital.folder)
    assert not list(hospital.folder.rglob("pwned"))
    found = call["told"]
    assert (found["schema"], found["event"], found["fix_id"], found["patch"]) == ("remediator-call/1", "published", fix, DIFF)
    assert found["title"] == EVIL.replace("\x00", "") and found["project"] == "pkg:pypi/watch-evil"
    assert found["matches"] == []


def test_only_what_matches_is_told_with_an_sbom(hospital: Machine, ch: House) -> None:
    mine, _ = ch.fix("watch-mine"), ch.fix("watch-others")
    done = hospital("pull", "--sbom", hospital.sbom("watch-mine"), "--exec", ticket(hospital))
    assert done.code == 1
    (call,) = calls(hospital)
    assert call["told"]["fix_id"] == mine
    (match,) = call["told"]["matches"]
    assert (match["component"], match["vex"], match["patch_file"]) == ("pkg:pypi/watch-mine@1.0", "affected", f"patches/{mine}.diff")


def test_a_bill_that_grows_is_seen_and_one_that_is_damaged_ends_nothing(hospital: Machine, ch: House) -> None:
    first, second = ch.fix("bill-one"), ch.fix("bill-two")
    sbom = hospital.sbom("bill-one")
    with Watching(hospital, "--sbom", sbom, "--exec", ticket(hospital)) as watch:
        until(lambda: told(hospital) == [("published", first)])
        sbom.write_text("{")
        ch.fix("bill-three")
        assert watch.process.stderr is not None
        while "trying again in" not in (said := watch.process.stderr.readline()):
            assert said, "it ended"
        hospital.sbom("bill-one", "bill-two")
        until(lambda: told(hospital)[1:] == [("published", second)])
        assert watch.end()[0] == 0


def test_a_call_that_fails_is_made_again_and_noted_only_when_it_ended_well(hospital: Machine, ch: House) -> None:
    fix = ch.fix("watch-fails")
    program = ticket(hospital, "sys.exit('no \\x1b[2Jticket system') if len(open(calls).readlines()) < 3 else None")
    first = hospital("pull", "--exec", program)
    assert first.code == 3
    assert "no \\x1b[2Jticket system" in first.err and "is called again" in first.err
    with Watching(hospital, "--exec", program) as watch:
        until(lambda: len(calls(hospital)) == 3)
        until(lambda: any((hospital.state / "subscriptions" / "default" / "calls").glob(f"{fix}.*")))
        assert watch.end()[0] == 0
    assert len({each["told"]["call"] for each in calls(hospital)}) == 1
    assert hospital("pull", "--exec", program).code == 0
    assert len(calls(hospital)) == 3


def test_killed_while_the_program_runs_it_is_called_again(hospital: Machine, ch: House) -> None:
    ch.fix("watch-killed")
    slow, gate = gated(hospital)
    with Watching(hospital, "--exec", str(slow)) as watch:
        until(lambda: len(calls(hospital)) == 1)
        watch.process.kill()
        watch.process.wait()
        gate.touch()
    assert hospital("pull", "--exec", ticket(hospital)).code == 0
    assert len(calls(hospital)) == 2
    assert calls(hospital)[0]["told"] == calls(hospital)[1]["told"]


def test_killed_again_and_again_it_tells_of_everything(hospital: Machine, ch: House) -> None:
    """kill -9 at four moments while fixes come: none is forgotten, and none is told again once it was noted."""
    program = ticket(hospital)
    fixes: list[str] = []
    for moment in (0.0, 0.05, 0.2, 0.4):
        seen = len(told(hospital))
        fixes += [ch.fix(f"kills-{len(fixes)}"), ch.fix(f"kills-{len(fixes) + 1}")]
        with Watching(hospital, "--exec", str(program)) as watch:
            until(lambda seen=seen: len(told(hospital)) > seen)
            time.sleep(moment)
            watch.process.kill()
    before = [fix for _, fix in told(hospital)]
    assert hospital("pull", "--exec", program).code == 0
    after = [fix for _, fix in told(hospital)]
    assert set(after) == set(fixes)
    # At most one was under way at each of the four kills.
    assert len(after) <= len(fixes) + 4 and after[: len(before)] == before
    assert hospital("pull", "--exec", program).code == 0
    assert len(told(hospital)) == len(after)


def test_a_signal_lets_the_program_that_runs_come_to_its_end(hospital: Machine, ch: House) -> None:
    ch.fix("watch-signal")
    ch.fix("watch-signal-two")
    program, gate = gated(hospital)
    with Watching(hospital, "--exec", str(program)) as watch:
        until(lambda: len(calls(hospital)) == 1)
        watch.process.send_signal(signal.SIGTERM)
        assert watch.process.stderr is not None
        while "stopping" not in (said := watch.process.stderr.readline()):
            assert said, "it ended"
        assert watch.process.poll() is None
        gate.touch()
        assert watch.process.wait(60) == 0
    assert len(calls(hospital)) == 1
    quick = ticket(hospital)
    assert hospital("pull", "--exec", quick).code == 0
    assert len(told(hospital)) == len(set(told(hospital))) == 2


def test_two_at_once_do_not_call_twice(hospital: Machine, ch: House) -> None:
    ch.fix("watch-twice")
    slow, gate = gated(hospital)
    with Watching(hospital, "--exec", str(slow)) as watch:
        until(lambda: len(calls(hospital)) == 1)
        done = hospital("pull", "--exec", slow)
        assert (done.code, "another process calls a program" in done.err, "hint: " in done.err) == (2, True, True)
        gate.touch()
        assert watch.end()[0] == 0
    assert len(calls(hospital)) == 1


def test_json_is_a_line_for_each_pull(hospital: Machine, ch: House) -> None:
    with Watching(hospital, "--json", "new,withdrawn") as watch:
        assert watch.process.stdout is not None
        first = json.loads(watch.process.stdout.readline())
        fix = ch.fix("watch-json")
        second = json.loads(watch.process.stdout.readline())
        assert watch.end()[0] == 0
    assert (first, second) == ({"new": [], "withdrawn": []}, {"new": [fix], "withdrawn": []})


def test_without_a_stream_it_asks_and_trouble_ends_nothing(hospital: Machine, ch: House) -> None:
    """The line has no stream, and at first no answers that can be read."""
    broken = [True]
    fix = ch.fix("watch-poll")

    def change(_: str, body: bytes) -> bytes | None:
        return b"<html>busy" if broken[0] else body

    with ch.behind(change) as url:
        subscribed(hospital, ch, url)
        with Watching(hospital, "--interval", "1", "--exec", ticket(hospital)) as watch:
            assert watch.process.stderr is not None
            assert "trying again in" in watch.process.stderr.readline()
            assert watch.process.poll() is None and calls(hospital) == []
            broken[0] = False
            until(lambda: told(hospital) == [("published", fix)])
            later = ch.fix("watch-poll-later")
            until(lambda: told(hospital)[1:] == [("published", later)])
            code, _, err = watch.end()
    assert code == 0
    assert "has no stream" in err and "asking every 1 seconds instead" in err
    subscribed(hospital, ch)


def test_what_asking_later_cannot_mend_ends_it_with_its_exit_code(hospital: Machine, ch: House) -> None:
    ch.fix("watch-lie")

    def lie(path: str, body: bytes) -> bytes:
        return body.replace(b"safe_load", b"full_load") if path.endswith("/published") else body

    with ch.behind(lie) as url:
        subscribed(hospital, ch, url)
        with Watching(hospital) as watch:
            _, err = watch.process.communicate(timeout=60)
    assert (watch.process.returncode, "not as the ledger recorded it" in err) == (8, True)
    subscribed(hospital, ch)


def test_a_program_that_waits_for_nothing_is_no_trouble(hospital: Machine, ch: House) -> None:
    ch.fix("watch-deaf", details="x" * 20_000)
    assert hospital("pull", "--exec", "/bin/true").code == 0
    assert list((hospital.state / "subscriptions" / "default" / "calls").glob("fix-*.published.json"))


def test_a_watch_needs_a_subscription(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done = Machine(tmp_path / "fresh", capsys, monkeypatch)("pull", "--watch")
    assert (done.code, "hint: remediator subscribe" in done.err) == (2, True)
