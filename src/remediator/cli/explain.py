"""`remediator explain`: what a code means."""

from __future__ import annotations

import click

from remediator.cli.completing import complete_codes
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session
from remediator.errors import UsageError


@click.command("explain", cls=Verb, json_fields=("code", "kind", "says", "unblock"))
@click.argument("code", required=False, shell_complete=complete_codes)
@pass_session
def command(session: Session, code: str | None) -> int:
    """Explain CODE: a reason code, why a check, scan or validation says no, a clearinghouse's refusal, an exit code, or a level.

    A topic prints a whole list: reason-codes, exit-codes, levels, check-reasons, scan-reasons, validation-reasons, refusals.
    Without CODE the topics are listed.
    """
    from remediator.cli.documents import print_json
    from remediator.cli.meanings import CODES, TOPICS, Meaning

    if code is None:
        for topic, kind in TOPICS.items():
            click.echo(f"{topic}: {', '.join(name for name, meaning in CODES.items() if meaning.kind == kind)}")
        return 0
    found: dict[str, Meaning] = {name: meaning for name, meaning in CODES.items() if name == code or meaning.kind == TOPICS.get(code)}
    if not found:
        raise UsageError(f"no code {code!r}{_nearest(code, [*CODES, *TOPICS])}", hint="remediator explain lists them all")
    if session.json is not None:
        print_json(session, [{"code": name, **meaning._asdict()} for name, meaning in found.items()])
        return 0
    for name, meaning in found.items():
        click.echo(f"{name} ({meaning.kind})\n  {meaning.says}")
        if meaning.unblock:
            click.echo(f"  what to do: {meaning.unblock}")
    return 0


def _nearest(code: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(code, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
