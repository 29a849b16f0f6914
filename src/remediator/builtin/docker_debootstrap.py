"""Makes `remediator/debian:SUITE`: the official image where a registry answers, else debootstrap's tree, imported."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

from remediator.builtin.docker_engine import client_errors, translated
from remediator.errors import SandboxUnavailableError

_PULL_SECONDS = 300
_DEBOOTSTRAP_SECONDS = 900
_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

log = logging.getLogger("remediator.sandbox")


def make_base(api: Any, *, suite: str, tag: str, registry: str, build_args: Mapping[str, str]) -> None:
    """Make the base image of a Debian suite. Raises SandboxUnavailableError saying what is missing."""
    if registry and _pulled(api, f"{registry}:{suite}", tag):
        return
    program = shutil.which("debootstrap", path=_ENV["PATH"])
    if program is None or os.geteuid() != 0:
        raise SandboxUnavailableError(
            f"no base image for Debian {suite}: no registry answered, and debootstrap {'needs root' if program else 'is not installed'}",
            hint=f"Name a registry (`base_registry`), or once, as root: `apt install debootstrap`, then try again; or tag one as {tag}.",
        )
    log.info("no registry answers: making Debian %s with debootstrap, about a minute, once", suite)
    with tempfile.TemporaryDirectory(prefix="remediator-base-", dir="/var/tmp") as folder:
        _debootstrap(program, suite, folder, build_args.get("DEBIAN_MIRROR", ""))
        _import(api, folder, tag)


def _pulled(api: Any, source: str, tag: str) -> bool:
    """Return whether the registry had the image."""
    log.info("looking for the base image %s", source)
    give_up = time.monotonic() + _PULL_SECONDS
    repository, _, version = source.rpartition(":")
    try:
        for line in api.pull(repository, tag=version, stream=True, decode=True):
            if "error" in line or time.monotonic() > give_up:
                return False
        return bool(api.tag(source, *tag.split(":")))
    except client_errors():
        return False


def _debootstrap(program: str, suite: str, folder: str, mirror: str) -> None:
    argv = [program, "--variant=minbase", suite, folder, *([mirror] if mirror else [])]
    try:
        done = subprocess.run(argv, env=_ENV, capture_output=True, timeout=_DEBOOTSTRAP_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SandboxUnavailableError(f"debootstrap {suite} took longer than {_DEBOOTSTRAP_SECONDS} s") from error
    if done.returncode != 0:
        told = (done.stdout + done.stderr).decode("utf-8", "replace").strip()[-600:]
        raise SandboxUnavailableError(f"debootstrap {suite} failed: {told}", hint="It needs a Debian mirror (`build_args`: DEBIAN_MIRROR).")


def _import(api: Any, folder: str, tag: str) -> None:
    argv = ["tar", "--numeric-owner", "--exclude=./dev/*", "--exclude=./var/cache/apt/archives/*.deb", "-C", folder, "-cf", "-", "."]
    repository, _, version = tag.partition(":")
    with translated(f"to import {tag}"), subprocess.Popen(argv, env=_ENV, stdout=subprocess.PIPE) as packer:
        assert packer.stdout is not None
        api.import_image_from_stream(
            _chunks(packer.stdout), repository=repository, tag=version, changes=["LABEL remediator.base=debootstrap"]
        )
        if packer.wait(60) != 0:
            raise SandboxUnavailableError(f"packing {folder} failed")


def _chunks(source: Any) -> Iterator[bytes]:
    while chunk := source.read(1024 * 1024):
        yield chunk
