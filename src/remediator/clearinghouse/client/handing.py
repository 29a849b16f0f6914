"""From a submission to what the protocol asks of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.clearinghouse.client.outbox import Item, Outbox, idempotency_key
from remediator.clearinghouse.wire.identity import project as normalised
from remediator.clearinghouse.wire.terms import Tlp, Verb
from remediator.clearinghouse.wire.verbs import FindingBody, FixBody
from remediator.diff.rooted import rooted
from remediator.errors import UsageError
from remediator.evidence.examine import Bundle
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.record import canonical_json, digest_of
from remediator.records.source import Source, SourceKind
from remediator.records.submission import Submission
from remediator.records.verdict import Verdict

_LINK = re.compile(r"https?://[^\s\x00-\x20<>\"\\^`{|}]+\Z")
_ALIAS_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/-")


def project_of(source: Source, given: str = "") -> str:
    """Return what others know the project as. Raises UsageError for a folder of this machine, which nobody else knows."""
    if given:
        try:
            return normalised(given)
        except ValueError as error:
            raise UsageError(str(error), hint="a purl such as pkg:pypi/NAME, or the URL of a repository") from error
    if source.kind is SourceKind.path:
        raise UsageError(
            "a folder of this machine has no name that others know", hint="name the project: --project pkg:pypi/NAME, or its URL"
        )
    return normalised(source.uri)


def flaw_of(source: Source, finding: Finding, project: str) -> dict[str, Any]:
    """Return what identifies and describes a finding's flaw. What is longer than the protocol takes is cut; only words are ever cut."""
    aliases = [each for each in finding.aliases if 3 <= len(each) <= 100 and set(each) <= _ALIAS_CHARACTERS and each[0].isalnum()]
    if finding.scanner == "advisory" and finding.rule_id not in aliases and 3 <= len(finding.rule_id) <= 100:
        aliases += [finding.rule_id] if set(finding.rule_id) <= _ALIAS_CHARACTERS and finding.rule_id[0].isalnum() else []
    return {
        "project": project,
        "version": source.version[:500],
        "commit": source.commit if source.kind is SourceKind.git else "",
        "path": _clean(f"{source.folder}/{finding.path}" if source.folder and finding.path else finding.path)[:4096],
        "cwe": sorted({cwe for cwe in finding.cwe if 0 < cwe < 100_000})[:20],
        "snippet": _clean(finding.snippet)[:20_000],
        "aliases": sorted(set(aliases))[:50],
        "severity": finding.severity.value,
        "title": (_clean(finding.headline) or finding.rule_id or "flaw")[:500],
        "details": _clean(finding.message)[:20_000],
        "references": [each for each in finding.references if len(each) <= 1000 and _LINK.match(each)][:50],
        "line": finding.location.start_line if finding.location else 0,
    }


def handed(source: Source, patch: Patch) -> Patch:
    """Return the patch as others apply it: from the root of the repository, also where only a folder of it was taken. Raises PatchError."""
    return Patch.of(finding_id=patch.finding_id, fixer=patch.fixer, title=patch.title, diff=rooted(patch.diff, source.folder))


def fix_body(
    submission_id: str, source: Source, finding: Finding, patch: Patch, verdict: Verdict, archive: bytes, project: str
) -> dict[str, Any]:
    """Return the body of submit-fix."""
    level = int(verdict.level) if verdict.level is not None else 0
    body = {
        "flaw": flaw_of(source, finding, project),
        "submission_id": submission_id,
        "patch_id": handed(source, patch).id,
        "bundle": digest_of(archive),
        "bundle_bytes": len(archive),
        "claimed_level": level,
    }
    return FixBody.model_validate(body).as_json()


def put_fix(
    outbox: Outbox,
    place: str,
    bundle: Bundle,
    archive: bytes,
    *,
    project: str = "",
    tlp: Tlp = Tlp.amber,
    embargo_days: int = 0,
    again: bool = False,
    ledger: str = "",
) -> Item:
    """Put the bundle's fix into the outbox, once; `again` sends what was delivered once more, as something new to be asked.
    `ledger` is the key of the clearinghouse that goes by that name now.

    Raises UsageError where none is proven, or the project has no name.
    """
    patch, verdict = bundle.patch, bundle.verdict
    if patch is None or verdict is None or not verdict.sufficient:
        raise UsageError(
            f"{bundle.case_id} has no proven fix to hand over",
            hint=f"remediator why {bundle.case_id}; submit --finding reports the flaw itself",
        )
    submission_id = Submission.identify(bundle.source, bundle.finding, patch, verdict)
    named = project_of(bundle.source, project)
    body = fix_body(submission_id, bundle.source, bundle.finding, patch, verdict, archive, named)
    key = idempotency_key("submit-fix", submission_id, body["bundle"], named, tlp.value)
    if again and (sent := sum(item.state == "delivered" for item in outbox.items(place=place, subject=submission_id))):
        # It is the same fix there by its submission id; the old key would only have the first answer told once more.
        key = f"{key}:{sent}"
    until = datetime.now(UTC) + timedelta(days=embargo_days) if embargo_days else None
    return outbox.put(
        place, Verb.submit_fix, body, key=key, subject=submission_id, tlp=tlp, embargo_until=until, blob=archive, ledger=ledger
    )


def put_finding(
    outbox: Outbox, place: str, bundle: Bundle, *, project: str = "", tlp: Tlp = Tlp.amber, embargo_days: int = 0, ledger: str = ""
) -> Item:
    """Put the flaw that a bundle is about into the outbox, once, whatever became of it. Raises UsageError where the project has no name."""
    finding = bundle.finding
    flaw = flaw_of(bundle.source, finding, project_of(bundle.source, project))
    body = FindingBody.model_validate({"flaw": flaw, "scanner": finding.scanner[:500], "rule_id": finding.rule_id[:500]}).as_json()
    key = idempotency_key("submit-finding", digest_of(canonical_json(body)), tlp.value)
    until = datetime.now(UTC) + timedelta(days=embargo_days) if embargo_days else None
    return outbox.put(place, Verb.submit_finding, body, key=key, subject=finding.id, tlp=tlp, embargo_until=until, ledger=ledger)


def _clean(text: str) -> str:
    # What no database holds as text, and no honest text has.
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
