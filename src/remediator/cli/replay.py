"""`remediator replay`: the same proof, run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.evidence.replay import ReplayReport


@click.command("replay", cls=Verb, json_fields=json_fields.REPLAY)
@click.argument("bundle", metavar="BUNDLE|CASE")
@click.option("--source", metavar="TARGET", help="Where to take the base tree from, if the bundle has none.")
@click.option("--playbook", metavar="NAME|FILE", help="Judge by this playbook instead of the recorded one.")
@pass_session
def command(session: Session, bundle: str, source: str | None, playbook: str | None) -> int:
    """Run the proof in BUNDLE (a folder, a .tar.zst, or a case of this machine) again, and agree or name the first difference."""
    from remediator.cli.documents import print_json
    from remediator.cli.exit_code import ExitCode
    from remediator.cli.progress import watching

    given = Path(bundle) if Path(bundle).exists() else None

    async def work(app: Remediator) -> Any:
        path = given or _bundle_of(app, bundle)
        return await app.replay(path, source=source, playbook=playbook)

    with watching(session, every_check=True) as observers:
        report = session.run(work, observers)
    code = {"agreed": ExitCode.clean, "could-not-check": ExitCode.could_not_check}.get(report.outcome, ExitCode.verification_failed)
    if session.json is not None:
        print_json(session, {"schema_version": 1, **report.as_json(), "exit_code": int(code)})
    elif not session.events:
        _print(session, report)
    return code


def _bundle_of(app: Remediator, prefix: str) -> Path:
    from remediator.errors import UsageError

    case = app.journal.case(prefix)
    if not case.bundle_path:
        raise UsageError(f"case {case.id} has no bundle", hint="its run ended before it was written: remediator fix --resume")
    return Path(case.bundle_path)


def _print(session: Session, report: ReplayReport) -> None:
    from rich.text import Text

    from remediator.cli.console import safe

    session.out.print(f"{safe(report.case_id)} {safe(report.patch_id)} {report.bundle_digest}")
    session.out.print(Text(f"signature: {safe(report.signature.sentence)}", style="" if report.signature.trusted else "yellow"))
    for name, verdict in (("recorded", report.recorded), ("replayed", report.replayed)):
        level = verdict.level.name if verdict.level is not None else "no level"
        session.out.print(f"{name}: {verdict.outcome}, {level}")
    for note in report.notes:
        session.out.print(f"note: {safe(note)}")
    for difference in report.differences:
        session.out.print(Text(f"differs: {safe(str(difference))}", style="red"))
    session.out.print(Text(_OUTCOMES[report.outcome], style="bold green" if report.agreed else "bold red"))
    if report.raises is not None:
        session.out.print(f"with this replay: {report.raises.name} {report.raises.meaning}, if it was not the recorder's own")


_OUTCOMES = {
    "agreed": "agreed: the replay came to the same evidence",
    "differs": "differs: the replay came to other evidence; do not trust this bundle",
    "could-not-check": "could not check: this machine could not run all that was recorded",
}
