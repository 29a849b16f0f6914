"""Reads a bundle's files as a stranger must: nothing is believed before its digest, the signature and the other parts agree with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from remediator.errors import EvidenceError
from remediator.evidence import attest
from remediator.evidence.attest import SignatureState
from remediator.evidence.base import ARCHIVE, Base
from remediator.evidence.comparison import RULES
from remediator.evidence.content import MANIFEST, SCHEMA, Attempt, carried, json_file, named_by
from remediator.evidence.keys import TrustedKeys
from remediator.evidence.parse import checked, json_of, optional_of, record_of
from remediator.evidence.statement import statement_of
from remediator.records.choice import Choice
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.recipe import Baseline, Recipe
from remediator.records.record import digest_of
from remediator.records.reproducer import Reproducer
from remediator.records.source import Source
from remediator.records.verdict import Check, EvidenceLevel, Verdict, fold

_DECLINED: TypeAdapter[tuple[Declined, ...]] = TypeAdapter(tuple[Declined, ...])
_MOST_JSON_BYTES = 64 * 1024 * 1024
_CASE_KEYS = frozenset({"id", "reason", "detail", "attempts", "chosen", "expected", "tools"})


class Bundle(NamedTuple):
    """A bundle that was read and checked. `signature` says whether its key is one that the reader trusts."""

    digest: str
    signature: SignatureState
    case_id: str
    source: Source
    finding: Finding
    base: Base
    playbook: bytes
    expected: tuple[tuple[str, EvidenceLevel], ...]
    attempts: tuple[Attempt, ...]
    chosen: int | None
    choice: Choice | None
    declined: tuple[Declined, ...]
    recipe: Recipe | None
    baseline: Baseline | None
    reproducer: Reproducer | None
    reason: ReasonCode | None
    detail: str
    tools: dict[str, str]
    at: str
    files: Mapping[str, bytes]
    notes: tuple[str, ...]

    @property
    def patch(self) -> Patch | None:
        """Return the patch that the case hands over, or None."""
        return None if self.chosen is None else self.attempts[self.chosen].patch

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict on that patch, or None."""
        return None if self.chosen is None else self.attempts[self.chosen].verdict


def examine(files: Mapping[str, bytes], trusted: TrustedKeys) -> Bundle:
    """Check the files of a bundle and return what they say. Raises EvidenceError naming the file at fault."""
    if attest.FILE not in files:
        raise EvidenceError(f"{attest.FILE} is missing: nobody signed this", hint="a bundle is used whole or not at all")
    if sum(len(data) for path, data in files.items() if path.endswith(".json")) > _MOST_JSON_BYTES:
        raise EvidenceError(f"the JSON files of the bundle have more than {_MOST_JSON_BYTES} bytes")
    statement, signature = attest.check(files[attest.FILE], trusted)
    rest = {path: data for path, data in files.items() if path != attest.FILE}
    _unchanged(rest, statement)
    manifest = _manifest(rest)
    bundle = _parsed(rest, manifest, statement, signature)
    _agrees(bundle, rest, manifest, statement)
    return bundle


def _unchanged(files: Mapping[str, bytes], statement: dict[str, Any]) -> None:
    try:
        signed = {entry["name"]: "sha256:" + entry["digest"]["sha256"] for entry in statement["predicate"]["byproducts"]}
    except (KeyError, TypeError) as error:
        raise EvidenceError(f"{attest.FILE}: does not say which files it is about") from error
    if missing := sorted(signed.keys() - files.keys()):
        raise EvidenceError(f"{missing[0]} is missing", hint="a bundle is used whole or not at all")
    if extra := sorted(files.keys() - signed.keys()):
        raise EvidenceError(f"{extra[0]} does not belong to this bundle: nobody signed it")
    changed = [path for path, data in sorted(files.items()) if digest_of(data) != signed[path]]
    if not changed:
        return
    others = [path for path in changed if path != MANIFEST]
    if MANIFEST in changed and others and _manifest_fits(files):
        raise EvidenceError(f"{attest.FILE} belongs to another bundle: it is not about this {others[0]}")
    raise EvidenceError(f"{(others or changed)[0]} was changed since it was signed", hint="do not use this bundle")


def _manifest_fits(files: Mapping[str, bytes]) -> bool:
    try:
        _manifest(files)
    except EvidenceError:
        return False
    return True


def _manifest(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    value = json_of(files, MANIFEST)
    try:
        listed = {entry["path"]: (entry["digest"], entry["bytes"]) for entry in value["files"]}
        sound = value["schema"] == SCHEMA and len(listed) == len(value["files"])
    except (KeyError, TypeError) as error:
        raise EvidenceError(f"{MANIFEST}: not as bundles have it") from error
    actual = {path: (digest_of(data), len(data)) for path, data in files.items() if path != MANIFEST}
    if not sound or listed != actual:
        wrong = sorted(path for path in listed.keys() | actual.keys() if listed.get(path) != actual.get(path))
        raise EvidenceError(f"{MANIFEST}: does not fit {wrong[0] if wrong else 'this bundle'}")
    return list(value["files"])


def _parsed(files: Mapping[str, bytes], manifest: list[dict[str, Any]], statement: dict[str, Any], signature: SignatureState) -> Bundle:
    case = json_of(files, "case.json")
    with_scrubbed = [entry["path"] for entry in manifest if entry.get("scrubbed") is True and "artefact" not in entry]
    try:
        chosen = None if case["chosen"] is None else int(case["chosen"]) - 1
        if chosen is not None and not 0 <= chosen < int(case["attempts"]):
            raise EvidenceError("case.json: the chosen patch is none of the attempts")
        attempts = tuple(_attempt(files, "" if number == chosen else f"attempts/{number + 1}/") for number in range(int(case["attempts"])))
        base = Base.from_json(json_of(files, "base.json"), files.get(ARCHIVE, b""))
        return Bundle(
            digest=digest_of(files[MANIFEST]),
            signature=signature,
            case_id=str(case["id"]),
            source=record_of(files, "source.json", Source),
            finding=record_of(files, "finding.json", Finding),
            base=base,
            playbook=files["playbook.yaml"],
            expected=tuple((str(name), EvidenceLevel(level)) for name, level in case["expected"]),
            attempts=attempts,
            chosen=chosen,
            choice=_choice(files, attempts, chosen),
            declined=checked("declined.json", _DECLINED.validate_python, optional_of(files, "declined.json", [])),
            recipe=record_of(files, "recipe.json", Recipe) if "recipe.json" in files else None,
            baseline=record_of(files, "baseline.json", Baseline) if "baseline.json" in files else None,
            reproducer=_reproducer(files),
            reason=None if case["reason"] is None else ReasonCode(case["reason"]),
            detail=str(case["detail"]),
            tools={str(name): str(version) for name, version in case["tools"].items()},
            at=str(statement["predicate"].get("at", "")),
            files=files,
            notes=_notes(base, with_scrubbed, other_rules=_other_rules(statement)),
        )
    except KeyError as error:
        told = f"{error.args[0]} is missing from the bundle" if error.args[0] not in _CASE_KEYS else f"case.json: lacks {error.args[0]!r}"
        raise EvidenceError(told) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise EvidenceError("case.json: not as bundles have it") from error


def _choice(files: Mapping[str, bytes], attempts: Sequence[Attempt], chosen: int | None) -> Choice | None:
    if "choice.json" not in files:
        return None
    found = record_of(files, "choice.json", Choice)
    handed_over = None if chosen is None else attempts[chosen].patch.id
    if found.patch_id != handed_over or not {found.patch_id, *found.among} <= {attempt.patch.id for attempt in attempts}:
        raise EvidenceError("choice.json: is not about the patch that is handed over, and others that were tried")
    return found


def _reproducer(files: Mapping[str, bytes]) -> Reproducer | None:
    if "reproducer.json" not in files:
        return None
    found = record_of(files, "reproducer.json", Reproducer)
    if found.id != Reproducer.of(finding_id="", author="", files=found.files).id:
        raise EvidenceError(f"reproducer.json: {found.id} is not the id of these files")
    return found


def _attempt(files: Mapping[str, bytes], folder: str) -> Attempt:
    diff = files[f"{folder}patch.diff"].decode("utf-8", "surrogateescape")
    told = json_of(files, f"{folder}patch.json")
    patch = checked(f"{folder}patch.json", Patch.model_validate, {**told, "diff": diff} if isinstance(told, dict) else told)
    if patch.id != Patch.of(finding_id="", fixer="", title="", diff=diff).id:
        raise EvidenceError(f"{folder}patch.json: {patch.id} is not the id of this diff")
    verdict = record_of(files, f"{folder}verdict.json", Verdict) if f"{folder}verdict.json" in files else None
    return Attempt(patch, verdict)


def _agrees(bundle: Bundle, files: Mapping[str, bytes], manifest: list[dict[str, Any]], statement: dict[str, Any]) -> None:
    if bundle.base.tree != bundle.source.tree:
        raise EvidenceError("base.json: is not the tree of source.json")
    if bundle.base.included:
        bundle.base.check()
    logs = carried(manifest)
    for number, attempt in enumerate(bundle.attempts):
        folder = "" if number == bundle.chosen else f"attempts/{number + 1}/"
        _verdict_agrees(bundle, attempt, folder, logs)
    _evidence_agrees(bundle, files)
    if bundle.chosen is not None and (bundle.verdict is None or bundle.verdict.outcome != "verified"):
        raise EvidenceError("verdict.json: the patch that was chosen is not verified")
    told = {**statement, "predicate": {key: value for key, value in statement["predicate"].items() if key != "signer"}}
    if told != _expected_statement(files, bundle.at, told):
        raise EvidenceError(f"{attest.FILE}: says something else than the files that it is about")


def _expected_statement(files: Mapping[str, bytes], at: str, told: dict[str, Any]) -> Any:
    try:
        expected = json.loads(json_file(statement_of(files, at)))
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{attest.FILE}: the files that it is about lack what it must say") from error
    if "evidenceDigest" in expected["predicate"] and _other_rules(told):
        expected["predicate"]["evidenceDigest"] = told["predicate"]["evidenceDigest"]
    return expected


def _other_rules(statement: dict[str, Any]) -> bool:
    """Return whether the evidence digest was made by another release's rules: then it is a number that we cannot check."""
    found = statement["predicate"].get("evidenceDigest")
    return isinstance(found, dict) and found.keys() == {"rules", "sha256"} and type(found["rules"]) is int and found["rules"] != RULES


def _verdict_agrees(bundle: Bundle, attempt: Attempt, folder: str, logs: frozenset[str]) -> None:
    verdict = attempt.verdict
    if attempt.patch.finding_id != bundle.finding.id:
        raise EvidenceError(f"{folder}patch.json: is for another finding")
    if verdict is None:
        return
    if (verdict.patch_id, verdict.finding_id) != (attempt.patch.id, bundle.finding.id):
        raise EvidenceError(f"{folder}verdict.json: is about another patch or finding")
    if lost := next((name for name, digest in named_by(verdict) if digest not in logs), None):
        raise EvidenceError(f"{folder}verdict.json: names the log {lost!r}, which is not here")
    if verdict.outcome == "verified":
        adds_up = fold(
            verdict.checks, patch_id=verdict.patch_id, finding_id=verdict.finding_id, required=verdict.required, expected=bundle.expected
        )
        if (adds_up.outcome, adds_up.level) != (verdict.outcome, verdict.level):
            raise EvidenceError(f"{folder}verdict.json: says more than its checks add up to", hint="do not use this bundle")


def _evidence_agrees(bundle: Bundle, files: Mapping[str, bytes]) -> None:
    for number, attempt in enumerate(bundle.attempts):
        folder = ("" if number == bundle.chosen else f"attempts/{number + 1}/") + "evidence/"
        found = [record_of(files, path, Check) for path in sorted(files) if path.startswith(folder)]
        checks = attempt.verdict.checks if attempt.verdict else ()
        if sorted(check.digest() for check in found) != sorted(check.digest() for check in checks):
            raise EvidenceError(f"{folder}: does not hold the checks of the verdict")


def _notes(base: Base, scrubbed: list[str], *, other_rules: bool) -> tuple[str, ...]:
    found = []
    if not base.included:
        found.append(f"the base tree is not here ({base.reason}): a replay needs the source")
    if base.omitted:
        found.append(f"{len(base.omitted)} entries of the base tree are known by id only (submodules, links that leave the tree)")
    if "recipe.json" in scrubbed or "playbook.yaml" in scrubbed:
        found.append("a secret or a host folder was blanked in the recipe or playbook: a replay may need it set again")
    if other_rules:
        found.append("the evidence digest was made by the rules of another release: it was not checked, the evidence itself was")
    return tuple(found)
