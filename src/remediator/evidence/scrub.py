"""Takes out of evidence what belongs to the machine that made it: secrets, folders of the host, the names of its users.

What a replay feeds on stays as it is, byte for byte: the diff, the base tree, and the finding's place, text and suggested fixes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from remediator.records.record import Record
from remediator.records.source import Source, SourceKind
from remediator.records.verdict import Verdict
from remediator.redact import Redactor

R = TypeVar("R", bound=Record)
EXACT_VERDICT = frozenset({"patch_id", "finding_id", "artefacts"})
_HOMES = re.compile(r"(?<![\w.~-])/(?:home|Users)/[^/\s:;,'\"<>()\[\]]+")
# No word is that long, and a hostile one costs a pattern that searches it from every dash the square of its length.
_RUN = re.compile(r"[A-Za-z0-9_-]{512,}")
_PUBLIC = re.compile(r"(?i)(?:https|http|ssh|git|git\+https|git\+ssh)://|pkg:|[\w.-]+@[\w.-]+:")


class Scrubber:
    """Blanks secrets, and replaces every host folder that was named to it by its label; `paths` maps folder to label."""

    def __init__(self, redactor: Callable[[str], str] | None = None, paths: Mapping[str, str] | None = None) -> None:
        self._redactor = redactor or Redactor()
        known = {folder.rstrip("/"): label for folder, label in (paths or {}).items() if len(folder.rstrip("/")) > 1}
        self._paths = tuple(
            # A longer name that begins alike is another folder: /srv/app is not in /srv/application.
            (re.compile(rf"(?<![\w.~-]){re.escape(folder)}(?![\w-]|\.\w)"), f"<{label}>")
            for folder, label in sorted(known.items(), key=lambda pair: -len(pair[0]))
        )

    def __call__(self, text: str) -> str:
        """Return the text without secrets and host folders; what looks like anybody's home is one."""
        return self.command(_RUN.sub(_told, _HOMES.sub("<home>", text)))

    def command(self, text: str) -> str:
        """Return text that is run again without secrets and the folders that were named; a home in it is one of the sandbox."""
        for folder, label in self._paths:
            text = folder.sub(label, text)
        return self._redactor(text)

    def data(self, log: bytes) -> bytes:
        """Return a log without secrets and host folders; bytes that are no text stay as they are."""
        return self(log.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, value: Any, *, exact: frozenset[str] = frozenset()) -> Any:
        """Return a JSON value with every string scrubbed, but those below the keys in `exact`."""
        return _mapped(value, self, exact)

    def commands(self, value: Any) -> Any:
        """Return a JSON value of commands, such as a recipe, with every string as `command` leaves it."""
        return _mapped(value, self.command, frozenset())

    def record(self, record: R, *, exact: frozenset[str] = frozenset()) -> R:
        """Return the record with every string scrubbed, but those below the keys in `exact`."""
        return type(record).model_validate(self.value(record.as_json(), exact=exact))

    def verdict(self, verdict: Verdict) -> Verdict:
        """Return the verdict as bundles have it; ids and digests stay."""
        return self.record(verdict, exact=EXACT_VERDICT)

    def source(self, source: Source) -> Source:
        """Return the source as a stranger may see it: a folder of this machine is known by its name only."""
        local = source.kind is SourceKind.path or not _PUBLIC.match(source.uri)
        uri = f"local:{source.name.rstrip('/').rpartition('/')[2]}" if local else source.uri
        return self.record(
            source.model_copy(update={"uri": uri, "name": source.name.rstrip("/").rpartition("/")[2] if local else source.name})
        )


def _mapped(value: Any, change: Callable[[str], str], exact: frozenset[str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [_mapped(item, change, exact) for item in value]
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = changed = change(key)
        number = 1
        while name in found:
            number += 1
            name = f"{changed} ({number})"
        found[name] = item if key in exact else _mapped(item, change, exact)
    return found


def _told(run: re.Match[str]) -> str:
    return f"[{len(run[0])} characters without a break]"
