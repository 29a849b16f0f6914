"""`remediator clearinghouse conform`: which statements of the protocol a server keeps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.conform.ground import Member

_MARKS = {"holds": "holds", "broken": "BROKEN", "not-run": "not run"}


@click.command("conform", cls=Verb, json_fields=json_fields.CONFORMANCE)
@click.argument("url")
@click.option("--token", metavar="REFERENCE", default="env:REMEDIATOR_CLEARINGHOUSE_TOKEN", show_default=True,
              help="Where the first organisation's token is kept: env:NAME, keyring:SERVICE/USER or cmd:PROGRAM.")  # fmt: skip
@click.option("--key", "key", type=click.Path(file_okay=False, path_type=Path), help="The folder of its signing-key.pem.")
@click.option("--other-token", metavar="REFERENCE", help="The second organisation's token.")
@click.option("--other-key", "other_key", type=click.Path(file_okay=False, path_type=Path), help="The folder of its signing-key.pem.")
@click.option("--pull-token", metavar="REFERENCE", help="A token with the scope pull alone.")
@click.option("--read-only", is_flag=True, help="Change nothing: --token is enough, and needs only the scope pull.")
@pass_session
def command(
    session: Session,
    url: str,
    token: str,
    key: Path | None,
    other_token: str | None,
    other_key: Path | None,
    pull_token: str | None,
    read_only: bool,
) -> int:
    """Ask the clearinghouse at URL whether it keeps the numbered statements of the protocol (docs/reference/protocol.md, section 12).

    Needs tokens (submit, assess, pull) and registered keys of two organisations made for this: leases, flaws and fixes named conform-… stay
    there. Exit code 0 where every statement holds, 1 where one does not, 3 where none is broken but some were not run.
    """
    from remediator.clearinghouse.conform.ground import Member
    from remediator.clearinghouse.conform.running import ONLY_READING, conform
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json
    from remediator.errors import UsageError
    from remediator.settings import trust_store

    two = None
    if read_only:
        one = Member(_secret(session, token))
    else:
        if key is None or other_token is None or other_key is None:
            raise UsageError("two organisations are needed: --key, --other-token and --other-key", hint="or --read-only")
        one = _member(session, token, key)
        two = _member(session, other_token, other_key)
    pull = None if pull_token is None or read_only else Member(_secret(session, pull_token))
    found = asyncio.run(conform(url, one, two, pull, ca_bundle=trust_store()))
    if session.json is not None:
        print_json(session, [{**each._asdict(), "outcome": each.outcome.value} for each in found.found])
        return found.exit_code
    passed_over = sum(each.reason == ONLY_READING for each in found.found)
    for each in found.found:
        if each.reason == ONLY_READING:
            continue
        session.out.print(f"{each.number:>5}  {_MARKS[each.outcome]:<8} {safe(each.text)}")
        if each.reason:
            session.out.print(f"                {safe(each.reason)}")
    counts = {outcome: sum(each.outcome == outcome for each in found.found) for outcome in _MARKS}
    session.out.print(f"{counts['holds']} hold, {counts['broken']} do not, {counts['not-run']} were not run")
    if passed_over:
        session.talk(f"{passed_over} of those change something, and only reading was asked for")
    return found.exit_code


def _member(session: Session, token: str, folder: Path) -> Member:
    from remediator.clearinghouse.conform.ground import Member
    from remediator.errors import UsageError
    from remediator.evidence.keys import KEY_FILE, signing_key

    # A key that is made now is registered nowhere: what is missing is to be said, and not made.
    if not (folder / KEY_FILE).is_file():
        raise UsageError(f"{folder} has no {KEY_FILE}", hint="`keys` in the state folder of whoever registered it there")
    return Member(_secret(session, token), signing_key(folder))


def _secret(session: Session, reference: str) -> str:
    return session.settings.secret(reference).get_secret_value()
