"""The seven hooks: the table of contents of the framework.

Each is synchronous, takes no arguments, is called once at start, and returns a list of classes. The behaviour is in the
objects that are made from them.
"""

from __future__ import annotations

import pluggy

from remediator.contracts import Fixer, Llm, Observer, SandboxProvider, Scanner, Sink, Verifier

PROJECT = "remediator"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_scanners() -> list[type[Scanner]]:
    """Return scanner classes: what looks for vulnerabilities."""
    return []


@hookspec
def register_fixers() -> list[type[Fixer]]:
    """Return fixer classes: what proposes patches."""
    return []


@hookspec
def register_verifiers() -> list[type[Verifier]]:
    """Return verifier classes: what judges patches."""
    return []


@hookspec
def register_sinks() -> list[type[Sink]]:
    """Return sink classes: where proven fixes go."""
    return []


@hookspec
def register_sandboxes() -> list[type[SandboxProvider]]:
    """Return sandbox provider classes: where repository code runs."""
    return []


@hookspec
def register_llms() -> list[type[Llm]]:
    """Return language model classes."""
    return []


@hookspec
def register_observers() -> list[type[Observer]]:
    """Return observer classes: what watches."""
    return []
