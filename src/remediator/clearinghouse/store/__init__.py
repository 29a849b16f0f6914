"""The clearinghouse's memory: everything that it was told, found out and let out, in one database."""

from __future__ import annotations

from remediator.clearinghouse.store.calls import Caller
from remediator.clearinghouse.store.reading import Page, Ranker
from remediator.clearinghouse.store.store import Store
from remediator.clearinghouse.store.validating import Job

__all__ = ["Caller", "Job", "Page", "Ranker", "Store"]
