"""What a project declares about itself: its dependencies, and the oldest Python that it supports. Nothing is executed."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet

DECLARING_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "requirements.txt")
_VERSIONS = ("2.7", *(f"3.{minor}" for minor in range(15)))
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_CLASSIFIER = re.compile(r"Programming Language :: Python :: ([23]\.\d+)")


class ProjectFacts(NamedTuple):
    """`floor` is the oldest supported Python as (major, minor), None where nothing says so."""

    requires: frozenset[str] = frozenset()
    floor: tuple[int, int] | None = None

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> ProjectFacts:
        """Read the declaring files that there are. What does not parse declares nothing."""
        requires: set[str] = set()
        specifier = ""
        versions: set[str] = set()
        for name, data in files.items():
            text = data.decode("utf-8", "replace")
            versions.update(_CLASSIFIER.findall(text))
            found, python = _READERS[name.rpartition("/")[2]](text)
            requires.update(found)
            specifier = specifier or python
        return cls(frozenset(requires), _floor(specifier, versions))

    def supports_only_from(self, major: int, minor: int) -> bool:
        """Return whether every supported Python is known to be at least this one."""
        return self.floor is not None and self.floor >= (major, minor)


def _floor(specifier: str, versions: set[str]) -> tuple[int, int] | None:
    allowed = sorted(_pair(version) for version in versions) or None
    if specifier:
        try:
            fitting = SpecifierSet(specifier)
        except InvalidSpecifier:
            return None
        # A late patch release stands for its series: ">=3.8.1" still means 3.8.
        return next((_pair(version) for version in _VERSIONS if fitting.contains(version + ".99")), None)
    return allowed[0] if allowed else None


def _pair(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _names(requirements: Iterable[object]) -> set[str]:
    found = (_NAME.match(item) for item in requirements if isinstance(item, str))
    return {re.sub(r"[-_.]+", "-", match.group(1)).lower() for match in found if match}


def _pyproject(text: str) -> tuple[set[str], str]:
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return set(), ""
    project = _table(data, "project")
    poetry = _table(data, "tool", "poetry")
    declared = project.get("dependencies")
    requires = _names(declared if isinstance(declared, list) else [])
    requires |= _names(_table(poetry, "dependencies"))
    python = project.get("requires-python") or ""
    return requires, python if isinstance(python, str) else ""


def _table(data: object, *keys: str) -> dict[str, object]:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _setup_cfg(text: str) -> tuple[set[str], str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        return set(), ""
    requires = parser.get("options", "install_requires", fallback="").splitlines()
    return _names(requires), parser.get("options", "python_requires", fallback="").strip()


def _setup_py(text: str) -> tuple[set[str], str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), ""
    named = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    requires: set[str] = set()
    python = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in ("install_requires", "python_requires"):
            value = named.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            if node.arg == "install_requires" and isinstance(value, ast.List | ast.Tuple):
                requires |= _names(item.value for item in value.elts if isinstance(item, ast.Constant))
            elif node.arg == "python_requires" and isinstance(value, ast.Constant) and isinstance(value.value, str):
                python = value.value
    return requires, python


def _requirements(text: str) -> tuple[set[str], str]:
    return _names(line for line in text.splitlines() if not line.lstrip().startswith(("#", "-"))), ""


_READERS = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "setup.py": _setup_py,
    "requirements.txt": _requirements,
}
