"""Takes out of a person's note what says where: paths, and names and addresses of machines.

A bare word that is a machine's name cannot be told from any other word, but for this machine's own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from remediator.redact import Redactor, printable

PATH, HOST = "[path]", "[host]"
_URL_PATH = re.compile(r"(?<=://)([^\s/]+)/\S*")
_PATHS = (
    re.compile(r"\\\\[^\s\\]+\\\S*"),
    re.compile(r"\b[A-Za-z]:[\\/]\S*"),
    re.compile(r"(?<![\w/:.\]])(?:~[\w.-]*|\.{1,2})?/[^\s\"'<>|;,)]+"),
    re.compile(r"(?<![\w/:.\]])[\w.-]+(?:[/\\][\w.-]+)+"),
)
_HOSTS = (
    re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/]+"),
    re.compile(r"\\\\[^\s\\]+"),
    re.compile(r"[\w.+-]+@[\w.-]+"),
    re.compile(r"\[?(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]{0,15}\]?(?::\d+)?"),
    re.compile(r"\b\d{1,3}(?:[.-]\d{1,3}){3}\b(?::\d+)?"),
    re.compile(r"\b(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]*\b(?::\d+)?"),
)


def names_of(host: str) -> tuple[str, ...]:
    """Return what a machine's name may be written as."""
    return tuple(dict.fromkeys(each for each in (host, host.partition(".")[0]) if len(each) > 1))


def blanked(note: str, what: Collection[str], own: Iterable[str]) -> str:
    """Return a note without `paths` and `hosts`, as far as these are asked for. `own` are the names of this machine.

    Secrets are always blanked, and characters that cannot be seen shown.
    """
    text = Redactor()(printable(note))
    if "paths" in what:
        text = _URL_PATH.sub(rf"\1/{PATH}", text)
        for pattern in _PATHS:
            text = pattern.sub(PATH, text)
    if "hosts" in what:
        for pattern in (*_HOSTS, *_words(own)):
            text = pattern.sub(HOST, text)
    return text


def blanked_reason(reason: str, what: Collection[str], own: Iterable[str]) -> str:
    """Return an outcome's one word of reason, or `redacted` where it has this machine's name or an address in it."""
    if "hosts" not in what:
        return reason
    found = re.search(r"\d{1,3}(?:-\d{1,3}){3}", reason) or any(each.search(reason) for each in _words(own))
    return "redacted" if found else reason


def _words(own: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(rf"(?<![A-Za-z0-9]){re.escape(each)}(?![A-Za-z0-9])", re.IGNORECASE) for each in own]
