"""Reads a project's text files as data, and forgives what is malformed."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from remediator.contracts.tree import Tree
from remediator.errors import GitError
from remediator.recipe.python.requirements import requirement

_TEXT_BYTES = 2 * 1024 * 1024


class Reading:
    """Reads a tree's text files, and remembers which were there."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.paths = [entry.path for entry in tree.entries() if entry.is_file]
        self._all = frozenset(self.paths)
        self.read: list[str] = []

    def bytes(self, path: str) -> bytes:
        """Return a file's content; nothing where it is missing or too large."""
        if path not in self._all:
            return b""
        try:
            data = self.tree.read(path, limit_bytes=_TEXT_BYTES)
        except (GitError, KeyError):
            return b""
        self.read.append(path)
        return data

    def text(self, path: str) -> str:
        """Return a file's text; what is not UTF-8 is replaced."""
        return self.bytes(path).decode("utf-8", "replace").removeprefix("\ufeff")


def toml_table(text: str) -> dict[str, Any]:
    """Return the parsed text; nothing where it is malformed."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def ini_sections(text: str) -> configparser.RawConfigParser:
    """Return the parsed text; nothing where it is malformed."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, delimiters=("=", ":"))
    try:
        parser.read_string(text)
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def subtable(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the table below these names; an empty one where there is none."""
    found: Any = data
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def strings(value: object) -> list[str]:
    """Return the strings of a list, or the lines of a text."""
    if isinstance(value, str):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return [item for item in value if isinstance(item, str)] if isinstance(value, (list, tuple)) else []


def ini_value(config: configparser.RawConfigParser, section: str, option: str) -> str:
    """Return an option's value; nothing where it is not set."""
    return str(config.get(section, option, fallback="") or "").strip()


def ini_lines(config: configparser.RawConfigParser, section: str, option: str) -> list[str]:
    """Return the lines of an option's value."""
    return strings(ini_value(config, section, option))


def first_text(*values: object) -> str:
    """Return the first that is a plain text and says something itself."""
    return next((value for value in values if isinstance(value, str) and value and not value.startswith("attr:")), "")


def clean(lines: Iterable[str]) -> list[str]:
    """Return those lines that are requirements."""
    return [found for line in lines if (found := requirement(line))]
