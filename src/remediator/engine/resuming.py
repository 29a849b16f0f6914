"""Which unfinished run a request goes on with. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.engine.journal import RunSummary
from remediator.engine.request import FixRequest
from remediator.errors import UsageError

_OPTIONS = {"required": "--require", "paths": "--path"}


def resumed(request: FixRequest, runs: Iterable[RunSummary]) -> tuple[str, FixRequest]:
    """Return the latest unfinished run on the target that was begun with the options given now, and the request it was begun with.

    Raises UsageError where there is none: a run is gone on with as it was begun.
    """
    unfinished = [run for run in runs if not run.finished and request.target == run.target]
    if not unfinished:
        raise UsageError(f"no unfinished run on {request.target!r}", hint="leave --resume out to begin a new one")
    requests = {run.run_id: FixRequest.model_validate(run.configuration["request"]) for run in unfinished}
    for run_id, before in requests.items():
        if not _departures(request, before):
            return run_id, before.model_copy(update={"resume": True})
    latest, before = next(iter(requests.items()))
    raise UsageError(
        f"{', '.join(_departures(request, before))}: {latest} was begun otherwise, and is gone on with as it was begun",
        hint="leave these options out, or leave --resume out to begin a new run",
    )


def _departures(request: FixRequest, before: FixRequest) -> list[str]:
    """Return the options that were given and are not what the run was begun with."""
    found = []
    for name, field in FixRequest.model_fields.items():
        given = getattr(request, name)
        if name not in ("target", "resume") and given not in (field.default, getattr(before, name)):
            found.append(_OPTIONS.get(name, f"--{name}"))
    return found
