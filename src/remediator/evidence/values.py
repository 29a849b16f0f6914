"""How much a JSON text becomes in memory: an empty list takes three bytes of the text, and eighty once it was read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from remediator.errors import EvidenceError

MOST_VALUES = 2_000_000
# What is cut off matches too, up to the end: so no text is ever looked through twice.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z)', re.DOTALL)


def check_values(files: Mapping[str, bytes], origin: str) -> None:
    """Raise EvidenceError where the JSON files of a stranger hold more values than anybody honest needs; nothing of them is read."""
    texts = [data for path, data in files.items() if path.endswith(".json")]
    if has_more(texts, MOST_VALUES):
        raise EvidenceError(f"{origin}: holds more than {MOST_VALUES} JSON values", hint="no bundle of ours has as many; do not trust it")


def has_more(texts: Sequence[bytes], most: int) -> bool:
    """Return whether JSON texts hold more values than that; nothing of them is read."""
    # Where the separators within words count too it is an upper bound, and that is found out at once.
    if sum(_separators(text, 0, len(text)) for text in texts) <= most:
        return False
    # One word after the other, not all at once: what looks for them lets nobody else have a turn meanwhile.
    words = separators = 0
    for text in texts:
        at = 0
        for word in _STRING.finditer(text):
            words += 1
            separators += _separators(text, at, word.start())
            at = word.end()
            if separators > most or words > 2 * most:
                return True
        separators += _separators(text, at, len(text))
    return separators > most


def _separators(text: bytes, start: int, end: int) -> int:
    return text.count(b",", start, end) + text.count(b"[", start, end) + text.count(b"{", start, end)
