"""A Python file's bytes as text and back again, without losing one of them."""

from __future__ import annotations

import bisect
import codecs
import io
import re
import tokenize
from typing import NamedTuple

_NEWLINE = re.compile(r"\r\n?|\n")


class SourceText(NamedTuple):
    """A decoded file. `bom` and `encoding` are what it takes to write it back as it was."""

    text: str
    encoding: str
    bom: bytes

    @classmethod
    def decode(cls, data: bytes) -> SourceText:
        """Decode by byte order mark or coding cookie. Raises SyntaxError or UnicodeError where neither fits."""
        bom = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding
        text = data[len(bom) :].decode(encoding)
        if "\0" in text:
            raise SyntaxError("the file holds a NUL")
        if bom + text.encode(encoding) != data:
            raise UnicodeError(f"the encoding {encoding} does not give the same bytes back")
        return cls(text, encoding, bom)

    def encode(self, text: str) -> bytes:
        """Return the text in the file's own encoding. Raises UnicodeError where it cannot be said in it."""
        return self.bom + text.encode(self.encoding)


class Lines:
    """Translates between (line, column), both from 1, and offsets."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(match.end() for match in _NEWLINE.finditer(text))]
        self._length = len(text)
        self._text = text

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a position; one outside of the file becomes its nearest end."""
        if line < 1:
            return 0
        if line > len(self._starts):
            return self._length
        return min(self._starts[line - 1] + max(column, 1) - 1, self._length)

    def line_of(self, offset: int) -> int:
        """Return the number of the line that holds an offset."""
        return bisect.bisect_right(self._starts, offset)

    def start_of_line(self, offset: int) -> int:
        """Return where the line that holds an offset begins."""
        return self._starts[self.line_of(offset) - 1]

    def end_of_line(self, offset: int) -> int:
        """Return where the line that holds an offset ends, after its line break."""
        line = self.line_of(offset)
        return self._starts[line] if line < len(self._starts) else self._length

    def count(self) -> int:
        """Return the number of lines."""
        return len(self._starts)

    def newline(self) -> str:
        """Return the line break that the file uses first."""
        found = _NEWLINE.search(self._text)
        return found.group() if found else "\n"
