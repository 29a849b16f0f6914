"""`remediator verify`: grade anybody's patch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.handed_in import handed_in_options, take_handed_in
from remediator.cli.options import Verb, pass_session
from remediator.cli.request import make_request, proof_options, scan_options
from remediator.cli.session import Session
from remediator.errors import PatchError, UsageError

if TYPE_CHECKING:
    from remediator.app import Remediator

_MOST_BYTES = 16 * 1024 * 1024


@click.command("verify", cls=Verb, json_fields=json_fields.VERDICT)
@click.argument("patch", metavar="PATCH", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.argument("target", default=".")
@click.option(
    "--finding", metavar="ID|RULE|CWE|FILE", help="What the patch claims to fix: as `scan` names it, or a JSON file of one finding."
)
@handed_in_options
@scan_options
@proof_options
@pass_session
def command(session: Session, /, patch: Path, target: str, finding: str | None, **options: Any) -> int:
    """Grade PATCH against TARGET on the evidence ladder, whoever wrote it. `-` reads the patch from standard input."""
    from remediator.cli.case_page import print_verdict
    from remediator.cli.documents import print_json, verdict_document
    from remediator.cli.exit_code import of_verdict
    from remediator.cli.progress import watching

    diff = _read(patch)
    files, claimed = _claimed(finding)
    given = take_handed_in(options, files)
    if len(given["supplied"]) + len(given["advisories"]) > 1:
        raise UsageError("a patch is graded for one finding, and several are handed in", hint="hand in one at a time")
    request = make_request(target, **given, **options)

    async def work(app: Remediator) -> Any:
        return await app.verify(target, diff, claimed, request=request)

    with watching(session, every_check=True) as observers:
        verdict, bundle = session.run(work, observers)
    code = of_verdict(verdict)
    if session.json is not None:
        print_json(session, verdict_document(verdict, str(bundle.path), bundle.digest, code))
    elif not session.events:
        print_verdict(session.out, verdict)
        session.out.print(f"bundle: {bundle.path}")
        session.talk(f"replay: remediator replay {bundle.path}")
    return code


def _read(patch: Path) -> str:
    data = sys.stdin.buffer.read(_MOST_BYTES + 1) if str(patch) == "-" else _head(patch)
    if len(data) > _MOST_BYTES:
        raise PatchError(f"{patch} is larger than {_MOST_BYTES} bytes", hint="a fix is smaller; split it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PatchError(f"{patch} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES + 1)


def _claimed(named: str | None) -> tuple[tuple[Path, ...], str | None]:
    """Return what `--finding` says: the JSON file that it names, or words that choose one of the scan's, such as a path of the target."""
    if named is None or not Path(named).is_file():
        return (), named
    json = named.endswith(".json") or _head(Path(named)).lstrip()[:1] in (b"{", b"[")
    return ((Path(named),), None) if json else ((), named)
