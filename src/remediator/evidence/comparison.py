"""What two verdicts on the same patch must have in common, and the digest that an independent replay reproduces.

Times, logs and containers differ from run to run and say nothing; images and versions are told as notes; tests that are known as flaky
in either verdict are set aside. Everything else must be equal, or is a Difference.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from remediator.records.record import Record, canonical_json, digest_of
from remediator.records.verdict import Check, Verdict
from remediator.redact import printable

RULES = 1
"""Counts up with every change of what is compared: digests of different rules say nothing about each other."""
_VOLATILE = frozenset(
    (
        "seconds",
        "duration",
        "elapsed",
        "started",
        "finished",
        "time",
        "times",
        "timestamp",
        "at",
        "pid",
        "container",
        "container_id",
        "container_ids",
        "hostname",
        "log",
        "logs",
        "log_digest",
        "log_digests",
        "artefact",
        "artefacts",
        "scratch",
    )
)
_VOLATILE_ENDS = ("_seconds", "_ms", "_at", "_container", "_log", "_log_digest")
_ENVIRONMENT = frozenset(
    (
        "image",
        "images",
        "image_digest",
        "image_id",
        "base_image",
        "engine",
        "runtime",
        "kernel",
        "platform",
        "python",
        "version",
        "versions",
        "runner",
        "scanners",
        "tools",
    )
)
_ORDERED = frozenset(("argv", "command", "args"))
_COUNTS = frozenset(
    (
        "passed",
        "failed",
        "skipped",
        "error",
        "errors",
        "executed",
        "run",
        "total",
        "tests",
        "count",
        "passing",
        "failing",
        "xfailed",
        "xpassed",
        "passing_on_base",
        "failing_on_base",
        "before",
        "after",
    )
)
_FLAKY = frozenset(("flaky", "flaky_on_base", "unsteady"))
_ABSENT = object()
_SHOWN = 200


class Difference(Record):
    """One thing that came out otherwise. `check` is empty for the verdict itself; `item` is a test id or another entry of a list."""

    check: str
    field: str
    item: str = ""
    recorded: str = ""
    replayed: str = ""

    @property
    def sentence(self) -> str:
        """Return the difference in words, safe to print."""
        where = ": ".join(part for part in (f"check {self.check}" if self.check else "verdict", self.field, self.item) if part)
        return printable(f"{where}: recorded {self.recorded}, replayed {self.replayed}")

    def __str__(self) -> str:
        return self.sentence


class _Leaf(NamedTuple):
    field: str
    item: str
    recorded: Any
    replayed: Any


def compare(recorded: Verdict, replayed: Verdict) -> tuple[Difference, ...]:
    """Return every difference that counts, the first one first: identity, then the checks up the ladder, then what they add up to."""
    aside = flaky(recorded) | flaky(replayed)
    found = [*_fields("", recorded, replayed, "finding_id", "patch_id")]
    after = {check.name: check for check in replayed.checks}
    for check in recorded.checks:
        found += _check(check, after.pop(check.name, None), aside)
    found += [Difference(check=name, field="check", recorded="absent", replayed=str(check.status)) for name, check in after.items()]
    found += _fields("", recorded, replayed, "required", "outcome", "level", "reason")
    return tuple(found)


def notes(recorded: Verdict, replayed: Verdict) -> tuple[str, ...]:
    """Return what differs in the environment and does not count: images, versions, which tests were flaky."""
    after = {check.name: check for check in replayed.checks}
    found = []
    for check in recorded.checks:
        other = after.get(check.name)
        if other is None:
            continue
        before, now = dict(_environment(check.evidence, "")), dict(_environment(other.evidence, ""))
        found += [
            f"check {check.name}: {field}: recorded {_shown(before.get(field))}, replayed {_shown(now.get(field))}"
            for field in sorted(before.keys() | now.keys())
            if before.get(field) != now.get(field)
        ]
    if aside := sorted(flaky(recorded) | flaky(replayed)):
        found.append(f"set aside as flaky: {', '.join(aside[:20])}{' …' if len(aside) > 20 else ''}")
    return tuple(printable(note) for note in found)


def evidence_digest(verdict: Verdict, *, aside: frozenset[str] | None = None) -> str:
    """Return the digest of all that counts in a verdict; `aside` are test ids to leave out, by default the verdict's own flaky ones."""
    left_out = flaky(verdict) if aside is None else aside
    stable = {
        "finding_id": verdict.finding_id,
        "patch_id": verdict.patch_id,
        "outcome": verdict.outcome,
        "level": verdict.level,
        "required": verdict.required,
        "reason": verdict.reason,
        "checks": [
            {"name": c.name, "level": c.level, "status": c.status, "reason": c.reason, "evidence": _stable(c.evidence, "", left_out)}
            for c in verdict.checks
        ],
    }
    return digest_of(canonical_json(stable))


def flaky(verdict: Verdict) -> frozenset[str]:
    """Return the test ids that a verdict names as flaky."""
    return frozenset(test for check in verdict.checks for test in _flaky(check.evidence))


def _check(recorded: Check, replayed: Check | None, aside: frozenset[str]) -> Iterator[Difference]:
    if replayed is None:
        yield Difference(check=recorded.name, field="check", recorded=str(recorded.status), replayed="absent")
        return
    yield from _fields(recorded.name, recorded, replayed, "level", "status", "reason")
    for leaf in _leaves(_stable(recorded.evidence, "", aside), _stable(replayed.evidence, "", aside), "evidence"):
        yield Difference(
            check=recorded.name, field=leaf.field, item=leaf.item, recorded=_shown(leaf.recorded), replayed=_shown(leaf.replayed)
        )


def _fields(check: str, recorded: Record, replayed: Record, *names: str) -> Iterator[Difference]:
    for name in names:
        before, now = getattr(recorded, name), getattr(replayed, name)
        if before != now:
            yield Difference(check=check, field=name, recorded=_shown(before), replayed=_shown(now))


def _leaves(recorded: Any, replayed: Any, field: str) -> Iterator[_Leaf]:
    if isinstance(recorded, Mapping) and isinstance(replayed, Mapping):
        for key in sorted(recorded.keys() | replayed.keys()):
            yield from _leaves(recorded.get(key, _ABSENT), replayed.get(key, _ABSENT), f"{field}.{key}")
    elif _texts(recorded) and _texts(replayed) and field.rpartition(".")[2] not in _ORDERED:
        before, now = Counter(recorded), Counter(replayed)
        for item in sorted(before.keys() | now.keys()):
            if before[item] != now[item]:
                yield _Leaf(field, item, "listed" if before[item] else _ABSENT, "listed" if now[item] else _ABSENT)
    elif _ABSENT in (recorded, replayed) or canonical_json(recorded) != canonical_json(replayed):
        yield _Leaf(field, "", recorded, replayed)


def _stable(value: Any, key: str, aside: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _stable(item, name, aside)
            for name, item in value.items()
            if name not in aside and not _ignored(name) and not (aside and name in _COUNTS and type(item) is int)
        }
    if isinstance(value, list | tuple):
        kept = [_stable(item, key, aside) for item in value if not (isinstance(item, str) and item in aside)]
        return sorted(kept) if _texts(kept) and key not in _ORDERED else kept
    return value


def _ignored(key: str) -> bool:
    return key in _VOLATILE or key in _ENVIRONMENT or key in _FLAKY or key.endswith(_VOLATILE_ENDS)


def _environment(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{field}.{key}" if field else key
            if key in _ENVIRONMENT:
                yield where, item
            else:
                yield from _environment(item, where)


def _flaky(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in _FLAKY and isinstance(item, list | tuple):
                yield from (test for test in item if isinstance(test, str))
            else:
                yield from _flaky(item)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _shown(value: Any) -> str:
    if value is _ABSENT or value is None:
        return "none"
    text = value if isinstance(value, str) else getattr(value, "name", None) or json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
