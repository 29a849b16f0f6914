"""Composition root and library API."""

from __future__ import annotations


class Remediator:
    """Opened with settings; runs fixes."""
