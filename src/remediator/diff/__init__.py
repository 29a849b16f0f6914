"""Patches, read strictly: what a diff changes, what it gives when applied exactly, and what no patch may touch."""

from __future__ import annotations

from remediator.diff.change import ChangeKind, FileChange, Hunk, Line
from remediator.diff.forbidden import forbidden, inspect
from remediator.diff.line_map import LineMap
from remediator.diff.objection import Objection
from remediator.diff.parse import parse
from remediator.diff.policy import Policy

__all__ = ["ChangeKind", "FileChange", "Hunk", "Line", "LineMap", "Objection", "Policy", "forbidden", "inspect", "parse"]
