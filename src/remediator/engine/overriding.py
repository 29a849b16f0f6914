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
    if request.model is not None:
        changes |= _with_agent(playbook, request)
    elif request.candidates is not None:
        changes["fix"] = tuple(_with_candidates(use, request.candidates) if use.name == "agent" else use for use in playbook.fix)
    if request.minutes is not None:
        changes["limits"] = playbook.limits.model_copy(update={"minutes": request.minutes})
    scan = list(playbook.scan)
    if request.sarif:
        scan.append(Use(use="sarif", **{"with": {"files": [str(path) for path in request.sarif]}}))
    if request.rules:
        scan = [_with_rules(use, request.rules) if use.name == "semgrep" else use for use in scan]
    return playbook.model_copy(update={**changes, "scan": tuple(scan)})


def _with_agent(playbook: Playbook, request: FixRequest) -> dict[str, Any]:
    """Return the playbook's parts with the agent as the last fixer, and with the checks that what it does has to stand."""
    options = next((use.options for use in playbook.fix if use.name == "agent"), {})
    options = {**options, "llm": request.model}
    if request.candidates is not None:
        options["candidates_for_severe"] = request.candidates
    fixers = (*(use for use in playbook.fix if use.name != "agent"), Use(use="agent", **{"with": options}))
    there = {use.name for use in playbook.verify}
    more = [Use(use=name) for name in ("reproducer", "variants", "controls", "reviewer", "replayed") if name not in there]
    verify = [_reviewed_by(use, request.model) if use.name == "reviewer" else use for use in (*playbook.verify, *more)]
    return {"fix": fixers, "verify": tuple(verify)}


def _with_candidates(use: Use, number: int) -> Use:
    return Use(use=use.use, **{"with": {**use.options, "candidates_for_severe": number}})


def _reviewed_by(use: Use, model: str | None) -> Use:
    return Use(use=use.use, **{"with": {**use.options, "llm": model}})


def _with_rules(use: Use, rules: Sequence[str]) -> Use:
    return Use(use=use.use, **{"with": {**use.options, "rules": [*use.options.get("rules", ()), *rules]}})
