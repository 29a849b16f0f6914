"""A patch as people send it: by mail, with a letter around it."""

from __future__ import annotations

import re

_FROM = re.compile(r"From [0-9a-f]{40,64} ")
_SIGNATURE = re.compile(r"\n-- \n[^\n]*\n\s*\Z")


def bare(text: str) -> str:
    """Return the diff of a `git format-patch` mail or of `git show`, without the letter; any other text as it is."""
    if not (_FROM.match(text) or re.match(r"commit [0-9a-f]{40,64}\n", text)):
        return text
    start = 0 if text.startswith("diff --git ") else text.find("\ndiff --git ") + 1
    return _SIGNATURE.sub("\n", text[start:]) if start else text
