"""File systems of a few megabytes, which a test can really fill."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A small file system, mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leave: int = 0) -> None:
        """Take all the room there is, but for so many bytes."""
        with (self.folder / "ballast").open("wb") as file:
            room = shutil.disk_usage(self.folder).free - leave
            if room > 0:
                os.posix_fallocate(file.fileno(), 0, room)

    def free(self) -> None:
        """Give the room back."""
        (self.folder / "ballast").unlink()


@contextmanager
def disk(folder: Path, megabytes: int, *, owner: int | None = None) -> Iterator[Disk]:
    """Mount one meanwhile. Where that is not allowed the test fails and says so: that a disk was full is not to be believed without one."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        pytest.fail("a full disk needs a file system of its own: run as root, in a container with CAP_SYS_ADMIN")
    argv = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    mounted = subprocess.run(argv, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.fail(f"no small file system can be mounted here, so nothing was tested: {mounted.stderr.strip()}")
    try:
        if owner is not None:
            os.chown(folder, owner, owner)
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
