"""Calls a program of the operator's for each patch that is new: once, where it ends well; again, ever later, where it does not.

That it ended well is written down after it did: killed between the two, it is called again. So each call has an id that depends on what it
is about only, by which the program can tell that it was there before. What strangers wrote reaches it on standard input, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, NamedTuple

from remediator.artefacts import private_folder, write_atomically
from remediator.clearinghouse.client.outbox import idempotency_key
from remediator.clearinghouse.client.subscriber import Kept, Subscriber
from remediator.clearinghouse.client.witness import WITHDRAWN
from remediator.errors import ScanError, StateError, UsageError
from remediator.llm.waiting import wait_seconds
from remediator.program import SYSTEM_PATH, ProgramLimits, find_program, run_program

SCHEMA = "remediator-call/1"
LIMITS = ProgramLimits(timeout_seconds=300.0, output_bytes=1024 * 1024)
GRACE_SECONDS = 10.0
"""How long a program that runs may go on when everything else was told to end at once."""
_FIRST_WAIT, _MOST_WAIT = 2.0, 600.0
_NAME = re.compile(r"fix-[0-9a-f]{24}\.(published|withdrawn)\.json\Z")


class Call(NamedTuple):
    """What the program is to be told: that a fix was `published`, or, once it was told so, `withdrawn`."""

    kept: Kept
    event: str

    @property
    def name(self) -> str:
        """Return the name of the file that says that it was called."""
        return f"{self.kept.published.fix.id}.{self.event}.json"


class _Failed(NamedTuple):
    tries: int
    not_before: float


def command_of(words: str) -> list[str]:
    """Return the operator's command as a list that begins with an absolute path; no shell ever sees it. Raises UsageError."""
    hint = "a program and its arguments, such as ./change-ticket.sh; it is not run by a shell"
    try:
        name, *arguments = shlex.split(words)
    except ValueError as error:
        raise UsageError(f"--exec {words[:200]!r} is no command", hint=hint) from error
    if "/" in name:
        path = Path(name).expanduser().absolute()
        if not path.is_file() or not os.access(path, os.X_OK):
            raise UsageError(f"--exec: {path} is no program", hint=f"chmod +x {shlex.quote(str(path))}, or mend the path")
        return [str(path), *arguments]
    try:
        return [str(find_program(name)), *arguments]
    except ScanError as error:
        raise UsageError(f"--exec: {error.message}", hint=hint) from error


class Calls:
    """Which patches of a subscription the program was called for, on disk."""

    def __init__(self, subscriber: Subscriber, command: Sequence[str], *, first_wait: float = _FIRST_WAIT) -> None:
        self._subscriber = subscriber
        self._folder = subscriber.folder / "calls"
        self._command = tuple(command)
        self._first_wait = first_wait
        self._failed: dict[str, _Failed] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from calling for the same patches meanwhile. Raises StateError where one does."""
        private_folder(self._folder)
        descriptor = os.open(self._folder / ".lock", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
            except BlockingIOError as error:
                raise StateError(
                    "another process calls a program for this subscription", hint="end it first, or use another subscription: --name"
                ) from error
            yield
        finally:
            os.close(descriptor)

    def left(self, wanted: frozenset[str] | None = None) -> list[Call]:
        """Return the calls that did not end well yet, the oldest first. `wanted` are the fixes that matter; None is: all."""
        done = {path.name for path in self._folder.glob("fix-*.json") if _NAME.match(path.name)}
        found = []
        for kept in self._subscriber.kept():
            gone = kept.kind in WITHDRAWN or kept.published.fix.state in WITHDRAWN
            call = Call(kept, "withdrawn" if gone else "published")
            told_before = f"{kept.published.fix.id}.published.json" in done
            matters = told_before if gone else wanted is None or kept.published.fix.id in wanted
            if matters and call.name not in done:
                found.append(call)
        return sorted(found, key=lambda call: (call.kept.history[-1].cursor if call.kept.history else 0, call.name))

    async def make(
        self, calls: Sequence[Call], more: Mapping[str, Sequence[Mapping[str, Any]]], said: Callable[[str], None], stop: asyncio.Event
    ) -> float | None:
        """Make those calls that are due, one after the other, until `stop` is set; return the seconds until the next is due, or None.

        `more` is what matches a fix on this machine. Raises StateError where that a call ended well cannot be written down.
        """
        for call in calls:
            if stop.is_set():
                return None
            before = self._failed.get(call.name)
            if before is None or before.not_before <= time.monotonic():
                await self._make(call, more.get(call.kept.published.fix.id, ()), said)
        waits = [self._failed[call.name].not_before for call in calls if call.name in self._failed]
        return max(0.0, min(waits) - time.monotonic()) if waits else None

    async def _make(self, call: Call, matches: Sequence[Mapping[str, Any]], said: Callable[[str], None]) -> None:
        told = json.dumps(message(self._subscriber.read().name, call, matches), ensure_ascii=True).encode("ascii") + b"\n"
        # Shielded, so that a program which is at it when we are cancelled may come to its end, and that is noted.
        running = asyncio.ensure_future(self._run(call, told, said))
        try:
            await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running], timeout=GRACE_SECONDS)
            running.cancel()
            await asyncio.wait([running])
            raise

    async def _run(self, call: Call, told: bytes, said: Callable[[str], None]) -> None:
        home = str(Path.home())
        environment = {"PATH": SYSTEM_PATH, "HOME": home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        try:
            result = await run_program(self._command, cwd=Path.cwd(), env=environment, stdin=told, limits=LIMITS)
        except ScanError as error:
            trouble = error.message
        else:
            trouble = "" if result.exit_code == 0 else _trouble(result.exit_code, result.complaint, timed_out=result.timed_out)
        if trouble:
            tries = self._failed[call.name].tries + 1 if call.name in self._failed else 1
            chance = random.random()  # noqa: S311 - keeps no secret
            wait = wait_seconds(tries, None, first=self._first_wait, most=_MOST_WAIT, chance=chance)
            self._failed[call.name] = _Failed(tries, time.monotonic() + wait)
            said(f"the program failed for {call.kept.published.fix.id}: {trouble}; it is called again")
            return
        self._failed.pop(call.name, None)
        noted = {"call": _id(call), "at": datetime.now(UTC).isoformat(), "program": self._command[0]}
        write_atomically(self._folder / call.name, json.dumps(noted).encode())


def message(subscription: str, call: Call, matches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the program reads. A withdrawn fix comes without its patch, so that nobody applies it by mistake."""
    told = call.kept.published
    return {
        "schema": SCHEMA,
        "call": _id(call),
        "event": call.event,
        "subscription": subscription,
        "fix_id": told.fix.id,
        "flaw_id": told.flaw.id,
        "project": told.flaw.project,
        "version": told.flaw.version,
        "aliases": list(told.flaw.aliases),
        "severity": told.flaw.severity,
        "title": told.flaw.title,
        "level": told.fix.level,
        "fixed_version": told.fix.fixed_version,
        "published_at": told.published_at.isoformat(),
        "state": str(told.fix.state),
        "revoked_reason": told.fix.revoked_reason,
        "superseded_by": told.fix.superseded_by,
        "patch": told.patch if call.event == "published" else None,
        "matches": [dict(each) for each in matches],
    }


def _id(call: Call) -> str:
    return idempotency_key("call", call.kept.published.fix.id, call.event)


def _trouble(code: int | None, complaint: str, *, timed_out: bool) -> str:
    if timed_out:
        return f"it took more than {LIMITS.timeout_seconds:g} seconds"
    if code is None:
        return f"it printed more than {LIMITS.output_bytes} bytes"
    lines = complaint.splitlines()
    return f"exit code {code}" + (f": {lines[-1][:300]}" if lines else "")
