"""How large a patch may be, and which paths the operator opened to patches."""

from __future__ import annotations

from fnmatch import fnmatchcase

from remediator.records.record import Record


class Policy(Record):
    """The operator's limits. `allow` holds glob patterns of paths whose role (test, build script, ...) is no objection.

    What is never a matter of role stays refused whatever `allow` says: escapes, links, submodules, git's own files, binaries, modes.
    """

    allow: tuple[str, ...] = ()
    max_files: int = 20
    max_lines: int = 400
    max_line_length: int = 500

    def allows(self, path: str) -> bool:
        """Return whether the operator opened this path."""
        return any(fnmatchcase(path, pattern) for pattern in self.allow)
