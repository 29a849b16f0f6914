"""The stream to a container's first process: while it is open the container lives; it tells what the cgroup counted."""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple

from remediator.builtin.docker_stream import Demux, Stream


class Counts(NamedTuple):
    """Out-of-memory kills so far, and processes now. None where the cgroup does not tell."""

    oom_kills: int | None
    processes: int | None


class Keeper:
    """Asks the first process. Attach before the container starts, so that no word is lost."""

    def __init__(self, api: Any, container: str) -> None:
        answer = api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stream": 1})
        self._stream = Stream(answer)
        self._demux = Demux(1024 * 1024)
        self._read = 0
        self._one_question_at_a_time = threading.Lock()

    def ask(self, timeout_seconds: float = 10.0) -> Counts | None:
        """Return the counts, or None where the container is gone."""
        with self._one_question_at_a_time:
            line = self._line(time.monotonic() + timeout_seconds)
        if line is None:
            return None
        kills, _, processes = line.partition(b" ")
        return Counts(_number(kills), _number(processes))

    def _line(self, deadline: float) -> bytes | None:
        try:
            self._stream.send(memoryview(b"?\n"))
        except OSError:
            return None
        while b"\n" not in self._demux.stdout[self._read :]:
            if not self._stream.wait(deadline - time.monotonic()):
                return None
            data = self._stream.receive()
            if data == b"" or (data and not self._demux.feed(data)):
                return None
        line, _, _ = bytes(self._demux.stdout[self._read :]).partition(b"\n")
        self._read += len(line) + 1
        return line

    def close(self) -> None:
        """End the container, if it still runs."""
        self._stream.close()


def _number(text: bytes) -> int | None:
    return int(text) if text.isdigit() else None
