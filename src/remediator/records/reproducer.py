"""A test that shows a flaw, and what running it on the unpatched tree came to."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.records.record import Record, canonical_json, digest_of

VARIANT, CONTROL = "test_variant", "test_control"
ASSERTIONS = frozenset(("AssertionError", "Failed"))
"""What an assertion raises: Python's own, and the one of pytest's `raises` and `fail`."""


class Reproducer(Record):
    """Test files in pytest's form, by name. They need nothing but the project and what its tests need.

    Tests whose names begin with `test_variant` show the same flaw in another way, those with `test_control` a use that has nothing to
    do with it; all others show the flaw itself. `claim` says in a sentence what is shown. `author` is `supplied`, or the fixer that
    wrote it.
    """

    id: str
    finding_id: str
    author: str
    files: dict[str, str]
    claim: str = ""

    @classmethod
    def of(cls, *, finding_id: str, author: str, files: dict[str, str], claim: str = "") -> Reproducer:
        """Build a reproducer with its content-derived id."""
        return cls(id="r-" + digest_of(canonical_json(files))[7:19], finding_id=finding_id, author=author, files=files, claim=claim)


class Acceptance(Record):
    """What a reproducer is worth on the unpatched tree. `reason` is empty where it was accepted.

    `shows` are the tests that were red in every run for an assertion, `variants` and `controls` those of their kind that were red, or
    green, in every run. `reached` counts the lines of the product that it ran; `dropped` says of each other test why it does not count.
    """

    reproducer_id: str
    reason: str = ""
    detail: str = ""
    shows: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    dropped: dict[str, str] = {}
    reached: int = 0
    raised: dict[str, str] = {}
    runs: int = 0
    log_digest: str = ""

    @property
    def accepted(self) -> bool:
        """Return whether the flaw was shown."""
        return not self.reason


def is_variant(test: str) -> bool:
    """Return whether a test id is that of a variant."""
    return _name(test).startswith(VARIANT)


def is_control(test: str) -> bool:
    """Return whether a test id is that of a benign control."""
    return _name(test).startswith(CONTROL)


def main_tests(tests: Iterable[str]) -> list[str]:
    """Return the ids of the tests that show the flaw itself."""
    return [test for test in tests if not is_variant(test) and not is_control(test)]


def _name(test: str) -> str:
    return test.rpartition("::")[2].partition("[")[0]
