"""Starts git: by absolute path, with a closed environment, limits and a time-out.

Nothing that a repository, a user's configuration or our own environment says reaches it; what it may need from the network is passed in.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from remediator.errors import GitError
from remediator.redact import Redactor, printable

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"
VERSION_FLOOR = (2, 38)
_MEBIBYTE = 1024 * 1024
_SETTINGS = (
    "advice.detachedHead=false",
    "apply.ignoreWhitespace=no",
    "apply.whitespace=nowarn",
    "commit.gpgSign=false",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.compression=1",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=true",
    "core.safecrlf=false",
    "core.untrackedCache=false",
    "credential.helper=",
    "diff.algorithm=myers",
    "diff.context=3",
    "diff.interHunkContext=0",
    "diff.suppressBlankEmpty=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "http.followRedirects=initial",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=30",
    "maintenance.auto=false",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
    "transfer.fsckObjects=true",
)
# Old histories hold these harmless faults; what fsck knows to be an attack stays an error.
_TOLERATED = ("badDate", "badEmail", "badName", "badTimezone", "missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate")
_TOLERATED_IN_TREES = ("zeroPaddedDate", "zeroPaddedFilemode", "badFilemode")


class Output(NamedTuple):
    """What a git command gave."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def complaint(self) -> str:
        """Return the end of what it wrote to its error stream, safe to show."""
        text = printable(self.stderr.decode("utf-8", "backslashreplace"), keep_newlines=True).strip()
        return Redactor()(" ".join(text[-600:].split()))


class Git:
    """Runs git commands on one git folder. All methods block."""

    def __init__(self, folder: Path, *, env: Mapping[str, str] | None = None, settings: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self._program = git_program()
        self._env = dict(env or {})
        self._settings = settings

    def at(self, folder: Path) -> Git:
        """Return the same on another git folder."""
        return Git(folder, env=self._env, settings=self._settings)

    def where(self, **env: str) -> Git:
        """Return the same with more environment variables."""
        return Git(self.folder, env={**self._env, **env}, settings=self._settings)

    def configured(self, *settings: str) -> Git:
        """Return the same with settings of git's that take the place of ours."""
        return Git(self.folder, env=self._env, settings=(*self._settings, *settings))

    def call(self, *args: str, stdin: bytes | Iterable[bytes] = b"", **options: float) -> bytes:
        """Return what the command printed. Raises GitError where it failed, took too long or printed too much."""
        output = self.run(*args, stdin=stdin, **options)
        if output.code:
            raise GitError(f"git {args[0]} failed: {output.complaint or f'exit code {output.code}'}")
        return output.stdout

    def line(self, *args: str, stdin: bytes | Iterable[bytes] = b"") -> str:
        """Return what the command printed, as one line of text. Raises GitError."""
        return self.call(*args, stdin=stdin).decode("utf-8", "surrogateescape").strip()

    def run(
        self,
        *args: str,
        stdin: bytes | Iterable[bytes] = b"",
        timeout_seconds: float = 300.0,
        output_bytes: float = 256 * _MEBIBYTE,
        file_bytes: float = -1,
    ) -> Output:
        """Run a command to its end. `stdin` is read in this thread. Raises GitError where it took too long or printed too much."""
        with tempfile.TemporaryFile() as errors, self.process(*args, stderr=errors) as process:
            if file_bytes >= 0 and sys.platform == "linux":
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
            keeper = _Keeper(process, int(output_bytes), timeout_seconds)
            with keeper:
                _feed(process, stdin)
            errors.seek(0, os.SEEK_END)
            errors.seek(max(0, errors.tell() - 64 * 1024))
            output = Output(process.wait(), bytes(keeper.stdout), errors.read())
        if keeper.expired.is_set():
            raise GitError(f"git {args[0]} did not end within {timeout_seconds:g} seconds", hint="try again, or name a smaller source")
        if keeper.overflowed:
            raise GitError(f"git {args[0]} printed more than {int(output_bytes)} bytes", hint="the repository is larger than we accept")
        return output

    @contextlib.contextmanager
    def process(self, *args: str, stderr: IO[bytes] | int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command with pipes to its input and output; leaving ends it and all that it started."""
        process = self.start(*args, stderr=stderr)
        try:
            yield process
        finally:
            end(process)

    def start(self, *args: str, stderr: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a command that the caller ends with `end`. Raises GitError."""
        settings = [word for setting in (*_SETTINGS, *_fsck_settings(), *self._settings) for word in ("-c", setting)]
        argv = [str(self._program), *settings, *args]
        try:
            return subprocess.Popen(
                argv,
                cwd=self.folder,
                env={**_closed_environment(self._program, self.folder), **self._env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise GitError(f"git {args[0]} does not start: {error}") from error


class _Keeper:
    """Collects a process's output in a thread, and kills it when its time or its output is over."""

    def __init__(self, process: subprocess.Popen[bytes], cap: int, timeout_seconds: float) -> None:
        self.stdout = bytearray()
        self.overflowed = False
        self.expired = threading.Event()
        self._process, self._cap = process, cap
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._timer = threading.Timer(timeout_seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._reader.start()
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            _kill(self._process)
        self._reader.join()
        self._timer.cancel()

    def _read(self) -> None:
        assert self._process.stdout
        while chunk := self._process.stdout.read1(_MEBIBYTE):  # type: ignore[attr-defined]
            self.stdout += chunk
            if len(self.stdout) > self._cap:
                self.overflowed = True
                _kill(self._process)
                return
        # Output may end before the process does.
        self._process.wait()

    def _expire(self) -> None:
        self.expired.set()
        _kill(self._process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that `Git.start` gave, and all that it started."""
    # Killed first: a feeder that is blocked in a write holds the stream's lock, and only the end of its reader frees it.
    _kill(process)
    process.wait()
    if process.stdin:
        with contextlib.suppress(BrokenPipeError, ValueError):
            process.stdin.close()
    if process.stdout:
        process.stdout.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    # The group is ours alone: the process leads a session of its own. An unreaped leader keeps its number from being given away.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _feed(process: subprocess.Popen[bytes], stdin: bytes | Iterable[bytes]) -> None:
    assert process.stdin
    # A command that ends early tells why on its error stream; its exit code decides.
    with contextlib.suppress(BrokenPipeError):
        for chunk in (stdin,) if isinstance(stdin, bytes) else stdin:
            process.stdin.write(chunk)
        process.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _closed_environment(program: Path, folder: Path) -> dict[str, str]:
    return {
        "PATH": f"{program.parent}:{SYSTEM_PATH}",
        "HOME": "/nonexistent",
        "LANG": "C",
        "LC_ALL": "C",
        "GIT_DIR": str(folder),
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _fsck_settings() -> tuple[str, ...]:
    return tuple(f"fetch.fsck.{name}=ignore" for name in (*_TOLERATED, *_TOLERATED_IN_TREES))


@cache
def git_program() -> Path:
    """Return git's absolute path. Raises GitError where there is none, or one that is too old."""
    found = shutil.which("git", path=SYSTEM_PATH) or shutil.which("git")
    if found is None or not Path(found).is_absolute():
        raise GitError("git was not found", hint="install git 2.38 or later")
    said = subprocess.run([found, "--version"], capture_output=True, timeout=30, check=False, env={"LC_ALL": "C"}).stdout
    check_version(said.decode("ascii", "replace"))
    return Path(found)


def check_version(said: str) -> None:
    """Raise GitError where `git --version` names a version below the floor: older ones lack safe.bareRepository."""
    match = re.match(r"git version (\d+)\.(\d+)", said)
    if not match or (int(match[1]), int(match[2])) < VERSION_FLOOR:
        floor = ".".join(map(str, VERSION_FLOOR))
        raise GitError(f"git is too old: {printable(said.strip()) or 'no version'}", hint=f"install git {floor} or later")
