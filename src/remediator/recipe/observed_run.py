"""Runs a command that reports, and the observer it reports to, side by side in one sandbox."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from remediator.contracts.sandbox import ExecResult, ExecStatus, Sandbox
from remediator.errors import SandboxLostError

OBSERVER = "/usr/bin/python3"
_PACKAGE = "remediator.recipe.reporter"
# Nothing of the tree may be found by the interpreter before our own text runs.
_BOOT = (
    "import sys; sys.path[:] = [p for p in sys.path if p and not p.startswith('/job')]; "
    "exec(compile(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())), '<boot>', 'exec'))"
)
# What follows the name in each kind of record.
_SHAPES: dict[str, tuple[type, ...]] = {
    "start": (str, str, list),
    "test": (int, str),
    "phase": (int, str, str, str, bool),
    "collect": (str, str, str),
    "deselected": (str,),
    "internal": (str,),
    "line": (str, int),
    "read": (str,),
    "origins": (dict,),
    "compiled": (str, str),
    "imported": (str, str, str),
    "finish": (int, int),
    "observer": (str, int, int),
}
_CONNECT_SECONDS = 30.0
_GRACE_SECONDS = 45.0
_STREAM_BYTES = 128 * 1024 * 1024


class Observed(NamedTuple):
    """What the observer collected. `problems` are reason codes; where there is one, the records may not be all."""

    records: tuple[tuple[Any, ...], ...]
    problems: tuple[str, ...]
    run: ExecResult

    @property
    def log(self) -> bytes:
        """Return what the run printed; for people, never for a verdict."""
        return self.run.stdout + (b"\n" + self.run.stderr if self.run.stderr else b"")


class Reporting(NamedTuple):
    """A command that reports: the interpreter, the module to run, what else it needs, and its job."""

    interpreter: str
    entry: str
    modules: Sequence[str]
    job: dict[str, Any]
    env: dict[str, str]
    timeout_seconds: float


async def observed_run(sandbox: Sandbox, reporting: Reporting) -> Observed:
    """Run it and collect what it tells. Raises SandboxLostError where the sandbox was gone from the start."""
    folder, name, nonce = f"/tmp/{secrets.token_hex(8)}", secrets.token_hex(8), secrets.token_hex(16)  # noqa: S108
    listening = {"folder": folder, "socket": name, "nonce": nonce, "connect_seconds": _CONNECT_SECONDS}
    talking = {**reporting.job, "address": f"{folder}/{name}", "nonce": nonce}
    seconds = reporting.timeout_seconds
    async with asyncio.TaskGroup() as group:
        observer = group.create_task(
            _run(
                sandbox.exec(
                    [OBSERVER, "-I", "-S", "-B", "-c", _BOOT],
                    cwd="/",
                    stdin=message("observer", [], listening),
                    timeout_seconds=seconds + _GRACE_SECONDS,
                    output_bytes=_STREAM_BYTES,
                    observer=True,
                ),
                OBSERVER,
            )
        )
        run = group.create_task(
            _run(
                sandbox.exec(
                    [reporting.interpreter, "-S", "-s", "-B", "-c", _BOOT],
                    cwd="/",
                    env=reporting.env,
                    stdin=message(reporting.entry, reporting.modules, talking),
                    timeout_seconds=seconds,
                ),
                reporting.interpreter,
            )
        )
    return _observed(observer.result(), run.result())


async def _run(execution: Any, program: str) -> ExecResult:
    try:
        result: ExecResult = await execution
    except SandboxLostError:
        return ExecResult(argv=(program,), status=ExecStatus.lost)
    return result


def message(entry: str, modules: Sequence[str], job: dict[str, Any]) -> bytes:
    """Return what `_BOOT` reads: the length and text of the loader, then the job with the sources it needs."""
    boot = _source("boot")
    sources = {f"{_PACKAGE}.{name}": _source(name).decode("utf-8") for name in (*modules, entry)}
    body = json.dumps({**job, "sources": sources, "entry": f"{_PACKAGE}.{entry}"}).encode("ascii")
    return b"%d\n" % len(boot) + boot + body


def _source(name: str) -> bytes:
    return resources.files(_PACKAGE).joinpath(f"{name}.py").read_bytes()


def _observed(observer: ExecResult, run: ExecResult) -> Observed:
    records, problems = _records(observer.stdout)
    if run.status is not ExecStatus.exited:
        problems.append(run.status.value)
    end = records.pop() if records and records[-1][0] == "observer" else None
    if end is None:
        problems.append("observer-lost")
    elif end[1] != "finish":
        problems.append("no-finish" if end[1] == "gone" else "never-started")
    else:
        problems += _miscounted(records, end[2])
    if end is not None and end[3]:
        problems.append("stranger")
    return Observed(tuple(records), tuple(dict.fromkeys(problems)), run)


def _records(stream: bytes) -> tuple[list[tuple[Any, ...]], list[str]]:
    records: list[tuple[Any, ...]] = []
    for line in stream.split(b"\n"):
        try:
            record = json.loads(line) if line else None
        except (ValueError, RecursionError):
            return records, ["garbled"]
        if record is not None:
            if not _well_formed(record):
                return records, ["garbled"]
            records.append(tuple(record))
    return records, []


def _well_formed(record: object) -> bool:
    """Return whether a record has the parts of its kind; only what the tree's code sends itself has not."""
    if not isinstance(record, list) or not record or not isinstance(record[0], str):
        return False
    shape = _SHAPES.get(record[0])
    return (
        shape is not None and len(record) == len(shape) + 1 and all(isinstance(p, kind) for p, kind in zip(record[1:], shape, strict=True))
    )


def _miscounted(records: Sequence[tuple[Any, ...]], seen: object) -> list[str]:
    """Compare what the reporter says it sent (its greeting included) with what came; a difference means somebody else spoke."""
    counted = sum(record[0] != "line" for record in records)
    finish = records[-1] if records else ()
    right = len(finish) == 3 and finish[0] == "finish" and finish[2] == counted and seen == len(records)
    return [] if right else ["miscounted"]
