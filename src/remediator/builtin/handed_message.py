"""What the commit of a handed-over fix says: what was wrong, how far the fix is proven and by what, and which bundle holds the proof.

Titles, messages and rule names may be hostile: a line of them could be read as a trailer, as another author, or by a mail reader as another
diff or mail. So every one is put on lines that begin with our own words or with blanks, and the last paragraph is ours alone.
"""

from __future__ import annotations

import textwrap

from remediator.records.submission import Submission
from remediator.records.verdict import CheckStatus
from remediator.redact import printable

_WIDTH = 76
_MOST_TITLE, _MOST_TEXT = 200, 600


def message_of(submission: Submission) -> str:
    """Return title and body."""
    return f"{title_of(submission)}\n\n{body_of(submission)}"


def title_of(submission: Submission) -> str:
    """Return the patch's title, or where it has none one that names the rule; on one line."""
    return (one_line(submission.patch.title) or f"Fix {one_line(submission.finding.rule_id)}")[:_MOST_TITLE]


def body_of(submission: Submission) -> str:
    """Return what stands below the title; its last paragraph are the trailers."""
    finding, verdict = submission.finding, submission.verdict
    level = f"{verdict.level.name} ({verdict.level.meaning})" if verdict.level is not None else "no level"
    place = f" at {finding.path}:{finding.location.start_line}" if finding.location else ""
    weakness = ", ".join(f"CWE-{number}" for number in finding.cwe)
    told = [
        _wrapped("Finding:", f"{finding.rule_id}{f' ({weakness})' if weakness else ''}{place}: {finding.headline}"),
        _wrapped("What it may change:", submission.patch.behaviour) if submission.patch.behaviour else "",
        "\n".join([_wrapped("Proven to evidence level", f"{level}{', by:' if _shown_by(submission) else ''}"), *_shown_by(submission)]),
    ]
    trailers = {
        "Remediator-Case": submission.case_id,
        "Remediator-Finding": finding.id,
        "Remediator-Patch": submission.patch.id,
        "Remediator-Evidence": verdict.level.name if verdict.level is not None else "none",
        "Remediator-Bundle": submission.bundle_digest,
        "Remediator-Submission": submission.id,
    }
    return "\n\n".join(filter(None, told)) + "\n\n" + "".join(f"{key}: {one_line(value)}\n" for key, value in trailers.items())


def one_line(text: str) -> str:
    """Return hostile text as one line that any encoding can carry."""
    return printable(" ".join(text.split())).encode("utf-8", "replace").decode("utf-8")


def _shown_by(submission: Submission) -> list[str]:
    """Return one entry for each check that passed at the level reached or below it: what a higher one says is no part of the claim."""
    level = submission.verdict.level
    below = [check for check in submission.verdict.checks if level is not None and check.level <= level]
    passed = [check for check in below if check.status is CheckStatus.passed]
    return [_wrapped(f"- {check.level.name}", f"{check.name}{f': {check.summary}' if check.summary else ''}") for check in passed]


def _wrapped(words: str, text: str) -> str:
    line = f"{words} {one_line(text)[:_MOST_TEXT]}"
    return "\n".join(textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
