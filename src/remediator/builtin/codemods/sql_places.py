"""Where values stand in an SQL statement, and whether a parameter may stand there."""

from __future__ import annotations

import re

from remediator.builtin.codemods.context_words import vocabulary, words_of
from remediator.builtin.codemods.template import Template
from remediator.builtin.codemods.template_parts import Hole
from remediator.builtin.codemods.transform import needs_design, unsafe

# Where a value may stand; anything else is a name, a keyword or a piece of grammar, which no parameter can be.
_BEFORE_VALUE = re.compile(
    r"(?:=|<|>|\|\||\b(?:like|ilike|regexp|rlike|between|limit|offset|then|else)|\bbetween\s+\S+\s+and)\s*$", re.IGNORECASE
)
_ITEM = re.compile(r"[(,]\s*$")
_IN_LIST = re.compile(r"\b(?:values|in)\s*\((?:(?!\bselect\b)[^()]|\([^()]*\))*$", re.IGNORECASE)
_IN_ROWS = re.compile(r"\bvalues\s*(?:\((?:[^()]|\([^()]*\))*\)\s*,\s*)*\((?:[^()]|\([^()]*\))*$", re.IGNORECASE)
_IN_CALL = re.compile(r"(?<!into)(?<!table)\s+\w+\((?:[^()]|\([^()]*\))*$", re.IGNORECASE)
_FRAGMENT = vocabulary(
    "where clause table tables column columns col cols field fields order orderby sort by sql query queries cond condition "
    "conditions placeholder placeholders limit_clause join joins asc direction schema stmt statement suffix prefix filters "
    "criteria"
)
_ESCAPERS = vocabulary("escape escaped quote quoted quotes repr literal adapt sanitize sanitise mogrify encode join")


def value_places(template: Template, *, doubly: str) -> tuple[dict[int, tuple[str, str]], list[str]]:
    """Return which holes lose their quotation marks, and the parameters. Raises RefusedError where a hole is no value."""
    unquoted: dict[int, tuple[str, str]] = {}
    values: list[str] = []
    texts = template.value.split("\0")
    written = ""
    for number, hole in enumerate(template.holes):
        _check(hole)
        written += texts[number]
        after = texts[number + 1]
        mark = _open_mark(written)
        before, value = written, hole.code
        if mark:
            head, inside = written[: written.rindex(mark)], written[written.rindex(mark) + 1 :]
            rest, closed, after = after.partition(mark)
            if not closed or mark not in ("'", doubly) or not set(inside + rest) <= set("%_"):
                raise unsafe(f"`{hole.code}` is a part of a quoted text")
            unquoted[number] = (inside, rest)
            before = head
            value = " + ".join(
                [*([f'"{inside}"'] if inside else []), hole.text_code if inside or rest else value, *([f'"{rest}"'] if rest else [])]
            )
            # The closing mark comes with the next text.
        if not mark and _is_alone_in_list(before, after):
            raise needs_design(f"`{hole.code}` may be a whole list of values")
        if not mark and re.search(r"\b(?:limit|offset)\s*$", before, re.IGNORECASE) and not _is_number(hole):
            raise unsafe(f"`{hole.code}` may be a text, which cannot be a limit")
        if not _takes_value(before, after, quoted=bool(mark)):
            raise needs_design(f"`{hole.code}` stands where SQL takes a name or a piece of a statement, not a value")
        values.append(value)
        written += "0"
    return unquoted, values


def _open_mark(text: str) -> str:
    """Return the quotation mark that is still open at the end of a text, or an empty string."""
    mark = ""
    for char in text:
        if mark:
            mark = "" if char == mark else mark
        elif char in "'\"`":
            mark = char
    return mark


def _is_alone_in_list(before: str, after: str) -> bool:
    return bool(re.search(r"\b(?:in|values)\s*\(\s*$", before, re.IGNORECASE) and after.lstrip().startswith(")"))


def _is_number(hole: Hole) -> bool:
    return hole.type == "d" or hole.code.startswith(("int(", "len("))


def _check(hole: Hole) -> None:
    if not hole.plain:
        raise unsafe(f"`{hole.code}` is put in with a format of its own")
    names = words_of(hole.code)
    if names & _ESCAPERS:
        raise unsafe(f"`{hole.code}` seems to be escaped already")
    if names & _FRAGMENT:
        raise needs_design(f"`{hole.code}` seems to be a piece of SQL")


def _takes_value(before: str, after: str, *, quoted: bool) -> bool:
    if re.match(r"[\w.`\"\[]", after) or re.search(r"[\w.`\"\[\]]$", before):
        return False
    if _BEFORE_VALUE.search(before):
        return True
    if not _ITEM.search(before):
        return False
    return bool(_IN_LIST.search(before) or _IN_ROWS.search(before) or (quoted and _IN_CALL.search(before)))
