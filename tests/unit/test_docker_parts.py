"""The parts of the Docker sandbox that need no engine."""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from remediator.builtin import docker_container, docker_owner
from remediator.builtin.docker_images import image_names, kept_tag, sandbox_folder
from remediator.builtin.docker_layers import delta_between
from remediator.builtin.docker_profile import KEEPER, OBSERVER, RUNNER, Profile, container_config, host_config
from remediator.builtin.docker_sandbox import DockerSandboxProvider, seccomp_profile
from remediator.builtin.docker_stream import Demux, Stream
from remediator.contracts import Limits, TreeEntry
from remediator.errors import SandboxError


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


@pytest.mark.parametrize("step", [1, 3, 8, 9, 1000])
def test_demux_takes_streams_apart_however_they_arrive(step: int) -> None:
    demux = Demux(1000)
    data = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b"more")
    assert all(demux.feed(data[i : i + step]) for i in range(0, len(data), step))
    assert (bytes(demux.stdout), bytes(demux.stderr)) == (b"outmore", b"err")


def test_demux_stops_at_the_cap_over_both_streams() -> None:
    demux = Demux(5)
    assert demux.feed(frame(1, b"abc"))
    assert not demux.feed(frame(2, b"defgh"))
    assert (bytes(demux.stdout), bytes(demux.stderr)) == (b"abc", b"de")


def test_demux_lets_exactly_the_cap_through() -> None:
    assert Demux(5).feed(frame(1, b"abcde"))


def test_bytes_that_came_with_the_headers_are_not_lost() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + frame(1, b"early"))
    response = http.client.HTTPResponse(ours)
    response.begin()
    answer = response.fp.raw  # type: ignore[attr-defined]
    answer._response = SimpleNamespace(raw=SimpleNamespace(_fp=response), close=response.close)
    stream = Stream(answer)
    assert (stream.has_early, stream.receive()) == (True, frame(1, b"early"))
    assert stream.receive() is None
    theirs.close()
    assert stream.receive() == b""
    stream.close()


def entry(path: str, oid: str = "1", mode: int = 0o100644, size: int = 1) -> TreeEntry:
    return TreeEntry(path, mode, oid, size)


def test_delta_names_what_is_gone_and_what_changed() -> None:
    old = [entry("same"), entry("gone"), entry("edited"), entry("mode")]
    new = [entry("same"), entry("edited", "2"), entry("mode", mode=0o100755), entry("new")]
    assert delta_between(old, new) == (("gone",), ("edited", "mode", "new"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([], [entry("link", mode=0o120000)]),
        ([entry("link", mode=0o120000)], []),
        ([entry("x", mode=0o120000)], [entry("x", "2")]),
        ([], [entry("big", size=17 * 1024 * 1024)]),
        ([entry(str(n)) for n in range(600)], []),
    ],
)
def test_delta_that_is_large_or_no_plain_file_is_none(old: list[TreeEntry], new: list[TreeEntry]) -> None:
    assert delta_between(old, new) is None


def test_working_profile_is_closed_in_every_respect() -> None:
    config = host_config(Profile(Limits(memory_mb=10, pids=7, disk_mb=3, inodes=11, tmp_mb=5), "{}"))
    assert (config["NetworkMode"], config["ReadonlyRootfs"], config["CapDrop"], config["Privileged"]) == ("none", True, ["ALL"], False)
    assert config["SecurityOpt"] == ["no-new-privileges:true", "seccomp={}"]
    assert config["Memory"] == config["MemorySwap"] == 10 * 1024 * 1024
    assert (config["PidsLimit"], config["IpcMode"], config["LogConfig"]["Type"]) == (7, "none", "none")
    assert "size=3m,nr_inodes=11" in config["Tmpfs"]["/job"]
    assert config["Tmpfs"]["/tmp"].startswith("rw,nosuid,nodev,noexec,size=5m")
    assert all({"nosuid", "nodev"} <= set(mount.split(",")) and "nr_inodes=" in mount for mount in config["Tmpfs"].values())


def test_container_has_no_environment_and_a_first_process_of_another_user() -> None:
    config = container_config("image", Profile(Limits(), "{}"), {})
    assert config["Env"] == []
    assert config["User"] == f"{KEEPER}:{KEEPER}"
    assert len({KEEPER, RUNNER, OBSERVER}) == 3
    assert config["StdinOnce"]


def test_system_call_filter_allows_by_name_and_none_of_the_dangerous_ones() -> None:
    profile = json.loads(seccomp_profile())
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    unconditional = {
        name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args") for name in rule["names"]
    }
    refused = (
        "ptrace process_vm_readv process_vm_writev io_uring_setup userfaultfd bpf mount umount2 unshare setns keyctl add_key request_key"
    )
    refused += " perf_event_open kexec_load init_module finit_module delete_module open_by_handle_at pivot_root chroot reboot swapon clone3"
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not allowed & set(refused.split())
    assert not unconditional & {"socket", "socketpair", "clone", "personality"}
    assert all(not arch["subArchitectures"] for arch in profile["archMap"])


def test_every_image_folder_has_what_a_build_needs() -> None:
    assert {"python3.9", "python3.11", "python3.13"} <= set(image_names())
    for name in image_names():
        folder = sandbox_folder() / "images" / name
        assert (folder / "Dockerfile").read_text().count("FROM remediator/debian:") == 1
        assert (folder / "uv.txt").read_text().count("--hash=sha256:") == 2


@pytest.mark.parametrize("path", ["/etc/passwd", "/job", "/job/", "/job/../x", "/job/./x", "/tmpx/y", "job/x", "/job/x\0", ""])
def test_paths_outside_are_refused(path: str) -> None:
    with pytest.raises(SandboxError):
        docker_container._checked(path)


def test_owner_is_alive_until_its_process_ends() -> None:
    child = subprocess.Popen(["sleep", "60"])
    owner = docker_owner.owner_id(child.pid)
    assert docker_owner.is_alive(owner)
    child.kill()
    child.wait()
    assert not docker_owner.is_alive(owner)


@pytest.mark.parametrize(
    "owner", ["", "x", "::", "00000000:1:1", f"00000000:{os.getpid()}:1"], ids=["none", "word", "colons", "other", "ours"]
)
def test_unknown_owners_are_dead(owner: str) -> None:
    assert not docker_owner.is_alive(owner)


def test_another_process_with_the_same_number_is_not_the_owner() -> None:
    boot, pid, start = docker_owner.owner_id().split(":")
    assert docker_owner.is_alive(f"{boot}:{pid}:{start}")
    assert not docker_owner.is_alive(f"{boot}:{pid}:{int(start) + 1}")


def test_installations_are_told_apart_by_their_state_folder() -> None:
    assert docker_owner.instance_id("/a") == docker_owner.instance_id("/a") != docker_owner.instance_id("/b")


def test_keys_of_any_text_make_valid_tags() -> None:
    assert kept_tag("a key\n/with: everything" * 50).count(":") == 1
    assert kept_tag("a") != kept_tag("b")


def test_options_are_closed_and_the_certificates_are_a_path() -> None:
    assert DockerSandboxProvider(ca_bundle=Path("/x"), prepare_env={"PIP_INDEX_URL": "https://x"}).name == "docker"
    with pytest.raises(ValueError, match="privileged"):
        DockerSandboxProvider(privileged=True)  # type: ignore[call-arg]
