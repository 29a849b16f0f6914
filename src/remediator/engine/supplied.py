"""What was handed in with a request, held against the target before any work on it begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from remediator.contracts import Tree
from remediator.engine.request import FixRequest
from remediator.errors import ConfigError, UsageError
from remediator.recipe.python.facts import facts_of
from remediator.records.affected import Subject
from remediator.records.finding import ADVISORY, DESCRIBED, Finding
from remediator.records.source import Source, SourceKind
from remediator.redact import printable

_PYTHON = (3, 11)


class HandedIn(NamedTuple):
    """The findings that came with a request, each once, and what a person should know of them."""

    findings: tuple[Finding, ...]
    doubts: tuple[str, ...]


def handed_in(request: FixRequest, source: Source, tree: Tree) -> HandedIn:
    """Return what came with the request.

    Raises ConfigError where an advisory is about another package than the target, UsageError where words
    name a file that is not there.
    """
    doubts: list[str] = []
    if request.advisories:
        subject = subject_of(source, tree)
        for advisory in request.advisories:
            found = advisory.fits(subject)
            if found.misfit:
                raise ConfigError(
                    printable(found.misfit), hint="take the advisory of this package; where only the text fits, hand that in: --describe"
                )
            doubts += found.doubts
    given = {finding.id: finding for finding in request.handed_in}
    if any(finding.path for finding in given.values()):
        doubts += _lost_places(given.values(), {entry.path for entry in tree.entries() if entry.is_file})
    return HandedIn(tuple(given.values()), tuple(f"warning: {printable(doubt)}" for doubt in doubts))


def subject_of(source: Source, tree: Tree) -> Subject:
    """Return what the target is: a package by its name, a folder or repository by what its own files say, without running them."""
    if source.kind is SourceKind.package:
        return Subject(name=source.name, uri=source.uri, version=source.version)
    facts = facts_of(tree, _PYTHON)
    tagged = source.revision.removeprefix("v") if source.kind is SourceKind.git else ""
    return Subject(name=facts.name, guess=source.name, uri=source.uri, version=facts.version or tagged)


def _lost_places(given: Iterable[Finding], files: set[str]) -> list[str]:
    lost = [finding for finding in given if finding.path and finding.path not in files]
    for finding in lost:
        if finding.scanner in (ADVISORY, DESCRIBED):
            raise UsageError(f"the target has no file {printable(finding.path)!r}", hint="name it as the target does, from its root on")
    return [f"{finding.id} is in {finding.path}, which the target does not have" for finding in lost]
