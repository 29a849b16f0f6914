"""`remediator plugin new`: a plugin that works and is tested, in a minute."""

from __future__ import annotations

from pathlib import Path

import click

from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

KINDS = ("scanner", "fixer", "verifier", "sink", "sandbox", "llm", "observer")


@click.group("plugin", no_args_is_help=True)
def command() -> None:
    """Make a new plugin. `remediator plugins` lists those that are there."""


@command.command("new", cls=Verb)
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the plugin brings.")
@click.option("--single-file", is_flag=True, help="One module and its test, without packaging.")
@pass_session
def new(session: Session, name: str, kind: str, single_file: bool) -> int:
    """Write a plugin called NAME into a new folder (with --single-file: into the current one). Nothing is overwritten.

    NAME is lower-case letters, digits and hyphens; playbooks know the component by it.
    """
    from remediator.cli.console import safe
    from remediator.cli.scaffold import plan_package, plan_single_file, write_all

    files = plan_single_file(name, kind) if single_file else plan_package(name, kind)
    write_all(files)
    for path in files:
        session.out.print(f"wrote {safe(str(path))}")
    module = next(iter(files))
    if single_file:
        # A module alone brings no settings of pytest, and the tests of its kind are asynchronous.
        test = f"pytest -o asyncio_mode=auto {module.with_name('test_' + module.name)}"
        session.talk(f'next: {test} · plugin_files = ["{Path.cwd() / module}"] in remediator.toml')
    else:
        folder = module.parts[0]
        session.talk(f"next: pip install -e './{folder}[test]' && pytest {folder} · then name {name!r} in `plugins` of remediator.toml")
    return 0
