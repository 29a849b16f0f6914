"""What the guards know about Python."""

from __future__ import annotations

from remediator.builtin.guards.python.judge_python import judge_python
from remediator.builtin.guards.python.module import UnreadableError

__all__ = ["UnreadableError", "judge_python"]
