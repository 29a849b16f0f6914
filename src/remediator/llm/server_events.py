"""Server-sent events: bytes in, the data of each event out. No I/O."""

from __future__ import annotations

import codecs

from remediator.llm.answer import TryAgainError


class ServerEvents:
    """Takes a stream apart as it comes, in pieces of any size."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = ""
        self._data: list[str] = []

    def feed(self, piece: bytes, *, last: bool = False) -> list[str]:
        """Return the data of every event that ended in this piece. Raises TryAgainError where it is not UTF-8."""
        try:
            self._rest += self._decoder.decode(piece, last)
        except UnicodeDecodeError as error:
            raise TryAgainError("the stream is not UTF-8") from error
        found = []
        for line in self._lines(last):
            if not line and self._data:
                found.append("\n".join(self._data))
                self._data = []
            elif line.startswith("data:"):
                self._data.append(line[5:].removeprefix(" "))
        return found

    def rest(self) -> list[str]:
        """Return the data of what began and was not ended by an empty line when the stream ended."""
        found = self.feed(b"\n", last=True)
        if self._data:
            found.append("\n".join(self._data))
            self._data = []
        return found

    @property
    def pending(self) -> bool:
        """Return whether an event began and did not end: then the stream was cut."""
        return bool(self._data) or bool(self._rest.strip())

    def _lines(self, last: bool) -> list[str]:
        # A carriage return at the very end may be the first half of a line end.
        held = "\r" if self._rest.endswith("\r") and not last else ""
        text = self._rest.removesuffix("\r") if held else self._rest
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        return lines
