"""A database that an older server made goes on: nothing that was out vanishes, and nothing that was not is let out."""

from __future__ import annotations

import asyncio
import json
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from remediator.clearinghouse.store import Store
from remediator.clearinghouse.store.database import FILE
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.store.telling import place
from remediator.clearinghouse.wire.terms import Scope, Tier
from remediator.testing.clearinghouse import FLAW, Clock, party

DOC = json.dumps({**FLAW, "commit": "", "details": "", "references": [], "automatable": None, "technical_impact_total": None})

OPINION = json.dumps({"organisation": "org-x", "subject": "flaw-out", "opinion": "correct", "at": "2026-11-25T12:00:00Z"})


def first_tables(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(resources.files("remediator.clearinghouse.store") / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        _filled(connection, micros(Clock().now))
    engine.dispose()


def _filled(connection: Connection, at: int) -> None:
    def put(table: str, **row: Any) -> None:
        names = ", ".join(row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in row)})"), row)

    flaw = {"project": FLAW["project"], "doc": DOC, "lifted_at": None, "first_seen": at, "updated_at": at, "merged_into": "", "rank": 1}
    put("flaws", id="flaw-red", **flaw, tlp="red", embargo_until=at + 9, embargoed=1)
    put("flaws", id="flaw-out", **flaw, tlp="amber", embargo_until=None, embargoed=0)
    put("aliases", alias="CVE-2017-16616", flaw_id="flaw-out")
    said = {"scanner": "s", "rule_id": "", "doc": DOC, "at": at, "agreed": 0}
    put("witnesses", finding_id="f-1", flaw_id="flaw-red", organisation="org-other", tlp="red", embargo_until=at + 9, **said)
    put("witnesses", finding_id="f-2", flaw_id="flaw-red", organisation="org-one", tlp="green", embargo_until=at + 5, **said)
    fix = {"patch_id": "p", "bundle": "b", "bundle_bytes": 1, "flaw_doc": DOC, "state": "verified", "claimed_level": 4, "level": 4}
    fix |= {"lines_changed": 1, "fixed_version": "", "superseded_by": "", "revoked_reason": "", "submitted_at": at, "updated_at": at}
    fix |= {"patch": "diff", "validation": None, "organisation": "org-one"}
    put("fixes", id="fix-held", flaw_id="flaw-red", submission_id="s-1", published_at=None, **fix)
    put("fixes", id="fix-out", flaw_id="flaw-out", submission_id="s-2", published_at=at, **fix)
    line = {"organisation": "org-one", "project": FLAW["project"], "aliases": "[]", "level": 4, "ledger_index": 0, "at": at}
    put("feed", cursor=1, kind="published", fix_id="fix-out", flaw_id="flaw-out", tlp="amber", **line)
    put("assessments", subject="flaw-out", organisation="org-x", doc=OPINION, at=at)


async def test_what_an_older_server_wrote_is_read_on(database_url: str, tmp_path: Path) -> None:
    data, clock = tmp_path / "data", Clock()
    data.mkdir(mode=0o700)
    url = f"sqlite:///{data / FILE}" if database_url == "sqlite" else database_url.replace("postgresql://", "postgresql+psycopg://")
    await asyncio.to_thread(first_tables, url)
    async with Store.open(database_url, data, clock=clock, elapsed=clock.elapsed) as store:
        reader = await party(store, clock, "Hospital", Tier.operator, (Scope.pull,))
        member = await party(store, clock, "Member", Tier.member, (Scope.pull,))
        async with store._database.reading() as connection:
            fixes = {row.id: (row.tlp, row.held_until) for row in await connection.execute(text("SELECT * FROM fixes"))}
            names = {row.id: row.names for row in await connection.execute(text("SELECT id, names FROM flaws"))}
            ranks = {row.id: row.rank for row in await connection.execute(text("SELECT id, rank FROM flaws"))}
            assert (await connection.execute(text("SELECT tlp FROM assessments"))).scalar() == "amber"
        assert fixes == {"fix-held": ("green", micros(clock.now) + 5), "fix-out": ("amber", None)}
        assert ranks == dict.fromkeys(names, place(1, micros(clock.now)))
        assert names == {"flaw-red": "", "flaw-out": "CVE-2017-16616"}
        assert [flaw.id for flaw in (await store.flaws(reader.caller)).items] == ["flaw-out"]
        assert [fix.id for fix in (await store.fixes(reader.caller)).items] == ["fix-out"]
        clock.forward(seconds=1)
        await store.tick()
        # Who reported in confidence goes on being told of by nobody; the fix is let out under its own mark.
        assert [entry.fix_id for entry in (await store.feed(member.caller, 0)).entries] == ["fix-held"]
        assert (await store.flaw(member.caller, "flaw-red")).tlp == "green"
