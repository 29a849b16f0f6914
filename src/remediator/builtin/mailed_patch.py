"""A proven fix as a mail that `git am` takes."""

from __future__ import annotations

from remediator.diff.letter import letter, one_line
from remediator.records.submission import Submission


def mailed_patch(submission: Submission, *, author: str) -> bytes:
    """Return the mail; the same submission always gives the same bytes."""
    finding, verdict = submission.finding, submission.verdict
    level = f"{verdict.level.name} ({verdict.level.meaning})" if verdict.level is not None else "no level"
    place = f" at {finding.path}:{finding.location.start_line}" if finding.location else ""
    weakness = ", ".join(f"CWE-{number}" for number in finding.cwe)
    told = [
        ("Proven to evidence level", level),
        ("Finding:", f"{finding.rule_id}{f' ({weakness})' if weakness else ''}{place}: {finding.headline}"),
    ]
    if submission.patch.behaviour:
        told.append(("What it may change:", submission.patch.behaviour))
    trailers = {
        "Remediator-Case": submission.case_id,
        "Remediator-Finding": finding.id,
        "Remediator-Patch": submission.patch.id,
        "Remediator-Evidence": verdict.level.name if verdict.level is not None else "none",
        "Remediator-Bundle": submission.bundle_digest,
        "Remediator-Submission": submission.id,
    }
    return letter(
        submission.patch.diff,
        author=author,
        title=one_line(submission.patch.title) or f"Fix {one_line(finding.rule_id)}",
        told=told,
        trailers=trailers,
        below=[f"{check.level.name} {one_line(check.name)}: {check.status}" for check in verdict.checks],
    )
