from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator import checkout_files
from remediator.checkout import Applied, apply_patches, create_branch, undo
from remediator.errors import GitError, PatchConflictError, PatchError

WHEN = datetime(2020, 1, 2, tzinfo=UTC)
BODY = "".join(f"line {number}\n" for number in range(1, 41))


def git(folder: Path, *args: str, **options: object) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=u", "-c", "user.email=u@x", *args], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    for name in ("f", "g", "sub/h"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(BODY)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "base")
    return folder


def patch(path: str, number: int, new: str) -> tuple[str, str]:
    """Give a patch that replaces one line by some."""
    lines = BODY.splitlines()
    around = [f" {line}" for line in lines[number - 2 : number - 1]] + [f"-{lines[number - 1]}"]
    around += [f"+{line}" for line in new.splitlines()] + [f" {line}" for line in lines[number : number + 1]]
    size = len(new.splitlines()) + 2
    body = "\n".join(around)
    return (
        f"Fix {path}:{number}",
        f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{number - 1},3 +{number - 1},{size} @@\n{body}\n",
    )


ADDED = ("Add new", "diff --git a/d/new b/d/new\nnew file mode 100644\n--- /dev/null\n+++ b/d/new\n@@ -0,0 +1 @@\n+hello\n")


def state(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts}


def test_branch_has_one_commit_a_patch_and_undo_takes_all_back(repo: Path) -> None:
    before, head = state(repo), git(repo, "rev-parse", "HEAD")
    applied = apply_patches(repo, [patch("f", 5, "new\nnewer"), patch("sub/h", 7, "other"), ADDED], branch="remediator/x", when=WHEN)
    assert git(repo, "log", "--format=%s", f"{head}..HEAD").splitlines() == ["Add new", "Fix sub/h:7", "Fix f:5"]
    assert git(repo, "branch", "--show-current") == "remediator/x"
    assert git(repo, "status", "--porcelain") == ""
    assert "new\nnewer\nline 6" in (repo / "f").read_text()
    assert (repo / "d/new").read_text() == "hello\n"
    undo(Applied.model_validate_json(applied.model_dump_json()))
    assert state(repo) == before
    assert not (repo / "d").exists()
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"
    assert (git(repo, "rev-parse", "HEAD"), git(repo, "branch", "--show-current"), git(repo, "status", "--porcelain")) == (head, "main", "")


def test_several_patches_of_one_file_made_against_one_base(repo: Path) -> None:
    apply_patches(repo, [patch("f", 5, "a\nb\nc"), patch("f", 30, "z"), patch("f", 15, "m\nn")], branch="remediator/x")
    assert (repo / "f").read_text() == BODY.replace("line 5\n", "a\nb\nc\n").replace("line 30\n", "z\n").replace("line 15\n", "m\nn\n")
    assert git(repo, "rev-list", "--count", "main..HEAD") == "3"


def test_patches_that_contradict_each_other_are_a_conflict(repo: Path) -> None:
    before = state(repo)
    with pytest.raises(PatchConflictError, match="earlier patch"):
        apply_patches(repo, [patch("f", 5, "a"), patch("f", 5, "b")], branch="remediator/x")
    assert state(repo) == before
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"


def test_other_changes_of_the_user_survive_apply_and_undo(repo: Path) -> None:
    (repo / "g").write_text("my own work\n")
    (repo / "untracked").write_text("mine\n")
    (repo / "staged").write_text("staged\n")
    git(repo, "add", "staged")
    mine = git(repo, "status", "--porcelain")
    applied = apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    assert git(repo, "status", "--porcelain") == mine
    undo(applied)
    assert git(repo, "status", "--porcelain") == mine
    assert (repo / "g").read_text() == "my own work\n"


@pytest.mark.parametrize("stage", [False, True])
def test_changed_file_is_never_touched(repo: Path, stage: bool) -> None:
    (repo / "f").write_text(BODY + "my own work\n")
    if stage:
        git(repo, "add", "f")
        (repo / "f").write_text(BODY)
    before = state(repo)
    with pytest.raises(PatchConflictError, match="f has .*changes of yours"):
        apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    assert state(repo) == before
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"


def test_new_file_that_the_user_has_too_is_never_overwritten(repo: Path) -> None:
    (repo / "d").mkdir()
    (repo / "d/new").write_text("mine\n")
    with pytest.raises(PatchConflictError):
        apply_patches(repo, [ADDED], branch="remediator/x")
    assert (repo / "d/new").read_text() == "mine\n"


def test_drifted_patch_is_a_conflict(repo: Path) -> None:
    (repo / "f").write_text("first\n" + BODY)
    git(repo, "commit", "-qam", "drift")
    with pytest.raises(PatchConflictError, match="Fix f:5"):
        apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")


def test_link_in_place_of_a_folder_or_file_is_not_followed(repo: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "h").write_text(BODY)
    (repo / "sub/h").unlink()
    (repo / "sub").rmdir()
    (repo / "sub").symlink_to(outside)
    (repo / "f").unlink()
    (repo / "f").symlink_to(outside / "h")
    for name in ("sub/h", "f"):
        with pytest.raises(PatchConflictError):
            apply_patches(repo, [patch(name, 5, "x")], branch="remediator/x")
    assert (outside / "h").read_text() == BODY


def test_modes_permissions_and_deletions(repo: Path) -> None:
    (repo / "f").chmod(0o750)
    git(repo, "commit", "-qam", "mode")
    gone = (
        "Remove g",
        "diff --git a/g b/g\ndeleted file mode 100644\n--- a/g\n+++ /dev/null\n@@ -1,40 +0,0 @@\n"
        + "".join(f"-{line}\n" for line in BODY.splitlines()),
    )
    applied = apply_patches(repo, [patch("f", 5, "x"), gone], branch="remediator/x")
    assert (repo / "f").stat().st_mode & 0o777 in (0o750, 0o740)
    assert not (repo / "g").exists()
    assert git(repo, "status", "--porcelain") == ""
    undo(applied)
    assert (repo / "g").read_text() == BODY
    assert os.access(repo / "f", os.X_OK)


def test_hooks_filters_and_fsmonitor_of_the_repository_do_not_run(repo: Path, tmp_path: Path) -> None:
    canary, script = tmp_path / "canary", tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho x >> {canary}\ncat\n")
    script.chmod(0o755)
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/attributes").write_text("* filter=evil merge=evil diff=evil\n")
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "merge.evil.driver",
        "diff.external",
        "gpg.program",
        "core.editor",
    ):
        git(repo, "config", key, str(script))
    git(repo, "config", "commit.gpgSign", "true")
    (repo / ".git/hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "pre-commit", "post-commit", "post-index-change", "reference-transaction", "commit-msg"):
        (repo / ".git/hooks" / hook).symlink_to(script)
    applied = apply_patches(repo, [patch("f", 5, "a\nb"), patch("f", 30, "c")], branch="remediator/x")
    undo(applied)
    assert not canary.exists()
    subprocess.run(["git", "switch", "-q", "-c", "weak-twin"], cwd=repo, check=False, capture_output=True)
    assert canary.exists()


def test_existing_branch_and_bad_names_are_refused(repo: Path) -> None:
    git(repo, "branch", "remediator/x")
    for name in ("remediator/x", "-x", "a..b", "a b", "", "x.lock", "@{u}"):
        with pytest.raises(GitError):
            apply_patches(repo, [patch("f", 5, "x")], branch=name)
    assert (repo / "f").read_text() == BODY


@pytest.mark.parametrize("mark", ["MERGE_HEAD", "rebase-merge", "index.lock", "CHERRY_PICK_HEAD"])
def test_repository_in_the_middle_of_something_is_refused(repo: Path, mark: str) -> None:
    (repo / ".git" / mark).touch()
    with pytest.raises(GitError):
        apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    assert (repo / "f").read_text() == BODY


def test_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "r")
    (tmp_path / "r/f").write_text(BODY)
    git(tmp_path / "r", "add", "f")
    with pytest.raises(GitError, match="no commit"):
        apply_patches(tmp_path / "r", [patch("f", 5, "x")], branch="remediator/x")


def test_undo_refuses_where_work_would_be_lost(repo: Path) -> None:
    applied = apply_patches(repo, [patch("f", 5, "x"), patch("g", 5, "y")], branch="remediator/x")
    (repo / "f").write_text("edited after\n")
    before = state(repo)
    with pytest.raises(PatchConflictError, match="f was changed"):
        undo(applied)
    assert state(repo) == before
    git(repo, "commit", "-qam", "mine")
    with pytest.raises(PatchConflictError, match="not ours"):
        undo(applied)
    assert state(repo) == before
    assert git(repo, "log", "-1", "--format=%s") == "mine"


def test_undo_refuses_where_the_old_branch_moved(repo: Path) -> None:
    applied = apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    git(repo, "branch", "-f", "main", "remediator/x")
    before = state(repo)
    with pytest.raises(PatchConflictError, match="moved"):
        undo(applied)
    assert state(repo) == before


def test_undo_after_the_user_left_and_merged_only_removes_the_branch(repo: Path) -> None:
    applied = apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    git(repo, "switch", "-q", "main")
    git(repo, "merge", "-q", "remediator/x")
    before = state(repo)
    undo(applied)
    assert state(repo) == before
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"


def test_undo_after_the_user_left_keeps_later_work(repo: Path) -> None:
    applied = apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    git(repo, "switch", "-q", "main")
    (repo / "g").write_text("mine\n")
    undo(applied)
    assert (repo / "g").read_text() == "mine\n"
    assert (repo / "f").read_text() == BODY


def test_detached_head_is_put_back(repo: Path) -> None:
    head = git(repo, "rev-parse", "HEAD")
    git(repo, "switch", "-q", "--detach")
    applied = apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    undo(applied)
    assert git(repo, "branch", "--show-current") == ""
    assert git(repo, "rev-parse", "HEAD") == head


def test_linked_work_tree_and_subfolder(repo: Path, tmp_path: Path) -> None:
    git(repo, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = tmp_path / "side"
    applied = apply_patches(side / "sub", [patch("h", 5, "x")], branch="remediator/x")
    assert "x\n" in (side / "sub/h").read_text()
    assert git(side, "status", "--porcelain") == ""
    assert (repo / "sub/h").read_text() == BODY
    undo(applied)
    assert git(side, "branch", "--show-current") == "side"


@pytest.mark.parametrize("step", ["prepare", "place"])
@pytest.mark.parametrize("tracked", [True, False])
def test_failure_in_the_middle_puts_everything_back(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, tracked: bool
) -> None:
    folder = repo
    if not tracked:
        folder = tmp_path / "plain"
        folder.mkdir()
        for name in ("f", "g"):
            (folder / name).write_text(BODY)
    before = state(folder)
    real = getattr(checkout_files.WorkFolder, step)
    calls: list[object] = []

    def failing(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(self, *args)

    with monkeypatch.context() as patched, pytest.raises(PatchConflictError, match="No space"):
        patched.setattr(checkout_files.WorkFolder, step, failing)
        apply_patches(folder, [ADDED, patch("f", 5, "x"), patch("g", 5, "y")], branch="remediator/x")
    assert state(folder) == before
    assert not (folder / "d").exists()
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"
    assert git(repo, "status", "--porcelain") == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small disk")
def test_full_disk_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], check=True)
    try:
        (folder / "f").write_text(BODY)
        (folder / "g").write_text(BODY)
        (folder / "filler").write_bytes(b"x" * 110_000)
        before = state(folder)
        large = "y" * 20_000
        with pytest.raises(PatchConflictError, match="No space"):
            apply_patches(folder, [patch("f", 5, "x"), patch("g", 5, large)], branch="b")
        assert state(folder) == before
        (folder / "filler").unlink()
        undo(apply_patches(folder, [patch("f", 5, "x"), patch("g", 5, large)], branch="b"))
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("steps", range(5))
def test_record_undoes_an_apply_that_was_killed(repo: Path, tmp_path: Path, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from remediator import checkout_work_tree
    from remediator.checkout_user_git import UserGit

    before, record = state(repo), tmp_path / "undo.json"

    class Killed(BaseException):
        pass

    count = 0

    def counted(real):
        def call(*args, **options):
            nonlocal count
            count += 1
            if count > steps:
                raise Killed
            return real(*args, **options)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(UserGit, "create_branch", counted(UserGit.create_branch))
        patched.setattr(UserGit, "stage", counted(UserGit.stage))
        patched.setattr(UserGit, "switch", counted(UserGit.switch))
        patched.setattr(checkout_files, "_write_new", counted(checkout_files._write_new))
        patched.setattr(checkout_work_tree, "_take_back", lambda *args: None)
        with contextlib.suppress(Killed):
            apply_patches(repo, [patch("f", 5, "x"), patch("g", 5, "y")], branch="remediator/x", record=record)
    undo(Applied.model_validate_json(record.read_bytes()))
    assert state(repo) == before
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "branch", "--show-current") == "main"
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"


@pytest.mark.parametrize("renames", range(4))
@pytest.mark.parametrize("tracked", [True, False])
def test_record_undoes_an_apply_that_was_killed_for_good(repo: Path, tmp_path: Path, renames: int, tracked: bool) -> None:
    folder, record = repo, tmp_path / "undo.json"
    if not tracked:
        folder = tmp_path / "plain"
        folder.mkdir()
        for name in ("f", "g"):
            (folder / name).write_text(BODY)
    before = state(folder)
    patches = [ADDED, patch("f", 5, "x"), patch("g", 5, "y")]
    program = f"""
import os, signal
from pathlib import Path
from remediator.checkout import apply_patches
from remediator.checkout_files import WorkFolder
real, calls = WorkFolder.place, []
def place(self, prepared):
    calls.append(prepared)
    if len(calls) > {renames}:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, prepared)
WorkFolder.place = place
apply_patches(Path({str(folder)!r}), {patches!r}, branch="remediator/x", record=Path({str(record)!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    undo(Applied.model_validate_json(record.read_bytes()))
    assert state(folder) == before
    assert not (folder / "d").exists()
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "branch", "--format=%(refname)") == "refs/heads/main"


def test_two_at_once_are_refused(repo: Path) -> None:
    with checkout_files.WorkFolder(repo), pytest.raises(GitError, match="another run"):
        apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")


def test_created_branch_touches_nothing_and_is_idempotent(repo: Path) -> None:
    (repo / "f").write_text("dirty\n")
    before, head = state(repo), git(repo, "rev-parse", "HEAD")
    first = create_branch(repo, [patch("f", 5, "x")], branch="remediator/c", when=WHEN)
    again = create_branch(repo, [patch("f", 5, "x")], branch="remediator/c", when=datetime.now(UTC))
    assert (first.existed, again.existed) == (False, True)
    assert git(repo, "rev-parse", "remediator/c") == first.commits[-1]
    assert state(repo) == before
    assert git(repo, "rev-parse", "HEAD") == head
    with pytest.raises(GitError, match="something else"):
        create_branch(repo, [patch("f", 6, "x")], branch="remediator/c")


def test_created_branch_in_a_bare_repository(repo: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    made = create_branch(tmp_path / "bare.git", [patch("f", 5, "x")], branch="remediator/c")
    assert git(tmp_path / "bare.git", "show", f"{made.commits[0]}:f") == BODY.replace("line 5\n", "x\n").strip()
    with pytest.raises(GitError, match="no work tree"):
        apply_patches(tmp_path / "bare.git", [patch("f", 5, "x")], branch="remediator/d")


def test_shallow_clone_is_fine(repo: Path, tmp_path: Path) -> None:
    (repo / "g").write_text("two\n")
    git(repo, "commit", "-qam", "two")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repo}", "shallow")
    apply_patches(tmp_path / "shallow", [patch("f", 5, "a\nb"), patch("f", 30, "c")], branch="remediator/x")
    assert git(tmp_path / "shallow", "fsck", "--strict") == ""


def test_folder_without_git_is_written_and_put_back(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "f").write_text(BODY)
    record = tmp_path / "undo.json"
    before = state(folder)
    applied = apply_patches(folder, [patch("f", 5, "a\nb"), patch("f", 30, "z"), ADDED], branch="remediator/x", record=record)
    assert applied.branch == ""
    assert (folder / "f").read_text() == BODY.replace("line 5\n", "a\nb\n").replace("line 30\n", "z\n")
    assert sorted(state(folder)) == ["d/new", "f"]
    undo(Applied.model_validate_json(record.read_bytes()))
    assert state(folder) == before
    assert not (folder / "d").exists()


def test_folder_whose_file_is_not_the_base_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "f").write_text(BODY + "mine\n")
    title, diff = patch("f", 5, "x")
    named = diff.replace("--- a/f", "index " + "1" * 40 + ".." + "2" * 40 + " 100644\n--- a/f")
    with pytest.raises(PatchConflictError, match="not the file"):
        apply_patches(folder, [(title, named)], branch="b")
    assert (folder / "f").read_text() == BODY + "mine\n"


def test_undo_in_a_folder_refuses_where_work_would_be_lost(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "f").write_text(BODY)
    (folder / "g").write_text(BODY)
    applied = apply_patches(folder, [patch("f", 5, "x"), patch("g", 5, "x")], branch="b")
    (folder / "g").write_text("mine\n")
    before = state(folder)
    with pytest.raises(PatchConflictError, match="g was changed"):
        undo(applied)
    assert state(folder) == before


def test_folder_of_a_repository_that_tracks_nothing_of_it_is_a_plain_folder(repo: Path) -> None:
    (repo / "vendored").mkdir()
    (repo / "vendored/f").write_text(BODY)
    applied = apply_patches(repo / "vendored", [patch("f", 5, "x")], branch="b")
    assert applied.branch == ""
    assert git(repo, "branch", "--show-current") == "main"


@pytest.mark.parametrize("target", ["../out", "/etc/x", ".git/config", "sub/../../out"])
def test_patch_that_leads_outside_is_refused(tmp_path: Path, repo: Path, target: str) -> None:
    diff = f"diff --git a/{target} b/{target}\nnew file mode 100644\n--- /dev/null\n+++ b/{target}\n@@ -0,0 +1 @@\n+x\n"
    plain = tmp_path / "plain"
    plain.mkdir()
    for folder in (repo, plain):
        with pytest.raises((PatchError, GitError)):
            apply_patches(folder, [("t", diff)], branch="b")
    assert not (tmp_path / "out").exists()


def test_nothing_to_apply_is_an_error(repo: Path) -> None:
    with pytest.raises(PatchError):
        apply_patches(repo, [], branch="b")


def test_executable_bits_that_mean_nothing_are_no_change(repo: Path) -> None:
    (repo / "f").chmod(0o755)
    with pytest.raises(PatchConflictError, match="changes of yours"):
        apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    git(repo, "config", "core.fileMode", "false")
    undo(apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x"))
    assert (repo / "f").read_text() == BODY


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's files")
def test_repository_of_another_user_is_left_alone(repo: Path) -> None:
    os.chown(repo / ".git", 12345, 12345)
    with pytest.raises(GitError, match="another user"):
        apply_patches(repo, [patch("f", 5, "x")], branch="remediator/x")
    assert (repo / "f").read_text() == BODY
