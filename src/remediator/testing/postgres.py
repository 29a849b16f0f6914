"""A real PostgreSQL for tests: a cluster of its own in a temporary folder, on a socket, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from remediator.errors import ConfigError, StateError

PORT = 54_329


class Postgres:
    """One cluster, in a folder whose path is short enough for a socket. `database()` makes a fresh database in it."""

    def __init__(self, folder: Path, *options: str) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            raise ConfigError("PostgreSQL is not installed", hint="sandbox/ensure-test-tools, or apt-get install postgresql")
        self._bin = found[-1].parent
        self._folder = folder
        self._data = folder / "data"
        self._user = pwd.getpwnam("nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
        folder.chmod(0o755)
        shutil.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", "test", "--auth=trust", "-E", "UTF8", "--no-sync", *options)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = f"-k {self._folder} -c listen_addresses='' -p {PORT} -c max_connections=200"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` in order, `immediate` as if the power failed."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def is_running(self) -> bool:
        """Return whether its server runs."""
        return self._run("pg_ctl", "-D", str(self._data), "status", check=False).returncode == 0

    def database(self) -> str:
        """Make a fresh database; return its URL."""
        name = f"t{secrets.token_hex(6)}"
        for attempt in range(20):
            made = self._run("createdb", "-h", str(self._folder), "-p", str(PORT), "-U", "test", name, check=attempt == 19)
            if made.returncode == 0:
                break
            time.sleep(0.2)
        return f"postgresql://test@/{name}?host={self._folder}&port={PORT}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._bin / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd="/",
            timeout=120,
            **identity,
        )
        if check and done.returncode != 0:
            raise StateError(f"{program} failed: {done.stdout[-2000:]}")
        return done
