"""What a validator can check besides a package as published: a folder of a repository, a project that needs hints, and up to E5."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from remediator.clearinghouse.checking import Policy, UnfetchableError, fetchable
from remediator.clearinghouse.recipes import Recipes
from remediator.clearinghouse.store import Store
from remediator.clearinghouse.wire.terms import FixState
from remediator.errors import ConfigError
from remediator.evidence.replay import ReplayReport
from remediator.recipe.hints import Hints
from remediator.records import Check, CheckStatus, EvidenceLevel, Patch, Source, SourceKind
from remediator.testing.clearinghouse import Party

from .test_validator import DIFF, WHOLE, Sandbox, checks, left_open, made, submit, validated

Joins = Callable[..., Awaitable[Party]]
HEAD = "c" * 40


@pytest.fixture
async def submitter(joins: Joins) -> Party:
    return await joins("submitter")


# -- a folder of a repository ------------------------------------------------------------------------------------------


class Told(Sandbox):
    """Remembers where the source was to be fetched from."""

    source = ""

    async def __call__(self, bundle: Path, source: str) -> ReplayReport:
        self.source = source
        return await super().__call__(bundle, source)


async def test_a_fix_of_a_folder_is_let_out_as_a_fix_of_its_repository(
    store: Store, joins: Joins, submitter: Party, tmp_path: Path
) -> None:
    told = made(tmp_path / "made", submitter.key, uri="local:pyanyapi", below="services/app", revision=HEAD)
    assert told.body["flaw"]["path"] == "services/app/pyanyapi/interfaces.py"
    sandbox = Told()
    fix_id = await submit(submitter, told.body, told.archive)
    fix = await validated(store, submitter, fix_id, sandbox)

    assert (fix.state, fix.level, sandbox.source) == (FixState.verified, 3, "https://github.com/stranger69/pyanyapi")
    out = await store.published((await joins("operator")).caller, fix_id)
    assert out.patch == DIFF.replace("a/pyanyapi", "a/services/app/pyanyapi").replace("b/pyanyapi", "b/services/app/pyanyapi")
    # What a subscriber computes of what it got is what the ledger recorded.
    assert Patch.of(finding_id="", fixer="", title="", diff=out.patch).id == fix.patch_id == out.fix.patch_id


@pytest.mark.parametrize("wrong", ["patch_id", "path"])
async def test_whoever_tells_the_patch_from_another_place_than_the_bundle_is_refused(
    store: Store, submitter: Party, tmp_path: Path, wrong: str
) -> None:
    told = made(tmp_path / "made", submitter.key, uri="local:pyanyapi", below="services/app", revision=HEAD)
    as_in_the_bundle = Patch.of(finding_id="f", fixer="codemod", title="x", diff=DIFF).id
    said = {"patch_id": as_in_the_bundle} if wrong == "patch_id" else {"flaw": {**told.body["flaw"], "path": "pyanyapi/interfaces.py"}}
    sandbox = Sandbox()
    fix = await validated(store, submitter, await submit(submitter, {**told.body, **said}, told.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason, sandbox.replays) == (FixState.rejected, "bundle-refused", 0)


@pytest.mark.parametrize("folder", ["../app", "/etc", "a/../b", "a//b", "a/.git/b", "a b", "-x/\n", 'a"b', "ü"])
async def test_a_folder_that_is_none_is_refused_before_anything_is_fetched(
    store: Store, submitter: Party, tmp_path: Path, folder: str
) -> None:
    honest = made(tmp_path / "honest", submitter.key, uri="local:pyanyapi", below="app", revision=HEAD)
    evil = made(tmp_path / "evil", submitter.key, uri="local:pyanyapi", below=folder, revision=HEAD, body=honest.body)
    sandbox = Sandbox()
    fix = await validated(store, submitter, await submit(submitter, evil.body, evil.archive), sandbox)
    assert fix.validation is not None
    assert (fix.state, fix.validation.reason, sandbox.replays) == (FixState.rejected, "bundle-refused", 0)
    assert "cannot be handed over" in fix.validation.differences[0]


async def test_a_patch_of_a_package_is_handed_out_from_no_other_place_than_it_was_proven_at(
    store: Store, submitter: Party, tmp_path: Path
) -> None:
    evil = made(tmp_path / "evil", submitter.key, below="elsewhere")
    assert evil.body["flaw"]["path"].startswith("elsewhere/")
    sandbox = Sandbox()
    fix = await validated(store, submitter, await submit(submitter, evil.body, evil.archive), sandbox)
    assert (fix.state, fix.validation and fix.validation.reason, sandbox.replays) == (FixState.rejected, "bundle-refused", 0)


def source(**facts: Any) -> Any:
    class Told:
        source = Source(kind=SourceKind.path, uri="local:app", name="app", commit="0" * 40, tree="a" * 40, **facts)

    return Told()


def test_a_folder_is_fetched_from_the_repository_that_is_named_as_its_project_and_listed() -> None:
    at_head = source(revision=HEAD, folder="app")
    assert fetchable(at_head, Policy(), "github.com/a/b") == "https://github.com/a/b"
    for bundle, project in (
        (at_head, "evil.example/a/b"),
        (at_head, "user@github.com/a/b"),
        (at_head, "github.com:8443/a/b"),
        (at_head, "pkg:pypi/app"),
        (source(revision=""), "github.com/a/b"),
        (source(revision="main"), "github.com/a/b"),
        (source(revision="--upload-pack=x"), "github.com/a/b"),
    ):
        with pytest.raises(UnfetchableError):
            fetchable(bundle, Policy(), project)


# -- a project that needs hints ----------------------------------------------------------------------------------------


def test_hints_are_found_by_project_however_it_is_spelled_and_a_version_s_own_go_first() -> None:
    old, all_of_it, ours = Hints(python="3.9"), Hints(pins=("numpy<2",)), Hints(test=("pytest", "unit"))
    recipes = Recipes.read({"pkg:PyPI/Joblib": all_of_it, "pkg:pypi/joblib@1.0.0": old, "git+https://GitHub.com/Example/Shop.git": ours})
    assert recipes.of("pkg:pypi/joblib@1.2.0") == all_of_it
    for spelled in ("pkg:pypi/joblib@1.0.0", "pkg:pypi/JobLib@1.0.0", "pkg:pypi/joblib@1.0.0?x=y", "pkg:pypi/joblib@1%2E0.0"):
        assert recipes.of(spelled) == old
    assert recipes.of("https://github.com/example/shop") == recipes.of("https://github.com/Example/Shop.git") == ours
    assert recipes.of("pkg:pypi/other@1.0") == Hints()


@pytest.mark.parametrize("keys", [["joblib"], ["pkg:pypi/a", "pkg:PyPI/A"], ["pkg:pypi/a@1", "pkg:pypi/A@1"]])
def test_hints_for_no_project_or_twice_for_one_are_refused(keys: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"validator\.recipes"):
        Recipes.read({key: Hints() for key in keys})


# -- a reviewer of our own ---------------------------------------------------------------------------------------------


class Reviewed(Sandbox):
    """The real comparison, and what this clearinghouse's own reviewer said."""

    def __init__(self, status: CheckStatus, *, reason: str = "", differs: bool = False) -> None:
        def judge(_request: object) -> list[Check]:
            found = [left_open(check) for check in checks(WHOLE)]
            return [c.model_copy(update={"evidence": {"executed": 3}}) if differs and c.name == "tests" else c for c in found]

        super().__init__(judge)
        self._review = Check(name="reviewer", level=EvidenceLevel.E5, status=status, reason=reason, summary="said here")

    async def __call__(self, bundle: Path, source: str) -> ReplayReport:
        return (await super().__call__(bundle, source)).model_copy(update={"review": self._review})


@pytest.mark.parametrize(
    ("status", "reason", "differs", "state", "level", "told"),
    [
        (CheckStatus.passed, "", False, FixState.verified, 5, ""),
        (CheckStatus.inconclusive, "no-answer", False, FixState.verified, 4, ""),
        (CheckStatus.failed, "objection-upheld", False, FixState.rejected, None, "objection-upheld"),
        # A good word on what came out otherwise than its submitter says is no proof.
        (CheckStatus.passed, "", True, FixState.rejected, None, "replay-differs"),
    ],
)
async def test_what_our_own_reviewer_says_counts_where_the_replay_agreed(
    store: Store,
    submitter: Party,
    tmp_path: Path,
    status: CheckStatus,
    reason: str,
    differs: bool,
    state: FixState,
    level: int | None,
    told: str,
) -> None:
    recorded = [left_open(check) if check.name == "replayed" else check for check in checks(WHOLE)]
    bundle = made(tmp_path / "e5", submitter.key, recorded=recorded)
    fix = await validated(
        store, submitter, await submit(submitter, bundle.body, bundle.archive), Reviewed(status, reason=reason, differs=differs)
    )
    assert (fix.state, fix.level, fix.validation and fix.validation.reason) == (state, level, told)
    if level == 5:
        assert fix.validation is not None
        assert {each["name"]: each["summary"] for each in fix.validation.checks}["reviewer"] == "said here"
