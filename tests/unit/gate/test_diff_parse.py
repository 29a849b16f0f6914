"""Reading a diff: as git does, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unidiff import PatchSet

from remediator.diff import ChangeKind, LineMap, parse
from remediator.diff.mail import bare
from remediator.errors import PatchConflictError, PatchError

GOOD = """\
diff --git a/x.py b/x.py
index 257cc56..5716ca5 100644
--- a/x.py
+++ b/x.py
@@ -1,2 +1,3 @@ def f():
 a
-b
+c
+d
"""
_NAMES = ["a.py", "x y.py", "ü/b.py", 'q"t.py', "tab\tx.py", "b b/b b.py", " a.py", "a b/x b", "new\nline.py", "back\\slash"]
_LINES = st.sampled_from(
    ["", "a", "b", "+x", "-y", "--- a/z", "+++ b/z", "\\ q", "@@ -1 +1 @@", "é", "x\ry", "f\x0c", "diff --git a/x b/x", "\u2028", "c\r"]
)
_TEXT = st.builds(lambda lines, end: ("\n".join(lines) + end).encode(), st.lists(_LINES, max_size=12), st.sampled_from(["", "\n"]))
_FILES = st.dictionaries(st.sampled_from(_NAMES), _TEXT, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_FILES, _FILES, st.sampled_from(["-U0", "-U1", "-U3"]))
def test_what_git_writes_is_read_as_git_means_it(git, before: dict[str, bytes], after: dict[str, bytes], context: str) -> None:
    diff = git.diff(git.tree(before), git.tree(after), context)
    changes = parse(diff) if diff else ()
    assert {change.path for change in changes} == {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    for change in changes:
        assert change.applied(before.get(change.path, b"")) == after.get(change.path, b"")
        assert change.kind == (
            ChangeKind.added if change.path not in before else ChangeKind.deleted if change.path not in after else ChangeKind.modified
        )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TEXT, _TEXT, st.sampled_from(["-U0", "-U3"]))
def test_lines_that_stay_are_found_again(git, before: bytes, after: bytes, context: str) -> None:
    diff = git.diff(git.tree({"a": before}), git.tree({"a": after}), context)
    if not diff:
        return
    where, old, new = LineMap(parse(diff)[0]), before.split(b"\n"), after.split(b"\n")
    removed = {line.old for line in parse(diff)[0].removed}
    for number in range(1, len(old) + (old[-1] != b"")):
        moved = where.moved(number)
        assert (moved is None) == (number in removed)
        assert moved is None or new[moved - 1] == old[number - 1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TEXT, _TEXT)
def test_another_reader_counts_the_same_lines(git, before: bytes, after: bytes) -> None:
    diff = git.diff(git.tree({"a": before}), git.tree({"a": after}))
    if not diff or any(char in diff for char in "\r\x0c\u2028"):
        return
    (mine,), (other,) = parse(diff), PatchSet(diff)
    assert (len(mine.added), len(mine.removed)) == (other.added, other.removed)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.sampled_from(["", "\n", "-", "+", " ", "@", "0", "\0", "x", "\t", "../"]), st.integers(0, 3))
def test_a_damaged_diff_is_read_or_refused_but_never_crashes(at: int, text: str, cut: int) -> None:
    try:
        changes = parse(GOOD[:at] + text + GOOD[at + cut :])
    except PatchError:
        return
    assert changes


@pytest.mark.parametrize(
    "diff",
    [
        "",
        "\n",
        "hello\n" + GOOD,
        GOOD + "\n",
        GOOD + "-- \n2.39.2\n",
        GOOD + GOOD,
        GOOD[:-1],
        GOOD.replace("@@ -1,2 +1,3 @@", "@@ -1,3 +1,3 @@"),
        GOOD.replace("@@ -1,2 +1,3 @@", "@@ -1,1 +1,1 @@"),
        GOOD.replace("+++ b/x.py", "+++ b/y.py"),
        GOOD.replace("diff --git a/x.py b/x.py", "diff --git a/x.py b/y.py"),
        GOOD.replace("--- a/x.py", "--- x.py"),
        GOOD.replace("--- a/x.py", "--- /dev/null"),
        GOOD.replace("index", "new file mode 100644\nindex"),
        GOOD.replace("index", "old mode 100644\nold mode 100755\nindex"),
        GOOD.replace("index 257cc56", "color red\nindex 257cc56"),
        GOOD.replace("-b\n+c\n+d\n", " b\n c\n d\n"),
        GOOD.replace("+c", "*c"),
        GOOD.replace("+c", "+c\udc80"),
        GOOD.replace("+c", "+c\0"),
        GOOD + "@@ -1,1 +1,1 @@\n-a\n+z\n",
        "diff --git a/x.py b/x.py\n",
        "diff --git a/x b/y\nrename from x\n@@ -1 +1 @@\n-a\n+b\n",
        'diff --git "a/x\\q.py" "b/x\\q.py"\nold mode 100644\nnew mode 100755\n',
        "diff --git a/" + "a b/" * 4000 + "\nold mode 100644\nnew mode 100755\n",
        "--- a/x.py\n+++ b/x.py\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(diff: str) -> None:
    with pytest.raises(PatchError):
        parse(diff)


def test_a_hunk_at_another_place_does_not_apply() -> None:
    (change,) = parse(GOOD)
    assert change.applied(b"a\nb\n") == b"a\nc\nd\n"
    for moved in (b"\na\nb\n", b"a\nB\n", b"a\n", b"a\nb"):
        with pytest.raises(PatchConflictError):
            change.applied(moved)


def test_plain_diffs_without_the_git_line_are_read() -> None:
    (change,) = parse("--- a/x.py\t2020-01-01 00:00:00\n+++ b/x.py\t2020-01-01 00:00:01\n@@ -1 +1 @@\n-a\n+b\n")
    assert (change.path, change.kind) == ("x.py", ChangeKind.modified)


def test_modes_links_binaries_and_renames_are_told() -> None:
    text = (
        "diff --git a/m b/m\nold mode 100644\nnew mode 100755\n"
        "diff --git a/l b/l\nnew file mode 120000\nindex 0000000..1de5659\n"
        "--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+target\n\\ No newline at end of file\n"
        "diff --git a/b b/b\nindex 1111111..2222222 100644\n"
        "GIT binary patch\nliteral 1\nIcmZPo000310RR91\n\nliteral 1\nIcmZPo000310RR91\n\n"
        "diff --git a/o o b/n n\nsimilarity index 100%\nrename from o o\nrename to n n\n"
    )
    mode, link, binary, renamed = parse(text)
    assert (mode.old_mode, mode.new_mode) == (0o100644, 0o100755)
    assert (link.kind, link.new_mode) == (ChangeKind.added, 0o120000)
    assert binary.binary
    assert (renamed.old_path, renamed.path, renamed.touched) == ("o o", "n n", {"o o", "n n"})


def test_a_region_is_followed_through_the_change() -> None:
    (change,) = parse("--- a/x\n+++ b/x\n@@ -2,3 +2,4 @@\n b\n-c\n+C\n+D\n d\n")
    where = LineMap(change)
    assert list(where.region(3, 3)) == [3, 4]
    assert list(where.region(2, 2)) == [2]
    assert list(where.region(4, 5)) == [5, 6]
    assert list(where.region(2, 4)) == [2, 3, 4, 5]


def test_a_mail_is_stripped_of_its_letter() -> None:
    mail = f"From {'a' * 40} Mon Sep 17 00:00:00 2001\nFrom: A <a@b>\nSubject: x\n\n---\n x.py | 3 +-\n\n{GOOD}-- \n2.39.2\n\n"
    assert bare(mail) == GOOD
    assert bare(GOOD) == GOOD
