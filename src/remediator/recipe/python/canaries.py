"""Tests of our own, put beside the project's: a run in which they do not end as they must is not believed."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import NamedTuple

from remediator.records.recipe import TestOutcome

_WORDS = [
    "append",
    "cache",
    "chunk",
    "close",
    "codec",
    "copy",
    "default",
    "encode",
    "escape",
    "fetch",
    "field",
    "filter",
    "format",
    "group",
    "header",
    "index",
    "item",
    "join",
    "key",
    "limit",
    "line",
    "load",
    "lookup",
    "merge",
    "name",
    "node",
    "option",
    "order",
    "page",
    "parse",
    "path",
    "prefix",
    "query",
    "range",
    "record",
    "reset",
    "retry",
    "route",
    "scope",
    "shape",
    "slice",
    "sort",
    "split",
    "state",
    "stream",
    "table",
    "text",
    "token",
    "trim",
    "tuple",
    "update",
    "value",
    "walk",
    "window",
    "wrap",
]
_MOST = 6


class Canaries(NamedTuple):
    """The files to write, and for the end of each canary's id the outcomes that are right."""

    files: dict[str, bytes]
    expected: dict[str, frozenset[TestOutcome]]


def planted(folders: Sequence[str], taken: Sequence[str], runner: str, python_functions: str = "") -> Canaries:
    """Make one file of canaries for each folder that holds tests: one passes, one fails, one has a broken set-up."""
    chance = random.SystemRandom()
    canaries = Canaries({}, {})
    prefix = _prefix(python_functions)
    for folder in folders[:_MOST]:
        name = f"test_{chance.choice(_WORDS)}_{chance.choice(_WORDS)}_{secrets.token_hex(3)}"
        path = str(PurePosixPath(folder) / f"{name}.py")
        if path not in taken:
            _plant(canaries, path, prefix, runner, chance)
    return canaries


def _plant(canaries: Canaries, path: str, prefix: str, runner: str, chance: random.Random) -> None:
    passes, fails, breaks = (f"{prefix}{chance.choice(_WORDS)}_{chance.choice(_WORDS)}_{n}" for n in chance.sample(range(10, 99), 3))
    first, second = chance.randint(100, 999), chance.randint(100, 999)
    write, joint = (_functions, "::") if runner == "pytest" else (_methods, ".")
    canaries.files[path] = write(passes, fails, breaks, first, second, chance).encode("ascii")
    where = path if runner == "pytest" else f"{path.rpartition('/')[2][:-3]}.TestCase"
    for name, outcome in ((passes, TestOutcome.passed), (fails, TestOutcome.failed), (breaks, TestOutcome.error)):
        canaries.expected[f"{where}{joint}{name}"] = frozenset({outcome})


def _functions(passes: str, fails: str, breaks: str, first: int, second: int, chance: random.Random) -> str:
    fixture = f"{chance.choice(_WORDS)}_{chance.choice(_WORDS)}_{secrets.token_hex(2)}"
    parts = [
        f"def {passes}():\n    value = {first} + {second}\n    assert value == {first + second}\n",
        f"def {fails}():\n    value = {first} + {second}\n    assert value == {first + second + chance.randint(1, 9)}\n",
        f"@pytest.fixture\ndef {fixture}():\n    raise ValueError({first})\n\n\ndef {breaks}({fixture}):\n    assert {fixture}\n",
    ]
    chance.shuffle(parts)
    return "import pytest\n\n\n" + "\n\n".join(parts)


def _methods(passes: str, fails: str, breaks: str, first: int, second: int, chance: random.Random) -> str:
    parts = [
        f"    def {passes}(self):\n        self.assertEqual({first} + {second}, {first + second})\n",
        f"    def {fails}(self):\n        self.assertEqual({first} + {second}, {first + second + chance.randint(1, 9)})\n",
        f"    def {breaks}(self):\n        raise ValueError({first})\n",
    ]
    chance.shuffle(parts)
    return "import unittest\n\n\nclass TestCase(unittest.TestCase):\n" + "\n".join(parts)


def _prefix(python_functions: str) -> str:
    """Return how a test function's name has to begin where a project says so."""
    patterns = python_functions.split()
    if not patterns or any(fnmatch("test_x_y_1", pattern) or "test_x_y_1".startswith(pattern) for pattern in patterns):
        return "test_"
    found = re.match(r"[A-Za-z_]\w*", patterns[0])
    return found[0].rstrip("_") + "_" if found else "test_"
