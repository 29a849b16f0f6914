"""What speaks against a patch."""

from __future__ import annotations

from typing import NamedTuple


class Objection(NamedTuple):
    """One named reason why a patch is not acceptable. `line` counts in the new file (0: the whole file).

    One that is not `certain` is told to people and fails nothing.
    """

    code: str
    path: str
    detail: str
    line: int = 0
    certain: bool = True

    def as_json(self) -> dict[str, object]:
        """Return the plain JSON form, with long details cut."""
        return {"code": self.code, "path": self.path, "line": self.line, "detail": self.detail[:300]}
