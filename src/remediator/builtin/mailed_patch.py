"""A proven fix as a mail that `git am` takes. What it says is the commit's message, in which no line is a hostile text's own."""

from __future__ import annotations

from remediator.builtin.handed_message import body_of, title_of
from remediator.diff.letter import letter, one_line
from remediator.records.submission import Submission


def mailed_patch(submission: Submission, *, author: str) -> bytes:
    """Return the mail; the same submission always gives the same bytes."""
    return letter(
        submission.patch.diff,
        author=author,
        title=title_of(submission),
        body=body_of(submission),
        below=[f"{check.level.name} {one_line(check.name)}: {check.status}" for check in submission.verdict.checks],
    )
