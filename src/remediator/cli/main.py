"""The command line's door: what there is to call, and the one place where errors become sentences.

Importing it loads click and our errors and nothing else; a command's module is loaded when the command is called.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

from remediator.cli.exit_code import ExitCode
from remediator.cli.options import global_options, length_of_options, session_of, with_json_value
from remediator.cli.session import Session
from remediator.errors import RemediatorError

PROGRAM = "remediator"
_DAMAGED = "do not use it; get it again from its source"
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "fix": "Scan, propose fixes, and prove each one.",
        "scan": "Look for vulnerabilities; propose nothing.",
        "verify": "Grade anybody's patch on the evidence ladder.",
        "replay": "Run a bundle's proof again, anywhere.",
        "review": "Walk through proven fixes and decide.",
        "list": "List the cases of a run.",
        "show": "Show a case: finding, diff, evidence.",
        "apply": "Put proven fixes on a new branch of your repository.",
        "undo": "Take back the last apply.",
        "logs": "Show what was said between a case's models and their tools.",
        "submit": "Hand proven fixes over to a clearinghouse, or say what became of them.",
        "lease": "Take, keep, release or list the leases of projects.",
        "opt-out": "Say that a project is not to be scanned, or list those that are not.",
        "lift": "Agree to end a flaw's embargo before its date.",
        "revoke": "Take back a fix of yours that turned out to be wrong.",
        "assess": "Say of a flaw or a fix whether it is right.",
        "subscribe": "Subscribe to a clearinghouse, or list the subscriptions.",
        "pull": "Fetch what a clearinghouse released, checked against its ledger.",
        "match": "Match pulled fixes against your SBOM, on this machine.",
        "bundle": "Carry what was pulled over an air gap.",
        "outcome": "Tell a clearinghouse what became of a fix.",
        "clearinghouse": "Run a clearinghouse.",
        "feeds": "Load KEV, EPSS and SSVC, and say how old they are.",
        "why": "Say why a finding has no proven fix.",
        "doctor": "Check this machine and these settings.",
        "plugins": "List plugins and what they bring.",
        "models": "List and test models, and say what they cost.",
        "playbook": "List, explain and validate playbooks.",
        "init": "Write a settings file and a playbook to start from.",
        "explain": "Explain a reason code, an exit code or an evidence level.",
        "completion": "Print the completion script of a shell.",
        "plugin": "Make a new plugin.",
    }
)


class ReaderGoneError(Exception):
    """Whoever read our output stopped reading."""


class Commands(click.Group):
    """All commands, each loaded when it is called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a lone `--json` before the command its value, then parse as usual."""
        own = length_of_options(args)
        return super().parse_args(ctx, [*with_json_value(args[:own], ()), *args[own:]])

    def make_context(self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any) -> click.Context:
        """Parse the command line, which prints the help where that is asked for; see `invoke`."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def invoke(self, ctx: click.Context) -> object:
        """Call the command. A closed pipe must not end with click's own code for it, which means something else here."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"remediator.cli.{cmd_name.replace('-', '_')}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no command {args[0]!r}{meant}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    params=global_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Exit codes: `remediator explain exit-codes`. Your files stay untouched until `apply`.",
)
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
@click.pass_context
def cli(ctx: click.Context) -> int | None:
    """Finds vulnerabilities, proposes fixes, and proves each one in a sandbox."""
    if ctx.invoked_subcommand is None:
        from remediator.cli.state import tell_state

        return tell_state(session_of(ctx))
    return None


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command line and return its exit code; nothing but SystemExit of the completion ever leaves."""
    session = session or Session()
    session.arguments = tuple(arguments)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    try:
        code = cli.main(args=list(arguments), prog_name=PROGRAM, standalone_mode=False, obj=session)
        sys.stdout.flush()
    except BaseException as error:
        return _told(error, session)
    return int(code or 0)


def _told(error: BaseException, session: Session) -> int:
    match error:
        case SystemExit():
            raise error
        case RemediatorError():
            # Of a damaged archive there are many ways to be, and one thing to do.
            hint = error.hint or (_DAMAGED if error.exit_code == ExitCode.integrity else "")
            return _say(error, session, error.message, hint, error.exit_code)
        case click.Abort() | KeyboardInterrupt():
            return _say(error, session, "stopped", "what was finished is kept", ExitCode.interrupted)
        case click.exceptions.NoArgsIsHelpError() if isinstance(error.ctx.command, click.Group):
            names = ", ".join(error.ctx.command.list_commands(error.ctx))
            return _say(error, session, f"which command? There is: {names}", _usage_hint(error), ExitCode.usage)
        case click.ClickException():
            return _say(error, session, error.format_message(), _usage_hint(error), ExitCode.usage)
        case BrokenPipeError() | ReaderGoneError():
            _silence_stdout()
            return ExitCode.broken_pipe
        case _:
            return _crashed(error, session)


def _say(error: BaseException, session: Session, message: str, hint: str, code: int) -> int:
    from remediator.redact import printable

    redact = session.redactor()
    _speak(f"error: {printable(redact(message), keep_newlines=True)}")
    if session.verbose or _debugging(session):
        _print_traceback(error, session)
    if hint:
        _speak(f"hint: {printable(redact(hint), keep_newlines=True)}")
    return int(code)


def _usage_hint(error: click.ClickException) -> str:
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else PROGRAM
    return f"{path} --help"


def _crashed(error: BaseException, session: Session) -> int:
    from remediator.cli.crash import write_report

    path = write_report(error, session)
    _speak(f"error: a bug in remediator: {type(error).__name__}")
    if session.verbose or _debugging(session):
        _print_traceback(error, session)
    _speak(f"report: {path}")
    _speak("hint: nothing was written to your repository; please send the report to the maintainers")
    return ExitCode.bug


def _debugging(session: Session) -> bool:
    try:
        return session.settings.debug
    except Exception:
        # The settings themselves may be what is wrong.
        return False


def _print_traceback(error: BaseException, session: Session) -> None:
    import traceback

    from remediator.redact import printable

    text = "".join(traceback.format_exception(error))
    _speak(printable(session.redactor()(text), keep_newlines=True))


def _speak(text: str) -> None:
    # Where nobody listens the exit code still stands.
    with contextlib.suppress(BrokenPipeError):
        click.echo(text, err=True)


def _silence_stdout() -> None:
    import os

    # Else the interpreter tries to flush into the closed pipe again when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
