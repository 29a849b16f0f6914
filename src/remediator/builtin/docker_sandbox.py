"""Opens sandboxes that are Docker containers: the built-in sandbox provider."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from pydantic import Field, PrivateAttr

from remediator.builtin.docker_box import Box
from remediator.builtin.docker_cell import Cell
from remediator.builtin.docker_container import DockerContainer
from remediator.builtin.docker_disk import DiskWatch
from remediator.builtin.docker_engine import connect, describe, translated
from remediator.builtin.docker_images import BaseImages, kept_labels, kept_tag, sandbox_folder
from remediator.builtin.docker_layers import Layer, Layers, job_mount
from remediator.builtin.docker_network import Network
from remediator.builtin.docker_owner import instance_id, labels, sweep
from remediator.builtin.docker_profile import Profile, kept_config
from remediator.contracts import Engine, Limits, PrepareSpec, Sandbox, SandboxProvider, SandboxSpec
from remediator.errors import SandboxError

T = TypeVar("T")

_THREADS = 64
_CA_PATH = "/tmp/remediator-ca.pem"  # noqa: S108
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")
_PREPARE_ENV = {"PIP_NO_CACHE_DIR": "1", "UV_NO_CACHE": "1", "UV_LINK_MODE": "copy", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


class DockerSandboxProvider(SandboxProvider):
    """Docker, or podman's compatible service: one hardened container per sandbox, none of them with a network but while preparing."""

    name: ClassVar[str] = "docker"

    host: str = Field(default="", description="Address of the engine; the local socket where empty.")
    runtime: str = Field(default="", description="Container runtime, such as `runsc`; the engine's own where empty.")
    ca_bundle: Path | None = Field(default=None, description="Certificates that prepare containers need to reach the registries.")
    prepare_env: dict[str, str] = Field(default={}, description="Environment of prepare containers, such as PIP_INDEX_URL. No secrets.")
    base_registry: str = Field(default="debian", description="Where the base image may be pulled from; nowhere if empty.")
    build_args: dict[str, str] = Field(default={}, description="Arguments of image builds, such as DEBIAN_MIRROR and PIP_INDEX_URL.")
    tmp_exec: bool = Field(default=False, description="Whether programs under /tmp may be executed while working.")
    state: str = Field(default="", description="State folder of this installation; tells its objects from another's.")

    _api: Any = PrivateAttr(default=None)
    _network: Network | None = PrivateAttr(default=None)
    _layers: Layers | None = PrivateAttr(default=None)
    _guards_connection: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor | None = PrivateAttr(default=None)

    async def __aexit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        await self._call(self._close)
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def version(self) -> str:
        """Return the digest of the system call filter."""
        return hashlib.sha256(seccomp_profile().encode()).hexdigest()

    async def probe(self) -> Engine:
        """Return what answers. Raises SandboxUnavailableError with a hint where nothing does."""
        return await self._call(lambda: describe(self._client(), self.runtime))

    def open(self, spec: SandboxSpec) -> AbstractAsyncContextManager[Sandbox]:
        """Open a fresh sandbox without network; leaving ends everything in it, whatever happens."""
        return self._open(spec)

    @asynccontextmanager
    async def _open(self, spec: SandboxSpec) -> AsyncIterator[Sandbox]:
        image = await self._image(spec.image)
        profile = Profile(limits=spec.limits, seccomp=seccomp_profile(), runtime=self.runtime, tmp_exec=self.tmp_exec)

        def start(layer: Layer | None) -> Box:
            chosen = profile if layer is None else profile._replace(mounts=(job_mount(layer.volume),), job_volume=True)
            return self._box(image, chosen, "work", spec.labels)

        cell = Cell(start, lambda tree: self._shared_layers().above(tree, image, spec.limits), keepable=False)
        async with self._ending(cell):
            yield DockerContainer.around(cell, self._call, limits=spec.limits, image_digest=image, env={})

    def prepare(self, spec: PrepareSpec) -> AbstractAsyncContextManager[Sandbox]:
        """Open a sandbox with network, to install things in; see `keep`."""
        return self._prepare(spec)

    @asynccontextmanager
    async def _prepare(self, spec: PrepareSpec) -> AsyncIterator[Sandbox]:
        image = await self._image(spec.image)
        network = await self._call(self._prepare_network)
        profile = Profile(spec.limits, seccomp_profile(), runtime=self.runtime, network=network, read_only=False, tmp_exec=True)

        def start(layer: Layer | None) -> Box:
            box = self._box(image, profile, "prepare", spec.labels)
            DiskWatch(self._client(), box, spec.limits.disk_mb)
            return box

        cell = Cell(start, lambda tree: None, keepable=True)
        async with self._ending(cell):
            bundle = await asyncio.to_thread(self.ca_bundle.read_bytes) if self.ca_bundle is not None else b""
            trust = dict.fromkeys(_CA_VARIABLES, _CA_PATH) if bundle else {}
            env = {**_PREPARE_ENV, **trust, **self.prepare_env}
            sandbox = DockerContainer.around(cell, self._call, limits=spec.limits, image_digest=image, env=env)
            if bundle:
                await sandbox.write(_CA_PATH, bundle)
            yield sandbox

    async def keep(self, sandbox: Sandbox, spec: PrepareSpec) -> str:
        """Keep the file system of a sandbox that `prepare` opened (without `/job` and `/tmp`); return the image's digest."""
        if not isinstance(sandbox, DockerContainer) or not sandbox.cell.keepable:
            raise SandboxError("only a sandbox that `prepare` opened can be kept")
        return await self._call(lambda: self._keep(sandbox.cell.box(), spec))

    async def find(self, key: str) -> str | None:
        """Return the digest of the image kept under `key`, or None."""
        return await self._call(lambda: self._images().kept(key))

    async def sweep(self) -> int:
        """Remove what crashed runs of this installation left behind; return how many objects."""
        return await self._call(self._sweep)

    @asynccontextmanager
    async def _ending(self, cell: Cell) -> AsyncIterator[None]:
        try:
            yield
        finally:
            cell.abort()
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._pool(), cell.end))

    def _box(self, image: str, profile: Profile, role: str, marks: Mapping[str, str]) -> Box:
        return Box(self._client(), image, profile, labels(self._instance(), role, marks))

    async def _call(self, call: Callable[[], T], abort: Callable[[], None] | None = None) -> T:
        """Run a blocking call in our pool. Where we are cancelled, `abort` makes it end, and we wait for that."""
        running = asyncio.get_running_loop().run_in_executor(self._pool(), call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_forget)
            if abort is not None:
                abort()
                await asyncio.wait([running], timeout=10)
            raise

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sandbox")
        return self._threads

    def _client(self) -> Any:
        with self._guards_connection:
            if self._api is None:
                self._api = connect(self.host)
            return self._api

    def _close(self) -> None:
        if self._layers is not None:
            self._layers.close()
            self._layers = None
        if self._network is not None:
            self._network.close()
            self._network = None
        if self._api is not None:
            self._api.close()
            self._api = None

    def _instance(self) -> str:
        return instance_id(self.state)

    def _images(self) -> BaseImages:
        return BaseImages(
            self._client(),
            build_args=self.build_args,
            ca_bundle=self.ca_bundle,
            registry=self.base_registry,
            labels=labels(self._instance(), "build", {}),
        )

    async def _image(self, name: str) -> str:
        """Return the id of an image that is named by digest, or by the name of a base image; building one may take minutes."""
        if not name.startswith("sha256:"):
            return await in_daemon_thread(lambda: self._images().ensure(name))
        found = await self._call(lambda: self._images().find(name))
        if found is None:
            raise SandboxError(f"the prepared image {name[:19]} is gone", hint="Prepare the project again.")
        return found

    def _shared_layers(self) -> Layers:
        api, profile = self._client(), Profile(limits=Limits(), seccomp=seccomp_profile(), runtime=self.runtime)
        with self._guards_connection:
            if self._layers is None:
                self._layers = Layers(
                    api,
                    lambda image, chosen: self._box(image, chosen, "layer", {}),
                    profile,
                    lambda role: labels(self._instance(), role, {}),
                )
            return self._layers

    def _prepare_network(self) -> str:
        api = self._client()
        with self._guards_connection:
            if self._network is None:
                self._network = Network(api, labels(self._instance(), "prepare", {}))
            return self._network.name

    def _keep(self, box: Box, spec: PrepareSpec) -> str:
        tag = kept_tag(spec.key)
        base = self._client().inspect_image(box.image)["Config"]
        marks = {**spec.labels, **kept_labels(spec.key)}
        with translated("to keep the prepared image", begun=True):
            return box.commit(tag, kept_config(base.get("Env") or (), marks))

    def _sweep(self) -> int:
        with translated("to look for leftovers"):
            return sweep(self._client(), self._instance())


@functools.cache
def seccomp_profile() -> str:
    """Return our system call filter as the engine wants it."""
    return json.dumps(json.loads((sandbox_folder() / "seccomp.json").read_bytes()))


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Run a call that may take minutes so that an interrupted process need not wait for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        outcome: tuple[T | None, BaseException | None]
        try:
            outcome = (call(), None)
        except BaseException as error:
            outcome = (None, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, daemon=True, name="sandbox-image").start()
    return await done


def _forget(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()
