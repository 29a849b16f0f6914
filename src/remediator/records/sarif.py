"""SARIF 2.1.0, both ways: any tool's log to findings, and findings to a log."""

from __future__ import annotations

from remediator.records.sarif_reader import SarifReading, read_sarif
from remediator.records.sarif_writer import SarifNote, github_limits, to_sarif

__all__ = ["SarifNote", "SarifReading", "github_limits", "read_sarif", "to_sarif"]
