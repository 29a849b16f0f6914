"""submit-finding and submit-fix: many reports of one flaw become one record with many witnesses."""

from __future__ import annotations

import secrets
from datetime import timedelta
from functools import lru_cache
from typing import Any

from remediator.clearinghouse.store import schema
from remediator.clearinghouse.store.batch import Batch, Row
from remediator.clearinghouse.store.calls import Call, identify
from remediator.clearinghouse.store.leasing import check_lease
from remediator.clearinghouse.store.reports import check_room
from remediator.clearinghouse.store.schema import micros
from remediator.clearinghouse.store.telling import begun, severity_place, tell, tell_again
from remediator.clearinghouse.store.validating import requeue
from remediator.clearinghouse.wire.answers import Answer
from remediator.clearinghouse.wire.envelope import RefusedError
from remediator.clearinghouse.wire.identity import LEADING, alias_print, claims, contradicts, fingerprints, kind_of, naming
from remediator.clearinghouse.wire.identity import project as normalised
from remediator.clearinghouse.wire.terms import FixState, Problem, Tlp
from remediator.clearinghouse.wire.verbs import FindingBody, FixBody, FlawBody
from remediator.records.record import canonical_json

MOST_EMBARGO = timedelta(days=180)
_SCAN = "fix"
_AT_ONCE = 512
"""For so many flaws their text and prints are worked out once, and not for each row that has them."""
_MOST_NAMES = 50


def finding_id(organisation: str, prints: tuple[str, ...], scanner: str) -> str:
    """Return the id of a report: the same from the same organisation and scanner."""
    return identify("finding", organisation, scanner, *prints)


def prepare_finding(batch: Batch, call: Call) -> None:
    """Say what the request wants fetched."""
    body: FindingBody = call.body
    batch.want_prints.update(prints := _prints(body.flaw))
    batch.want_findings.add(finding_id(call.organisation, prints, body.scanner))


def prepare_fix(batch: Batch, call: Call) -> None:
    """Say what the request wants fetched."""
    body: FixBody = call.body
    batch.want_prints.update(prints := _prints(body.flaw))
    batch.want_findings.add(finding_id(call.organisation, prints, _SCAN))
    batch.want_submissions.add(body.submission_id)
    batch.want_blobs.add((body.bundle, call.organisation))


async def submit_finding(batch: Batch, call: Call) -> Answer:
    """Note a report."""
    body: FindingBody = call.body
    await check_lease(batch, call, body.flaw.project, body.lease_id, body.fencing)
    flaw, witness, index, told = await witnessed(batch, call, body.flaw, body.scanner, body.rule_id)
    return call.answer(witness["finding_id"], "noted", duplicate=index is None, ledger_index=index, flaw=flaw["id"], **told)


async def submit_fix(batch: Batch, call: Call) -> Answer:
    """Note a fix, and that it is to be validated. Raises RefusedError: blob-missing, blob-mismatch, lease-stale."""
    body: FixBody = call.body
    mine = (call.organisation, body.submission_id)
    if (fix_id := batch.submissions.get(mine)) is not None:
        before = batch.fixes[fix_id]
        if (before["bundle"], before["patch_id"]) != (body.bundle, body.patch_id):
            raise RefusedError(
                Problem.state_conflict, "this submission id came before with another bundle", hint="supersede the fix by a new one"
            )
        again = await requeue(batch, before, "sent again") if before["state"] == FixState.infra_error else None
        return call.answer(fix_id, before["state"], duplicate=True, ledger_index=again, flaw=before["flaw_id"])
    size = batch.blobs.get((body.bundle, call.organisation))
    if size is None:
        raise RefusedError(Problem.blob_missing, "the bundle is not here yet", hint=f"PUT /v1/blobs/{body.bundle} first")
    if size != body.bundle_bytes:
        raise RefusedError(Problem.blob_mismatch, f"the bundle here has {size} bytes, not {body.bundle_bytes}")
    await check_lease(batch, call, body.flaw.project, body.lease_id, body.fencing)
    held = _embargo(batch, call)
    flaw, _, _, told = await witnessed(batch, call, body.flaw, _SCAN, "")
    doc = _text(body.flaw)
    # Not derived from who submits: whoever is told of a fix could try each organisation, and see whose it is.
    batch.submissions[mine] = fix_id = f"fix-{secrets.token_hex(12)}"
    row = {
        "id": fix_id,
        "flaw_id": flaw["id"],
        "organisation": call.organisation,
        "submission_id": body.submission_id,
        "patch_id": body.patch_id,
        "bundle": body.bundle,
        "bundle_bytes": body.bundle_bytes,
        "flaw_doc": doc,
        "state": FixState.received.value,
        "claimed_level": body.claimed_level,
        "level": None,
        "lines_changed": 0,
        "fixed_version": body.fixed_version,
        "tlp": call.request.tlp.value,
        "held_until": held,
        "superseded_by": "",
        "revoked_reason": "",
        "submitted_at": batch.at,
        "updated_at": batch.at,
        "published_at": None,
        "patch": None,
        "validation": None,
    }
    batch.fixes[fix_id] = batch.insert(schema.fixes, row)
    job = {
        "fix_id": fix_id,
        "organisation": call.organisation,
        "state": "queued",
        "validator": "",
        "fencing": 0,
        "lease_until": 0,
        "attempts": 0,
    }
    batch.insert(schema.jobs, {**job, "not_before": batch.at, "queued_at": batch.at})
    index = batch.record("fix-received", fix_id, {"fix": fix_id, "organisation": call.organisation, "body": body.as_json()})
    return call.answer(fix_id, FixState.received, ledger_index=index, flaw=flaw["id"], **told)


async def witnessed(batch: Batch, call: Call, body: FlawBody, scanner: str, rule_id: str) -> tuple[Row, Row, int | None, dict[str, Any]]:
    """Join a report to the flaw that it is about, or begin one.

    Returns the flaw, the witness, the ledger's index (None where the report was here before), and remarks for the submitter.
    """
    prints = _prints(body)
    own_id = finding_id(call.organisation, prints, scanner)
    if (before := batch.findings.get(own_id)) is not None:
        flaw = batch.flaw(before["flaw_id"])
        if flaw is None:
            raise RuntimeError(f"{own_id} is about a flaw that is not there")
        return flaw, before, None, {}
    embargo = _embargo(batch, call)
    matched = _matched(batch, prints, body)
    if matched:
        await check_room(batch, call, matched[0])
    told: dict[str, Any] = {}
    flaw = matched[0] if matched else _begin(batch, call, body, embargo)
    if matched:
        told = _join(batch, call, flaw, body, embargo)
        for other in matched[1:]:
            # One reporter's word does not make two flaws of others one: only what nobody else has seen is merged.
            if batch.witnesses[other["id"]] <= {call.organisation} and _joinable(other, flaw):
                await _merge(batch, other, flaw)
    _known_by(batch, flaw, body, prints, fresh_flaw=not matched)
    again = call.organisation in batch.witnesses[flaw["id"]]
    batch.witnesses[flaw["id"]].add(call.organisation)
    witness = batch.insert(
        schema.witnesses,
        {
            "finding_id": own_id,
            "flaw_id": flaw["id"],
            "organisation": call.organisation,
            "scanner": scanner,
            "rule_id": rule_id,
            # All reports of one organisation are read with the flaw, and the words that it is shown are those of its first.
            "doc": _names_only(body) if again else _text(body),
            "tlp": call.request.tlp.value,
            "embargo_until": embargo,
            "agreed": 0,
            "at": batch.at,
        },
    )
    batch.findings[own_id] = witness
    value = {"finding": own_id, "flaw": flaw["id"], "organisation": call.organisation, "scanner": scanner, "body": body.as_json()}
    return flaw, witness, batch.record("finding", own_id, value), told


def _embargo(batch: Batch, call: Call) -> int | None:
    until = call.request.embargo_until
    if until is None or until <= batch.due:
        return None
    # Measured by the time that nobody sets: while the clock is a year ahead nobody gets an embargo of a year.
    if until > batch.due + MOST_EMBARGO:
        raise RefusedError(
            Problem.bad_request, f"embargo_until: at most {MOST_EMBARGO.days} days ahead", hint="a longer one must be renewed"
        )
    return micros(until)


def _matched(batch: Batch, prints: tuple[str, ...], body: FlawBody) -> list[Row]:
    found = (batch.flaw(batch.prints[each]) for each in prints if each in batch.prints)
    rows = {row["id"]: row for row in found if row is not None and not contradicts(row["names"].split(), body.aliases)}
    return sorted(rows.values(), key=lambda row: (row["first_seen"], row["id"]))


def _begin(batch: Batch, call: Call, body: FlawBody, embargo: int | None) -> Row:
    row = {
        # Not derived from the report: whoever is told of a fix could see that others had reported its flaw in other words before.
        "id": f"flaw-{secrets.token_hex(12)}",
        "project": _project(body),
        "doc": begun(call.request.tlp.value, _text(body), batch.at),
        "names": "",
        "tlp": call.request.tlp.value,
        "embargo_until": embargo,
        "embargoed": int(embargo is not None),
        "lifted_at": None,
        # The longest embargo is counted from here.
        "first_seen": micros(batch.due),
        "updated_at": batch.at,
        "merged_into": "",
        "rank": severity_place(body.severity, batch.at),
    }
    batch.flaws[str(row["id"])] = batch.insert(schema.flaws, row)
    return row


def _join(batch: Batch, call: Call, flaw: Row, body: FlawBody, embargo: int | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    unseen = flaw["tlp"] == Tlp.red.value and flaw["lifted_at"] is None
    if embargo is not None and not flaw["embargoed"] and unseen:
        # Nobody but those who said so themselves was told of it: whoever reports first in confidence takes nobody's embargo away.
        flaw["embargoed"], flaw["embargo_until"] = 1, embargo
        batch.touch(flaw, moved=False)
    elif flaw["embargoed"] and (until := _bounded(flaw, embargo)) > flaw["embargo_until"]:
        flaw["embargo_until"] = until
        batch.touch(flaw, moved=False)
    elif embargo is not None and not flaw["embargoed"]:
        # Whose it is, since when, and how it is marked, is not told.
        told["embargo"] = "not taken: this flaw was released"
    # What is said under an embargo that ends later than the flaw's is in no record of others: with its fix it is told.
    if embargo is None or (flaw["embargoed"] and embargo <= flaw["embargo_until"]):
        tell(batch, flaw, call.request.tlp.value, _said(body))
    return told


def _bounded(flaw: Row, embargo: int | None) -> int:
    """Return an embargo's end, within the most that there is since the flaw was first seen: else guesses could hold it for ever."""
    most: int = flaw["first_seen"] + MOST_EMBARGO // timedelta(microseconds=1)
    return min(embargo or 0, most)


def _joinable(other: Row, flaw: Row) -> bool:
    """Return whether an embargo holds both or neither.

    What is out must not vanish behind the other's embargo, and what waits must not lose the clock that lets it out.
    """
    return bool(other["embargoed"] == flaw["embargoed"])


async def _merge(batch: Batch, other: Row, flaw: Row) -> None:
    told = True
    if flaw["embargoed"]:
        # Within its own bound, as each report is: else one flaw after the other, made for that, could hold it for ever.
        flaw["embargo_until"] = max(flaw["embargo_until"], _bounded(flaw, other["embargo_until"]))
        told = other["embargo_until"] <= flaw["embargo_until"]
    other["merged_into"] = flaw["id"]
    flaw["names"] = _names(flaw, other["names"].split())
    if told:
        tell_again(batch, flaw, other)
    batch.touch(flaw, moved=False)
    batch.touch(other, moved=False)
    for table in (schema.witnesses, schema.fixes, schema.aliases, schema.claims):
        await batch.change(table, {"flaw_id": other["id"]}, flaw_id=flaw["id"])
    for row in (*batch.findings.values(), *batch.fixes.values()):
        if row["flaw_id"] == other["id"]:
            row["flaw_id"] = flaw["id"]
    batch.witnesses[flaw["id"]] |= batch.witnesses[other["id"]]
    batch.record("flaw-joined", flaw["id"], {"flaw": flaw["id"], "joined": other["id"]})


def _known_by(batch: Batch, flaw: Row, body: FlawBody, prints: tuple[str, ...], *, fresh_flaw: bool) -> None:
    fresh = [each for each in prints if each not in batch.prints]
    for each in fresh:
        batch.prints[each] = flaw["id"]
        batch.insert(schema.prints, {"print": each, "flaw_id": flaw["id"]})
    for number, key in batch.epochs:
        for claim in claims(fresh, key):
            batch.insert(schema.claims, {"epoch": number, "claim": claim, "flaw_id": flaw["id"]})
    where, sole, named = _project(body), {alias.upper() for alias in naming(body.aliases)}, []
    for alias in sorted({alias.upper() for alias in body.aliases}):
        names_it = alias in sole and alias_print(where, alias) in fresh
        if names_it or (fresh_flaw and alias not in sole):
            batch.insert(schema.aliases, {"alias": alias, "flaw_id": flaw["id"]})
        if names_it and kind_of(alias) in LEADING:
            named.append(alias)
    if named:
        flaw["names"] = _names(flaw, named)
        if not fresh_flaw:
            batch.touch(flaw, moved=False)


def _names(flaw: Row, more: list[str]) -> str:
    """Return the ids by which the flaw is told apart from others, as its row has them."""
    return " ".join(list(dict.fromkeys((*flaw["names"].split(), *more)))[:_MOST_NAMES])


@lru_cache(maxsize=_AT_ONCE)
def _prints(body: FlawBody) -> tuple[str, ...]:
    _project(body)
    return fingerprints(body)


def _project(body: FlawBody) -> str:
    try:
        return normalised(body.project)
    except ValueError as error:
        raise RefusedError(Problem.bad_request, f"flaw.project: {error}", hint="a purl, or the URL of a repository") from error


def _said(body: FlawBody) -> dict[str, Any]:
    return {**body.as_json(), "project": _project(body)}


def _names_only(body: FlawBody) -> str:
    return canonical_json({**_said(body), "snippet": "", "details": "", "references": []}).decode("ascii")


@lru_cache(maxsize=_AT_ONCE)
def _text(body: FlawBody) -> str:
    return canonical_json(_said(body)).decode("ascii")
