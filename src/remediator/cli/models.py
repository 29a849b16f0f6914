"""`remediator models`: list, test, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.app import Remediator
    from remediator.engine.cost import CostRow, CostTotal
    from remediator.records.event import Event

_BY = {"run": "run_id", "case": "case_id", "fixer": "fixer", "all": ""}


@click.group("models", no_args_is_help=True)
def command() -> None:
    """List the models in your settings, ask one whether it answers, and say what they cost."""


@command.command("list", cls=Verb, json_fields=json_fields.MODEL)
@pass_session
def list_models(session: Session) -> int:
    """List the models in the settings: component, model, address, price, and where the key is from. No key is read or shown."""
    from rich.text import Text

    from remediator.cli.console import columns, safe
    from remediator.cli.documents import print_json
    from remediator.models import model_names

    rows = [_row(session, name) for name in model_names(session.settings)]
    if session.json is not None:
        print_json(session, rows)
        return 0
    if not rows:
        session.talk("no model yet; a table [models.NAME] in remediator.toml makes one (docs/reference/models.md)")
        return 0
    head = [Text(word.upper().replace("_", " "), style="bold") for word in json_fields.MODEL]
    for line in columns([head, *([Text(safe(str(row[word])) or "-") for word in json_fields.MODEL] for row in rows)]):
        session.out.print(line)
    return 0


@command.command("test", cls=Verb, json_fields=json_fields.MODEL_TEST)
@click.argument("name")
@pass_session
def test(session: Session, name: str) -> int:
    """Ask the model NAME one small question; show the answer, the time it took, tokens and cost.

    Exit code 3 where it does not answer, 4 where its key is refused or out of money, 2 where the settings name a key that is not there.
    """
    import asyncio

    from remediator.cli.case_view import money
    from remediator.cli.console import safe
    from remediator.cli.documents import print_json
    from remediator.cli.plugins import load_registry
    from remediator.engine.trying import ask_small_question
    from remediator.models import make_model

    llm = make_model(name, session.settings, load_registry(session))
    reply = asyncio.run(ask_small_question(llm, name, session.settings))
    spend, said = reply.spend, session.redactor()(reply.text)
    document = {
        "name": name, "model": reply.model, "answer": said, "stop": reply.stop, "seconds": round(spend.seconds, 2),
        "input_tokens": spend.input_tokens, "output_tokens": spend.output_tokens, "usd": str(spend.usd) if llm.price else None,
    }  # fmt: skip
    if session.json is not None:
        print_json(session, document)
        return 0
    session.out.print(f"{safe(name)} ({safe(reply.model)}): {safe(said, limit=200) or '(no text)'}")
    cost = money(spend, digits=6) if llm.price else "price unknown"
    session.out.print(f"{spend.seconds:.1f} s, {spend.input_tokens} tokens in, {spend.output_tokens} out, {cost}")
    return 0


@command.command("cost", cls=Verb, json_fields=json_fields.COST)
@click.option("--run", "run_id", metavar="RUN", help="Only this run; all runs by default.")
@click.option("--by", type=click.Choice(list(_BY)), default="run", help="What to add up by.")
@pass_session
def cost(session: Session, run_id: str | None, by: str) -> int:
    """Add up what models cost: money, tokens, and money for each proven fix. What `models test` and `doctor` asked has a line of its own.

    Where a model has no price in the settings, what it cost is unknown, and its tokens are all that is told.
    """
    from remediator.cli.documents import print_json
    from remediator.engine.cost import cost_rows, totals, tried_row
    from remediator.engine.trying import TRIED
    from remediator.errors import UsageError
    from remediator.records.spend import Spend

    async def work(app: Remediator) -> tuple[list[Event], Spend]:
        runs = [run.run_id for run in app.journal.runs()]
        if run_id is not None and run_id not in runs:
            raise UsageError(f"no run {run_id!r}", hint="remediator list --runs")
        events = [event for run in runs if run_id in (None, run) for event in app.journal.events(run)]
        return events, app.ledger.spent(TRIED) if run_id is None else Spend()

    events, tried = session.run(work)
    rows = (*cost_rows(events), *tried_row(tried))
    found = totals(rows, _BY[by])
    if session.json is not None:
        print_json(session, [total.as_json() for total in found])
        return 0
    _print_cost(session, rows, found)
    return 0


def _row(session: Session, name: str) -> dict[str, Any]:
    entry = session.settings.models[name]
    url = entry.options.get("base_url") or _default_url(session, entry.use)
    values = (name, entry.use, entry.options.get("model", ""), session.redactor()(str(url)), "known" if entry.price else "unknown")
    return dict(zip(json_fields.MODEL, (*map(str, values), _origin(entry.key)), strict=True))


def _origin(reference: str) -> str:
    # The words after the program's name are nobody's business.
    return f"{reference.split()[0]} …" if reference.startswith("cmd:") and " " in reference else reference


def _default_url(session: Session, component: str) -> str:
    from remediator.cli.plugins import load_registry

    return str(getattr(load_registry(session).components("llm").get(component), "default_url", ""))


def _print_cost(session: Session, rows: tuple[CostRow, ...], found: tuple[CostTotal, ...]) -> None:
    from rich.text import Text

    from remediator.cli.case_view import cost_cell
    from remediator.cli.console import columns, safe
    from remediator.engine.cost import totals

    if not rows:
        session.talk("no model was paid for yet")
        return
    lines = [*found, *(totals(rows, "") if len(found) > 1 else ())]
    table = [
        [
            safe(line.name), cost_cell(line.spend), str(line.spend.input_tokens), str(line.spend.output_tokens), str(line.cases),
            str(line.fixes), "-" if line.usd_per_fix is None else f"{line.usd_per_fix:.4f}",
        ]
        for line in lines
    ]  # fmt: skip
    head = ["NAME", "USD", "TOKENS IN", "OUT", "CASES", "PROVEN", "USD PER FIX"]
    for row in columns([[Text(word) for word in words] for words in [head, *table]]):
        session.out.print(row)
