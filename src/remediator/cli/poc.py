"""Reads the test or script by which a user shows a flaw."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.errors import UsageError

if TYPE_CHECKING:
    from remediator.records.reproducer import Reproducer

_MOST_BYTES = 1024 * 1024
_SCRIPT = """
import runpy
from pathlib import Path

SCRIPT = {text!r}


def test_script(tmp_path):
    script = tmp_path / "script"
    script.write_text(SCRIPT, "utf-8")
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as error:
        assert not error.code, f"the script ended with {{error.code!r}}"
"""


def read_poc(files: Sequence[Path]) -> Reproducer:
    """Return the reproducer that the files make: pytest files as they are; a script is red where it ends with a failed assertion or code.

    Raises UsageError.
    """
    from remediator.records.reproducer import Reproducer

    made: dict[str, str] = {}
    for path in files:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            raise UsageError(f"--poc {path}: larger than {_MOST_BYTES} bytes", hint="keep to what shows the flaw")
        try:
            text = data.decode("utf-8")
            tree = ast.parse(text)
        except (UnicodeDecodeError, SyntaxError, ValueError) as error:
            raise UsageError(f"--poc {path}: not Python: {error}", hint="give a pytest file, or a script that asserts") from error
        has_tests = any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test") for node in ast.walk(tree)
        )
        made[_name(path, made)] = text if has_tests else _SCRIPT.format(text=text)
    return Reproducer.of(finding_id="", author="supplied", files=made, claim="supplied by the user")


def _name(path: Path, taken: dict[str, str]) -> str:
    stem = re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()).strip("_") or "poc"
    stem = stem if stem.startswith("test_") else f"test_{stem}"
    name, number = f"{stem[:50]}.py", 1
    while name in taken:
        number += 1
        name = f"{stem[:50]}_{number}.py"
    return name
