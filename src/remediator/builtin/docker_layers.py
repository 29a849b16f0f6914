"""Large trees without copying: one read-only volume per tree, and for each sandbox an overlay whose upper layer is a sized tmpfs.

Every path here is the engine's own and every mount is made by the engine, so this needs neither privilege nor a shared disk. The
tmpfs is mounted only while a container uses it: a second container holds it for as long as the first one lives.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import posixpath
import secrets
import tarfile
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from remediator.builtin.docker_box import Box
from remediator.builtin.docker_engine import client_errors, translated
from remediator.builtin.docker_exec import Command, Outcome, refuse_failure
from remediator.builtin.docker_profile import JOB, RUNNER, Profile, user_of
from remediator.contracts import Limits, Tree, TreeEntry
from remediator.errors import SandboxError

_UNPACK = ("tar", "-x", "-f", "-", "-C", JOB, "--no-same-owner", "--no-overwrite-dir")
PUT_SECONDS = 900.0

_LARGE_BYTES = 32 * 1024 * 1024
_LARGE_FILES = 4000
_DELTA_FILES = 500
_DELTA_BYTES = 16 * 1024 * 1024
_BASES = 4
_FORGET = 'xargs -0 -r rm -f -- < "$1"; xargs -0 -r rmdir -p --ignore-fail-on-non-empty -- < "$2" 2>/dev/null; rm -f "$1" "$2"'

log = logging.getLogger("remediator.sandbox")


class Delta(NamedTuple):
    """What turns one tree into another."""

    gone: tuple[str, ...]
    changed: tuple[str, ...]


class Base(NamedTuple):
    """A volume that holds a tree, and where the engine keeps it."""

    volume: str
    folder: str
    entries: Sequence[TreeEntry]


class Layer(NamedTuple):
    """What one sandbox has above a base: mount `volume` at `/job`, apply `delta`, call `end` when the container is gone."""

    volume: str
    delta: Delta
    end: Callable[[], None]


def is_large(tree: Tree) -> bool:
    """Return whether streaming the tree into a tmpfs would take too long or too much of the sandbox's memory."""
    entries = tree.entries()
    return len(entries) > _LARGE_FILES or sum(entry.size for entry in entries) > _LARGE_BYTES


class Layers:
    """The base volumes of one provider. All methods block."""

    def __init__(
        self, api: Any, open_box: Callable[[str, Profile], Box], profile: Profile, labels: Callable[[str], dict[str, str]]
    ) -> None:
        self._api = api
        self._open_box = open_box
        self._profile = profile
        self._labels = labels
        self._bases: dict[str, Base] = {}
        self._one_fills_at_a_time = threading.Lock()
        self.works = True

    def above(self, tree: Tree, image: str, limits: Limits) -> Layer | None:
        """Return a layer that holds the tree, or None where this engine cannot make one."""
        if not self.works:
            return None
        try:
            base, delta = self._base(tree, image, limits)
            with translated("to make a layer"):
                return self._layer(base, delta, image, limits)
        except SandboxError as error:
            log.warning("this engine makes no overlay volumes: trees are copied instead (%s)", error)
            self.works = False
            return None

    def close(self) -> None:
        """Remove the base volumes."""
        for base in self._bases.values():
            self._remove(base.volume)
        self._bases.clear()

    def _base(self, tree: Tree, image: str, limits: Limits) -> tuple[Base, Delta]:
        with self._one_fills_at_a_time:
            for base in self._bases.values():
                if (delta := delta_between(base.entries, tree.entries())) is not None:
                    return base, delta
            while len(self._bases) >= _BASES:
                self._remove(self._bases.pop(next(iter(self._bases))).volume)
            self._bases[tree.id] = self._filled(tree, image, limits)
            return self._bases[tree.id], Delta((), ())

    def _filled(self, tree: Tree, image: str, limits: Limits) -> Base:
        volume = self._volume("base", {})
        profile = self._profile._replace(limits=limits, mounts=(_mount(volume),), job_volume=True)
        try:
            box = self._open_box(image, profile)
            try:
                refuse_failure(box.run(unpack(tree.tar())), "to unpack the tree")
            finally:
                box.end()
            return Base(volume, self._folder(volume), tuple(tree.entries()))
        except BaseException:
            self._remove(volume)
            raise

    def _layer(self, base: Base, delta: Delta, image: str, limits: Limits) -> Layer:
        undo = contextlib.ExitStack()
        with undo:
            size = f"size={limits.disk_mb}m,nr_inodes={limits.inodes},uid={RUNNER},gid={RUNNER},mode=0755"
            upper = self._volume("upper", {"type": "tmpfs", "device": "tmpfs", "o": size})
            undo.callback(self._remove, upper)
            holder = self._open_box(image, self._profile._replace(limits=_HOLDER, mounts=(_mount(upper),), job_volume=True))
            undo.callback(holder.end)
            argv = ("mkdir", "-m", "0755", f"{JOB}/u", f"{JOB}/w")
            refuse_failure(holder.run(Command(argv, user_of(observer=False), JOB, {}, None, 30.0, 65536)), "to make a layer")
            folder = self._folder(upper)
            options = f"nosuid,nodev,lowerdir={base.folder},upperdir={folder}/u,workdir={folder}/w"
            job = self._volume("job", {"type": "overlay", "device": "overlay", "o": options})
            undo.callback(self._remove, job)
            return Layer(job, delta, undo.pop_all().close)
        raise AssertionError

    def _volume(self, role: str, options: dict[str, str]) -> str:
        name = f"remediator-{role}-{secrets.token_hex(8)}"
        with translated("to make a volume"):
            self._api.create_volume(name=name, driver="local", driver_opts=options, labels=self._labels(role))
        return name

    def _folder(self, volume: str) -> str:
        with translated("to find a volume"):
            folder = str(self._api.inspect_volume(volume)["Mountpoint"])
        if not folder.startswith("/") or set(folder) & set(",:\\"):
            raise SandboxError(f"the engine keeps volumes where no overlay can be made: {folder!r}")
        return folder

    def _remove(self, volume: str) -> None:
        with contextlib.suppress(*client_errors()):
            self._api.remove_volume(volume, force=True)


_HOLDER = Limits(memory_mb=64, cpus=1.0, pids=32, disk_mb=1, inodes=16, tmp_mb=1)


def _mount(volume: str) -> dict[str, Any]:
    return {"Type": "volume", "Source": volume, "Target": JOB}


def job_mount(volume: str) -> dict[str, Any]:
    """Return the mount of an overlay volume, which must not be filled from the image."""
    return {**_mount(volume), "VolumeOptions": {"NoCopy": True}}


def delta_between(old: Sequence[TreeEntry], new: Sequence[TreeEntry]) -> Delta | None:
    """Return what turns one tree into the other, or None where that is much, or more than regular files."""
    before = {entry.path: entry for entry in old}
    after = {entry.path: entry for entry in new}
    gone = tuple(path for path in before if path not in after)
    changed = [entry for path, entry in after.items() if path not in before or before[path][1:3] != entry[1:3]]
    much = len(gone) + len(changed) > _DELTA_FILES or sum(entry.size for entry in changed) > _DELTA_BYTES
    if much or not all(entry.is_file for entry in changed) or not all(before[path].is_file for path in gone):
        return None
    if any(not before[entry.path].is_file for entry in changed if entry.path in before):
        return None
    return Delta(gone, tuple(entry.path for entry in changed))


def apply_delta(run: Callable[[Command], Outcome], tree: Tree, delta: Delta) -> None:
    """Make `/job` hold the tree where it holds the base. Raises SandboxError."""
    runner = user_of(observer=False)
    if delta.gone:
        folders = {posixpath.dirname(path) for path in delta.gone} - {""}
        names = _packed({"gone": _joined(delta.gone), "folders": _joined(tuple(sorted(folders, reverse=True)))})
        refuse_failure(run(Command(("tar", "-x", "-C", "/home/runner"), runner, JOB, {}, (names,), PUT_SECONDS, 65536)), "to list files")
        argv = ("/bin/sh", "-c", _FORGET, "sh", "/home/runner/gone", "/home/runner/folders")
        refuse_failure(run(Command(argv, runner, JOB, {}, None, PUT_SECONDS, 65536)), "to remove files")
    if delta.changed:
        modes = {entry.path: entry.mode & 0o777 for entry in tree.entries()}
        files = _packed({path: tree.read(path) for path in delta.changed}, modes)
        refuse_failure(run(unpack((files,))), "to unpack the tree")


def unpack(tar: Iterable[bytes]) -> Command:
    """Return the command that unpacks a tar stream in `/job`."""
    return Command(_UNPACK, user_of(observer=False), JOB, {}, tar, PUT_SECONDS, 65536)


def _joined(paths: Sequence[str]) -> bytes:
    return b"".join(b"./" + os.fsencode(path) + b"\0" for path in paths)


def _packed(files: dict[str, bytes], modes: dict[str, int] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode, member.mtime = len(data), (modes or {}).get(path, 0o644), 0
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
