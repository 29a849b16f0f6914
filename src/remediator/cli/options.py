"""The global options. They may stand before or after the command's name."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from remediator.cli.session import Output, Session
from remediator.errors import UsageError

FORMATS = ("sarif", "junit", "json", "markdown")
_FIELDS = re.compile(r"[a-z_]+(,[a-z_]+)*")
_WITH_VALUE = ("-C", "-c", "-o", "--color", "--events")


class Verb(click.Command):
    """One command of ours: it takes the global options too.

    It lets `--json` stand alone, and take FIELD,… from the next word where every one of them is a field of the command's document.
    `writes_outputs` says whether `-o` means anything to it. A command with an option of its own by a global one's name has its own."""

    def __init__(self, *args: Any, json_fields: tuple[str, ...] = (), writes_outputs: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.json_fields = json_fields
        self.writes_outputs = writes_outputs
        own = {flag for each in self.params for flag in each.opts}
        self.params.extend(each for each in global_options() if not own & set(each.opts))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give a lone `--json` its value, then parse as usual. Raises UsageError for what this command could not answer after its work."""
        try:
            rest = super().parse_args(ctx, with_json_value(args, self.json_fields))
        except click.UsageError as error:
            # The parser does not say whose option lacks its value; the hint names the command.
            error.ctx = error.ctx or ctx
            raise
        if not ctx.resilient_parsing:
            self._check(session_of(ctx))
        return rest

    def _check(self, session: Session) -> None:
        unknown = [name for name in session.json or () if self.json_fields and name not in self.json_fields]
        if unknown:
            raise UsageError(f"--json: no field {unknown[0]!r}", hint=f"there is: {', '.join(dict.fromkeys(self.json_fields))}")
        if session.outputs and not self.writes_outputs:
            given = ", ".join(f"-o {output.format}={output.target}" for output in session.outputs)
            raise UsageError(f"{given}: `{self.name}` writes no such file", hint="`fix` and `scan` do")


def session_of(ctx: click.Context) -> Session:
    """Return what the commands of this call share."""
    return ctx.ensure_object(Session)


pass_session = click.make_pass_decorator(Session, ensure=True)


def global_options() -> list[click.Parameter]:
    """Return fresh options that write into the session and are passed to no function."""
    return [
        _option("-C", "directory", _set_directory, metavar="DIR", is_eager=True, help="Run as if started in DIR."),
        _option("-c", "config", _set_config, metavar="FILE", help="Read settings from FILE instead of the user's own."),
        _option("--json", "json", _set_json, metavar="[FIELD,…]", help="Print one JSON document, whole or only these fields."),
        _option("-o", "outputs", _add_outputs, metavar="FORMAT=FILE", multiple=True, help=f"Write {'|'.join(FORMATS)}; `-` is stdout."),
        _option("-q", "quiet", _set_flag("quiet"), is_flag=True, help="Print no progress and no hints."),
        _option("-v", "verbose", _add_verbose, count=True, help="Print more; with errors also the traceback."),
        _option("--no-input", "no_input", _set_flag("no_input"), is_flag=True, help="Never ask."),
        _option("--offline", "offline", _set_flag("offline"), is_flag=True, help="Open no socket but the sandbox engine's."),
        _option("--color", "color", _set_color, type=click.Choice(["auto", "always", "never"]), help="Colours; NO_COLOR is honoured."),
        _option("--events", "events", _set_events, type=click.Choice(["ndjson"]), help="Print each event as one JSON line on stdout."),
    ]


def _option(flag: str, name: str, callback: Callable[[click.Context, click.Parameter, Any], None], **rest: Any) -> click.Option:
    return click.Option([flag, name], callback=callback, expose_value=False, **rest)


def _set_directory(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    if not Path(value).is_dir():
        raise click.UsageError(f"-C {value}: no such folder")
    ctx.find_root().with_resource(contextlib.chdir(value))


def _set_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        session_of(ctx).config = Path(value)


def _set_json(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        session_of(ctx).json = () if value == "*" else tuple(part for part in value.split(",") if part)


def _add_outputs(ctx: click.Context, _: click.Parameter, values: tuple[str, ...]) -> None:
    found = []
    for value in values:
        name, separator, target = value.partition("=")
        if name not in FORMATS or not separator or not target:
            raise click.UsageError(f"-o {value}: expected FORMAT=FILE with a format out of {', '.join(FORMATS)}")
        found.append(Output(name, target))
    session_of(ctx).outputs += tuple(found)


def _set_flag(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            setattr(session_of(ctx), name, True)

    return callback


def _add_verbose(ctx: click.Context, _: click.Parameter, value: int) -> None:
    session_of(ctx).verbose += value


def _set_color(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        session_of(ctx).color = value


def _set_events(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        session_of(ctx).events = True


def length_of_options(args: list[str]) -> int:
    """Return how many words at the beginning are global options with their values."""
    count = 0
    while count < len(args) and args[count].startswith("-") and args[count] not in ("-", "--"):
        count += 2 if args[count] in _WITH_VALUE else 1
    return min(count, len(args))


def with_json_value(args: list[str], fields: tuple[str, ...]) -> list[str]:
    """Return the words with a value for each lone `--json`: the next word where it names fields, else all of them."""
    done: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*done, word, *rest]
        if word == "--json":
            named = bool(rest) and _FIELDS.fullmatch(rest[0]) is not None and set(rest[0].split(",")) <= set(fields)
            word = f"--json={rest.pop(0) if named else '*'}"
        done.append(word)
    return done
