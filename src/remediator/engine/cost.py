"""What was spent, added up from the journal's events. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from remediator.records.event import Event, FixDeclined, PatchChosen, PatchProposed, ReproducerAccepted, ReproducerDeclined, VerdictReached
from remediator.records.record import Record
from remediator.records.spend import Spend

JUDGING = "judging"  # in place of a fixer: what models were asked about patches, whoever wrote them


class CostRow(Record):
    """What one fixer, or the judging, spent on one case in one run. `verified`: the case has a fix that is proven far enough."""

    run_id: str
    case_id: str
    fixer: str
    spend: Spend
    verified: bool = False


class CostTotal(Record):
    """Rows added up under one name. `usd_per_fix` is None where nothing was proven."""

    name: str
    spend: Spend
    cases: int
    fixes: int
    usd_per_fix: Decimal | None = None


def cost_rows(events: Iterable[Event]) -> tuple[CostRow, ...]:
    """Return what each fixer and the judging spent on each case, in the order of the events. What spent nothing is left out."""
    spent: dict[tuple[str, str, str], Spend] = defaultdict(Spend)
    proven: set[tuple[str, str]] = set()
    for event in events:
        match event:
            case PatchProposed():
                spent[event.run_id, event.case_id, event.patch.fixer] += event.spend
            case FixDeclined():
                spent[event.run_id, event.case_id, event.declined.fixer] += event.spend
            case ReproducerAccepted():
                spent[event.run_id, event.case_id, event.reproducer.author] += event.spend
            case ReproducerDeclined():
                spent[event.run_id, event.case_id, event.author] += event.spend
            case VerdictReached():
                spent[event.run_id, event.case_id, JUDGING] += event.spend
                if event.verdict.sufficient:
                    proven.add((event.run_id, event.case_id))
            case PatchChosen():
                spent[event.run_id, event.case_id, JUDGING] += event.spend
            case _:
                pass
    return tuple(
        CostRow(run_id=run_id, case_id=case_id, fixer=fixer, spend=spend, verified=(run_id, case_id) in proven)
        for (run_id, case_id, fixer), spend in spent.items()
        if spend.usd or spend.input_tokens or spend.output_tokens
    )


def totals(rows: Iterable[CostRow], by: str) -> tuple[CostTotal, ...]:
    """Return the sums by one of `run_id`, `case_id`, `fixer`, or by the empty text for the sum of all."""
    groups: dict[str, list[CostRow]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by) if by else "all"].append(row)
    return tuple(_total(name, group) for name, group in groups.items())


def _total(name: str, rows: list[CostRow]) -> CostTotal:
    spend = sum((row.spend for row in rows), Spend())
    fixes = len({(row.run_id, row.case_id) for row in rows if row.verified})
    cases = len({(row.run_id, row.case_id) for row in rows})
    return CostTotal(name=name, spend=spend, cases=cases, fixes=fixes, usd_per_fix=spend.usd / fixes if fixes else None)
