"""How a stranger's text gets onto a page: escaped, and with nothing in it that could move, hide or imitate what stands beside it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from remediator.clearinghouse.wire.answers import Fix, Flaw
from remediator.redact import printable

_MOST_MARKS = 4
"""Accents on one letter. A tower of them would reach into the lines above and below."""
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that show nothing, so that two names which differ would look alike."""
_MOST_DIFF_LINES = 5_000

LADDER = (
    ("E0", "applies", "the diff applies exactly to the base commit"),
    ("E1", "builds", "the project is prepared and built as before"),
    ("E2", "rescanned", "the finding is gone and nothing new appeared"),
    ("E3", "tested", "no test that passed before fails now"),
    ("E4", "reproduced", "a reproducer fails without the fix and passes with it"),
    ("E5", "attacked", "variants stay harmless, and an independent replay agrees"),
)


class Rung(NamedTuple):
    """One level of the evidence ladder, as far as a fix has come on it."""

    name: str
    title: str
    meaning: str
    reached: bool
    checks: tuple[Mapping[str, Any], ...]


class DiffLine(NamedTuple):
    """One line of a diff and what kind it is of."""

    kind: str
    text: str


def environment(package: str = "remediator.clearinghouse.pages") -> Environment:
    """Return a package's templates, each compiled: one that is broken stops the start, not a visit."""
    # S701 is about pages without autoescape: here all of them have it.
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_final,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(told=told, when=when, diff=diff_lines, lines=text_lines)
    made.globals.update(ladder=ladder, due=due)
    for name in made.list_templates(extensions=["html"]):
        made.get_template(name)
    return made


def visible(text: str) -> str:
    """Return the text with whatever shows nothing, turns the direction or piles up shown as an escape."""
    shown = printable(text)
    # Most texts are so, and a page can have a million characters: nobody else is answered while it is made.
    return shown if shown.isascii() else "".join(_visible(shown))


def _visible(text: str) -> Iterator[str]:
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        # Variation selectors are marks too, and there are hundreds: text can be hidden in them.
        selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
        # What Unicode has not assigned may become anything, on a browser newer than we are.
        if marks > _MOST_MARKS or selector or category == "Cn" or char in _UNSEEN:
            yield f"\\u{ord(char):04x}" if ord(char) < 65536 else f"\\U{ord(char):08x}"
        else:
            yield char


def _final(value: object) -> object:
    """Make every value that a template shows harmless; autoescape then does the rest."""
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


def told(value: object) -> Markup:
    """Return a stranger's words set apart, so that Hebrew or Arabic in them does not turn what stands beside them."""
    text = visible(str(value))
    return Markup("<bdi>{}</bdi>").format(text) if text.strip() else Markup("<i>(blank)</i>")


def when(value: datetime | None) -> Markup:
    """Return a time as people and programs read it."""
    if value is None:
        return Markup("–")
    utc = value.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), utc.strftime("%Y-%m-%d %H:%M UTC"))


def text_lines(text: str) -> Markup:
    """Return a stranger's text of several lines, line for line."""
    return Markup("\n").join(escape(visible(line)) for line in text.split("\n"))


def diff_lines(patch: str) -> list[DiffLine]:
    """Return a diff's lines with their kinds, the first thousands of them."""
    lines = patch.removesuffix("\n").split("\n")
    shown = [DiffLine(_kind(line), line) for line in lines[:_MOST_DIFF_LINES]]
    if len(lines) > _MOST_DIFF_LINES:
        shown.append(DiffLine("cut", f"… {len(lines) - _MOST_DIFF_LINES} more lines: download the patch to read it whole"))
    return shown


def _kind(line: str) -> str:
    if line.startswith(("diff ", "--- ", "+++ ", "index ")):
        return "file"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "kept")


def ladder(fix: Fix) -> list[Rung]:
    """Return how far the clearinghouse itself came with a fix; what the submitter claims is not in it."""
    checks = fix.validation.checks if fix.validation is not None else ()
    return [
        Rung(
            name, title, meaning, fix.level is not None and fix.level >= place, tuple(each for each in checks if each.get("level") == name)
        )
        for place, (name, title, meaning) in enumerate(LADDER)
    ]


def due(flaw: Flaw) -> Markup:
    """Return when a flaw should be fixed, counted from when it was first seen here; the timeline where that is no number of days."""
    if flaw.priority is None:
        return Markup("not known")
    days = flaw.priority.due_days
    return told(flaw.priority.timeline) if days is None else when(flaw.first_seen + timedelta(days=days))
