"""What a signature under a bundle says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediator.evidence import attest
from remediator.evidence.comparison import RULES, evidence_digest
from remediator.evidence.parse import json_of, record_of
from remediator.records.record import digest_of
from remediator.records.verdict import Verdict


def statement_of(files: Mapping[str, bytes], at: str) -> dict[str, Any]:
    """Return the statement that these files call for, as a pure function of them: what a signer signs is what a reader expects."""
    source, base, case = (json_of(files, name) for name in ("source.json", "base.json", "case.json"))
    chosen = case["chosen"] is not None
    verdict = record_of(files, "verdict.json", Verdict) if chosen else None
    subject: list[dict[str, Any]] = [{"name": "patch.diff", "digest": _sha256(files["patch.diff"])}] if chosen else []
    subject += [
        {"name": f"base-{kind}", "digest": {f"git{kind.title()}": oid}}
        for kind, oid in (("commit", source["commit"]), ("tree", base["tree"]))
        if _hexadecimal(oid)
    ]
    finding = json_of(files, "finding.json")
    predicate: dict[str, Any] = {
        "case": {"id": case["id"], "reason": case["reason"], "attempts": case["attempts"]},
        "source": source,
        "finding": {key: finding[key] for key in ("id", "key", "rule_id", "scanner", "cwe", "aliases", "severity")},
        "verdict": None,
        "recipe": json_of(files, "recipe.json") if "recipe.json" in files else None,
        "tools": case["tools"],
        "byproducts": [{"name": path, "digest": _sha256(data)} for path, data in sorted(files.items()) if path != attest.FILE],
    }
    if verdict:
        told = verdict.as_json()
        predicate["verdict"] = {key: told[key] for key in ("patch_id", "finding_id", "outcome", "level", "required", "reason")}
        predicate["checks"] = [{key: check[key] for key in ("name", "level", "status", "reason")} for check in told["checks"]]
        predicate["evidenceDigest"] = {"rules": RULES, "sha256": evidence_digest(verdict).removeprefix("sha256:")}
    return attest.statement(subject, {**predicate, "at": at} if at else predicate)


def _sha256(data: bytes) -> dict[str, str]:
    return {"sha256": digest_of(data).removeprefix("sha256:")}


def _hexadecimal(oid: object) -> bool:
    return isinstance(oid, str) and len(oid) in (40, 64) and all(char in "0123456789abcdef" for char in oid)
