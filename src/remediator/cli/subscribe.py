"""`remediator subscribe`: name a clearinghouse to pull from, and the ledger key that is trusted."""

from __future__ import annotations

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

_MOST_BYTES = 64 * 1024


@click.command("subscribe", cls=Verb, json_fields=json_fields.SUBSCRIPTION)
@click.argument("url", required=False)
@click.option("--trust", metavar="SHA256:…", help="The id of its ledger key, as its operator told you by another way.")
@click.option(
    "--token", metavar="REFERENCE", show_default="env:REMEDIATOR_CLEARINGHOUSE_TOKEN",
    help="Where your token is kept: env:NAME, keyring:SERVICE/USER or cmd:PROGRAM. It is never written down here.",
)  # fmt: skip
@click.option(
    "--token-stdin", is_flag=True, help="Read the token from standard input instead, and keep it in a file that only you can read."
)
@click.option("--name", default="default", show_default=True, help="What this subscription is called.")
@pass_session
def command(session: Session, url: str | None, trust: str | None, token: str | None, token_stdin: bool, name: str) -> int:
    """Subscribe to the clearinghouse at URL; without URL, list the subscriptions. Once more with the same name takes a new URL or token.

    Nothing is fetched yet: `remediator pull` does. What is not named anew, token or trusted key, stays as it was.
    """
    import re

    from remediator.clearinghouse.client.address import checked_address
    from remediator.clearinghouse.client.subscriber import NO_TRUST, STORED, Subscriber
    from remediator.cli.documents import print_json
    from remediator.errors import UsageError
    from remediator.secret import checked_reference

    state = session.settings.state
    if url is None and (trust or token or token_stdin):
        raise UsageError("no URL is named to subscribe to", hint="remediator subscribe URL --trust SHA256:…")
    if url is not None:
        if trust is not None and not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", trust):
            raise UsageError(NO_TRUST, hint="ask the clearinghouse's operator")
        if token is not None and token_stdin:
            raise UsageError("--token and --token-stdin are two ways to the same", hint="leave one out")
        checked_address(url)
        try:
            reference = STORED if token_stdin else checked_reference(token) if token is not None else ""
        except ValueError as error:
            raise UsageError(f"--token: {error}", hint="or --token-stdin, which reads the token itself") from None
        Subscriber(state, name).begin(url, reference, trust or "", secret=_typed(session) if token_stdin else "")
    rows = [_row(session, each) for each in Subscriber.names(state)]
    if session.json is not None:
        print_json(session, rows)
        return 0
    from remediator.cli.console import safe

    for row in rows:
        pulled = f"{row['fixes']} fixes, pulled {row['pulled_at']}" if row["pulled_at"] else "nothing pulled yet: remediator pull"
        session.out.print(f"{safe(str(row['name']))}  {safe(str(row['url']))}  trusts {row['trust']}  {pulled}")
    if not rows:
        session.talk("no subscription yet: remediator subscribe URL --trust SHA256:…")
    return 0


def _typed(session: Session) -> str:
    """Return what comes on standard input; a person is asked, and sees nothing of it."""
    import sys

    from remediator.errors import UsageError

    if sys.stdin is None:
        raise UsageError("there is no standard input to read the token from")
    if sys.stdin.isatty():
        if session.no_input:
            raise UsageError("--token-stdin would have to ask", hint="remediator subscribe URL … --token-stdin < FILE")
        return str(click.prompt("token", hide_input=True, err=True)).strip()
    try:
        return sys.stdin.buffer.read(_MOST_BYTES).decode("ascii").strip()
    except UnicodeDecodeError:
        return ""


def _row(session: Session, name: str) -> dict[str, object]:
    from remediator.clearinghouse.client.subscriber import Subscriber

    subscriber = Subscriber(session.settings.state, name)
    told = subscriber.read()
    return {
        "name": told.name,
        "url": told.url,
        "trust": told.trust,
        "token": told.token,
        "cursor": told.cursor,
        "ledger_size": told.head.head.size if told.head else 0,
        "fixes": len(list((subscriber.folder / "fixes").glob("fix-*.json"))),
        "pulled_at": told.pulled_at.isoformat() if told.pulled_at else None,
    }
