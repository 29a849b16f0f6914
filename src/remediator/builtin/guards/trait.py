"""Something a file has, that a patch must not add."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple

from remediator.diff.objection import Objection


class Trait(NamedTuple):
    """One occurrence. Occurrences with the same `code` and `key` are the same trait; `key` says where and what, without line numbers."""

    code: str
    key: str
    line: int
    detail: str
    certain: bool = True


def fresh(before: Iterable[Trait], after: Iterable[Trait], added_lines: Collection[int], path: str) -> list[Objection]:
    """Return an objection for each occurrence beyond those that were there before, at an added line where there is one."""
    left = Counter((trait.code, trait.key) for trait in before)
    found = []
    # What stands on an untouched line was there before, so it uses up the allowance first.
    for trait in sorted(after, key=lambda trait: trait.line in added_lines):
        left[trait.code, trait.key] -= 1
        if left[trait.code, trait.key] < 0:
            found.append(Objection(trait.code, path, trait.detail, trait.line, trait.certain))
    return found
