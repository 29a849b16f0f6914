"""A patch as a mail that `git am` takes, with our words around it.

Titles, messages and rule names may be hostile: in the body of such a mail, a line of them could begin another diff or another mail.
So every one is put on lines that begin with our own words or with blanks.
"""

from __future__ import annotations

import binascii
import textwrap
from collections.abc import Iterable, Mapping
from email.header import Header

from remediator import __version__
from remediator.redact import printable

_FROM = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_WIDTH = 76


def letter(
    diff: str, *, author: str, title: str, told: Iterable[tuple[str, str]], trailers: Mapping[str, str], below: Iterable[str] = ()
) -> bytes:
    """Return the mail; the same arguments always give the same bytes.

    `told` are paragraphs, each our own words and then any text; `below` are lines that stay out of the commit.
    """
    data = diff.encode("utf-8", "surrogateescape")
    if not data.endswith(b"\n"):
        data += b"\n"
    paragraphs = [_wrapped(words, text) for words, text in told]
    said = "\n\n".join(paragraphs) + "\n\n" + "".join(f"{key}: {one_line(value)}\n" for key, value in trailers.items())
    ladder = "".join(f" {one_line(line)}\n" for line in below)
    body = f"{said}---\n{ladder}\n".encode("utf-8", "replace") + data + f"-- \nremediator {__version__}\n".encode()
    # Mail readers take a carriage return for a line's end; spelt out, it survives.
    spelt_out = b"\r" in data
    head = _head(title, author, "quoted-printable" if spelt_out else "8bit")
    return head.encode("ascii", "replace") + (_spelt_out(body) if spelt_out else body) + b"\n"


def one_line(text: str) -> str:
    """Return the text on one line, without characters that a terminal obeys."""
    return printable(" ".join(text.split()))


def _spelt_out(body: bytes) -> bytes:
    # Line by line, for over the whole the encoder would take \r\n for a line's end as well.
    return b"\n".join(binascii.b2a_qp(line, istext=False) for line in body.split(b"\n"))


def _head(title: str, author: str, encoding: str) -> str:
    lines = [
        _FROM,
        f"From: {author}",
        f"Subject: [PATCH] {_header(one_line(title)[:200])}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        f"Content-Transfer-Encoding: {encoding}",
    ]
    return "\n".join(lines) + "\n\n"


def _header(text: str) -> str:
    return text if text.isascii() and "=?" not in text else Header(text, "utf-8", header_name="Subject: [PATCH]").encode(linesep="\n")


def _wrapped(words: str, text: str) -> str:
    shown = textwrap.wrap(f"{words} {one_line(text)}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(shown)
