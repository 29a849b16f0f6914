"""E0: the guards as one check."""

from __future__ import annotations

import json

import pytest

from remediator.builtin.guards_verifier import GuardsVerifier
from remediator.records import CheckStatus


async def _check(files, after, git, workspace_of, patch_of, finding_at, verifier=None, **modes):
    diff = git.diff(git.tree(files), git.tree({**files, **after}, **modes))
    return await (verifier or GuardsVerifier()).verify(finding_at("x.py", 1, "a"), patch_of(diff), workspace_of(files, diff))


async def test_an_unknown_language_gets_the_generic_guards_and_says_so(git, workspace_of, patch_of, finding_at) -> None:
    check = await _check({"x.zig": b"a\n"}, {"x.zig": b"b\n"}, git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.passed
    assert check.evidence["guarded_by"] == {"x.zig": "generic"}
    assert "language-neutral" in check.summary


@pytest.mark.parametrize("before", [b"print 'a'\nx = 1\n", b"def f(:\n  x = 1\n"])
async def test_a_file_that_no_guard_can_read_is_not_passed(before, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check({"x.py": before}, {"x.py": before.replace(b"1", b"2")}, git, workspace_of, patch_of, finding_at)
    assert (check.status, check.reason) == (CheckStatus.inconclusive, "unreadable-source")


@pytest.mark.parametrize(
    "deep",
    [
        b"a = " + b"(" * 3000 + b")" * 3000,
        b"a = " + b"-" * 50_000 + b"1",
        b"x = 1\n" + b"a" + b".a" * 50_000,
        b"a = " + b"1+" * 30_000 + b"1",
    ],
)
async def test_a_file_made_to_break_the_parser_is_not_passed(deep, git, workspace_of, patch_of, finding_at) -> None:
    before = b"z = 1\n" + deep + b"\n"
    check = await _check({"x.py": before}, {"x.py": before.replace(b"z = 1", b"z = 2")}, git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.inconclusive, check


async def test_a_python_script_is_known_by_its_first_line(git, workspace_of, patch_of, finding_at) -> None:
    before = b"#!/usr/bin/env python3\nimport yaml\n\n\ndef f(x):\n    return yaml.load(x)\n"
    check = await _check(
        {"bin/tool": before}, {"bin/tool": before.replace(b"yaml.load(x)", b"None")}, git, workspace_of, patch_of, finding_at
    )
    assert (check.status, check.reason) == (CheckStatus.failed, "feature-deleted")


async def test_links_and_modes_in_the_real_tree_are_named(git, workspace_of, patch_of, finding_at) -> None:
    files = {"x.py": b"a = 1\n"}
    link = await _check(files, {"l": b"/etc/passwd"}, git, workspace_of, patch_of, finding_at, modes={"l": "120000"})
    mode = await _check(files, {"x.py": b"a = 2\n"}, git, workspace_of, patch_of, finding_at, modes={"x.py": "100755"})
    assert (link.reason, mode.reason) == ("symlink", "mode-change")


async def test_the_operator_may_open_a_path_or_take_a_guards_force(git, workspace_of, patch_of, finding_at) -> None:
    given = ({"requirements.txt": b"a==1\n"}, {"requirements.txt": b"a==2\n"}, git, workspace_of, patch_of, finding_at)
    assert (await _check(*given)).reason == "dependency-manifest"
    assert (await _check(*given, verifier=GuardsVerifier(allow=("requirements*.txt",)))).status is CheckStatus.passed
    noted = await _check(*given, verifier=GuardsVerifier(notes_only=("dependency-manifest",)))
    assert noted.status is CheckStatus.passed
    assert "dependency-manifest" in [note["code"] for note in noted.evidence["notes"]]


async def test_a_dependency_that_the_project_declares_or_uses_is_not_new(git, workspace_of, patch_of, finding_at) -> None:
    after = {"x.py": b"import defusedxml.sax\na = 1\n"}
    for extra, status in (
        ({}, CheckStatus.failed),
        ({"setup.py": b"install_requires=['defusedxml>=0.5']\n"}, CheckStatus.passed),
        ({"setup.py": b"install_requires=['not-defusedxml-at-all']\n"}, CheckStatus.failed),
        ({"y.py": b"from defusedxml import sax\n"}, CheckStatus.passed),
        ({"tests/test_y.py": b"import defusedxml\n"}, CheckStatus.failed),
        ({"defusedxml/__init__.py": b""}, CheckStatus.passed),
    ):
        check = await _check({"x.py": b"a = 1\n", **extra}, after, git, workspace_of, patch_of, finding_at)
        assert check.status is status, (extra, check)


async def test_an_existing_suppression_may_stay_but_not_widen(git, workspace_of, patch_of, finding_at) -> None:
    files = {"x.py": b"a = yaml.load(b)  # noqa: E501\n"}
    kept = await _check(files, {"x.py": b"a = yaml.safe_load(b)  # noqa: E501\n"}, git, workspace_of, patch_of, finding_at)
    wider = await _check(files, {"x.py": b"a = yaml.safe_load(b)  # noqa\n"}, git, workspace_of, patch_of, finding_at)
    assert (kept.status, wider.reason) == (CheckStatus.passed, "suppression-added")


async def test_evidence_is_small_plain_and_the_same_each_time(git, workspace_of, patch_of, finding_at) -> None:
    after = {"x.py": b"".join(b"a%d = 1  # nosec\n" % n for n in range(200))}
    one = await _check({"x.py": b"a = 1\n"}, after, git, workspace_of, patch_of, finding_at)
    two = await _check({"x.py": b"a = 1\n"}, after, git, workspace_of, patch_of, finding_at)
    assert one.evidence == two.evidence
    assert len(json.dumps(one.evidence)) < 20_000


async def test_errors_that_are_turned_into_another_are_told_and_pass(git, workspace_of, patch_of, finding_at) -> None:
    before = b"def f(a):\n    try:\n        return int(a)\n    except ValueError as error:\n        raise KeyError(a) from error\n"
    check = await _check({"x.py": before}, {"x.py": before.replace(b"ValueError", b"Exception")}, git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.passed
    assert [note["code"] for note in check.evidence["notes"]] == ["swallow-all"]


EXAMPLE = b'def half(x):\n    """Halve.\n\n    >>> half(3)\n    1.5\n    """\n    return x / 2\n'


@pytest.mark.parametrize(
    ("path", "before", "old", "new"),
    [
        ("x.py", EXAMPLE, b"1.5", b"1"),
        ("x.py", EXAMPLE, b"    >>> half(3)\n    1.5\n", b""),
        ("x.py", EXAMPLE, b"half(3)", b"half(3)  # doctest: +SKIP"),
        ("README.rst", b"Use it:\n\n>>> half(3)\n1.5\n", b"1.5", b"1"),
    ],
)
async def test_an_example_that_is_a_test_may_not_change(path, before, old, new, git, workspace_of, patch_of, finding_at) -> None:
    check = await _check({path: before}, {path: before.replace(old, new)}, git, workspace_of, patch_of, finding_at)
    assert "test-edit" in [objection["code"] for objection in check.evidence["objections"]], check


async def test_code_beside_an_example_may_change(git, workspace_of, patch_of, finding_at) -> None:
    after = EXAMPLE.replace(b"x / 2", b"float(x) / 2").replace(b"Halve.", b"Halve a number.")
    check = await _check({"x.py": EXAMPLE}, {"x.py": after}, git, workspace_of, patch_of, finding_at)
    assert check.status is CheckStatus.passed, check
