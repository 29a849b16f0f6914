"""`remediator match`: which pulled fixes are about what you run. Works on this machine, and applies nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.client.plan import Row
    from remediator.clearinghouse.priority.feeds import Feeds
    from remediator.clearinghouse.sbom import Sbom


@click.command("match", cls=Verb, json_fields=json_fields.MATCH)
@click.option("--name", default="default", show_default=True, help="The subscription.")
@click.option("--sbom", "sboms", multiple=True, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="CycloneDX or SPDX. Repeat for several.")  # fmt: skip # noqa: E501
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("fixes"), show_default=True, help="Where to write.")
@click.option(
    "--feeds", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder with KEV, EPSS and SSVC files, for due dates."
)
@click.option("--exposed/--not-exposed", default=None, help="Whether what you run can be reached from outside; unknown counts as exposed.")
@pass_session
def command(session: Session, name: str, sboms: tuple[Path, ...], out: Path, feeds: Path | None, exposed: bool | None) -> int:
    """Match what was pulled against your SBOM: writes the patches, VEX documents and a plan into a folder, and applies nothing.

    `plan.html` is for people and opens without a network, `plan.csv` for programs. The SBOM is read here and sent nowhere. Exit code 1
    where a component of yours is touched, 3 where nothing was pulled yet, or components have no package URL by which they could be
    matched, and nothing else was found.
    """
    return tell(session, planned(session, name, sboms, out, feeds=feeds, exposed=exposed), out)


class Planned(NamedTuple):
    """What was matched, and written. `pulled` is whether there was anything to match with."""

    rows: Sequence[Row]
    sboms: Sequence[Sbom]
    pulled: bool


def planned(session: Session, name: str, sboms: Sequence[Path], out: Path, *, feeds: Path | None, exposed: bool | None) -> Planned:
    """Match, and write the plan; tell nothing. Raises UsageError, SbomError, FeedError, StateError."""
    from remediator.clearinghouse.client import plan
    from remediator.clearinghouse.client.plan_page import About
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.clearinghouse.priority.feeds import Feeds
    from remediator.clearinghouse.priority.read import read_feeds
    from remediator.clearinghouse.sbom import matches, read_sbom, said_fixed

    # Named twice by mistake, what is in it is not there twice.
    read_in = [read_sbom(path) for path in {each.resolve(): each for each in sboms}.values()]
    now = datetime.now(UTC)
    known = read_feeds(feeds, at=now) if feeds is not None else Feeds(now)
    subscriber = Subscriber(session.settings.state, name)
    told = subscriber.read()
    published = [each.published for each in subscriber.kept()]
    rows = plan.rows([match for sbom in read_in for match in matches(sbom, published)], known, exposed)
    about = About(
        at=now,
        subscription=told.name,
        url=told.url,
        pulled_at=told.pulled_at,
        ledger_size=told.head.head.size if told.head else 0,
        sboms=read_in,
        said_fixed=[match for sbom in read_in for match in said_fixed(sbom, published)],
        exposed=exposed,
        feeds=_told_feeds(known),
    )
    plan.write(out, rows, about, json_fields.MATCH)
    return Planned(rows, read_in, told.pulled_at is not None)


def _told_feeds(feeds: Feeds) -> list[str]:
    named = (("KEV", feeds.kev), ("EPSS", feeds.epss), ("SSVC", feeds.ssvc))
    return [f"{name} of {feed.as_of:%Y-%m-%d}{' (stale)' if feeds.is_stale(feed) else ''}" for name, feed in named if feed is not None]


def tell(session: Session, found: Planned, out: Path) -> int:
    """Say what was found, and return the exit code: what could not be looked at is never clean."""
    _tell(session, [row.facts for row in found.rows], found.sboms, out)
    if found.rows:
        return 1
    if not found.pulled:
        session.talk("nothing was pulled yet, so nothing could be found: remediator pull")
    return 3 if not found.pulled or any(sbom.unnamed for sbom in found.sboms) else 0


def _tell(session: Session, rows: Sequence[Mapping[str, Any]], sboms: Sequence[Sbom], out: Path) -> None:
    from rich.text import Text

    from remediator.cli.console import columns, safe
    from remediator.cli.documents import print_json

    if session.json is not None:
        print_json(session, [dict(row) for row in rows])
        return
    components, nameless = sum(len(each.components) for each in sboms), sum(len(each.unnamed) for each in sboms)
    left = f"; {nameless} have no package URL and cannot be matched" if nameless else ""
    hits = "1 hit" if len(rows) == 1 else f"{len(rows)} hits"
    session.talk(f"{components} component{'s' * (components != 1)}{left}: {hits}. The SBOM stayed on this machine")
    if not rows:
        session.talk(f"wrote {safe(str(out))}: a plan with nothing in it")
        return
    head = ["DUE", "COMPONENT", "MATCH", "FIX", "EVIDENCE", "SEVERITY"]
    lines = [[Text(word, style="bold") for word in head]]
    for row in rows:
        due = f"{row['due_days']} days" if row["due_days"] is not None else row["timeline"]
        due += " (+DFIR)" if row["forensics"] else ""
        fix = row["fixed_version"] or row["fix_id"] if row["state"] == "verified" else f"{row['state']}: do not apply {row['fix_id']}"
        told = [due, row["component"], row["match"], fix, f"E{row['level']}" if row["level"] is not None else "-", row["severity"]]
        lines.append([Text(safe(str(word), limit=60)) for word in told])
    for line in columns(lines):
        session.out.print(line)
    if said := sum(row["shown_by"] == "reproducer" for row in rows):
        session.talk(f"{said} of these mend what no scanner sees: which flaw it is is their submitters' word (plan.html says which)")
    if any(row["assumed"] for row in rows):
        session.talk("due dates take the worst where nothing is known (plan.html says what); --feeds and --not-exposed tell what is")
    session.talk(f"wrote {safe(str(out))}: patches, VEX, plan.csv and plan.html; nothing was applied")
