"""Bundles on disk, while more than one process has the folder open."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from remediator.clearinghouse.store import blobs
from remediator.clearinghouse.store.blobs import BlobStore
from remediator.records.record import digest_of


async def test_an_upload_survives_that_another_command_opens_the_store(tmp_path: Path) -> None:
    data = b"a bundle" * 1000

    async def stream() -> AsyncIterator[bytes]:
        yield data[:4000]
        BlobStore(tmp_path / "blobs")  # as `remediator clearinghouse token` does beside a server
        yield data[4000:]

    store = BlobStore(tmp_path / "blobs")
    assert await store.put(digest_of(data), stream()) == len(data)
    assert store.path(digest_of(data)).read_bytes() == data


def test_what_a_killed_server_left_behind_goes_away(tmp_path: Path) -> None:
    BlobStore(tmp_path / "blobs")
    left = tmp_path / "blobs" / ".part-0123456789abcdef"
    left.write_bytes(b"half")
    os.utime(left, (time.time() - 7200, time.time() - 7200))
    BlobStore(tmp_path / "blobs")
    assert not left.exists()


async def test_the_name_of_a_new_folder_is_on_disk_before_anybody_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(blobs, "sync_folder", synced.append)

    async def stream() -> AsyncIterator[bytes]:
        yield b"a bundle"

    store = BlobStore(tmp_path / "blobs")
    await store.put(digest_of(b"a bundle"), stream())
    folder = store.path(digest_of(b"a bundle")).parent
    assert synced == [folder.parent, folder]
    await store.put(digest_of(b"a bundle"), stream())
    assert synced[2:] == [folder]
