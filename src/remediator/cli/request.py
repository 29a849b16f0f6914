"""The options of a run, and the request that they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from remediator.engine.request import FixRequest

F = TypeVar("F", bound=Callable[..., Any])

SEVERITIES = ("critical", "high", "medium", "low", "info")
LEVELS = ("E0", "E1", "E2", "E3", "E4", "E5")


def scan_options(function: F) -> F:
    """Add the options that say what is looked at, and with what."""
    return _added(
        function,
        click.option("--revision", metavar="REV", help="Commit, tag or branch of a git target."),
        click.option("--playbook", metavar="NAME|FILE", help="Which components, in which order, within which limits."),
        click.option("--path", "paths", metavar="PATH", multiple=True, help="Only findings in this file or folder of the target (repeat)."),
        click.option("--severity", type=click.Choice(SEVERITIES), help="Only findings that are at least this bad."),
        click.option("--rules", metavar="FILE|NAME", multiple=True, help="Rules for the scanner, besides the playbook's (repeat)."),
        click.option("--sarif", metavar="FILE", multiple=True, type=_file(), help="Take the findings of this SARIF file too (repeat)."),
        click.option("--sandbox", metavar="NAME|none", help="Where the target's code runs; with none it does not run at all."),
    )


def strict_option(function: F) -> F:
    """Add the option that makes a run fail for what was not read."""
    return _added(
        function,
        click.option("--strict", is_flag=True, help="Files that could not be read, or that no scanner covers, fail the run (exit 3)."),
    )


def proof_options(function: F) -> F:
    """Add the options that say how much proof is wanted, and what it may cost."""
    return _added(
        function,
        click.option("--require", "required", type=click.Choice(LEVELS), help="Evidence level that a fix must reach."),
        click.option("--poc", metavar="FILE", multiple=True, type=_file(), help="A pytest file or a script that shows the flaw (repeat)."),
        click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="Most wall time for one case."),
    )


def model_options(function: F) -> F:
    """Add the options that bring in a model, and what it may cost."""
    return _added(
        function,
        click.option("--model", metavar="NAME", help="Ask this model of your settings where nothing else fixes."),
        click.option("--candidates", type=click.IntRange(1, 16), help="How many patches are tried independently for a severe finding."),
        click.option("--budget", metavar="USD|MINUTESm", help="The most that the run may spend (0.50, 5usd), or a case may take (30m)."),
    )


def make_request(target: str, **options: Any) -> FixRequest:
    """Return the request that the options make; what was not given is left to the playbook."""
    from remediator.engine.request import FixRequest
    from remediator.records.finding import Severity
    from remediator.records.verdict import EvidenceLevel

    given = {name: value for name, value in options.items() if value is not None}
    if files := given.pop("poc", ()):
        from remediator.cli.poc import read_poc

        given["reproducer"] = read_poc(files)
    if (budget := given.pop("budget", None)) is not None:
        given |= _budget(budget)
    if "severity" in given:
        given["severity"] = Severity(given["severity"])
    if "required" in given:
        given["required"] = EvidenceLevel[given["required"]]
    if "sarif" in given:
        given["sarif"] = tuple(Path(file) for file in given["sarif"])
    return FixRequest(target=_whole(target), **given)


def _whole(target: str) -> str:
    """Return a folder's whole path: a run is resumed, and told of, from other folders too, where `.` is another target."""
    return str(Path(target).resolve()) if target and Path(target).is_dir() else target


def _budget(text: str) -> dict[str, Any]:
    from decimal import Decimal, InvalidOperation

    number = text.lower().removesuffix("usd").removesuffix("m").strip()
    try:
        amount = Decimal(number)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or (text.lower().endswith("m") and amount == 0):
        raise click.BadParameter(f"{text!r} is no amount", param_hint="--budget")
    return {"minutes": float(amount)} if text.lower().endswith("m") else {"usd": amount}


def _file() -> click.Path:
    return click.Path(exists=True, dir_okay=False, path_type=Path)


def _added(function: F, *decorators: Callable[[F], F]) -> F:
    for decorator in reversed(decorators):
        function = decorator(function)
    return function
