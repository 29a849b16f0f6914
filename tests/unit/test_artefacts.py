from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from remediator.artefacts import ArtefactStore, write_atomically
from remediator.errors import StateError
from remediator.records import digest_of


def test_what_was_put_comes_back(tmp_path: Path):
    store = ArtefactStore(tmp_path / "state" / "artefacts")

    digests = {store.put(data): data for data in (b"", b"a log\n", os.urandom(100_000))}

    assert all(store.get(digest) == data for digest, data in digests.items())
    assert set(digests) == {digest_of(data) for data in digests.values()}


def test_putting_twice_writes_once(tmp_path: Path):
    store = ArtefactStore(tmp_path)
    store.put(b"x")
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    before = path.stat()

    store.put(b"x")

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_only_the_owner_can_read_it(tmp_path: Path):
    ArtefactStore(tmp_path / "state" / "artefacts").put(b"x")

    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}

    assert modes == {True: 0o700, False: 0o600}


def test_damaged_artefact_is_an_error_and_is_mended_by_putting_it_again(tmp_path: Path):
    store = ArtefactStore(tmp_path)
    digest = store.put(b"x")
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(b"y")

    with pytest.raises(StateError, match="is damaged"):
        store.get(digest)
    assert not store.has(digest)
    assert store.put(b"x") == digest
    assert store.get(digest) == b"x"


def test_linked_artefact_is_not_followed(tmp_path: Path):
    store = ArtefactStore(tmp_path / "store")
    digest = store.put(b"x")
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    (tmp_path / "other").write_bytes(b"x")
    path.unlink()
    path.symlink_to(tmp_path / "other")

    with pytest.raises(StateError, match="cannot be read"):
        store.get(digest)


def test_missing_artefact_is_an_error(tmp_path: Path):
    with pytest.raises(StateError, match="cannot be read"):
        ArtefactStore(tmp_path).get(digest_of(b"never put"))


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../etc/passwd", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "md5:" + "0" * 64, "x\n"]
)
def test_what_is_no_digest_is_refused(tmp_path: Path, digest: str):
    with pytest.raises(StateError, match="is no digest"):
        ArtefactStore(tmp_path).get(digest)


def test_many_writers_of_one_artefact_agree(tmp_path: Path):
    store = ArtefactStore(tmp_path)
    data = os.urandom(50_000)
    threads = [threading.Thread(target=store.put, args=(data,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()] == [data]


def test_failed_write_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "file"
    write_atomically(path, b"before")
    path.parent.joinpath("folder").mkdir()

    with pytest.raises(StateError):
        write_atomically(tmp_path / "folder", b"after")
    with pytest.raises(StateError):
        write_atomically(tmp_path / "missing" / "file", b"after")
    assert path.read_bytes() == b"before"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder"]


def test_sweep_removes_only_what_dead_writers_left(tmp_path: Path):
    store = ArtefactStore(tmp_path)
    digest = store.put(b"x")
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    old, fresh = path.with_name(".partial-old"), path.with_name(".partial-fresh")
    for left in (old, fresh):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))

    assert store.sweep() == 1
    assert (old.exists(), fresh.exists(), store.get(digest)) == (False, True, b"x")
