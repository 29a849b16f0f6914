"""E0: what is judged is exactly what the patch says."""

from __future__ import annotations

import pytest

from remediator.builtin.applies_verifier import AppliesVerifier
from remediator.records import CheckStatus
from remediator.testing.fake_tree import FakeTree
from remediator.testing.fake_workspace import FakeWorkspace

FILES = {"x.py": b"if a:\n    b = 1\nc = 2\n", "m.js": b"f ( x )\n"}
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,3 @@\n if a:\n     b = 1\n-c = 2\n+c = 3\n"


async def test_an_exact_patch_passes(workspace_of, patch_of, finding_at) -> None:
    check = await AppliesVerifier().verify(finding_at("x.py", 3, "c"), patch_of(DIFF), workspace_of(FILES, DIFF))
    assert (check.status, check.evidence["files"], check.evidence["lines_added"]) == (CheckStatus.passed, ["x.py"], 1)


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ({}, "empty-patch"),
        ({"x.py": b"if a:\n    b = 1\nc = 4\n"}, "not-exact"),
        ({"x.py": b"if a:\n    b = 1\nc = 3\n", "m.js": b"g\n"}, "paths-differ"),
        ({"m.js": b"g\n"}, "paths-differ"),
        ({"x.py": b"if a:\n    b = 1\nc = 3\n", "n.py": b""}, "paths-differ"),
    ],
)
async def test_a_tree_that_is_not_what_the_patch_says_fails(tree, reason, tmp_path, patch_of, finding_at) -> None:
    workspace = FakeWorkspace(FILES, tmp_path, tree={**FILES, **tree})
    check = await AppliesVerifier().verify(finding_at("x.py", 3, "c"), patch_of(DIFF), workspace)
    assert (check.status, check.reason) == (CheckStatus.failed, reason)


async def test_a_hunk_that_git_moved_to_another_place_is_not_exact(git, workspace_of, patch_of, finding_at) -> None:
    before = {"x.py": b"".join(b"%d\n" % n for n in range(40))}
    diff = git.diff(git.tree(before), git.tree({"x.py": before["x.py"].replace(b"20\n", b"a\n")}))
    shifted = {"x.py": b"new\n" + before["x.py"]}
    workspace = workspace_of(shifted, diff)
    assert workspace.changed == ("x.py",)
    check = await AppliesVerifier().verify(finding_at("x.py", 3, "c"), patch_of(diff), workspace)
    assert (check.status, check.reason) == (CheckStatus.failed, "not-exact")


async def test_a_mode_that_changes_untold_fails(tmp_path, patch_of, finding_at) -> None:
    workspace = FakeWorkspace(FILES, tmp_path)
    workspace.tree = FakeTree({**FILES, "x.py": b"if a:\n    b = 1\nc = 3\n"}, executable=("x.py",))
    check = await AppliesVerifier().verify(finding_at("x.py", 3, "c"), patch_of(DIFF), workspace)
    assert (check.status, check.reason) == (CheckStatus.failed, "not-exact")


@pytest.mark.parametrize(
    ("path", "before", "after", "reason"),
    [
        ("x.py", b"a = 1\n", b"a  = 1\n\n", "no-op"),
        ("m.js", b"f ( x )\n", b"  f(x)\n", "no-op"),
        ("x.yaml", b"a:\n  b: 1\n", b"a:\n  b:  1 \n", "no-op"),
        ("x.yaml", b"a:\n  b: 1\n", b"a:\nb: 1\n", ""),
        ("x.py", b"if a:\n    b = 1\n    c = 2\n", b"if a:\n    b = 1\nc = 2\n", ""),
        ("x.py", b"s = 'a b'\n", b"s = 'ab'\n", ""),
        ("x.py", b"a = 1\n", b"a = 2\n", ""),
    ],
)
async def test_white_space_alone_is_no_fix(path, before, after, reason, git, workspace_of, patch_of, finding_at) -> None:
    diff = git.diff(git.tree({path: before}), git.tree({path: after}))
    check = await AppliesVerifier().verify(finding_at(path, 1, ""), patch_of(diff), workspace_of({path: before}, diff))
    assert check.reason == reason
    assert check.status is (CheckStatus.failed if reason else CheckStatus.passed)


async def test_a_malformed_patch_fails(tmp_path, patch_of, finding_at) -> None:
    check = await AppliesVerifier().verify(finding_at("x.py", 1, ""), patch_of("hello\n" + DIFF), FakeWorkspace(FILES, tmp_path))
    assert (check.status, check.reason) == (CheckStatus.failed, "malformed-patch")
