from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from remediator.errors import SourceError, StateError
from remediator.source import Resolved, reopen, resolve


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    return tmp_path / "stores"


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=u", "-c", "user.email=u@x", *args], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    git(tmp_path, "init", "-q", "-b", "main", str(folder))
    (folder / "sub").mkdir()
    for name in ("f", "sub/g"):
        (folder / name).write_text(f"{name}\n")
    (folder / ".gitignore").write_text("ignored\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "one")
    git(folder, "tag", "-a", "v1", "-m", "tag")
    (folder / "f").write_text("two\n")
    git(folder, "commit", "-qam", "two")
    return folder


async def read(target: Path | str, stores: Path, revision: str | None = None) -> Resolved:
    return await resolve(str(target), revision=revision, folder=stores, env={}, offline=True)


def files(resolved: Resolved) -> dict[str, bytes]:
    return {entry.path: resolved.tree.read(entry.path) for entry in resolved.tree.entries() if entry.is_file}


def everything(folder: Path) -> dict[str, tuple[int, float, bytes]]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path): (path.stat().st_mode, path.stat().st_mtime, path.read_bytes()) for path in found}


async def test_clean_work_tree_is_its_own_commit_and_stays_untouched(repo: Path, stores: Path) -> None:
    before = everything(repo)
    resolved = await read(repo, stores)
    assert resolved.source.commit == git(repo, "rev-parse", "HEAD")
    assert resolved.source.tree == git(repo, "rev-parse", "HEAD^{tree}")
    assert resolved.source.notes == ()
    assert files(resolved) == {"f": b"two\n", "sub/g": b"sub/g\n", ".gitignore": b"ignored\n"}
    assert everything(repo) == before


async def test_uncommitted_changes_are_taken_and_untracked_files_counted(repo: Path, stores: Path) -> None:
    (repo / "f").write_text("dirty\n")
    (repo / "sub/g").unlink()
    (repo / "staged").write_text("s\n")
    git(repo, "add", "staged")
    for name in ("u1", "u2", "ignored", "sub/u3"):
        (repo / name).write_text("x")
    resolved = await read(repo, stores)
    assert files(resolved) == {"f": b"dirty\n", "staged": b"s\n", ".gitignore": b"ignored\n"}
    notes = " | ".join(resolved.source.notes)
    assert "3 untracked files are left out" in notes
    assert "1 tracked files are missing" in notes
    assert "uncommitted changes" in notes
    assert resolved.source.commit != git(repo, "rev-parse", "HEAD")
    assert (await read(repo, stores)).source == resolved.source


async def test_reopened_source_is_the_same(repo: Path, stores: Path) -> None:
    (repo / "f").write_text("dirty\n")
    resolved = await read(repo, stores)
    _, tree = reopen(resolved.source, stores)
    assert (tree.id, tree.commit) == (resolved.tree.id, resolved.source.commit)
    with pytest.raises(StateError, match="other files"):
        reopen(resolved.source.model_copy(update={"tree": "0" * 40}), stores)
    shutil.rmtree(stores)
    with pytest.raises(StateError, match="gone"):
        reopen(resolved.source, stores)


@pytest.mark.parametrize("revision", ["v1", "main~1", "HEAD^", "refs/tags/v1", "main", "HEAD", "@"])
async def test_revision_of_a_local_repository(repo: Path, stores: Path, revision: str) -> None:
    (repo / "f").write_text("dirty\n")
    resolved = await read(repo, stores, revision)
    assert resolved.source.commit == git(repo, "rev-parse", f"{revision}^{{commit}}")
    assert files(resolved)["f"] == (b"two\n" if revision in ("main", "HEAD", "@") else b"f\n")
    subprocess.run(["git", "fsck"], cwd=resolved.store.folder, check=True, capture_output=True)


async def test_full_and_short_ids_packed_and_bare(repo: Path, stores: Path, tmp_path: Path) -> None:
    head, old = git(repo, "rev-parse", "HEAD"), git(repo, "rev-parse", "HEAD~1")
    git(repo, "gc", "-q")
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    for target in (repo, tmp_path / "bare.git"):
        assert (await read(target, stores, old)).source.commit == old
        assert (await read(target, stores, old[:9])).source.commit == old
        assert (await read(target, stores, "v1")).source.commit == old
    assert (await read(tmp_path / "bare.git", stores)).source.commit == head


@pytest.mark.parametrize("revision", ["nosuch", "--upload-pack=touch x", "-x", "HEAD:f", "a..b", "deadbeef", "f" * 40, "HEAD^{tree}"])
async def test_bad_revisions_are_errors(repo: Path, stores: Path, revision: str) -> None:
    with pytest.raises(SourceError):
        await read(repo, stores, revision)


async def test_hostile_repository_runs_nothing(repo: Path, stores: Path, tmp_path: Path) -> None:
    canary, script = tmp_path / "canary", tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\necho x >> {canary}\ncat\n")
    script.chmod(0o755)
    (repo / ".gitattributes").write_text("* filter=evil diff=evil text eol=crlf\nf working-tree-encoding=UTF-16\n")
    git(repo, "add", ".gitattributes")
    for key in (
        "core.fsmonitor",
        "filter.evil.clean",
        "filter.evil.smudge",
        "diff.evil.textconv",
        "core.pager",
        "uploadpack.packObjectsHook",
    ):
        git(repo, "config", key, str(script))
    git(repo, "config", "core.worktree", "/")
    (repo / ".git/hooks").mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-index-change", "pre-commit", "reference-transaction"):
        (repo / ".git/hooks" / hook).symlink_to(script)
    (repo / "f").write_text("changed\n")
    canary.unlink(missing_ok=True)
    resolved = await read(repo, stores)
    assert files(resolved)["f"] == b"changed\n"
    await read(repo, stores, "v1")
    assert not canary.exists()
    git(repo, "config", "--unset", "core.worktree")
    subprocess.run(["git", "status"], cwd=repo, capture_output=True, check=False)
    assert canary.exists(), "the weak twin: plain git runs it"


async def test_links_and_special_files_are_not_followed_or_opened(repo: Path, stores: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "g").write_text("secret\n")
    shutil.rmtree(repo / "sub")
    (repo / "sub").symlink_to(outside)
    (repo / "f").unlink()
    os.mkfifo(repo / "f")
    resolved = await read(repo, stores)
    assert b"secret\n" not in files(resolved).values()
    assert "sub/g" not in files(resolved)
    assert any("f is left out: not a regular file" in note for note in resolved.source.notes)


async def test_sparse_checkout_and_split_index_are_read(repo: Path, stores: Path) -> None:
    git(repo, "update-index", "--split-index")
    git(repo, "sparse-checkout", "set", "--no-cone", "/f", "/.gitignore")
    assert not (repo / "sub/g").exists()
    resolved = await read(repo, stores)
    assert files(resolved)["sub/g"] == b"sub/g\n"
    assert resolved.source.commit == git(repo, "rev-parse", "HEAD")


async def test_submodules_and_linked_work_trees(repo: Path, stores: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(repo), str(other))
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "mod")
    git(repo, "commit", "-qm", "mod")
    resolved = await read(repo, stores)
    assert "mod/f" not in files(resolved)
    assert any("1 submodules are left out" in note for note in resolved.source.notes)
    assert resolved.source.commit == git(repo, "rev-parse", "HEAD")
    git(repo, "worktree", "add", "-q", str(tmp_path / "side"), "v1")
    assert (await read(tmp_path / "side", stores)).source.commit == git(repo, "rev-parse", "v1^{commit}")
    assert files(await read(repo / "mod", stores))["f"] == b"two\n"


async def test_subfolder_of_a_repository_is_its_tracked_part(repo: Path, stores: Path) -> None:
    (repo / "sub/u").write_text("x")
    (repo / "other").write_text("x")
    resolved = await read(repo / "sub", stores)
    assert files(resolved) == {"g": b"sub/g\n"}
    assert "1 untracked files are left out" in resolved.source.notes


async def test_folder_without_git(tmp_path: Path, stores: Path) -> None:
    folder = tmp_path / "plain"
    for name in (
        "a.py",
        "pkg/b.py",
        ".hidden",
        "node_modules/x",
        "__pycache__/y",
        "env/pyvenv.cfg",
        "env/lib/z",
        ".venv/q",
        ".hg/store",
        "build/keep",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "pkg/b.py").chmod(0o755)
    (folder / "out").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "sock"))
    resolved = await read(folder, stores)
    assert sorted(files(resolved)) == [".hidden", "a.py", "build/keep", "pkg/b.py"]
    assert resolved.tree.find("pkg/b.py").mode == 0o100755
    assert resolved.tree.find("out").mode == 0o120000
    notes = " | ".join(resolved.source.notes)
    for told in ("pipe is left out", "sock is left out", "node_modules", "virtual environment"):
        assert told in notes
    assert (await read(folder, stores)).source == resolved.source


async def test_odd_names_on_disk(tmp_path: Path, stores: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    names = [b"new\nline", b"esc\x1b[31m", b"bad\xff", b"-rf", b'quo"te', "ünï".encode()]
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(name)
    resolved = await read(folder, stores)
    assert {os.fsencode(path): data for path, data in files(resolved).items()} == {name: name for name in names}


async def test_empty_folder_unreadable_file_and_deep_folder(tmp_path: Path, stores: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    with pytest.raises(SourceError, match="no files"):
        await read(folder, stores)
    deep = folder
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    with pytest.raises(SourceError, match="deeper"):
        await read(folder, stores)


async def test_damaged_git_folders_are_errors_or_plain(repo: Path, stores: Path, tmp_path: Path) -> None:
    (repo / ".git/index").write_bytes(b"DIRCrubbish")
    with pytest.raises(SourceError):
        await read(repo, stores)
    pointing = tmp_path / "pointing"
    pointing.mkdir()
    (pointing / ".git").write_text("gitdir: /nonexistent\n")
    with pytest.raises(SourceError, match="point"):
        await read(pointing, stores)


async def test_head_in_circles_or_elsewhere_is_told(repo: Path, stores: Path) -> None:
    (repo / ".git/HEAD").write_text("ref: refs/heads/a\n")
    (repo / ".git/refs/heads/a").write_text("ref: refs/heads/a\n")
    resolved = await read(repo, stores)
    assert files(resolved)["f"] == b"two\n"
    assert any("not known" in note for note in resolved.source.notes)
    (repo / ".git/HEAD").write_text("ref: ../../../../etc/passwd\n")
    assert files(await read(repo, stores))["f"] == b"two\n"


@pytest.mark.parametrize("target", ["pypi:untangle==1.1.1", "https://192.0.2.1/x", "git@192.0.2.1:x"])
async def test_offline_opens_no_socket(target: str, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(SourceError, match="offline"):
        await resolve(target, revision=None, folder=stores, env={}, offline=True)
    assert not stores.exists()


async def test_executable_bits_that_mean_nothing_are_the_index_s(repo: Path, stores: Path) -> None:
    (repo / "f").chmod(0o755)
    assert (await read(repo, stores)).tree.find("f").mode == 0o100755
    git(repo, "config", "core.fileMode", "false")
    resolved = await read(repo, stores)
    assert resolved.tree.find("f").mode == 0o100644
    assert resolved.source.commit == git(repo, "rev-parse", "HEAD")


async def test_broken_git_file_further_up_does_not_matter(tmp_path: Path, stores: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nonexistent\n")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/a").write_text("a")
    assert files(await read(tmp_path / "plain", stores)) == {"a": b"a"}


async def test_folder_that_cannot_be_followed_back_is_never_left(tmp_path: Path, stores: Path) -> None:
    folder = tmp_path / "plain"
    (folder / "real").mkdir(parents=True)
    (folder / "real/a").write_text("a")
    (folder / "link").symlink_to(folder / "real")
    (folder / "up").symlink_to("..")
    assert files(await read(folder, stores)) == {"real/a": b"a"}


async def test_index_that_names_files_outside_does_not_reach_them(repo: Path, stores: Path, tmp_path: Path) -> None:
    (tmp_path / "se").write_text("secret\n")
    index = (repo / ".git/index").read_bytes()
    with_dots = index.replace(b"sub/g", b"../se")
    assert with_dots != index
    (repo / ".git/index").write_bytes(with_dots[:-20] + hashlib.sha1(with_dots[:-20]).digest())
    resolved = await read(repo, stores)
    assert b"secret\n" not in files(resolved).values()
    assert any("../se is left out" in note for note in resolved.source.notes)


@pytest.mark.slow
async def test_hundred_thousand_files_and_a_large_one(tmp_path: Path, stores: Path) -> None:
    folder = tmp_path / "plain"
    for number in range(100):
        (folder / f"d{number}").mkdir(parents=True)
        for other in range(1000):
            (folder / f"d{number}/f{other}.py").write_bytes(b"x = %d\n" % other)
    with (folder / "large").open("wb") as large:
        large.truncate(200 * 1024 * 1024)
    resolved = await read(folder, stores)
    entries = resolved.tree.entries()
    assert len(entries) == 100_001
    assert sum(len(chunk) for chunk in resolved.tree.tar()) > 200 * 1024 * 1024
    assert all(resolved.tree.read(entry.path) for entry in entries[:2000])
