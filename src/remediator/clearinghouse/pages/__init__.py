"""The clearinghouse for people: pages made on the server, that need no script and ask no other host for anything."""

from __future__ import annotations

from remediator.clearinghouse.pages.mounting import mount

__all__ = ["mount"]
