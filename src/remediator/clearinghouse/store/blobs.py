"""Bundles by their digest, in a folder beside the database: written whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from remediator.artefacts import private_folder, sync_folder
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import MOST_BLOB_BYTES, Problem

_ABANDONED_SECONDS = 3600
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")


class BlobStore:
    """Content-addressed files. The same bytes are kept once, whoever brings them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        private_folder(folder)
        for left in folder.glob(".part-*"):
            # Of a server that was killed: nobody was told that it arrived. What is younger may be on its way into a server that runs.
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                    left.unlink()

    def path(self, digest: str) -> Path:
        """Return where a blob lies. Raises RefusedError for what is no digest: it becomes a file name."""
        found = _DIGEST.match(digest)
        if found is None:
            raise RefusedError(Problem.bad_request, "that is no digest", hint="sha256:<64 hex digits>")
        return self._folder / found[1][:2] / found[1]

    async def put(self, digest: str, stream: AsyncIterator[bytes]) -> int:
        """Keep what the stream brings; return its size once it is on disk. Raises RefusedError: too-large, blob-mismatch, unavailable."""
        path = self.path(digest)
        temporary = self._folder / f".part-{secrets.token_hex(8)}"
        try:
            size = await self._received(temporary, stream, digest)
            await asyncio.to_thread(_settle, temporary, path)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            told = "no room is left for bundles" if full else "the bundle could not be kept"
            raise RefusedError(Problem.unavailable, told, hint="try again later", retry_after_seconds=60) from error
        finally:
            temporary.unlink(missing_ok=True)
        return size

    async def _received(self, temporary: Path, stream: AsyncIterator[bytes], digest: str) -> int:
        hashed, size = hashlib.sha256(), 0
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in stream:
                size += len(chunk)
                if size > MOST_BLOB_BYTES:
                    raise RefusedError(Problem.too_large, f"a bundle has at most {MOST_BLOB_BYTES} bytes")
                hashed.update(chunk)
                await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(_synced, file)
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise RefusedError(Problem.blob_mismatch, f"these bytes are sha256:{hashed.hexdigest()}")
        return size


def _synced(file: object) -> None:
    file.flush()  # type: ignore[attr-defined]
    os.fsync(file.fileno())  # type: ignore[attr-defined]


def _settle(temporary: Path, path: Path) -> None:
    with suppress(FileExistsError):
        path.parent.mkdir(mode=0o700)
        # Its own name too, or a power cut takes the folder with all that is in it.
        sync_folder(path.parent.parent)
    temporary.replace(path)
    sync_folder(path.parent)
