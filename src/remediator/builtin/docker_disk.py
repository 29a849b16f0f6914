"""Watches how much a container has written to its own layer: few storage drivers can limit that, and a build could fill the host."""

from __future__ import annotations

import threading
import time
from typing import Any

from remediator.builtin.docker_box import Box
from remediator.builtin.docker_engine import client_errors

_PAUSE_SECONDS = 1.0


class DiskWatch:
    """Kills a container that has written more than its limit. Ends by itself when the container does."""

    def __init__(self, api: Any, box: Box, limit_mb: int) -> None:
        self._api = api
        self._box = box
        self._limit = limit_mb * 1024 * 1024
        threading.Thread(target=self._watch, daemon=True, name="sandbox-disk").start()

    def _watch(self) -> None:
        """Look once a second, and less often where looking itself takes long."""
        pause = _PAUSE_SECONDS
        while not self._box.over.wait(pause):
            began = time.monotonic()
            size = self._size()
            if size is not None and size > self._limit:
                self._box.overflow(f"wrote {size // 1024 // 1024} MB to its disk")
                return
            pause = max(_PAUSE_SECONDS, 5 * (time.monotonic() - began))

    def _size(self) -> int | None:
        try:
            found = self._api.containers(all=True, size=True, filters={"id": self._box.id})
        except client_errors():
            return None
        return int(found[0].get("SizeRw") or 0) if found else None
