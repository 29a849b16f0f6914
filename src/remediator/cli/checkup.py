"""The single checks of `doctor`: each looks at one thing and never fails for another's sake."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from remediator.errors import RemediatorError

if TYPE_CHECKING:
    from remediator.playbook import Playbook, Use
    from remediator.registry import Registry
    from remediator.settings import Settings

_OLDEST_PYTHON = (3, 11)
_LEAST_FREE = 2 * 1024**3
_MOST_SECONDS = 120
MISSING_SANDBOX = "repository code will not run; evidence stops below E1"


class Line(NamedTuple):
    """What one check says. `state` is ok, warn, FAIL or info."""

    state: str
    topic: str
    text: str
    hint: str = ""


async def look(settings: Settings) -> AsyncIterator[Line]:
    """Yield what every check says of this machine and these settings."""
    yield _python()
    yield _git()
    for line in (*_state(settings), _disk(settings), _key(settings)):
        yield line
    registry = _registry(settings)
    if isinstance(registry, Line):
        yield registry
        return
    for line in _plugins(registry):
        yield line
    async for line in _models(settings, registry):
        yield line
    playbook = _playbook(settings, registry)
    if isinstance(playbook, Line):
        yield playbook
        return
    yield Line("ok", "playbook", f"{playbook.name}: every component is there")
    async for line in _scanners(settings, registry, playbook):
        yield line
    async for line in _sandbox(settings, registry, playbook):
        yield line
    yield _hosts(settings, playbook, registry)


def _python() -> Line:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Line("ok" if sys.version_info >= _OLDEST_PYTHON else "FAIL", "python", version)


def _git() -> Line:
    from remediator.settings import environment_path

    found = shutil.which("git", path=environment_path())
    return Line("ok", "git", found) if found else Line("FAIL", "git", "not found on PATH", "install git (Debian: apt-get install git)")


def _state(settings: Settings) -> Iterator[Line]:
    folder = settings.state
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        writable = _writable(parent)
        yield Line(
            "ok" if writable else "FAIL", "state", f"{folder} is made by the first run", "" if writable else f"{parent} is not writable"
        )
        return
    try:
        found = folder.lstat()
    except OSError as error:
        yield Line("FAIL", "state", f"{folder}: {error.strerror}")
        return
    if stat.S_ISLNK(found.st_mode):
        yield Line("FAIL", "state", f"{folder} is a symbolic link", "set `state` to the real folder")
    elif stat.S_IMODE(found.st_mode) & 0o077:
        yield Line("FAIL", "state", f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):o})", f"chmod 700 {folder}")
    elif not _writable(folder):
        yield Line("FAIL", "state", f"{folder} is not writable", "run as its owner, or set REMEDIATOR_HOME")
    else:
        yield Line("ok", "state", f"{folder}, yours alone")


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _disk(settings: Settings) -> Line:
    folder = settings.state if settings.state.exists() else next(parent for parent in settings.state.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    told = f"{free / 1024**3:.1f} GB free below {folder}"
    return (
        Line("ok", "disk", told) if free >= _LEAST_FREE else Line("warn", "disk", told, "a run may need 2 GB; free some, or move `state`")
    )


def _key(settings: Settings) -> Line:
    from remediator.evidence.keys import KEY_FILE, TrustedKeys, signing_key

    folder = settings.state / "keys"
    if not (folder / KEY_FILE).exists():
        return Line("info", "key", "none yet: made on first use, kept in the state folder")
    try:
        key = signing_key(folder)
        others = len(TrustedKeys.load(folder)) - 1
    except RemediatorError as error:
        return _failed("key", error)
    return Line("ok", "key", f"{key.public.keyid}, {others} more trusted")


def _registry(settings: Settings) -> Registry | Line:
    from remediator.registry import Registry

    try:
        return Registry.load(enabled=settings.plugins, files=settings.plugin_files, builtin_only=settings.no_plugins)
    except RemediatorError as error:
        return _failed("plugins", error)


def _plugins(registry: Registry) -> Iterator[Line]:
    for plugin in registry.plugins():
        if plugin.state == "ok":
            yield Line("ok", "plugin", f"{plugin.name} {plugin.version}: {', '.join(plugin.components)}")
        elif plugin.state == "not-enabled":
            yield Line("info", "plugin", f"{plugin.name} is installed, not enabled", "name it in `plugins` to use it")
        else:
            yield Line(
                "FAIL", "plugin", f"{plugin.name} {plugin.state}: {plugin.reason}", "install or mend it, or take it out of `plugins`"
            )


async def _models(settings: Settings, registry: Registry) -> AsyncIterator[Line]:
    """Ask every model one small question: that a key is there does not say that it is taken."""
    from remediator.engine.trying import ask_small_question
    from remediator.models import make_model, model_names

    for name in model_names(settings):
        topic = f"model {name}"
        if settings.offline and not _is_on_this_machine(settings, name):
            yield Line("info", topic, "not asked (--offline)")
            continue
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                reply = await ask_small_question(await asyncio.to_thread(make_model, name, settings, registry), name, settings)
        except RemediatorError as error:
            yield _failed(topic, error)
        except TimeoutError:
            yield Line("FAIL", topic, f"no answer within {_MOST_SECONDS} s")
        else:
            yield Line("ok", topic, f"{reply.model or name} answers in {reply.spend.seconds:.1f} s")


def _is_on_this_machine(settings: Settings, name: str) -> bool:
    from remediator.llm.address import is_loopback

    return is_loopback(str(settings.models[name].options.get("base_url", "")))


def _playbook(settings: Settings, registry: Registry) -> Playbook | Line:
    from remediator.playbook import load_playbook

    try:
        return load_playbook(settings.playbook, registry)
    except RemediatorError as error:
        return _failed("playbook", error)


async def _scanners(settings: Settings, registry: Registry, playbook: Playbook) -> AsyncIterator[Line]:
    """Let every scanner read one small file: that it is installed says little."""
    for use in playbook.scan:
        topic = f"scanner {use.name}"
        try:
            async with asyncio.timeout(_MOST_SECONDS), _made(use, "scanner", registry, settings) as scanner:
                missed = await _canary(scanner)
                version = scanner.version()
        except RemediatorError as error:
            yield _failed(topic, error)
        except TimeoutError:
            yield Line("FAIL", topic, f"one small file took more than {_MOST_SECONDS} s")
        else:
            yield Line("FAIL" if missed else "ok", topic, missed or f"{version or use.name}, reads a file")


async def _canary(scanner: Any) -> str:
    import tempfile

    from remediator.records.scan import Unchecked
    from remediator.testing import FakeWorkspace

    with tempfile.TemporaryDirectory(prefix="remediator-doctor-") as scratch:
        items = [item async for item in scanner.scan(FakeWorkspace({"canary.py": "x = 1\n"}, Path(scratch)))]
    return "; ".join(f"{item.path or 'the whole tree'}: {item.reason} {item.detail}" for item in items if isinstance(item, Unchecked))


async def _sandbox(settings: Settings, registry: Registry, playbook: Playbook) -> AsyncIterator[Line]:
    use = playbook.sandbox
    if settings.sandbox not in ("docker", use.name):
        use = type(use)(use=settings.sandbox)
    if use.name == "none":
        yield Line("warn", "sandbox", f"none by your settings: {MISSING_SANDBOX}")
        return
    try:
        async with _made(use, "sandbox", registry, settings) as provider:
            engine = await provider.probe()
    except RemediatorError as error:
        yield Line("FAIL", "sandbox", f"{error.message}; {MISSING_SANDBOX}", error.hint)
        return
    yield Line("ok", "sandbox", f"{engine.name} {engine.version} {engine.runtime}".rstrip())
    for warning in engine.warnings:
        yield Line("warn", "sandbox", warning)


def _made(use: Use, kind: str, registry: Registry, settings: Settings) -> Any:
    from remediator.contracts import Component
    from remediator.playbook import make

    build: Callable[..., Any] = make
    return build(use, kind, Component, registry, settings.defaults_for(use.name))


def _hosts(settings: Settings, playbook: Playbook, registry: Registry) -> Line:
    """Say which hosts this configuration can reach: nothing else is ever contacted."""
    if settings.offline:
        return Line("info", "outbound", "nothing but the sandbox engine (--offline)")
    from urllib.parse import urlsplit

    env = settings.network_env()
    indexes = [urlsplit(word).hostname or word for name, value in env.items() if "INDEX_URL" in name for word in value.split()]
    told = [f"package index ({', '.join(indexes) or 'the default one'}) for pypi: targets and, in the sandbox, to prepare a project"]
    told.append("git hosts that you name as a target")
    proxies = sorted(
        {urlsplit(value).hostname or value for name, value in env.items() if name.lower() in ("https_proxy", "http_proxy", "all_proxy")}
    )
    if proxies:
        told.append(f"through the proxy {', '.join(proxies)}")
    if models := sorted(filter(None, (_model_host(settings, name, registry) for name in settings.models))):
        told.append(f"models: {', '.join(dict.fromkeys(models))}")
    if sinks := [use.name for use in playbook.submit if use.options.get("url")]:
        told.append(f"sinks: {', '.join(sinks)}")
    return Line("info", "outbound", "; ".join(told) + "; nothing with --offline")


def _model_host(settings: Settings, name: str, registry: Registry) -> str:
    from urllib.parse import urlsplit

    entry = settings.models[name]
    url = entry.options.get("base_url") or getattr(registry.components("llm").get(entry.use), "default_url", "")
    return urlsplit(str(url)).hostname or ""


def _failed(topic: str, error: RemediatorError) -> Line:
    return Line("FAIL", topic, error.message, error.hint)
