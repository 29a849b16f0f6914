"""What goes into a bundle, and the files that it becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from remediator.errors import EvidenceError
from remediator.evidence.base import ARCHIVE, Base
from remediator.evidence.scrub import EXACT_VERDICT, Scrubber
from remediator.records.case import Case
from remediator.records.choice import Choice
from remediator.records.finding import Finding
from remediator.records.patch import Declined, Patch, ReasonCode
from remediator.records.recipe import Baseline, Recipe
from remediator.records.record import digest_of
from remediator.records.reproducer import Acceptance, Reproducer
from remediator.records.source import Source
from remediator.records.verdict import EvidenceLevel, Verdict

MANIFEST = "MANIFEST.json"
SCHEMA = "remediator-bundle/1"
EXACT_FINDING = frozenset({"id", "key", "location", "snippet", "fixes"})
_LOG_BYTES = 4 * 1024 * 1024
_LOGS_BYTES = 32 * 1024 * 1024


class Attempt(NamedTuple):
    """A patch, and what was said of it; None where it was not judged to the end."""

    patch: Patch
    verdict: Verdict | None


class BundleContent(NamedTuple):
    """Everything a bundle tells of a case.

    `attempts` are all patches in the order they were tried; `chosen` is the index of the one that the case hands over, None where there is
    none. `expected` names every check of the playbook with its level. `artefact` returns a log by its digest. `playbook` is the resolved
    form. `tools` maps what ran to its version.
    """

    case_id: str
    source: Source
    finding: Finding
    base: Base
    playbook: Mapping[str, Any]
    expected: Sequence[tuple[str, EvidenceLevel]]
    artefact: Callable[[str], bytes]
    attempts: tuple[Attempt, ...] = ()
    chosen: int | None = None
    choice: Choice | None = None
    declined: tuple[Declined, ...] = ()
    recipe: Recipe | None = None
    baseline: Baseline | None = None
    reproducer: Reproducer | None = None
    acceptance: Acceptance | None = None
    reason: ReasonCode | None = None
    detail: str = ""
    tools: Mapping[str, str] = {}
    at: datetime | None = None
    scrub: Scrubber | None = None

    @classmethod
    def of(
        cls,
        case: Case,
        *,
        source: Source,
        base: Base,
        playbook: Mapping[str, Any],
        expected: Sequence[tuple[str, EvidenceLevel]],
        artefact: Callable[[str], bytes],
        baseline: Baseline | None = None,
        tools: Mapping[str, str] | None = None,
        at: datetime | None = None,
        scrub: Scrubber | None = None,
    ) -> BundleContent:
        """Build the content from a case; its best patch is chosen where that one is verified, to whatever level."""
        verdicts = {verdict.patch_id: verdict for verdict in case.verdicts}
        best = case.best
        chosen = case.patches.index(best[0]) if best and best[1].outcome == "verified" else None
        return cls(
            case_id=case.id,
            source=source,
            finding=case.finding,
            base=base,
            playbook=playbook,
            expected=expected,
            artefact=artefact,
            attempts=tuple(Attempt(patch, verdicts.get(patch.id)) for patch in case.patches),
            chosen=chosen,
            choice=case.choice,
            declined=case.declined,
            recipe=baseline.recipe if baseline else None,
            baseline=baseline,
            reproducer=case.reproducer,
            acceptance=case.acceptance,
            reason=case.closed,
            detail=case.detail,
            tools=tools or {},
            at=at,
            scrub=scrub,
        )


def files_of(content: BundleContent) -> dict[str, bytes]:
    """Return the bundle's files by name, the manifest included and the attestation not. Raises StateError where a log is gone."""
    if content.base.tree != content.source.tree:
        raise EvidenceError(f"the base is tree {content.base.tree}, the source is {content.source.tree}")
    layout = _Layout(content.scrub or Scrubber(), content.artefact)
    layout.case(content)
    for number, attempt in enumerate(content.attempts, 1):
        layout.attempt("" if number - 1 == content.chosen else f"attempts/{number}/", attempt)
    if content.baseline:
        layout.baseline(content.baseline)
    return layout.sealed()


def json_file(value: object) -> bytes:
    """Return JSON as the files of a bundle have it: sorted, indented, ASCII. Raises EvidenceError where it is not JSON."""
    try:
        return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise EvidenceError(f"evidence that is not plain JSON: {error}") from error


class _Layout:
    """Collects files, and how each differs from what it was made of."""

    def __init__(self, scrub: Scrubber, artefact: Callable[[str], bytes]) -> None:
        self._scrub = scrub
        self._artefact = artefact
        self._files: dict[str, bytes] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._left = _LOGS_BYTES

    def case(self, content: BundleContent) -> None:
        self._json("source.json", self._scrub.source(content.source).as_json(), content.source.as_json())
        self._scrubbed("finding.json", content.finding.as_json(), EXACT_FINDING)
        self._put("playbook.yaml", _yaml(self._scrub.value(dict(content.playbook))), _yaml(dict(content.playbook)))
        self._put("base.json", json_file(content.base.as_json()))
        if content.base.included:
            self._put(ARCHIVE, content.base.archive)
        if content.recipe:
            recipe = content.recipe.as_json()
            self._json("recipe.json", self._scrub.commands(recipe), recipe)
        if content.reproducer:
            # Byte for byte: its id is made of its files, and a replay runs them.
            self._json("reproducer.json", content.reproducer.as_json(), content.reproducer.as_json())
        if content.acceptance:
            self._scrubbed("acceptance.json", content.acceptance.as_json())
            if content.acceptance.log_digest:
                self._log("", "acceptance", content.acceptance.log_digest)
        if content.declined:
            self._scrubbed("declined.json", [declined.as_json() for declined in content.declined])
        if content.choice:
            self._scrubbed("choice.json", content.choice.as_json(), frozenset({"patch_id", "among"}))
        self._scrubbed(
            "case.json",
            {
                "id": content.case_id,
                "reason": content.reason,
                "detail": content.detail,
                "attempts": len(content.attempts),
                "chosen": None if content.chosen is None else content.chosen + 1,
                "expected": [[name, int(level)] for name, level in content.expected],
                "tools": dict(content.tools),
            },
        )

    def attempt(self, folder: str, attempt: Attempt) -> None:
        told = attempt.patch.as_json()
        diff = told.pop("diff")
        self._put(f"{folder}patch.diff", diff.encode("utf-8", "surrogateescape"))
        self._scrubbed(f"{folder}patch.json", told, frozenset({"id", "finding_id"}))
        if attempt.verdict is None:
            return
        verdict = attempt.verdict.as_json()
        self._scrubbed(f"{folder}verdict.json", verdict, EXACT_VERDICT)
        for check in verdict["checks"]:
            self._scrubbed(self._free(f"{folder}evidence/", check["name"], ".json"), check, EXACT_VERDICT)
            for name, digest in sorted(check["artefacts"].items()):
                self._log(folder, f"{check['name']}.{name}", digest)

    def baseline(self, baseline: Baseline) -> None:
        told = baseline.as_json()
        self._json("baseline.json", {**self._scrub.value(told), "recipe": self._scrub.commands(told["recipe"])}, told)
        if baseline.build.log_digest:
            self._log("", "baseline.build", baseline.build.log_digest)
        for number, run in enumerate(baseline.runs, 1):
            if run.log_digest:
                self._log("", f"baseline.tests.{number}", run.log_digest)

    def sealed(self) -> dict[str, bytes]:
        listed = [
            {"path": path, "bytes": len(data), "digest": digest_of(data), **self._facts.get(path, {})}
            for path, data in sorted(self._files.items())
        ]
        return {**self._files, MANIFEST: json_file({"schema": SCHEMA, "files": listed})}

    def _log(self, folder: str, name: str, digest: str) -> None:
        whole = self._artefact(digest)
        # What lies in the middle is not kept: it need not be searched either.
        raw = _cut(whole, 2 * _LOG_BYTES)
        text = self._scrub.data(raw)
        kept = _cut(text, min(_LOG_BYTES, self._left))
        self._left -= len(kept)
        path = self._free(f"{folder}logs/", name, "")
        self._put(path, kept)
        facts: dict[str, Any] = {"artefact": digest}
        if text != raw:
            facts["scrubbed"] = True
        if kept != text or raw != whole:
            facts["cut"] = len(whole)
        self._facts[path] = facts

    def _scrubbed(self, path: str, value: Any, exact: frozenset[str] = frozenset()) -> None:
        self._json(path, self._scrub.value(value, exact=exact), value)

    def _json(self, path: str, value: Any, before: Any) -> None:
        self._put(path, json_file(value), json_file(before))

    def _put(self, path: str, data: bytes, before: bytes | None = None) -> None:
        self._files[path] = data
        if before is not None and before != data:
            self._facts[path] = {"scrubbed": True}

    def _free(self, folder: str, name: str, ending: str) -> str:
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60] or "unnamed"
        path = f"{folder}{slug}{ending}"
        if path in self._files or slug != name:
            path = f"{folder}{slug}-{digest_of(name.encode('utf-8', 'surrogateescape'))[7:15]}{ending}"
        number = 1
        while path in self._files:
            number += 1
            path = f"{folder}{slug}-{number}{ending}"
        return path


def carried(manifest: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the digests of the artefacts that a manifest says are here."""
    return frozenset(entry["artefact"] for entry in manifest if "artefact" in entry)


def named_by(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield name and digest of every artefact that a verdict names."""
    for check in verdict.checks:
        yield from check.artefacts.items()


def _cut(data: bytes, most: int) -> bytes:
    if len(data) <= most:
        return data
    half = most // 2
    tail = data[len(data) - half :] if half else b""
    return data[:half] + b"\n[... cut here: %d bytes ...]\n" % (len(data) - 2 * half) + tail


def _yaml(value: dict[str, Any]) -> bytes:
    import yaml

    try:
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=False, default_flow_style=False).encode("ascii")
    except (yaml.YAMLError, UnicodeError) as error:
        raise EvidenceError(f"a playbook that is not plain data: {error}") from error
