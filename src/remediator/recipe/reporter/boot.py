"""Loads the sources that follow on standard input and runs one of them."""

from __future__ import annotations

import json
import os
import sys
import types
from typing import Any


def load(sources: dict[str, str]) -> dict[str, types.ModuleType]:
    """Execute each source as a module of its name, in order, and leave none of them where others find modules."""
    modules: dict[str, types.ModuleType] = {}
    for name, source in sources.items():
        module = modules[name] = sys.modules[name] = types.ModuleType(name)
        exec(compile(source, "<reporter>", "exec"), module.__dict__)  # noqa: S102 - our own text, sent over a pipe
    for name in modules:
        del sys.modules[name]
    return modules


def main() -> None:
    """Read the job, cut off standard input, run."""
    job: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    modules = load(job.pop("sources"))
    modules[job.pop("entry")].main(job)


main()
