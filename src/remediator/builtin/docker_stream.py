"""One hijacked connection to the engine: the raw socket, and what comes out of it taken apart by stream."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from typing import Any

_HEADER = struct.Struct(">BxxxL")
_STDERR = 2


class Stream:
    """A connection whose two directions are the input and output of a process in a container."""

    def __init__(self, answer: Any) -> None:
        self.socket: socket.socket = getattr(answer, "_sock", answer)
        self._answer = answer
        self.socket.setblocking(False)
        self._early = _read_ahead(answer)

    @property
    def has_early(self) -> bool:
        """Return whether something was received before anybody asked."""
        return bool(self._early)

    def receive(self) -> bytes | None:
        """Return what has come, b"" at the end, None where nothing is there yet."""
        if self._early:
            early, self._early = self._early, b""
            return early
        try:
            return self.socket.recv(256 * 1024)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def send(self, data: memoryview) -> int:
        """Send what fits now and return how much that was. Raises OSError where nobody reads any more."""
        try:
            return self.socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0

    def end_input(self) -> None:
        """Tell the process that its input is over."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until something can be received; return whether it can."""
        if self._early:
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout_seconds) * 1000))

    def close(self) -> None:
        """Close both directions. The engine must see this before it is asked to kill a container whose output is blocked."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.socket.close()
        response = getattr(self._answer, "_response", None)
        if response is not None:
            with contextlib.suppress(OSError, ValueError):
                response.close()


def _read_ahead(answer: Any) -> bytes:
    """Return what the HTTP reader swallowed together with the headers; without it the first bytes of a quick command are lost."""
    try:
        reader = answer._response.raw._fp.fp
        return bytes(reader.peek(1)) if reader is not None else b""
    except (AttributeError, OSError, ValueError):
        return b""


class Demux:
    """Takes the engine's frames apart and stops at the cap."""

    def __init__(self, cap_bytes: int) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self._left = cap_bytes
        self._buffer = bytearray()
        self._frame: tuple[int, int] | None = None

    def feed(self, data: bytes) -> bool:
        """Take in what came. Return False where there was more output than the cap."""
        self._buffer += data
        while True:
            if self._frame is None:
                if len(self._buffer) < _HEADER.size:
                    return True
                self._frame = _HEADER.unpack_from(self._buffer)
                del self._buffer[: _HEADER.size]
            kind, missing = self._frame
            part = self._buffer[:missing]
            if not self._keep(kind, part):
                return False
            del self._buffer[: len(part)]
            self._frame = None if len(part) == missing else (kind, missing - len(part))
            if self._frame is not None:
                return True

    def _keep(self, kind: int, part: bytearray) -> bool:
        target = self.stderr if kind == _STDERR else self.stdout
        target += part[: self._left]
        fits = len(part) <= self._left
        self._left -= min(len(part), self._left)
        return fits
