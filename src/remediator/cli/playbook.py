"""`remediator playbook`: list, explain, validate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remediator.cli.completing import complete_playbooks
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.playbook import Playbook


@click.group("playbook", no_args_is_help=True)
def command() -> None:
    """List, explain and validate playbooks: which components, in which order, within which limits."""


@command.command("list", cls=Verb, json_fields=("name", "scan", "fix", "verify", "submit", "sandbox", "require", "limits"))
@pass_session
def list_playbooks(session: Session) -> int:
    """List the playbooks that come with remediator."""
    from remediator.cli.documents import print_json
    from remediator.playbook import load_playbook, playbook_names

    playbooks = [load_playbook(name) for name in playbook_names()]
    if session.json is not None:
        print_json(session, [playbook.resolved() for playbook in playbooks])
        return 0
    for playbook in playbooks:
        mark = "  (used where none is named)" if playbook.name == session.settings.playbook else ""
        session.out.print(f"{playbook.name}: {' → '.join(use.use for use in (*playbook.scan, *playbook.fix))}{mark}")
    return 0


@command.command("explain", cls=Verb, json_fields=("name", "scan", "fix", "verify", "submit", "sandbox", "require", "limits"))
@click.argument("name", metavar="NAME|FILE", default="default", shell_complete=complete_playbooks)
@pass_session
def explain(session: Session, name: str) -> int:
    """Say what a playbook does, step by step: each component, its options, who brings it."""
    from remediator.cli.documents import print_json
    from remediator.cli.plugins import load_registry
    from remediator.playbook import load_playbook

    playbook = load_playbook(name)
    if session.json is not None:
        print_json(session, playbook.resolved())
        return 0
    _explain(session, playbook, load_registry(session))
    return 0


@command.command("validate", cls=Verb)
@click.argument("name", metavar="FILE|NAME", shell_complete=complete_playbooks)
@pass_session
def validate(session: Session, name: str) -> int:
    """Check a playbook: its keys, every component, and every option. Exit code 2 where something is wrong."""
    from remediator.cli.console import safe
    from remediator.cli.plugins import load_registry
    from remediator.playbook import load_playbook

    playbook = load_playbook(name, load_registry(session))
    session.out.print(f"ok: {safe(playbook.name)}: {_count(playbook)} components, all there and their options valid")
    return 0


def _count(playbook: Playbook) -> int:
    return sum(len(uses) for uses in (playbook.scan, playbook.fix, playbook.verify, playbook.submit)) + (playbook.sandbox.name != "none")


def _explain(session: Session, playbook: Playbook, registry: Any) -> None:
    from remediator.cli.console import safe

    session.out.print(f"{safe(playbook.name)}", style="bold")
    kinds = {"scan": "scanner", "fix": "fixer", "verify": "verifier", "submit": "sink"}
    for key, uses in {**{key: getattr(playbook, key) for key in kinds}, "sandbox": (playbook.sandbox,)}.items():
        kind = kinds.get(key, "sandbox")
        for use in uses:
            options = ", ".join(f"{name}={value}" for name, value in use.options.items())
            session.out.print(f"  {key:<8} {safe(use.use)}{f' ({safe(options)})' if options else ''}: {_about(registry, kind, use.name)}")
    levels = ", ".join(f"{who} {level.name}" for who, level in playbook.require.items())
    limits = playbook.limits
    session.out.print(f"  require  {safe(levels)}")
    session.out.print(f"  limits   {limits.attempts} attempts, {limits.usd} USD, {limits.minutes:g} minutes for one case")


def _about(registry: Any, kind: str, name: str) -> str:
    from remediator.cli.console import safe

    if name == "none":
        return "no sandbox: the target's code does not run, and what that would prove is missing"
    component = registry.components(kind).get(name)
    if component is None:
        return "NOT THERE: a run with this playbook refuses to start"
    lines = (component.__doc__ or "").strip().splitlines()
    return f"{safe(lines[0]) if lines else ''} [{safe(registry.owner(kind, name).name)}]"
