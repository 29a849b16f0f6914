"""What one request changes in the operator's playbook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from remediator.engine.request import FixRequest
from remediator.playbook import Playbook, Use
from remediator.settings import Settings


def overridden(playbook: Playbook, request: FixRequest, settings: Settings) -> Playbook:
    """Return the playbook with what the request, and then the settings, say otherwise."""
    changes: dict[str, Any] = {}
    sandbox = request.sandbox or (settings.sandbox if settings.sandbox != "docker" else None)
    if sandbox and sandbox != playbook.sandbox.name:
        changes["sandbox"] = Use(use=sandbox)
    if request.required is not None:
        changes["require"] = {"default": request.required}
    if request.minutes is not None:
        changes["limits"] = playbook.limits.model_copy(update={"minutes": request.minutes})
    scan = list(playbook.scan)
    if request.sarif:
        scan.append(Use(use="sarif", **{"with": {"files": [str(path) for path in request.sarif]}}))
    if request.rules:
        scan = [_with_rules(use, request.rules) if use.name == "semgrep" else use for use in scan]
    return playbook.model_copy(update={**changes, "scan": tuple(scan)})


def _with_rules(use: Use, rules: Sequence[str]) -> Use:
    return Use(use=use.use, **{"with": {**use.options, "rules": [*use.options.get("rules", ()), *rules]}})
