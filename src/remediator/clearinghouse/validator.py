"""Finds out for itself whether a submitted fix is what it says: first on paper, then by running the proof again.

Nothing is taken on the submitter's word. The source is fetched from where everybody gets it, the project is built and tested by a recipe
that is found out here, and the playbook must judge as one of this clearinghouse's own does.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import structlog

from remediator.artefacts import read_regular
from remediator.clearinghouse.client.handing import flaw_of
from remediator.clearinghouse.store import Job, Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.identity import project as normalised
from remediator.clearinghouse.wire.terms import FixState
from remediator.errors import EvidenceError, PlaybookError, RemediatorError, SandboxError, SourceError
from remediator.evidence.container import LIMITS, unpack_files
from remediator.evidence.examine import Bundle, examine
from remediator.evidence.keys import PublicKey, TrustedKeys
from remediator.evidence.replay import ReplayOutcome, ReplayReport
from remediator.records.source import SourceKind
from remediator.records.submission import Submission
from remediator.records.verdict import EvidenceLevel, Outcome
from remediator.redact import printable

LEAST = EvidenceLevel.E3
_LEASE_SECONDS = 120
_IDLE_SECONDS = 1.0
_log = structlog.get_logger()


class Replayer(Protocol):
    """Runs a bundle's proof again: the base from `source`, by a recipe of its own."""

    async def __call__(self, bundle: Path, source: str) -> ReplayReport:
        """Return how it compares. Raises RemediatorError."""


class Found(NamedTuple):
    """What a validator says of a fix."""

    state: FixState
    validation: Validation
    patch: str | None = None
    lines: int = 0


class Policy(NamedTuple):
    """Where sources may be fetched from: package indexes always, git over https from these hosts only."""

    git_hosts: frozenset[str] = frozenset(("github.com", "gitlab.com", "codeberg.org"))


async def work(
    store: Store,
    replayer: Replayer,
    *,
    name: str,
    stop: asyncio.Event,
    once: bool = False,
    policy: Policy = Policy(),  # noqa: B008 - a frozen value
    lease_seconds: int = _LEASE_SECONDS,
) -> int:
    """Validate one fix after the other until it is told to stop; return how many. With `once`, until none is left."""
    done = 0
    while not stop.is_set():
        try:
            job = await store.take_job(name, lease_seconds)
        except RemediatorError as error:
            _log.warning("no job can be had", reason=error.message)
            job = None
            if once:
                raise
        if job is None:
            if once:
                return done
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _IDLE_SECONDS)
            continue
        await _one(store, job, replayer, policy, lease_seconds)
        done += 1
    return done


async def _one(store: Store, job: Job, replayer: Replayer, policy: Policy, lease_seconds: int) -> None:
    validating = asyncio.create_task(validate(job, replayer, policy))
    keeping = asyncio.create_task(_kept(store, job, lease_seconds))
    try:
        await asyncio.wait((validating, keeping), return_when=asyncio.FIRST_COMPLETED)
        if not validating.done():
            _log.warning("the job was taken over by another validator", fix=job.fix_id)
            return
        found = validating.result()
        finished = await store.finish_job(job, found.validation, found.state, patch=found.patch, lines_changed=found.lines)
        told = found.validation
        detail = "" if told.replayed else printable(" ".join(told.differences))
        _log.info("validated", fix=job.fix_id, state=found.state.value, reason=told.reason, detail=detail, kept=finished)
    finally:
        for task in (validating, keeping):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _kept(store: Store, job: Job, seconds: int) -> None:
    """Return when the job's lease is lost."""
    while True:
        await asyncio.sleep(seconds / 3)
        with suppress(RemediatorError):
            if not await store.renew_job(job, seconds):
                return


async def validate(job: Job, replayer: Replayer, policy: Policy) -> Found:
    """Return what is to be said of a fix. Never raises for what the submission is."""
    try:
        bundle = await asyncio.to_thread(checked, job)
        source = fetchable(bundle, policy)
    except EvidenceError as error:
        return _found(FixState.rejected, "bundle-refused", error.message)
    except _UnfetchableError as error:
        return _found(FixState.inconclusive, "source-not-public", str(error))
    try:
        report = await replayer(job.bundle_path, source)
    except EvidenceError as error:
        return _found(FixState.rejected, "bundle-refused", error.message)
    except PlaybookError as error:
        return _found(FixState.inconclusive, "unknown-playbook", error.message)
    except (SandboxError, SourceError) as error:
        return _found(FixState.infra_error, "infrastructure", error.message)
    except RemediatorError as error:
        return _found(FixState.inconclusive, "could-not-replay", error.message)
    except Exception as error:
        _log.exception("the replay broke", fix=job.fix_id)
        return _found(FixState.infra_error, "replay-broke", type(error).__name__)
    return judged(bundle, report)


def judged(bundle: Bundle, report: ReplayReport) -> Found:
    """Return what a replay means. Only what this clearinghouse reached itself counts."""
    verdict, patch = report.replayed, bundle.patch
    state, reason = _decided(report)
    level = report.raises or verdict.level
    told = Validation(
        outcome=report.outcome.value,
        reason=reason,
        level=int(level) if state is FixState.verified and level is not None else None,
        replayed=True,
        replayed_digest=report.replayed_digest,
        differences=tuple(str(each)[:500] for each in report.differences[:20]),
        checks=tuple(
            {
                "name": check.name,
                "level": check.level.name,
                "status": check.status.value,
                "reason": check.reason,
                "summary": check.summary[:500],
            }
            for check in verdict.checks
        ),
    )
    if state is not FixState.verified or patch is None:
        return Found(state, told)
    return Found(state, told, patch.diff, patch.size)


def _decided(report: ReplayReport) -> tuple[FixState, str]:
    verdict = report.replayed
    if verdict.outcome is Outcome.infra_error:
        return FixState.infra_error, "infrastructure"
    if verdict.outcome is Outcome.rejected:
        return FixState.rejected, verdict.reason or "replay-rejected"
    if report.outcome is ReplayOutcome.could_not_check:
        return FixState.inconclusive, "could-not-check"
    if report.outcome is ReplayOutcome.differs:
        # Built in another way it may go otherwise, and that is nobody's lie.
        return (FixState.rejected, "replay-differs") if report.same_recipe else (FixState.inconclusive, "other-recipe")
    if verdict.outcome is not Outcome.verified or verdict.level is None or verdict.level < LEAST or not verdict.shown:
        return FixState.inconclusive, "not-proven"
    return FixState.verified, ""


def checked(job: Job) -> Bundle:
    """Return the bundle, once it is whole, signed by its submitter, and about what was submitted. Raises EvidenceError."""
    try:
        archive = read_regular(job.bundle_path, limit_bytes=LIMITS.bytes)
    except OSError as error:
        raise EvidenceError(f"the bundle cannot be read: {error.strerror}") from error
    bundle = examine(unpack_files(archive, "the bundle"), TrustedKeys(PublicKey.parse(line) for line in job.keys))
    if not bundle.signature.trusted:
        raise EvidenceError(f"the bundle is signed by {bundle.signature.keyid}, which is no active key of its submitter")
    patch, verdict = bundle.patch, bundle.verdict
    if patch is None or verdict is None:
        raise EvidenceError("the bundle has no patch to hand over")
    if patch.id != job.patch_id or Submission.identify(bundle.source, bundle.finding, patch, verdict) != job.submission_id:
        raise EvidenceError("the bundle is about another patch than was submitted")
    _agrees(job, bundle)
    return bundle


def _agrees(job: Job, bundle: Bundle) -> None:
    """Raise EvidenceError where the submission says of the flaw what its bundle does not."""
    said = job.flaw.as_json()
    try:
        told = flaw_of(bundle.source, bundle.finding, said["project"])
        if bundle.source.kind is not SourceKind.path and normalised(bundle.source.uri) != said["project"]:
            raise EvidenceError(f"the bundle is about {bundle.source.uri[:200]}, not {said['project'][:200]}")
    except ValueError as error:
        raise EvidenceError("the bundle names no project that is known") from error
    for name in ("version", "path", "snippet", "cwe"):
        if json.dumps(said[name]) != json.dumps(told[name]):
            raise EvidenceError(f"the submission's {name} is not the bundle's")
    if said["commit"] not in ("", told["commit"]):
        raise EvidenceError("the submission's commit is not the bundle's")
    if extra := sorted(set(said["aliases"]) - set(told["aliases"])):
        raise EvidenceError(f"the submission names {extra[0][:100]}, the bundle does not")


class _UnfetchableError(Exception):
    """The source is nowhere where this clearinghouse may fetch it."""


def fetchable(bundle: Bundle, policy: Policy) -> str:
    """Return where the base is fetched from. A stranger must not choose a host of ours: only what the operator listed is asked."""
    uri = bundle.source.uri
    if bundle.source.kind is SourceKind.package and uri.startswith("pkg:pypi/"):
        return uri
    parts = urlsplit(uri)
    plain = parts.scheme == "https" and not parts.username and parts.port in (None, 443)
    if bundle.source.kind is SourceKind.git and plain and (parts.hostname or "") in policy.git_hosts:
        return uri
    raise _UnfetchableError(f"{uri[:200]} is not fetched by this clearinghouse")


def _found(state: FixState, reason: str, detail: str) -> Found:
    return Found(state, Validation(outcome="not-replayed", reason=reason, differences=(detail[:500],)))


__all__ = ["Found", "Policy", "Replayer", "checked", "judged", "validate", "work"]
