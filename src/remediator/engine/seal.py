"""Writes a case's evidence bundle: what was found, tried, checked and decided, signed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from remediator.engine.project import Project
from remediator.evidence.base import Base
from remediator.evidence.bundle import BundleRef, write
from remediator.evidence.content import BundleContent
from remediator.evidence.keys import signing_key
from remediator.evidence.scrub import Scrubber
from remediator.records.case import Case
from remediator.records.patch import ReasonCode


def seal_case(project: Project, case: Case, reason: ReasonCode, detail: str, state: Path) -> BundleRef:
    """Write and sign the bundle of a case that is about to be closed with this reason; return where it lies."""
    content = BundleContent.of(
        case.model_copy(update={"closed": reason, "detail": detail}),
        source=project.source,
        base=base_of(project),
        playbook=project.kit.playbook.resolved(),
        expected=project.kit.expected(),
        artefact=project.artefacts.get,
        baseline=project.measured,
        tools=tools_of(project),
        at=datetime.now(UTC),
        scrub=Scrubber(
            project.redact, paths={str(state): "state", **({project.source.uri: "source"} if project.source.uri.startswith("/") else {})}
        ),
    )
    return write(state / "bundles" / case.id, content, signing_key(state / "keys"))


def base_of(project: Project) -> Base:
    """Return the packed base tree, made once for a run."""
    if project.packed is None:
        project.packed = Base.of(project.base)
    return project.packed


def tools_of(project: Project) -> dict[str, str]:
    """Return what ran, with its version."""
    from remediator import __version__

    return {"remediator": __version__, **{name: version for name, version in project.kit.versions().items() if version}}
