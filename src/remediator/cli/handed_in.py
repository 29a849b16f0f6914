"""The options by which a user hands findings in: an advisory, a description, a file of findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remediator.errors import UsageError

if TYPE_CHECKING:
    from remediator.records.advisory import Advisory
    from remediator.records.finding import Finding, Severity

F = TypeVar("F", bound=Callable[..., Any])

_MOST_BYTES = 16 * 1024 * 1024
_SEVERITIES = ("critical", "high", "medium", "low", "info")


def handed_in_options(function: F) -> F:
    """Add the options that hand a finding in as words."""
    for option in reversed(
        (
            click.option(
                "--advisory",
                "advisories",
                metavar="FILE",
                multiple=True,
                type=_file(),
                help="Fix what this OSV, GHSA or CVE JSON tells of.",
            ),
            click.option("--describe", metavar="TEXT", help="Fix what these words tell of."),
            click.option("--cwe", metavar="N", multiple=True, help="Which weakness the flaw handed in is (repeat)."),
            click.option("--at", metavar="PATH[:LINE]", help="Where the flaw handed in is, if you know."),
            click.option("--rated", type=click.Choice(_SEVERITIES), help="How bad the flaw handed in is."),
            click.option("--contract", metavar="TEXT", help="What must hold after the fix of the flaw handed in."),
        )
    ):
        function = option(function)
    return function


def take_handed_in(options: dict[str, Any], files: Sequence[Path] = ()) -> dict[str, Any]:
    """Take these options out of a command's, and return the fields of the request that they and the `--finding` files make.

    Raises ConfigError where a file is not what it should be, UsageError where an option has nothing to be about.
    """
    from remediator.records.advisory import read_advisory
    from remediator.records.finding_file import read_findings

    said = {name: options.pop(name, None) for name in ("cwe", "at", "rated", "contract")}
    text = options.pop("describe", None)
    advisories = tuple(read_advisory(_bytes(path), str(path)) for path in options.pop("advisories", None) or ())
    supplied = tuple(finding for path in files for finding in read_findings(_bytes(path), str(path)))
    if text is not None:
        supplied = (*supplied, _described(text, said))
    elif given := [name for name, value in said.items() if value]:
        supplied, advisories = _completed(supplied, advisories, said, given[0])
    return {"supplied": supplied, "advisories": advisories}


def _described(text: str, said: dict[str, Any]) -> Finding:
    from remediator.records.described import described
    from remediator.records.finding import Severity

    return described(
        text,
        cwe=_numbers(said["cwe"]),
        at=said["at"] or "",
        contract=said["contract"] or "",
        severity=Severity(said["rated"] or "medium"),
    )


def _completed(
    supplied: tuple[Finding, ...], advisories: tuple[Advisory, ...], said: dict[str, Any], first: str
) -> tuple[tuple[Finding, ...], tuple[Advisory, ...]]:
    """Return the one finding that was handed in with what the options add to it; its id stays."""
    count = len(supplied) + len(advisories)
    if count != 1:
        raise UsageError(
            f"--{first} is about one flaw that is handed in, and there {'are ' + str(count) if count else 'is none'}",
            hint="give one --advisory, --finding or --describe with it",
        )
    if supplied:
        return (supplied[0].model_copy(update=_changes(said)),), ()
    finding = advisories[0].finding.model_copy(update=_changes(said))
    return (), (advisories[0].model_copy(update={"finding": finding}),)


def _changes(said: dict[str, Any]) -> dict[str, Any]:
    from remediator.records.described import location_of
    from remediator.records.finding import Severity

    rated: Severity | None = Severity(said["rated"]) if said["rated"] else None
    found = {
        "cwe": _numbers(said["cwe"]),
        "location": location_of(said["at"]) if said["at"] else None,
        "severity": rated,
        "contract": (said["contract"] or "").strip(),
    }
    return {name: value for name, value in found.items() if value}


def _numbers(words: Sequence[str] | None) -> tuple[int, ...]:
    from remediator.records.advisory_parts import cwe_numbers

    found = cwe_numbers(words or ())
    if len(found) != len(words or ()):
        raise UsageError(f"--cwe: {', '.join(words or ())!r} is no number of a weakness", hint="such as --cwe 79 or --cwe CWE-79")
    return found


def _bytes(path: Path) -> bytes:
    # One byte more than is taken, so that the reader sees that there is more.
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name a file that can be read") from error


def _file() -> click.Path:
    return click.Path(exists=True, dir_okay=False, path_type=Path)
