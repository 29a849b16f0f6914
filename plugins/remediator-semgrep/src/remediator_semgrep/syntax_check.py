"""Says which Python files do not parse. A program: reads NUL-separated paths, writes one JSON line for each.

It only parses; nothing of the files runs. It is a process of its own because a hostile file can end a parser.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import signal
import sys
import tokenize
import unicodedata
import warnings

SECONDS_PER_FILE = 30
_ENCODINGS = re.compile(
    r"(utf-8(-sig)?|ascii|us-ascii|iso-?8859-?\d+|latin-?\d+|(cp|windows-?)125\d|koi8-[ru]|euc-?(jp|kr)|gb2312)\Z", re.IGNORECASE
)
_ODD_NAME = re.compile(r"\w*[^\W\x00-\x7f]\w*")
_PYTHON_2 = re.compile(
    r"""^\s*(?:print\s+(?:["'%\w>]|$)|exec\s+["'\w]|raise\s+\w+\s*,|except\s+[\w.()\s,]+,\s*\w+\s*:)|\bur["']|[=(,\s]0[0-7]+\b""",
    re.MULTILINE,
)


def complaint(data: bytes) -> str | None:
    """Return why a Python file cannot be read as a scanner would, or None where it can."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except (SyntaxError, ValueError) as error:
        return f"does not parse: {error}"
    if not _ENCODINGS.match(encoding):
        return f"is written in the encoding {encoding}, which the scanner does not read"
    if broken := _syntax_error(data):
        text = data.decode(encoding, "replace")
        old = "looks like Python 2 and does not parse as Python 3" if _PYTHON_2.search(text) else "does not parse"
        return f"{old}: {broken}"
    return _disguise(data, encoding)


def _syntax_error(data: bytes) -> str | None:
    if b"\0" in data:
        return "it holds null bytes"
    try:
        ast.parse(data)
    except (MemoryError, RecursionError) as error:
        return f"is nested too deeply or too large to parse ({type(error).__name__})"
    except ValueError as error:
        return str(error)
    except SyntaxError as error:
        # Newer syntax than this interpreter's own is still Python.
        return None if _newer_python(data) else f"line {error.lineno}: {error.msg}"
    return None


def _newer_python(data: bytes) -> bool:
    try:
        import libcst
    except ImportError:
        return False
    try:
        libcst.parse_module(data)
    except Exception:  # a parser of its own kind, with errors of its own kind: any of them is a no
        return False
    return True


def _disguise(data: bytes, encoding: str) -> str | None:
    """Return a complaint about a name that Python reads as another one than what is written."""
    if data.isascii():
        return None
    text = data.decode(encoding, "replace")
    if not any(unicodedata.normalize("NFKC", name).isascii() for name in _ODD_NAME.findall(text)):
        return None
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            folded = unicodedata.normalize("NFKC", token.string)
            if token.type == tokenize.NAME and folded != token.string and folded.isascii():
                return f"line {token.start[0]}: the name {folded} is spelt with look-alike characters"
    except (tokenize.TokenError, SyntaxError):
        return "cannot be split into tokens"
    return None


def main() -> None:
    """Check the files named on standard input."""
    warnings.simplefilter("ignore")
    for name in sys.stdin.buffer.read().split(b"\0"):
        if not name:
            continue
        # An alarm's own action ends the process, which tells the caller who was to blame.
        signal.alarm(SECONDS_PER_FILE)
        with open(os.fsdecode(name), "rb") as file:  # noqa: PTH123 - a bytes path
            said = complaint(file.read())
        signal.alarm(0)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
