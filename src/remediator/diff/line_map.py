"""Where the lines of the old file went."""

from __future__ import annotations

from typing import NamedTuple

from remediator.diff.change import FileChange, Line


class Block(NamedTuple):
    """A contiguous run of removed and added lines. Ends are exclusive; an empty side stands between two lines."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


class LineMap:
    """Says where a line of the old file is in the new one, and which lines took the place of a region."""

    def __init__(self, change: FileChange) -> None:
        self.blocks: tuple[Block, ...] = tuple(_blocks(change))

    def moved(self, line: int) -> int | None:
        """Return the new number of an old line, None where it is gone."""
        shift = 0
        for block in self.blocks:
            if line < block.old_start:
                break
            if line < block.old_end:
                return None
            shift = block.new_end - block.old_end
        return line + shift

    def region(self, start: int, end: int) -> range:
        """Return the new lines that stand where the old lines `start` to `end` (inclusive) stood.

        Lines that were added right before or right after the region belong to it only where the region itself changed.
        """
        low: int | None = None
        high: int | None = None
        for block in self.blocks:
            if block.old_start <= end and block.old_end > start:
                low = block.new_start if low is None else min(low, block.new_start)
                high = block.new_end if high is None else max(high, block.new_end)
        for line in range(start, end + 1):
            new = self.moved(line)
            if new is not None:
                low = new if low is None else min(low, new)
                high = new + 1 if high is None else max(high, new + 1)
        return range(low or 0, high or 0)


def _blocks(change: FileChange) -> list[Block]:
    blocks: list[Block] = []
    for hunk in change.hunks:
        run: list[Line] = []
        old = hunk.old_start if hunk.old_count else hunk.old_start + 1
        new = hunk.new_start if hunk.new_count else hunk.new_start + 1
        start = (old, new)
        for line in hunk.lines:
            if line.mark == " ":
                if run:
                    blocks.append(Block(start[0], old, start[1], new))
                run = []
                old, new = old + 1, new + 1
                start = (old, new)
                continue
            run.append(line)
            old, new = (old + 1, new) if line.mark == "-" else (old, new + 1)
        if run:
            blocks.append(Block(start[0], old, start[1], new))
    return blocks
