"""A proven fix as a mail that `git am` takes. What it says is the commit's message, in which no line is a hostile text's own."""

from __future__ import annotations

import binascii
from email.header import Header

from remediator import __version__
from remediator.builtin.handed_message import body_of, one_line, title_of
from remediator.records.submission import Submission

_FROM = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"


def mailed_patch(submission: Submission, *, author: str) -> bytes:
    """Return the mail; the same submission always gives the same bytes."""
    diff = submission.patch.diff.encode("utf-8", "surrogateescape")
    if not diff.endswith(b"\n"):
        diff += b"\n"
    text = f"{body_of(submission)}---\n{_ladder(submission)}\n".encode("utf-8", "replace")
    body = text + diff + f"-- \nremediator {__version__}\n".encode()
    # Mail readers take a carriage return for a line's end; spelt out, it survives.
    spelt_out = b"\r" in diff
    head = _head(submission, author, "quoted-printable" if spelt_out else "8bit")
    return head.encode("ascii", "replace") + (_spelt_out(body) if spelt_out else body) + b"\n"


def _spelt_out(body: bytes) -> bytes:
    # Line by line, for over the whole the encoder would take \r\n for a line's end as well.
    return b"\n".join(binascii.b2a_qp(line, istext=False) for line in body.split(b"\n"))


def _head(submission: Submission, author: str, encoding: str) -> str:
    lines = [
        _FROM,
        f"From: {author}",
        f"Subject: [PATCH] {_header(title_of(submission))}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        f"Content-Transfer-Encoding: {encoding}",
    ]
    return "\n".join(lines) + "\n\n"


def _header(text: str) -> str:
    return text if text.isascii() and "=?" not in text else Header(text, "utf-8", header_name="Subject: [PATCH]").encode(linesep="\n")


def _ladder(submission: Submission) -> str:
    return "".join(f" {check.level.name} {one_line(check.name)}: {check.status}\n" for check in submission.verdict.checks)
