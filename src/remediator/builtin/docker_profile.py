"""What a container may do, as the engine's own JSON: pure functions, no engine needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from remediator.contracts import Limits

RUNNER = 10001
OBSERVER = 10002
KEEPER = 10003
JOB = "/job"
WRITABLE = ("/job", "/tmp")  # noqa: S108

_MEGABYTE = 1024 * 1024

# The first process. It belongs to a user of its own, so the tree's code can neither stop nor take it over; it ends, and everything with
# it, when our end of its input closes, also when we are killed. It answers each line with the cgroup's count of out-of-memory kills
# and of processes. Ignoring CHLD makes the kernel reap orphans, which no shell can be made to do; perl is in every Debian.
KEEPER_SCRIPT = """\
$SIG{$_} = 'IGNORE' for qw(CHLD HUP INT QUIT TERM PIPE);
$| = 1;
sub text { for my $path (@_) { open(my $file, '<', $path) or next; local $/; return scalar <$file>; } return ''; }
while (<STDIN>) {
  my ($kills) = text('/sys/fs/cgroup/memory.events', '/sys/fs/cgroup/memory/memory.oom_control') =~ /^oom_kill (\\d+)/m;
  my ($processes) = text('/sys/fs/cgroup/pids.current', '/sys/fs/cgroup/pids/pids.current') =~ /^(\\d+)/;
  print $kills // '-', ' ', $processes // '-', "\\n";
}
"""


class Profile(NamedTuple):
    """Everything that decides how a container is confined, but for its image and labels."""

    limits: Limits
    seccomp: str
    runtime: str = ""
    network: str = "none"
    read_only: bool = True
    tmp_exec: bool = False
    mounts: tuple[Mapping[str, Any], ...] = ()
    job_volume: bool = False


def host_config(profile: Profile) -> dict[str, Any]:
    """Return the engine's HostConfig for a profile."""
    limits = profile.limits
    memory = limits.memory_mb * _MEGABYTE
    config: dict[str, Any] = {
        "NetworkMode": profile.network,
        "ReadonlyRootfs": profile.read_only,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={profile.seccomp}"],
        "PidsLimit": limits.pids,
        "Memory": memory,
        "MemorySwap": memory,
        "NanoCpus": int(limits.cpus * 1_000_000_000),
        "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "nofile", "Soft": 4096, "Hard": 8192}],
        "IpcMode": "none",
        "CgroupnsMode": "private",
        "LogConfig": {"Type": "none", "Config": {}},
        "OomScoreAdj": 900,
        "Tmpfs": _tmpfs(profile),
        "Mounts": [dict(mount) for mount in profile.mounts],
        "Privileged": False,
        "Init": False,
        "RestartPolicy": {"Name": "no"},
    }
    if profile.runtime:
        config["Runtime"] = profile.runtime
    return config


def _tmpfs(profile: Profile) -> dict[str, str]:
    limits = profile.limits
    execute = "exec" if profile.tmp_exec else "noexec"
    small = "rw,nosuid,nodev,nr_inodes=20000"
    mounts = {
        "/tmp": f"rw,nosuid,nodev,{execute},size={limits.tmp_mb}m,nr_inodes={limits.inodes},mode=1777",  # noqa: S108
        "/home/runner": f"{small},exec,size={limits.tmp_mb}m,uid={RUNNER},gid={RUNNER},mode=0755",
        "/home/observer": f"{small},noexec,size=64m,uid={OBSERVER},gid={OBSERVER},mode=0700",
        "/dev/shm": f"{small},noexec,size=64m,mode=1777",  # noqa: S108
    }
    if not profile.job_volume:
        mounts[JOB] = f"rw,nosuid,nodev,exec,size={limits.disk_mb}m,nr_inodes={limits.inodes},uid={RUNNER},gid={RUNNER},mode=0755"
    return mounts


def container_config(image: str, profile: Profile, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the engine's body for creating a container: our first process, one stream to it, no environment of its own."""
    return {
        "Image": image,
        "User": f"{KEEPER}:{KEEPER}",
        "Entrypoint": ["/usr/bin/perl", "-e", KEEPER_SCRIPT],
        "Cmd": [],
        "Env": [],
        "WorkingDir": "/",
        "Hostname": "sandbox",
        "Labels": dict(labels),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": False,
        "Tty": False,
        "HostConfig": host_config(profile),
    }


def user_of(observer: bool) -> str:
    """Return `uid:gid` of the runner, or of the observer."""
    uid = OBSERVER if observer else RUNNER
    return f"{uid}:{uid}"


def kept_config(base_env: Sequence[str], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the image configuration that a kept container gets: nothing of what we ran it with."""
    return {
        "User": f"{RUNNER}:{RUNNER}",
        "Cmd": ["/bin/sh"],
        "Entrypoint": [],
        "Env": list(base_env),
        "WorkingDir": JOB,
        "Volumes": {},
        "ExposedPorts": {},
        "Labels": dict(labels),
        "OpenStdin": False,
        "StdinOnce": False,
    }
