"""Blanks secrets, and makes hostile text safe to show on a terminal or in a log."""

from __future__ import annotations

import re
import unicodedata

_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i)(?<=://)[^\s/@:]+:[^\s/@]+(?=@)",
        r"(?i)\b(?:sk|pk|rk)-[A-Za-z0-9_\-]{16,}",
        r"\bgh[pousr]_[A-Za-z0-9]{20,}",
        r"\bgithub_pat_[A-Za-z0-9_]{20,}",
        r"\bAKIA[0-9A-Z]{16}\b",
        r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
        # Bounded, or hostile text of many beginnings would be read again from each of them.
        r"(?<![A-Za-z0-9])ey[A-Za-z0-9_-]{10,512}+\.ey[A-Za-z0-9_-]{10,4096}+\.[A-Za-z0-9_-]{10,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"(?i)(?<=authorization: )(?:bearer|basic|token) \S+",
    )
)
_BLANK = "[redacted]"


class Redactor:
    """Blanks what looks like a secret, and every secret that was named to it exactly."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = tuple(sorted((s for s in secrets if len(s) >= 6), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text with every secret blanked."""
        for secret in self._secrets:
            text = text.replace(secret, _BLANK)
        for pattern in _PATTERNS:
            text = pattern.sub(_BLANK, text)
        return text


def printable(text: str, *, keep_newlines: bool = False) -> str:
    """Return the text with control, format, bidirectional and undecodable characters shown as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char, keep_newlines) for char in text)


def _shown(char: str, keep_newlines: bool) -> str:
    if char == "\n" and keep_newlines:
        return char
    if char == "\t":
        return " " if not keep_newlines else char
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        code = ord(char)
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    return char
