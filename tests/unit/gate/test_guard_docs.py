"""Every code that the gate can give is explained."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_SOURCE = _ROOT / "src" / "remediator"
_PATTERNS = (
    r"Objection\(\s*\"([a-z-]+)\"",
    r"Trait\(\s*\"([a-z-]+)\"",
    r"CODE = \"([a-z-]+)\"",
    r"Answer\(\s*CheckStatus\.\w+, \"([a-z-]+)\"",
    r"yield \"([a-z-]+)\", ",
    r"return \"([a-z]+-[a-z-]+)\", ",
    r"TestOutcome\.\w+: \"([a-z-]+)\"",
    r"else \"([a-z]+-incomplete)\"",
)


def test_every_code_of_the_gate_is_in_the_reference() -> None:
    files = [
        *(_SOURCE / "diff").rglob("*.py"),
        *(_SOURCE / "builtin" / "guards").rglob("*.py"),
        *(_SOURCE / "builtin").glob("*_verifier.py"),
    ]
    text = "".join(path.read_text("utf-8") for path in [*files, _SOURCE / "builtin" / "answer.py", _SOURCE / "builtin" / "no_baseline.py"])
    codes = {match for pattern in _PATTERNS for match in re.findall(pattern, text)}
    told = set(re.findall(r"`([a-z-]+)`", (_ROOT / "docs" / "reference" / "checks.md").read_text("utf-8")))
    assert len(codes) > 50
    assert codes <= told, sorted(codes - told)
