"""The components that a run works with, made from a playbook and opened once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, TypeVar

from remediator.contracts import Component, Fixer, SandboxProvider, Scanner, Sink, Verifier
from remediator.errors import PluginError
from remediator.playbook import Playbook, Use, make
from remediator.records.verdict import EvidenceLevel
from remediator.registry import Registry

C = TypeVar("C", bound=Component)


class Kit(NamedTuple):
    """Opened components, in the playbook's order. `provider` is None where the operator chose to have no sandbox."""

    playbook: Playbook
    scanners: tuple[Scanner, ...]
    fixers: tuple[Fixer, ...]
    verifiers: tuple[Verifier, ...]
    sinks: tuple[Sink, ...]
    provider: SandboxProvider | None
    missing: tuple[str, ...]

    def expected(self) -> tuple[tuple[str, EvidenceLevel], ...]:
        """Return every check that the playbook calls for, with its level."""
        return tuple((verifier.name, verifier.level) for verifier in self.verifiers)

    def versions(self) -> dict[str, str]:
        """Return what each component says identifies its behaviour."""
        everything: tuple[Component, ...] = (*self.scanners, *self.fixers, *self.verifiers, *self.sinks)
        return {f"{component.kind}:{component.name}": component.version() for component in everything}


@contextlib.asynccontextmanager
async def open_kit(playbook: Playbook, registry: Registry, defaults: Callable[[str], dict[str, Any]]) -> AsyncIterator[Kit]:
    """Make and open everything that the playbook names.

    An optional component (`name?`) that is not there is left out and listed in `missing`. Raises PluginError for any other.
    """
    missing: list[str] = []

    def made(uses: tuple[Use, ...], kind: str, contract: type[C]) -> tuple[C, ...]:
        found = []
        for use in uses:
            try:
                found.append(make(use, kind, contract, registry, defaults(use.name)))
            except PluginError:
                if not use.use.endswith("?"):
                    raise
                missing.append(f"{kind}:{use.name}")
        return tuple(found)

    provider = None
    if playbook.sandbox.name != "none":
        provider = make(playbook.sandbox, "sandbox", SandboxProvider, registry, defaults(playbook.sandbox.name))  # type: ignore[type-abstract]
    kit = Kit(
        playbook=playbook,
        scanners=made(playbook.scan, "scanner", Scanner),  # type: ignore[type-abstract]
        fixers=made(playbook.fix, "fixer", Fixer),  # type: ignore[type-abstract]
        verifiers=made(playbook.verify, "verifier", Verifier),  # type: ignore[type-abstract]
        sinks=made(playbook.submit, "sink", Sink),  # type: ignore[type-abstract]
        provider=provider,
        missing=tuple(missing),
    )
    async with contextlib.AsyncExitStack() as stack:
        for component in (*kit.scanners, *kit.fixers, *kit.verifiers, *kit.sinks, *((provider,) if provider else ())):
            await stack.enter_async_context(component)
        yield kit
