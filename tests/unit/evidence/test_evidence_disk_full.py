"""A disk that is really full: what is kept is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediator.artefacts import ArtefactStore
from remediator.builtin.branch_sink import BranchSink
from remediator.builtin.spool_sink import SpoolSink
from remediator.errors import SinkError, StateError
from remediator.evidence.bundle import read, write
from remediator.evidence.keys import signing_key


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name not in ("ballast", ".lock"))


@pytest.mark.parametrize("leave", [0, 4096, 8192])
def test_artefact_store_says_so_leaves_nothing_and_works_again(small_disk: Path, fill, leave: int):
    store = ArtefactStore(small_disk / "artefacts")
    ballast = fill(small_disk, leave=leave)

    with pytest.raises(StateError, match="no room left") as told:
        store.put(b"x" * 100_000)
    assert "free some space" in told.value.hint
    assert names(small_disk) == []
    ballast.unlink()
    assert store.get(store.put(b"x" * 100_000)) == b"x" * 100_000


def test_key_is_not_half_made(small_disk: Path, fill):
    ballast = fill(small_disk)

    with pytest.raises(StateError, match="no room left"):
        signing_key(small_disk)
    assert names(small_disk) == []
    ballast.unlink()
    assert signing_key(small_disk).public == signing_key(small_disk).public


@pytest.mark.parametrize("leave", [0, 8192, 24 * 1024, 40 * 1024])
def test_bundle_is_there_whole_or_not_at_all(world, small_disk: Path, fill, leave: int):
    ballast = fill(small_disk, leave=leave)

    with pytest.raises(StateError, match="no room left"):
        write(small_disk / "bundles", world.content, world.key)
    # The archive alone may have been finished: whole, and found again by the next try.
    for path in [path for path in small_disk.rglob("*") if path.is_file() and path != ballast]:
        read(path)
    assert [path for path in (small_disk / "bundles").glob("*") if path.is_dir()] == []
    ballast.unlink()
    ref = write(small_disk / "bundles", world.content, world.key)
    assert read(ref.path).digest == read(ref.archive).digest == ref.digest


@pytest.mark.parametrize("leave", [0, 4096, 12 * 1024])
async def test_spool_keeps_the_submission_for_another_try(submission, small_disk: Path, fill, leave: int):
    sink = SpoolSink(folder=str(small_disk / "spool"))
    ballast = fill(small_disk, leave=leave)

    with pytest.raises(SinkError, match="no room left"):
        await sink.submit(submission)
    assert [name for name in names(small_disk) if not name.endswith("sent.jsonl")] == []
    ballast.unlink()
    assert not (await sink.submit(submission)).duplicate
    assert (await sink.submit(submission)).duplicate


async def test_patch_file_is_not_half_written(submission, small_disk: Path, fill):
    sink = BranchSink(folder=str(small_disk / "patches"))
    ballast = fill(small_disk)

    with pytest.raises(SinkError, match="no room left"):
        await sink.submit(submission)
    assert names(small_disk) == []
    ballast.unlink()
    assert not (await sink.submit(submission)).duplicate
