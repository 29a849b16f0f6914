"""E1: builds and imports as the baseline did."""

from __future__ import annotations

import pytest

from remediator.builtin.builds_verifier import BuildsVerifier
from remediator.errors import SandboxLostError, SandboxUnavailableError
from remediator.records import Baseline, BuildRun, CheckStatus, Recipe
from remediator.testing.fake_workspace import FakeWorkspace

FILES = {"x.py": b"a = 1\n"}
GOOD = BuildRun(ok=True, modules=("a", "b"), exit_codes=(0,))


def _workspace(tmp_path, before: BuildRun | None, after: BuildRun | None = None) -> FakeWorkspace:
    recipe = Recipe(ecosystem="python", name="r", image="python3.11")
    baseline = Baseline(tree="t", recipe=recipe, image="i", build=before) if before else None
    return FakeWorkspace(FILES, tmp_path, tree={"x.py": b"a = 2\n"}, baseline=baseline, built=after)


@pytest.mark.parametrize(
    ("before", "after", "status", "reason"),
    [
        (GOOD, GOOD, CheckStatus.passed, ""),
        (GOOD, BuildRun(ok=True, modules=("a", "b", "c")), CheckStatus.passed, ""),
        (GOOD, BuildRun(ok=False, modules=("a",), broken={"b": "ImportError"}), CheckStatus.failed, "modules-broken"),
        (GOOD, BuildRun(ok=True, modules=("a",)), CheckStatus.failed, "modules-broken"),
        (GOOD, BuildRun(ok=False, modules=("a", "b"), exit_codes=(1,)), CheckStatus.failed, "build-failed"),
        (GOOD, BuildRun(ok=False, reason="timeout"), CheckStatus.inconclusive, "timeout"),
        (GOOD, BuildRun(ok=True, modules=("a", "b"), exit_codes=(None,)), CheckStatus.inconclusive, "build-unfinished"),
        (BuildRun(ok=False, modules=("a",)), BuildRun(ok=False, modules=("a",)), CheckStatus.passed, ""),
        (BuildRun(ok=False, modules=("a",)), BuildRun(ok=False), CheckStatus.failed, "modules-broken"),
        (BuildRun(ok=False), GOOD, CheckStatus.not_run, "baseline-broken"),
    ],
)
async def test_a_build_is_compared_with_the_baselines(before, after, status, reason, tmp_path, patch_of, finding_at) -> None:
    check = await BuildsVerifier().verify(finding_at("x.py", 1, "a"), patch_of("x"), _workspace(tmp_path, before, after))
    assert (check.status, check.reason) == (status, reason)


async def test_without_a_baseline_nothing_was_run(tmp_path, patch_of, finding_at) -> None:
    check = await BuildsVerifier().verify(finding_at("x.py", 1, "a"), patch_of("x"), _workspace(tmp_path, None))
    assert (check.status, check.reason) == (CheckStatus.not_run, "no-recipe")


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (SandboxLostError("gone"), CheckStatus.infra_error, "sandbox-lost"),
        (SandboxUnavailableError("none"), CheckStatus.not_run, "no-sandbox"),
    ],
)
async def test_a_sandbox_that_fails_is_no_verdict(error, status, reason, tmp_path, patch_of, finding_at) -> None:
    workspace = _workspace(tmp_path, GOOD)

    async def build() -> BuildRun:
        raise error

    workspace.build = build  # type: ignore[method-assign]
    check = await BuildsVerifier().verify(finding_at("x.py", 1, "a"), patch_of("x"), workspace)
    assert (check.status, check.reason) == (status, reason)
