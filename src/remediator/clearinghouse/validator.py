"""Finds out for itself whether a submitted fix is what it says: first on paper, then by running the proof again.

Nothing is taken on the submitter's word. The source is fetched from where everybody gets it, the project is built and tested by a recipe
that is found out here, the playbook must judge as this clearinghouse's own does, and only what was measured here makes up the level.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog

from remediator.clearinghouse.checking import Policy, UnfetchableError, UnreadableError, checked, fetchable
from remediator.clearinghouse.client.handing import handed
from remediator.clearinghouse.store import Job, Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.terms import FixState
from remediator.errors import EvidenceError, PlaybookError, RemediatorError, SandboxError, SourceError, UnpublishedError
from remediator.evidence.examine import Bundle
from remediator.evidence.replay import REPLAYED, UNREPLAYABLE, ReplayOutcome, ReplayReport, measured
from remediator.records.verdict import EvidenceLevel, Outcome, Verdict
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
    keyid: str = ""
    """The submitter's key that signed the bundle."""


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
    validating = asyncio.create_task(_validated(store, job, replayer, policy))
    keeping = asyncio.create_task(_kept(store, job, lease_seconds))
    try:
        await asyncio.wait((validating, keeping), return_when=asyncio.FIRST_COMPLETED)
        if validating.done():
            validating.result()
        else:
            _log.warning("the job was taken over by another validator", fix=job.fix_id)
    finally:
        for task in (validating, keeping):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _validated(store: Store, job: Job, replayer: Replayer, policy: Policy) -> None:
    found = await validate(job, replayer, policy)
    while True:
        try:
            kept = await store.finish_job(
                job, found.validation, found.state, patch=found.patch, lines_changed=found.lines, signed_by=found.keyid
            )
        except RefusedError as error:
            # The database is away. What took minutes to find out is told when it is back; the lease says until when that is of use.
            _log.warning("the outcome cannot be written down yet", fix=job.fix_id, reason=error.message)
            await asyncio.sleep(_IDLE_SECONDS)
            continue
        told = found.validation
        detail = "" if told.replayed else printable(" ".join(told.differences))
        _log.info("validated", fix=job.fix_id, state=found.state.value, reason=told.reason, detail=detail, kept=kept)
        return


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
        source = fetchable(bundle, policy, job.flaw.project)
    except EvidenceError as error:
        return _found(FixState.rejected, "bundle-refused", error.message)
    except UnreadableError as error:
        return _infra(job, "bundle-unreadable", error)
    except UnfetchableError as error:
        return _found(FixState.inconclusive, "source-not-public", str(error))
    except Exception as error:
        # Whatever a stranger's bundle does to its reader, it must not end the validator: the others' fixes wait for it.
        _log.exception("the bundle broke its reader", fix=job.fix_id)
        return _infra(job, "check-broke", error)
    limit = asyncio.timeout(policy.most_seconds)
    try:
        async with limit:
            report = await replayer(job.bundle_path, source)
    except EvidenceError as error:
        return _found(FixState.rejected, "bundle-refused", error.message)
    except PlaybookError as error:
        return _found(FixState.inconclusive, "unknown-playbook", error.message)
    except UnpublishedError as error:
        return _found(FixState.inconclusive, "source-not-public", error.message)
    except (SandboxError, SourceError) as error:
        return _infra(job, "infrastructure", error)
    except RemediatorError as error:
        return _found(FixState.inconclusive, "could-not-replay", error.message)
    except Exception as error:
        if limit.expired():
            return _found(FixState.inconclusive, "took-too-long", f"the replay was not done after {policy.most_seconds:.0f} s")
        _log.exception("the replay broke", fix=job.fix_id)
        return _infra(job, "replay-broke", error)
    return judged(bundle, report)


def judged(bundle: Bundle, report: ReplayReport) -> Found:
    """Return what a replay means. Only what this clearinghouse reached itself counts."""
    # Where the replay did not agree, what our reviewer thinks of the patch is beside the point.
    review = report.review if report.agreed else None
    verdict, patch = measured(report.replayed, review), bundle.patch
    state, reason = _decided(report, verdict)
    unheard = _hearsay(report) or report.wants_review
    level = verdict.level if review is not None or report.raises is None or unheard else report.raises
    told = Validation(
        outcome=report.outcome.value,
        reason=reason,
        level=int(level) if state is FixState.verified and level is not None else None,
        shown_by=("scanner" if verdict.seen else "reproducer") if state is FixState.verified else "",
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
    return Found(state, told, handed(bundle.source, patch).diff, patch.size, bundle.signature.keyid)


def _hearsay(report: ReplayReport) -> bool:
    """Return whether the bundle's level leans on an answer that only its recorder heard."""
    return any(check.name in UNREPLAYABLE - {REPLAYED} for check in report.recorded.checks)


def _decided(report: ReplayReport, verdict: Verdict) -> tuple[FixState, str]:
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


def _infra(job: Job, reason: str, error: Exception) -> Found:
    # The operator's log tells it all; the submitter is not told of this machine's folders and engines.
    _log.warning("could not be validated", fix=job.fix_id, reason=reason, detail=printable(str(error)))
    return Found(FixState.infra_error, Validation(outcome="not-replayed", reason=reason))


def _found(state: FixState, reason: str, detail: str) -> Found:
    return Found(state, Validation(outcome="not-replayed", reason=reason, differences=(detail[:500],)))


__all__ = ["Found", "Policy", "Replayer", "judged", "validate", "work"]
