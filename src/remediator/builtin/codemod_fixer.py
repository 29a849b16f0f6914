"""Fixes what a deterministic change of the syntax tree certainly fixes, and declines everything else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, NamedTuple

from pydantic import Field

from remediator.contracts.fixer import Attempt, Fixer
from remediator.contracts.tree import Tree
from remediator.contracts.workspace import Workspace
from remediator.errors import GitError, PatchError
from remediator.records.finding import Finding, Location
from remediator.records.patch import Declined, Patch, ReasonCode

_DECLARING_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt")
_DECLARING_BYTES = 256 * 1024
_SUFFIXES = (".py", ".pyw", ".pyi", ".wsgi", ".tac")


class CodemodFixer(Fixer):
    """Applies the first Python transform that is certain for a finding, whichever tool reported it.

    `max_bytes` is the size of file up to which it is tried, `timeout_seconds` the time that parsing and changing one may take.
    """

    name: ClassVar[str] = "codemod"

    max_bytes: int = Field(default=2_000_000, gt=0)
    timeout_seconds: int = Field(default=60, gt=0)

    async def fix(self, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
        """Return the patch of the first certain transform that was not tried yet, or why there is none."""
        if finding.location is None:
            return _declined(finding, ReasonCode.out_of_scope, "the finding names no place in a file")
        path = finding.location.path
        try:
            data = await asyncio.to_thread(workspace.tree.read, path, limit_bytes=self.max_bytes)
        except KeyError:
            return _declined(finding, ReasonCode.could_not_check, "the finding's file is not a regular file of the tree")
        except GitError as error:
            return _declined(finding, ReasonCode.could_not_check, f"the file is too large to change: {error.message}")
        if len(data) > self.max_bytes:
            return _declined(finding, ReasonCode.could_not_check, f"the file has {len(data)} bytes, more than {self.max_bytes}")
        if not _is_python(path, data):
            return _declined(finding, ReasonCode.out_of_scope, "the file is not Python")
        question = _question(finding, finding.location, data, await asyncio.to_thread(_declarations, workspace.tree, path))
        answer = await asyncio.to_thread(_ask, question, self.timeout_seconds)
        return _first_new(answer, finding, workspace, history)

    def version(self) -> str:
        """Return the digest of the transforms."""
        digest = hashlib.sha256()
        for file in sorted(Path(__file__).with_name("codemods").glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        return digest.hexdigest()[:16]


class _Change(NamedTuple):
    transform: str
    summary: str
    behaviour: str
    data: bytes


class _Answer(NamedTuple):
    changes: tuple[_Change, ...]
    reason: ReasonCode
    detail: str


def _first_new(answer: _Answer, finding: Finding, workspace: Workspace, history: Sequence[Attempt]) -> Patch | Declined:
    tried = {attempt.patch.id for attempt in history} | {attempt.patch.diff for attempt in history}
    for change in answer.changes:
        try:
            diff = workspace.diff({finding.path: change.data})
        except PatchError as error:
            return _declined(finding, ReasonCode.could_not_check, f"the change cannot be written as a patch: {error.message}")
        patch = Patch.of(
            finding_id=finding.id,
            fixer=CodemodFixer.name,
            title=change.summary,
            diff=diff,
            behaviour=change.behaviour,
            transform=change.transform,
        )
        if diff and patch.id not in tried and diff not in tried:
            return patch
    if answer.changes:
        names = ", ".join(sorted({change.transform for change in answer.changes}))
        return _declined(finding, ReasonCode.no_safe_transform, f"every certain change was tried before ({names})")
    return _declined(finding, answer.reason, answer.detail)


def _question(finding: Finding, location: Location, data: bytes, project: Mapping[str, bytes]) -> bytes:
    asked = {
        "path": location.path,
        "data": base64.b64encode(data).decode("ascii"),
        "region": [location.start_line, location.start_column, location.end_line, location.end_column],
        "cwe": list(finding.cwe),
        "words": f"{finding.rule_id} {finding.message}",
        "project": {name: base64.b64encode(content).decode("ascii") for name, content in project.items()},
    }
    return json.dumps(asked).encode("ascii")


def _ask(question: bytes, timeout_seconds: int) -> _Answer:
    """Run the worker. It works on hostile text with a native parser, so it may crash, hang or swell: only it does."""
    argv = [sys.executable, "-I", "-W", "ignore", "-m", "remediator.builtin.codemods.worker", str(timeout_seconds)]
    try:
        done = subprocess.run(argv, input=question, capture_output=True, timeout=timeout_seconds + 10, check=False, env={})
    except subprocess.TimeoutExpired:
        return _Answer((), ReasonCode.could_not_check, f"parsing and changing the file took more than {timeout_seconds} s")
    if done.returncode != 0:
        return _Answer((), ReasonCode.could_not_check, f"the file cannot be parsed: {_cause(done)}")
    reply = json.loads(done.stdout)
    changes = tuple(_Change(item[0], item[1], item[2], base64.b64decode(item[3])) for item in reply["changes"])
    return _Answer(changes, ReasonCode(reply["reason"]), reply["detail"])


def _cause(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"the parser ended with signal {-done.returncode}"
    last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
    return last[0][:200] if last else f"the parser ended with exit code {done.returncode}"


def _declarations(tree: Tree, path: str) -> dict[str, bytes]:
    """Return the declaring files of the nearest folder that has one, going up from the file."""
    files = {entry.path for entry in tree.entries() if entry.is_file}
    for folder in PurePosixPath(path).parents:
        found = {name: str(folder / name) for name in _DECLARING_FILES if str(folder / name) in files}
        if found:
            return {name: data for name, place in found.items() if (data := _read(tree, place)) is not None}
    return {}


def _read(tree: Tree, path: str) -> bytes | None:
    try:
        return tree.read(path, limit_bytes=_DECLARING_BYTES)
    except (KeyError, GitError):
        return None


def _is_python(path: str, data: bytes) -> bool:
    if PurePosixPath(path).suffix.lower() in _SUFFIXES:
        return True
    first = data.split(b"\n", 1)[0]
    return first.startswith(b"#!") and b"python" in first


def _declined(finding: Finding, reason: ReasonCode, detail: str) -> Declined:
    return Declined(finding_id=finding.id, fixer=CodemodFixer.name, reason=reason, detail=detail)
