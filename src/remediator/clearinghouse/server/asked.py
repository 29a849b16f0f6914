"""What a handler is given: the request, who asks, and the parts of the application."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.server.metrics import Metrics
from remediator.clearinghouse.server.problems import not_found
from remediator.clearinghouse.server.rates import Buckets, Slots

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Caller, Store

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class Desk(NamedTuple):
    """The parts of one running application."""

    store: Store
    config: ServerConfig
    metrics: Metrics
    tokens: Buckets
    addresses: Buckets
    refused: Buckets
    uploads: Slots
    streams: Slots
    stopping: asyncio.Event
    """Set when the server goes: streams end, and it is not ready any more."""


class Asked(NamedTuple):
    """One request whose sender is known."""

    request: web.Request
    desk: Desk
    caller: Caller

    @property
    def store(self) -> Store:
        """Return the store."""
        return self.desk.store

    def id(self) -> str:
        """Return the id in the path. What cannot be an id is not there. Raises RefusedError."""
        text = self.request.match_info["id"]
        if not _ID.match(text):
            raise not_found()
        return text


DESK = web.AppKey("desk", Desk)
