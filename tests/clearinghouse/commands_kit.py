"""The real command line, as somebody types it, and a clearinghouse that runs in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = str(Path(sys.executable).parent / "remediator")


class Done(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


class Served(NamedTuple):
    """A clearinghouse that runs in a process of its own."""

    folder: Path
    url: str
    trust: str
    process: subprocess.Popen[str]

    def run(self, *words: str) -> Done:
        return program(self.folder, "clearinghouse", words[0], "--data", "ch", *words[1:])

    def status_of(self, path: str, token: str) -> int:
        asked = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "REMEDIATOR_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config"), "NO_COLOR": "1", **more}


def program(folder: Path, *words: str, **more: str) -> Done:
    """Run `remediator`; `more` are environment variables."""
    done = subprocess.run(
        [PROGRAM, *words],
        cwd=folder,
        env=environment(folder, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def serving(folder: Path, *options: str, data: str = "ch", listen: str = "127.0.0.1:0") -> Iterator[Served]:
    where = ["--data", data] if data else []
    argv = [PROGRAM, "clearinghouse", "serve", *where, "--listen", listen, "--validators", "0", *options]
    process = subprocess.Popen(argv, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"clearinghouse at (https?://\S+:\d+) · ledger key (SHA256:\S{43})", line)
    if found is None:
        process.kill()
        raise AssertionError(line + "".join(process.communicate()))
    yield Served(folder, found[1], found[2], process)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    process.communicate()


def assert_told(done: Done, code: int, *words: str) -> None:
    """A refusal says what and how to go on, in a sentence, and shows no bug."""
    assert done.code == code, done
    assert done.err.startswith("error: ") and "Traceback" not in done.err and "\x1b" not in done.err, done
    for word in words:
        assert word in done.err, done


def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], folder: Path) -> Callable[..., Done]:
    """Give what runs `remediator` by its own front door in this process: the same words in, the same words and code out, without a start each."""
    from remediator.cli.main import run as front_door

    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)

    def run(*words: str, **more: str) -> Done:
        capfd.readouterr()
        with monkeypatch.context() as patch:
            for name, value in more.items():
                patch.setenv(name, value)
            code = front_door(list(words))
        return Done(code, *capfd.readouterr())

    return run
