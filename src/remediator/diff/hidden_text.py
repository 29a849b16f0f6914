"""Characters that make text look like something that it is not."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from remediator.diff.change import FileChange
from remediator.diff.objection import Objection

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_WORD = re.compile(r"\w+")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL", "LISU")
# Blank or joining although their category says letter or mark.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800")
_CODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def hidden_text(change: FileChange) -> Iterator[Objection]:
    """Yield added lines with control, bidirectional or invisible characters, mixed scripts in one word, or a new source encoding.

    What the removed lines already hold may stay.
    """
    before = Counter(char for line in change.removed for char in line.text if _is_hidden(char))
    for line in change.added:
        text = line.text.removesuffix("\r")
        hidden = [char for char in text if _is_hidden(char)]
        for char in hidden:
            before[char] -= 1
            if before[char] < 0:
                yield Objection("hidden-characters", change.path, f"U+{ord(char):04X} {unicodedata.name(char, 'control')}", line.new)
                break
        if (word := _mixed(text)) and all(word not in old.text for old in change.removed):
            yield Objection("hidden-characters", change.path, f"the word {word!a} mixes alphabets", line.new)
    yield from _encoding(change)


def _is_hidden(char: str) -> bool:
    return char != "\t" and (unicodedata.category(char) in _HIDDEN or char in _BLANK_LETTERS)


def _mixed(text: str) -> str:
    if text.isascii():
        return ""
    for match in _WORD.finditer(text):
        word = match[0]
        scripts = {script for char in word if not char.isascii() for script in _SCRIPTS if unicodedata.name(char, "").startswith(script)}
        latin = any(char.isascii() and char.isalpha() for char in word)
        if len(scripts - {"LATIN"}) > 1 or (latin and scripts - {"LATIN"}):
            return word
    return ""


def _encoding(change: FileChange) -> Iterator[Objection]:
    before = {match[1].lower() for line in change.removed if (match := _CODING.match(line.text))}
    for line in change.added:
        match = _CODING.match(line.text) if line.new <= 2 else None
        if match and match[1].lower() not in before | {"utf-8", "utf8"}:
            yield Objection("hidden-characters", change.path, f"the source encoding becomes {match[1]!r}", line.new)
