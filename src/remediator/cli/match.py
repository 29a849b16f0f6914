"""`remediator match`: which pulled fixes are about what you run. Works on this machine, and applies nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.priority.feeds import Feeds
    from remediator.clearinghouse.sbom import Match, Sbom

_FIELDS = json_fields.MATCH
_SURE_FIRST = ("exact", "range", "name-only")


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

    The SBOM is read here and sent nowhere. Exit code 1 where a component of yours is touched, 3 where components have no package URL by
    which they could be matched, and nothing else was found.
    """
    return matched(session, name, sboms, out, feeds=feeds, exposed=exposed)


def matched(
    session: Session, name: str, sboms: Sequence[Path], out: Path, *, feeds: Path | None = None, exposed: bool | None = None
) -> int:
    """Match, write and tell; return the exit code."""
    from remediator.clearinghouse.client.subscriber import Subscriber
    from remediator.clearinghouse.priority.feeds import Feeds
    from remediator.clearinghouse.priority.read import read_feeds
    from remediator.clearinghouse.sbom import matches, read_sbom

    read_in = [read_sbom(path) for path in sboms]
    now = datetime.now(UTC)
    known = read_feeds(feeds, at=now) if feeds is not None else Feeds(now)
    published = [each.published for each in Subscriber(session.settings.state, name).kept()]
    found = [match for sbom in read_in for match in matches(sbom, published)]
    rows = sorted((_row(match, known, exposed) for match in found), key=_urgency)
    if found:
        _write(out, rows, found)
    _tell(session, rows, read_in, out)
    if found:
        return 1
    return 3 if any(sbom.unnamed for sbom in read_in) else 0


def _row(match: Match, feeds: Feeds, exposed: bool | None) -> dict[str, Any]:
    from remediator.clearinghouse.priority.rank import AssetFacts, rank

    told, flaw = match.published, match.published.flaw
    priority = rank(flaw, AssetFacts(exposed=exposed), feeds)
    return {
        "fix_id": told.fix.id,
        "component": match.component.purl or match.component.name,
        "version": match.component.version,
        "match": match.level.value,
        "why": match.why,
        "state": told.fix.state.value,
        "project": flaw.project,
        "aliases": list(flaw.aliases),
        "severity": flaw.severity,
        "level": told.fix.level,
        "fixed_version": told.fix.fixed_version,
        "due_days": priority.due_days,
        "timeline": priority.timeline,
        "sentence": priority.sentence,
        "assumed": list(priority.assumed),
    }


def _urgency(row: dict[str, Any]) -> tuple[Any, ...]:
    severities = ("critical", "high", "medium", "low", "info")
    due = row["due_days"] if row["due_days"] is not None else 10_000
    return (_SURE_FIRST.index(row["match"]), due, severities.index(row["severity"]), row["fix_id"], row["component"])


def _write(out: Path, rows: Sequence[dict[str, Any]], every: Sequence[Match]) -> None:
    from remediator.artefacts import private_folder, write_atomically
    from remediator.clearinghouse.exports.cyclonedx import of_matches as cyclonedx
    from remediator.clearinghouse.exports.openvex import of_matches as openvex
    from remediator.evidence.content import json_file

    private_folder(out)
    private_folder(out / "patches")
    fixes = {match.published.fix.id: match.published for match in every if not match.withdrawn}
    for fix_id, told in sorted(fixes.items()):
        write_atomically(out / "patches" / f"{fix_id}.diff", told.patch.encode("utf-8", "surrogateescape"), mode=0o644)
    write_atomically(out / "plan.csv", _csv(rows), mode=0o644)
    now = datetime.now(UTC)
    for name, document in (("vex.openvex.json", openvex), ("vex.cdx.json", cyclonedx)):
        write_atomically(out / name, json_file(document(every, publisher="operator", at=now)), mode=0o644)


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(_FIELDS)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in _FIELDS])
    return made.getvalue().encode()


def _cell(value: Any) -> str:
    from remediator.redact import printable

    text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    text = printable(text)
    # A spreadsheet would run what begins like this as a formula.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _tell(session: Session, rows: Sequence[dict[str, Any]], sboms: Sequence[Sbom], out: Path) -> None:
    from rich.text import Text

    from remediator.cli.console import columns, safe
    from remediator.cli.documents import print_json

    if session.json is not None:
        print_json(session, list(rows))
        return
    components, nameless = sum(len(each.components) for each in sboms), sum(len(each.unnamed) for each in sboms)
    left = f"; {nameless} have no package URL and cannot be matched" if nameless else ""
    session.talk(f"{components} components{left}: {len(rows)} hits. The SBOM stayed on this machine")
    if not rows:
        return
    head = ["DUE", "COMPONENT", "MATCH", "FIX", "EVIDENCE", "SEVERITY"]
    lines = [[Text(word, style="bold") for word in head]]
    for row in rows:
        due = f"{row['due_days']} days" if row["due_days"] is not None else row["timeline"]
        fix = row["fixed_version"] or row["fix_id"] if row["state"] == "verified" else f"{row['state']}: do not apply {row['fix_id']}"
        told = [due, row["component"], row["match"], fix, f"E{row['level']}", row["severity"]]
        lines.append([Text(safe(str(word), limit=60)) for word in told])
    for line in columns(lines):
        session.out.print(line)
    session.talk(f"wrote {safe(str(out))}: patches, VEX and plan.csv; nothing was applied")
