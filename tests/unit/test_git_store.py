from __future__ import annotations

import io
import os
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.errors import GitError, PatchConflictError, PatchError
from remediator.git import GitStore, ImportedFile, TreeLimits

WHEN = datetime(2020, 1, 2, tzinfo=UTC)
BODY = "".join(f"line {number}\n" for number in range(1, 41)).encode()


@pytest.fixture
def store(tmp_path: Path):
    opened = GitStore.open(tmp_path / "store.git")
    yield opened
    opened.close()


def keep(store: GitStore, *files: ImportedFile) -> str:
    return store.import_files(files, message="files", when=WHEN)


def text(path: str, data: bytes = b"x = 1\n", mode: int = 0o100644) -> ImportedFile:
    return ImportedFile(path, mode, data)


def test_store_is_private(store: GitStore) -> None:
    assert store.folder.stat().st_mode & 0o777 == 0o700


def test_store_refuses_a_link_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "store.git").symlink_to(tmp_path / "real")
    with pytest.raises(GitError, match="not a folder of ours"):
        GitStore.open(tmp_path / "store.git")


def test_same_files_give_same_commit_in_any_store(tmp_path: Path, store: GitStore) -> None:
    other = GitStore.open(tmp_path / "other.git")
    assert keep(store, text("a"), text("b/c")) == keep(other, text("b/c"), text("a"))


NAMES = [
    "plain.py",
    "a b",
    "new\nline",
    "esc\x1b[31m",
    "tab\t",
    'quo"te',
    "back\\slash",
    "ünï",
    "bad\udcff\udc80",
    "-dash",
    ":(top)x",
    "*",
    "deep/" * 50 + "x",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back_and_can_be_patched(store: GitStore, name: str) -> None:
    tree = store.tree(keep(store, text(name), text("zz")))
    assert tree.find(name) is not None
    assert tree.read(name) == b"x = 1\n"
    after = store.write(tree, {name: b"x = 2\n"})
    assert after.read(name) == b"x = 2\n"
    assert [entry.path for entry in after.entries()] == [entry.path for entry in tree.entries()]
    with tarfile.open(fileobj=io.BytesIO(b"".join(tree.tar())), errors="surrogateescape") as tar:
        assert name in tar.getnames()
    if "\udcff" not in name:
        assert store.apply(tree, store.diff(tree, after)).id == after.id


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "",
        "./a",
        ".git/config",
        "a/.GIT/hooks/x",
        ".git",
        "a/git~1/x",
        ".g\u200cit/config",
        "nul\0",
        "x" * 300,
    ],
)
def test_dangerous_names_are_refused(store: GitStore, name: str) -> None:
    with pytest.raises(GitError):
        keep(store, text(name))


def test_tree_that_was_made_with_dangerous_names_is_refused(store: GitStore) -> None:
    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=store.folder, input=b"x", capture_output=True, check=True
    ).stdout.strip()
    raw = b"100644 ..\0" + bytes.fromhex(blob.decode())
    tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"], cwd=store.folder, input=raw, capture_output=True, check=True
    )
    commit = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "x", tree.stdout.strip().decode()],
        cwd=store.folder, capture_output=True, check=True,
    ).stdout.strip().decode()  # fmt: skip
    with pytest.raises(GitError, match="'..'"):
        store.tree(commit).entries()


def test_limits_hold_while_importing(tmp_path: Path) -> None:
    store = GitStore.open(tmp_path / "s.git", limits=TreeLimits(entries=3, total_bytes=1000, file_bytes=500))
    with pytest.raises(GitError, match="more than 3 files"):
        keep(store, *(text(f"f{number}") for number in range(4)))
    with pytest.raises(GitError, match="more than 500"):
        keep(store, text("f", b"x" * 501))
    with pytest.raises(GitError, match="more than 1000"):
        keep(store, *(text(f"f{number}", b"x" * 400) for number in range(3)))
    keep(store, *(text(f"f{number}") for number in range(3)))


def test_failed_import_leaves_store_usable(store: GitStore) -> None:
    def broken():
        yield text("a")
        raise OSError("disk fell off")

    with pytest.raises(OSError, match="fell off"):
        store.import_files(broken(), message="m", when=WHEN)
    assert keep(store, text("a"))


def test_read_takes_regular_files_only(store: GitStore) -> None:
    tree = store.tree(keep(store, text("a"), ImportedFile("link", 0o120000, b"a"), ImportedFile("sub", 0o160000, b"1" * 40)))
    assert tree.read("a") == b"x = 1\n"
    for name in ("link", "sub", "nope", ""):
        with pytest.raises(KeyError):
            tree.read(name)
    with pytest.raises(GitError, match="more than 3"):
        tree.read("a", limit_bytes=3)


def test_tar_holds_only_links_that_stay_inside(store: GitStore) -> None:
    links = {
        "good": b"dir/file", "dir/up": b"../top", "dangling": b"nowhere", "abs": b"/etc/passwd", "out": b"../x", "dir/out": b"../../x",
        "deep/a/b/l": b"../../../top", "trick": b"deep/a/b/l/../../etc", "loop": b"loop", "hop": b"good/../../..",
    }  # fmt: skip
    files = [text("dir/file"), text("top/x"), text("deep/a/b/f"), text("run.sh", b"#!", 0o100755)]
    tree = store.tree(keep(store, *files, *(ImportedFile(path, 0o120000, target) for path, target in links.items())))
    with tarfile.open(fileobj=io.BytesIO(b"".join(tree.tar()))) as tar:
        assert {member.name for member in tar if member.issym()} == {"good", "dir/up", "dangling", "deep/a/b/l"}
        assert tar.getmember("run.sh").mode & 0o111
        assert tar.extractfile("top/x").read() == b"x = 1\n"


def test_tar_is_the_same_each_time(store: GitStore) -> None:
    tree = store.tree(keep(store, text("a"), text("b", b"y" * 100_000)))
    assert b"".join(tree.tar()) == b"".join(tree.tar())


def test_tar_can_be_left_early(store: GitStore) -> None:
    tree = store.tree(keep(store, *(text(f"f{number}", b"x" * 100_000 + b"%d" % number) for number in range(50))))
    stream = tree.tar()
    next(stream)
    stream.close()
    assert tree.read("f1")


def test_reader_starts_again_after_its_process_died(store: GitStore) -> None:
    tree = store.tree(keep(store, text("a")))
    tree.read("a")
    store._objects._process.kill()
    store._objects._process.wait()
    assert tree.read("a") == b"x = 1\n"


def hunk(start: int) -> str:
    lines = [f" line {start}", f" line {start + 1}", f"-line {start + 2}", "+changed", f" line {start + 3}"]
    return "diff --git a/f b/f\n--- a/f\n+++ b/f\n" + f"@@ -{start},4 +{start},4 @@\n" + "\n".join(lines) + "\n"


def test_patch_applies_where_it_says(store: GitStore) -> None:
    tree = store.tree(keep(store, text("f", BODY)))
    assert store.apply(tree, hunk(10)).read("f") == BODY.replace(b"line 12\n", b"changed\n")


def test_patch_with_moved_lines_is_a_conflict_though_git_would_take_it(tmp_path: Path, store: GitStore) -> None:
    tree = store.tree(keep(store, text("f", b"new first line\n" + BODY)))
    (tmp_path / "f").write_bytes(b"new first line\n" + BODY)
    plain = subprocess.run(["git", "apply"], cwd=tmp_path, input=hunk(10).encode(), capture_output=True, check=False)
    assert plain.returncode == 0, "the weak twin: git alone moves the hunk"
    with pytest.raises(PatchConflictError):
        store.apply(tree, hunk(10))


@pytest.mark.parametrize("change", [lambda d: d.replace(" line 10\n", " line  10\n"), lambda d: d.replace(" line 11\n", " line 11 \n")])
def test_whitespace_must_be_exact(store: GitStore, change) -> None:
    tree = store.tree(keep(store, text("f", BODY)))
    with pytest.raises(PatchConflictError):
        store.apply(tree, change(hunk(10)))


@pytest.mark.parametrize(
    "diff",
    [
        "diff --git a/f b/f\nindex 1..2 100644\nGIT binary patch\nliteral 0\nHcmV?d00001\n\n",
        "",
        "rubbish\n",
        "diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/.git/hooks/x b/.git/hooks/x\nnew file mode 100644\n--- /dev/null\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_malformed_and_escaping_patches_are_refused(store: GitStore, diff: str) -> None:
    tree = store.tree(keep(store, text("f", BODY)))
    with pytest.raises(PatchError):
        store.apply(tree, diff)


def test_patch_through_a_link_is_refused(tmp_path: Path, store: GitStore) -> None:
    tree = store.tree(keep(store, text("f", BODY), ImportedFile("dir", 0o120000, str(tmp_path).encode())))
    with pytest.raises(PatchError):
        store.apply(tree, "diff --git a/dir/x b/dir/x\nnew file mode 100644\n--- /dev/null\n+++ b/dir/x\n@@ -0,0 +1 @@\n+x\n")
    assert not (tmp_path / "x").exists()


def test_added_deleted_and_renamed_files(store: GitStore) -> None:
    before = store.tree(keep(store, text("f", BODY), text("old")))
    after = store.tree(keep(store, text("f", BODY), text("new", b"n\n")))
    assert store.apply(before, store.diff(before, after)).id == after.id
    renamed = store.apply(before, "diff --git a/old b/moved\nsimilarity index 100%\nrename from old\nrename to moved\n")
    assert [entry.path for entry in renamed.entries()] == ["f", "moved"]


def test_files_without_last_newline_and_with_carriage_returns(store: GitStore) -> None:
    before = store.tree(keep(store, text("a", b"one\r\ntwo\r\n"), text("b", b"last")))
    after = store.write(before, {"a": b"one\r\nTWO\r\n", "b": b"LAST"})
    assert store.apply(before, store.diff(before, after)).id == after.id


def test_attributes_in_the_tree_do_not_change_the_diff(store: GitStore) -> None:
    before = store.tree(keep(store, text(".gitattributes", b"* -diff binary filter=evil diff=evil\n"), text("f", BODY)))
    after = store.write(before, {"f": BODY.replace(b"line 7", b"line seven")})
    assert "+line seven" in store.diff(before, after)
    assert store.apply(before, store.diff(before, after)).id == after.id


@pytest.mark.parametrize("data", [b"caf\xe9\n", b"nul\0\n"])
def test_diff_of_what_is_not_text_is_an_error(store: GitStore, data: bytes) -> None:
    before = store.tree(keep(store, text("f")))
    with pytest.raises(PatchError, match="UTF-8|binary"):
        store.diff(before, store.write(before, {"f": data}))


def test_odd_bytes_away_from_the_change_do_not_matter(store: GitStore) -> None:
    body = b"# \xe9\ndef \x1b[2J():\n" + b"".join(b"    line %d\n" % number for number in range(40))
    before = store.tree(keep(store, text("f", body)))
    after = store.write(before, {"f": body.replace(b"line 30", b"line thirty")})
    diff = store.diff(before, after)
    assert "@@ def [2J():\n" in diff
    assert store.apply(before, diff).id == after.id


def test_function_name_cut_inside_a_character_does_not_break_the_diff(store: GitStore) -> None:
    body = b"def x" + "é".encode() * 60 + b"():\n" + b"".join(b"    line %d\n" % number for number in range(40))
    before = store.tree(keep(store, text("f.py", body)))
    after = store.write(before, {"f.py": body.replace(b"line 30", b"line thirty")})
    assert store.apply(before, store.diff(before, after)).id == after.id


def test_write_keeps_modes_makes_files_and_refuses_links(store: GitStore) -> None:
    tree = store.tree(keep(store, text("run", b"#!", 0o100755), ImportedFile("link", 0o120000, b"run")))
    after = store.write(tree, {"run": b"#!/bin/sh\n", "new/file": b"n"})
    assert {entry.path: entry.mode for entry in after.entries()} == {"run": 0o100755, "new/file": 0o100644, "link": 0o120000}
    assert after.commit == tree.commit
    for bad in ("link", "../x", ".git/config"):
        with pytest.raises(GitError):
            store.write(tree, {bad: b"x"})


def test_write_does_not_drop_a_file_for_a_folder(store: GitStore) -> None:
    tree = store.tree(keep(store, text("a"), text("d/e")))
    for bad in ("a/b", "d"):
        with pytest.raises(GitError):
            store.write(tree, {bad: b"x"})


def test_mailed_patch_is_taken_by_git_am(tmp_path: Path, store: GitStore) -> None:
    base = keep(store, text("ünï.py", BODY), text("b"))
    tree = store.write(store.tree(base), {"ünï.py": BODY.replace(b"line 3\n", "línea\n".encode()), "new": b"n\n"})
    commit = store.commit(tree, base, "Fix: tíde\n\nWhy it matters.", author="Ann É <ann@example.org>", when=WHEN)
    mail = store.format_patch(commit)
    clone = tmp_path / "clone"
    run = ["git", "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "init", "-q", clone], check=True)
    subprocess.run(["git", "fetch", "-q", store.folder, base], cwd=clone, check=True)
    subprocess.run(["git", "checkout", "-q", "FETCH_HEAD"], cwd=clone, check=True)
    subprocess.run([*run, "am", "-q"], cwd=clone, input=mail, check=True)
    made = (
        subprocess.run(["git", "log", "-1", "--format=%T%n%an%n%s"], cwd=clone, capture_output=True, check=True)
        .stdout.decode()
        .splitlines()
    )
    assert made == [tree.id, "Ann É", "Fix: tíde"]


def test_commit_is_the_same_each_time_and_sound(store: GitStore) -> None:
    base = keep(store, text("a"))
    tree = store.write(store.tree(base), {"a": b"y\n"})
    first, second = (store.commit(tree, base, "Fix", author="A <a@b>", when=WHEN) for _ in range(2))
    assert first == second
    subprocess.run(["git", "fsck", "--strict", "--full"], cwd=store.folder, check=True, capture_output=True)


@pytest.mark.parametrize("author", ["no address", "a\ncommitter evil <e@e> 0 +0000 <x@y>", "<", ""])
def test_author_cannot_add_headers(store: GitStore, author: str) -> None:
    base = keep(store, text("a"))
    with pytest.raises(GitError, match="author"):
        store.commit(store.tree(base), base, "Fix", author=author, when=WHEN)


@pytest.mark.parametrize("bad", ["HEAD", "--all", "refs/heads/main", "0" * 40, "g" * 40])
def test_only_known_object_ids_open_a_tree(store: GitStore, bad: str) -> None:
    keep(store, text("a"))
    with pytest.raises(GitError):
        store.tree(bad)


def test_remains_of_killed_processes_are_swept_after_a_day(store: GitStore) -> None:
    old, new = store.folder / "index-old", store.folder / "objects/pack/tmp_pack_new"
    old.mkdir()
    new.touch()
    os.utime(old, (1, 1))
    tree = store.tree(keep(store, text("a")))
    GitStore.open(store.folder)
    assert (old.exists(), new.exists()) == (False, True)
    assert tree.read("a")
