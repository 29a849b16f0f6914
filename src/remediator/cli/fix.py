"""`remediator fix`: the main job."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.handed_in import handed_in_options, take_handed_in
from remediator.cli.options import Verb, pass_session
from remediator.cli.request import make_request, model_options, proof_options, scan_options, strict_option
from remediator.cli.run_result import present
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.engine.request import RunReport


@click.command("fix", cls=Verb, json_fields=json_fields.RUN, writes_outputs=True)
@click.argument("target", default=".")
@handed_in_options
@click.option(
    "--finding",
    "findings",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Fix the findings of this JSON file, as `scan --json` and bundles have them (repeat).",
)
@scan_options
@strict_option
@click.option("--only", metavar="WHAT", multiple=True, help="Only this finding id, rule, CWE-n or path:line (repeat).")
@proof_options
@model_options
@click.option("--resume", is_flag=True, help="Go on with the run of this target that was interrupted.")
@pass_session
def command(session: Session, /, target: str, findings: tuple[Path, ...], **options: Any) -> int:
    """Scan TARGET, propose fixes, and prove each one in a sandbox.

    TARGET is a folder, a git URL, or a published package as `pypi:NAME==VERSION`; the current folder by default. Nothing in it
    is changed: see `apply`. With a finding handed in and nothing else selected, only that one is worked on.
    """
    from remediator.cli.exit_code import ExitCode
    from remediator.cli.outputs import check_outputs
    from remediator.cli.progress import watching

    check_outputs(session)
    request = make_request(target, **take_handed_in(options, findings), **options)

    try:
        with watching(session) as observers:

            async def work(app: Remediator) -> RunReport:
                if request.resume:
                    # Cases that were opened before are not reported again, and their lines could name no place.
                    before = app.events_before(request)
                    for observer in observers:
                        observer.remember(before)
                return await app.fix(request)

            report = session.run(work, observers)
    except KeyboardInterrupt:
        # Whoever stops a run has met no error, and the way on is the last word.
        session.err.print("stopped")
        _tell_resume(session)
        return ExitCode.interrupted
    code = present(session, report, scan_only=False)
    if report.interrupted:
        _tell_resume(session)
    return code


def _tell_resume(session: Session) -> None:
    from remediator.cli.console import safe

    words = [word for word in session.arguments if word != "--resume"]
    where = words.index("fix") + 1
    line = shlex.join(["remediator", *words[:where], "--resume", *words[where:]])
    session.err.print(f"resume: {safe(line)}")
