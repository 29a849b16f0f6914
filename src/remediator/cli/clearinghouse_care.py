"""`remediator clearinghouse`: looking after one that runs: its ledger, its numbers, its queue, and who opted out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import json_fields
from remediator.cli.clearinghouse_store import data_option, database_option, in_store, told
from remediator.cli.options import Verb, pass_session
from remediator.cli.session import Session

if TYPE_CHECKING:
    from remediator.clearinghouse.store import Store


@click.command("verify-ledger", cls=Verb)
@data_option
@database_option
@pass_session
def verify_ledger(session: Session, data: Path, database: str) -> int:
    """Compute the whole ledger again from its objects up. Exit code 8 where anything does not fit."""
    from remediator.errors import EvidenceError

    async def go(store: Store) -> Any:
        return await store.verify()

    found = in_store(data, database, go)
    if found.problem:
        raise EvidenceError(f"the ledger does not fit: {found.problem}", hint="stop serving it, and compare it with a copy")
    session.out.print(f"{found.size} entries, root {found.root}: every entry, node and commitment fits")
    return 0


@click.command("opt-outs", cls=Verb, json_fields=json_fields.OPT_OUT)
@data_option
@database_option
@click.option("--withdraw", metavar="PROJECT", help="Overrule the opt-out of a project: whoever made it makes none for it again.")
@pass_session
def opt_outs(session: Session, data: Path, database: str, withdraw: str | None) -> int:
    """List the projects that want no scans, and which organisation said so. Nobody was asked for a proof of being the maintainer."""
    from remediator.clearinghouse.store import Caller
    from remediator.clearinghouse.wire.terms import Scope, Tier

    async def go(store: Store) -> list[dict[str, Any]]:
        if withdraw is not None:
            await store.overrule(withdraw)
        admin, found, cursor = Caller("", Tier.operator, frozenset((Scope.admin,))), [], ""
        while True:
            page = await store.opt_outs(admin, cursor, 200)
            found += [each.as_json() for each in page.items]
            if not (cursor := page.next):
                return found

    left = in_store(data, database, go)
    if withdraw is not None:
        session.talk("withdrawn: whoever made it makes none for that project again")
    return told(session, left, json_fields.OPT_OUT, none="nobody opted out" if withdraw is None else "no opt-out is left")


@click.command("requeue", cls=Verb, json_fields=json_fields.REQUEUED)
@click.argument("fixes", nargs=-1)
@data_option
@database_option
@click.option("--all", "everything", is_flag=True, help="Requeue all that ended as infra_error.")
@pass_session
def requeue(session: Session, fixes: tuple[str, ...], data: Path, database: str, everything: bool) -> int:
    """Have FIXES validated again that ended as infra_error: the engine, the network or the validators failed, and were mended."""
    from remediator.errors import UsageError

    if bool(fixes) == everything:
        raise UsageError("name the fixes to requeue, or --all of them", hint="remediator clearinghouse requeue --all")

    async def go(store: Store) -> list[str]:
        return await store.requeue(fixes)

    found = [{"id": each} for each in in_store(data, database, go)]
    return told(session, found, json_fields.REQUEUED, none="nothing ended as infra_error")


@click.command("stats", cls=Verb, json_fields=json_fields.STATS)
@data_option
@database_option
@pass_session
def stats(session: Session, data: Path, database: str) -> int:
    """Count what there is: flaws, findings, fixes by state, jobs that wait, embargoed flaws, feed and ledger entries."""

    async def go(store: Store) -> dict[str, int]:
        return await store.stats()

    found = in_store(data, database, go)
    return told(session, [{"name": name, "count": count} for name, count in sorted(found.items())], json_fields.STATS, none="")
