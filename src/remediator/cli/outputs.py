"""Writes the files that `-o FORMAT=FILE` asked for: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from remediator.cli.documents import run_document, to_text
from remediator.cli.session import Output, Session
from remediator.errors import UsageError

if TYPE_CHECKING:
    from remediator.engine.request import RunReport


def check_outputs(session: Session) -> None:
    """Raise UsageError before the work where an output can never be written, or where two want standard output."""
    stdout = sum(output.target == "-" for output in session.outputs) + (session.json is not None) + session.events
    if stdout > 1:
        raise UsageError("more than one of -o …=-, --json and --events wants standard output", hint="write all but one into files")
    for output in session.outputs:
        folder = Path(output.target).parent
        if output.target != "-" and not folder.is_dir():
            raise UsageError(f"-o {output.format}={output.target}: there is no folder {folder}", hint="make it first")


def claims_stdout(session: Session) -> bool:
    """Return whether standard output is spoken for, so that no table may be printed there."""
    return session.json is not None or session.events or any(output.target == "-" for output in session.outputs)


def write_outputs(session: Session, report: RunReport, exit_code: int) -> None:
    """Write every output that was asked for. Raises UsageError where a file cannot be written."""
    makers: dict[str, Callable[[], str]] = {
        "sarif": lambda: _sarif(report),
        "junit": lambda: _junit(report),
        "json": lambda: to_text(run_document(report, exit_code)) + "\n",
        "markdown": lambda: _markdown(report),
    }
    for output in session.outputs:
        _write(output, makers[output.format]())
    if told := [output.target for output in session.outputs if output.target != "-"]:
        from remediator.cli.console import safe

        session.talk(f"wrote {', '.join(safe(target) for target in told)}")


def _sarif(report: RunReport) -> str:
    from remediator.cli.sarif_output import to_sarif_text

    return to_sarif_text(report)


def _junit(report: RunReport) -> str:
    from remediator.cli.junit import to_junit

    return to_junit(report.cases, report.scan, report.could_not_check, report.seconds)


def _markdown(report: RunReport) -> str:
    from remediator.cli.markdown import to_markdown

    # A report is for others to read: a folder of this machine is known by its name only.
    title = report.source.name if report.source and report.source.kind == "path" else report.target
    return to_markdown(report.cases, report.scan, report.could_not_check, title)


def _write(output: Output, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    if output.target == "-":
        import sys

        sys.stdout.write(data.decode("utf-8"))
        return
    path = Path(output.target).resolve()
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device is written to, never replaced.
            path.write_bytes(data)
        else:
            _replace(path, data)
    except OSError as error:
        raise UsageError(f"-o {output.format}={path}: {error.strerror}", hint="the run itself is kept: remediator list") from error


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
