"""Asks another process which Python files do not parse: broken syntax makes findings vanish without a word."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from remediator.errors import ScanError
from remediator.program import ProgramLimits, closed_environment, run_program

_MEMORY = 2 * 1024 * 1024 * 1024


async def complaints(root: Path, names: Sequence[str], *, scratch: Path) -> dict[str, str]:
    """Return why files below `root` do not parse, by name; those that parse are not in it."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        answers, ended = await _ask(root, left, scratch)
        found.update({name: said for name, said in zip(left, answers, strict=False) if said})
        left = left[len(answers) :]
        if left and ended:
            raise ScanError("the syntax check ended without an answer for every file")
        if left:
            found[left.pop(0)] = "ended the parser: too deep, too large or too slow to parse"
    return found


async def _ask(root: Path, names: Sequence[str], scratch: Path) -> tuple[list[str | None], bool]:
    program = Path(__file__).with_name("syntax_check.py")
    limits = ProgramLimits(timeout_seconds=60 + len(names) * 0.5, memory_bytes=_MEMORY)
    python = Path(sys.executable)
    result = await run_program(
        [str(python), "-I", str(program)],
        cwd=root,
        env=closed_environment(scratch, python),
        stdin=b"\0".join(os.fsencode(name) for name in names),
        limits=limits,
    )
    lines = result.stdout.split(b"\n")[:-1]
    return [json.loads(line) for line in lines], result.exit_code == 0
