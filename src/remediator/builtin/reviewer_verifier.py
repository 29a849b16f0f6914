"""E5: a reviewer who sees finding and diff, but not the reasons, may object with a test, and the test decides."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from pydantic import Field

from remediator.builtin.answer import Answer, answered, some
from remediator.builtin.prompts import load_prompts, quoted
from remediator.contracts import Message, Prompt, Reply, Verifier, Workspace
from remediator.errors import ConfigError
from remediator.records.finding import Finding
from remediator.records.patch import Patch
from remediator.records.recipe import TestOutcome
from remediator.records.reproducer import Reproducer
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

_MOST_TEXT = 64_000


class ReviewerVerifier(Verifier):
    """Asks another model. Its opinion counts for nothing; a test that it names is run on base and patch, and can only speak against."""

    name: ClassVar[str] = "reviewer"
    level: ClassVar[EvidenceLevel] = EvidenceLevel.E5

    llm: str = Field(default="none", description="Name of the model that reviews, as in the settings; `none`: nobody is asked.")
    max_tokens: int = Field(default=4096, ge=256)

    async def verify(self, finding: Finding, patch: Patch, workspace: Workspace) -> Check:
        """Judge the patch."""
        return await answered(self, lambda: self._judged(finding, patch, workspace))

    async def _judged(self, finding: Finding, patch: Patch, workspace: Workspace) -> Answer:
        if self.llm == "none":
            return Answer(CheckStatus.not_run, "no-model", "no model was chosen to review", {})
        try:
            llm = workspace.llm(self.llm)
        except ConfigError as error:
            return Answer(CheckStatus.not_run, "no-model", error.message, {})
        prompts = load_prompts("reviewer")
        question = prompts.render("question", finding=quoted("finding", _told(finding)), diff=quoted("diff", patch.diff))
        reply = await llm.complete(
            Prompt(system=prompts.render("system"), messages=(Message(role="user", text=question),), max_tokens=self.max_tokens)
        )
        return await _weighed(finding, reply, workspace)


def _told(finding: Finding) -> str:
    where = f"{finding.path}:{finding.location.start_line}" if finding.location else "no place named"
    weakness = ", ".join(f"CWE-{number}" for number in finding.cwe) or "unknown weakness"
    return "\n".join(part for part in (f"{weakness} at {where}", finding.message, finding.contract) if part)


async def _weighed(finding: Finding, reply: Reply, workspace: Workspace) -> Answer:
    evidence: dict[str, Any] = {"model": reply.model}
    said = _parsed(reply.text) if reply.stop in ("end", "tools") else None
    if said is None:
        return Answer(CheckStatus.inconclusive, "no-answer", "the reviewer's answer is not in the form that was asked for", evidence)
    if not said.get("test"):
        return Answer(CheckStatus.passed, "", "the reviewer names no failing input", evidence)
    objection = Reproducer.of(finding_id=finding.id, author="reviewer", files={"test_objection.py": str(said["test"])})
    evidence["objection"] = objection.id
    base = await workspace.acceptance(objection)
    if base.reason in ("not-honest", "reads-source", "in-doubt", "flaky"):
        return Answer(CheckStatus.inconclusive, "objection-unusable", f"the reviewer's test is of no use: {base.detail}", evidence)
    run = await workspace.probe(objection)
    again = await workspace.probe(objection)
    names = {*run.results, *again.results}
    ever = [sorted(t for t in names if each.results.get(t) is not TestOutcome.passed) for each in (run, again)]
    red = sorted(set(ever[0]) & set(ever[1]))
    evidence |= {"red_on_patch": some(red), "raised": dict(run.raised), "base": base.reason or "red"}
    artefacts = {
        "objection.log": run.log_digest,
        "objection.py": workspace.keep("objection.py", str(said["test"]).encode("utf-8", "replace")),
    }
    if not names or not run.complete or not again.complete or (any(ever) and not red):
        told = f"the reviewer's test has no steady answer on the patch: {', '.join((*run.problems, *again.problems)) or 'flaky'}"
        return Answer(CheckStatus.inconclusive, "objection-unclear", told, evidence, artefacts)
    if not red:
        return Answer(CheckStatus.passed, "", "the reviewer's failing input does not fail", evidence, artefacts)
    if base.reason == "not-red":
        return Answer(CheckStatus.failed, "objection-upheld", f"{red[0]} passes on the base and fails on the patch", evidence, artefacts)
    told = f"{red[0]} fails on base and patch alike; whether it has to pass is not known"
    return Answer(CheckStatus.inconclusive, "objection-open", told, evidence, artefacts)


def _parsed(text: str) -> dict[str, Any] | None:
    """Return the last JSON object in the answer."""
    text = text[-_MOST_TEXT:]  # each of its braces may begin the object
    for start in (position for position, char in enumerate(text) if char == "{"):
        try:
            found = json.loads(text[start : text.rindex("}") + 1])
        except RecursionError:
            return None
        except ValueError:
            continue
        # What stands in the middle of a cut answer is no answer.
        return found if isinstance(found, dict) and "test" in found else None
    return None
