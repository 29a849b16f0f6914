"""A diff of a folder, told from the repository's root: git itself applies it there, and gets the same files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from remediator.diff.rooted import is_plain, rooted
from remediator.errors import PatchError

FOLDER = "services/the-app"
TRICKY = "--- a/one\n+++ b/one\n@@ -1 +1 @@\ndiff --git a/x b/x\nrename from x\n"


def git(folder: Path, *args: str, text: str | None = None) -> str:
    named = ["git", "-c", "user.name=u", "-c", "user.email=u@x", *args]
    return subprocess.run(named, cwd=folder, capture_output=True, text=True, check=True, input=text).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    git(tmp_path, "init", "-q")
    for name, content in (
        ("a.py", "x = 1\n"),
        ("words.txt", TRICKY),
        ("no end", "no end"),
        ("ü.py", "y = 1\n"),
        ("gone", "1\n"),
        ("moved", "m\n" * 9),
    ):
        (folder / name).write_text(content)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def changed(repository: Path) -> str:
    folder = repository / FOLDER
    (folder / "a.py").write_text("x = 2\n\n\ny = 3\n")
    (folder / "words.txt").write_text("first\n" + TRICKY.replace("one", "two"))
    (folder / "no end").write_text("still no end")
    (folder / "ü.py").write_text("y = 2\n")
    (folder / "gone").unlink()
    (folder / "moved").rename(folder / "sub b")
    (folder / "x b").mkdir()
    (folder / "x b/y").write_text("new\n")
    (folder / "x b/empty").touch()
    git(repository, "add", "-A")
    return git(repository, "diff", "--cached", "-M", f"--relative={FOLDER}/")


def test_git_applies_it_at_the_root_and_gets_the_same(repository: Path) -> None:
    diff = changed(repository)
    wanted = git(repository, "write-tree")
    git(repository, "reset", "-q", "--hard")
    git(repository, "apply", "--index", text=rooted(diff, FOLDER))
    assert git(repository, "write-tree") == wanted


def test_a_patch_of_a_whole_repository_stays_as_it_is() -> None:
    assert rooted("anything", "") == "anything"


@pytest.mark.parametrize("folder", ["..", "a/../b", "/a", "a/", "a//b", "a b", "ü", 'a"', "a\n", ".git", "a/.GIT", "./a", "a\\b"])
def test_what_is_no_plain_folder_is_refused(folder: str, repository: Path) -> None:
    assert not is_plain(folder)
    with pytest.raises(PatchError):
        rooted(changed(repository), folder)
