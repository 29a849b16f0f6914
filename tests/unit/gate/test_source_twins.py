"""Twins of a file: the same behaviour in another text, and the base's behaviour in the patch's text."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

from remediator.builtin.source_twins import TwinError, disguised, rewritten

BASE = b'''"""Loads things."""
from __future__ import annotations
import json
import pickle as codec

__version__ = "1.2"
LIMIT = 3


class Loader(dict):
    """Loads."""

    def load(self, text):
        """Load it."""
        return "unsafe:" + text


def load(text, *, strict=False):
    # by the class
    return Loader().load(text)
'''
PATCHED = b'''"""Loads things safely."""
from __future__ import annotations
import json
import re
import json as codec, operator

__version__ = "1.2"
LIMIT = 3
_SAFE = re.compile(r"[a-z]+")
FIXED = True
REGISTRY = open("nowhere")
if LIMIT:
    PICKED = 1


class LoadError(ValueError):
    """Refused."""


@print
def _checked(text):
    if not _SAFE.fullmatch(text):
        raise LoadError(text)
    return text


class Loader(dict):
    """Loads what is safe."""

    _checks = True

    def __getitem__(self, key):
        raise KeyError(key)

    def visit_hook(self):
        return "never"

    def _refuse(self, text):
        raise LoadError(text)

    def load(self, text):
        """Load it, checked."""
        return "safe:" + _checked(text) if _SAFE else self._refuse(text)


def load(text, *, strict=False, safe=True):
    # by the class, and checked
    return Loader().load(text)
'''


def loaded(tmp_path: Path, data: bytes) -> dict[str, Any]:
    path = tmp_path / "twin.py"
    path.write_bytes(data)
    return runpy.run_path(str(path))


def test_written_anew_it_means_the_same_and_looks_otherwise(tmp_path: Path) -> None:
    twin = rewritten(BASE)
    assert ast.dump(ast.parse(twin)) == ast.dump(ast.parse(BASE))
    assert b"# by the class" not in twin
    assert not set(enumerate(BASE.splitlines())) & {(at, line) for at, line in enumerate(twin.splitlines()) if line}
    assert loaded(tmp_path, twin)["load"]("x") == "unsafe:x"


@pytest.mark.parametrize("data", [b"# coding: latin-1\nNAME = '\xe9'\n", b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\nNAME = '\xe9'\n"])
def test_other_encodings_keep_their_meaning(tmp_path: Path, data: bytes) -> None:
    assert loaded(tmp_path, rewritten(data))["NAME"] == "é"
    assert loaded(tmp_path, disguised(data, data, with_markers=True))["NAME"] == "é"


@pytest.mark.parametrize("markers", [True, False])
def test_in_disguise_the_base_does_what_it_did_and_reads_as_the_patch(tmp_path: Path, markers: bool) -> None:
    twin = disguised(BASE, PATCHED, with_markers=markers)
    space = loaded(tmp_path, twin)
    assert space["load"]("!") == "unsafe:!" and space["Loader"]({"a": 1})["a"] == 1
    assert space["codec"].__name__ == "pickle"
    text = twin.decode()
    assert all(line.strip() in text for line in PATCHED.decode().splitlines())
    assert "unsafe:" not in text and "pickle as codec" not in text
    assert "__version__ = '1.2'" in text.splitlines()


def test_without_markers_it_has_the_names_of_the_base_alone(tmp_path: Path) -> None:
    space = loaded(tmp_path, disguised(BASE, PATCHED, with_markers=False))
    assert not {"_SAFE", "FIXED", "_checked", "LoadError"} & set(space)
    assert not hasattr(space["Loader"], "_refuse")


def test_markers_are_there_and_change_nothing(tmp_path: Path) -> None:
    space = loaded(tmp_path, disguised(BASE, PATCHED, with_markers=True))
    assert space["FIXED"] is True and space["_SAFE"].fullmatch("abc") and space["PICKED"] is None
    assert space["REGISTRY"] is None, "a call with an effect is not made"
    assert callable(space["_checked"]), "a decorator may register, so it is left out"
    assert issubclass(space["LoadError"], ValueError)
    assert space["operator"].__name__ == "operator"
    loader = space["Loader"]
    assert loader._checks and loader._refuse and not hasattr(loader, "visit_hook") and "__getitem__" not in vars(loader)
    assert loader.__doc__ == "Loads what is safe." and space["__doc__"] == "Loads things safely."
    assert space["load"]("!", safe=True) == "unsafe:!"


def test_a_name_that_the_base_asks_for_is_no_marker(tmp_path: Path) -> None:
    base = b"def f():\n    return globals().get('HOOK') or 'none'\n"
    space = loaded(tmp_path, disguised(base, base + b"HOOK = 'set'\n", with_markers=True))
    assert space["f"]() == "none"


def test_what_does_not_parse_has_no_twin() -> None:
    with pytest.raises(TwinError):
        rewritten(b"print 'x'\n")
    with pytest.raises(TwinError):
        disguised(b"x = 1\n", b"x = (\n", with_markers=False)
