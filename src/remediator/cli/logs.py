"""`remediator logs`: what was said between the models and their tools, and what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.completing import complete_cases
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from remediator.app import Remediator
    from remediator.engine.ledger import Call


@click.command("logs", cls=Verb, json_fields=json_fields.CALL)
@click.argument("case", metavar="CASE", shell_complete=complete_cases)
@click.option("--full", is_flag=True, help="Show every text whole.")
@pass_session
def command(session: Session, case: str, full: bool) -> int:
    """Show what models were asked about CASE and what they answered, with the cost of each answer. Secrets are blanked."""
    from remediator.cli.documents import print_json

    async def work(app: Remediator) -> tuple[Call, ...]:
        found = app.journal.case(case)
        return app.ledger.calls(found.id, found.run_id)

    calls = session.run(work)
    if session.json is not None:
        print_json(session, [_document(session, call) for call in calls])
        return 0
    if not calls:
        session.talk("no model was asked about this case")
    for number, call in enumerate(calls, 1):
        _print_call(session, session.out, number, call, full=full)
    return 0


def _document(session: Session, call: Call) -> dict[str, Any]:
    redact = session.settings.redactor()
    return {
        "scope": call.scope,
        "model": call.model,
        "asked": call.asked,
        "tries": call.tries,
        "spend": call.spend.as_json(),
        "said": _cleaned(call.said, redact),
        "reply": _cleaned(call.reply, redact),
    }


def _cleaned(value: Any, redact: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _cleaned(item, redact) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item, redact) for item in value]
    return value


def _print_call(session: Session, out: Console, number: int, call: Call, *, full: bool) -> None:
    from rich.text import Text

    from remediator.redact import printable

    redact = session.settings.redactor()
    most = 1_000_000 if full else 1_200

    def show(who: str, text: str, style: str) -> None:
        if not text.strip():
            return
        clean = printable(redact(text), keep_newlines=True)
        cut = (
            clean
            if len(clean) <= most
            else f"{clean[: most // 2]}\n[... {len(clean) - most} characters, --full shows them ...]\n{clean[-most // 2 :]}"
        )
        out.print(Text(f"{who}> ", style="bold").append(Text(cut, style=style)))

    spend = call.spend
    tries = f" · asked {call.tries} times" if call.tries > 1 else ""
    from remediator.cli import case_view

    cost = f"{case_view.money(spend)} · {spend.input_tokens} + {spend.output_tokens} tokens · {spend.seconds:.1f} s{tries}"
    out.print(Text(f"--- {number} · {call.scope} · {printable(call.model)} · {cost}", style="cyan"))
    show("system", call.said.get("system", ""), "dim")
    for message in call.said.get("messages", ()):
        if message["role"] != "assistant":
            show(message["role"], message["text"], "")
    if call.reply is None:
        out.print(Text("no answer was kept", style="yellow"))
        return
    show("model", call.reply.get("text", ""), "green")
    for wish in call.reply.get("tool_calls", ()):
        import json

        show("call", f"{wish['name']} {json.dumps(wish['arguments'], ensure_ascii=False)}", "green")
