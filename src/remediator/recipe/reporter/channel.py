"""The way from the tests to the observer: one packet per record, nothing can be taken back."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

TEXT_CHARS = 2000
_CONNECT_SECONDS = 30.0
_BROKEN_EXIT = 97


class Channel:
    """A connected packet socket. Only the process that made it speaks; the lines run are told by its children too."""

    def __init__(self, address: str, nonce: str) -> None:
        self._socket = _connected(address)
        self._owner = os.getpid()
        self._getpid = os.getpid
        self._dumps = json.dumps
        self.sent = 0
        self.send("hello", nonce)

    def adopt(self) -> None:
        """Let the calling process, a child that we forked ourselves, speak too."""
        self._owner = self._getpid()

    def send(self, *record: Any) -> None:
        """Send one record. Where the observer is gone the run is worth nothing, so it ends."""
        if self._getpid() == self._owner:
            self._put(record)
            self.sent += 1

    def send_from_anywhere(self, *record: Any) -> None:
        """Send one record, from a child process too."""
        self._put(record)

    def _put(self, record: tuple[Any, ...]) -> None:
        try:
            self._socket.send(self._dumps(record).encode("ascii"))
        except OSError:
            os._exit(_BROKEN_EXIT)


def _connected(address: str) -> socket.socket:
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        found = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            found.connect(address)
        except OSError:
            found.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return found


def shortened(text: str) -> str:
    """Return the text, cut in the middle where it is long."""
    if len(text) <= TEXT_CHARS:
        return text
    return text[: TEXT_CHARS // 2] + "\n[...]\n" + text[-TEXT_CHARS // 2 :]
