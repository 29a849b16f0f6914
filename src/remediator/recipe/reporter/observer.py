"""Collects, as a user of its own, what the run tells, and writes it to standard output where nobody else can write."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

_PACKET_BYTES = 1 << 20
_POLL_SECONDS = 0.5


class _Peer(NamedTuple):
    socket: socket.socket
    pid: int


def main(job: dict[str, Any]) -> None:
    """Listen, take the one connection that knows the nonce, copy its packets until it finishes, and say how it ended."""
    folder, name = job["folder"], job["socket"]
    os.umask(0)
    # Others may pass through the folder but not list it; the random name is told to the run only.
    Path(folder).mkdir(mode=0o711)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(folder + "/" + name)
    listener.listen(8)
    peer, strangers = _accepted(listener, job["nonce"], float(job["connect_seconds"]))
    listener.close()
    Path(folder, name).unlink()
    Path(folder).rmdir()
    end, count = ("no-connection", 0) if peer is None else _copied(peer)
    _write(json.dumps(["observer", end, count, strangers]).encode("ascii"))
    sys.stdout.buffer.flush()
    os._exit(0)


def _accepted(listener: socket.socket, nonce: str, seconds: float) -> tuple[_Peer | None, int]:
    deadline, strangers = time.monotonic() + seconds, 0
    while True:
        listener.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            found, _ = listener.accept()
            found.settimeout(5.0)
            hello = json.loads(found.recv(_PACKET_BYTES) or b"null")
        except ValueError:
            hello = None
        except OSError:
            if time.monotonic() > deadline:
                return None, strangers
            continue
        if hello == ["hello", nonce]:
            found.setblocking(False)
            return _Peer(found, _pid(found)), strangers
        strangers += 1
        found.close()


def _pid(found: socket.socket) -> int:
    data = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", data)[0])


def _copied(peer: _Peer) -> tuple[str, int]:
    """Copy until the finish record, the end of the connection, or the end of the process that opened it."""
    count = 0
    while True:
        ready, _, _ = select.select([peer.socket], [], [], _POLL_SECONDS)
        if not ready:
            sys.stdout.buffer.flush()
            if not Path(f"/proc/{peer.pid}").exists() and not select.select([peer.socket], [], [], 0)[0]:
                return "gone", count
            continue
        try:
            packet = peer.socket.recv(_PACKET_BYTES)
        except OSError:
            return "gone", count
        if not packet:
            return "gone", count
        count += 1
        _write(packet)
        if packet.startswith(b'["finish"'):
            return "finish", count


def _write(packet: bytes) -> None:
    # A line break inside a packet is not ours: json.dumps writes none.
    sys.stdout.buffer.write(packet.replace(b"\n", b" ") + b"\n")
