"""Writes single objects into a bare store of ours through GitPython's object database: no process, no configuration, no work tree."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from remediator.errors import GitError


def put(store: Path, kind: str, data: bytes) -> str:
    """Write an object; return its id. Raises GitError where it cannot be written."""
    from gitdb import IStream, LooseObjectDB  # type: ignore[import-untyped]

    try:
        stream = LooseObjectDB(str(store / "objects")).store(IStream(kind, len(data), BytesIO(data)))
    except OSError as error:
        raise GitError(
            f"the store {store} cannot be written: {error.strerror}", hint="free some disk space, or name another state folder"
        ) from error
    return str(stream.hexsha.decode("ascii"))


def commit_data(tree: str, parent: str, message: str, *, author: str, when: datetime) -> bytes:
    """Return a commit object's content; the same arguments always give the same bytes."""
    moment = f"{int(when.astimezone(UTC).timestamp())} +0000"
    body = message.replace("\0", "").encode("utf-8", "backslashreplace").strip() + b"\n"
    name = author.strip().encode("utf-8", "backslashreplace").decode("utf-8")
    head = f"tree {tree}\nparent {parent}\nauthor {name} {moment}\ncommitter {name} {moment}\n\n"
    return head.encode("utf-8") + body
