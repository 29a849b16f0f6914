"""`remediator feeds`: load KEV, EPSS and SSVC files, and say how old they are."""

from __future__ import annotations

from pathlib import Path

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session


@click.group("feeds", no_args_is_help=True)
def command() -> None:
    """Keep KEV, EPSS and SSVC, by which a clearinghouse ranks its queue. They are files that you bring: nothing is fetched."""


@command.command("load", cls=Verb, json_fields=json_fields.FEED)
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_session
def load(session: Session, files: tuple[Path, ...]) -> int:
    """Load files under the names that they are published by: known_exploited_vulnerabilities.json, epss_scores-DATE.csv.gz, ssvc.csv.

    Each is read whole before it takes the place of the one before; one that is empty, cut off or older is refused. A clearinghouse that
    serves takes them in within the hour. Exit code 3 where one of these is stale already.
    """
    from remediator.clearinghouse.priority.loading import load_feed

    return _tell(session, {load_feed(path, folder_of(session)) for path in files})


@command.command("status", cls=Verb, json_fields=json_fields.FEED)
@pass_session
def status(session: Session) -> int:
    """Say which feeds are loaded and how old they are. Exit code 3 where one is missing or stale: what it lacks is unknown, never "no"."""
    return _tell(session, {"kev", "epss", "ssvc"})


def folder_of(session: Session) -> Path:
    """Return where feeds are kept."""
    return session.settings.state / "feeds"


def _tell(session: Session, asked: set[str]) -> int:
    from datetime import UTC, datetime

    from remediator.clearinghouse.priority.loading import loaded
    from remediator.cli.documents import print_json
    from remediator.cli.exit_code import ExitCode

    found = loaded(folder_of(session), at=datetime.now(UTC))
    if session.json is not None:
        print_json(session, [{**each._asdict(), "as_of": None if each.as_of is None else each.as_of.isoformat()} for each in found])
    else:
        for each in found:
            if each.as_of is None:
                session.out.print(f"{each.feed:<4}  not loaded")
                continue
            stale = ", stale: what it lacks is unknown" if each.stale else ""
            session.out.print(f"{each.feed:<4}  of {each.as_of:%Y-%m-%d}, {each.age_days:g} days old{stale}  {each.entries} entries")
    return ExitCode.could_not_check if any(each.feed in asked and each.stale is not False for each in found) else ExitCode.clean
