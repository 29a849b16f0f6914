"""Files in and out: trees, single files, and everything that is not a plain file."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from remediator.builtin import docker_layers
from remediator.builtin.docker_engine import connect
from remediator.builtin.docker_owner import INSTANCE
from remediator.builtin.docker_sandbox import DockerSandboxProvider
from remediator.contracts import ExecStatus, Limits, Sandbox, SandboxSpec, Tree, TreeEntry
from remediator.errors import SandboxError, SandboxUnavailableError

pytestmark = pytest.mark.docker

SPEC = SandboxSpec(image="python3.11", limits=Limits(memory_mb=512, pids=64, disk_mb=64, inodes=3000, tmp_mb=16))
LIST = "import os; print(sorted((os.path.join(d, f), open(os.path.join(d, f), 'rb').read()) for d, _, fs in os.walk('.') for f in fs))"


class FilesTree(Tree):
    """A tree from a dictionary; values that are str are symbolic links."""

    def __init__(self, files: dict[str, bytes | str]) -> None:
        self._files = files
        self._entries = tuple(self._entry(path) for path in sorted(files))

    def _entry(self, path: str) -> TreeEntry:
        data = self._files[path]
        if isinstance(data, str):
            return TreeEntry(path, 0o120000, hashlib.sha1(data.encode()).hexdigest(), len(data))
        return TreeEntry(path, 0o100755 if path.endswith(".sh") else 0o100644, hashlib.sha1(data).hexdigest(), len(data))

    @property
    def id(self) -> str:
        return hashlib.sha1(repr(self._entries).encode()).hexdigest()

    @property
    def commit(self) -> str:
        return self.id

    def entries(self) -> Sequence[TreeEntry]:
        return self._entries

    def read(self, path: str, *, limit_bytes: int = 0) -> bytes:
        data = self._files[path]
        assert isinstance(data, bytes)
        return data

    def tar(self) -> Iterator[bytes]:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", encoding="utf-8", errors="surrogateescape") as archive:
            for entry in self._entries:
                data = self._files[entry.path]
                member = tarfile.TarInfo(entry.path)
                member.mode = entry.mode & 0o777 or 0o777
                if isinstance(data, str):
                    member.type, member.linkname = tarfile.SYMTYPE, data
                    archive.addfile(member)
                else:
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        value = packed.getvalue()
        yield from (value[i : i + 100_000] for i in range(0, len(value), 100_000))


@pytest.fixture
async def docker() -> AsyncIterator[DockerSandboxProvider]:
    try:
        connect("").close()
    except SandboxUnavailableError as error:
        pytest.skip(f"no Docker engine: {error}")
    async with DockerSandboxProvider() as provider:
        yield provider


@pytest.fixture
async def sandbox(docker: DockerSandboxProvider) -> AsyncIterator[Sandbox]:
    async with docker.open(SPEC) as opened:
        yield opened


async def listing(sandbox: Sandbox) -> list[tuple[str, bytes]]:
    return list(eval((await sandbox.exec(["python3", "-c", LIST])).stdout))


async def test_tree_arrives_whole_with_strange_names_modes_and_links(sandbox: Sandbox) -> None:
    files: dict[str, bytes | str] = {
        "a.py": b"x",
        "d/run.sh": b"#!/bin/sh\necho ran",
        "d/\x1b[31m\nname": b"esc",
        "link": "a.py",
        "\udcff": b"raw",
    }
    await sandbox.put(FilesTree(files))
    ran = await sandbox.exec(["./d/run.sh"])
    assert ran.stdout == b"ran\n"
    assert [data for _, data in await listing(sandbox)] == [b"x", b"esc", b"#!/bin/sh\necho ran", b"x", b"raw"]


async def test_second_tree_leaves_nothing_of_the_first(sandbox: Sandbox) -> None:
    await sandbox.put(FilesTree({"a": b"1", "d/b": b"2"}))
    await sandbox.exec(["sh", "-c", "mkdir -p x/y; echo z > .hidden; ln -s / root"])
    await sandbox.put(FilesTree({"c": b"3"}))
    assert await listing(sandbox) == [("./c", b"3")]


async def test_tree_that_is_too_large_is_refused_before_anything_runs(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="does not fit"):
        await sandbox.put(FilesTree({"big": bytes(65 * 1024 * 1024)}))


async def test_written_files_are_read_back(sandbox: Sandbox) -> None:
    data = os.urandom(300_000)
    await sandbox.write("/job/deep/er/x", data)
    await sandbox.write("/tmp/tool", b"#!/bin/sh\n", executable=True)
    await sandbox.write("/job/empty", b"")
    assert await sandbox.read("/job/deep/er/x") == data
    assert await sandbox.read("/job/empty") == b""
    assert (await sandbox.exec(["stat", "-c", "%a %u", "/tmp/tool", "/job/empty"])).stdout == b"755 10002\n644 10001\n"


@pytest.mark.parametrize("path", ["/etc/passwd", "/job", "job/x", "/job/../etc/x", "/job//x", "/tmp/../x", "/jobs/x", "/job/x\0y"])
async def test_paths_elsewhere_are_refused(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(SandboxError):
        await sandbox.write(path, b"")
    with pytest.raises(SandboxError):
        await sandbox.read(path)


async def test_what_we_wrote_to_tmp_cannot_be_changed_by_the_tree(sandbox: Sandbox) -> None:
    await sandbox.write("/tmp/reporter.py", b"ours")
    await sandbox.exec(["sh", "-c", "echo theirs > /tmp/reporter.py; rm -f /tmp/reporter.py; mv /tmp/reporter.py /tmp/x"])
    assert await sandbox.read("/tmp/reporter.py") == b"ours"


async def test_a_link_planted_where_we_write_does_not_lead_us(sandbox: Sandbox) -> None:
    await sandbox.exec(["sh", "-c", "ln -s /home/runner/stolen /tmp/planted; ln -s /home/runner/stolen /job/planted"])
    with pytest.raises(SandboxError):
        await sandbox.write("/tmp/planted", b"ours")
    await sandbox.write("/job/planted", b"ours")
    assert (await sandbox.exec(["ls", "/home/runner"])).stdout == b""
    assert await sandbox.read("/job/planted") == b"ours"


@pytest.mark.parametrize(
    "make",
    ["ln -s /etc/passwd x", "mkfifo x", "mkdir x", "ln -s /dev/zero x", "python3 -c \"import socket; socket.socket(1).bind('x')\"", "true"],
)
async def test_what_is_no_regular_file_is_refused_at_once(sandbox: Sandbox, make: str) -> None:
    await sandbox.exec(["sh", "-c", make])
    with pytest.raises(SandboxError):
        await sandbox.read("/job/x")
    assert (await sandbox.exec(["true"])).ok


async def test_fifty_gigabytes_of_nothing_are_refused_and_never_carried(sandbox: Sandbox) -> None:
    await sandbox.exec(["truncate", "-s", "50G", "/job/sparse"])
    with pytest.raises(SandboxError, match="larger than 1000 bytes"):
        await sandbox.read("/job/sparse", limit_bytes=1000)
    assert (await sandbox.exec(["true"])).ok


async def test_files_that_only_their_user_may_read_are_read(sandbox: Sandbox) -> None:
    await sandbox.exec(["sh", "-c", "umask 077; echo mine > /job/x"])
    await sandbox.exec(["sh", "-c", "umask 077; echo ours > /tmp/y"], observer=True)
    assert (await sandbox.read("/job/x"), await sandbox.read("/tmp/y")) == (b"mine\n", b"ours\n")


@pytest.fixture
def every_tree_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_layers, "_LARGE_FILES", 0)


BASE: dict[str, bytes | str] = {**{f"d{n % 7}/f{n}": b"%d" % n for n in range(60)}, "link": "d0/f0", "only/one": b"1", "was": b"file"}
PATCHED = {path: data for path, data in BASE.items() if path not in ("only/one", "d1/f1", "was")}
PATCHED |= {"d0/f0": b"changed", "new/\udcff\n": b"n", "was/now": b"folder", "run.sh": b"#!/bin/sh\necho ran"}


@pytest.mark.usefixtures("every_tree_is_large")
async def test_large_trees_share_a_base_and_never_see_each_other(docker: DockerSandboxProvider) -> None:
    async with docker.open(SPEC) as first, docker.open(SPEC) as second:
        await first.put(FilesTree(BASE))
        await first.exec(["sh", "-c", "echo evil > d0/f0; rm d2/f2; echo x > added"])
        await second.put(FilesTree(PATCHED))
        mounts = await second.exec(["grep", " /job ", "/proc/mounts"])
        seen = await listing(second)
        assert mounts.stdout.startswith(b"overlay /job overlay rw,nosuid,nodev")
        assert (await second.exec(["./run.sh"])).stdout == b"ran\n"
        assert (await second.exec(["find", ".", "-type", "d", "-empty"])).stdout == b""
    wanted = {f"./{path}": (PATCHED[data] if isinstance(data, str) else data) for path, data in PATCHED.items()}
    assert dict(seen) == {os.fsencode(path).decode("utf-8", "surrogateescape"): data for path, data in wanted.items()}


@pytest.mark.usefixtures("every_tree_is_large")
async def test_disk_and_inode_limits_hold_above_a_base(docker: DockerSandboxProvider) -> None:
    async with docker.open(SPEC) as sandbox:
        await sandbox.put(FilesTree(BASE))
        disk = await sandbox.exec(["dd", "if=/dev/zero", "of=big", "bs=1M", "count=600"])
        await sandbox.exec(["rm", "-f", "big"])
        code = "import os\ntry:\n for n in range(4000): open(f'i{n}', 'w').close()\nexcept OSError as e: print(e.errno, n < 3000)"
        inodes = await sandbox.exec(["python3", "-c", code])
    assert disk.status is ExecStatus.exited
    assert b"No space left on device" in disk.stderr
    assert inodes.stdout == b"28 True\n"


@pytest.mark.usefixtures("every_tree_is_large")
async def test_engine_without_overlay_volumes_still_gets_the_tree(docker: DockerSandboxProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_layers.Layers, "_folder", lambda self, volume: "/nowhere")
    async with docker.open(SPEC) as sandbox:
        await sandbox.put(FilesTree(BASE))
        assert len(await listing(sandbox)) == len(BASE)
        assert b"tmpfs" in (await sandbox.exec(["grep", " /job ", "/proc/mounts"])).stdout


@pytest.mark.usefixtures("every_tree_is_large")
async def test_nothing_is_left_when_the_provider_closes(docker: DockerSandboxProvider) -> None:
    own = DockerSandboxProvider(state="/nonexistent/files-test")
    async with own:
        async with own.open(SPEC) as sandbox:
            await sandbox.put(FilesTree(BASE))
        wanted = {"label": f"{INSTANCE}={own._instance()}"}
        assert len(connect("").volumes(filters=wanted)["Volumes"]) == 1
    api = connect("")
    assert not api.volumes(filters=wanted)["Volumes"]
    assert not api.containers(all=True, filters=wanted)
