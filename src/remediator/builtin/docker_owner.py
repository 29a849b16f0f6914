"""Who made an object in the engine, told by labels, so that what a crashed run left can be removed and nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INSTANCE = "remediator.instance"
OWNER = "remediator.owner"
ROLE = "remediator.role"


def instance_id(state: str) -> str:
    """Return what this installation on this machine is called: the same for every run, another for every other."""
    parts = [state, _text(Path("/etc/machine-id")), _link(Path("/proc/self/ns/pid")), str(os.geteuid())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def owner_id(pid: int | None = None) -> str:
    """Return boot, process and start time of a process: no later process ever has the same."""
    number = os.getpid() if pid is None else pid
    return f"{_boot()}:{number}:{_start(number)}"


def is_alive(owner: str) -> bool:
    """Return whether the process that `owner_id` named still runs."""
    boot, _, rest = owner.partition(":")
    pid, _, start = rest.partition(":")
    if boot != _boot() or not pid.isdigit():
        return False
    return bool(start) and _start(int(pid)) == start


def labels(instance: str, role: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return the labels for something that this process makes."""
    return {**more, INSTANCE: instance, OWNER: owner_id(), ROLE: role}


def sweep(api: Any, instance: str) -> int:
    """Remove containers, volumes and networks of this installation whose maker is dead; return how many."""
    wanted = {"label": f"{INSTANCE}={instance}"}
    removed = 0
    for container in api.containers(all=True, filters=wanted):
        removed += _remove(container, lambda c: api.remove_container(c["Id"], force=True, v=True))
    for volume in api.volumes(filters=wanted)["Volumes"] or ():
        removed += _remove(volume, lambda v: api.remove_volume(v["Name"], force=True))
    for network in api.networks(filters=wanted):
        removed += _remove(network, lambda n: api.remove_network(n["Id"]))
    return removed


def _remove(thing: Any, remove: Any) -> int:
    from docker.errors import APIError

    owner = (thing.get("Labels") or {}).get(OWNER, "")
    if is_alive(owner):
        return 0
    try:
        remove(thing)
    except APIError:
        return 0
    return 1


def _boot() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id"))[:8]


def _start(pid: int) -> str:
    """Return the start time in ticks since boot, or "" where there is no such process; a zombie counts as dead."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
