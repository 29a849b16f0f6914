"""A proven fix as a mail that `git am` takes.

Titles, messages and rule names may be hostile: in the body of such a mail, a line of them could begin another diff or another mail.
So every one is put on lines that begin with our own words or with blanks.
"""

from __future__ import annotations

import binascii
import textwrap
from email.header import Header

from remediator import __version__
from remediator.records.submission import Submission
from remediator.redact import printable

_FROM = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_WIDTH = 76


def mailed_patch(submission: Submission, *, author: str) -> bytes:
    """Return the mail; the same submission always gives the same bytes."""
    diff = submission.patch.diff.encode("utf-8", "surrogateescape")
    if not diff.endswith(b"\n"):
        diff += b"\n"
    text = f"{_body(submission)}---\n{_ladder(submission)}\n".encode("utf-8", "replace")
    body = text + diff + f"-- \nremediator {__version__}\n".encode()
    # Mail readers take a carriage return for a line's end; spelt out, it survives.
    spelt_out = b"\r" in diff
    head = _head(submission, author, "quoted-printable" if spelt_out else "8bit")
    return head.encode("ascii", "replace") + (_spelt_out(body) if spelt_out else body) + b"\n"


def _spelt_out(body: bytes) -> bytes:
    # Line by line, for over the whole the encoder would take \r\n for a line's end as well.
    return b"\n".join(binascii.b2a_qp(line, istext=False) for line in body.split(b"\n"))


def _head(submission: Submission, author: str, encoding: str) -> str:
    title = _line(submission.patch.title) or f"Fix {_line(submission.finding.rule_id)}"
    lines = [
        _FROM,
        f"From: {author}",
        f"Subject: [PATCH] {_header(title[:200])}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        f"Content-Transfer-Encoding: {encoding}",
    ]
    return "\n".join(lines) + "\n\n"


def _header(text: str) -> str:
    return text if text.isascii() and "=?" not in text else Header(text, "utf-8", header_name="Subject: [PATCH]").encode(linesep="\n")


def _body(submission: Submission) -> str:
    finding, verdict = submission.finding, submission.verdict
    level = f"{verdict.level.name} ({verdict.level.meaning})" if verdict.level is not None else "no level"
    place = f" at {finding.path}:{finding.location.start_line}" if finding.location else ""
    weakness = ", ".join(f"CWE-{number}" for number in finding.cwe)
    told = [
        _wrapped("Proven to evidence level", level),
        _wrapped("Finding:", f"{finding.rule_id}{f' ({weakness})' if weakness else ''}{place}: {finding.headline}"),
        _wrapped("What it may change:", submission.patch.behaviour) if submission.patch.behaviour else "",
    ]
    trailers = {
        "Remediator-Case": submission.case_id,
        "Remediator-Finding": finding.id,
        "Remediator-Patch": submission.patch.id,
        "Remediator-Evidence": verdict.level.name if verdict.level is not None else "none",
        "Remediator-Bundle": submission.bundle_digest,
        "Remediator-Submission": submission.id,
    }
    return "\n\n".join(filter(None, told)) + "\n\n" + "".join(f"{key}: {_line(value)}\n" for key, value in trailers.items())


def _ladder(submission: Submission) -> str:
    return "".join(f" {check.level.name} {_line(check.name)}: {check.status}\n" for check in submission.verdict.checks)


def _wrapped(words: str, text: str) -> str:
    shown = textwrap.wrap(f"{words} {_line(text)}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(shown)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
