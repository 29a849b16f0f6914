from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from remediator.builtin.spool_sink import SpoolSink
from remediator.errors import ConfigError, EvidenceError, SinkError
from remediator.evidence.bundle import read
from remediator.records import CheckStatus, EvidenceLevel, Submission


class Writer:
    """Another process that hands over many submissions, and says which ones it was told have arrived."""

    def __init__(self, folder: Path, submission: Submission, count: int) -> None:
        read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            # Nothing of the test run may go on in here: whatever happens, this process ends.
            try:
                os.close(read_end)
                _hand_over(folder, submission, count, write_end)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(write_end)
        self._out = os.fdopen(read_end, "rb")
        self.ready = self._out.readline()

    def kill(self) -> bool:
        os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == -signal.SIGKILL

    def told(self) -> list[tuple[str, str]]:
        """Read to the end; a line that the kill cut was told to nobody."""
        with self._out:
            whole = self._out.read()
        lines = whole[: whole.rfind(b"\n") + 1].decode().splitlines()
        return [(line.split()[0], line.split()[1]) for line in lines]

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _hand_over(folder: Path, submission: Submission, count: int, out: int) -> None:
    sink = SpoolSink(folder=str(folder))
    os.write(out, b"ready\n")
    for number in range(count):
        receipt = asyncio.run(sink.submit(submission.model_copy(update={"id": f"s-{number:04}"})))
        os.write(out, f"{receipt.submission_id} {receipt.duplicate}\n".encode())


def ledger(folder: Path) -> list[str]:
    path = folder / "sent.jsonl"
    whole = path.read_bytes() if path.exists() else b""
    return [json.loads(line)["id"] for line in whole[: whole.rfind(b"\n") + 1].splitlines()]


async def test_submission_arrives_with_its_bundle_and_nothing_of_this_machine(world, submission, tmp_path):
    receipt = await SpoolSink(folder=str(tmp_path / "spool")).submit(submission)

    entry = Path(receipt.location)
    assert sorted(path.name for path in entry.iterdir()) == ["bundle.tar.zst", "patch.diff", "submission.json"]
    assert read(entry / "bundle.tar.zst", digest=submission.bundle_digest).patch == submission.patch
    assert (entry / "patch.diff").read_text() == submission.patch.diff
    arrived = Submission.model_validate_json((entry / "submission.json").read_bytes())
    assert (arrived.id, arrived.bundle_digest, arrived.bundle_path) == (submission.id, submission.bundle_digest, "bundle.tar.zst")
    assert str(world.repository) not in (entry / "submission.json").read_text()
    assert "alice" not in (entry / "submission.json").read_text()


async def test_second_time_is_a_duplicate_and_changes_nothing(submission, tmp_path):
    sink = SpoolSink(state=str(tmp_path / "state"))
    first = await sink.submit(submission)
    before = {path: path.stat().st_mtime_ns for path in Path(first.location).rglob("*")}

    second = await sink.submit(submission)

    assert (first.duplicate, second.duplicate, first.location) == (False, True, second.location)
    assert {path: path.stat().st_mtime_ns for path in Path(first.location).rglob("*")} == before
    assert Path(first.location).parent == tmp_path / "state" / "spool"


async def test_entry_that_was_carried_away_is_not_sent_again(submission, tmp_path):
    import shutil

    sink = SpoolSink(folder=str(tmp_path / "spool"))
    shutil.move((await sink.submit(submission)).location, tmp_path / "away")

    assert (await sink.submit(submission)).duplicate
    assert [path.name for path in (tmp_path / "spool").iterdir() if path.is_dir()] == []


async def test_bundle_may_be_named_by_its_archive(submission, ref, tmp_path):
    receipt = await SpoolSink(folder=str(tmp_path / "spool")).submit(submission.model_copy(update={"bundle_path": str(ref.archive)}))

    assert (Path(receipt.location) / "bundle.tar.zst").read_bytes() == ref.archive.read_bytes()


async def test_patch_that_is_not_proven_enough_does_not_leave(submission, tmp_path):
    weak = submission.verdict.model_copy(update={"required": EvidenceLevel.E4})

    with pytest.raises(EvidenceError, match="is not proven to E4"):
        await SpoolSink(folder=str(tmp_path / "spool")).submit(submission.model_copy(update={"verdict": weak}))
    assert not (tmp_path / "spool" / "sent.jsonl").exists()


async def test_damaged_or_foreign_bundle_does_not_leave(submission, ref, tmp_path):
    sink = SpoolSink(folder=str(tmp_path / "spool"))
    with pytest.raises(EvidenceError, match="is the bundle"):
        await sink.submit(submission.model_copy(update={"bundle_digest": "sha256:" + "0" * 64}))
    (ref.path / "verdict.json").write_bytes(b"{}")
    with pytest.raises(EvidenceError, match=r"verdict\.json"):
        await sink.submit(submission)
    with pytest.raises(EvidenceError, match="cannot be read"):
        await sink.submit(submission.model_copy(update={"bundle_path": str(tmp_path / "gone")}))
    assert [path for path in (tmp_path / "spool").iterdir() if path.is_dir()] == []


async def test_bundle_about_another_level_does_not_leave(submission, tmp_path):
    checks = tuple(c.model_copy(update={"status": CheckStatus.passed}) for c in submission.verdict.checks)
    more = submission.verdict.model_copy(update={"level": EvidenceLevel.E5, "checks": checks})

    with pytest.raises(EvidenceError, match="proves something else"):
        await SpoolSink(folder=str(tmp_path / "spool")).submit(submission.model_copy(update={"verdict": more}))


@pytest.mark.parametrize("bad", ["", "../evil", "a/b", ".lock", "a\nb", "x" * 200])
async def test_hostile_id_makes_no_file(submission, tmp_path, bad):
    with pytest.raises(SinkError, match="is no submission id"):
        await SpoolSink(folder=str(tmp_path / "spool")).submit(submission.model_copy(update={"id": bad}))
    assert not (tmp_path / "spool").exists()


async def test_sink_without_a_folder_says_how_to_give_one(submission):
    with pytest.raises(ConfigError, match="has no folder"):
        await SpoolSink().submit(submission)


async def test_line_that_a_crash_cut_is_mended(submission, tmp_path):
    sink = SpoolSink(folder=str(tmp_path))
    await sink.submit(submission)
    path = tmp_path / "sent.jsonl"
    path.write_bytes(path.read_bytes()[:-20])

    assert not (await sink.submit(submission)).duplicate
    assert ledger(tmp_path) == [submission.id]


async def test_damaged_ledger_is_an_error_and_not_a_second_sending(submission, tmp_path):
    (tmp_path / "sent.jsonl").write_bytes(b"garbage\n")

    with pytest.raises(SinkError, match="line 1 is damaged"):
        await SpoolSink(folder=str(tmp_path)).submit(submission)


async def test_crash_between_entry_and_ledger_neither_loses_nor_doubles(submission, tmp_path):
    sink = SpoolSink(folder=str(tmp_path / "spool"))
    await sink.submit(submission)
    (tmp_path / "spool" / "sent.jsonl").unlink()

    assert not (await sink.submit(submission)).duplicate
    assert ledger(tmp_path / "spool") == [submission.id]


def test_killed_writers_neither_lose_nor_double(submission, tmp_path):
    folder, count, rounds = tmp_path / "spool", 120, 60
    chance = random.Random(7)
    acknowledged: set[str] = set()
    killed = 0
    for _ in range(rounds):
        writer = Writer(folder, submission, count)
        time.sleep(chance.uniform(0.0, 0.03))
        killed += writer.kill()
        acknowledged |= {submission_id for submission_id, _ in writer.told()}
        noted = ledger(folder)
        assert len(noted) == len(set(noted))
        assert acknowledged <= set(noted)
    assert killed > rounds // 2

    last = Writer(folder, submission, count)
    answers = last.told()

    assert last.wait() == 0
    everything = [f"s-{number:04}" for number in range(count)]
    assert sorted(ledger(folder)) == everything
    entries = sorted(path for path in folder.iterdir() if path.is_dir())
    assert [path.name for path in entries] == everything
    assert all(len(list(path.iterdir())) == 3 for path in entries)
    # What was acknowledged before is a duplicate now: nobody is told twice that it was new.
    assert all(duplicate == "True" for submission_id, duplicate in answers if submission_id in acknowledged)
    read(entries[0] / "bundle.tar.zst")


def test_processes_at_once_send_each_one_once(submission, tmp_path):
    writers = [Writer(tmp_path / "spool", submission, 25) for _ in range(3)]
    answers = [writer.told() for writer in writers]

    assert [writer.wait() for writer in writers] == [0, 0, 0]
    fresh = [submission_id for told in answers for submission_id, duplicate in told if duplicate == "False"]
    assert sorted(fresh) == [f"s-{number:04}" for number in range(25)]
    assert len(ledger(tmp_path / "spool")) == 25


async def test_tasks_at_once_send_it_once(submission, tmp_path):
    sink = SpoolSink(folder=str(tmp_path / "spool"))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sink.submit(submission)) for _ in range(8)]

    assert sorted(task.result().duplicate for task in tasks) == [False] + [True] * 7
