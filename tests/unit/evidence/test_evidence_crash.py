"""A writer killed before each of its file operations in turn: what is there is whole, and the next try ends as if nothing had been."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.artefacts import ArtefactStore
from remediator.builtin.branch_sink import BranchSink
from remediator.builtin.sent_ledger import LEDGER
from remediator.builtin.spool_sink import SpoolSink
from remediator.evidence.bundle import read, write
from remediator.evidence.keys import KEY_FILE, signing_key


def killed_before(operation: int, folder: Path, act: Callable[[], object]) -> bool:
    """Run `act` in a process that is killed before its n-th operation on a file in the folder; return whether it came that far."""
    pid = os.fork()
    if pid == 0:
        # Nothing of the test run may go on in here: whatever happens, this process ends.
        try:
            _count_down(operation, str(folder))
            act()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _count_down(operation: int, folder: str) -> None:
    left = operation

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if event != "open" and not event.startswith(("os.", "shutil.")):
            return
        if any(isinstance(arg, str | os.PathLike) and os.fspath(arg).startswith(folder) for arg in args):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def every_crash(tmp_path: Path, act: Callable[[Path], object], check: Callable[[Path], object]) -> int:
    """Kill `act` before each of its operations, each time in a fresh folder, and call `check` on what is left; return how many there were."""
    operation = 1
    while True:
        folder = tmp_path / str(operation)
        folder.mkdir()
        killed = killed_before(operation, folder, lambda folder=folder: act(folder))
        check(folder)
        if not killed:
            return operation - 1
        operation += 1


def test_spool_entry_is_whole_or_not_there_after_any_crash(submission, tmp_path):
    def submit(folder: Path) -> object:
        return asyncio.run(SpoolSink(folder=str(folder)).submit(submission))

    def check(folder: Path) -> None:
        entries = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        noted = (folder / LEDGER).read_bytes().count(b"\n") if (folder / LEDGER).exists() else 0
        assert all(len(list(entry.iterdir())) == 3 for entry in entries)
        assert noted <= len(entries) <= 1
        submit(folder)
        assert submit(folder).duplicate
        assert (folder / LEDGER).read_bytes().count(b"\n") == 1
        read(folder / submission.id / "bundle.tar.zst", digest=submission.bundle_digest)
        assert {path.name for path in folder.iterdir()} == {".lock", LEDGER, submission.id}

    assert every_crash(tmp_path, submit, check) > 10


def test_patch_file_is_whole_or_not_there_after_any_crash(submission, tmp_path):
    def submit(folder: Path) -> object:
        return asyncio.run(BranchSink(folder=str(folder)).submit(submission))

    def check(folder: Path) -> None:
        assert all(path.read_bytes().endswith(b"\n\n") for path in folder.glob("*.patch"))
        submit(folder)
        assert submit(folder).duplicate
        assert {path.name for path in folder.iterdir()} == {".lock", LEDGER, f"{submission.id}.patch"}

    assert every_crash(tmp_path, submit, check) > 5


def test_bundle_is_whole_or_not_there_after_any_crash(world, tmp_path):
    small = world.content._replace(attempts=world.content.attempts[1:], chosen=0, declined=(), baseline=None)

    def check(folder: Path) -> None:
        for path in folder.iterdir():
            if not path.name.startswith("."):
                read(path)
        ref = write(folder, small, world.key)
        assert read(ref.path).digest == read(ref.archive).digest == ref.digest

    assert every_crash(tmp_path, lambda folder: write(folder, small, world.key), check) > 20


def test_key_is_whole_or_not_there_after_any_crash(tmp_path):
    def check(folder: Path) -> None:
        there = (folder / "keys" / KEY_FILE).exists()
        before = signing_key(folder / "keys").public if there else None
        assert signing_key(folder / "keys").public == (before or signing_key(folder / "keys").public)

    assert every_crash(tmp_path, lambda folder: signing_key(folder / "keys"), check) > 3


@pytest.mark.parametrize("size", [0, 100_000])
def test_artefact_is_whole_or_not_there_after_any_crash(tmp_path, size):
    data = b"x" * size

    def check(folder: Path) -> None:
        store = ArtefactStore(folder)
        assert all(path.read_bytes() == data for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        assert store.get(store.put(data)) == data

    assert every_crash(tmp_path, lambda folder: ArtefactStore(folder).put(data), check) > 3
