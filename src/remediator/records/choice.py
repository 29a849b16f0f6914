"""Which of several patches that are worth the same is handed over, and who said so."""

from __future__ import annotations

from typing import Literal

from remediator.records.record import Record


class Choice(Record):
    """The patch `patch_id` was taken `among` others of its level, size and number of changed lines that were run.

    `decided_by` is `selector` where a model that saw nothing but the finding and the diffs named it, else `first`: the one that was
    proposed first, and `detail` says why nobody was asked or what came of it.
    """

    patch_id: str
    among: tuple[str, ...]
    decided_by: Literal["selector", "first"]
    detail: str = ""
