"""What the quick start needs and wraps no product; it comes in by the same hooks as any stranger's plugin."""

from __future__ import annotations

from remediator.contracts import Fixer, SandboxProvider, Scanner, Sink, Verifier
from remediator.hookspecs import hookimpl


@hookimpl
def register_scanners() -> list[type[Scanner]]:
    """Return the built-in scanners."""
    from remediator.builtin.exec_scanner import ExecScanner
    from remediator.builtin.sarif_scanner import SarifScanner

    return [ExecScanner, SarifScanner]


@hookimpl
def register_fixers() -> list[type[Fixer]]:
    """Return the built-in fixers."""
    from remediator.builtin.agent_fixer import AgentFixer
    from remediator.builtin.codemod_fixer import CodemodFixer
    from remediator.builtin.external_fixer import ExternalAgentFixer
    from remediator.builtin.suggested_fixer import SuggestedFixer

    return [SuggestedFixer, CodemodFixer, AgentFixer, ExternalAgentFixer]


@hookimpl
def register_verifiers() -> list[type[Verifier]]:
    """Return the built-in verifiers."""
    from remediator.builtin.applies_verifier import AppliesVerifier
    from remediator.builtin.builds_verifier import BuildsVerifier
    from remediator.builtin.guards_verifier import GuardsVerifier
    from remediator.builtin.replayed_verifier import ReplayedVerifier
    from remediator.builtin.reproducer_verifier import ReproducerVerifier
    from remediator.builtin.rescan_verifier import RescanVerifier
    from remediator.builtin.reviewer_verifier import ReviewerVerifier
    from remediator.builtin.tests_verifier import TestsVerifier
    from remediator.builtin.variants_verifier import ControlsVerifier, VariantsVerifier

    return [
        AppliesVerifier,
        GuardsVerifier,
        BuildsVerifier,
        RescanVerifier,
        TestsVerifier,
        ReproducerVerifier,
        VariantsVerifier,
        ControlsVerifier,
        ReviewerVerifier,
        ReplayedVerifier,
    ]


@hookimpl
def register_sinks() -> list[type[Sink]]:
    """Return the built-in sinks."""
    from remediator.builtin.branch_sink import BranchSink
    from remediator.builtin.clearinghouse_sink import ClearinghouseSink
    from remediator.builtin.spool_sink import SpoolSink

    return [SpoolSink, BranchSink, ClearinghouseSink]


@hookimpl
def register_sandboxes() -> list[type[SandboxProvider]]:
    """Return the built-in sandbox provider."""
    from remediator.builtin.docker_sandbox import DockerSandboxProvider

    return [DockerSandboxProvider]
