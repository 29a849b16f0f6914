"""`remediator plugins`: what was found, what became of it, and what it brings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.registry import Registry


@click.command("plugins", cls=Verb, json_fields=("name", "version", "origin", "state", "reason", "components"))
@pass_session
def command(session: Session) -> int:
    """List every plugin, its state, and the components that it brings. A broken one is in quarantine and takes nothing with it."""
    from rich.text import Text

    from remediator.cli.console import columns, safe
    from remediator.cli.documents import print_json

    plugins = load_registry(session).plugins()
    if session.json is not None:
        print_json(session, [plugin.as_json() for plugin in plugins])
        return 0
    styles = {"ok": "green", "not-enabled": "dim"}
    rows = [
        [
            Text(safe(plugin.name)),
            Text(safe(plugin.version) or "-"),
            Text(plugin.state, style=styles.get(plugin.state, "bold red")),
            Text(safe(plugin.origin)),
            Text(safe(plugin.reason, limit=120) or safe(", ".join(plugin.components))),
        ]
        for plugin in plugins
    ]
    for line in columns([[Text(word, style="bold") for word in ("PLUGIN", "VERSION", "STATE", "ORIGIN", "BRINGS")], *rows]):
        session.out.print(line)
    return 0


def load_registry(session: Session) -> Registry:
    """Load the plugins that the settings name. Raises PluginError where two bring the same."""
    from remediator.registry import Registry

    settings = session.settings
    return Registry.load(enabled=settings.plugins, files=settings.plugin_files, builtin_only=settings.no_plugins)
