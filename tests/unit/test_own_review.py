"""A replaying side's own reviewer, asked over HTTP: what it says, what it costs, and when it is not asked at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from remediator.app import Remediator
from remediator.clearinghouse.validator import judged
from remediator.contracts import Price, Reply
from remediator.engine.kit import Kit
from remediator.engine.project import Project
from remediator.engine.replay import Replayer
from remediator.engine.telling import telling
from remediator.errors import ConfigError, UsageError
from remediator.evidence.base import Base
from remediator.evidence.bundle import Attempt, BundleContent, read, write
from remediator.evidence.keys import SigningKey
from remediator.evidence.replay import NOT_REPLAYED, ReplayReport, ReplayRequest, replay
from remediator.recipe.hints import Hints
from remediator.records import Check, CheckStatus, EvidenceLevel, Finding, Location, Patch, Severity
from remediator.records.verdict import fold
from remediator.settings import load_settings
from remediator.source import resolve
from remediator.testing.llm_server import Fault, LlmServer

DIFF = "diff --git a/load.py b/load.py\n--- a/load.py\n+++ b/load.py\n@@ -1 +1 @@\n-data = yaml.load(text)\n+data = yaml.safe_load(text)\n"
PRICE = Price(input=Decimal(3), output=Decimal(15))
NOTHING = Reply(text='I see nothing wrong. {"test": null}')
# Checks that always pass, for each rung: what they stand for needs a sandbox, and is tried elsewhere.
PLUGIN = """
from typing import ClassVar
from remediator import hookimpl
from remediator.contracts import Scanner, Verifier
from remediator.records import Finding, Location, Severity
from remediator.records.scan import Covered
from remediator.records.verdict import Check, CheckStatus, EvidenceLevel

def made(number):
    class Yes(Verifier):
        name: ClassVar[str] = f"yes{number}"
        level: ClassVar[EvidenceLevel] = EvidenceLevel(number)
        async def verify(self, finding, patch, workspace):
            return Check(name=self.name, level=self.level, status=CheckStatus.passed)
    return Yes

class Sees(Scanner):
    name: ClassVar[str] = "sees"
    async def scan(self, workspace):
        place = Location(path="load.py", start_line=1, start_column=1, end_line=1, end_column=9)
        yield Finding.at(rule_id="r", scanner="sees", message="m", location=place, snippet="data = yaml.load(text)", severity=Severity.high)
        yield Covered(scanner="sees", paths=("load.py",))

@hookimpl
def register_scanners():
    return [Sees]

@hookimpl
def register_verifiers():
    return [made(number) for number in range(6)]
"""


def playbook(*, attacked: bool = True, usd: float = 2.0) -> dict[str, Any]:
    names = [*(f"yes{number}" for number in range(6 if attacked else 5)), "reviewer", "replayed"]
    return {
        "name": "ours",
        "scan": [],
        "fix": [],
        "verify": [{"use": name} for name in names],
        "submit": [],
        "sandbox": {"use": "none"},
        "require": {"default": "E3"},
        "limits": {"attempts": 1, "usd": usd, "minutes": 5},
    }


async def bundle(tmp_path: Path, told: dict[str, Any], *, scanner: str = "s", finds: dict[str, Any] | None = None, **said: Any) -> Path:
    """Return a bundle as an honest recorder without a model of its own makes it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "load.py").write_text("data = yaml.load(text)\n")
    source = (await resolve(str(folder), revision=None, folder=tmp_path / "ours", env={})).source.model_copy(update=said)
    place = Location(path="load.py", start_line=1, start_column=1, end_line=1, end_column=9)
    snippet = "data = yaml.load(text)"
    finding = Finding.at(rule_id="r", scanner=scanner, message="m", location=place, snippet=snippet, severity=Severity.high)
    finding = finding.model_copy(update=finds or {})
    patch = Patch.of(finding_id=finding.id, fixer="f", title="t", diff=DIFF)
    levels = {"reviewer": 5, "replayed": 5, **{f"yes{number}": number for number in range(6)}}
    expected = [(use["use"], EvidenceLevel(levels[use["use"]])) for use in told["verify"]]
    checks = [
        Check(name=name, level=level, status=CheckStatus.not_run, reason="no-model" if name == "reviewer" else "needs-replay")
        if name in ("reviewer", "replayed")
        else Check(name=name, level=level, status=CheckStatus.passed)
        for name, level in expected
    ]
    verdict = fold(checks, patch_id=patch.id, finding_id=finding.id, required=EvidenceLevel.E4, expected=expected)
    content = BundleContent(
        case_id="fx-1", source=source, finding=finding, base=Base(source.tree, source.commit, reason="left out"), playbook=told,
        expected=tuple(expected), artefact=lambda digest: b"", attempts=(Attempt(patch, verdict),), chosen=0,
    )  # fmt: skip
    return write(tmp_path / "bundle", content, SigningKey.generate()).archive


@asynccontextmanager
async def validator(tmp_path: Path, url: str, ours: dict[str, Any], **settings: Any) -> AsyncIterator[Remediator]:
    plugin, place = tmp_path / "yes.py", tmp_path / "ours.yaml"
    plugin.write_text(PLUGIN)
    place.write_text(yaml.safe_dump(ours))
    model = {"use": "openai", "model": "m", "base_url": url, "backoff_seconds": 0.01, "price": PRICE.model_dump()}
    told = {"validator": {"reviewer": "big"}, "models": {"big": model}, **settings}
    async with Remediator.open(load_settings(state=tmp_path / "theirs", plugin_files=(plugin,), playbook=str(place), **told)) as app:
        yield app


async def replayed(app: Remediator, archive: Path, tmp_path: Path) -> ReplayReport:
    return await app.replay(archive, source=str(tmp_path / "project"), own=app.own_way(Hints()))


async def test_a_reviewer_of_ours_that_objects_to_nothing_raises_a_proof_that_agrees_to_e5(tmp_path: Path) -> None:
    archive = await bundle(tmp_path, playbook())
    async with LlmServer(lambda asked: NOTHING, price=PRICE) as server, validator(tmp_path, server.url, playbook()) as app:
        report = await replayed(app, archive, tmp_path)
        again = await replayed(app, archive, tmp_path)

    assert report.agreed, report.differences
    assert report.review is not None and report.review.status is CheckStatus.passed
    # What was measured is compared; what was asked here stands beside it.
    assert {check.name: check.reason for check in report.replayed.checks}["reviewer"] in ("no-model", NOT_REPLAYED)
    found = judged(read(archive), report)
    assert (found.state, found.validation.level) == ("verified", 5)
    # The finding and the diff are all that is told, and the same patch is paid for once.
    (only,) = server.asked
    assert "safe_load" in only.prompt.messages[0].text and "no-model" not in only.prompt.messages[0].text
    assert again.review is not None and again.review.status is CheckStatus.passed


async def test_without_a_reviewer_of_ours_it_stays_at_e4_and_nobody_is_asked(tmp_path: Path) -> None:
    archive = await bundle(tmp_path, playbook())
    async with LlmServer([]) as server, validator(tmp_path, server.url, playbook(), validator={}) as app:
        report = await replayed(app, archive, tmp_path)
    assert report.review is None and server.asked == []
    assert judged(read(archive), report).validation.level == 4


async def test_where_something_else_is_missing_nobody_is_asked(tmp_path: Path) -> None:
    ours = playbook(attacked=False)
    archive = await bundle(tmp_path, ours)
    async with LlmServer([]) as server, validator(tmp_path, server.url, ours) as app:
        report = await replayed(app, archive, tmp_path)
    assert report.review is None and server.asked == []
    assert judged(read(archive), report).validation.level == 4


@pytest.mark.parametrize("answer", [Reply(text="certainly!"), Fault(kind="status", status=400)])
async def test_an_answer_that_is_none_leaves_it_at_e4(tmp_path: Path, answer: Any) -> None:
    archive = await bundle(tmp_path, playbook())
    async with LlmServer(lambda asked: answer, price=PRICE) as server, validator(tmp_path, server.url, playbook()) as app:
        report = await replayed(app, archive, tmp_path)
    assert report.review is not None and report.review.status is not CheckStatus.passed
    found = judged(read(archive), report)
    assert (found.state, found.validation.level) == ("verified", 4)


@pytest.mark.parametrize("whose", ["the playbook's", "the day's"])
async def test_a_bundle_spends_no_more_than_our_own_limits(tmp_path: Path, whose: str) -> None:
    archive = await bundle(tmp_path, playbook(usd=1000.0))
    ours, limits = (playbook(usd=0.0), {}) if whose == "the playbook's" else (playbook(), {"day_usd": 0})
    async with LlmServer([]) as server, validator(tmp_path, server.url, ours, limits=limits) as app:
        report = await replayed(app, archive, tmp_path)
    assert server.asked == [] and report.review is not None
    assert report.review.status is not CheckStatus.passed, report.review.summary
    assert judged(read(archive), report).validation.level == 4


async def test_the_operators_hints_are_what_the_project_is_built_by(tmp_path: Path) -> None:
    archive, hints = await bundle(tmp_path, playbook()), Hints(python="3.9", pins=("numpy<2",))
    seen: list[Project] = []

    class Looking(Replayer):
        async def _project(self, request: ReplayRequest, kit: Kit) -> Project:
            seen.append(await super()._project(request, kit))
            return seen[-1]

    async with validator(tmp_path, "http://127.0.0.1:9/v1", playbook(), validator={}) as app, telling(app._recorder, "replay") as teller:
        for own in (app.own_way(hints), app.own_way(Hints()), None):
            judge = Looking(app.settings, app.registry, teller, source=str(tmp_path / "project"), playbook=None, own=own)
            await replay(read(archive), judge)
    assert [project.hints for project in seen] == [hints, Hints(), Hints()]


async def test_when_and_as_what_it_was_released_is_found_out_here(tmp_path: Path) -> None:
    """Both choose what it is built and tested with: with dependencies of another day, tests that a patch breaks would not run at all."""
    said = {"released": datetime(2012, 1, 1, tzinfo=UTC), "name": "another", "version": "0.1"}
    archive = await bundle(tmp_path, playbook(), **said)
    seen: list[Project] = []

    class Looking(Replayer):
        async def _project(self, request: ReplayRequest, kit: Kit) -> Project:
            seen.append(await super()._project(request, kit))
            return seen[-1]

    async with validator(tmp_path, "http://127.0.0.1:9/v1", playbook(), validator={}) as app, telling(app._recorder, "replay") as teller:
        for own in (app.own_way(Hints()), None):
            judge = Looking(app.settings, app.registry, teller, source=str(tmp_path / "project"), playbook=None, own=own)
            await replay(read(archive), judge)
    ours, theirs = ([each.source.released, each.source.name, each.source.version] for each in seen)
    assert (ours, theirs) == ([None, "project", ""], list(said.values()))


@pytest.mark.parametrize(
    "finds",
    [
        {},
        {"aliases": ("CVE-2026-0001",)},
        {"severity": Severity.critical},
        {"cwe": (89,)},
        {"rule_id": "sql"},
        {"snippet": "eval(x)"},
        {"key": "another"},
    ],
)
async def test_a_finding_of_our_scanners_is_told_as_they_tell_it(tmp_path: Path, finds: dict[str, Any]) -> None:
    """A fix for something small that is really there must not be handed out as one for whatever name its submitter gives it."""
    ours = {**playbook(), "scan": [{"use": "sees"}]}
    archive = await bundle(tmp_path, ours, scanner="sees", finds=finds)
    async with validator(tmp_path, "http://127.0.0.1:9/v1", ours, validator={}) as app:
        if not finds:
            report = await replayed(app, archive, tmp_path)
            assert judged(read(archive), report).validation.level == 4
            return
        with pytest.raises(UsageError, match="in another way"):
            await replayed(app, archive, tmp_path)


async def test_a_reviewer_that_is_no_model_of_the_settings_is_told(tmp_path: Path) -> None:
    async with validator(tmp_path, "http://127.0.0.1:9/v1", playbook(), validator={"reviewer": "nobody"}) as app:
        with pytest.raises(ConfigError, match="nobody"):
            app.model(app.settings.validator.reviewer)


async def test_a_bundle_that_leaves_our_reviewer_out_comes_to_no_more_than_one_that_names_it(tmp_path: Path) -> None:
    silent = playbook()
    silent["verify"] = [use for use in silent["verify"] if use["use"] != "reviewer"]
    archive = await bundle(tmp_path, silent)
    async with LlmServer([]) as server, validator(tmp_path, server.url, playbook()) as app:
        report = await replayed(app, archive, tmp_path)
        plain = await app.replay(archive, source=str(tmp_path / "project"))
    assert report.agreed and report.review is None
    found = judged(read(archive), report)
    assert (found.state, found.validation.level) == ("verified", 4)
    # Where our own playbook asks no reviewer, nothing is missing; nor is it a clearinghouse's rule for other replays.
    assert plain.raises is EvidenceLevel.E5
    async with validator(tmp_path, server.url, silent) as app:
        report = await replayed(app, archive, tmp_path)
    assert judged(read(archive), report).validation.level == 5
