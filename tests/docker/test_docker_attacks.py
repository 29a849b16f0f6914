"""Attacks from inside a sandbox, each against the real profile and against a twin with that one control off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from remediator.builtin.docker_engine import connect
from remediator.builtin.docker_exec import Command, Execution, Outcome
from remediator.builtin.docker_images import BaseImages
from remediator.builtin.docker_keeper import Keeper
from remediator.builtin.docker_network import Network
from remediator.builtin.docker_owner import labels
from remediator.builtin.docker_profile import Profile, container_config, user_of
from remediator.builtin.docker_sandbox import DockerSandboxProvider, seccomp_profile
from remediator.contracts import ExecResult, ExecStatus, Limits, Sandbox, SandboxSpec
from remediator.errors import SandboxLostError, SandboxUnavailableError

pytestmark = pytest.mark.docker

IMAGE = "python3.11"
SMALL = Limits(memory_mb=256, cpus=1.0, pids=64, disk_mb=64, inodes=2000, tmp_mb=16)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with provider() as docker, docker.open(SandboxSpec(image=IMAGE, limits=SMALL)) as opened:
        yield opened


@pytest.fixture(scope="module")
def api() -> Iterator[Any]:
    try:
        client = connect("")
    except SandboxUnavailableError as error:
        pytest.skip(f"no Docker engine: {error}")
    yield client
    client.close()


def provider() -> DockerSandboxProvider:
    try:
        connect("").close()
    except SandboxUnavailableError as error:
        pytest.skip(f"no Docker engine: {error}")
    return DockerSandboxProvider()


async def python(sandbox: Sandbox, code: str, **options: Any) -> ExecResult:
    return await sandbox.exec(["python3", "-c", code], cwd="/", timeout_seconds=20, **options)


@contextlib.contextmanager
def weakened(api: Any, **overrides: Any) -> Iterator[Any]:
    """A container like ours but for one control; yields a function that runs Python in it."""
    image = BaseImages(api, build_args={}, ca_bundle=None, registry="", labels={}).ensure(IMAGE)
    config = container_config(image, Profile(SMALL, seccomp_profile()), labels("test", "weak", {}))
    config["User"] = overrides.pop("User", config["User"])
    config["HostConfig"].update(overrides)
    container = api.create_container_from_config(config)["Id"]
    keeper = Keeper(api, container)
    try:
        api.start(container)
        keeper.ask()

        def run(code: str, user: str = user_of(observer=False)) -> Outcome:
            return Execution(api, container, Command(("python3", "-c", code), user, "/", {}, None, 20.0, 1_000_000)).run()

        yield run
    finally:
        keeper.close()
        api.remove_container(container, force=True, v=True)


FORK = """
import os
made = 0
try:
    for _ in range(300):
        if os.fork() == 0:
            import time; time.sleep(60)
        made += 1
except OSError:
    pass
print(made, flush=True)
os._exit(0)
"""


async def test_fork_bomb_stops_at_the_process_limit_and_nothing_of_it_survives(sandbox: Sandbox) -> None:
    bomb = await python(sandbox, FORK)
    after = await python(sandbox, "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))")
    assert int(bomb.stdout) < 64
    assert int(after.stdout) == 2


def test_fork_bomb_succeeds_without_the_process_limit(api: Any) -> None:
    with weakened(api, PidsLimit=0) as run:
        assert int(run(FORK).stdout) == 300


async def test_memory_bomb_ends_as_oom_and_takes_the_sandbox(sandbox: Sandbox) -> None:
    result = await python(sandbox, "x = bytearray(10**9)")
    assert (result.status, result.exit_code) == (ExecStatus.oom, None)
    with pytest.raises(SandboxLostError):
        await sandbox.exec(["true"])


async def test_memory_bomb_in_a_child_that_its_parent_hides_is_still_oom(sandbox: Sandbox) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(10**9)']); sys.exit(0)"
    assert (await python(sandbox, code)).status is ExecStatus.oom


def test_memory_bomb_succeeds_without_the_memory_limit(api: Any) -> None:
    with weakened(api, Memory=0, MemorySwap=0) as run:
        assert run("x = bytearray(5 * 10**8)").exit_code == 0


FILL = """
import errno
for folder in ("/job", "/tmp", "/home/runner", "/dev/shm"):
    total = 0
    try:
        with open(folder + "/fill", "wb") as f:
            while total < 600:
                f.write(bytes(1 << 20)); f.flush(); total += 1
    except OSError as error:
        print(folder, total, errno.errorcode[error.errno])
    import os; os.unlink(folder + "/fill")
"""


async def test_disk_fill_ends_with_enospc_in_every_writable_folder(sandbox: Sandbox) -> None:
    lines = (await python(sandbox, FILL)).stdout.decode().split("\n")[:-1]
    limits = {"/job": 64, "/tmp": 16, "/home/runner": 16, "/dev/shm": 64}
    assert [(w[0], w[2]) for w in map(str.split, lines)] == [(folder, "ENOSPC") for folder in limits]
    assert all(int(w[1]) <= limits[w[0]] for w in map(str.split, lines))


def test_disk_fill_succeeds_on_an_unsized_folder(api: Any) -> None:
    tmpfs = {"/job": "rw,uid=10001", "/tmp": "rw", "/home/runner": "rw,uid=10001", "/dev/shm": "rw,mode=1777"}
    with weakened(api, Tmpfs=tmpfs, Memory=0, MemorySwap=0) as run:
        assert run(FILL).stdout == b""


INODES = """
made = 0
try:
    while made < 3000:
        open(f"/job/{made}", "w").close(); made += 1
except OSError as error:
    import errno; print(errno.errorcode[error.errno])
print(made)
"""


async def test_inode_fill_ends_with_enospc(sandbox: Sandbox) -> None:
    assert (await python(sandbox, INODES)).stdout.split() == [b"ENOSPC", b"1999"]


def test_inode_fill_succeeds_without_the_inode_limit(api: Any) -> None:
    with weakened(api, Tmpfs={"/job": "rw,uid=10001,size=64m"}) as run:
        assert run(INODES).stdout.split() == [b"3000"]


WRITE_ROOT = """
import os
for path in ("/x", "/etc/x", "/usr/x", "/opt/venv/x", "/opt/remediator/x", "/var/tmp/x", "/run/x", "/proc/sys/kernel/core_pattern"):
    try:
        open(path, "w").close(); print(path)
    except OSError:
        pass
"""


async def test_nothing_outside_the_writable_folders_can_be_written(sandbox: Sandbox) -> None:
    assert (await python(sandbox, WRITE_ROOT)).stdout == b""


def test_the_root_file_system_can_be_written_without_its_control(api: Any) -> None:
    with weakened(api, ReadonlyRootfs=False) as run:
        assert b"/opt/venv/x" in run(WRITE_ROOT).stdout


NETWORK = """
import socket
try:
    socket.create_connection(("{host}", 53), timeout=3); print("reached")
except ConnectionRefusedError:
    print("reached")
except OSError as error:
    print("OSError")
"""


async def test_no_network_at_all(sandbox: Sandbox) -> None:
    links = await python(sandbox, "import os; print(os.listdir('/sys/class/net'))")
    out = await python(sandbox, NETWORK.format(host="1.1.1.1"))
    names = await python(sandbox, "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: print('none')")
    assert (links.stdout, out.stdout, names.stdout) == (b"['lo']\n", b"OSError\n", b"none\n")


def test_a_bridge_reaches_its_gateway_without_network_none(api: Any) -> None:
    with contextlib.closing(Network(api, {})) as network:
        gateway = api.inspect_network(network.name)["IPAM"]["Config"][0]["Gateway"]
        with weakened(api, NetworkMode=network.name) as run:
            assert run(NETWORK.format(host=gateway)).stdout == b"reached\n"


SOCKETS = """
import socket
for family, kind, protocol in ((40, 1, 0), (38, 5, 0), (17, 3, 0), (16, 3, 9), (31, 3, 1)):
    try:
        socket.socket(family, kind, protocol); print(family, "open")
    except OSError as error:
        print(family, error.errno)
for family in (1, 2, 10):
    socket.socket(family, 1)
"""


async def test_unusual_sockets_are_refused_and_usual_ones_work(sandbox: Sandbox) -> None:
    result = await python(sandbox, SOCKETS)
    assert result.stdout.decode().split("\n")[:-1] == [f"{family} 1" for family in (40, 38, 17, 16, 31)]
    assert result.ok


def test_the_hypervisor_socket_opens_without_our_filter(api: Any) -> None:
    with weakened(api, SecurityOpt=["no-new-privileges:true", "seccomp=unconfined"]) as run:
        assert b"40 1\n" not in run(SOCKETS).stdout


SYSCALLS = """
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
calls = {"ptrace": 101 if x86 else 117, "process_vm_readv": 310 if x86 else 270, "io_uring_setup": 425, "userfaultfd": 323 if x86 else 282,
         "bpf": 321 if x86 else 280, "perf_event_open": 298 if x86 else 241, "keyctl": 250 if x86 else 219,
         "unshare": 272 if x86 else 97,
         "setns": 308 if x86 else 268, "mount": 165 if x86 else 40, "clone3": 435, "pidfd_getfd": 438,
         "open_by_handle_at": 304 if x86 else 265,
         "init_module": 175 if x86 else 105, "kexec_load": 246 if x86 else 104, "syslog": 103 if x86 else 116, "fsopen": 430}
for name, number in calls.items():
    ctypes.set_errno(0)
    arg = 0x10000000 if name == "unshare" else 0
    result = libc.syscall(number, arg, 0, 0, 0, 0, 0)
    print(name, result, ctypes.get_errno())
"""


async def test_dangerous_system_calls_are_refused(sandbox: Sandbox) -> None:
    lines = [line.split() for line in (await python(sandbox, SYSCALLS)).stdout.decode().splitlines()]
    expected = {"io_uring_setup": 38, "clone3": 38}
    assert len(lines) == 17
    assert {name: int(errno) for name, _, errno in lines} == {name: expected.get(name, 1) for name, _, _ in lines}


def test_some_of_those_system_calls_work_without_our_filter(api: Any) -> None:
    with weakened(api, SecurityOpt=["no-new-privileges:true", "seccomp=unconfined"]) as run:
        told = {line.split()[0]: line.split()[1:] for line in run(SYSCALLS).stdout.decode().splitlines()}
    assert told["ptrace"] == ["0", "0"]
    assert told["unshare"][0] == "0"
    assert told["io_uring_setup"][1] != "38"


async def test_identity_capabilities_and_privileges(sandbox: Sandbox) -> None:
    code = "print(open('/proc/self/status').read())"
    told = dict(line.split(":\t", 1) for line in (await python(sandbox, code)).stdout.decode().splitlines() if ":\t" in line)
    assert told["Uid"].split() == ["10001"] * 4
    assert {told[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")


def test_capabilities_could_be_gained_without_cap_drop(api: Any) -> None:
    with weakened(api, CapDrop=[]) as run:
        assert b"CapBnd:\t0000000000000000" not in run("print(open('/proc/self/status').read())").stdout


async def test_environment_holds_nothing_of_ours(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEDIATOR_CANARY", "must-not-be-seen")
    result = await python(sandbox, "import os; print(sorted(os.environ))")
    assert result.stdout == b"['HOME', 'HOSTNAME', 'LANG', 'PATH']\n"


async def test_no_engine_socket_and_no_host_folder_inside(sandbox: Sandbox) -> None:
    sockets = "[p for p in ('/var/run/docker.sock', '/run/docker.sock') if os.path.exists(p)]"
    code = f"import os; print({sockets}); print(open('/proc/mounts').read())"
    result = (await python(sandbox, code)).stdout.decode().split("\n")
    kinds = {line.split()[1]: line.split()[2] for line in result[1:] if line}
    from_disk = {
        path for path, kind in kinds.items() if kind not in ("tmpfs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "overlay")
    }
    assert result[0] == "[]"
    assert from_disk <= {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}


async def test_the_first_process_cannot_be_stopped_or_taken_over(sandbox: Sandbox) -> None:
    code = """
import os
acts = (lambda: os.kill(1, 9), lambda: open("/proc/1/mem", "r+b"), lambda: open("/proc/1/fd/0"), lambda: open("/proc/1/oom_score_adj", "w"))
for act in acts:
    try:
        act(); print("done")
    except OSError as error:
        print(error.errno)
"""
    result = await python(sandbox, code)
    assert set(result.stdout.split()) <= {b"1", b"13"}
    await sandbox.exec(["kill", "-9", "-1"])
    assert (await sandbox.exec(["true"])).ok


def test_the_first_process_can_be_taken_over_where_it_is_the_same_user(api: Any) -> None:
    with weakened(api, User=user_of(observer=False)) as run:
        assert run("open('/proc/1/mem', 'r+b'); print('open')").stdout == b"open\n"


async def test_runner_and_observer_cannot_touch_each_other(sandbox: Sandbox) -> None:
    kept = await sandbox.exec(
        ["sh", "-c", "umask 077; mkdir /tmp/kept && echo secret > /tmp/kept/x && echo fixed > /tmp/flat && id -u"], cwd="/", observer=True
    )
    tried = await sandbox.exec(
        ["sh", "-c", "cat /tmp/kept/x; echo forged > /tmp/flat; rm -f /tmp/flat; mv /tmp/kept /tmp/away; id -u"], cwd="/"
    )
    assert (kept.stdout, tried.stdout) == (b"10002\n", b"10001\n")
    assert await sandbox.read("/tmp/kept/x") == b"secret\n"
    assert await sandbox.read("/tmp/flat") == b"fixed\n"


async def test_four_spinners_get_no_more_than_their_share_of_the_processor(sandbox: Sandbox) -> None:
    code = """
import os, time
for _ in range(3):
    if os.fork() == 0: break
end = time.monotonic() + 1.5
while time.monotonic() < end: pass
print(time.process_time())
"""
    began = time.monotonic()
    spent = sum(float(x) for x in (await python(sandbox, code)).stdout.split())
    assert spent < 1.3 * (time.monotonic() - began)
