"""The two long-running commands of a clearinghouse: serving, and validating with this machine's sandbox."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from remediator.cli.session import Session
from remediator.errors import ConfigError, RemediatorError, UsageError

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store
    from remediator.evidence.replay import ReplayReport

_log = structlog.get_logger()
_FEED_SECONDS = 3600.0
_JOB = "job-"


def served(
    session: Session,
    data: Path,
    database: str,
    *,
    listen: str,
    hosts: Sequence[str],
    proxies: Sequence[str],
    validators: int,
    git_hosts: Sequence[str],
    quota_bytes: int,
    feeds: Path | None,
    certificate: Path | None,
    private_key: Path | None,
    demo: bool = False,
) -> int:
    """Serve until a signal comes; return the exit code."""
    host, port = _address(listen)
    trusted = frozenset(_proxy(each) for each in proxies)
    tls = _tls(certificate, private_key)
    alone = host in ("127.0.0.1", "::1", "localhost")
    if demo and not alone:
        raise UsageError(f"--demo lets in whoever reads its output, and {host} can be reached by others", hint="--listen 127.0.0.1:8800")
    if tls is None and not alone:
        raise UsageError(
            f"{host} can be reached by others, and tokens would go over plain http",
            hint="--certificate and --private-key, or listen on 127.0.0.1 behind a proxy that speaks https",
        )
    _shown_logs(session)

    async def run() -> None:
        from remediator.clearinghouse.pages import mount
        from remediator.clearinghouse.priority.read import holds_feeds
        from remediator.clearinghouse.server.app import make_app, serving
        from remediator.clearinghouse.server.config import ServerConfig
        from remediator.clearinghouse.server.settled import settle
        from remediator.clearinghouse.store import Store
        from remediator.cli.clearinghouse_demo import check_unused, furnish, stand_ins
        from remediator.cli.feeds import folder_of

        stop = _stopped_by_signal()
        config = ServerConfig()
        config = config._replace(hosts=config.hosts | {each.lower() for each in hosts}, trusted_proxies=trusted)
        async with Store.open(database, data) as store:
            if demo:
                await check_unused(store, data)
            store.quota_bytes = quota_bytes
            app = make_app(store, config)
            mount(app, store, config)
            folder = stand_ins(data / "demo-feeds", store.now) if demo and feeds is None else feeds or folder_of(session)
            if feeds is not None or holds_feeds(folder):
                await _ranked(store, folder)
            async with serving(app, host=host, port=port, ssl_context=tls) as url:
                session.out.print(f"clearinghouse at {url} · ledger key {store.audience} · {validators} validating")
                if not validators:
                    session.talk("nothing is validated here: remediator clearinghouse work, with the same --data and --database, does")
                if demo:
                    await furnish(session, store, data, url)
                session.out.file.flush()
                settle()
                names = [f"{socket.gethostname()}-{os.getpid()}-{number}" for number in range(validators)]
                working: list[asyncio.Task[Any]] = [
                    asyncio.create_task(_validating(session, store, data, name, stop, git_hosts)) for name in names
                ]
                working.append(asyncio.create_task(_ranking(store, folder)))
                await _until(stop, working)
                session.talk("stopping: requests that are under way are finished")
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)

    asyncio.run(run())
    return 0


async def _until(stop: asyncio.Event, working: Sequence[asyncio.Task[Any]]) -> None:
    """Wait for the signal. Work that ends before it has failed: then this ends, too, instead of serving on without it."""
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, *working], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for task in done - {stopped}:
        task.result()


def worked(session: Session, data: Path, database: str, *, once: bool, git_hosts: Sequence[str]) -> int:
    """Validate until a signal comes, or with `once` until nothing is left; return the exit code."""
    from remediator.cli.clearinghouse_store import served_before

    served_before(data)
    _shown_logs(session)

    async def run() -> None:
        from remediator.clearinghouse.store import Store

        stop = _stopped_by_signal()
        async with Store.open(database, data, ticks=False) as store:
            name = f"{socket.gethostname()}-{os.getpid()}"
            task = asyncio.create_task(_validating(session, store, data, name, stop, git_hosts, once=once))
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not task.done():
                task.cancel()
            with suppress(asyncio.CancelledError):
                session.talk(f"{await task} validated")

    asyncio.run(run())
    return 0


async def _ranked(store: Store, folder: Path) -> None:
    from remediator.clearinghouse.priority.rank import UNKNOWN_ASSET, queue_rank, rank
    from remediator.clearinghouse.priority.read import read_feeds
    from remediator.clearinghouse.store import Ranker

    feeds = await asyncio.to_thread(read_feeds, folder, at=store.now)
    store.ranker = Ranker(lambda flaw: rank(flaw, UNKNOWN_ASSET, feeds))
    _log.info("the queue was ranked", moved=await store.rerank(queue_rank))


async def _ranking(store: Store, folder: Path) -> None:
    from remediator.clearinghouse.priority.read import holds_feeds

    while True:
        await asyncio.sleep(_FEED_SECONDS)
        try:
            if await asyncio.to_thread(holds_feeds, folder):
                await _ranked(store, folder)
        except RemediatorError as error:
            # What was known before still holds; that it grows old is told by its date on every row.
            _log.warning("the feeds cannot be read", reason=error.message)


async def _validating(
    session: Session, store: Store, data: Path, name: str, stop: asyncio.Event, git_hosts: Sequence[str], *, once: bool = False
) -> int:
    from remediator.app import Remediator
    from remediator.clearinghouse.recipes import Recipes
    from remediator.clearinghouse.validator import Policy, work

    policy = Policy(frozenset(each.lower() for each in git_hosts)) if git_hosts else Policy()
    # A state folder of its own: nothing that was ever submitted lies among the operator's own runs and keys.
    settings = session.settings.model_copy(update={"state": (data / "validator").absolute()})
    recipes = Recipes.read(settings.validator.recipes)
    async with Remediator.open(settings) as app:
        if settings.validator.reviewer:
            # A name, key or address that is wrong is told now, and not by every fix that would end a level lower.
            await asyncio.to_thread(app.model, settings.validator.reviewer)

        async def replayed(bundle: Path, source: str) -> ReplayReport:
            await asyncio.to_thread(_tidied, settings.state, 2 * policy.most_seconds)
            with tempfile.TemporaryDirectory(prefix=_JOB, dir=settings.state, ignore_cleanup_errors=True) as folder:
                named = Path(folder) / "bundle.tar.zst"
                await asyncio.to_thread(os.link, bundle, named)
                # What is fetched goes with the job: else strangers, each with another repository, would fill the disk that all of it is on.
                own = app.own_way(recipes.of(source))._replace(stores=Path(folder) / "stores")
                return await app.replay(named, source=source, own=own)

        return await work(store, replayed, name=name, stop=stop, once=once, policy=policy)


def _tidied(state: Path, seconds: float) -> None:
    """Remove what jobs left behind whose validators were killed."""
    for left in state.glob(f"{_JOB}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > seconds:
                shutil.rmtree(left, ignore_errors=True)


def _stopped_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"--listen {text}: expected HOST:PORT", hint="such as 127.0.0.1:8800")
    return host.strip("[]") or "127.0.0.1", int(port)


def _proxy(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(
            f"--trusted-proxy {text[:100]}: not an IP address", hint="the one that the proxy's connections come from"
        ) from None


def _tls(certificate: Path | None, private_key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and private_key is None:
        return None
    if certificate is None or private_key is None:
        raise UsageError("--certificate and --private-key belong together")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, private_key, password=_not_asked)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the certificate cannot be used: {_reason(error)}",
            hint="--certificate: a PEM chain; --private-key: its PEM key, not encrypted",
        ) from error
    return context


def _not_asked() -> str:
    # OpenSSL would ask the terminal, and a service would stand there.
    raise ValueError("the private key is encrypted")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).lower().replace("_", " ")


def _shown_logs(session: Session) -> None:
    import logging

    from remediator.cli.log_lines import show_logs

    show_logs(session.err, logging.ERROR if session.quiet else logging.INFO if session.verbose else logging.WARNING)
