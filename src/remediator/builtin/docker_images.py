"""Base images: found by the digest of their folder, and built where they are missing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import logging
import os
import re
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from remediator.builtin import docker_debootstrap
from remediator.builtin.docker_engine import translated
from remediator.builtin.docker_network import Network
from remediator.errors import SandboxUnavailableError

KEPT = "remediator/prepared"
_FOLDER = "remediator.folder"
_KEY = "remediator.key"
_BASE = re.compile(r"^FROM (remediator/debian:([a-z]+))", re.MULTILINE)
_BUILD_SECONDS = 1800

log = logging.getLogger("remediator.sandbox")


def sandbox_folder() -> Path:
    """Return the folder of Dockerfiles and profile: in the installed package, else in the checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sandbox", package.parents[1] / "sandbox"):
        if (folder / "seccomp.json").is_file():
            return folder
    raise SandboxUnavailableError(f"the folder `sandbox` is missing beside {package}", hint="Install remediator again.")


def image_names() -> tuple[str, ...]:
    """Return the names of the base images that can be built."""
    return tuple(sorted(path.parent.name for path in (sandbox_folder() / "images").glob("*/Dockerfile")))


class BaseImages:
    """Finds and builds base images. All methods block."""

    def __init__(
        self, api: Any, *, build_args: Mapping[str, str], ca_bundle: Path | None, registry: str, labels: Mapping[str, str]
    ) -> None:
        self._api = api
        self._labels = labels
        self._build_args = dict(build_args)
        self._ca_bundle = ca_bundle
        self._registry = registry

    def ensure(self, name: str) -> str:
        """Return the image id of a base image, built first where it is missing. Raises SandboxUnavailableError."""
        folder = _image_folder(name)
        tag = f"remediator/{name}:{self._key(folder)}"
        if found := self.find(tag):
            return found
        with _one_builder(folder.parent):
            return self.find(tag) or self._build(name, folder, tag)

    def find(self, reference: str) -> str | None:
        """Return an image's id, or None where there is no such image."""
        from docker.errors import ImageNotFound

        with translated(f"to look for the image {reference}"):
            try:
                return str(self._api.inspect_image(reference)["Id"])
            except ImageNotFound:
                return None

    def _key(self, folder: Path) -> str:
        hasher = hashlib.sha256(json.dumps(sorted(self._build_args.items())).encode())
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            hasher.update(f"{path.name}\0{len(data)}\0".encode() + data)
        return hasher.hexdigest()[:16]

    def _build(self, name: str, folder: Path, tag: str) -> str:
        dockerfile = (folder / "Dockerfile").read_text(encoding="utf-8")
        base = _BASE.search(dockerfile)
        if base is None:
            raise SandboxUnavailableError(f"{folder}/Dockerfile does not begin on remediator/debian:SUITE")
        if self.find(base[1]) is None:
            docker_debootstrap.make_base(self._api, suite=base[2], tag=base[1], registry=self._registry, build_args=self._build_args)
        log.info("building the sandbox image %s: a minute or two, once", name)
        began = time.monotonic()
        self._run_build(folder, tag)
        log.info("the sandbox image %s is ready after %.0f s", name, time.monotonic() - began)
        built = self.find(tag)
        if built is None:
            raise SandboxUnavailableError(f"the engine built {tag} and does not have it", hint="See `docker system df`.")
        return built

    def _run_build(self, folder: Path, tag: str) -> None:
        last: list[str] = []
        with translated(f"to build {tag}"), contextlib.closing(Network(self._api, self._labels)) as network:
            lines = self._api.build(
                network_mode=network.name,
                fileobj=_context(folder, self._ca_bundle),
                custom_context=True,
                tag=tag,
                rm=True,
                forcerm=True,
                decode=True,
                timeout=_BUILD_SECONDS,
                buildargs=self._build_args,
                labels={_FOLDER: tag.rpartition(":")[2]},
            )
            for line in lines:
                text = str(line.get("error") or line.get("stream") or "").strip()
                last = [*last, text][-12:] if text else last
                if "error" in line:
                    raise SandboxUnavailableError(
                        f"building {tag} failed: {' | '.join(last)[-1500:]}",
                        hint="The build needs the network: a Debian mirror and a Python index (options `build_args`, `ca_bundle`).",
                    )

    def kept(self, key: str) -> str | None:
        """Return the id of the image kept under a key, or None."""
        from docker.errors import ImageNotFound

        with translated("to look for a prepared image"):
            try:
                image = self._api.inspect_image(kept_tag(key))
            except ImageNotFound:
                return None
        same = (image["Config"].get("Labels") or {}).get(_KEY) == key
        return str(image["Id"]) if same else None


def kept_tag(key: str) -> str:
    """Return the tag under which a prepared image is kept."""
    return f"{KEPT}:{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def kept_labels(key: str) -> dict[str, str]:
    """Return the labels of a prepared image."""
    return {_KEY: key}


def _image_folder(name: str) -> Path:
    if name not in image_names():
        raise SandboxUnavailableError(f"there is no sandbox image {name!r}", hint=f"There are: {', '.join(image_names())}.")
    return sandbox_folder() / "images" / name


def _context(folder: Path, ca_bundle: Path | None) -> io.BytesIO:
    """Return the build context: the folder, and the operator's certificates for the stage that is thrown away."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            _add(archive, path.name, path.read_bytes())
        _add(archive, "ca.pem", ca_bundle.read_bytes() if ca_bundle is not None else b"")
    packed.seek(0)
    return packed


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), 0o644, 0
    archive.addfile(member, io.BytesIO(data))


@contextlib.contextmanager
def _one_builder(folder: Path) -> Iterator[None]:
    """Let one process of this machine build at a time; the others wait and then find what it made."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    give_up = time.monotonic() + _BUILD_SECONDS
    told = False
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise SandboxUnavailableError("another process has been building sandbox images for too long") from None
        if not told:
            log.info("another process is building sandbox images: waiting for it")
            told = True
        time.sleep(0.5)
