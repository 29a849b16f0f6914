"""Compares two trees of a store as text."""

from __future__ import annotations

import re

from remediator.errors import PatchError
from remediator.git_command import Git

DIFF_OPTIONS = (
    "-p", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--text", "--unified=3",
    "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short",
)  # fmt: skip
_HUNK = re.compile(rb"^(@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@)(.*)$", re.MULTILINE)


def diff_text(git: Git, before: str, after: str) -> str:
    """Return the diff in git's format. Raises PatchError where a changed file is not UTF-8 text."""
    raw = git.call("diff-tree", "-r", *DIFF_OPTIONS, before, after)
    try:
        text = _HUNK.sub(_header, raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise PatchError("the change touches text that is not UTF-8", hint="only UTF-8 text can be patched") from error
    if "\0" in text:
        raise PatchError("the change touches a binary file", hint="only UTF-8 text can be patched")
    return text


def _header(match: re.Match[bytes]) -> bytes:
    # What stands behind a hunk's header comes from another line of the file: it need not be text, and nobody reads it as such.
    context = match[2].decode("utf-8", "ignore")
    return match[1] + "".join(char for char in context if char.isprintable()).rstrip().encode("utf-8")
