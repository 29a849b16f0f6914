"""Which of a project's own pytest options we keep."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

# Kept: what decides which tests there are and how they are found. Everything else (reports, coverage, parallel runs, early stops,
# random order) only changes how a run looks, or would break ours.
_KEEP_WITH_VALUE = (
    "--import-mode",
    "--doctest-glob",
    "--ignore",
    "--ignore-glob",
    "--ds",
    "--dc",
    "--asyncio-mode",
    "--doctest-continue-on-failure",
)
_KEEP_PLAIN = ("--doctest-modules", "--pyargs", "--nomigrations", "--no-migrations", "--reuse-db", "--create-db", "--no-start-live-server")
_SELECTIONS = ("-m", "-k")


class KeptOptions(NamedTuple):
    """The options that go into our run, and the words that were left out."""

    kept: tuple[str, ...]
    dropped: tuple[str, ...]


def kept_options(addopts: str) -> KeptOptions:
    """Sort a project's `addopts`. A selection is kept only where it excludes; one that includes could leave out our canaries."""
    kept: list[str] = []
    dropped: list[str] = []
    words = _words(addopts)
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if name in _SELECTIONS or (word[:2] in _SELECTIONS and not word.startswith("--")):
            chosen = value if has_value else word[2:].strip() or (words.pop(0) if words else "")
            (kept if chosen.startswith("not ") and " or " not in chosen else dropped).extend([word[:2], chosen])
        elif word == "-p" and words:
            plugin = words.pop(0)
            (dropped if plugin.startswith("no:") else kept).extend(["-p", plugin])
        elif word in _KEEP_PLAIN or (name in _KEEP_WITH_VALUE and has_value):
            kept.append(word)
        elif name in _KEEP_WITH_VALUE and words and not words[0].startswith("-"):
            kept += [word, words.pop(0)]
        else:
            dropped.append(word)
    return KeptOptions(tuple(kept), tuple(dropped))


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=False)
    except ValueError:
        return text.split()


class Command(NamedTuple):
    """What an operator's test command comes to."""

    runner: str
    arguments: tuple[str, ...]


def test_command(argv: Sequence[str]) -> Command | None:
    """Read `pytest …`, `python -m pytest …` or `python -m unittest [discover] …`; None for anything else."""
    words = list(argv)
    if words and words[0].rpartition("/")[2].startswith("python"):
        words = words[2:] if words[1:2] == ["-m"] else []
    name = words.pop(0).rpartition("/")[2] if words else ""
    if name in ("pytest", "py.test"):
        return Command("pytest", tuple(words))
    if name == "unittest":
        plain = [word for word in words if word != "discover" and not word.startswith("-")]
        return Command("unittest", tuple(plain))
    return None


test_command.__test__ = False  # type: ignore[attr-defined]
