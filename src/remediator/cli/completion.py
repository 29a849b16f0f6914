"""`remediator completion`: the script that makes a shell complete our commands."""

from __future__ import annotations

import click

from remediator.cli.options import Verb


@click.command("completion", cls=Verb)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the completion script of SHELL.

    For bash: eval "$(remediator completion bash)" in ~/.bashrc; for zsh the same in ~/.zshrc; for fish:
    remediator completion fish > ~/.config/fish/completions/remediator.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "remediator", "_REMEDIATOR_COMPLETE").source())
    return 0
