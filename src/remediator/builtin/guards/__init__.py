"""The guards: named rules about what a patch does to the text and the features of the files it changes."""

from __future__ import annotations

from remediator.builtin.guards.file_pair import FilePair
from remediator.builtin.guards.judge import Judgement, judge

__all__ = ["FilePair", "Judgement", "judge"]
