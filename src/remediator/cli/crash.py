"""The report about a bug of ours: what went wrong, without secrets and without anything from the target."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from remediator import __version__
from remediator.cli.session import Session
from remediator.redact import Redactor, printable


def write_report(error: BaseException, session: Session) -> Path:
    """Write the report below the state folder, or where that is what fails into a temporary file; return its path."""
    text = report_text(error, session.arguments, session.redactor())
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{type(error).__name__}.txt"
    try:
        folder = session.settings.state / "crashes"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / name
        _write(path, text)
    except Exception:
        # Whatever is wrong with the settings or the state folder must not hide the bug.
        descriptor, temporary = tempfile.mkstemp(prefix="remediator-", suffix=".txt")
        path = Path(temporary)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123 - a descriptor
            stream.write(text)
    return path


def report_text(error: BaseException, arguments: tuple[str, ...], redact: Redactor | None = None) -> str:
    """Return the report."""
    lines = (
        f"remediator {__version__}",
        f"python {sys.version.split()[0]} on {platform.system()} {platform.release()} {platform.machine()}",
        f"command: {' '.join(arguments)}",
        "",
        "".join(traceback.format_exception(error)),
    )
    home = str(Path.home())
    text = (redact or Redactor())("\n".join(lines))
    return printable(text.replace(home, "~") if len(home) > 1 else text, keep_newlines=True)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
