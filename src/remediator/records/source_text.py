"""One file's bytes, addressed by lines and columns."""

from __future__ import annotations

import codecs
from bisect import bisect_right

from remediator.records.finding import Location


class SourceText:
    """Turns byte offsets into locations and back.

    Lines end at a newline. Columns count characters; a byte that is not UTF-8 counts as one, a byte order mark as none.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._bom = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        self._starts = _line_starts(data)
        self._starts[0] = self._bom

    @property
    def line_count(self) -> int:
        """Return how many lines there are; the empty one after a last newline counts."""
        return len(self._starts)

    def location(self, path: str, start: int, end: int) -> Location:
        """Return the location of the bytes from `start` to before `end`. Raises ValueError where they are outside."""
        if not 0 <= start <= end <= len(self.data):
            raise ValueError(f"bytes {start} to {end} are outside of the file")
        first, last = self._position(start), self._position(end)
        return Location(path=path, start_line=first[0], start_column=first[1], end_line=last[0], end_column=last[1])

    def span(self, location: Location) -> tuple[int, int]:
        """Return the byte offsets of a location. Raises ValueError where it is outside of the file."""
        start = self.offset(location.start_line, location.start_column)
        end = self.offset(location.end_line, location.end_column)
        if end < start:
            raise ValueError(f"line {location.end_line} column {location.end_column} is before the start")
        return start, end

    def text(self, location: Location) -> str:
        """Return what stands at a location. Raises ValueError where it is outside of the file."""
        start, end = self.span(location)
        return decoded(self.data[start:end])

    def line(self, number: int) -> str:
        """Return one line without its ending. Raises ValueError where there is no such line."""
        return decoded(self._line_bytes(number)).rstrip("\r\n")

    def offset(self, line: int, column: int) -> int:
        """Return the byte offset of a position. Raises ValueError where it is outside of the file."""
        body = decoded(self._line_bytes(line).removesuffix(b"\n"))
        if not 1 <= column <= len(body) + 1:
            raise ValueError(f"line {line} has no column {column}")
        return self._starts[line - 1] + len(encoded(body[: column - 1]))

    def offset_utf16(self, line: int, column: int) -> int:
        """Return the byte offset of a position whose column counts UTF-16 code units. Raises ValueError where it is outside."""
        body = decoded(self._line_bytes(line).removesuffix(b"\n"))
        units = 1
        for index, char in enumerate(body, start=1):
            if units >= column:
                return self.offset(line, index)
            units += 2 if ord(char) > 0xFFFF else 1
        if units != column:
            raise ValueError(f"line {line} has no column {column}")
        return self.offset(line, len(body) + 1)

    def _line_bytes(self, number: int) -> bytes:
        if not 1 <= number <= len(self._starts):
            raise ValueError(f"there is no line {number}")
        end = self._starts[number] if number < len(self._starts) else len(self.data)
        return self.data[self._starts[number - 1] : end]

    def _position(self, offset: int) -> tuple[int, int]:
        line = max(1, bisect_right(self._starts, offset))
        return line, len(decoded(self.data[self._starts[line - 1] : offset])) + 1


def decoded(data: bytes) -> str:
    """Return the text; undecodable bytes are surrogate-escaped."""
    return data.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """Return the bytes that `decoded` made the text of. Raises ValueError where no bytes give that text."""
    return text.encode("utf-8", "surrogateescape")


def _line_starts(data: bytes) -> list[int]:
    starts, at = [0], data.find(b"\n")
    while at != -1:
        starts.append(at + 1)
        at = data.find(b"\n", at + 1)
    return starts
