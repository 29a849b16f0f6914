"""`remediator scan`: look, and propose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.request import make_request, scan_options, strict_option
from remediator.cli.run_result import present
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.engine.request import RunReport


@click.command("scan", cls=Verb, json_fields=json_fields.RUN, writes_outputs=True)
@click.argument("target", default=".")
@scan_options
@strict_option
@pass_session
def command(session: Session, /, target: str, **options: Any) -> int:
    """Look for vulnerabilities in TARGET; propose and change nothing."""
    from remediator.cli.outputs import check_outputs
    from remediator.cli.progress import watching

    check_outputs(session)
    request = make_request(target, **options)

    async def work(app: Remediator) -> RunReport:
        return await app.scan(request)

    with watching(session) as observers:
        report = session.run(work, observers)
    return present(session, report, scan_only=True)
