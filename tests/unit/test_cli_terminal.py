"""On a real pseudo-terminal: hostile text, colours, questions, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, contextlib, sys
from datetime import UTC, datetime
from pathlib import Path
from remediator.cli.main import run
from remediator.cli.session import Session
from remediator.engine.journal import Journal
from remediator.engine.request import RunReport
from remediator.records import *

STATE, MODE = Path(sys.argv[1]), sys.argv[2]
EVIL = "a\\n\\x1b[31mb\\u202e\\x9b2J.py"
EVENT = {"run_id": "run-1", "at": datetime(2026, 11, 22, tzinfo=UTC)}
found = Finding.at(rule_id="r.\\x1b]0;x\\x07", scanner="s\\x1b[1m", message="m\\x1b[2J\\u2066",
                   location=Location(path=EVIL), snippet="s\\x1b[5m")
patch = Patch.of(finding_id=found.id, fixer="codemod", title="t\\x1b[7m", transform="x\\x1b[8m", behaviour="b\\x1b[9m",
                 diff="--- a/x\\n+++ b/x\\n@@ -1 +1 @@\\n-a\\x1b[41m\\n+b\\u202e\\r\\n")
check = Check(name="tests", level=EvidenceLevel.E3, status=CheckStatus.passed, summary="ok\\x1b[3A")
verdict = Verdict(patch_id=patch.id, finding_id=found.id, outcome=Outcome.verified, level=EvidenceLevel.E3, checks=(check,))
events = [
    RunStarted(**EVENT, target="t\\x1b[H"),
    RunProgress(**EVENT, phase="scan", state="started"),
    RunProgress(**EVENT, phase="scan", state="finished", message="done\\x1b[K"),
    FindingReported(**EVENT, case_id="fx-aaaa1111", finding=found),
    PatchProposed(**EVENT, case_id="fx-aaaa1111", patch=patch),
    CheckDone(**EVENT, case_id="fx-aaaa1111", patch_id=patch.id, check=check),
    VerdictReached(**EVENT, case_id="fx-aaaa1111", verdict=verdict),
    BundleWritten(**EVENT, case_id="fx-aaaa1111", bundle_path="/b\\x1b[1m", bundle_digest="sha256:1"),
    CaseClosed(**EVENT, case_id="fx-aaaa1111", reason=ReasonCode.fixed),
]

class App:
    def __init__(self, journal, observers):
        self.journal, self.observers = journal, observers
        if MODE == "patient":
            self.stop = lambda: self.ending.set() or True

    async def fix(self, request):
        self.ending = asyncio.Event()
        for number, event in enumerate(events):
            self.journal.append(event, str(number))
            for observer in self.observers:
                await observer.on_event(event)
        if MODE != "quick":
            print("READY", flush=True)
        try:
            if MODE == "patient":
                await self.ending.wait()
            elif MODE == "slow":
                await asyncio.sleep(600)
        finally:
            (STATE / "cleaned").touch()
        return RunReport(run_id="run-1", target="t", scan=ScanReport(tree="t"), cases=self.journal.cases(), interrupted=MODE == "patient")

@contextlib.asynccontextmanager
async def opened(settings, observers):
    journal = Journal(STATE / "journal.sqlite")
    try:
        yield App(journal, observers)
    finally:
        journal.close()

sys.exit(run(sys.argv[3:], Session(open_app=opened, overrides={"state": STATE})))
"""
# What our own terminal library writes: colours and styles, cursor moves of the live line, hiding the cursor.
OURS = re.compile(rb"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)")
STYLES_OF_THE_TARGET = (
    b"\x1b[41m",
    b"\x1b[5m",
    b"\x1b[7m",
    b"\x1b[8m",
    b"\x1b[9m",
    b"\x1b[2J",
    b"\x1b]0;",
    b"\x1b[3A",
    b"\x1b[H",
    b"\x1b[K",
)


class Screen:
    """A child on a pseudo-terminal."""

    def __init__(self, state: Path, mode: str, *arguments: str, **environment: str) -> None:
        self.master, slave = pty.openpty()
        env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "160", "HOME": str(state), **environment}
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(state), mode, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = b""

    def until(self, text: bytes, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while text not in self.shown and time.monotonic() < end and self._read():
            pass
        assert text in self.shown, self.shown

    def _read(self) -> bool:
        if not select.select([self.master], [], [], 0.2)[0]:
            return self.child.poll() is None
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def end(self, seconds: float = 120) -> int:
        end = time.monotonic() + seconds
        while self._read() and time.monotonic() < end:
            pass
        code = self.child.wait(seconds)
        os.close(self.master)
        return code

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def press_ctrl_c(self) -> None:
        self.child.send_signal(signal.SIGINT)


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.parametrize("arguments", [["fix"], ["fix", "-v"], ["show", "fx-"], ["list"], ["why", "fx-"], []])
def test_a_target_cannot_act_on_the_terminal(state, arguments):
    Screen(state, "quick", "fix", "-q").end()
    screen = Screen(state, "quick", *arguments)
    assert screen.end() == 0
    for sequence in STYLES_OF_THE_TARGET:
        assert sequence not in screen.shown, sequence
    rest = OURS.sub(b"", screen.shown).replace(b"\r\n", b"\n").replace(b"\r", b"")
    assert not re.findall(rb"[\x00-\x08\x0b-\x1f\x7f]", rest), rest
    text = rest.decode("utf-8")
    assert not {"\u202e", "\u2066", "\x9b"} & set(text)
    if arguments != []:
        assert r"a\x0a\x1b[31mb\u202e\x9b2J.py:1" in text


def test_colours_come_and_go_with_the_option_and_no_color(state):
    Screen(state, "quick", "fix", "-q").end()
    coloured = Screen(state, "quick", "show", "fx-")
    plain = Screen(state, "quick", "--color", "never", "show", "fx-")
    unset = Screen(state, "quick", "show", "fx-", NO_COLOR="1")
    assert [screen.end() for screen in (coloured, plain, unset)] == [0, 0, 0]
    assert b"\x1b[32m" in coloured.shown
    assert b"\x1b[" not in plain.shown
    assert not re.search(rb"\x1b\[3[0-9]m", unset.shown)


def test_ctrl_c_cancels_cleans_up_and_says_how_to_go_on(state):
    screen = Screen(state, "slow", "fix", "my shop", "--severity", "high")
    screen.until(b"READY")
    screen.press_ctrl_c()
    assert screen.end() == 130
    assert b"error:" not in screen.shown
    assert screen.shown.endswith(b"stopped\r\nresume: remediator fix --resume 'my shop' --severity high\r\n"), screen.shown
    assert (state / "cleaned").exists()
    assert b"Traceback" not in screen.shown


def test_the_first_ctrl_c_lets_a_patient_application_finish(state):
    screen = Screen(state, "patient", "fix", "shop")
    screen.until(b"READY")
    screen.press_ctrl_c()
    assert screen.end() == 130
    assert b"what is in flight is finished" in screen.shown
    assert b"1 safe, 0 to review" in screen.shown
    assert b"resume: remediator fix --resume shop" in screen.shown


def test_however_often_it_is_pressed_the_code_and_the_words_are_those_promised(state):
    screen = Screen(state, "slow", "fix", "shop")
    screen.until(b"READY")
    screen.press_ctrl_c()
    while screen.child.poll() is None and not (state / "cleaned").exists():
        pass
    while screen.child.poll() is None:
        screen.press_ctrl_c()
        time.sleep(0.002)
    assert screen.end() == 130
    assert b"resume: remediator fix --resume shop" in screen.shown


@pytest.mark.parametrize("mode", ["slow", "patient"])
def test_a_termination_cancels_at_once(state, mode):
    screen = Screen(state, mode, "fix")
    screen.until(b"READY")
    screen.child.send_signal(signal.SIGTERM)
    assert screen.end() == 130
    assert (state / "cleaned").exists()


@pytest.mark.parametrize(("keys", "decision"), [(b"a\n", "approved"), (b"r\nbad idea\n", "rejected"), (b"s\n", "")])
def test_review_asks_and_remembers(state, keys, decision):
    Screen(state, "quick", "fix", "-q").end()
    screen = Screen(state, "quick", "review")
    screen.until(b"(a)pprove")
    screen.type(keys)
    assert screen.end() == 0
    log = (state / "reviews.jsonl").read_text() if (state / "reviews.jsonl").exists() else ""
    assert (f'"decision": "{decision}"' in log) if decision else log == ""
    assert ("bad idea" in log) == (decision == "rejected")


def test_review_does_not_ask_where_it_must_not(state):
    Screen(state, "quick", "fix", "-q").end()
    screen = Screen(state, "quick", "review", "--no-input")
    assert screen.end() == 0
    assert b"nothing was decided" in screen.shown
