"""A clearinghouse on loopback in a thread of its own, machines of operators that are used by their command line, and lines that lie."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import pytest
import structlog
from aiohttp import web

from remediator.clearinghouse.server.app import make_app, serving
from remediator.clearinghouse.server.config import ServerConfig
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.answers import Validation
from remediator.clearinghouse.wire.terms import FixState, Scope, Tier, Verb
from remediator.cli.main import run
from remediator.records.patch import Patch
from remediator.testing.clearinghouse import FLAW, Clock, Party, party

T = TypeVar("T")
PROGRAM = str(Path(sys.executable).parent / "remediator")
DIFF = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-yaml.load(x)\n+yaml.safe_load(x)\n"


class Now(Clock):
    """The real time: who signs does so by it."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class House:
    """A clearinghouse, a team that submits to it, and a hospital that pulls."""

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store, url: str, team: Party, hospital: Party) -> None:
        self.loop, self.store, self.url, self.team, self.hospital = loop, store, url, team, hospital
        self.trust = store.audience

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def fix(self, name: str, *, patch: str = DIFF, **flaw: Any) -> str:
        """Let a fix out, for a project of its own: `pkg:pypi/NAME` 1.0."""
        return self.do(self._fix(name, patch, {"project": f"pkg:pypi/{name}", "version": "1.0", **flaw}))

    async def _fix(self, name: str, patch: str, flaw: dict[str, Any]) -> str:
        digest = await self.team.put(name.encode())
        patch_id = Patch.of(finding_id="", fixer="", title="", diff=patch).id
        body = {"flaw": {**FLAW, "aliases": [], **flaw}, "submission_id": name, "patch_id": patch_id, "bundle": digest}
        answer = await self.team.ask(Verb.submit_fix, {**body, "bundle_bytes": len(name), "claimed_level": 4})
        job = await self.store.take_job("v", 60)
        assert job is not None
        assert await self.store.finish_job(job, Validation(outcome="agreed", level=4), FixState.verified, patch=patch, lines_changed=2)
        return answer.id

    def revoke(self, fix_id: str, reason: str = "bypassed") -> None:
        self.do(self.team.ask(Verb.revoke, {"fix_id": fix_id, "reason": reason}))

    def outcomes(self, fix_id: str) -> dict[str, int]:
        return self.do(self.store.fix(self.team.caller, fix_id)).outcomes

    def register(self, line: str) -> None:
        self.do(self.store.add_key(self.hospital.id, line))

    @contextmanager
    def behind(self, change: Callable[[str, bytes], bytes | None]) -> Iterator[str]:
        """Yield the address of a line that changes answers by their path; None is: no answer."""
        ready: Future[str] = Future()
        stop = asyncio.Event()

        async def serve() -> None:
            async with line(self.url, change) as url:
                ready.set_result(url)
                await stop.wait()

        task = asyncio.run_coroutine_threadsafe(serve(), self.loop)
        try:
            yield ready.result(30)
        finally:
            self.loop.call_soon_threadsafe(stop.set)
            task.result(30)


@asynccontextmanager
async def line(url: str, change: Callable[[str, bytes], bytes | None]) -> Any:
    async with aiohttp.ClientSession() as http:

        async def passed(request: web.Request) -> web.StreamResponse:
            headers = {k: v for k, v in request.headers.items() if k in ("Authorization", "Content-Type")}
            if request.path.endswith("/stream"):
                return web.Response(status=404)
            async with http.request(request.method, url + request.path_qs, data=await request.read(), headers=headers) as answer:
                body, status, kind = await answer.read(), answer.status, answer.content_type
            changed = change(request.path, body)
            if changed is None:
                assert request.transport is not None
                request.transport.abort()
            return web.Response(body=changed, status=status, content_type=kind)

        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", passed)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@contextmanager
def house() -> Iterator[House]:
    """Serve on loopback, with everything in memory where there is room for it."""
    ready: Future[House] = Future()
    stop = asyncio.Event()
    memory = Path("/dev/shm")
    data = tempfile.mkdtemp(prefix="ch-", dir=memory if memory.is_dir() else None)
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        config = ServerConfig(tick_seconds=0, requests_burst=5000, address_requests_burst=5000, heartbeat_seconds=0.5)
        async with Store.open("sqlite", Path(data), clock=Now()) as store:
            team = await party(store, Now(), "Team", Tier.operator, (Scope.submit, Scope.assess, Scope.pull))
            hospital = await party(store, Now(), "St. Anna Hospital", Tier.operator, (Scope.pull,))
            async with serving(make_app(store, config)) as url:
                ready.set_result(House(loop, store, url, team, hospital))
                await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    # What the server logs is not what the command prints.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ready.result(60)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        structlog.reset_defaults()
        shutil.rmtree(data)


class Machine:
    """One machine of an operator, with a state folder of its own, used by its command line."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._capsys, self._patch = folder, capsys, monkeypatch
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def environment(self, **more: str) -> dict[str, str]:
        where = {"REMEDIATOR_HOME": str(self.state), "XDG_CONFIG_HOME": str(self.folder / "config"), "NO_COLOR": "1"}
        return {**os.environ, **where, **more}

    def __call__(self, *words: str | Path, stdin: str = "", **more: str) -> Done:
        """Run one command line in this process, as the program's entry does."""
        with self._patch.context() as patched:
            for name, value in self.environment(**more).items():
                patched.setenv(name, value)
            patched.chdir(self.folder)
            patched.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            self._capsys.readouterr()
            code = run([str(word) for word in words])
        told = self._capsys.readouterr()
        return Done(code, told.out, told.err)

    def program(self, *words: str | Path, stdin: str = "", **more: str) -> Done:
        """Run it as a program of its own."""
        done = subprocess.run(
            [PROGRAM, *map(str, words)],
            cwd=self.folder, env=self.environment(**more), input=stdin, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str | Path, **more: str) -> subprocess.Popen[str]:
        argv = [PROGRAM, *map(str, words)]
        return subprocess.Popen(
            argv, cwd=self.folder, env=self.environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def files(self) -> dict[str, bytes]:
        """Return everything that is kept of subscriptions."""
        return {
            str(path.relative_to(self.state)): path.read_bytes()
            for path in self.state.glob("subscriptions/**/*")
            if path.is_file() and path.name != ".lock"
        }

    def sbom(self, *names: str, version: str = "1.0", file: str = "sbom.cdx.json", unnamed: int = 0) -> Path:
        parts: list[dict[str, Any]] = [
            {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}", "bom-ref": name} for name in names
        ]
        parts += [{"type": "library", "name": f"nameless-{number}", "bom-ref": f"n{number}"} for number in range(unnamed)]
        path = self.folder / file
        path.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts}))
        return path


def subscribed(machine: Machine, told: House, url: str = "") -> Machine:
    """Subscribe a machine with its token by standard input; the rest is by the command line."""
    done = machine("subscribe", url or told.url, "--trust", told.trust, "--token-stdin", stdin=told.hospital.token + "\n")
    assert done.code == 0, done
    return machine
