"""The connection to the engine: made late, its refusals told in our own errors, its version judged."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from remediator.contracts import Engine
from remediator.errors import RemediatorError, SandboxError, SandboxLostError, SandboxUnavailableError

DEFAULT_HOST = "unix:///var/run/docker.sock"
_API_SECONDS = 60
_POOL = 64
_RUNC_FIXED = ((1, 2, 8), (1, 3, 3))


def connect(host: str) -> Any:
    """Return a client of the engine at `host`. Raises SandboxUnavailableError with a hint where nothing answers."""
    from docker import APIClient

    address = host or DEFAULT_HOST
    with translated(f"the sandbox engine at {address}"):
        return APIClient(base_url=address, version="auto", timeout=_API_SECONDS, max_pool_size=_POOL)


def client_errors() -> tuple[type[Exception], ...]:
    """Return what the engine's client raises when a request fails or the engine is gone; what its HTTP layer raises are OSErrors."""
    from docker.errors import DockerException
    from urllib3.exceptions import HTTPError

    return (DockerException, HTTPError, OSError)


@contextlib.contextmanager
def translated(what: str, *, begun: bool = False) -> Iterator[None]:
    """Turn the client's errors into ours: lost where something had begun, unavailable where not."""
    try:
        yield
    except RemediatorError:
        raise
    except client_errors() as error:
        raise _our_error(what, error, begun=begun) from error


def _our_error(what: str, error: Exception, *, begun: bool) -> SandboxError:
    from docker.errors import APIError

    text = _text(error)
    if isinstance(error, APIError) and not begun:
        return SandboxUnavailableError(f"the sandbox engine refused {what}: {text}", hint="See `remediator doctor`.")
    if begun:
        return SandboxLostError(f"{what}: the sandbox is gone: {text}", hint="Run it again; if it recurs, look at the engine's log.")
    return SandboxUnavailableError(f"no sandbox engine answers ({what}: {text})", hint=_hint(text))


def _text(error: Exception) -> str:
    explanation = getattr(error, "explanation", None) or str(error)
    return " ".join(str(explanation).split())[:400]


def _hint(text: str) -> str:
    if "ermission denied" in text:
        return "This user may not use the engine: add it to the group `docker` (which is as good as root), or use rootless podman."
    return "Install Docker (Debian: `apt install docker.io`) or start it (`systemctl start docker`); another address is the option `host`."


def describe(api: Any, runtime: str) -> Engine:
    """Return name and versions of the engine, with a warning for each known weakness."""
    with translated("asking for its version"):
        version, info = api.version(), api.info()
    parts = {str(part.get("Name", "")).lower(): part for part in version.get("Components") or ()}
    runc = str(parts.get("runc", {}).get("Version", ""))
    chosen = runtime or str(info.get("DefaultRuntime", ""))
    name = "podman" if "podman engine" in parts else "docker"
    warnings = _warnings(info, runc, chosen, runtime)
    return Engine(name=name, version=str(version.get("Version", "")), runtime=f"{chosen} {runc}".strip(), warnings=tuple(warnings))


def _warnings(info: dict[str, Any], runc: str, chosen: str, wanted: str) -> Iterator[str]:
    security = " ".join(info.get("SecurityOptions") or ())
    if wanted and wanted not in (info.get("Runtimes") or {wanted: {}}):
        yield f"the engine knows no runtime {wanted!r}"
    if "seccomp" not in security:
        yield "the engine has no seccomp: our system call filter does not hold"
    if chosen == "runc" and (number := _number(runc)) and not _has_fixes(number):
        yield f"runc {runc} may lack the fixes of CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881, unless your distribution ported them"
    if "userns" not in security and "rootless" not in security:
        yield "root in a container is root on the host: user namespaces (`userns-remap`) or a rootless engine would be better"
    for limit, key in (("memory", "MemoryLimit"), ("swap", "SwapLimit"), ("process", "PidsLimit")):
        if info.get(key) is False:
            yield f"the engine cannot hold {limit} limits"


def _number(version: str) -> tuple[int, ...] | None:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(part) for part in found.groups()) if found else None


def _has_fixes(number: tuple[int, ...]) -> bool:
    return number >= _RUNC_FIXED[1] or (number[:2] == _RUNC_FIXED[0][:2] and number >= _RUNC_FIXED[0])
